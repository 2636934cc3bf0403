"""`look` and `maps`: what pictures leave in a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..progress import Steps
from .app import app
from .opened import Given, channel_names, open_network, run, scale_of
from .options import (
    Activated,
    Architecture,
    Arrays,
    At,
    Channels,
    Colour,
    First,
    Json,
    Labels,
    Model,
    Order,
    Out,
    Partial,
    Pictures,
    Preprocessing,
    Raw,
    Scale,
    Shape,
    SingleFile,
    Table,
    Trust,
    Via,
    Weights,
    Why,
)  # fmt: skip
from .printing import answers_of, print_json, print_look, print_maps, row_of

if TYPE_CHECKING:
    from ..results import MapSet


@app.command()
def look(
    pictures: Pictures = None,
    model: Model = "demo",
    out: Out = Path("study"),
    single_file: SingleFile = False,
    at: At = None,
    first: First = 64,
    order: Order = "auto",
    scale: Scale = "map",
    colour: Colour = "auto",
    raw: Raw = False,
    why: Why = "auto",
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
    """Write a page that shows what the network sees in PICTURES: answers, layers, filters, and the maps of every block."""
    with Steps() as steps:
        network = open_network(
            steps, model, Given(weights, architecture, partial, shape, trust, via), labels, preprocess, channels
        )
        maps = run(steps, network.look, pictures, at, activated=not raw, ranked=order in ("auto", "answer"), why=why,
                   channels=channel_names(network, channels))  # fmt: skip
        steps.begin("Drawing the sheets")
        saved = save(maps, out, single_file, first, order, scale, colour)
    page = page_of(saved, single_file)
    if as_json:
        layers, left_out = [row_of(maps, name) for name in maps], dict(maps.left_out)
        print_json({"page": str(page), "pictures": answers_of(maps), "layers": layers, "left_out": left_out}, network)
    else:
        print_look(network, maps)
        print(f"\nThe page: {page}")


@app.command()
def maps(
    pictures: Pictures = None,
    model: Model = "demo",
    out: Out = Path("study"),
    single_file: SingleFile = False,
    at: At = None,
    first: First = 64,
    order: Order = "auto",
    scale: Scale = "map",
    colour: Colour = "auto",
    activated: Activated = False,
    weights: Weights = None,
    architecture: Architecture = None,
    partial: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    channels: Channels = None,
    shape: Shape = None,
    trust: Trust = False,
    via: Via = None,
    table: Table = None,
    arrays: Arrays = None,
    as_json: Json = False,
) -> None:
    """Write the feature maps that PICTURES leave, as arrays and sheets. The network runs only as far as it has to."""
    with Steps() as steps:
        network = open_network(
            steps, model, Given(weights, architecture, partial, shape, trust, via), labels, preprocess, channels
        )
        result = run(steps, network.maps, pictures, at, activated=activated, ranked=order == "answer",
                     channels=channel_names(network, channels))  # fmt: skip
        steps.begin("Drawing the sheets")
        written = [result.export(path) for path in (table, arrays) if path is not None]
        saved = save(result, out, single_file, first, order, scale, colour)
    if as_json:
        where = {"study": str(saved), "page": str(page_of(saved, single_file)), "files": list(map(str, written))}
        print_json({**where, "layers": [row_of(result, name) for name in result], "left_out": dict(result.left_out)}, network)
    else:
        print_maps(result)
        count = len(result) * len(result.pictures)
        what = "The page" if single_file else "1 sheet" if count == 1 else f"{count} sheets"
        print(f"\n{what}: {page_of(saved, single_file)}", *written, sep="\n")


def save(maps: MapSet, out: Path, single_file: bool, first: int, order: str, scale: str, colour: str) -> Path:
    """The page, or the folder with it, as the options say."""
    path, ends = named(out, single_file), scale_of(scale)
    return maps.save(path, first=first or None, order=order, scale=ends, colour=colour, single_file=single_file)


def page_of(saved: Path, single_file: bool) -> Path:
    return saved if single_file else saved / "index.html"


def named(out: Path, single_file: bool) -> Path:
    """`out`, as a page where one file is asked for and no ending was given."""
    return out.with_suffix(".html") if single_file and not out.suffix else out
