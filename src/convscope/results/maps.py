"""Feature maps: what pictures left in layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Layer
from ..errors import InputError, UnknownLayer
from ..methods.answers import Answer
from ..methods.maps import Reading
from ..methods.select import by_index
from .filters import Filters
from .provenance import NetworkInfo, Shown

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..pictures import Preprocess


@dataclass(frozen=True)
class FeatureMaps:
    """What some pictures left in one layer.

    values    (n, c, *spatial) float32, unscaled, one entry per picture
    reading   where exactly it was read: the layer's own output, or that of the activation after it
    """

    layer: Layer
    reading: Reading
    values: Array
    pictures: tuple[str, ...]

    def dead(self, picture: int = 0) -> tuple[int, ...] | None:
        """The units whose map is zero everywhere for this picture. None before an activation, where that means nothing."""
        return _units(np.logical_not(self._flat(picture).any(axis=1))) if self.reading.activated else None

    def constant(self, picture: int = 0) -> tuple[int, ...]:
        """The units whose map has one value everywhere, other than zero; none in a dense layer, where every map is one value."""
        flat = self._flat(picture)
        return _units((flat[:, :1] == flat).all(1) & flat.any(1)) if flat.shape[1] > 1 else ()

    def nonfinite(self, picture: int = 0) -> int:
        """How many values are NaN or infinite."""
        return int(np.count_nonzero(~np.isfinite(self.values[picture])))

    def span(self, picture: int = 0) -> tuple[float, float] | None:
        """The least and the greatest finite value; None if there is none."""
        values = self.values[picture]
        finite = values[np.isfinite(values)]
        return (float(finite.min()), float(finite.max())) if finite.size else None

    def sheet(
        self,
        *,
        picture: int = 0,
        first: int | None = 64,
        units: Sequence[int] | None = None,
        columns: int | None = None,
        scale: str = "map",
        colour: str = "auto",
    ) -> Sheet:
        """A grid of this layer's maps.

        picture   which picture, by number
        first     how many maps at most; None for all
        units     these maps, in this order, instead of the first ones
        scale     "map", each by its own range, or "shared", one range for all
        colour    "auto" (diverging around zero if any value is negative, else viridis), or the name of a colour map
        raises    InputError for a picture or unit that does not exist; WrongOption
        """
        from ..draw import Sheet, as_planes, nearly_square

        if not -len(self.values) <= picture < len(self.values):
            raise InputError(f"There is no picture {picture}: {len(self.values)} were read.", received=picture)
        maps = self.values[picture]
        numbers = range(len(maps))[:first] if units is None else list(units)
        if wrong := [unit for unit in numbers if not 0 <= unit < len(maps)]:
            raise InputError(f"'{self.layer.name}' has no unit {wrong[0]}: it has 0 to {len(maps) - 1}.", received=wrong[0])
        tiles, note = as_planes(maps[: len(numbers)] if units is None else maps[list(numbers)])
        shown = "all" if len(numbers) == len(maps) else f"{'the first ' if units is None else ''}{len(numbers)} of"
        return Sheet(
            tiles=tiles,
            labels=tuple(str(unit) for unit in numbers),
            title=f"{self.layer.name} · {self.pictures[picture]}",
            subtitle=f"{shown} {len(maps)} maps; {self.reading}{note}",
            columns=columns or nearly_square(len(numbers)),
            scale=scale,
            colour=colour,
            dead_is_meaningful=self.reading.activated,
        )

    def _flat(self, picture: int) -> Array:
        flat: Array = self.values[picture].reshape(self.values.shape[1], -1)
        return flat

    def __repr__(self) -> str:
        return f"FeatureMaps('{self.layer.name}', {self.values.shape}, {self.reading})"


@dataclass(frozen=True)
class MapSet(Mapping[str, FeatureMaps]):
    """Feature maps of some pictures, by layer: `maps["block1_conv2"].values`."""

    maps: Mapping[str, FeatureMaps]
    network: NetworkInfo
    pictures: tuple[Shown, ...]
    preprocess: Preprocess
    asked: Mapping[str, Any]  # what was asked for: at, activated
    answers: tuple[tuple[Answer, ...], ...] | None = None
    answers_from: str | None = None  # how the probabilities were found
    filters: Filters | None = None  # of the first convolution

    def __getitem__(self, layer: str | int) -> FeatureMaps:
        if isinstance(layer, int):
            layer = by_index(self.network.graph, layer)
        if layer not in self.maps:
            raise UnknownLayer(layer, list(self.maps))
        return self.maps[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    def save(self, folder: str | Path, *, first: int | None = 64, scale: str = "map", colour: str = "auto") -> Path:
        """Write a study: study.json, the arrays, the sheets and a page, `index.html`. Returns the folder.

        It is written beside its final name and moved in place when it is whole. An earlier study there is replaced; any
        other folder that holds files is refused.
        raises   OutputError, WrongOption
        """
        from ..study import write

        return write(self, Path(folder), first=first, scale=scale, colour=colour)

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {tuple(each.values.shape[1:])}" for name, each in self.maps.items())
        return f"MapSet({len(self.pictures)} pictures; {names})"


def _units(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(unit) for unit in np.flatnonzero(mask))
