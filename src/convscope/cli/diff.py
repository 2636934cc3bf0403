"""`diff`: how far two networks are apart, layer by layer."""

from __future__ import annotations

from typing import Annotated

import typer

from ..progress import Steps
from .app import app
from .opened import Given, open_network, pictures_or_own
from .options import Architecture, Json, Labels, Model, Partial, Pictures, Preprocessing, Shape, Trust, Weights
from .printing import print_json, print_notes

TOO_FAR = 1  # as of the program of that name: there are differences


@app.command()
def diff(
    other: Annotated[str, typer.Option("--other", help="The network to compare with, opened as --model is.")],
    pictures: Pictures = None,
    model: Model = "demo",
    at: Annotated[str, typer.Option(help="Layers of --model, as for maps. Each is compared with the one of its name.")] = "convs",
    most: Annotated[
        float | None,
        typer.Option("--most", min=0, help="Exit with 1 where a layer differs by more than this share of its values: 0.05."),
    ] = None,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Compare two networks layer by layer over the same PICTURES: a quantised file with what it was made from, say."""
    with Steps() as steps:
        given = Given(weights, architecture, partial, shape, trust)
        network, second = (open_network(steps, name, given, labels, preprocess) for name in (model, other))
        steps.begin("Running both networks")
        found = network.differences(second, pictures_or_own(pictures), at.split(","), progress=steps)
    beyond = () if most is None else found.beyond(most)
    if as_json:
        print_json({**found.as_dict(), "beyond": [row.layer for row in beyond]}, network)
    else:
        print(found)
        print_notes(network)
    if beyond:
        raise typer.Exit(TOO_FAR)
