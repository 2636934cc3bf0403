"""A sheet: a grid of maps with everything that is needed to say what it shows."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..errors import InputError, WrongOption
from ..paths import path_of
from . import colour as colours
from . import paper, png, vector, words
from .checks import ENDINGS, check
from .curves import bars, curves
from .files import write_whole
from .layout import Page, arrange, resized
from .lettering import MARGIN, Words
from .scale import Array, Ranges, Scale, beyond, fixed, levels, levels_of_zero, limits, ranges
from .signal import Signal
from .text import stamp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Bytes = npt.NDArray[np.uint8]
Ends = npt.NDArray[np.float64]  # (t,) the value that gets the first, or the last, colour of each tile
LINES = {"curve": "curves, each sample a point"}
REDUCED = "Reduced to fit, by leaving out pixels"


@dataclass(frozen=True, eq=False)
class Sheet:
    """Maps in a grid, each with its label; drawing it is left until it is saved or shown.

    tiles     (t, h, w) float32; or (t, h, w, 3) signed kernels over red, green and blue, with colour="rgb"
    form      "map"; "curve" for signals (t, 1, n), a line through their samples; "bar" for single values (t, 1, 1)
    scale     "map": each map by its own range; "shared": one range for all; "percentile": each by its 1st to 99th percentile;
              (low, high): from one value to another, the same on every sheet that is drawn so. It is written on the sheet
    colour    "auto" (diverging around zero if any value is negative, else viridis), "gray", "viridis", "magma", "diverging"
    groups    headings, and how many tiles stand under each: [("for it", 12), ("against it", 7)]
    enlarged  whether the tiles are of maps of several sizes, made equal; then the headings say which each has
    heads     uint8 (h, w, 3) pictures, one above each column with its label
    signal    of tiles (t, 1, n): what the network received, drawn above them, along one axis
    thick     how often each row of values is repeated in the tiles, to be seen: what the sheet says of its size is without that
    between   with scale="shared": the range instead of that of these tiles, so that several sheets have one
    dead_is_meaningful   whether a map of zeros is a dead one; before an activation it is only a constant
    raises    InputError for no tiles or labels that do not fit; WrongOption
    """

    tiles: Array
    labels: tuple[str, ...]
    title: str
    subtitle: str = ""
    columns: int = 8
    form: str = "map"
    scale: Scale = "map"
    colour: str = "auto"
    row_labels: Sequence[str] | None = None
    column_labels: Sequence[str] | None = None
    dead_is_meaningful: bool = True
    between: tuple[float, float] | None = None
    signal: Signal | None = None
    thick: int = 1
    groups: Sequence[tuple[str, int]] = ()
    heads: Sequence[Bytes] = ()
    enlarged: bool = False

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.scale, str):
            object.__setattr__(self, "between", fixed(self.scale))

    @cached_property
    def ranges(self) -> Ranges:
        """What is known of each map: its range, and whether it is dead, constant or not finite."""
        return ranges(self.tiles)

    @property
    def signed(self) -> bool:
        return (self.between or self.ranges.whole)[0] < 0

    @property
    def _by_one_range(self) -> bool:
        return self.between is not None or self.scale == "shared"

    @property
    def colour_map(self) -> str:
        """The name of the colour map that is used."""
        if self.colour in ("auto", "rgb"):
            return "diverging" if self.signed and self.colour == "auto" else "gray" if self.colour == "rgb" else "viridis"
        return self.colour

    @property
    def marked_labels(self) -> tuple[str, ...]:
        """The labels with what is odd about their maps: "17 dead"."""
        if self.form == "bar":
            return self.labels
        return words.labels(self.labels, self.ranges, dead_is_meaningful=self.dead_is_meaningful)

    @property
    def caption(self) -> str:
        """In words: what is shown, in which size, colours, range and scale, and what in it is out of the ordinary."""
        return f"{self.title}: {self.subtitle}. {self._how()}"

    def save(
        self,
        path: str | Path,
        *,
        magnify: int | None = None,
        size: tuple[int, int] | None = None,
        width_mm: float | None = None,
        dpi: int = 300,
    ) -> Path:
        """Write the sheet, as its ending says: .png, .pdf, .svg, .jpg or .webp. In PDF and SVG labels are text.

        magnify    pixels of the sheet per pixel of a map; 1 is true size; None: small maps are magnified to be seen
        size       (width, height) of the whole sheet in pixels; maps that do not fit are reduced, which is said
        width_mm   instead: its width on paper, 85 for a column say; with fewer columns of maps where they do not fit
        dpi        dots per inch of a PNG, JPEG or WebP of that width
        raises     WrongOption for another ending; InputError; OutputError; then nothing is half-written
        """
        path = path_of(path)
        ending = path.suffix.lower()
        if ending not in ENDINGS:
            raise WrongOption(f"The ending of '{path.name}'", ending, ENDINGS)
        wide = None if width_mm is None else paper.layout_width(width_mm)
        page = self._page(magnify, size, wide)
        about = {"Title": self.title, "Description": self._caption(page), "Software": "convscope"}
        if ending in (".svg", ".pdf"):
            draw = vector.svg if ending == ".svg" else vector.pdf
            pixels, palette = self._pixels(page, with_text=False)
            return write_whole(path, draw(pixels, palette, page.texts, title=self.title, about=about["Description"]))
        page = page if width_mm is None else paper.dotted(page, width_mm, dpi)
        if ending == ".png":
            write_whole(path, png.encoded(*self._pixels(page), about=about, dpi=paper.SCREEN if width_mm is None else dpi))
        else:
            from PIL import Image

            buffer = io.BytesIO()
            how = {"quality": 95} if width_mm is None else {"quality": 95, "dpi": (dpi, dpi)}
            Image.fromarray(self._colours(page)).save(buffer, "WEBP" if ending == ".webp" else "JPEG", **how)
            write_whole(path, buffer.getvalue())
        return path

    def render(self, *, magnify: int | None = None, size: tuple[int, int] | None = None) -> Bytes:
        """The sheet as (h, w, 3) uint8 colours."""
        return self._colours(self._page(magnify, size))

    def figure(self, *, magnify: int | None = None) -> Figure:
        """The sheet as a matplotlib Figure to go on with: its words are matplotlib's text, its axes count pixels."""
        from .figure import figure

        page = self._page(magnify, None)
        pixels, palette = self._pixels(page, with_text=False)
        return figure(pixels if palette is None else palette[pixels], page.texts)

    def drawn(
        self, *, magnify: int | None = None, size: tuple[int, int] | None = None
    ) -> tuple[Callable[[], bytes], tuple[int, int]]:
        """The sheet as it is drawn now: what makes a PNG file of it, as `save` writes it, and its width and height in pixels.

        Drawing holds the interpreter's lock most of the time, and deflating does not: it can be left to another thread.
        """
        page = self._page(magnify, size)
        about = {"Title": self.title, "Description": self._caption(page), "Software": "convscope"}
        return partial(png.encoded, *self._pixels(page), about=about), (page.canvas.shape[1], page.canvas.shape[0])

    def png(self) -> tuple[bytes, tuple[int, int]]:
        """The sheet as a PNG file, as `save` writes it, and its width and height in pixels."""
        encode, size = self.drawn()
        return encode(), size

    def _repr_png_(self) -> bytes:
        return self.png()[0]

    def _page(self, magnify: int | None, size: tuple[int, int] | None, wide: int | None = None) -> Page:
        if magnify is not None and magnify < 1:
            raise InputError(f"A map can be magnified by a whole number from 1 up, but received {magnify}.", received=magnify)
        known, marked = self.ranges, self.ranges.dead & self.dead_is_meaningful
        signed = self.form == "map" and (self.colour_map == "diverging" or self.colour == "rgb")
        low, high = limits(known, self.scale, signed=signed, tiles=self.tiles, between=self.between)
        # As wide as there is room for, and not a pixel more: one that is left out afterwards could be a peak.
        most = None if wide is None else wide - MARGIN
        flat = self._flat(low, high, most, size)
        magnify = 1 if self.signal is not None or self.form != "map" else magnify
        coloured = "" if self.colour == "rgb" or self.form != "map" else self.colour_map
        said = Words(
            self.title,
            self.subtitle,
            self._how(),
            self.marked_labels,
            self.row_labels,
            self.column_labels,
            words.bar(coloured, low, high, self.scale),
            self._values(known, low, high),
            self.groups,
            *((self.signal.labels, self.signal.ticks) if self.signal else ()),
        )
        dead, above = marked & (self.form != "bar"), self.signal.above(most) if self.signal else None
        given = {"columns": self.columns, "magnify": magnify, "size": size, "wide": wide, "dead": dead, "above": above}
        given["heads"] = self.heads[0].shape[:2] if self.heads else None
        page = arrange(flat, said, **given)  # type: ignore[arg-type]
        whole = self.tiles.shape[1:3] if self.form == "map" and self.signal is None else flat.shape[1:3]
        if all(large <= drawn for large, drawn in zip(whole, page.tile, strict=True)):
            return page
        page = arrange(flat, replace(said, caption=f"{said.caption} {REDUCED}."), **given)  # type: ignore[arg-type]
        return replace(page, reduced=max(large / drawn for large, drawn in zip(whole, page.tile, strict=True)))

    def _flat(self, low: Ends, high: Ends, most: int | None, size: tuple[int, int] | None) -> Bytes:
        """(t, h, w) levels of the colour map."""
        if self.signal is not None:
            return self._along(self.signal, low, high, most)
        if self.form == "curve":
            return curves(self.tiles[:, 0], low, high, most=most)
        if self.form == "bar":
            return bars(self.tiles[:, 0, 0], low, high)
        if self.colour == "rgb":  # only their place is laid out here; their colours are put in it afterwards
            return np.zeros(self.tiles.shape[:3], np.uint8)
        return self._levels(low, high, self._by_one_range, size)

    def _along(self, signal: Signal, low: Ends, high: Ends, most: int | None) -> Bytes:
        if self.form == "curve":
            return signal.curves(self.tiles[:, 0], low, high, most)
        return signal.strips(self._levels(low, high, self._by_one_range, None)[:, 0], most)

    def _values(self, known: Ranges, low: Ends, high: Ends) -> Sequence[str]:
        """What stands at the right of each label."""
        if self.form == "curve":
            return words.between(known, low, high, self.scale)
        return words.values(known, low, high, self.scale) if self.form == "map" and self.colour != "rgb" else ()

    def tile(self, number: int) -> Bytes:
        """One tile alone, (h, w, 3) colours, as many pixels as it has values."""
        page = self._page(1, None)
        (y, x), (h, w) = page.places[number], page.tile
        return colours.palette(self.colour_map)[page.canvas[y : y + h, x : x + w]]

    def _levels(self, low: Ends, high: Ends, shared: bool, size: object) -> Bytes:
        tiles, known = self.tiles, self.ranges
        if size is not None and max(tiles.shape[1:3]) > 128:
            # At a given size only every other pixel can be seen, at most: the others need not be scaled.
            step = max(tiles.shape[1:3]) // 128
            tiles = tiles[:, ::step, ::step]
        indices = levels(tiles, known, low, high, shared=shared)
        if not self.dead_is_meaningful:
            indices[known.dead] = levels_of_zero(low, high, shared=shared)[known.dead][:, None, None]
        return indices

    def _how(self) -> str:
        centred = ", centred at zero" if self.colour_map == "diverging" else ""
        rgb = "weights as red, green and blue around mid-grey"
        over = f"; {self.signal.says()}" if self.signal else ""
        drawn = (LINES.get(self.form) or (rgb if self.colour == "rgb" else self.colour_map + centred)) + over
        if self.form == "bar":
            return words.how_bars(self.ranges, len(self.tiles))
        size, count = None if self.enlarged else (self.tiles.shape[1] // self.thick, self.tiles.shape[2]), len(self.tiles)
        around = self.colour_map == "diverging" or self.colour == "rgb"
        outside = None if isinstance(self.scale, str) else beyond(self.tiles, fixed(self.scale), signed=around)
        return words.how(drawn, size, count, self.ranges, self.scale, dead_is_meaningful=self.dead_is_meaningful, outside=outside)

    def _caption(self, page: Page) -> str:
        reduced = f" Reduced {words.amount(page.reduced, 2)} times by leaving out pixels." if page.reduced > 1 else ""
        return self.caption + reduced

    def _pixels(self, page: Page, *, with_text: bool = True) -> tuple[Bytes, Bytes | None]:
        canvas, palette = page.canvas.copy(), colours.palette(self.colour_map)
        for text in page.texts if with_text else ():
            stamp(canvas, text)
        if self.colour != "rgb" and not self.heads:
            return canvas, palette
        pixels = palette[canvas]
        for picture, (y, x) in zip(self.heads, page.heads, strict=True):
            pixels[y : y + page.head[0], x : x + page.head[1]] = resized(picture[None], page.head)[0]
        return self._in_colour(pixels, page) if self.colour == "rgb" else pixels, None

    def _in_colour(self, pixels: Bytes, page: Page) -> Bytes:
        """With kernels over red, green and blue put where they stand."""
        palette = colours.palette(self.colour_map)
        low, high = limits(self.ranges, self.scale, signed=True, tiles=self.tiles, between=self.between)
        for tile, peak, (y, x) in zip(self.tiles, high, page.places, strict=True):
            bright = np.nan_to_num(tile / (2 * peak or 1) + 0.5, nan=0.5) * 255
            mixed = resized(np.clip(bright + 0.5, 0, 255).astype(np.uint8)[None], page.tile)[0]
            mixed[resized(~np.isfinite(tile).all(-1)[None], page.tile)[0]] = palette[colours.NONFINITE]
            pixels[y : y + page.tile[0], x : x + page.tile[1]] = mixed
        return pixels

    def _colours(self, page: Page) -> Bytes:
        pixels, palette = self._pixels(page)
        return pixels if palette is None else palette[pixels]
