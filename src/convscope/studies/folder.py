"""A study as a folder: study.json, arrays, sheets and a page.

It is written beside its final name and moved in place when it is whole, so that a crash leaves the old one.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import StudyError
from ..results import MapSet
from ..results.npz import save_npz
from ..site.page import render
from ..site.tiles import script
from .files import recover, replacing
from .record import FORMAT, Drawn, record_of


@dataclass(frozen=True)
class Beside:
    """Pictures and maps in files beside the page."""

    folder: Path

    def picture(self, file: str, png: bytes) -> str:
        self._write(file, png)
        return file

    def maps(self, file: str, payload: str) -> None:
        self._write(file, script(payload).encode("ascii"))

    def _write(self, file: str, content: bytes) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write(maps: MapSet, folder: Path, drawn: Drawn) -> Path:
    """Write `maps` as a study to `folder`, its sheets as `drawn`, and return it.

    raises   OutputError, WrongOption; then whatever was there still is
    """
    with replacing(folder) as draft:
        with ThreadPoolExecutor(max_workers=2) as threads:
            arrays = threads.submit(_arrays, maps, draft)
            record = record_of(maps, Beside(draft), threads, drawn)
            arrays.result()
        (draft / "study.json").write_text(_lines(record), encoding="utf-8")
        (draft / "index.html").write_text(render(record), encoding="utf-8")
    return folder


def _lines(record: dict[str, Any]) -> str:
    """The record as JSON, a line for each entry of its lists. json's own indenting takes ten times as long."""
    lines = []
    for name, value in record.items():
        entries = [json.dumps(each, ensure_ascii=False) for each in value] if isinstance(value, list) else []
        content = "[\n  " + ",\n  ".join(entries) + "\n ]" if entries else json.dumps(value, ensure_ascii=False)
        lines.append(f" {json.dumps(name)}: {content}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _arrays(maps: MapSet, draft: Path) -> None:
    save_npz(draft / "maps.npz", {name: each.values for name, each in maps.items()})
    if maps.filters:
        named = {f"{maps.filters.layer.name}/{name}": values for name, values in maps.filters.weights.items()}
        save_npz(draft / "filters.npz", named)


def read(folder: Path) -> dict[str, Any]:
    """The study.json of a study. Raises StudyError if it is missing, damaged or of another version."""
    recover(folder)
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
