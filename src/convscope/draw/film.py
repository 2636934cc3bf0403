"""Sheets one after the other: a GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError, WrongOption
from . import colour as colours
from .files import write_whole
from .sheet import Sheet


def save_gif(sheets: Sequence[Sheet], path: Path, *, seconds: float = 0.8, magnify: int | None = None) -> Path:
    """Write sheets of one layout as the frames of a GIF that goes round; a colour of the file is one of the palette, unchanged.

    seconds   that each frame stands
    raises    WrongOption for another ending than .gif; InputError; OutputError, then nothing is half-written
    """
    if path.suffix.lower() != ".gif":
        raise WrongOption(f"The ending of '{path.name}'", path.suffix.lower(), (".gif",))
    if not 0.02 <= seconds <= 60:
        raise InputError(f"A frame stands for 0.02 to 60 seconds, but received {seconds!r}.", received=seconds)
    drawn = [sheet._pixels(sheet._page(magnify, None)) for sheet in sheets]
    height, width = (max(pixels.shape[axis] for pixels, _ in drawn) for axis in (0, 1))
    frames = []
    for pixels, palette in drawn:
        canvas = np.full((height, width), colours.PAPER, np.uint8)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
        frame = Image.fromarray(canvas, "P")
        frame.putpalette((colours.palette("gray") if palette is None else palette).tobytes())
        frames.append(frame)
    content = io.BytesIO()
    frames[0].save(
        content, "GIF", save_all=True, append_images=frames[1:], duration=round(seconds * 1000), loop=0, optimize=False
    )
    return write_whole(path, content.getvalue())
