"""A sheet as a matplotlib Figure. matplotlib is imported here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from .text import Text
from .vector import COLOURS

DPI = 96


def figure(pixels: npt.NDArray[np.uint8], texts: Sequence[Text]) -> Figure:
    """The sheet at its own size, one axes over the whole figure."""
    height, width = pixels.shape[:2]
    result = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    axes = result.add_axes((0, 0, 1, 1))
    axes.imshow(pixels, interpolation="nearest", extent=(0, width, height, 0))
    axes.set_axis_off()
    sides = {"start": "left", "middle": "center", "end": "right"}
    for text in texts:
        colour = tuple(value / 255 for value in COLOURS[text.colour])
        axes.text(text.x, text.y, text.words, fontsize=text.size * 72 / DPI, color=colour, va="top", ha=sides[text.anchor])
    return result
