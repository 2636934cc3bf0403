"""What a study says, as data: study.json."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from ..draw.scale import Scale
from ..pictures.signals import takes_pictures
from ..results import FeatureMaps, Filters, MapSet
from ..site.tiles import packed, quantised, strips
from .files import file_names
from .page import Place, blocks, columns, entry, facts, kernels, receptive, signal, why

FORMAT = 1


@dataclass(frozen=True)
class Drawn:
    """How the sheets of a study are drawn: the arguments of `FeatureMaps.sheet`."""

    first: int | None = 64
    order: str = "auto"
    scale: Scale = "map"
    colour: str = "auto"

    def check(self, maps: MapSet) -> None:
        """Raise WrongOption or InputError where a sheet would, without drawing one."""
        least = min(maps.values(), key=lambda each: (each.values.ndim == 2, each.values.size))  # bars have one scale
        least.sheet(first=1 if self.first is None else min(self.first, 1), order=self.order, scale=self.scale, colour=self.colour)


Later = Callable[..., object]  # called as later(job, *arguments)


def record_of(maps: MapSet, place: Place, threads: ThreadPoolExecutor, drawn: Drawn | None) -> dict[str, Any]:
    """study.json of `maps`; the pictures and maps that its page shows go to `place`. With `drawn`, sheets of all layers too.

    All that needs the interpreter's lock most of the time is done by the thread that calls. Only what deflates and writes is left
    to others: two threads that both want the lock take longer than one.
    """
    waiting: list[Future[object]] = []

    def later(job: Callable[..., object], *arguments: Any) -> None:
        waiting.append(threads.submit(job, *arguments))

    layers, files = file_names(maps), list(file_names(picture.name for picture in maps.pictures).values())
    where = {name: [file] if len(files) == 1 else [f"{each}/{file}" for each in files] for name, file in layers.items()}
    entries = [_layer(maps, name, where[name], place, drawn, later) for name in maps]
    seen = receptive(maps)
    record = _network(maps) | {
        "pictures": [_picture(maps, number, file, place) for number, file in enumerate(files)],
        "maps": [each | seen[each["layer"]] for each in entries],
        "left_out": dict(maps.left_out),
        "filters": [_filters(maps.filters, place)] if maps.filters else [],
        "why": why(maps.why, place, files, whole=drawn is not None),
        "blocks": blocks(maps),
        "signal": signal(maps, place, files),
    }
    for each in waiting:
        each.result()
    return record


def _network(maps: MapSet) -> dict[str, Any]:
    info, graph = maps.network, maps.network.graph
    pictured = takes_pictures(graph.layers[0].shape)
    total = sum(layer.parameters for layer in graph) if graph.parameters is None else graph.parameters
    return {
        "format": FORMAT,
        "convscope": version("convscope"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "network": {
            "name": info.name,
            "source": info.source,
            "framework": info.framework,
            "sha256": info.sha256,
            "parameters": total,
            "input": graph.layers[0].shape,
            "notes": info.notes,
        },
        "preprocess": maps.preprocess.to_dict(),
        "preprocess_text": maps.preprocess.describe() if pictured else "taken as it is",
        "preprocess_assumed": pictured and maps.preprocess.origin == "assumed",
        "pictured": pictured,  # else arrays, which pass as they are: signals, volumes, features
        "asked": dict(maps.asked),
        "answer_text": maps.answers_from,
        "layers": [
            {
                name: getattr(layer, name)
                for name in (
                    "index", "name", "kind", "native", "shape", "native_shape", "parameters", "kernel", "activation", "inputs",
                )
            }
            for layer in graph
        ],
    }  # fmt: skip


def _picture(maps: MapSet, number: int, file: str, place: Place) -> dict[str, Any]:
    picture, content = maps.pictures[number], io.BytesIO()
    Image.fromarray(picture.pixels).save(content, "PNG", compress_level=1)
    return {
        "name": picture.name,
        "received": place.picture(f"pictures/{file}.png", content.getvalue()),
        "size": list(picture.pixels.shape[:2]),
        "notes": list(picture.notes),
        "answers": None
        if maps.answers is None
        else [{"label": a.label, "index": a.index, "probability": a.probability} for a in maps.answers[number]],
    }


def _filters(filters: Filters, place: Place) -> dict[str, Any]:
    sheet = filters.rgb_sheet() if filters.in_colour else filters.sheet()
    png, size = sheet.png()
    file = place.picture(f"filters/{file_names([filters.layer.name])[filters.layer.name]}.png", png)
    return {"layer": filters.layer.name, "shape": filters.values.shape, "file": file, "caption": sheet.caption, "pixels": size}


def _layer(maps: MapSet, name: str, files: Sequence[str], place: Place, drawn: Drawn | None, later: Later) -> dict[str, Any]:
    each, weights = maps[name], None
    if name in maps.kernels:
        weights = f"kernels/{PurePosixPath(files[0]).name}.js"
        later(lambda: place.maps(weights, kernels(maps, name, weights)))
    return {
        "layer": name,
        "read_at": each.reading.read_at,
        "reading": str(each.reading),
        "shape": each.values.shape[1:],
        **entry(each),
        "sheets": [_shown(each, number, file, place, drawn, later) for number, file in enumerate(files)],
        "data": [{"key": f"tiles/{file}.js", "file": f"tiles/{file}.js"} for file in files],
        "kernels": {"key": weights, "file": weights} if weights else None,
    }


def _shown(each: FeatureMaps, number: int, file: str, place: Place, drawn: Drawn | None, later: Later) -> dict[str, Any]:
    """The maps of a layer for one picture: as the page draws them, what is odd about them, and their sheet."""
    key, (found, levels) = f"tiles/{file}.js", quantised(strips(each.values[number]))
    later(lambda: place.maps(key, packed(key, found, levels, columns(each, number))))
    said = {"picture": each.pictures[number], "file": None, "of": each.values.shape[1], **facts(each, found)}
    if drawn is None:
        return said
    sheet = each.sheet(picture=number, first=drawn.first, order=drawn.order, scale=drawn.scale, colour=drawn.colour)
    encode, size = sheet.drawn()
    later(lambda: place.picture(f"maps/{file}.png", encode()))
    return said | {"file": f"maps/{file}.png", "caption": sheet.caption, "shown": len(sheet.labels), "pixels": size}
