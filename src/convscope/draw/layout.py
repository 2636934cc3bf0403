"""Where everything on a sheet stands. Pixels in, pixels and lines of text out; the files are written elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .colour import DEAD, DEAD_MARK, FRAME, PAPER
from .lettering import GAP, LABEL, MARGIN, SUBTITLE, Words, footer, footer_height, footer_lines, header, labels, number_in
from .text import Text, line_height, width

Bytes = npt.NDArray[np.uint8]
LEAST = 24  # pixels of a column on a sheet of a given width: less cannot be told apart
HEAD = 96  # pixels of the longer side of a picture over a column
WIDE = 960  # pixels that long tiles side by side may fill
NARROWEST = 440  # a caption in a narrower column is hard to read


@dataclass(frozen=True)
class Page:
    """A sheet before its text is drawn: palette indices (H, W), lines of text, and where each tile stands (y, x)."""

    canvas: Bytes
    texts: tuple[Text, ...]
    places: tuple[tuple[int, int], ...]
    tile: tuple[int, int]  # height and width of a drawn tile
    heads: tuple[tuple[int, int], ...] = ()  # where the pictures over the columns stand
    head: tuple[int, int] = (0, 0)  # and how large they are
    reduced: float = 1.0  # how many times a map is larger than its tile, along the axis where that is most


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
    head: tuple[int, int] = (0, 0)  # (height, width) of the picture over each column

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


def grid_of(count: int, columns: int, words: Words, *, room: int | None = None, heads: tuple[int, int] | None = None) -> Grid:
    """`room`: the width that there is; None: as much as labels need. `heads`: (height, width) of pictures above the columns."""
    strip = line_height(LABEL) if any(words.labels) and not (words.row_labels and words.column_labels) else 0
    left = max((width(label, LABEL) for label in words.row_labels), default=0) + GAP if words.row_labels else 0
    columns = min(columns, count)
    head = (0, 0) if heads is None else head_size(heads, None if room is None else (room - left) // columns - GAP)
    top = (line_height(LABEL) if words.column_labels else 0) + (head[0] + GAP if head[0] else 0)
    numbers = max((width(number_in(label), LABEL) for label in words.labels), default=0) if strip and room is None else 0
    groups = tuple(each for _, each in words.groups)
    rows = sum(-(-each // columns) for each in groups or (count,))
    ticks = line_height(LABEL) if words.ticks else 0
    return Grid(rows, columns, strip, left, top, max(numbers, head[1]), ticks, groups, head)


def fitting(width_of_map: int, columns: int, room: int, *, fixed: bool) -> int:
    """How many columns to lay out in `room`: fewer than asked for where they do not fit, more where that fills the line."""
    fit = max(1, (room + GAP) // (max(width_of_map, LEAST) + GAP))
    if fixed or fit < columns:
        return min(columns, fit)
    factor = max(1, ((room + GAP) // columns - GAP) // width_of_map)
    return max(columns, (room + GAP) // (max(width_of_map * factor, LEAST) + GAP))


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
    """Small maps are magnified until they can be seen, one alone until it is large; under pictures, until they are as large.

    Slices side by side make long tiles: these are as high as they can be seen, where there is room for that.
    """
    target = (
        HEAD
        if grid.head[0]
        else 480
        if count == 1
        else 48
        if grid.left and max(shape) < 16
        else 96
        if count <= 64
        else 64
        if count <= 256
        else 36
    )
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
    heads: tuple[int, int] | None = None,
) -> Page:
    """Lay out (t, h, w) palette indices. `size`: (width, height) of the whole sheet; None: as large as it needs to be.

    wide    the width of a sheet whose height is what it needs; as many columns as fit, where `columns` do not
    above   (k, h, w) tiles that stand at the top of every column
    heads   (height, width) of pictures that stand over the columns, in pixels of their own
    """
    margin = margin_of(size, wide)
    if wide is not None and not words.column_labels:
        columns = fitting(indices.shape[2], columns, wide - 2 * margin, fixed=bool(words.row_labels))
    if above is not None:
        columns = min(columns, len(indices))
        indices, words, dead = _under(above, indices, words, dead, columns)
    room = wide or (size[0] if size else None)
    grid = grid_of(len(indices), columns, words, room=None if room is None else room - 2 * margin, heads=heads)
    (down, across), tile = sizes(indices.shape[1:], grid, len(indices), words, magnify=magnify, size=size, wide=wide)
    title, top = header(words, across, margin)
    canvas = np.full((down, across), PAPER, np.uint8)
    places = [_place(number, grid, tile, top, margin) for number in range(len(indices))]
    _paste(canvas, resized(indices, tile), places, dead)
    texts = [*title, *labels(words, grid, tile, places, top, margin)]
    texts += footer(canvas, words, footer_lines(words, across, margin), top + grid.extent(tile)[0], margin)
    over = tuple((places[0][0] - grid.head[0] - GAP, x) for _, x in places[: grid.columns]) if heads else ()
    return Page(canvas, tuple(texts), tuple(places[len(words.above) :]), tile, over, grid.head)


def head_size(shape: tuple[int, int], room: int | None) -> tuple[int, int]:
    """(height, width) of a picture over a column: large enough to be recognised, where there is so much room."""
    longer = max(1, min(HEAD, HEAD if room is None else room))
    h, w = (max(1, round(side * longer / max(shape))) for side in shape)
    return h, w


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
    around = header(words, across, margin)[1] + footer_height(words, footer_lines(words, across, margin)) + margin
    if size is None or wide is not None:
        return (around + grid.extent(tile)[0], across), tile
    return (size[1], across), drawn_size(shape, grid, count, None, (size[1] - around, across - 2 * margin))


def _under(
    above: Bytes, tiles: Bytes, words: Words, dead: npt.NDArray[np.bool_], columns: int
) -> tuple[Bytes, Words, npt.NDArray[np.bool_]]:
    """Tiles, words and marks with a copy of each tile `above` at the top of every column."""
    over = [label for label in words.above for _ in range(columns)]
    values = [*[""] * len(over), *words.values] if words.values else ()
    return (
        np.concatenate([np.repeat(above, columns, axis=0), tiles]),
        replace(words, labels=[*over, *words.labels], values=values, above=over),
        np.concatenate([np.zeros(len(over), bool), dead]),
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
