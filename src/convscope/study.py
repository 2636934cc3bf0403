"""A study is a folder: study.json, arrays, sheets and a page.

It is written beside its final name and moved in place when it is whole, so that a crash leaves the old one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .errors import OutputError, StudyError
from .paged import blocks, entry, kernels, packed_signal, receptive, signal, tiles, why
from .pictures.signals import takes_pictures
from .results import FeatureMaps, Filters, MapSet
from .site.tiles import script

if TYPE_CHECKING:
    from .draw import Sheet

FORMAT = 1


def write(
    maps: MapSet, folder: Path, *, first: int | None = 64, order: str = "auto", scale: str = "map", colour: str = "auto"
) -> Path:
    """Write `maps` as a study to `folder` and return it. Raises OutputError; then whatever was there still is."""
    with replacing(folder) as draft:
        fill(draft, maps, {"first": first, "order": order, "scale": scale, "colour": colour})
    return folder


def fill(draft: Path, maps: MapSet, options: dict[str, Any], *, only_page: bool = False) -> None:
    """Everything that a study of `maps` consists of, into an empty folder; with `only_page` only what its page shows."""
    from .draw import save_all
    from .site.page import render

    sheets: dict[Path, Sheet] = {}
    record = _record(maps)
    record["pictures"] = [_picture(maps, number, name, draft) for number, name in enumerate(_picture_files(maps))]
    # No sheet is drawn for a page alone, so that its units need not be ranked here: the page does it.
    record["maps"] = _maps(maps, sheets, draft, options | {"order": "plain"} if only_page else options)
    if only_page:
        sheets.clear()
    record["filters"] = [_filters(maps.filters, sheets, draft)] if maps.filters else []
    record["why"] = why(maps.why, draft, _picture_files(maps))
    record["blocks"] = blocks(maps)
    record["signal"] = signal(maps, _picture_files(maps))
    for layer, seen in zip(record["maps"], receptive(maps).values(), strict=True):
        layer.update(seen)
    _add_sizes(record, save_all(sheets), draft)
    jobs = [*_tiles(record, maps, draft), *([] if only_page else [lambda: _arrays(maps, draft)])]
    with ThreadPoolExecutor(max_workers=2) as threads:
        for done in [threads.submit(job) for job in jobs]:
            done.result()
    (draft / "study.json").write_text(_lines(record), encoding="utf-8")
    if not only_page:
        (draft / "index.html").write_text(render(record), encoding="utf-8")


def _lines(record: dict[str, Any]) -> str:
    """The record as JSON, a line for each entry of its lists. json's own indenting takes ten times as long."""
    lines = []
    for name, value in record.items():
        entries = [json.dumps(each, ensure_ascii=False) for each in value] if isinstance(value, list) else []
        content = "[\n  " + ",\n  ".join(entries) + "\n ]" if entries else json.dumps(value, ensure_ascii=False)
        lines.append(f" {json.dumps(name)}: {content}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _arrays(maps: MapSet, draft: Path) -> None:
    np.savez(draft / "maps.npz", **{name: each.values for name, each in maps.items()})  # type: ignore[arg-type]
    if maps.filters:
        named = {f"{maps.filters.layer.name}/{name}": values for name, values in maps.filters.weights.items()}
        np.savez(draft / "filters.npz", **named)  # type: ignore[arg-type]


def read(folder: Path) -> dict[str, Any]:
    """The study.json of a study. Raises StudyError if it is missing, damaged or of another version."""
    _recover(folder)
    try:
        record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(folder, "there is no study.json. Make a study with: convscope look -o FOLDER") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StudyError(folder, f"study.json is damaged ({error}). Make it again with: convscope look") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        received = record.get("format") if isinstance(record, dict) else type(record).__name__
        raise StudyError(folder, f"it has format {received!r}, but this version reads format {FORMAT}. Make it again.")
    return record


@contextmanager
def replacing(folder: Path, mark: str = "study.json") -> Iterator[Path]:
    """A new folder beside `folder` that takes its place if all goes well, and vanishes otherwise.

    mark   the file by which an earlier one of the same kind is known, which may be replaced
    """
    _recover(folder)
    _refuse_other_files(folder, mark)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    except OSError as error:
        raise OutputError(folder, f"{error.strerror or error}. Choose another folder with -o.") from error
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())  # mkdtemp makes folders that only their owner can open
        _exchange(draft, folder)
    except OSError as error:
        raise OutputError(folder, f"{error.strerror or error}. What was there before is untouched.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _exchange(draft: Path, folder: Path) -> None:
    old = _old(folder)
    if folder.exists():
        os.replace(folder, old)
    os.replace(draft, folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Undo a crash between the two moves of `_exchange`."""
    if _old(folder).exists() and not folder.exists():
        os.replace(_old(folder), folder)


def _old(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old"


def _refuse_other_files(folder: Path, mark: str) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(folder, "there is a file or a link of that name. Choose another folder with -o.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        raise OutputError(folder, "the folder holds other files, which would be lost. Choose an empty or a new one with -o.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _record(maps: MapSet) -> dict[str, Any]:
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


def _picture_files(maps: MapSet) -> list[str]:
    return list(file_names(picture.name for picture in maps.pictures).values())


def _picture(maps: MapSet, number: int, file: str, draft: Path) -> dict[str, Any]:
    picture = maps.pictures[number]
    (draft / "pictures").mkdir(exist_ok=True)
    Image.fromarray(picture.pixels).save(draft / "pictures" / f"{file}.png")
    return {
        "name": picture.name,
        "received": f"pictures/{file}.png",
        "size": list(picture.pixels.shape[:2]),
        "notes": list(picture.notes),
        "answers": None
        if maps.answers is None
        else [{"label": a.label, "index": a.index, "probability": a.probability} for a in maps.answers[number]],
    }


def _filters(filters: Filters, sheets: dict[Path, Sheet], draft: Path) -> dict[str, Any]:
    sheet = filters.rgb_sheet() if filters.in_colour else filters.sheet()
    file = f"filters/{file_names([filters.layer.name])[filters.layer.name]}.png"
    sheets[draft / file] = sheet
    return {"layer": filters.layer.name, "shape": filters.values.shape, "file": file, "caption": sheet.caption}


def _maps(maps: MapSet, sheets: dict[Path, Sheet], draft: Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    layers, pictures = file_names(maps), _picture_files(maps)
    entries = []
    for name, each in maps.items():
        drawn = []
        for number, picture in enumerate(pictures):
            file = f"maps/{layers[name]}.png" if len(pictures) == 1 else f"maps/{picture}/{layers[name]}.png"
            sheet = sheets[draft / file] = each.sheet(picture=number, **options)
            drawn.append(_sheet(each, sheet, number, file))
        entries.append(
            {
                "layer": name,
                "read_at": each.reading.read_at,
                "reading": str(each.reading),
                "shape": each.values.shape[1:],
                **entry(each),
                "sheets": drawn,
            }
        )
    return entries


def _sheet(each: FeatureMaps, sheet: Sheet, number: int, file: str) -> dict[str, Any]:
    return {
        "picture": each.pictures[number],
        "file": file,
        "caption": sheet.caption,
        "range": each.span(number),
        "shown": len(sheet.labels),
        "of": each.values.shape[1],
        "dead": each.dead(number),
        "constant": each.constant(number),
        "nonfinite": each.nonfinite(number),
    }


def _add_sizes(record: dict[str, Any], sizes: dict[Path, tuple[int, int]], draft: Path) -> None:
    """The page reserves room for a sheet by its size in pixels before the sheet is loaded."""
    for drawn in [*record["filters"], *(sheet for layer in record["maps"] for sheet in layer["sheets"])]:
        if draft / drawn["file"] in sizes:
            drawn["pixels"] = sizes[draft / drawn["file"]]


def _tiles(record: dict[str, Any], maps: MapSet, draft: Path) -> list[Callable[[], object]]:
    """Jobs that write the maps as the page draws them, and kernels: a script for each, loaded when it is asked for."""
    jobs: list[Callable[[], object]] = []
    for name, layer in zip(maps, record["maps"], strict=True):
        files = [f"tiles/{Path(sheet['file']).relative_to('maps').with_suffix('.js').as_posix()}" for sheet in layer["sheets"]]
        layer["data"] = [{"key": file, "file": file} for file in files]
        jobs += [partial(_write, draft / file, tiles, maps[name], number, file) for number, file in enumerate(files)]
        if name in maps.kernels:
            file = f"kernels/{Path(files[0]).name}"
            layer["kernels"] = {"key": file, "file": file}
            jobs.append(partial(_write, draft / file, kernels, maps, name, file))
    for number, each in enumerate(record["signal"]["data"] if record["signal"] else ()):
        jobs.append(partial(_write, draft / each["file"], packed_signal, maps, number, each["key"]))
    return jobs


def _write(path: Path, payload: Callable[..., str], *arguments: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(payload(*arguments)), encoding="ascii")


def file_names(names: Iterable[str]) -> dict[str, str]:
    """A file name for each name: safe on every system, unique even where upper and lower case are the same."""
    result: dict[str, str] = {}
    for name in names:
        stem = file = re.sub(r"[^\w.#=+-]+", "_", name).strip("._")[:80] or "layer"
        number = 1
        while file.lower() in {taken.lower() for taken in result.values()}:
            number += 1
            file = f"{stem}-{number}"
        result[name] = file
    return result
