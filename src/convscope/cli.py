"""The command line: parse, call, say where the result is."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer

from .errors import ConvscopeError, InputError
from .network import Network
from .progress import Steps
from .results import MapSet

app = typer.Typer(
    help="See inside any convolutional network: its layers, its filters, the feature maps that a picture leaves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
Pictures = Annotated[
    list[Path] | None, typer.Argument(help="Pictures or folders of pictures. Without any, the built-in photograph.")
]
Model = Annotated[
    str, typer.Option("--model", "-m", help="A file (.onnx .keras .h5 .pt), 'demo', or a name: 'keras:VGG16', 'timm:resnet50'.")
]
Weights = Annotated[str | None, typer.Option(help="For a name: 'imagenet', a tag, or a file. Without it they are random.")]
Architecture = Annotated[
    str | None,
    typer.Option(help="For a file of weights only: 'torchvision:resnet18', 'timm:NAME', 'keras:NAME' or 'my.module:build'."),
]
Partial = Annotated[bool, typer.Option("--partial", help="Let weights be missing or left over.")]
Labels = Annotated[
    Path | None,
    typer.Option(help="The names of the classes: a text file, one per line, or a folder or .zip with a folder per class."),
]
Preprocessing = Annotated[
    str | None,
    typer.Option("--preprocess", help="What is done to a picture: caffe, tf, torch, 0..1, -1..1, 0..255, or a JSON file."),
]
Shape = Annotated[str | None, typer.Option("--shape", help="What a torch network takes, channels first: 3,224,224.")]
Trust = Annotated[bool, typer.Option("--trust", help="Open files that run code of their author: pickles, Lambda layers.")]
At = Annotated[
    list[str] | None,
    typer.Option("--at", help="blocks, convs, operations, all, a name, an index, or a pattern: 'block5_*'; several with commas."),
]
Out = Annotated[Path, typer.Option("--out", "-o", help="The folder of the study. An earlier study there is replaced.")]
First = Annotated[int, typer.Option(min=0, help="How many maps a sheet shows at most; 0 for all.")]
Scale = Annotated[str, typer.Option(help="map: each map by its own range. shared: one range for all maps of a sheet.")]
Colour = Annotated[str, typer.Option(help="auto, gray, viridis, magma, diverging.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON, for a program to read.")]
Raw = Annotated[bool, typer.Option("--raw", help="Show a convolution's own output, before the activation that follows it.")]
Activated = Annotated[bool, typer.Option("--activated", help="Read a convolution after the activation that follows it.")]


@app.command()
def look(
    pictures: Pictures = None,
    model: Model = "demo",
    out: Out = Path("study"),
    at: At = None,
    first: First = 64,
    scale: Scale = "map",
    colour: Colour = "auto",
    raw: Raw = False,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write a page that shows what the network sees in PICTURES: answers, layers, filters, and the maps of every block."""
    with Steps() as steps:
        network = _open(steps, model, Given(weights, architecture, partial, shape, trust), labels, preprocess)
        maps = _run(steps, network.look, pictures, at, activated=not raw)
        steps.begin("Drawing the sheets")
        folder = maps.save(out, first=first or None, scale=scale, colour=colour)
    page = folder / "index.html"
    if as_json:
        _print_json({"page": str(page), "pictures": _answers(maps), "layers": [_row(maps, name) for name in maps]})
    else:
        _print_look(network, maps)
        print(f"\nThe page: {page}")


@app.command()
def maps(
    pictures: Pictures = None,
    model: Model = "demo",
    out: Out = Path("study"),
    at: At = None,
    first: First = 64,
    scale: Scale = "map",
    colour: Colour = "auto",
    activated: Activated = False,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Write the feature maps that PICTURES leave, as arrays and sheets. The network runs only as far as it has to."""
    with Steps() as steps:
        network = _open(steps, model, Given(weights, architecture, partial, shape, trust), labels, preprocess)
        result = _run(steps, network.maps, pictures, at, activated=activated)
        steps.begin("Drawing the sheets")
        folder = result.save(out, first=first or None, scale=scale, colour=colour)
    if as_json:
        _print_json({"study": str(folder), "layers": [_row(result, name) for name in result]})
    else:
        _print_maps(result)
        count = len(result) * len(result.pictures)
        print(f"\n{count} {'sheet' if count == 1 else 'sheets'}: {folder / 'index.html'}")


@app.command()
def layers(
    model: Model = "demo",
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    shape: Shape = None,
    trust: Trust = False,
    convolutions: Annotated[bool, typer.Option("--convolutions", help="Only the convolutions.")] = False,
    as_json: Json = False,
) -> None:
    """Print the layer table: index, name, kind, output shape, kernel, parameters; totals below."""
    with Steps() as steps:
        network = _open(steps, model, Given(weights, architecture, partial, shape, trust))
    table = network.layers.convolutions if convolutions else network.layers
    if as_json:
        _print_json({"layers": table.as_dicts(), "parameters": table.parameters})
    else:
        print(table)
        _print_notes(network)


@app.command()
def filters(
    layer: Annotated[str, typer.Argument(help="A layer's name or index.")],
    model: Model = "demo",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The picture to write: .png, .pdf or .svg.")] = None,
    first: First = 64,
    rgb: Annotated[bool, typer.Option("--rgb", help="One colour tile per filter, for three input channels.")] = False,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Draw the learned kernels of LAYER: a row per filter, a column per input channel."""
    with Steps() as steps:
        network = _open(steps, model, Given(weights, architecture, partial, shape, trust))
        found = network.filters(int(layer) if layer.isdigit() and layer not in network.graph.names else layer)
        if as_json:
            biases = None if found.biases is None else found.biases.tolist()
            _print_json(
                {"layer": found.layer.name, "shape": found.values.shape, "kernel": found.values.tolist(), "biases": biases}
            )
            return
        sheet = found.rgb_sheet(first=first or None) if rgb else found.sheet(first=first or None)
        path = sheet.save(out or Path(f"{found.layer.name.replace('/', '_')}.png"))
    print(f"{found}\n{path}")


@app.command()
def predict(
    pictures: Pictures = None,
    model: Model = "demo",
    top: Annotated[int, typer.Option(min=1, help="How many answers.")] = 5,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Print what the network takes PICTURES for."""
    with Steps() as steps:
        network = _open(steps, model, Given(weights, architecture, partial, shape, trust), labels, preprocess)
        steps.begin(f"Running {network.info.name}")
        answers = network.answers(_pictures(pictures), top=top, progress=steps)
    if as_json:
        _print_json([{"picture": name, "answers": _plain(row)} for name, row in answers.items()])
        return
    for name, row in answers.items():
        print(name)
        _print_answers(row)
    _print_notes(network, answered=True)


def main() -> None:
    """The entry point. What a user did wrong is one sentence and exit 2; a defect of ours is a traceback and exit 1."""
    warnings.showwarning = lambda message, *_, **__: print(f"Note: {message}", file=sys.stderr)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # or TensorFlow tells what the processor can do, before every answer
    try:
        app()
    except ConvscopeError as error:
        print(f"convscope: {error}", file=sys.stderr)
        sys.exit(2)


@dataclasses.dataclass(frozen=True)
class Given:
    """What was said of the network."""

    weights: str | None
    architecture: str | None
    partial: bool
    shape: str | None
    trust: bool


def _open(steps: Steps, model: str, given: Given, labels: Path | None = None, preprocess: str | None = None) -> Network:
    from .opening import open

    steps.begin(f"Opening {model}")
    return open(
        model,
        weights=given.weights,
        architecture=given.architecture,
        partial=given.partial,
        picture_shape=_shape(given.shape),
        trust=given.trust,
        labels=labels,
        preprocess=preprocess,
        progress=steps,
    )


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(size) for size in text.split(","))
    except ValueError:
        raise InputError(f"--shape takes whole numbers such as 3,224,224, but received '{text}'.", received=text) from None


def _pictures(given: list[Path] | None) -> list[Path]:
    from . import demo

    return given or [demo.picture()]


def _run(steps: Steps, verb: Any, pictures: list[Path] | None, at: list[str] | None, *, activated: bool) -> MapSet:
    steps.begin("Running the network")
    names = [name for each in at or ["blocks"] for name in each.split(",")]
    result: MapSet = verb(_pictures(pictures), at=names, activated=activated, progress=steps)
    return result


def _print_look(network: Network, maps: MapSet) -> None:
    for number, picture in enumerate(maps.pictures):
        print(f"{picture.name}: what {network.info.name} takes it for" if maps.answers else picture.name)
        if maps.answers:
            _print_answers(maps.answers[number])
        for note in picture.notes:
            print(f"  note: {note}")
        print()
    _print_maps(maps)
    _print_notes(network, answered=bool(maps.answers))


def _print_answers(row: Any) -> None:
    for answer in row:
        print(f"  {answer.probability:7.2%}  {'#' * round(answer.probability * 30):30}  {answer.label}")


def _print_maps(maps: MapSet) -> None:
    dead_of = "dead" if len(maps.pictures) == 1 else "dead, per picture"
    rows: list[tuple[str, str, str, str]] = [("layer", "maps", "size", dead_of)]
    for each in maps.values():
        count, *size = each.values.shape[1:]
        dead = [each.dead(number) for number in range(len(each.pictures))]
        counts = "unknown before an activation" if dead[0] is None else ", ".join(str(len(units or ())) for units in dead)
        rows.append((each.layer.name, str(count), " x ".join(map(str, size)) or "1", counts))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, number_of, extent, counts in rows:
        print(f"  {name:{widths[0]}}  {number_of:>{widths[1]}}  {extent:{widths[2]}}  {counts}")


def _print_notes(network: Network, answered: bool = False) -> None:
    notes = list(network.info.notes)
    if answered and network.labels is None:
        notes.append("this network does not name its classes. Name them with --labels.")
    if network.preprocess.origin == "assumed":
        notes.append(
            f"nothing is known about what this network expects; pictures are {network.preprocess.describe()}. "
            "If that is not what it was trained on, every picture is wrong: say so with --preprocess."
        )
    for note in notes:
        print(f"\nNote: {note}", file=sys.stderr)


def _row(maps: MapSet, name: str) -> dict[str, Any]:
    each = maps[name]
    return {
        "layer": name,
        "read_at": each.reading.read_at,
        "shape": each.values.shape[1:],
        "dead": {picture: each.dead(number) for number, picture in enumerate(each.pictures)},
    }


def _answers(maps: MapSet) -> list[dict[str, Any]]:
    return [
        {"picture": picture.name, "answers": _plain(maps.answers[number]) if maps.answers else None}
        for number, picture in enumerate(maps.pictures)
    ]


def _plain(row: Any) -> list[dict[str, Any]]:
    return [dataclasses.asdict(answer) for answer in row]


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))
