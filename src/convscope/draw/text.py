"""Text on a sheet: where it stands, how wide it is, and its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .colour import GREY, INK, SHADES

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Text:
    """A line of text. x, y: its left, middle or right end and the top of its line, in pixels of the sheet."""

    words: str
    x: float
    y: float
    size: int
    colour: Literal["ink", "grey"] = "ink"
    anchor: Literal["start", "middle", "end"] = "start"


@lru_cache
def font(size: int) -> Any:
    return ImageFont.load_default(size)


@lru_cache(maxsize=4096)
def width(words: str, size: int) -> int:
    """In pixels, rounded up."""
    return int(np.ceil(font(size).getlength(words)))


@lru_cache(maxsize=4096)
def shades(words: str, size: int) -> Bytes:
    """(line height, width) how much ink is where, 0 to SHADES. Cached: the same unit numbers stand on every sheet."""
    picture = Image.new("L", (max(1, width(words, size)), line_height(size)))
    ImageDraw.Draw(picture).text((0, 0), words, fill=255, font=font(size))
    return (np.asarray(picture, np.uint16) * SHADES // 255).astype(np.uint8)


def line_height(size: int) -> int:
    return round(size * 1.3)


def shortened(words: str, size: int, room: float) -> str:
    """`words`, or as much of their beginning and end as there is room for, with an ellipsis between."""
    if width(words, size) <= room:
        return words
    for kept in range(len(words) - 1, 0, -1):
        shorter = words[: kept - kept // 3] + "…" + words[len(words) - kept // 3 :]
        if width(shorter, size) <= room:
            return shorter
    return ""


def wrapped(words: str, size: int, room: float) -> list[str]:
    """Lines no wider than `room`; a line break begins a new one."""
    lines = []
    for part in words.split("\n"):
        line = ""
        for word in part.split():
            longer = f"{line} {word}" if line else word
            if line and width(longer, size) > room:
                lines.append(line)
                line = word
            else:
                line = longer
        lines.append(line)
    return [shortened(each, size, room) for each in lines if each]


def stamp(canvas: Bytes, text: Text) -> None:
    """Write `text` on a canvas of palette indices, in place. What does not fit is cut off."""
    ink = shades(text.words, text.size)
    left = round(text.x - {"start": 0, "middle": ink.shape[1] / 2, "end": ink.shape[1]}[text.anchor])
    top = round(text.y)
    ink = ink[max(0, -top) :, max(0, -left) :]
    place = canvas[max(0, top) : max(0, top) + ink.shape[0], max(0, left) : max(0, left) + ink.shape[1]]
    ink = ink[: place.shape[0], : place.shape[1]]
    start = INK if text.colour == "ink" else GREY
    np.copyto(place, ink + np.uint8(start - 1), where=ink > 0)
