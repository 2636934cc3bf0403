"""`ablate`: what the units of a layer are worth for an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..draw.words import amount, share
from ..errors import InputError
from ..methods.cam import last_with_maps
from ..methods.interventions import place, shape_of
from ..methods.select import select
from ..network import Network
from ..progress import Steps
from ..results import Effect
from .app import app
from .explain import Against, Target, against_of
from .opened import Given, open_network, pictures_or_own
from .options import Architecture, Json, Labels, Model, Partial, Pictures, Preprocessing, Shape, Trust, Weights
from .printing import plain as rows
from .printing import print_json, print_notes
from .unused import refuse_unused

Truth = Annotated[str | None, typer.Option(help="The class of all PICTURES: prints how often they are right without each unit.")]
Units = Annotated[str | None, typer.Option(help="Only these units: 17,40-52.")]
Fill = Annotated[str, typer.Option(help="What stands for a unit: zero, its mean over pictures, or resample, its map of another.")]
Over = Annotated[Path | None, typer.Option(help="The pictures, or a folder of them, that --fill mean or resample is taken from.")]
OnlyAt = Annotated[str | None, typer.Option("--region", help="Only this part of the map, rows and columns from 0: 2:5,0:7.")]
Together = Annotated[bool, typer.Option("--together", help="Switch off the --units at once: the answers before and after.")]
FirstPictures = Annotated[
    int | None, typer.Option("--first", min=1, help="Of a folder with a folder per class so many pictures, evenly spread.")
]
Accuracy = Annotated[Path | None, typer.Option(help="Write how much accuracy is lost without each unit, by class: .csv.")]


@app.command()
def ablate(
    context: typer.Context,
    pictures: Pictures = None,
    at: Annotated[str | None, typer.Option(help="The layer. Without it, the last one with maps.")] = None,
    target: Target = None,
    against: Against = None,
    units: Units = None,
    together: Together = False,
    fill: Fill = "zero",
    over: Over = None,
    region: OnlyAt = None,
    seed: Annotated[int, typer.Option(help="Of what --fill resample draws.")] = 0,
    truth: Truth = None,
    first: FirstPictures = None,
    accuracy: Accuracy = None,
    most: Annotated[int, typer.Option(min=1, help="How many units to print and to draw.")] = 10,
    raw: Annotated[bool, typer.Option("--raw", help="Switch off a convolution before the activation that follows it.")] = False,
    model: Model = "demo",
    out: Annotated[Path, typer.Option("--out", "-o", help="A picture (.png .svg), or the table (.csv).")] = Path("ablate.png"),
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Switch off every unit of a layer in turn: what each is worth for the answer to PICTURES, and which change it.

    PICTURES may be one folder, or .zip, with a folder per class: then also how often the network is right without each unit.
    """
    refuse_what_does_nothing(context, together=together, fill=fill)
    if at is None and (together or region is not None):
        raise InputError("--together and --region speak of the units and the map of one layer. Name it with --at.")
    with Steps() as steps:
        network = open_network(steps, model, Given(weights, architecture, partial, shape, trust), labels, preprocess)
        steps.begin("Switching off units")
        given, chosen = one_or_all(pictures_or_own(pictures)), None if units is None else numbers_of(units)
        layer = layer_of(network, at)
        part = region_of(network, layer, region, activated=not raw)
        how = {"fill": fill, "over": over, "seed": seed, "activated": not raw, "region": part}
        if together:
            return print_together(network, given, layer, chosen, how, as_json=as_json)
        goal = {"target": against_of(target, against), "truth": truth}
        asked = None if at is None else layer  # None: the last layer that the target follows from
        found = network.ablate(given, asked, units=chosen, first=first, progress=steps, **goal, **how)
        path = found.save(out) if out.suffix == ".csv" else found.sheet(first=most).save(out)
        paths = [path, *([found.save_accuracy(accuracy)] if accuracy else [])]
    if as_json:
        print_json(plain(found, most, paths), network)
        return None
    print_found(found, most)
    print_notes(network, answered=True)
    print(*paths, sep="\n")
    return None


def refuse_what_does_nothing(context: typer.Context, *, together: bool, fill: str) -> None:
    """Raises InputError."""
    if together:
        refuse_unused(context, "with --together, which prints the answers before and after",
                      "target", "against", "truth", "first", "accuracy", "most", "out")  # fmt: skip
    if fill == "zero":
        refuse_unused(context, "where zero stands for a unit; it is of --fill mean and resample", "over")
    if fill != "resample":
        refuse_unused(context, "where no maps are drawn; it is of --fill resample", "seed")


SHOWN = 8  # pictures of a folder with classes that are printed one by one; of more there is the table


def one_or_all(pictures: list[str]) -> str | list[str]:
    """One path by itself: a folder of classes is no list of pictures."""
    return pictures[0] if len(pictures) == 1 else pictures


def numbers_of(text: str) -> list[int]:
    """ "17,40-52" as numbers. Raises InputError."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.strip().isdecimal() or (dash and not last.strip().isdecimal()):
            raise InputError(f"--units takes numbers such as 17,40-52, but received '{text}'.", received=text)
        found += range(int(first), int(last or first) + 1)
    return list(dict.fromkeys(found))


def layer_of(network: Network, at: str | None) -> str:
    """The one layer that is meant. Raises UnknownLayer, InputError."""
    names = [last_with_maps(network.graph)] if at is None else list(select(network.graph, at))
    if len(names) != 1:
        raise InputError(f"Units of one layer are switched off, but {len(names)} were named. Name one.", received=at)
    return names[0]


def region_of(network: Network, layer: str, text: str | None, *, activated: bool) -> Any:
    """ "2:5,0:7" as a mask of the layer's map; None for all of it. Raises InputError."""
    if text is None:
        return None
    spatial = shape_of(network.engine, place(network.engine, layer, activated=activated))[1:]
    parts = [part.partition(":") for part in text.split(",")]
    ends = [(int(one), int(two)) for one, _, two in parts if one.strip().isdecimal() and two.strip().isdecimal()]
    if len(ends) != len(spatial) or any(not one < two <= size for (one, two), size in zip(ends, spatial, strict=True)):
        raise InputError(
            f"--region takes a range for each axis of '{layer}', which has {spatial} positions, such as "
            f"{','.join(f'0:{size}' for size in spatial)}, but received '{text}'.",
            received=text,
        )
    mask = np.zeros(spatial, bool)
    mask[tuple(slice(*each) for each in ends)] = True
    return mask


def print_together(
    network: Network, pictures: Any, layer: str, units: list[int] | None, how: dict[str, Any], *, as_json: bool
) -> None:
    found = network.contrast(network.without({layer: units}, **how), pictures)
    if as_json:
        before, after = ({name: rows(row) for name, row in each.items()} for each in (found.before, found.after))
        print_json({"what": found.what, "before": before, "after": after}, network)
        return
    print(found)
    print_notes(network, answered=True)


def plain(found: Effect, most: int, paths: list[Path]) -> list[dict[str, Any]]:
    """What it says as plain data: per picture, each with the table of accuracy where there is one."""
    lost = None
    if found.dropped is not None:
        pictures = int(found.dropped.pictures.sum())
        lost = {"right": found.dropped.accuracy, "pictures": pictures, "units": [vars(row) for row in found.accuracy()]}
    files = {"file": str(paths[0]), **({"accuracy_file": str(paths[1])} if len(paths) > 1 else {})}
    return [
        {**found.about(number, most=most), **files, **({} if lost is None else {"accuracy": lost})}
        for number in range(len(found.pictures))
    ]


def print_found(found: Effect, most: int) -> None:
    """Picture by picture, where they are few or that is all there is; then by class."""
    for number in range(len(found.pictures)) if found.dropped is None or len(found.pictures) <= SHOWN else ():
        print_effect(found, number, most)
    print_accuracy(found, most)


def print_effect(found: Effect, number: int, most: int) -> None:
    score = found.worths[number].score
    print(f"{found.pictures[number].name}: {found.targets[number]} = {amount(score)}; units of '{found.layer}', {found.reading}")
    print(f"  {'unit':>6}  {'changes by':>10}  {'to':>9}  answer")
    for row in found.strongest(number, first=most):  # those of the sheet, in its order
        changed, new = amount(-row.drop, 3, signed=True), " (new)" if row.changes else ""
        print(f"  {row.unit:>6}  {changed:>10}  {amount(row.score):>9}  {row.answer or ''}{new}")
    breaking = ", ".join(str(row.unit) for row in found.breaking(number)) or "none"
    print(f"  another answer without any one of: {breaking}")
    group = found.together(number)
    if group is not None and len(group) > 1:
        print(f"  another answer without these {len(group)} together: {', '.join(map(str, group))}")


def print_accuracy(found: Effect, most: int) -> None:
    """How often it is right, and by how much that changes without each of the units that cost most: in all and by class."""
    if found.dropped is None:
        return
    table, dropped = found.accuracy(), found.dropped
    right, pictures = share(dropped.accuracy), int(dropped.pictures.sum())
    print(f"right: {right} of {pictures}; by how much that changes without a unit of '{found.layer}'")
    classes = list(table[0].by_class)
    widths = [max(len(name), 6) for name in classes]
    heads = [f"{name:>{width}}" for name, width in zip(classes, widths, strict=True)]
    print("  ".join([f"  {'unit':>6}", f"{'in all':>6}", *heads]))
    for row in table[:most]:
        cells = [f"{share(-lost, signed=True):>{width}}" for lost, width in zip(row.by_class.values(), widths, strict=True)]
        print("  ".join([f"  {row.unit:>6}", f"{share(-row.drop, signed=True):>6}", *cells]))
