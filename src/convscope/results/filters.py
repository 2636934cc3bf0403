"""Filters: the learned kernels of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Layer
from ..errors import InputError
from ..methods import kernel_numbers
from ..methods.asked import how_many
from ..methods.filters import KERNELS
from ..paths import path_of
from . import filter_sheets
from .tables import save_table

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..draw.scale import Scale

UNLIKE = {
    "inner_kernel": "the layer does more than convolve with these",
    "raw_kernel": "weights of a layer that computes in a way of its own, perhaps not the kernels as they act",
}


@dataclass(frozen=True)
class Filters:
    """The learned kernels of one layer.

    weights   all of them by name, for layers with two (separable ones)
    order     in which the network receives the colours of a picture: "rgb", or "bgr" with blue as input channel 0
    silent    the filters that cannot fire, whatever the picture: their ReLU is proven to give zero; None where no ReLU follows
    folded    the BatchNorm whose scale and shift are in the weights
    groups    into how many the channels that the layer receives are parted: a filter sees those of its own group only
    sees_picture   whether the layer receives the picture itself, no other layer's maps
    """

    layer: Layer
    weights: Mapping[str, Array]
    order: str = "rgb"
    silent: tuple[int, ...] | None = None
    folded: str | None = None
    groups: int = 1
    sees_picture: bool = True

    @property
    def values(self) -> Array:
        """(out, in / groups, *kernel) float32; (out, in) of a dense layer; of a separable one the depthwise kernel, with as many
        filters as the channels between its two steps.
        """
        return next(self.weights[name] for name in KERNELS if name in self.weights)

    @property
    def biases(self) -> Array | None:
        """(out,) float32, or None where the layer has none."""
        return self.weights.get("bias")

    @property
    def in_colour(self) -> bool:
        """Whether the input channels are the red, green and blue of a picture, so that filters are shown in colour."""
        return self.values.ndim == 4 and self.values.shape[1] == 3 and self.groups == 1 and self.sees_picture

    @property
    def note(self) -> str:
        """What a sheet has to say besides: the BatchNorm in the weights, groups, the filters that cannot fire."""
        parts = [f"with '{self.folded}' folded in"] if self.folded else []
        parts += [said for name, said in UNLIKE.items() if name in self.weights]
        if self.groups > 1 and self.values.shape[1] > 1:  # of depthwise ones each tile says its channel
            size = self.values.shape[1]
            parts.append(
                f"{self.groups} groups, each filter sees {size} of {size * self.groups} channels, counted within its group"
            )
        if self.silent:
            first = ", ".join(map(str, self.silent[:12])) + (" and more" if len(self.silent) > 12 else "")
            parts.append(f"{len(self.silent)} cannot fire for any picture ({first})")
        return "".join(f"; {part}" for part in parts)

    def table(self) -> dict[str, npt.NDArray[Any]]:
        """A column per fact, with a row per filter: filter, norm, mean, sparsity, symmetry, bias, silent; of 2-D kernels of 5 x 5
        and more also the orientation, the frequency and the share `gabor` of the Gabor function that fits best.

        See convscope.methods.kernel_numbers.numbers for what each is.
        """
        biases = None if "depthwise_kernel" in self.weights else self.biases  # these are of the units, not of such filters
        columns: dict[str, npt.NDArray[Any]] = dict(kernel_numbers.numbers(self.values, biases))
        if self.silent is not None:
            columns["silent"] = np.isin(columns["filter"], self.silent)
        return columns

    def duplicates(self, threshold: float = 0.95) -> tuple[tuple[int, ...], ...]:
        """Groups of filters that are nearly the same but for their size, linked by a cosine of at least `threshold`."""
        return kernel_numbers.duplicates(self.values, threshold)

    def save(self, path: str | Path) -> Path:
        """Write the numbers, as the ending says: .csv or .parquet, the table; .npy, `values`; .npz, all weights by name.

        raises   WrongOption for another ending; OutputError; then nothing is half-written
        """
        return save_table(path_of(path), self.table(), values=self.values, arrays=self.weights)

    def sheet(
        self,
        *,
        first: int | None = 64,
        channels: int | None = 16,
        scale: Scale = "shared",
        colour: str = "auto",
    ) -> Sheet:
        """The kernels by what they are: a row per filter and a column per input channel; where there are more than `channels`,
        those that weigh most in each filter, by norm; depthwise ones a tile each; signals as curves, volumes as rows of slices;
        dense weights and 1 x 1 kernels as one matrix.

        first, channels   how many filters and input channels at most, said on the sheet; None for all
        scale             "shared" over all panels, "map", each by its own range, "percentile", or a range (low, high)
        """
        return filter_sheets.sheet(self, first, channels, scale, colour)

    def rgb_sheet(self, *, first: int | None = 64, columns: int | None = None, scale: Scale = "shared") -> Sheet:
        """One colour tile per filter, for kernels over the three colours of a picture, in the order that `order` says.

        A weight of zero is mid-grey; the greatest magnitude (of all filters, or of each with scale="map") is full colour.
        raises   InputError if the kernels do not have three input channels and two dimensions
        """
        from ..draw import Sheet, nearly_square

        if self.values.ndim != 4 or self.values.shape[1] != 3 or self.groups > 1:
            raise InputError(
                f"Colour tiles need 2-D kernels over 3 input channels, but those of '{self.layer.name}' have shape "
                f"{self.values.shape}{f' in {self.groups} groups' if self.groups > 1 else ''}. Use sheet() instead.",
                received=self.values.shape,
            )
        kernels = self.values[: how_many(first)]
        channels = (0, 1, 2) if self.order == "rgb" else (2, 1, 0)
        return Sheet(
            tiles=np.ascontiguousarray(kernels[:, channels].transpose(0, 2, 3, 1)),
            labels=tuple(str(number) for number in range(len(kernels))),
            title=f"{self.layer.name} · filters in colour",
            subtitle=f"filters {filter_sheets.of(len(kernels), len(self.values))}; red, green and blue are input channels "
            f"{channels[0]}, 1 and {channels[2]}; "
            f"mid-grey is zero; kernel {filter_sheets.by(self.values)}{self.note}",
            columns=columns or nearly_square(len(kernels)),
            scale=scale,
            colour="rgb",
        )

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        return sheets([self._first_sheet()])

    def _repr_png_(self) -> bytes:
        return self._first_sheet()._repr_png_()

    def _first_sheet(self) -> Sheet:
        return self.rgb_sheet() if self.in_colour else self.sheet()

    def __repr__(self) -> str:
        biases = "no biases" if self.biases is None else f"{len(self.biases)} biases"
        return f"Filters('{self.layer.name}', {self.values.shape}, {biases})"
