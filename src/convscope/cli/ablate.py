"""`ablate`: what the units of a layer are worth for an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..progress import Steps
from ..results import Effect
from .app import app
from .explain import Against, Target, against_of
from .opened import Given, open_network, pictures_or_own
from .options import Architecture, Json, Labels, Model, Partial, Pictures, Preprocessing, Shape, Trust, Weights
from .printing import print_json, print_notes

Truth = Annotated[str | None, typer.Option(help="The class of all PICTURES: prints how often they are right without each unit.")]


@app.command()
def ablate(
    pictures: Pictures = None,
    at: Annotated[str | None, typer.Option(help="The layer. Without it, the last one with maps.")] = None,
    target: Target = None,
    against: Against = None,
    truth: Truth = None,
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
    """Switch off every unit of a layer in turn: what each is worth for the answer to PICTURES, and which change it."""
    with Steps() as steps:
        network = open_network(steps, model, Given(weights, architecture, partial, shape, trust), labels, preprocess)
        steps.begin("Switching off units")
        found = network.ablate(
            pictures_or_own(pictures), at, target=against_of(target, against), truth=truth, activated=not raw, progress=steps
        )
        path = found.save(out) if out.suffix == ".csv" else found.sheet(first=most).save(out)
    if as_json:
        print_json([{**found.about(number, most=most), "file": str(path)} for number in range(len(found.pictures))])
        return
    for number in range(len(found.pictures)):
        print_effect(found, number, most)
    print_accuracy(found, most)
    print_notes(network, answered=True)
    print(path)


def print_effect(found: Effect, number: int, most: int) -> None:
    rows, score = found.table(number), found.worths[number].score
    print(f"{found.pictures[number].name}: {found.targets[number]} = {score:.4g}; units of '{found.layer}', {found.reading}")
    print(f"  {'unit':>6}  {'lost':>9}  {'left':>9}  answer")
    shown = rows if len(rows) <= 2 * most else [*rows[:most], *rows[-min(3, most) :]]
    for row in shown:
        print(f"  {row.unit:>6}  {row.drop:>+9.3g}  {row.score:>9.4g}  {row.answer or ''}{' (new)' if row.changes else ''}")
    breaking = ", ".join(str(row.unit) for row in found.breaking(number)) or "none"
    print(f"  another answer without any one of: {breaking}")
    group = found.together(number)
    if group is not None and len(group) > 1:
        print(f"  another answer without these {len(group)} together: {', '.join(map(str, group))}")


def print_accuracy(found: Effect, most: int) -> None:
    if found.dropped is None:
        return
    print(f"right: {found.dropped.accuracy:.1%} of {int(found.dropped.pictures.sum())}")
    order = sorted(zip(found.dropped.units, found.dropped.drop, strict=True), key=lambda pair: -pair[1])
    for unit, lost in order[:most]:
        print(f"  without {unit:>5}: {found.dropped.accuracy - lost:.1%} ({-lost:+.1%})")
