"""Feature maps of several layers, with the network, the pictures and the answers that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from ..errors import InputError, LeftOut, UnknownLayer
from ..methods.answers import Answer
from ..methods.asked import picture_number
from ..methods.heaviest import Slices
from ..methods.select import Row, name_of
from ..paths import path_of
from . import arrays, map_sheets, on_pictures
from .all_layers import all_layers
from .explanation import Explanation
from .filters import Filters
from .maps import FeatureMaps
from .provenance import NetworkInfo, Shown
from .tables import save_table

if TYPE_CHECKING:
    from ..draw import Panels, Sheet
    from ..draw.crops import CropSheet
    from ..draw.scale import Scale
    from ..pictures import Preprocess


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
    # Of a group that was asked for ("all", "block5_*"), what could not be read, and why: {layer: a sentence}.
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, layer: Row) -> FeatureMaps:
        name = name_of(self.network.graph, layer)
        if name in self.left_out:
            raise LeftOut(name, list(self.maps), self.left_out[name])
        if name not in self.maps:
            raise UnknownLayer(name, list(self.maps))
        return self.maps[name]

    def firing(self, picture: int = 0, *, above: float = 0.0) -> dict[str, list[int]]:
        """{layer: [units]}: in every layer the units whose map rises above `above`, the strongest first."""
        return {name: list(each.firing(picture, above=above)) for name, each in self.maps.items()}

    def answers_sheet(self, picture: int = 0) -> Sheet:
        """The best answers as bars. Raises InputError where they were not asked for, or the network is no classifier."""
        if self.answers is None:
            raise InputError("There are no answers: look() asks for them, of a network that is a classifier.")
        number = picture_number(picture, len(self.pictures), "looked at")
        return map_sheets.answers(self.answers[number], self.pictures[number].name, self.answers_from or "")

    def sheet(
        self,
        *,
        picture: int = 0,
        first: int | None = 8,
        order: str = "auto",
        scale: Scale = "map",
        colour: str = "auto",
    ) -> Sheet:
        """The first maps of every layer on one sheet, to print say; layers without rows and columns are left out, and named.

        raises   InputError where there is no other; and as `FeatureMaps.sheet`
        """
        return all_layers(self.maps, picture, first, order, scale, colour)

    def overlay(
        self,
        layer: str | int,
        *,
        picture: int = 0,
        first: int | None = 9,
        units: Sequence[int] | None = None,
        order: str = "auto",
        upsample: str = "nearest",
    ) -> Panels:
        """The maps of some units over the picture as the network received it.

        Each place stands over the middle of what it depends on; where that is not known the map is stretched, and it is said.

        upsample   "nearest" invents no detail; "bilinear" is smoother
        raises     as `FeatureMaps.sheet`
        """
        maps = self[layer]
        number, (chosen, how) = maps._picture(picture), maps._chosen(picture, first, units, order)
        return on_pictures.overlay(maps, self.pictures[number], self.network.graph, number, chosen, how, upsample)

    def crops(
        self,
        layer: str | int,
        *,
        picture: int = 0,
        first: int | None = 12,
        units: Sequence[int] | None = None,
        order: str = "auto",
    ) -> CropSheet:
        """The part of the picture that each unit sees where it is strongest, next to its map.

        raises   Unsupported where the graph does not show what a unit sees; then `net.receptive_field` measures it
        """
        maps = self[layer]
        number, (chosen, how) = maps._picture(picture), maps._chosen(picture, first, units, order)
        return on_pictures.crops(maps, self.pictures[number], self.network.graph, number, chosen, how)

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """Columns with a row per picture, layer and unit: picture, layer, unit, mean, max, active, variance, answer."""
        return arrays.table(self.maps)

    def export(self, path: str | Path) -> Path:
        """Write the maps of all layers, or what is known of each unit, to one file, as the ending says.

        .npz, .zarr         {layer: (n, c, *spatial)}
        .csv, .parquet      `table()`
        raises              WrongOption for another ending; MissingExtra; OutputError; then nothing is half-written
        """
        values = {name: each.values for name, each in self.maps.items()}
        return save_table(path_of(path), self.table(), values=None, arrays=values)

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
        scale: Scale = "map",
        colour: str = "auto",
        single_file: bool = False,
    ) -> Path:
        """Write a study: study.json, the arrays, the sheets and a page, `index.html`. Returns the folder.

        It is written beside its final name and moved in place when it is whole. An earlier study there is replaced; any
        other folder that holds files is refused.

        single_file   write one page instead, `folder` being its name, "cat.html", with everything in it that it shows
        raises        OutputError, WrongOption
        """
        from ..studies.folder import write
        from ..studies.record import Drawn
        from ..studies.single import write_file

        save = write_file if single_file else write
        return save(self, path_of(folder), Drawn(first, order, scale, colour))

    def widget(self) -> Any:
        """The page as a widget for notebooks: its `layer`, `picture` and `unit` are those chosen on it, and can be set.

        raises   MissingExtra without anywidget: pip install 'convscope[notebook]'
        """
        from ..show.widget import widget

        return widget(self)

    def _repr_html_(self) -> str:
        from ..show.html import maps

        return maps(self)

    def _repr_png_(self) -> bytes:
        """For what shows no pages, such as a notebook that is printed: the maps of the last layer."""
        return next(reversed(list(self.values()))).sheet(first=16)._repr_png_()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": repr(self), "text/html": self._repr_html_(), "image/png": self._repr_png_()}

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {tuple(each.values.shape[1:])}" for name, each in self.maps.items())
        left = "".join(f"\nLeft out: {why}" for why in dict.fromkeys(self.left_out.values()))
        return f"MapSet({len(self.pictures)} pictures; {names}){left}"
