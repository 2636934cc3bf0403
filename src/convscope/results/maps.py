"""Feature maps: what pictures left in layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Layer
from ..errors import InputError, UnknownLayer, WrongOption
from ..methods.answers import Answer
from ..methods.heaviest import Slices
from ..methods.maps import Reading
from ..methods.ranking import MEASURES, ORDERS, Evidence, ranked, statistics
from ..methods.select import by_index
from .explanation import Explanation
from .filters import Filters
from .provenance import NetworkInfo, Shown

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..pictures import Preprocess


@dataclass(frozen=True)
class FeatureMaps:
    """What some pictures left in one layer.

    values     (n, c, *spatial) float32, unscaled, one entry per picture
    reading    where exactly it was read: the layer's own output, or that of the activation after it
    evidence   how much each unit speaks for the answer, where that was measured
    """

    layer: Layer
    reading: Reading
    values: Array
    pictures: tuple[str, ...]
    evidence: Evidence | None = None

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
        table = self.statistics(number)
        return tuple(int(unit) for unit in ranked(table[by], table["mean"]))

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
        if not -len(self.values) <= picture < len(self.values):
            raise InputError(f"There is no picture {picture}: {len(self.values)} were read.", received=picture)
        return picture % len(self.values)

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
        order: str = "auto",
        columns: int | None = None,
        scale: str = "map",
        colour: str = "auto",
    ) -> Sheet:
        """A grid of this layer's maps.

        picture   which picture, by number
        first     how many maps at most; None for all
        units     these maps, in this order, instead of the first ones
        order     which come first, as for `ranked`: "auto", "answer", "mean", "max", "active", "variance", "plain"
        scale     "map", each by its own range, or "shared", one range for all
        colour    "auto" (diverging around zero if any value is negative, else viridis), or the name of a colour map
        raises    InputError for a picture or unit that does not exist; WrongOption
        """
        from ..draw import Sheet, as_planes, nearly_square

        number = self._picture(picture)
        maps = self.values[number]
        chosen = list(self.ranked(order, picture=number)[:first]) if units is None else list(units)
        if wrong := [unit for unit in chosen if not 0 <= unit < len(maps)]:
            raise InputError(f"'{self.layer.name}' has no unit {wrong[0]}: it has 0 to {len(maps) - 1}.", received=wrong[0])
        tiles, note = as_planes(maps[chosen])
        how = f", {self.ranking(order, picture=number)}" if units is None and len(maps) > 1 else ""
        shown = "all" if len(chosen) == len(maps) else f"{'the first ' if units is None else ''}{len(chosen)} of"
        return Sheet(
            tiles=tiles,
            labels=tuple(str(unit) for unit in chosen),
            title=f"{self.layer.name} · {self.pictures[number]}",
            subtitle=f"{shown} {len(maps)} maps{how}; {self.reading}{note}",
            columns=columns or nearly_square(len(chosen)),
            scale=scale,
            colour=colour,
            dead_is_meaningful=self.reading.activated,
        )

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        return sheets(self.sheet(picture=number) for number in range(min(len(self.pictures), 4)))

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
    kernels: Mapping[str, Slices] = field(default_factory=dict)  # by layer, what of its kernels weighs most
    why: Explanation | None = None  # of the first answer

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

    def save(
        self,
        folder: str | Path,
        *,
        first: int | None = 64,
        order: str = "auto",
        scale: str = "map",
        colour: str = "auto",
        single_file: bool = False,
    ) -> Path:
        """Write a study: study.json, the arrays, the sheets and a page, `index.html`. Returns the folder.

        It is written beside its final name and moved in place when it is whole. An earlier study there is replaced; any
        other folder that holds files is refused.

        single_file   write one page instead, `folder` being its name, "cat.html", with everything in it that it shows
        raises        OutputError, WrongOption
        """
        from ..single import write_file
        from ..study import write

        save = write_file if single_file else write
        return save(self, Path(folder), first=first, order=order, scale=scale, colour=colour)

    def widget(self) -> Any:
        """The page as a widget for notebooks: its `layer`, `picture` and `unit` are those chosen on it, and can be set.

        raises   MissingExtra without anywidget: pip install 'convscope[notebook]'
        """
        from ..show.widget import widget

        return widget(self)

    def _repr_html_(self) -> str:
        from ..show.html import maps

        return maps(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {tuple(each.values.shape[1:])}" for name, each in self.maps.items())
        return f"MapSet({len(self.pictures)} pictures; {names})"


def _units(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(unit) for unit in np.flatnonzero(mask))
