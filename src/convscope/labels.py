"""Names of a network's classes, from what people have: a list, a text file, or the pictures that it was trained on."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import InputError
from .paths import path_of
from .scan.folders import SPLITS

Labels = Sequence[str] | str | Path
FORMS = "Give a text file with one label per line, or a folder (or its .zip) with a folder of pictures per class."


def read_labels(labels: Labels) -> list[str]:
    """In the order of the network's outputs. Raises InputError.

    labels   a list, taken as it is; a text file with one name per line; or a folder or .zip file with a folder per class, whose
             sorted names are the classes, as Keras' image_dataset_from_directory and torchvision's ImageFolder number them
    """
    if not isinstance(labels, str | os.PathLike):
        return _listed(labels)
    path = path_of(labels, "A file of labels")
    try:
        if path.is_dir():
            return _found(path, (each.name for each in path.iterdir() if each.is_dir()))
        if zipfile.is_zipfile(path):
            return _found(path, _folders(zipfile.ZipFile(path).namelist()))
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InputError(f"Cannot read labels from '{labels}': {why}. {FORMS}") from error
    return _found(path, (line.strip() for line in lines), in_order=True)


def _listed(labels: Any) -> list[str]:
    """Of a list, or whatever has an order. A dict and a set have none that is the outputs'."""
    if isinstance(labels, bytes | Mapping | Set) or not isinstance(labels, Iterable):
        raise InputError(
            f"Labels are a list of names in the order of the network's outputs, but received {labels!r}. {FORMS}", received=labels
        )
    names = list(labels)
    for number, name in enumerate(names):
        if name is None or not str(name).strip():
            raise InputError(f"Each class has a name, but the label of class {number} is {name!r}.", received=name)
    return [str(name) for name in names]


def _folders(files: Iterable[str]) -> set[str]:
    """The folders of a zip file; those inside, where it holds one folder with all of them."""
    parts = [PurePosixPath(name).parts for name in files if not name.startswith("__MACOSX/")]
    outer = {each[0] for each in parts if len(each) > 1}
    inner = {each[1] for each in parts if len(each) > 2}
    return inner if len(outer) == 1 and inner else outer


def _found(path: Path, names: Iterable[str], *, in_order: bool = False) -> list[str]:
    named = [name for name in names if name and not name.startswith(".")]
    if not named:
        raise InputError(f"There are no labels in '{path}'. {FORMS}")
    if not in_order and SPLITS.issuperset(map(str.lower, named)):
        parts = ", ".join(f"'{name}'" for name in sorted(named))
        raise InputError(f"The folders in '{path}' are the parts of a data set, {parts}, and no classes. Give one of them.")
    return named if in_order else sorted(named)
