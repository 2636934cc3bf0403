"""Sheets at a width on paper: laid out for the eye, then drawn with as many dots as the printer has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import InputError
from .layout import Page, resized

SCREEN = 96  # dots per inch in which sheets are laid out, so that a label of 11 pixels is one of 8 points
MM = 25.4
NARROWEST_MM = 30


def layout_width(width_mm: float) -> int:
    """How many pixels of the layout are so many millimetres. Raises InputError."""
    if isinstance(width_mm, bool) or not isinstance(width_mm, int | float) or not NARROWEST_MM <= width_mm <= 2000:
        raise InputError(f"The width is {NARROWEST_MM} to 2000 mm, but received {width_mm!r}.", received=width_mm)
    return round(width_mm / MM * SCREEN)


def dotted(page: Page, width_mm: float, dpi: int) -> Page:
    """The page with `dpi` dots per inch: maps by picking values, text set in a larger size. Raises InputError."""
    if isinstance(dpi, bool) or not isinstance(dpi, int) or not 50 <= dpi <= 2400:
        raise InputError(f"There are 50 to 2400 dots per inch, but received dpi={dpi!r}.", received=dpi)
    height, width = page.canvas.shape
    factor = round(width_mm / MM * dpi) / width
    canvas = resized(page.canvas[None], (round(height * factor), round(width * factor)))[0]
    texts = tuple(replace(text, x=text.x * factor, y=text.y * factor, size=round(text.size * factor)) for text in page.texts)
    places = tuple((round(y * factor), round(x * factor)) for y, x in page.places)
    tile = round(page.tile[0] * factor), round(page.tile[1] * factor)
    heads = tuple((round(y * factor), round(x * factor)) for y, x in page.heads)
    head = round(page.head[0] * factor), round(page.head[1] * factor)
    return Page(np.ascontiguousarray(canvas, np.uint8), texts, places, tile, heads, head)
