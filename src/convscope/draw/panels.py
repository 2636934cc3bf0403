"""Pictures side by side with a colour bar: heat maps alone, and over the picture that they are of."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, WrongOption
from ..paths import path_of
from . import colour as colours
from . import paper, png, vector
from .checks import ENDINGS
from .colour import LEVELS, MIDDLE, NONFINITE
from .files import write_whole
from .layout import Page, arrange, resized
from .lettering import Words
from .text import stamp
from .words import amount

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Bytes = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]
Limits = npt.NDArray[np.float64]
UPSAMPLING = ("bilinear", "nearest")
MAP = "diverging"
SMALLEST = 240  # pixels of the longer side that a panel has at least
UNIT = 32  # pixels of the longer side of a panel, before it is laid out for paper
MANY, MOST = 10_000, 0.005  # of so many pixels, this share is drawn as if it were no greater: one bright dot would dim the rest
OPAQUE = 0.85  # of the greatest value over a picture; less is lighter, zero lets the picture through


@dataclass(frozen=True, eq=False)
class Panels:
    """Pictures in a row or a grid, each with its label; blue is below zero, white zero, red above.

    tiles     uint8 (h, w, 3) each, all of one size
    peak      the magnitude at the ends of the colour bar; None: each panel has its own
    raises    InputError for panels of several sizes or without labels
    """

    tiles: Sequence[Bytes]
    labels: tuple[str, ...]
    title: str
    subtitle: str = ""
    caption: str = ""
    columns: int | None = None
    peak: float | None = None

    def __post_init__(self) -> None:
        if not self.tiles or len({tile.shape for tile in self.tiles}) > 1 or len(self.labels) != len(self.tiles):
            shapes = [tile.shape for tile in self.tiles]
            raise InputError(f"Panels have one size and a label each, but received {shapes} and {len(self.labels)} labels.")

    def save(self, path: str | Path, *, magnify: int | None = None, width_mm: float | None = None, dpi: int = 300) -> Path:
        """Write it, as the ending says: .png, .pdf, .svg, .jpg or .webp. In PDF and SVG words are text.

        magnify    pixels on the sheet per pixel of a picture; None: small ones are magnified to be seen
        width_mm   instead: its width on paper, 85 for a column say
        dpi        dots per inch of a file of that width
        raises     WrongOption for another ending; InputError; OutputError; then nothing is half-written
        """
        path = path_of(path)
        ending = path.suffix.lower()
        if ending not in ENDINGS:
            raise WrongOption(f"The ending of '{path.name}'", ending, ENDINGS)
        page = self._page(magnify, None if width_mm is None else paper.layout_width(width_mm))
        page, dpi = (page, paper.SCREEN) if width_mm is None else (paper.dotted(page, width_mm, dpi), dpi)
        about = f"{self.subtitle} {self.caption}"
        if ending == ".png":
            return write_whole(path, self._png(page, dpi))
        if ending in (".svg", ".pdf"):
            draw = vector.svg if ending == ".svg" else vector.pdf
            pixels = self._colours(page, with_text=False)
            return write_whole(path, draw(pixels, None, page.texts, title=self.title, about=about, dpi=dpi))
        buffer = io.BytesIO()
        Image.fromarray(self._colours(page)).save(buffer, "WEBP" if ending == ".webp" else "JPEG", quality=95, dpi=(dpi, dpi))
        return write_whole(path, buffer.getvalue())

    def png(self) -> tuple[bytes, tuple[int, int]]:
        """It as a PNG file, and its width and height in pixels."""
        page = self._page(None)
        return self._png(page), (page.canvas.shape[1], page.canvas.shape[0])

    def render(self, *, magnify: int | None = None) -> Bytes:
        """All of it as (h, w, 3) uint8 colours."""
        return self._colours(self._page(magnify))

    def figure(self, *, magnify: int | None = None) -> Figure:
        """All of it as a matplotlib Figure: its words are matplotlib's text, its axes count pixels."""
        from .figure import figure

        page = self._page(magnify)
        return figure(self._colours(page, with_text=False), page.texts)

    def _repr_png_(self) -> bytes:
        return self._png(self._page(None))

    def _png(self, page: Page, dpi: int = paper.SCREEN) -> bytes:
        about = {"Title": self.title, "Description": f"{self.subtitle} {self.caption}", "Software": "convscope"}
        return png.encoded(self._colours(page), None, about=about, dpi=dpi)

    def _page(self, magnify: int | None, wide: int | None = None) -> Page:
        h, w = self.tiles[0].shape[:2]
        if wide is not None:  # only their shape matters to where they stand, and small ones stand side by side
            h, w = (max(1, round(side * UNIT / max(h, w))) for side in (h, w))
        ends = ("-max |value|", "0", "max |value|") if self.peak is None else (amount(-self.peak), "0", amount(self.peak))
        words = Words(self.title, self.subtitle, self.caption, self.labels, bar=ends)
        flat, alive = np.zeros((len(self.tiles), h, w), np.uint8), np.zeros(len(self.tiles), bool)
        columns = self.columns or min(3, len(self.tiles))
        return arrange(
            flat, words, columns=columns, magnify=magnify or -(-SMALLEST // max(h, w)), size=None, dead=alive, wide=wide
        )

    def _colours(self, page: Page, *, with_text: bool = True) -> Bytes:
        canvas = page.canvas.copy()
        for text in page.texts if with_text else ():
            stamp(canvas, text)
        pixels = colours.palette(MAP)[canvas]
        for tile, (y, x) in zip(self.tiles, page.places, strict=True):
            pixels[y : y + page.tile[0], x : x + page.tile[1]] = resized(tile[None], page.tile)[0]
        return pixels


def alone(heat: Array, size: tuple[int, int], peak: float | None = None) -> Bytes:
    """A map (h, w) in colours, zero in white, its values picked for each pixel of `size`, never mixed.

    peak   the magnitude of the last colours; None: the map's own
    """
    return _coloured(resized(heat[None], size)[0], peak or peak_of(heat))


def blended(
    picture: Bytes, heat: Array, upsample: str = "bilinear", peak: float | None = None, large: Array | None = None
) -> Bytes:
    """A map over its picture (h, w, 3), which is shown in grey: the greater a value, the less shines through.

    large    the map at each pixel of the picture, where it is known which places stand there; None: it is stretched
    raises   WrongOption
    """
    if upsample not in UPSAMPLING:
        raise WrongOption("The upsampling", upsample, UPSAMPLING)
    h, w = picture.shape[:2]
    peak = peak or peak_of(heat)
    if large is None and upsample == "nearest":
        large = resized(heat[None], (h, w))[0]
    elif large is None:  # Pillow's filter would average where a map is larger than the picture: it never is
        large = np.asarray(Image.fromarray(np.asarray(heat, np.float32)).resize((w, h), Image.Resampling.BILINEAR))
    size = np.where(
        np.isfinite(large), np.abs(large), np.inf
    )  # what is not finite must not let the picture through, as zero does
    opacity = OPAQUE * np.sqrt(np.clip(size / peak, 0, 1))[..., None]
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)[..., None]
    mixed = _coloured(large, peak) * opacity + grey * (1 - opacity)
    return np.asarray(mixed + 0.5, np.uint8)


def spread_by(upsample: str, stands: bool) -> str:
    """How a map is made as large as its picture, in words."""
    if not stands:
        return f"stretched over the picture ({upsample}), as it is not known where in it they stand"
    how = "for every pixel that of the nearest place" if upsample == "nearest" else "mixed between neighbouring places (bilinear)"
    return f"drawn where they stand, in the middle of what each depends on, {how}"


def of_one_size(tiles: Sequence[Bytes]) -> list[Bytes]:
    """Panels (h, w, 3) of several sizes on white of the size of the largest: magnified by a whole number, never stretched."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    found = []
    for tile in tiles:
        times = min(height // tile.shape[0], width // tile.shape[1])
        large = tile.repeat(times, 0).repeat(times, 1)
        wide = [(0, height - large.shape[0]), (0, width - large.shape[1]), (0, 0)]
        found.append(np.pad(large, wide, constant_values=255))
    return found


def peak_of(heat: Array) -> float:
    """The magnitude that gets the last colours: the greatest of a map; of one of very many pixels all but the MOST greatest."""
    finite = np.abs(heat[np.isfinite(heat)])
    peak = float(np.quantile(finite, 1 - MOST)) if finite.size > MANY else 0.0
    return peak or greatest(heat) or 1.0


def check_full(full: float | None) -> None:
    """Raises InputError for what is no magnitude of the last colours."""
    if full is not None and not (isinstance(full, Real) and 0 < full < np.inf):
        raise InputError(f"The magnitude of the last colours is a number above zero, but received {full!r}.", received=full)


def greatest(heat: Array) -> float:
    """The greatest finite magnitude of a map; 0 where there is none."""
    return float(np.abs(heat[np.isfinite(heat)]).max(initial=0))


def _coloured(values: Array, peak: float) -> Bytes:
    finite = np.isfinite(values)
    levels = np.clip(np.where(finite, values, 0) / peak * MIDDLE + MIDDLE + 0.5, 0, LEVELS - 0.5).astype(np.uint8)
    levels[~finite] = NONFINITE
    painted: Bytes = colours.palette(MAP)[levels]
    return painted
