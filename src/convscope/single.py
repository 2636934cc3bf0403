"""A study as one file, which can be mailed: the page with its pictures and maps within it, and nothing beside it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from .errors import OutputError, WrongOption
from .results import MapSet
from .site.page import render
from .site.tiles import data_uri, handed_over
from .study import fill, read

ENDINGS = (".html", ".htm")


def write_file(maps: MapSet, path: Path, **options: Any) -> Path:
    """Write `maps` as one page to `path`; `options` are those of `study.write`.

    raises   WrongOption for another ending than .html; OutputError; then whatever was there still is
    """
    if path.suffix.lower() not in ENDINGS:
        raise WrongOption(f"The ending of '{path.name}'", path.suffix, ENDINGS)
    content = page_of(maps, **options).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(draft, 0o644)
            os.replace(draft, path)
        except OSError:
            os.unlink(draft)
            raise
    except OSError as error:
        raise OutputError(path, f"{error.strerror or error}.") from error
    return path


def page_of(maps: MapSet, **options: Any) -> str:
    """The page of `maps` with everything in it."""
    with tempfile.TemporaryDirectory() as place:
        fill(Path(place), maps, options, only_page=True)
        return folded(Path(place))


def folded(folder: Path) -> str:
    """The page of the study in `folder` as one text. Its sheets and arrays stay behind: the page draws the maps itself.

    raises   StudyError for a folder that is no study
    """
    record = read(folder)
    for picture in record["pictures"]:
        picture["received"] = data_uri((folder / picture["received"]).read_bytes())
    for filters in record["filters"]:
        filters["file"] = data_uri((folder / filters["file"]).read_bytes())
    for reason in record.get("why", []):
        reason["file"] = data_uri((folder / reason["file"]).read_bytes())
    beside = [*record["signal"]["data"]] if record.get("signal") else []
    for layer in record["maps"]:
        for sheet in layer["sheets"]:
            sheet["file"] = None
        beside += [*layer["data"], *([layer["kernels"]] if layer.get("kernels") else [])]
    tiles = {each["key"]: handed_over((folder / each["file"]).read_text(encoding="ascii")) for each in beside}
    return render(record, maps=tiles)
