"""Pictures in files and PIL images. A picture is read whole or not at all, by what a file holds and never by its ending."""

from __future__ import annotations

import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile, UnidentifiedImageError

from ..errors import InputError, NotAPicture, did_you_mean
from .arrays import Ready
from .decode import Picture, Refused, decoded
from .stacks import is_tiff, read_pages

# (offset, bytes, what it is, what to do), for files that Pillow cannot read.
OTHERS = (
    (0, b"%PDF-", "a PDF document", "Save the page as PNG."),
    (0, b"PK\x03\x04", "a zip archive", "Unpack it and give the folder."),
    (0, b"\x1f\x8b", "a gzip archive", "Unpack it and give what is inside."),
    (0, b"\x93NUMPY", "an array that numpy.save wrote", "Name it .npy."),
    (0, b"\x89HDF", "an HDF5 file", "Give a picture here, and a network with -m."),
    (4, b"ftyphei", "a HEIC picture, which Pillow cannot read", "Save it as JPEG or PNG."),
    (4, b"ftyphev", "a HEIC picture, which Pillow cannot read", "Save it as JPEG or PNG."),
    (4, b"ftypmif1", "a HEIF picture, which Pillow cannot read", "Save it as JPEG or PNG."),
    (4, b"ftypmsf1", "a HEIF picture, which Pillow cannot read", "Save it as JPEG or PNG."),
    (4, b"ftypavi", "an AVIF picture that is damaged, or this Pillow cannot read AVIF", "Save it as JPEG or PNG."),
    (4, b"ftyp", "a video", "Save a frame of it as PNG."),
)
# What Pillow is told while it reads holds for all threads, so that one of them reads at a time.
_READING = threading.Lock()


def read_file(path: Path, name: str) -> Picture:
    """The picture in a file, of whatever kind and ending. Raises NotAPicture."""
    if why := _no_file(path):
        raise NotAPicture(path, why)
    return _decoded(lambda: path.open("rb"), path, name)


def read_channels(raw: Path | bytes, name: str, channels: int) -> Picture | Ready | None:
    """The pages of a TIFF as channels; None for another kind of file. Raises NotAPicture."""
    place: Path | str = raw if isinstance(raw, Path) else name
    try:
        with _strictly(), raw.open("rb") if isinstance(raw, Path) else BytesIO(raw) as file:
            return read_pages(file, name, channels) if is_tiff(file) else None
    except Refused as error:
        raise NotAPicture(place, str(error)) from None
    except FileNotFoundError:
        return None  # `read_file` says more
    except Exception as error:  # on damaged data the decoders raise whatever they stumble over
        raise NotAPicture(place, _reason(error)) from error


def read_bytes(content: bytes, name: str) -> Picture:
    """The picture in what a file holds, of an archive say. Raises NotAPicture."""
    if not content:
        raise NotAPicture(name, "the file is empty. Get it again from where it comes from.")
    return _decoded(lambda: BytesIO(content), name, name)


def _decoded(open_: Callable[[], BinaryIO], path: Path | str, name: str) -> Picture:
    start = b""
    try:
        with _strictly() as warned, open_() as file:
            start = file.read(4096)
            file.seek(0)
            with _opened(file) as image:
                pixels, notes = decoded(image)
    except Refused as error:
        raise NotAPicture(path, str(error)) from None
    except FileNotFoundError as error:
        raise NotAPicture(path, "it vanished while it was read. Check the path.") from error
    except UnidentifiedImageError as error:
        raise NotAPicture(path, _what_else(start)) from error
    except Exception as error:  # on damaged data the decoders raise whatever they stumble over
        raise NotAPicture(path, _reason(error)) from error
    return Picture(name, pixels, (*notes, *warned))


def read_image(image: Image.Image, name: str) -> Picture:
    """The picture in a PIL image of any mode. Raises InputError."""
    try:
        with _strictly() as warned:
            pixels, notes = decoded(image)
    except Refused as error:
        raise InputError(f"'{name}' cannot be used: {error}", received=image) from None
    except Exception as error:  # what was opened and not yet loaded is decoded only now
        raise InputError(f"'{name}' cannot be used: {_reason(error)}", received=image) from error
    return Picture(name, pixels, (*notes, *warned))


def _no_file(path: Path) -> str | None:
    if found := _status(path):
        if not stat.S_ISREG(found.st_mode):
            return "it is neither a file nor a folder. Give a file or a folder."
        return None if found.st_size else "the file is empty. Get it again from where it comes from."
    try:
        near = did_you_mean(path.name, os.listdir(path.parent))
    except (OSError, ValueError):
        return f"there is no such file, and no folder '{path.parent}' that can be read. Check the path."
    return f"there is no such file.{near or ' Check the path.'}"


def _status(path: Path) -> os.stat_result | None:
    """Asked once: between two questions the file may vanish."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _opened(file: BinaryIO) -> Image.Image:
    image = Image.open(file)
    if image.format == "PNG":
        # Pillow decodes a PNG whatever its check sums say: of a download that stopped half-way the rest would be noise.
        image.verify()
        file.seek(0)
        image = Image.open(file)
    if image.format in ("JPEG", "MPO") and not _jpeg_has_an_end(file):
        raise Refused("it is truncated: the end of the JPEG is missing. Get it again from where it comes from.")
    if image.format == "EPS":
        raise Refused("it is an EPS drawing, which Pillow reads only by running another program. Save it as PNG.")
    return image


def _jpeg_has_an_end(file: BinaryIO) -> bool:
    """Whether an end marker follows the first scan. Pillow misses it where a download left zeros, and decodes them as grey."""
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    at = 2
    while content[at : at + 1] == b"\xff" and at + 4 <= len(content):
        if content[at + 1] == 0xDA:  # pixels begin; FF never stands before D9 in them
            return content.find(b"\xff\xd9", at) > 0
        at += 1 if content[at + 1] == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4])
    return True  # stranger than this loop knows: let the decoder judge


@contextmanager
def _strictly() -> Iterator[list[str]]:
    """Pillow does not fill in what is missing; a decompression bomb is an error, and other warnings become notes."""
    notes: list[str] = []
    with _READING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        lenient, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            yield notes
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient
            said = dict.fromkeys(_one_line(each.message) for each in caught if issubclass(each.category, UserWarning))
            notes += [f"Pillow warns: {message}" for message in said]


def _reason(error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        pixels = re.search(r"\d+", str(error))
        much = f"{int(pixels[0]):,} pixels" if pixels else "too many pixels"
        return (
            f"it would unpack to {much}, and beyond {Image.MAX_IMAGE_PIXELS:,} it may be a decompression bomb. "
            "Make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust it."
        )
    if isinstance(error, PermissionError):
        return "permission is denied. Make the file readable."
    if isinstance(error, MemoryError):
        return "there is not enough memory for it. Make it smaller."
    said = _one_line(error).rstrip(".") or type(error).__name__
    return f"it is truncated or damaged ({said}). Get it again from where it comes from."


def _what_else(start: bytes) -> str:
    for offset, mark, what, todo in OTHERS:
        if start.startswith(mark, offset):
            return f"it is {what}. {todo}"
    if b"<svg" in start.lower():
        return "it is an SVG drawing, which Pillow cannot read. Save it as PNG."
    if b"<html" in start.lower() or b"<!doctype" in start.lower():
        return "it is a web page. Give the picture itself, not the page that shows it."
    if b"\0" not in start and start.decode("utf-8", errors="ignore").encode() == start:
        return "it is text. Give a JPEG, a PNG, or another picture that Pillow can read."
    return "its content is of no kind that Pillow can read, or is damaged. Give a JPEG, a PNG or the like."


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
