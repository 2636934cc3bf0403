"""The top pictures of a unit, and the parts of them that it saw, as a sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError
from .crops import Field
from .finishing import thumbnail
from .table import Table

if TYPE_CHECKING:
    from ..draw.crops import CropSheet

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class TopPictures:
    """The strongest first. rows: name, label, value, y and x of the position in the map.

    words     which pictures they are: "that drive it most"
    measure   what the values are: "maxima"
    what      "unit", or "concept"
    fires     whether a maximum of zero means that it is silent there; no crop is shown then
    """

    folder: Path
    layer: str
    unit: int
    rows: Table
    field: Field | None
    preprocess: str
    words: str = "that drive it most"
    measure: str = "maxima"
    what: str = "unit"
    fires: bool = True

    def boxes(self) -> list[tuple[int, int, int, int]]:
        """top, left, bottom, right of what is shown of each, in pixels of what the network received. Raises InputError."""
        if self.field is None:
            raise InputError(f"'{self.layer}' has no maps with rows and columns, so that its units see the picture as a whole.")
        return [self.field.box(int(y), int(x)) for y, x in zip(self.rows["y"], self.rows["x"], strict=True)]

    def crops(self) -> list[Pixels | None]:
        """uint8 (h, w, 3), what the unit saw in each picture, from the thumbnails; None without one, and where it is silent."""
        result: list[Pixels | None] = []
        silent = self.silent
        for place, (number, y, x) in enumerate(zip(self.rows["picture"], self.rows["y"], self.rows["x"], strict=True)):
            path = self.folder / thumbnail(int(number), self.field.of if self.field else "")
            if silent[place] or not path.exists():
                result.append(None)
                continue
            pixels = np.asarray(Image.open(path).convert("RGB"))
            result.append(pixels if self.field is None else self._crop(pixels, int(y), int(x)))
        return result

    @property
    def silent(self) -> npt.NDArray[np.bool_]:
        """(rows,) whether the unit does not fire in the picture, so that its position there means nothing."""
        result: npt.NDArray[np.bool_] = np.asarray(self.rows["value"] == 0) & (self.fires and self.measure == "maxima")
        return result

    def _crop(self, pixels: Pixels, y: int, x: int) -> Pixels:
        assert self.field is not None
        scale = pixels.shape[0] / self.field.size[0], pixels.shape[1] / self.field.size[1]
        top, left, bottom, right = self.field.box(y, x)
        rows = slice(int(top * scale[0]), max(int(np.ceil(bottom * scale[0])), int(top * scale[0]) + 1))
        columns = slice(int(left * scale[1]), max(int(np.ceil(right * scale[1])), int(left * scale[1]) + 1))
        return pixels[rows, columns]

    def sheet(self, *, columns: int | None = None, side: int = 112) -> CropSheet:
        """The crops in a grid, each with its value and its picture. `side`: pixels that a crop is drawn with."""
        from ..draw.crops import CropSheet
        from ..draw.words import amount

        rows: list[dict[str, Any]] = self.rows.to_dicts()
        values = [row["value"] for row in rows]
        span = f"{amount(max(values))} to {amount(min(values))}" if values else "none"
        maxima = self.measure == "maxima"
        same = maxima and len(values) > 1 and max(values) == min(values) > 0
        equal = " All are equal, and in the order of the means of their maps." if same else ""
        silent = "" if maxima or not values or max(values) > 0 else " It speaks for the answer in none of them."
        if self.silent.any():
            silent = f" It fires in {(~self.silent).sum() or 'none'} of them."
        seen = "the whole picture" if self.field is None else self.field.words
        return CropSheet(
            crops=self.crops(),
            labels=tuple(f"{amount(row['value'])} · {row['label'] or row['name'].split('/')[-1]}" for row in rows),
            title=f"{self.layer} · {self.what} {self.unit} · the {len(rows)} pictures {self.words}",
            subtitle=f"{self.measure[:1].upper()}{self.measure[1:]}: {span}, the strongest first; shown: {seen}; "
            f"pictures as the network received them, "
            f"{self.preprocess}.{equal}{silent}",
            columns=columns or max(1, int(np.ceil(np.sqrt(len(rows))))),
            side=side,
        )
