"""`overlay` and `crops`: maps over their picture, and the parts of it that units see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from ..errors import InputError
from ..methods.select import select
from ..network import Network
from ..progress import Steps
from ..results import MapSet
from ..studies.files import file_names
from .app import app
from .explain import Upsample
from .opened import Given, open_network, run
from .options import (
    Architecture,
    Channels,
    Json,
    Labels,
    Model,
    Order,
    Partial,
    Pictures,
    Preprocessing,
    Shape,
    Trust,
    Via,
    Weights,
)
from .printing import print_json, print_notes
from .unused import refuse_unused, was_given

Layer = Annotated[str | None, typer.Option("--at", help="The layer. Without it, the last one whose maps are pictures.")]
Units = Annotated[str | None, typer.Option(help="These units, 17,40, instead of the first ones.")]
First = Annotated[int, typer.Option(min=1, help="How many units.")]


class Savable(Protocol):
    def save(self, path: str | Path) -> Path: ...


@app.command()
def overlay(
    context: typer.Context,
    pictures: Pictures = None,
    at: Layer = None,
    first: First = 9,
    units: Units = None,
    order: Order = "auto",
    upsample: Upsample = "nearest",
    model: Model = "demo",
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png, .pdf, .svg.")] = Path("overlay.png"),
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
    """Draw the maps of a layer over PICTURES, those first that speak most for the answer."""
    refuse_chosen(context)
    given = Given(weights, architecture, partial, shape, trust, via)
    _draw(
        lambda maps, layer, **chosen: maps.overlay(layer, upsample=upsample, **chosen),
        (model, given, labels, preprocess, channels), pictures, at, first, units, order, out, as_json,
    )  # fmt: skip


@app.command()
def crops(
    context: typer.Context,
    pictures: Pictures = None,
    at: Layer = None,
    first: First = 12,
    units: Units = None,
    order: Order = "auto",
    model: Model = "demo",
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture to write: .png, .jpg, .webp.")] = Path("crops.png"),
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
    """Draw the part of PICTURES that each unit of a layer sees where it is strongest, beside its map."""
    refuse_chosen(context)
    given = Given(weights, architecture, partial, shape, trust, via)
    _draw(
        lambda maps, layer, **chosen: maps.crops(layer, **chosen),
        (model, given, labels, preprocess, channels), pictures, at, first, units, order, out, as_json,
    )  # fmt: skip


def _draw(
    draw: Callable[..., Savable],
    opening: tuple[Any, ...],
    pictures: list[str] | None,
    at: str | None,
    first: int,
    units: str | None,
    order: str,
    out: Path,
    as_json: bool,
) -> None:
    """Look, draw a sheet for each picture, and say where they are."""
    with Steps() as steps:
        network = open_network(steps, *opening)
        ranked = units is None and order in ("auto", "answer")
        named = None if at is None else _one(network, at)
        maps = run(steps, network.look, pictures, named, ranked=ranked, why="none")
        layer = _last_of_pictures(maps) if named is None else next(iter(maps))
        numbers = _numbers(units)
        names = [each.name for each in maps.pictures]
        paths = (
            [out] if len(names) == 1 else [out.with_name(f"{out.stem}-{stem}{out.suffix}") for stem in file_names(names).values()]
        )
        written = [
            draw(maps, layer, picture=number, first=first, order=order, units=numbers).save(path)
            for number, path in enumerate(paths)
        ]
    found = maps[layer]
    shown = [numbers or found.ranked(order, picture=number)[:first] for number in range(len(names))]
    if as_json:
        rows = [
            {"picture": name, "units": list(each), "file": str(path)}
            for name, each, path in zip(names, shown, written, strict=True)
        ]
        print_json({"layer": layer, "order": found.ranking(order), "pictures": rows}, network)
        return
    for name, each, path in zip(names, shown, written, strict=True):
        print(f"{name}: units {', '.join(map(str, each))} of '{layer}'")
        print(path)
    print_notes(network)


def refuse_chosen(context: typer.Context) -> None:
    """Raises InputError for options that choose units, beside --units."""
    if was_given(context, "units"):
        refuse_unused(context, "beside --units, which says which are drawn, and in which order", "first", "order")


def _one(network: Network, at: str) -> list[str]:
    """The layer that is meant, as At. Raises InputError for several, UnknownLayer."""
    names = list(dict.fromkeys(select(network.graph, at.split(","))))
    if len(names) != 1:
        raise InputError(f"One layer is drawn, but '{at}' is {len(names)}: {shortened(names)}. Name one.", received=at)
    return names


def shortened(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _last_of_pictures(maps: MapSet) -> str:
    found = [name for name, each in maps.items() if each.values.ndim == 4]
    if not found:
        raise InputError("No layer that was read has maps that are pictures. Name one with --at; 'convscope layers' lists them.")
    return found[-1]


def _numbers(units: str | None) -> list[int] | None:
    if units is None:
        return None
    try:
        return [int(each) for each in units.split(",")]
    except ValueError:
        raise InputError(f"--units takes unit numbers such as 17,40, but received '{units}'.", received=units) from None
