"""Pictures of two, four, six or thirteen channels: a TIFF whose pages are the channels; and arrays in .npy files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageSequence

from ..errors import InputError, NotAPicture
from .arrays import Ready, split
from .decode import PHOTOMETRIC, Picture, Refused

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NUMPY = b"\x93NUMPY"
ONE_CHANNEL = ("1", "L", "F")


def is_tiff(file: BinaryIO) -> bool:
    start = file.read(4)
    file.seek(0)
    return start in TIFF


def read_pages(file: BinaryIO, name: str, channels: int) -> Picture | Ready:
    """The pages of a TIFF as the channels of one picture.

    Pages of 8 bits are pixels; of 16 bits too, as x / 257 and not rounded; pages of floats are already preprocessed.
    raises   Refused; whatever Pillow raises on damaged data
    """
    with Image.open(file) as image:
        pages = [_page(page, number) for number, page in enumerate(ImageSequence.Iterator(image), 1)]
    if len(pages) != channels:
        has = f"{len(pages)} page" + "s" * (len(pages) != 1)
        raise Refused(
            f"it has {has}, but this network takes {channels} channels. Give a TIFF with a page per channel, or an array."
        )
    if len({page.shape for page in pages}) > 1:
        raise Refused(f"its pages differ in size: {', '.join(str(page.shape) for page in pages)}. Save them at one size.")
    kinds = {page.dtype for page in pages}
    if len(kinds) > 1:
        raise Refused(f"its pages differ in kind: {', '.join(sorted(map(str, kinds)))}. Save them alike.")
    stack: npt.NDArray[Any] = np.stack(pages)
    if stack.dtype == np.float32:
        return next(split(stack))  # type: ignore[return-value]  # floats are Ready
    notes = [f"the {channels} pages of a TIFF, taken as channels"]
    if stack.dtype == np.uint16:
        notes.append(f"16 bits per pixel as x / 257; its values are {stack.min()} to {stack.max()} of 0 to 65535")
        stack = stack.astype(np.float32) / np.float32(257)
    return Picture(name, np.ascontiguousarray(stack.transpose(1, 2, 0)), tuple(notes))


def _page(page: Image.Image, number: int) -> npt.NDArray[Any]:
    """uint8, uint16 or float32 (h, w)."""
    if page.mode.startswith("I;16"):
        values = np.asarray(page).astype(np.uint16)
        return 65535 - values if getattr(page, "tag_v2", {}).get(PHOTOMETRIC) == 0 else values
    if page.mode not in ONE_CHANNEL:
        raise Refused(
            f"its page {number} is of Pillow's mode {page.mode}, and a page that is a channel has one. Save it in grey."
        )
    return np.asarray(page.convert("L") if page.mode == "1" else page)


@dataclass(frozen=True)
class Stored:
    """An array in a .npy file, or picture `index` of the several in it. Read only when it is its turn."""

    path: Path
    index: int | None = None

    def load(self, name: str, channels: int | None) -> Picture | Ready:
        """Raises NotAPicture, InputError."""
        array = opened(self.path)
        (part,) = split(np.array(array if self.index is None else array[self.index]), channels)
        return part if isinstance(part, Ready) else Picture(name, part)


def stored(path: Path) -> Iterator[Stored]:
    """Each picture of a .npy file; of four axes the first is that of the pictures. Raises NotAPicture."""
    array = opened(path)
    if array.ndim == 4:
        yield from (Stored(path, index) for index in range(len(array)))
    else:
        yield Stored(path)


def opened(path: Path) -> npt.NDArray[Any]:
    """Mapped, not read. What is pickled is not opened, since that would run code."""
    try:
        with path.open("rb") as file:
            if file.read(len(NUMPY)) != NUMPY:
                raise NotAPicture(path, "it is no array that numpy.save wrote. Save one with numpy.save.")
        array: npt.NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise NotAPicture(path, "there is no such file. Check the path.") from None
    except (OSError, ValueError, EOFError) as error:
        raise NotAPicture(path, f"it is damaged or no array of numbers ({' '.join(str(error).split())}).") from error
    return array


def fits(pixels: npt.NDArray[Any], channels: int, name: str) -> None:
    """Raise InputError for a picture of another number of channels than a network takes that is neither grey nor colour."""
    if pixels.shape[2] != channels:
        raise InputError(
            f"This network takes {channels} channels, but '{name}' has {pixels.shape[2]}. Give a TIFF with a page per channel, "
            f"uint8 (h, w, {channels}), or a float array (n, {channels}, h, w), already preprocessed; also as .npy.",
            received=pixels.shape,
            expected=channels,
        )
