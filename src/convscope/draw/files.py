"""Sheets as files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OutputError

if TYPE_CHECKING:
    from .sheet import Sheet


def save_all(
    sheets: Mapping[Path, Sheet], *, magnify: int | None = None, size: tuple[int, int] | None = None
) -> dict[Path, tuple[int, int]]:
    """Write many sheets as PNG, drawing one while others are deflated. Returns the (width, height) of each.

    raises   OutputError
    """
    for folder in {path.parent for path in sheets}:
        folder.mkdir(parents=True, exist_ok=True)
    sizes: dict[Path, tuple[int, int]] = {}
    with ThreadPoolExecutor(max_workers=2) as threads:
        waiting = []
        for path, sheet in sheets.items():
            encode, sizes[path] = sheet.drawn(magnify=magnify, size=size)
            waiting.append(threads.submit(_encoded, path, encode))
        for each in waiting:
            each.result()
    return sizes


def _encoded(path: Path, encode: Callable[[], bytes]) -> None:
    write_whole(path, encode())


def write_whole(path: Path, content: bytes) -> Path:
    """Beside its final name first, so that a crash leaves no half a file."""
    try:
        handle, draft = tempfile.mkstemp(prefix=f".{path.name[:20]}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(draft, 0o644)
            os.replace(draft, path)
        except BaseException:  # Ctrl-C too
            os.unlink(draft)
            raise
    except FileNotFoundError as error:
        raise OutputError(path, f"there is no folder '{path.parent}'. Make it first.") from error
    except OSError as error:
        raise OutputError(path, f"{error.strerror or error}.") from error
    return path
