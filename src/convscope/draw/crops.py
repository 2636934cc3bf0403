"""Cut-outs of pictures in a grid, each with a label: what a unit saw. Colours are those of the picture; nothing is rescaled."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from ..errors import WrongOption
from ..paths import path_of
from .files import write_whole
from .text import font, line_height, shortened, wrapped

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
MARGIN, GAP, TITLE, SMALL = 12, 8, 15, 11
INK, GREY, EMPTY = (20, 20, 20), (110, 110, 110), (225, 225, 225)
ENDINGS = (".png", ".jpg", ".webp")


@dataclass(frozen=True, eq=False)
class CropSheet:
    """crops    uint8 (h, w, 3), of any sizes; None is drawn as an empty place
    side     pixels of the longer side of each crop on the sheet; small crops are enlarged without smoothing
    marks    per crop a box in it, (top, left, bottom, right) in its pixels, or None
    """

    crops: Sequence[Pixels | None]
    labels: Sequence[str]
    title: str
    subtitle: str = ""
    columns: int = 3
    side: int = 112
    marks: Sequence[Box | None] | None = None

    def __repr__(self) -> str:
        return f"CropSheet({self.title!r}, {len(self.crops)} crops)"

    @property
    def caption(self) -> str:
        return f"{self.title}. {self.subtitle}"

    def image(self) -> Image.Image:
        """The sheet as a PIL image."""
        rows = -(-len(self.crops) // self.columns) or 1
        width = max(2 * MARGIN + self.columns * (self.side + GAP) - GAP, 360)
        title, lines = shortened(self.title, TITLE, width - 2 * MARGIN), wrapped(self.subtitle, SMALL, width - 2 * MARGIN)
        top = MARGIN + line_height(TITLE) + len(lines) * line_height(SMALL) + GAP
        canvas = Image.new("RGB", (width, top + rows * (self.side + line_height(SMALL) + GAP) + MARGIN - GAP), "white")
        draw = ImageDraw.Draw(canvas)
        draw.text((MARGIN, MARGIN), title, fill=INK, font=font(TITLE))
        for number, line in enumerate(lines):
            draw.text((MARGIN, MARGIN + line_height(TITLE) + number * line_height(SMALL)), line, fill=GREY, font=font(SMALL))
        for number, (crop, label) in enumerate(zip(self.crops, self.labels, strict=True)):
            left = MARGIN + number % self.columns * (self.side + GAP)
            at = top + number // self.columns * (self.side + line_height(SMALL) + GAP)
            self._place(canvas, crop, left, at)
            if crop is not None and self.marks and (mark := self.marks[number]):
                self._mark(draw, mark, self.side / max(crop.shape[:2]), left, at)
            draw.text((left, at + self.side + 1), shortened(label, SMALL, self.side), fill=GREY, font=font(SMALL))
        return canvas

    def _place(self, canvas: Image.Image, crop: Pixels | None, left: int, top: int) -> None:
        if crop is None:
            canvas.paste(EMPTY, (left, top, left + self.side, top + self.side))
            return
        scale = self.side / max(crop.shape[:2])
        size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
        how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
        canvas.paste(Image.fromarray(crop).resize(size, how), (left, top))

    def _mark(
        self, draw: ImageDraw.ImageDraw, mark: tuple[float, float, float, float], scale: float, left: int, top: int
    ) -> None:
        """Light within dark, so that it can be seen on any picture."""
        box = [left + mark[1] * scale, top + mark[0] * scale, left + mark[3] * scale - 1, top + mark[2] * scale - 1]
        draw.rectangle([box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1], outline=(0, 0, 0), width=3)
        draw.rectangle(box, outline=(255, 255, 255), width=1)

    def save(self, path: str | Path) -> Path:
        """Write the sheet: .png, .jpg or .webp. Raises WrongOption, OutputError; then nothing is half-written."""
        path = path_of(path)
        if path.suffix.lower() not in ENDINGS:
            raise WrongOption(f"The ending of '{path.name}'", path.suffix.lower(), ENDINGS)
        content = io.BytesIO()
        self.image().save(content, {".jpg": "JPEG"}.get(path.suffix.lower(), path.suffix[1:].upper()))
        return write_whole(path, content.getvalue())

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.image().save(content, "PNG")
        return content.getvalue()
