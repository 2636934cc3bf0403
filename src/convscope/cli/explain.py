"""`explain` and `compare`: what in a picture speaks for an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..draw.words import amount
from ..errors import InputError
from ..methods.explain import method_of
from ..progress import Steps
from ..results import Explanation
from .app import app
from .opened import Given, open_network, pictures_or_own
from .options import Architecture, Channels, Json, Labels, Model, Partial, Pictures, Preprocessing, Shape, Trust, Via, Weights
from .printing import print_json, print_notes
from .unused import refuse_unused

Target = Annotated[str | None, typer.Option(help="A class, by label or number. Without it, the top answer.")]
Against = Annotated[str | None, typer.Option(help="Another class: explain the difference of their scores.")]
ScoreScale = Annotated[str, typer.Option("--scale", help="logit, found before a softmax where there is one, or probability.")]
Upsample = Annotated[str, typer.Option(help="How a layer's map is made as large as the picture: bilinear or nearest.")]
MethodOption = Annotated[
    list[str] | None, typer.Option("--set", help="An option of the method: steps=100, baseline=white, samples=50; several times.")
]


@app.command()
def explain(
    context: typer.Context,
    pictures: Pictures = None,
    method: Annotated[str, typer.Option("--method", help="grad-cam, saliency, integrated-gradients, rise, ...")] = "auto",
    target: Target = None,
    against: Against = None,
    at: Annotated[str | None, typer.Option(help="The layer of a CAM; several with commas. Else the last with maps.")] = None,
    scale: ScoreScale = "logit",
    settings: MethodOption = None,
    upsample: Upsample = "bilinear",
    model: Model = "demo",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A picture (.png .pdf .svg), or the values (.npz).")] = None,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    channels: Channels = None,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    as_json: Json = False,
) -> None:
    """Draw what in PICTURES speaks for an answer: the picture, the map alone, and over the picture."""
    refuse_unsized(context, method, out)
    with Steps() as steps:
        network = open_network(
            steps, model, Given(weights, architecture, partial, shape, trust, via), labels, preprocess, channels
        )
        steps.begin(f"Explaining by {method}")
        layers = None if at is None else at.split(",")
        asked, given = against_of(target, against), settings_of(settings or [])
        why = network.explain(pictures_or_own(pictures), method, target=asked, at=layers, scale=scale, progress=steps, **given)  # type: ignore[arg-type]
        paths = [why.save(out)] if out is not None and out.suffix == ".npz" else drawn(why, out, upsample)
    if as_json:
        print_json(plain(why, paths), network)
        return
    for line in lines_of(why):
        print(line)
    print_notes(network, answered=True)
    for path in paths:
        print(path)


def refuse_unsized(context: typer.Context, method: str, out: Path | None) -> None:
    """Raises InputError for --upsample where no map is made as large as the picture."""
    if out is not None and out.suffix == ".npz":
        refuse_unused(context, "to values (.npz), which stay as they are", "upsample")
    if method != "auto" and method_of(method).place != "layer":
        refuse_unused(context, f"to what {method} says, which is as large as the picture", "upsample")


@app.command()
def compare(
    pictures: Pictures = None,
    methods: Annotated[str | None, typer.Option("--methods", help="Names with commas: saliency,grad-cam,rise.")] = None,
    target: Target = None,
    against: Against = None,
    scale: ScoreScale = "logit",
    upsample: Upsample = "bilinear",
    model: Model = "demo",
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png, .pdf or .svg.")] = Path("compare.png"),
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    channels: Channels = None,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    as_json: Json = False,
) -> None:
    """Draw one picture explained by several methods, for the same target, on one sheet."""
    with Steps() as steps:
        network = open_network(
            steps, model, Given(weights, architecture, partial, shape, trust, via), labels, preprocess, channels
        )
        steps.begin("Explaining")
        names = None if methods is None else methods.split(",")
        found = network.compare(pictures_or_own(pictures), names, target=against_of(target, against), scale=scale, progress=steps)  # type: ignore[arg-type]
        path = found.sheet(upsample=upsample).save(out)
    if as_json:
        print_json([plain(why, [path]) for why in found], network)
        return
    for why in found:
        for line in lines_of(why):
            print(line)
    print_notes(network, answered=True)
    print(path)


def plain(why: Explanation, paths: list[Path]) -> dict[str, Any]:
    """What it says as plain data, and the files that were written."""
    delta = None if why.delta is None else why.delta.tolist()
    return {**why.about(), "score": why.score.tolist(), "delta": delta, "files": list(map(str, paths))}


def against_of(target: str | None, against: str | None) -> Any:
    return target if against is None else (target, against)


def settings_of(given: list[str]) -> dict[str, Any]:
    """`steps=50` as {"steps": 50}. Raises InputError."""
    found: dict[str, Any] = {}
    for each in given:
        name, mark, value = each.partition("=")
        if not mark or not name or not value:
            raise InputError(f"--set takes NAME=VALUE, such as steps=50, but received '{each}'.", received=each)
        parts = [number_or_text(part) for part in value.split(",")]
        several = len(parts) > 1 and not any(isinstance(part, str) for part in parts)
        found[name.replace("-", "_")] = parts if several else number_or_text(value)
    return found


def number_or_text(value: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def drawn(why: Explanation, out: Path | None, upsample: str) -> list[Path]:
    """A file per picture: `out` itself for one, `out-NAME` for more."""
    base = out or Path(f"{why.name}.png")
    if len(why.pictures) == 1:
        return [why.sheet(upsample=upsample).save(base)]
    from ..studies.files import file_names

    stems = file_names(each.name for each in why.pictures).values()
    return [
        why.sheet(picture=number, upsample=upsample).save(base.with_name(f"{base.stem}-{stem}{base.suffix}"))
        for number, stem in enumerate(stems)
    ]


def lines_of(why: Explanation) -> list[str]:
    """What it says, in words: per picture the target, the score, the check, and the units for and against."""
    lines = []
    for number, picture in enumerate(why.pictures):
        where = "the picture" if why.layer == "input" else f"'{why.layer}'"
        lines.append(f"{picture.name}: {why.name} at {where}, {why.targets[number]} = {amount(why.score[number])}")
        if why.delta is not None:
            lines.append(f"  check, {why.checked(number)}")
        if why.units is not None:
            up, down = why.best(number)
            lines.append(f"  units for: {in_words(up)}" + (f"; against: {in_words(down)}" if down else ""))
    return lines + [f"  note: {note}" for note in why.notes]


def in_words(units: list[tuple[int, float]]) -> str:
    return ", ".join(f"{unit} ({amount(value, 3, signed=True)})" for unit, value in units) or "none"
