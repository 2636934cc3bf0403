"""Files and folders that take the place of earlier ones only when they are whole, so that a crash leaves the old ones."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError


@contextmanager
def replacing(folder: Path, mark: str = "study.json") -> Iterator[Path]:
    """A new folder beside `folder` that takes its place if all goes well, and vanishes otherwise.

    mark   the file by which an earlier one of the same kind is known, which may be replaced
    """
    try:
        recover(folder)
        _refuse_other_files(folder, mark)
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name[:20]}.new-", dir=folder.parent))
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


def recover(folder: Path) -> None:
    """Undo a crash between the two moves of `_exchange`."""
    if os.path.exists(_old(folder)) and not folder.exists():
        os.replace(_old(folder), folder)


def _old(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.old"


def _refuse_other_files(folder: Path, mark: str) -> None:
    if folder.name in ("", ".."):
        raise OutputError(folder, "that folder cannot be replaced by another. Choose a new one within it with -o.")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(folder, "there is a file or a link of that name. Choose another folder with -o.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / mark).is_file():
        raise OutputError(folder, "the folder holds other files, which would be lost. Choose an empty or a new one with -o.")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


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
