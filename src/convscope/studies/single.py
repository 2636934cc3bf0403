"""A study as one file, which can be mailed: the page with its pictures and maps within it, and nothing beside it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import OutputError, WrongOption
from ..results import MapSet
from ..site.page import pieces
from ..site.tiles import data_uri
from .record import Drawn, record_of

ENDINGS = (".html", ".htm")


@dataclass(frozen=True)
class Within:
    """Pictures and maps within the page."""

    kept: dict[str, str] = field(default_factory=dict)

    def picture(self, _file: str, png: bytes) -> str:
        return data_uri(png)

    def maps(self, file: str, payload: str) -> None:
        self.kept[file] = payload


def write_file(maps: MapSet, path: Path, drawn: Drawn) -> Path:
    """Write `maps` as one page to `path`. It has no sheets; `drawn` is only checked.

    raises   WrongOption for another ending than .html; OutputError; then whatever was there still is
    """
    if path.suffix.lower() not in ENDINGS:
        raise WrongOption(f"The ending of '{path.name}'", path.suffix, ENDINGS)
    drawn.check(maps)
    content = _pieces(maps)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name[:20]}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(piece.encode() for piece in content)
            os.chmod(draft, 0o644)
            os.replace(draft, path)
        except BaseException:  # also an error in making the page, which is made while it is written
            os.unlink(draft)
            raise
    except OSError as error:
        raise OutputError(path, f"{error.strerror or error}.") from error
    return path


def page_of(maps: MapSet) -> str:
    """The page of `maps` with everything in it."""
    return "".join(_pieces(maps))


def _pieces(maps: MapSet) -> Iterator[str]:
    place = Within()
    with ThreadPoolExecutor(max_workers=2) as threads:
        record = record_of(maps, place, threads, None)
    return pieces(record, maps=dict(sorted(place.kept.items())))
