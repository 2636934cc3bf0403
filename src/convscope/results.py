"""What the verbs of a network return: frozen data with its provenance. Drawing and saving them never runs the network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .core import Array, Graph, Layer
from .errors import InputError, UnknownLayer
from .methods.answers import Answer
from .methods.maps import Reading
from .methods.select import by_index

if TYPE_CHECKING:
    from .draw import Sheet
    from .pictures import Preprocess


@dataclass(frozen=True)
class NetworkInfo:
    """Which network it was. `notes`: what had to be assumed about it, a sentence each."""

    name: str
    source: str
    framework: str
    graph: Graph
    sha256: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A picture as the network received it: un-normalised, uint8 (h, w, 3), with what was done to it."""

    name: str
    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...] = ()


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
        from .draw import Sheet

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
class Filters:
    """The learned kernels of one layer.

    weights   all of them by name, for layers with two (separable ones)
    order     in which the network receives the colours of a picture: "rgb", or "bgr" with blue as input channel 0
    """

    layer: Layer
    weights: Mapping[str, Array]
    order: str = "rgb"

    @property
    def values(self) -> Array:
        """(out, in / groups, *kernel) float32; of a separable layer the depthwise kernel; (out, in) of a dense layer."""
        return self.weights["kernel"] if "kernel" in self.weights else self.weights["depthwise_kernel"]

    @property
    def biases(self) -> Array | None:
        """(out,) float32, or None where the layer has none."""
        return self.weights.get("bias")

    def sheet(
        self,
        *,
        first: int | None = 64,
        channels: int | None = 16,
        scale: str = "shared",
        colour: str = "auto",
    ) -> Sheet:
        """A row per filter and a column per input channel; dense weights as one matrix.

        first, channels   how many filters and input channels at most, said on the sheet; None for all
        scale             "shared" over all panels, or "map", each by its own range
        """
        from .draw import Sheet

        if self.values.ndim == 2:
            return self._matrix_sheet(scale, colour)
        kernels = self.values[: _some(first), : _some(channels)]
        rows, columns = kernels.shape[:2]
        tiles, note = as_planes(kernels.reshape(rows * columns, *kernels.shape[2:]))
        of_filters, of_channels = self.values.shape[:2]
        return Sheet(
            tiles=tiles,
            labels=tuple(f"{row}·{column}" for row in range(rows) for column in range(columns)),
            title=f"{self.layer.name} · filters",
            subtitle=f"filters {_of(rows, of_filters)}, input channels {_of(columns, of_channels)}; "
            f"kernel {_by(self.values)}{note}",
            columns=columns,
            scale=scale,
            colour=colour,
            row_labels=tuple(f"filter {row}" for row in range(rows)),
            column_labels=tuple(f"input {column}" for column in range(columns)),
        )

    def _matrix_sheet(self, scale: str, colour: str) -> Sheet:
        from .draw import Sheet

        units, inputs = self.values.shape
        return Sheet(
            tiles=self.values[None],
            labels=("",),
            title=f"{self.layer.name} · weights",
            subtitle=f"{units} units (down) by {inputs} inputs (across)",
            columns=1,
            scale=scale,
            colour=colour,
        )

    def rgb_sheet(self, *, first: int | None = 64, columns: int | None = None, scale: str = "shared") -> Sheet:
        """One colour tile per filter, for kernels over the three colours of a picture, in the order that `order` says.

        A weight of zero is mid-grey; the greatest magnitude (of all filters, or of each with scale="map") is full colour.
        raises   InputError if the kernels do not have three input channels and two dimensions
        """
        from .draw import Sheet

        if self.values.ndim != 4 or self.values.shape[1] != 3:
            raise InputError(
                f"Colour tiles need 2-D kernels over 3 input channels, but those of '{self.layer.name}' have shape "
                f"{self.values.shape}. Use sheet() instead.",
                received=self.values.shape,
            )
        kernels = self.values[: _some(first)]
        channels = (0, 1, 2) if self.order == "rgb" else (2, 1, 0)
        return Sheet(
            tiles=np.ascontiguousarray(kernels[:, channels].transpose(0, 2, 3, 1)),
            labels=tuple(str(number) for number in range(len(kernels))),
            title=f"{self.layer.name} · filters in colour",
            subtitle=f"filters {_of(len(kernels), len(self.values))}; red, green and blue are input channels "
            f"{channels[0]}, 1 and {channels[2]}; "
            f"mid-grey is zero; kernel {_by(self.values)}",
            columns=columns or nearly_square(len(kernels)),
            scale=scale,
            colour="rgb",
        )

    def __repr__(self) -> str:
        biases = "no biases" if self.biases is None else f"{len(self.biases)} biases"
        return f"Filters('{self.layer.name}', {self.values.shape}, {biases})"


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
        from .study import write

        return write(self, Path(folder), first=first, scale=scale, colour=colour)

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {tuple(each.values.shape[1:])}" for name, each in self.maps.items())
        return f"MapSet({len(self.pictures)} pictures; {names})"


def as_planes(values: Array) -> tuple[Array, str]:
    """(t, *spatial) as flat pictures (t, h, w), and a note on how, where it is not plain.

    Signals become strips, volumes their slices side by side, single values one pixel.
    """
    if values.ndim == 1:
        return values[:, None, None], ""
    if values.ndim == 2:
        thick = max(1, values.shape[1] // 8)
        return np.repeat(values[:, None, :], thick, axis=1), "; signals drawn as strips"
    if values.ndim == 3:
        return values, ""
    t, depth, h, w = values.shape
    return values.transpose(0, 2, 1, 3).reshape(t, h, depth * w), f"; the {depth} slices of each volume side by side"


def nearly_square(count: int) -> int:
    """How many columns make `count` tiles a square, or a little wider than high: 64 -> 8, 96 -> 10, 3 -> 2."""
    return max(1, math.ceil(math.sqrt(count)))


def _some(first: int | None) -> int | None:
    """How many to draw; None for all. Raises InputError."""
    if first is not None and (isinstance(first, bool) or not isinstance(first, int) or first < 1):
        raise InputError(f"How many to draw is a number from 1 on, or None for all, but received {first!r}.", received=first)
    return first


def _units(mask: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(int(unit) for unit in np.flatnonzero(mask))


def _of(shown: int, there: int) -> str:
    numbers = f"0 to {shown - 1}" if shown > 1 else "0"
    return numbers if shown == there else f"{numbers} of {there}"


def _by(kernels: Array) -> str:
    return " x ".join(str(size) for size in kernels.shape[2:])
