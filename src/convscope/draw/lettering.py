"""What is written on a sheet, and where: title, labels, colour bar, caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .colour import LEVELS
from .text import Text, line_height, shortened, width, wrapped

if TYPE_CHECKING:
    from .layout import Grid

Bytes = npt.NDArray[np.uint8]
TITLE, SUBTITLE, CAPTION, LABEL = 20, 13, 12, 11
MARGIN, GAP = 20, 6


@dataclass(frozen=True)
class Words:
    """All that is written on a sheet."""

    title: str
    subtitle: str
    caption: str
    labels: Sequence[str]
    row_labels: Sequence[str] | None = None
    column_labels: Sequence[str] | None = None
    bar: tuple[str, str, str] | None = None  # at the left end, in the middle and at the right end of the colour bar
    values: Sequence[str] = ()  # at the right of each label, where there is room for both
    groups: Sequence[tuple[str, int]] = ()  # a heading, and how many tiles stand under it; each begins a new row
    above: Sequence[str] = ()  # over each tile that stands above all columns
    ticks: Sequence[tuple[float, str]] = ()  # under each column: at which share of it, and what


def number_in(label: str) -> str:
    """A label without what is said beside the unit's number."""
    return label.partition(" ")[0]


def header(words: Words, across: int, margin: int) -> tuple[list[Text], int]:
    room = across - 2 * margin
    texts = [Text(shortened(words.title, TITLE, room), margin, margin - 4, TITLE)]
    y = margin - 4 + line_height(TITLE) + 2
    for line in wrapped(words.subtitle, SUBTITLE, room):
        texts.append(Text(line, margin, y, SUBTITLE, "grey"))
        y += line_height(SUBTITLE)
    return texts, y + 8


def labels(words: Words, grid: Grid, tile: tuple[int, int], places: list[tuple[int, int]], top: int, margin: int) -> list[Text]:
    texts = _over_tiles(words, grid, tile, places) if grid.strip else []
    first = 0
    for heading, count in words.groups:
        texts.append(Text(heading, margin, places[first][0] - grid.strip - line_height(SUBTITLE) - 1, SUBTITLE))
        first += count
    for row, label in enumerate(words.row_labels or ()):
        y = places[row * grid.columns][0] + (tile[0] - line_height(LABEL)) / 2
        texts.append(Text(label, margin + grid.left - GAP, y, LABEL, "grey", "end"))
    for column in range(grid.columns if words.ticks else 0):
        y = places[-1][0] + tile[0] + 2
        texts += [
            Text(tick, places[column][1] + share * (tile[1] - 1), y, LABEL, "grey", "middle") for share, tick in words.ticks
        ]
    for column, label in enumerate(words.column_labels or ()):
        x = places[column][1] + grid.across(tile) / 2
        texts.append(Text(shortened(label, LABEL, grid.across(tile) + GAP - 2), x, top, LABEL, "grey", "middle"))
    return texts


def _over_tiles(words: Words, grid: Grid, tile: tuple[int, int], places: list[tuple[int, int]]) -> list[Text]:
    texts, room = [], grid.across(tile) + GAP - 2
    for number, (label, (y, x)) in enumerate(zip(words.labels, places, strict=True)):
        whole = label if width(label, LABEL) <= room or number < len(words.above) else number_in(label)
        if label:
            texts.append(Text(shortened(whole, LABEL, room), x, y - grid.strip, LABEL))
        value = words.values[number] if words.values and whole == number_in(label) else ""
        if value and width(f"{whole}  {value}", LABEL) <= tile[1]:
            texts.append(Text(value, x + tile[1], y - grid.strip, LABEL, "grey", "end"))
    return texts


def footer_lines(words: Words, across: int, margin: int) -> list[str]:
    return wrapped(words.caption, CAPTION, across - 2 * margin)


def footer_height(words: Words, lines: list[str]) -> int:
    bar = 14 + line_height(LABEL) + 6 if words.bar else 0
    return 12 + bar + len(lines) * line_height(CAPTION)


def footer(canvas: Bytes, words: Words, lines: list[str], y: int, margin: int) -> list[Text]:
    texts = []
    y += 12
    if words.bar:
        length = min(320, canvas.shape[1] - 2 * margin)
        canvas[y : y + 10, margin : margin + length] = (np.arange(length) * LEVELS // length).astype(np.uint8)
        for words_, x, anchor in zip(words.bar, (0, length / 2, length), ("start", "middle", "end"), strict=True):
            texts.append(Text(words_, margin + x, y + 13, LABEL, "ink", anchor))  # type: ignore[arg-type]
        y += 14 + line_height(LABEL) + 6
    for line in lines:
        texts.append(Text(line, margin, y, CAPTION, "grey"))
        y += line_height(CAPTION)
    return texts
