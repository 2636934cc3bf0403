"""`layers`, `filters` and `predict`: the network itself, and its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import Steps
from .app import app
from .opened import Given, open_network, pictures_or_own, place_of
from .options import Architecture, First, Json, Labels, Model, Partial, Pictures, Preprocessing, Shape, Trust, Via, Weights
from .printing import filters_as_data, plain, print_answers, print_json, print_notes
from .unused import refuse_unused

NUMBERS = (".csv", ".parquet", ".npy", ".npz")


@app.command()
def layers(
    model: Model = "demo",
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    convolutions: Annotated[bool, typer.Option("--convolutions", help="Only the convolutions.")] = False,
    as_json: Json = False,
) -> None:
    """Print the layer table: index, name, kind, output shape, kernel, parameters; totals below."""
    with Steps() as steps:
        network = open_network(steps, model, Given(weights, architecture, partial, shape, trust, via))
    table = network.layers.convolutions if convolutions else network.layers
    if as_json:
        print_json({"layers": table.as_dicts(), "parameters": table.parameters}, network)
    else:
        print(table)
        print_notes(network)


@app.command()
def filters(
    context: typer.Context,
    layer: Annotated[str, typer.Argument(help="A layer's name or index.")],
    model: Model = "demo",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="A picture: .png, .pdf, .svg. Or numbers: .csv, .parquet (a row per filter), .npy, .npz."
        ),
    ] = None,
    first: First = 64,
    channels: Annotated[int, typer.Option(min=0, help="How many input channels per filter at most, the strongest; 0: all.")] = 16,
    folded: Annotated[bool, typer.Option("--folded", help="With the BatchNorm that follows folded in.")] = False,
    rgb: Annotated[bool, typer.Option("--rgb", help="One colour tile per filter, for three input channels.")] = False,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    as_json: Json = False,
) -> None:
    """Draw the learned kernels of LAYER: a row per filter, a column per input channel."""
    refuse_undrawn(context, out, as_json=as_json, rgb=rgb)
    with Steps() as steps:
        network = open_network(steps, model, Given(weights, architecture, partial, shape, trust, via))
        at = int(layer) if layer.isdigit() and layer not in network.graph.names else layer
        found = network.filters(at, folded=folded)
        path = out or (None if as_json else Path(f"{found.layer.name.replace('/', '_')}.png"))
        if path is not None and path.suffix.lower() in NUMBERS:
            found.save(path)
        elif path is not None:
            sheet = found.rgb_sheet(first=first or None) if rgb else found.sheet(first=first or None, channels=channels or None)
            sheet.save(path)
    if as_json:
        print_json(filters_as_data(found) | ({} if path is None else {"file": str(path)}))
        return
    print(f"{found}\n{path}")


def refuse_undrawn(context: typer.Context, out: Path | None, *, as_json: bool, rgb: bool) -> None:
    """Raises InputError for options of a sheet where none is drawn, or not in this way."""
    drawn = ("first", "channels", "rgb")
    if out is not None and out.suffix.lower() in NUMBERS:
        refuse_unused(context, f"to numbers ({out.suffix}), of which all are written", *drawn)
    if as_json and out is None:
        refuse_unused(context, "to --json, which prints all; a sheet is drawn with --out", *drawn)
    if rgb:
        refuse_unused(context, "with --rgb, which draws three channels as one colour", "channels")


@app.command()
def predict(
    pictures: Pictures = None,
    model: Model = "demo",
    top: Annotated[int, typer.Option(min=1, help="How many answers.")] = 5,
    where: Annotated[
        str | None, typer.Option(help="Of a segmentation, the place of its output that is answered at: row,column from 0.")
    ] = None,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    as_json: Json = False,
) -> None:
    """Print what the network takes PICTURES for."""
    with Steps() as steps:
        network = open_network(steps, model, Given(weights, architecture, partial, shape, trust, via), labels, preprocess)
        steps.begin(f"Running {network.info.name}")
        answers = network.answers(pictures_or_own(pictures), top=top, where=place_of(where), progress=steps)
    if as_json:
        print_json([{"picture": name, "answers": plain(row)} for name, row in answers.items()], network)
        return
    for name, row in answers.items():
        print(name)
        print_answers(row)
    print_notes(network, answered=True)
