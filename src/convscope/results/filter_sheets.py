"""How the kernels of a layer are drawn: by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core import Array
from ..methods.asked import how_many

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..draw.scale import Scale
    from .filters import Filters


def sheet(filters: Filters, first: int | None, channels: int | None, scale: Scale, colour: str) -> Sheet:
    values = filters.values
    if values.ndim == 2 or all(size == 1 for size in values.shape[2:]):
        return matrix(filters, scale, colour)
    if values.shape[1] == 1:
        return tiles(filters, first, scale, colour)
    most = how_many(channels)
    if most is None or values.shape[1] <= most:
        return panels(filters, first, scale, colour)
    return strongest(filters, first, most, scale, colour)


def matrix(filters: Filters, scale: Scale, colour: str) -> Sheet:
    """Dense weights and 1 x 1 kernels: units down, inputs across."""
    from ..draw import Sheet

    values = filters.values.reshape(filters.values.shape[:2])
    units, inputs = len(values), values[0].size
    what = "weights" if filters.values.ndim == 2 else f"kernels of {by(filters.values)} as a matrix"
    return Sheet(
        tiles=values[None],
        labels=("",),
        title=f"{filters.layer.name} · {what}",
        subtitle=f"{units} units (down) by {inputs} inputs (across){filters.note}",
        columns=1,
        scale=scale,
        colour=colour,
    )


def tiles(filters: Filters, first: int | None, scale: Scale, colour: str) -> Sheet:
    """Depthwise kernels, and those over a single channel: a tile each."""
    from ..draw import Sheet, nearly_square

    kernels = filters.values[: how_many(first)]
    flat, form, note = planes(kernels[:, 0])
    depthwise = filters.layer.kind in ("depthwise", "separable")
    each = over_channels(len(filters.values), filters.groups) if depthwise else "one input channel"
    if "pointwise_kernel" in filters.weights:
        each += f"; they are no units: each of the layer's {len(filters.weights['pointwise_kernel'])} mixes all that these give"
    return Sheet(
        tiles=flat,
        labels=tuple(str(number) for number in range(len(flat))),
        title=f"{filters.layer.name} · filters",
        subtitle=f"filters {of(len(flat), len(filters.values))}, {each}; kernel {by(filters.values)}{note}{filters.note}",
        columns=nearly_square(len(flat)),
        form=form,
        scale=scale,
        colour=colour,
    )


def over_channels(count: int, channels: int) -> str:
    """Which input channel each of the tiles of a depthwise kernel is over; with one channel, that may not be known."""
    multiplier = count // channels
    if channels == 1 or multiplier == 1:
        return f"each over {'its own' if multiplier == 1 else 'one'} input channel"
    return f"{multiplier} one after the other over each input channel, {', '.join(map(str, range(multiplier)))} over channel 0"


def panels(filters: Filters, first: int | None, scale: Scale, colour: str) -> Sheet:
    """A row per filter and a column per input channel."""
    from ..draw import Sheet

    kernels = filters.values[: how_many(first)]
    rows, columns = kernels.shape[:2]
    flat, form, note = planes(kernels.reshape(rows * columns, *kernels.shape[2:]))
    return Sheet(
        tiles=flat,
        labels=tuple(f"{row}·{column}" for row in range(rows) for column in range(columns)),
        title=f"{filters.layer.name} · filters",
        subtitle=f"filters {of(rows, len(filters.values))}, input channels {of(columns, columns)}; "
        f"kernel {by(filters.values)}{note}{filters.note}",
        columns=columns,
        form=form,
        scale=scale,
        colour=colour,
        row_labels=tuple(f"filter {row}" for row in range(rows)),
        column_labels=tuple(f"input {column}" for column in range(columns)),
    )


def strongest(filters: Filters, first: int | None, channels: int, scale: Scale, colour: str) -> Sheet:
    """A row per filter with the input channels that weigh most in it, by the norm of their part of the kernel."""
    from ..draw import Sheet

    kernels = filters.values[: how_many(first)]
    norms = np.linalg.norm(kernels.reshape(*kernels.shape[:2], -1), axis=2)
    chosen = np.argsort(-norms, axis=1, kind="stable")[:, :channels]
    picked = np.take_along_axis(kernels, chosen.reshape(*chosen.shape, *[1] * (kernels.ndim - 2)), axis=1)
    flat, form, note = planes(picked.reshape(-1, *kernels.shape[2:]))
    share = float((np.take_along_axis(norms, chosen, axis=1) ** 2).sum() / max(float((norms**2).sum()), 1e-30))
    return Sheet(
        tiles=flat,
        labels=tuple(str(channel) for channel in chosen.ravel()),
        title=f"{filters.layer.name} · filters",
        subtitle=f"filters {of(len(kernels), len(filters.values))}; of {filters.values.shape[1]} input channels the {channels} "
        f"that weigh most in each filter, by the norm of their part ({share:.0%} of the energy), the channel's number over each; "
        f"kernel {by(filters.values)}{note}{filters.note}",
        columns=channels,
        form=form,
        scale=scale,
        colour=colour,
        row_labels=tuple(f"filter {row}" for row in range(len(kernels))),
    )


def planes(kernels: Array) -> tuple[Array, str, str]:
    """(t, *kernel) as the tiles of a sheet, their form, and a note on it: signals as curves, volumes as rows of slices."""
    from ..draw import as_planes

    if kernels.ndim == 2:
        return kernels[:, None, :], "curve", ""
    flat, note = as_planes(kernels)
    return flat, "map", note


def of(shown: int, there: int) -> str:
    numbers = f"0 to {shown - 1}" if shown > 1 else "0"
    return numbers if shown == there else f"{numbers} of {there}"


def by(kernels: Array) -> str:
    return " x ".join(str(size) for size in kernels.shape[2:])
