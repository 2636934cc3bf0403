"""What the page of a study needs besides the record of its sheets: the blocks of the network, and the maps themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..core import Graph, Layer
from ..draw.png import encoded
from ..errors import Unsupported
from ..methods.blocks import Block, stages
from ..methods.centres import centres
from ..methods.costs import multiply_adds
from ..methods.explain import SAYS
from ..methods.receptive import Fields
from ..results import Explanation, FeatureMaps, MapSet
from ..results.on_pictures import seen_row
from ..site.tiles import kernels as packed_kernels
from ..site.tiles import payload


class Place(Protocol):
    """Where the pictures and maps of a page go; called from several threads."""

    def picture(self, file: str, png: bytes) -> str:
        """Keep a picture. Returns what the page is to link to."""
        ...

    def maps(self, file: str, payload: str) -> None:
        """Keep what the page asks for by this name."""
        ...


def blocks(maps: MapSet) -> list[dict[str, Any]]:
    """The rows of the network by resolution, with their shapes and costs, and which of the maps show each."""
    graph = maps.network.graph
    shows = {name: number for number, name in enumerate(maps)}
    found = stages(graph)
    return [_block(block, number, found, graph, shows) for number, block in enumerate(found, 1)]


def _block(block: Block, number: int, found: tuple[Block, ...], graph: Graph, shows: Mapping[str, int]) -> dict[str, Any]:
    rows = [_row(layer, graph, shows) for layer in block.layers]
    costs = [row["multiply_adds"] for row in rows]
    dense = not block.resolution and number == len(found) > 1
    return {
        "name": "Head" if dense else f"Block {number}",
        "says": _says(block),
        "parameters": sum(row["parameters"] for row in rows),
        "multiply_adds": None if None in costs else sum(costs),
        "layers": rows,
    }


def _says(block: Block) -> list[str]:
    """ "64 × 64, 3 convolutions, 96 channels"."""
    heavy = [layer for layer in block.layers if layer.is_convolution] or [each for each in block.layers if each.kind == "dense"]
    counts = {"convolution": 0, "dense layer": 0}
    for layer in block.layers:
        counts["convolution"] += layer.is_convolution
        counts["dense layer"] += layer.kind == "dense"
    parts = [" × ".join("any" if size is None else str(size) for size in block.resolution)] if block.resolution else []
    parts += [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
    channels = {layer.shape[0] for layer in heavy if layer.shape}
    word = "channels" if block.resolution else "units"
    parts += [f"{' to '.join(str(each) for each in _ends(channels))} {word}"] if channels and None not in channels else []
    return parts


def _ends(numbers: set[int | None]) -> list[int]:
    known = sorted(number for number in numbers if number is not None)
    return known[:1] if len(known) == 1 else [known[0], known[-1]]


def _row(layer: Layer, graph: Graph, shows: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": layer.name,
        "kind": layer.kind,
        "shape": layer.shape,
        "parameters": layer.parameters,
        "multiply_adds": multiply_adds(graph, layer.name),
        "shows": shows.get(layer.name),
    }


def why(explanation: Explanation | None, place: Place, files: Sequence[str], *, whole: bool) -> list[dict[str, Any]]:
    """Per picture what speaks for its first answer, its panels in `place`; nothing where that was not asked.

    whole   with the sheet of it too, as one picture
    """
    if explanation is None or explanation.heat().ndim != 2:
        return []
    return [_reason(explanation, number, place, f"why/{file}.png", whole) for number, file in enumerate(files)]


def _reason(explanation: Explanation, number: int, place: Place, file: str, whole: bool) -> dict[str, Any]:
    sheet = explanation.sheet(picture=number)
    png, size = sheet.png() if whole else (b"", None)
    panels = []
    for at, (tile, label) in enumerate(zip(sheet.tiles, sheet.labels, strict=True), 1):
        kept = place.picture(f"{file.removesuffix('.png')}-{at}.png", encoded(np.asarray(tile), None, about={}))
        panels.append({"file": kept, "label": label, "size": tile.shape[:2]})
    up, down = explanation.best(number, most=8) if explanation.units is not None else ([], [])
    return {
        "picture": explanation.pictures[number].name,
        "file": place.picture(file, png) if whole else None,
        "pixels": size,
        "panels": panels,
        "peak": sheet.peak,
        "caption": f"{sheet.subtitle} {sheet.caption}",
        "method": explanation.name,
        "paper": explanation.method.paper,
        "says": SAYS[explanation.method.sign],
        "layer": explanation.layer,
        "target": explanation.targets[number],
        "score": float(explanation.score[number]),
        "delta": None if explanation.delta is None else float(explanation.delta[number]),
        "check": explanation.check,
        "for": up,
        "against": down,
        "notes": explanation.notes,
    }


def entry(each: FeatureMaps) -> dict[str, Any]:
    """What the page says of a layer's maps."""
    evidence = each.evidence
    return {
        "activated": each.reading.activated,
        "note": "; signals drawn as strips" if each.values.ndim == 3 else "",
        "answer": None if evidence is None else {"labels": evidence.labels, "how": evidence.how},
    }


def signal(maps: MapSet, place: Place, files: Sequence[str]) -> dict[str, Any] | None:
    """The signals that the maps lie along, packed as maps are, for each picture; None where there are none."""
    along = next(iter(maps.values())).signals if maps else None
    if along is None:
        return None
    names = [f"signals/{file}.js" for file in files]
    for name, values in zip(names, along.values, strict=True):
        place.maps(name, payload(name, values, {}))
    return {"channels": along.channels, "samples": along.values.shape[2], "data": [{"key": name, "file": name} for name in names]}


def kernels(maps: MapSet, layer: str, key: str) -> str:
    """What weighs most in the kernels of a layer, packed."""
    slices = maps.kernels[layer]
    return packed_kernels(key, slices.inputs, slices.values, slices.of)


def receptive(maps: MapSet) -> dict[str, dict[str, Any]]:
    """By layer, what every place of its map sees of the picture: its first and one past its last pixel, by rows and columns.

    apart   whether it follows from another input than the pictures are of, so that its map lies over none of them
    """
    graph, fields, found = maps.network.graph, None, dict[str, dict[str, Any]]()
    for layer, each in maps.items():
        apart = True
        try:
            row, apart = seen_row(graph, each), False
            fields = fields or Fields(graph, of=row)
        except Unsupported as why:
            found[layer] = {"receptive": None, "receptive_note": _first_sentence(why), "apart": apart}
        else:
            found[layer] = _seen(fields, each.reading.read_at) | _centred(graph, each.reading.read_at, row)
    return found


def _seen(fields: Fields, layer: str) -> dict[str, Any]:
    try:
        found = fields.of(layer)
    except Unsupported as why:
        return {"receptive": None, "receptive_note": _first_sentence(why)}
    sides = {"starts": found.starts, "stops": found.stops}
    return {"receptive": {side: [axis.tolist() for axis in axes] for side, axes in sides.items()}, "receptive_note": None}


def _centred(graph: Graph, layer: str, row: str | None) -> dict[str, Any]:
    """Over which pixel or sample the places of a layer stand."""
    try:
        found = centres(graph, layer, of=row)
    except Unsupported:
        found = None
    return {"centres": None if found is None else [axis.tolist() for axis in found]}


def _first_sentence(error: Exception) -> str:
    return str(error).split(". ")[0].rstrip(".")


def facts(each: FeatureMaps, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the page says of all maps of a layer for one picture, by the columns of `quantised`."""
    size = int(np.prod(each.values.shape[2:]))
    low, high, nonfinite = found["low"], found["high"], found["nonfinite"]
    some, sound = nonfinite < size, nonfinite == 0
    zero = sound & (low == 0) & (high == 0)
    return {
        "range": (float(low[some].min()), float(high[some].max())) if some.any() else None,
        "dead": np.flatnonzero(zero).tolist() if each.reading.activated else None,  # before an activation zero means nothing
        "constant": np.flatnonzero(sound & (low == high) & ~zero).tolist() if size > 1 else [],
        "nonfinite": int(nonfinite.sum()),
    }


def columns(each: FeatureMaps, picture: int) -> dict[str, np.ndarray]:
    """What is known of each unit besides what its map says."""
    return {} if each.evidence is None else {"answer": each.evidence.values[picture]}
