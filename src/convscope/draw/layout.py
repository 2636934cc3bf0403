"""Where everything on a sheet stands. Pixels in, pixels and lines of text out; the files are written elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .colour import DEAD, DEAD_MARK, FRAME, LEVELS, PAPER
from .text import Text, line_height, shortened, width, wrapped

Bytes = npt.NDArray[np.uint8]
TITLE, SUBTITLE, CAPTION, LABEL = 20, 13, 12, 11
MARGIN, GAP = 20, 6
LEAST = 24  # pixels of a column on a sheet of a given width: less cannot be told apart
WIDE = 960  # pixels that long tiles side by side may fill
NARROWEST = 440  # a caption in a narrower column is hard to read


@dataclass(frozen=True)
class Page:
    """A sheet before its text is drawn: palette indices (H, W), lines of text, and where each tile stands (y, x)."""

    canvas: Bytes
    texts: tuple[Text, ...]
    places: tuple[tuple[int, int], ...]
    tile: tuple[int, int]  # height and width of a drawn tile
    reduced: float = 1.0  # how many times a map is larger than its tile, along the axis where that is most


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


@dataclass(frozen=True)
class Grid:
    """Rows and columns of cells; a cell is a label strip over a tile."""

    rows: int
    columns: int
    strip: int  # height of the label strip; 0 where rows and columns are labelled instead
    left: int  # room for the labels of rows
    top: int  # and of columns
    least: int = 0  # how wide a column is at least, so that a unit's number can be read over the smallest map
    axis: int = 0  # room for ticks below
    groups: tuple[int, ...] = ()  # how many tiles each has, where there are any

    def slot(self, number: int) -> tuple[int, int, int]:
        """(row, column, how many headings are above it) of a tile."""
        row = 0
        for group, count in enumerate(self.groups, 1):
            if number < count:
                return row + number // self.columns, number % self.columns, group
            row, number = row + -(-count // self.columns), number - count
        return *divmod(number, self.columns), 0

    def across(self, tile: tuple[int, int]) -> int:
        """How wide a column is."""
        return max(tile[1], self.least)

    def extent(self, tile: tuple[int, int]) -> tuple[int, int]:
        """(height, width) with tiles of that size."""
        height = self.top + self.rows * (tile[0] + self.strip) + (self.rows - 1) * GAP + self.axis
        height += len(self.groups) * line_height(SUBTITLE)
        return height, self.left + self.columns * self.across(tile) + (self.columns - 1) * GAP


def grid_of(count: int, columns: int, words: Words, *, roomy: bool) -> Grid:
    """`roomy`: the sheet may become as wide as its labels need."""
    strip = line_height(LABEL) if any(words.labels) and not (words.row_labels and words.column_labels) else 0
    left = max((width(label, LABEL) for label in words.row_labels), default=0) + GAP if words.row_labels else 0
    top = line_height(LABEL) if words.column_labels else 0
    columns = min(columns, count)
    numbers = max((width(number_in(label), LABEL) for label in words.labels), default=0) if strip and roomy else 0
    groups = tuple(each for _, each in words.groups)
    rows = sum(-(-each // columns) for each in groups or (count,))
    return Grid(rows, columns, strip, left, top, numbers, line_height(LABEL) if words.ticks else 0, groups)


def fitting(width_of_map: int, columns: int, room: int, *, fixed: bool) -> int:
    """How many columns to lay out in `room`: fewer than asked for where they do not fit, more where that fills the line."""
    fit = max(1, (room + GAP) // (max(width_of_map, LEAST) + GAP))
    if fixed or fit < columns:
        return min(columns, fit)
    factor = max(1, ((room + GAP) // columns - GAP) // width_of_map)
    return max(columns, (room + GAP) // (max(width_of_map * factor, LEAST) + GAP))


def number_in(label: str) -> str:
    """A label without what is said beside the unit's number."""
    return label.partition(" ")[0]


def drawn_size(
    shape: tuple[int, int], grid: Grid, count: int, magnify: int | None, room: tuple[int, int] | None
) -> tuple[int, int]:
    """The size of a drawn tile: the map's own, times a whole number; smaller only where there is no room for it."""
    h, w = shape
    if room is None:
        factor = magnify or wanted_factor(shape, grid, count)
        return h * factor, w * factor
    headings = len(grid.groups) * line_height(SUBTITLE)
    tall = (room[0] - grid.top - grid.axis - headings - (grid.rows - 1) * GAP) // grid.rows - grid.strip
    wide = (room[1] - grid.left - (grid.columns - 1) * GAP) // grid.columns
    ratio = min(tall / h, wide / w)
    if ratio >= 1:
        return h * int(ratio), w * int(ratio)
    return max(1, int(h * ratio)), max(1, int(w * ratio))


def wanted_factor(shape: tuple[int, int], grid: Grid, count: int) -> int:
    """Small maps are magnified until they can be seen, one alone until it is large.

    Slices side by side make long tiles: these are as high as they can be seen, where there is room for that.
    """
    target = 480 if count == 1 else 48 if grid.left and max(shape) < 16 else 96 if count <= 64 else 64 if count <= 256 else 36
    high = min(target // 2 // shape[0], WIDE // grid.columns // shape[1]) if shape[0] > 1 else 1
    return max(1, round(target / max(shape)), high, -(-24 // shape[1]) if grid.strip else 1)


def arrange(
    indices: Bytes,
    words: Words,
    *,
    columns: int,
    magnify: int | None,
    size: tuple[int, int] | None,
    dead: npt.NDArray[np.bool_],
    wide: int | None = None,
    above: Bytes | None = None,
) -> Page:
    """Lay out (t, h, w) palette indices. `size`: (width, height) of the whole sheet; None: as large as it needs to be.

    wide    the width of a sheet whose height is what it needs; as many columns as fit, where `columns` do not
    above   (k, h, w) tiles that stand at the top of every column
    """
    margin = margin_of(size, wide)
    if wide is not None and not words.column_labels:
        columns = fitting(indices.shape[2], columns, wide - 2 * margin, fixed=bool(words.row_labels))
    if above is not None:
        columns = min(columns, len(indices))
        indices, words, dead = _under(above, indices, words, dead, columns)
    grid = grid_of(len(indices), columns, words, roomy=size is None and wide is None)
    (down, across), tile = sizes(indices.shape[1:], grid, len(indices), words, magnify=magnify, size=size, wide=wide)
    header, top = _header(words, across, margin)
    canvas = np.full((down, across), PAPER, np.uint8)
    places = [_place(number, grid, tile, top, margin) for number in range(len(indices))]
    _paste(canvas, resized(indices, tile), places, dead)
    texts = [*header, *_labels(words, grid, tile, places, top, margin)]
    texts += _footer(canvas, words, _footer_lines(words, across, margin), top + grid.extent(tile)[0], margin)
    return Page(canvas, tuple(texts), tuple(places[len(words.above) :]), tile)


def margin_of(size: tuple[int, int] | None, wide: int | None) -> int:
    """A sheet whose size is given has less to spare."""
    return MARGIN if size is None and wide is None else MARGIN // 2


def sizes(
    shape: tuple[int, int],
    grid: Grid,
    count: int,
    words: Words,
    *,
    magnify: int | None,
    size: tuple[int, int] | None,
    wide: int | None,
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(height, width) of the sheet and of a drawn tile; see `arrange`."""
    margin = margin_of(size, wide)
    tile = drawn_size(shape, grid, count, magnify, None if wide is None else (10**6, wide - 2 * margin))
    across = wide or (size[0] if size else max(NARROWEST, grid.extent(tile)[1]) + 2 * margin)
    around = _header(words, across, margin)[1] + _footer_height(words, _footer_lines(words, across, margin)) + margin
    if size is None or wide is not None:
        return (around + grid.extent(tile)[0], across), tile
    return (size[1], across), drawn_size(shape, grid, count, None, (size[1] - around, across - 2 * margin))


def _under(
    above: Bytes, tiles: Bytes, words: Words, dead: npt.NDArray[np.bool_], columns: int
) -> tuple[Bytes, Words, npt.NDArray[np.bool_]]:
    """Tiles, words and marks with a copy of each tile `above` at the top of every column."""
    labels = [label for label in words.above for _ in range(columns)]
    values = [*[""] * len(labels), *words.values] if words.values else ()
    return (
        np.concatenate([np.repeat(above, columns, axis=0), tiles]),
        replace(words, labels=[*labels, *words.labels], values=values, above=labels),
        np.concatenate([np.zeros(len(labels), bool), dead]),
    )


def resized(tiles: npt.NDArray[np.generic], size: tuple[int, int]) -> npt.NDArray[np.generic]:
    """(t, h, w) at another size by picking values, never by mixing them: no detail is invented."""
    h, w = tiles.shape[1:3]
    if (h, w) == size:
        return tiles
    if size[0] % h == 0 and size[1] % w == 0:
        return tiles.repeat(size[0] // h, axis=1).repeat(size[1] // w, axis=2)
    rows = ((np.arange(size[0]) + 0.5) * h / size[0]).astype(np.intp)
    columns = ((np.arange(size[1]) + 0.5) * w / size[1]).astype(np.intp)
    return tiles[:, rows[:, None], columns[None, :]]


def _place(number: int, grid: Grid, tile: tuple[int, int], top: int, margin: int) -> tuple[int, int]:
    row, column, headings = grid.slot(number)
    y = top + grid.top + row * (tile[0] + grid.strip + GAP) + grid.strip + headings * line_height(SUBTITLE)
    return y, margin + grid.left + column * (grid.across(tile) + GAP)


def _paste(canvas: Bytes, tiles: npt.NDArray[np.generic], places: list[tuple[int, int]], dead: npt.NDArray[np.bool_]) -> None:
    h, w = tiles.shape[1:3]
    hatched = None
    for number, (y, x) in enumerate(places):
        if dead[number]:
            hatched = _hatched(h, w) if hatched is None else hatched
            canvas[y : y + h, x : x + w] = hatched
        else:
            canvas[y : y + h, x : x + w] = tiles[number]


def _hatched(h: int, w: int) -> Bytes:
    """What a dead map looks like: like no map."""
    diagonal = np.add.outer(np.arange(h), np.arange(w)) % 8 < 1
    tile = np.where(diagonal, np.uint8(DEAD_MARK), np.uint8(DEAD))
    tile[[0, -1]] = tile[:, [0, -1]] = FRAME
    return tile


def _header(words: Words, across: int, margin: int) -> tuple[list[Text], int]:
    room = across - 2 * margin
    texts = [Text(shortened(words.title, TITLE, room), margin, margin - 4, TITLE)]
    y = margin - 4 + line_height(TITLE) + 2
    for line in wrapped(words.subtitle, SUBTITLE, room):
        texts.append(Text(line, margin, y, SUBTITLE, "grey"))
        y += line_height(SUBTITLE)
    return texts, y + 8


def _labels(words: Words, grid: Grid, tile: tuple[int, int], places: list[tuple[int, int]], top: int, margin: int) -> list[Text]:
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
        x = places[column][1] + tile[1] / 2
        texts.append(Text(shortened(label, LABEL, tile[1] + GAP - 2), x, top, LABEL, "grey", "middle"))
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


def _footer_lines(words: Words, across: int, margin: int) -> list[str]:
    return wrapped(words.caption, CAPTION, across - 2 * margin)


def _footer_height(words: Words, lines: list[str]) -> int:
    bar = 14 + line_height(LABEL) + 6 if words.bar else 0
    return 12 + bar + len(lines) * line_height(CAPTION)


def _footer(canvas: Bytes, words: Words, lines: list[str], y: int, margin: int) -> list[Text]:
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
