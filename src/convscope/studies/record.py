"""What a study says, as data: study.json."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from PIL import Image

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
    scale: str = "map"
    colour: str = "auto"

    def check(self, maps: MapSet) -> None:
        """Raise WrongOption or InputError where a sheet would, without drawing one."""
        least = min(maps.values(), key=lambda each: (each.values.ndim == 2, each.values.size))  # bars have one scale
        least.sheet(first=1 if self.first is None else min(self.first, 1), order=self.order, scale=self.scale, colour=self.colour)


def record_of(maps: MapSet, place: Place, threads: ThreadPoolExecutor, drawn: Drawn | None) -> dict[str, Any]:
    """study.json of `maps`; the pictures and maps that its page shows go to `place`. With `drawn`, sheets of all layers too."""
    layers, files = file_names(maps), list(file_names(picture.name for picture in maps.pictures).values())
    where = {name: [file] if len(files) == 1 else [f"{each}/{file}" for each in files] for name, file in layers.items()}
    jobs = [_layer(maps, name, where[name], place, threads, drawn) for name in maps]
    pictures = [threads.submit(_picture, maps, number, file, place) for number, file in enumerate(files)]
    record = _network(maps)
    filters = [_filters(maps.filters, place)] if maps.filters else []
    reasons = why(maps.why, place, files, whole=drawn is not None)
    rows, seen, along = blocks(maps), receptive(maps), signal(maps, place, files)
    return record | {
        "pictures": [each.result() for each in pictures],
        "maps": [finished() | seen[name] for name, finished in zip(maps, jobs, strict=True)],
        "filters": filters,
        "why": reasons,
        "blocks": rows,
        "signal": along,
    }


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


def _layer(
    maps: MapSet, name: str, files: Sequence[str], place: Place, threads: ThreadPoolExecutor, drawn: Drawn | None
) -> Callable[[], dict[str, Any]]:
    """Begin with a layer, in a job for each picture and one for its kernels. Returns what waits for its entry."""
    each, keys = maps[name], [f"tiles/{file}.js" for file in files]
    sheets = [threads.submit(_shown, each, number, file, place, drawn) for number, file in enumerate(files)]
    weights = f"kernels/{PurePosixPath(files[0]).name}.js" if name in maps.kernels else None
    packing = threads.submit(lambda: place.maps(weights, kernels(maps, name, weights))) if weights else None

    def finished() -> dict[str, Any]:
        if packing:
            packing.result()
        return {
            "layer": name,
            "read_at": each.reading.read_at,
            "reading": str(each.reading),
            "shape": each.values.shape[1:],
            **entry(each),
            "sheets": [sheet.result() for sheet in sheets],
            "data": [{"key": key, "file": key} for key in keys],
            "kernels": {"key": weights, "file": weights} if weights else None,
        }

    return finished


def _shown(each: FeatureMaps, number: int, file: str, place: Place, drawn: Drawn | None) -> dict[str, Any]:
    """The maps of a layer for one picture: as the page draws them, what is odd about them, and their sheet."""
    found, levels = quantised(strips(each.values[number]))
    place.maps(f"tiles/{file}.js", packed(f"tiles/{file}.js", found, levels, columns(each, number)))
    said = {"picture": each.pictures[number], "file": None, "of": each.values.shape[1], **facts(each, found)}
    if drawn is None:
        return said
    sheet = each.sheet(picture=number, first=drawn.first, order=drawn.order, scale=drawn.scale, colour=drawn.colour)
    png, size = sheet.png()
    kept = place.picture(f"maps/{file}.png", png)
    return said | {"file": kept, "caption": sheet.caption, "shown": len(sheet.labels), "pixels": size}
