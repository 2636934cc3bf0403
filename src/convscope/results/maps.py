"""Feature maps: what pictures left in layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Layer
from ..errors import InputError, WrongOption
from ..methods.asked import how_many, picture_number, unit_numbers
from ..methods.maps import Reading
from ..methods.ranking import MEASURES, ORDERS, Evidence, ranked, statistics
from ..paths import path_of
from . import arrays, map_sheets
from .oddities import oddities, sentences
from .signals import Signals
from .tables import save_table

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..draw.scale import Scale
    from ..pictures import Prepared


@dataclass(frozen=True)
class FeatureMaps:
    """What some pictures left in one layer.

    values     (n, c, *spatial) float32, unscaled, one entry per picture
    reading    where exactly it was read: the layer's own output, or that of the activation after it
    evidence   how much each unit speaks for the answer, where that was measured
    signals    of a network over signals: what it received, to be drawn over the maps
    prepared   what the network received, by which other pictures of the same names are told from these
    """

    layer: Layer
    reading: Reading
    values: Array
    pictures: tuple[str, ...]
    evidence: Evidence | None = None
    signals: Signals | None = None
    prepared: Prepared | None = field(default=None, repr=False, compare=False)

    def statistics(self, picture: int = 0) -> dict[str, npt.NDArray[Any]]:
        """A column per fact, with a row per unit: `unit`, the MEASURES `mean`, `max`, `active` (share above zero) and `variance`,
        and `answer`, how much the unit speaks for the answer, where that was measured. NaN where a map holds one.

        raises   InputError for a picture that does not exist
        """
        number = self._picture(picture)
        columns = {name: each[0] for name, each in statistics(self.values[number : number + 1]).items()}
        answer = {} if self.evidence is None else {"answer": self.evidence.values[number]}
        return {"unit": np.arange(self.values.shape[1]), **columns, **answer}

    def ranked(self, by: str = "auto", *, picture: int = 0) -> tuple[int, ...]:
        """All unit numbers, those first that are worth looking at.

        by        "answer", how much a unit speaks for the answer; "mean", "max", "active" or "variance" of its map; "plain", as
                  they are numbered; "auto": "answer" where that was measured, else "mean"
        returns   the greatest first; those with a NaN, or not measured, last
        raises    WrongOption; InputError for "answer" where it was not measured, and for a picture that does not exist
        """
        by = self._by(by)
        number = self._picture(picture)
        if by == "plain":
            return tuple(range(self.values.shape[1]))
        table = statistics(self.values[number : number + 1], {"mean", by} - {"answer"})
        measure = self.evidence.values[number] if by == "answer" and self.evidence is not None else table[by][0]
        return tuple(ranked(measure, table["mean"][0]).tolist())

    def ranking(self, by: str = "auto", *, picture: int = 0) -> str:
        """`by` in words: "ranked by how much each speaks for 'cat' (gradient x activation of the network's output)"."""
        by = self._by(by)
        if by == "plain":
            return "as they are numbered"
        if by != "answer" or self.evidence is None:
            return f"ranked by {MEASURES[by]}"
        return f"ranked by how much each speaks for '{self.evidence.labels[self._picture(picture)]}' ({self.evidence.how})"

    def _by(self, by: str) -> str:
        if by not in ORDERS:
            raise WrongOption("What units are ranked by", by, ORDERS)
        if by == "answer" and self.evidence is None:
            raise InputError(
                f"How much the units of '{self.layer.name}' speak for the answer was not measured. "
                "Use look(), or maps(..., ranked=True); or rank them by 'mean', 'max', 'active' or 'variance'.",
                received=by,
            )
        return ("mean" if self.evidence is None else "answer") if by == "auto" else by

    def _picture(self, picture: int) -> int:
        return picture_number(picture, len(self.values), "read")

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

    def oddities(self, picture: int = 0) -> dict[str, tuple[int, ...]]:
        """Unit numbers by what is odd about their maps: "dead", "constant", "saturated" (tanh, sigmoid), "nonfinite".

        Dead ones are listed only after an activation: before one, zero means nothing.
        """
        number = self._picture(picture)
        return oddities(self.values[number], activated=self.reading.activated, activation=self.reading.activation)

    def explained(self, picture: int = 0) -> tuple[str, ...]:
        """A sentence for each kind of odd map that there is: how many, which, and what it means."""
        return sentences(self.oddities(picture))

    def firing(self, picture: int = 0, *, above: float = 0.0) -> dict[int, float]:
        """{unit: the greatest value of its map}, those over `above`, the greatest first: of a dense layer the units that fire."""
        greatest = self.statistics(picture)["max"]
        return {int(unit): float(greatest[unit]) for unit in ranked(greatest) if greatest[unit] > above}

    def sheet(
        self,
        *,
        picture: int = 0,
        first: int | None = 64,
        units: Sequence[int] | None = None,
        order: str = "auto",
        columns: int | None = None,
        scale: Scale = "map",
        colour: str = "auto",
        form: str | None = None,
        channels: Sequence[str | int] | None = None,
    ) -> Sheet:
        """A grid of this layer's maps; of a dense layer a bar for each unit, with its value.

        picture   which picture, by number
        first     how many maps at most; None for all
        units     these maps, in this order, instead of the first ones; a single one is drawn large
        order     which come first, as for `ranked`: "auto", "answer", "mean", "max", "active", "variance", "plain"
        scale     "map", each by its own range; "shared", one range for all; "percentile", each by its 1st to 99th percentile;
                  (low, high), the same range on every sheet that is drawn so, whatever its maps hold
        colour    "auto" (diverging around zero if any value is negative, else viridis), or the name of a colour map
        form      of signals "map" (heat strips), or over the signal itself "curve" or "strip"; of a dense layer "bar", "strip"
                  (all units in their order) or "map"
        channels  which channels of the signal are drawn above curves and strips, by name or number; None: the first six
        raises    InputError for a picture or unit that does not exist; WrongOption
        """
        number, (chosen, how) = self._picture(picture), self._chosen(picture, first, units, order)
        return map_sheets.grid(
            self, number, chosen, how, columns=columns, scale=scale, colour=colour, form=form, channels=channels
        )

    def side_by_side(
        self,
        *,
        first: int | None = 8,
        units: Sequence[int] | None = None,
        order: str = "auto",
        scale: Scale = "shared",
        colour: str = "auto",
    ) -> Sheet:
        """A row per unit and a column per picture, all by one range. The order is that of picture 0. Raises as `sheet`."""
        chosen, how = self._chosen(0, first, units, order)
        how = map_sheets.chosen(chosen, self.values.shape[1], "units", how)
        return map_sheets.several(self, chosen, how, scale, colour)

    def beside(
        self, after: FeatureMaps, *, picture: int = 0, first: int | None = 8, scale: Scale = "shared", colour: str = "auto"
    ) -> Sheet:
        """These maps and those of another network, after fine-tuning say, with the units that changed most first.

        raises   InputError where `after` is not of the same pictures and sizes
        """
        return map_sheets.beside(self, after, self._picture(picture), first, scale, colour)

    def gif(
        self,
        path: str | Path,
        *,
        first: int | None = 16,
        units: Sequence[int] | None = None,
        order: str = "auto",
        colour: str = "auto",
        seconds: float = 0.8,
    ) -> Path:
        """Write a .gif with a frame per picture: the same units, chosen by picture 0, all by one range. Raises as `sheet`."""
        from ..draw import save_gif

        chosen, _ = self._chosen(0, first, units, order)
        return save_gif(map_sheets.frames(self, chosen, colour), path_of(path), seconds=seconds)

    def save(self, path: str | Path) -> Path:
        """Write the values, or what `statistics` says of each unit, as the ending says.

        .npy, .npz, .zarr    `values`, (n, c, *spatial)
        .csv, .parquet       a row per picture and unit
        raises               WrongOption for another ending; MissingExtra; OutputError; then nothing is half-written
        """
        name = self.layer.name
        return save_table(path_of(path), arrays.table({name: self}), values=self.values, arrays={name: self.values})

    def to_xarray(self) -> Any:
        """An xarray.DataArray (picture, unit, y, x), with the pictures' names and where it was read; of signals (..., x),
        with the `sample` over which each position stands. Raises MissingExtra.
        """
        return arrays.to_xarray(self)

    def _chosen(self, picture: int, first: int | None, units: Sequence[int] | None, order: str) -> tuple[list[int], str]:
        """Unit numbers, and in words how they were chosen. Raises InputError, WrongOption."""
        number, there = self._picture(picture), self.values.shape[1]
        most = how_many(first)
        if units is not None:
            return unit_numbers(units, there, self.layer.name), ""
        how = f", {self.ranking(order, picture=number)}" if there > 1 else ""
        return list(self.ranked(order, picture=number)[:most]), how

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        return sheets(self.sheet(picture=number) for number in range(min(len(self.pictures), 4)))

    def _repr_png_(self) -> bytes:
        return self.sheet()._repr_png_()

    def _flat(self, picture: int) -> Array:
        flat: Array = self.values[picture].reshape(self.values.shape[1], -1)
        return flat

    def __repr__(self) -> str:
        return f"FeatureMaps('{self.layer.name}', {self.values.shape}, {self.reading})"


def _units(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(unit) for unit in np.flatnonzero(mask))
