"""Filters: the learned kernels of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core import Array, Layer
from ..errors import InputError

if TYPE_CHECKING:
    from ..draw import Sheet


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
        from ..draw import Sheet, as_planes

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
        from ..draw import Sheet

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
        from ..draw import Sheet, nearly_square

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


def _some(first: int | None) -> int | None:
    """How many to draw; None for all. Raises InputError."""
    if first is not None and (isinstance(first, bool) or not isinstance(first, int) or first < 1):
        raise InputError(f"How many to draw is a number from 1 on, or None for all, but received {first!r}.", received=first)
    return first


def _of(shown: int, there: int) -> str:
    numbers = f"0 to {shown - 1}" if shown > 1 else "0"
    return numbers if shown == there else f"{numbers} of {there}"


def _by(kernels: Array) -> str:
    return " x ".join(str(size) for size in kernels.shape[2:])
