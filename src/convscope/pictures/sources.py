"""Whatever a user gives as pictures, one by one: paths, folders, arrays, PIL images, and lists of these."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ConvscopeWarning, InputError, NotAPicture
from ..paths import is_address, path_of
from .arrays import Ready, split
from .decode import Picture, Pixels
from .files import read_bytes, read_channels, read_file, read_image
from .stacks import Stored, stored

Raw = Path | bytes | Image.Image | Pixels | Ready | Stored  # bytes: what a file holds


@dataclass(frozen=True, eq=False)
class Source:
    """One picture that is not read yet, so that a folder of pictures is never in memory as a whole."""

    name: str
    raw: Raw

    def taken(self, channels: int) -> Picture | Ready:
        """As a network of so many channels takes it. Raises NotAPicture, InputError."""
        if isinstance(self.raw, Ready):
            return self.raw
        if isinstance(self.raw, Stored):
            return self.raw.load(self.name, channels)
        if channels in (1, 3):
            return self.read()
        if isinstance(self.raw, np.ndarray):
            return Picture(self.name, self.raw)
        stack = read_channels(self.raw, self.name, channels) if isinstance(self.raw, Path | bytes) else None
        return stack or self.read()

    def read(self) -> Picture:
        """Raises NotAPicture, InputError."""
        if isinstance(self.raw, Path):
            return read_file(self.raw, self.name)
        if isinstance(self.raw, bytes):
            return read_bytes(self.raw, self.name)
        if isinstance(self.raw, Image.Image):
            return read_image(self.raw, self.name)
        raw = self.raw.load(self.name, None) if isinstance(self.raw, Stored) else self.raw
        if isinstance(raw, Picture):
            return raw
        if isinstance(raw, Ready):
            raise InputError(
                f"'{self.name}' is a float array, which is taken as already preprocessed and so is no picture. "
                "Give pixels of 0 to 255 as uint8.",
                received=raw.given,
            )
        if raw.shape[2] == 4:
            return read_image(Image.fromarray(raw), self.name)
        return Picture(self.name, raw)


def read_pictures(source: Any) -> list[Picture]:
    """Every picture of `source`, as uint8 pixels in its own size, with notes on what was done to read it.

    source   a path, a folder (in natural order, hidden files and sub-folders left out), an array uint8 (h, w),
             (h, w, 1 | 3 | 4) or (n, h, w, 1 | 3 | 4), a PIL image, or a list of these
    raises   NotAPicture, InputError; one bad picture fails all, and is named
    """
    return [each.read() for each in sources(source)]


def sources(given: Any, *, channels: int | None = None) -> list[Source]:
    """One Source per picture, with a name that no other has. Raises NotAPicture, InputError.

    channels   how many the network takes: whole numbers (h, w, channels) are then pixels too
    """
    raws = list(_flat(given, channels))
    if not raws:
        raise InputError("No pictures were given: the list is empty. Give a path, a folder, an array or a PIL image.")
    names: dict[str, None] = {}
    for number, raw in enumerate(raws, 1):
        stem = name = _name(raw) or f"picture {number}"
        count = 1
        while name in names:
            count += 1
            name = f"{stem} ({count})"
        names[name] = None
    return [Source(name, raw) for name, raw in zip(names, raws, strict=True)]


def _flat(given: Any, channels: int | None) -> Iterator[Raw]:
    if isinstance(given, str | os.PathLike):
        for path in _files(given):
            yield from stored(path) if path.suffix.lower() == ".npy" else (path,)
    elif isinstance(given, Source):
        yield from _flat(given.raw, channels) if isinstance(given.raw, Path) else (given.raw,)
    elif isinstance(given, Image.Image):
        yield given
    elif isinstance(given, list | tuple):
        for each in given:
            yield from _flat(each, channels)
    elif hasattr(given, "__array__"):
        yield from split(_as_array(given), channels)
    else:
        raise InputError(
            f"{'An' if type(given).__name__[0] in 'aeiou' else 'A'} {type(given).__name__} is no picture. Give a path, a folder, "
            "an array, a PIL image, or a list of these.",
            received=given,
        )


def _as_array(given: Any) -> Any:
    try:
        return np.asarray(given)
    except Exception as error:  # a tensor on a GPU or with a gradient refuses, each framework in its own way
        raise InputError(
            f"A {type(given).__name__} does not become a NumPy array ({' '.join(str(error).split())}). "
            "Convert it with numpy.asarray first."
        ) from error


def _files(given: str | os.PathLike[str]) -> Iterator[Path]:
    if not os.fsdecode(given):
        raise NotAPicture("", "the path is empty. Give the path of a picture or a folder.")
    if is_address(given):
        raise NotAPicture(given, "it is an address, and nothing is downloaded here. Download it and give the file.")
    try:
        path = path_of(os.fsdecode(given), "A picture")
    except InputError as error:
        raise NotAPicture(repr(given), str(error)) from None
    if not os.path.isdir(path):
        yield path
        return
    try:
        entries = [each for each in path.iterdir() if not each.name.startswith(".") and not each.is_dir()]
    except OSError as error:
        raise NotAPicture(path, f"the folder cannot be read ({error.strerror}). Make it readable.") from error
    pictures = [each for each in entries if each.suffix.lower() in endings()]
    if not pictures:
        raise NotAPicture(
            path, "it is a folder without pictures. Sub-folders are not searched: give a folder with picture files."
        )
    if others := sorted((each for each in entries if each not in pictures), key=_natural):
        first = ", ".join(each.name for each in others[:5]) + (" ..." if len(others) > 5 else "")
        said = f"Left out of '{path}', since they are no pictures ({len(others)}): {first}"
        warnings.warn(said, category=ConvscopeWarning, stacklevel=2)
    yield from sorted(pictures, key=_natural)


def endings() -> frozenset[str]:
    """Of the files that can be read, in lower case: those that Pillow knows, and arrays."""
    return frozenset({".npy"}) | frozenset(ending for ending, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def _natural(path: Path) -> tuple[list[str | int], str]:
    """2.png before 10.png."""
    parts = re.split(r"([0-9]+)", path.name.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], path.name


def _name(raw: Raw) -> str:
    if isinstance(raw, Image.Image):
        return Path(os.fsdecode(getattr(raw, "filename", ""))).stem
    return raw.path.stem if isinstance(raw, Stored) else raw.stem if isinstance(raw, Path) else ""
