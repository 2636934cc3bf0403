"""Which axis of what an operation of Keras gives is that of its channels, counted with the axis of the pictures.

1 for channels first, LAST for channels last, and another where they stand between: after time in (n, t, c, h, w).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np

from ..errors import Shape
from .keras_calls import Call, is_of_keras

LAST = -1
REGROUPING = ("Reshape", "ExpandDims", "Squeeze", "Stack", "Split")
RECURRENT = (keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)


def channels_of(operation: Any, axes: int, before: tuple[int, int], usual: int) -> int:
    """The axis of the channels in an array of `axes` axes that `operation` gives.

    before   the axis of the channels in what feeds it, and how many axes that has
    usual    where they are elsewhere in the network, see `usual_channels`
    """
    inherited, axes_before = before
    order = order_of(operation, axes) if axes == axes_before else None
    if order is not None:
        moved = named(order.index(inherited % axes), axes)
        return inherited if axes > 4 and moved not in (1, LAST) else moved  # groups of channels are moved, not channels
    said = stated(operation, axes)
    if said is None:
        said = inherited if inherited in (1, LAST) or axes == axes_before else LAST if usual == LAST else 1
    return said if axes > 2 or said == LAST else 1


def stated(operation: Any, axes: int) -> int | None:
    """As the operation itself says it, of an array of `axes` axes; None where it says nothing. torch's are first."""
    if type(operation).__name__ == "TorchModuleWrapper":
        return 1
    if isinstance(operation, keras.layers.TimeDistributed) and is_of_keras(operation):
        inner = stated(operation.layer, axes - 1)
        return 2 if inner == 1 and axes > 3 else LAST if inner == 1 else inner
    if isinstance(operation, RECURRENT):
        steps = axes == operation.cell.rank + 3
        return LAST if operation.cell.data_format == "channels_last" else 2 if steps else 1
    said = getattr(operation, "data_format", None)
    if said is None or isinstance(operation, keras.layers.Flatten):
        return LAST if isinstance(operation, keras.layers.Dense) and axes > 2 else None
    return LAST if said == "channels_last" else 1


def usual_channels(operations: Iterable[Any], axes: int = 4) -> int:
    """Where the channels of maps of so many axes are, as the first operation that says so has it."""
    default = LAST if keras.config.image_data_format() == "channels_last" else 1
    said = (stated(operation, axes) for operation in operations if not isinstance(operation, keras.layers.Dense))
    return next((each for each in said if each is not None and each < axes), default)


def input_channels(calls: Sequence[Call], shape: Shape) -> int:
    """Of what goes in: as the first operation that says so has it, seen through what moves axes before that."""
    axes, orders = len(shape), []
    for call in calls:
        order, said = order_of(call.operation, axes), stated(call.operation, axes)
        if order is not None:
            orders.append(order)
        elif type(call.operation).__name__ in REGROUPING:
            orders = []  # what is moved there are other axes
        elif said is not None and not isinstance(call.operation, keras.layers.Dense):
            break
    else:
        said = usual_channels((call.operation for call in calls), axes)
        orders = []  # to where they are moved is not known then
    if axes < 3:  # what is made of it later has more axes
        return LAST if said == LAST else 1
    for order in reversed(orders):
        said = order[said % axes]
    return named(said, axes)


def order_of(operation: Any, axes: int) -> tuple[int, ...] | None:
    """Which axis goes to each place, for an operation that moves the axes of maps and leaves the pictures first; else None.

    Of three axes, tokens and their features say, both are units for somebody: they stay as they are.
    """
    kind = type(operation).__name__
    if axes < 4 or kind not in ("Permute", "Transpose", "Moveaxis", "Swapaxes") or not is_of_keras(operation):
        return None
    if kind == "Permute":
        order = [0, *operation.dims]
    elif kind == "Transpose":
        order = [axis % axes for axis in operation.axes or range(axes)[::-1]]
    else:
        moved = np.empty(range(axes))  # the sizes of its axes are their numbers
        ends = (operation.source, operation.destination) if kind == "Moveaxis" else (operation.axis1, operation.axis2)
        order = list((np.moveaxis if kind == "Moveaxis" else np.swapaxes)(moved, *ends).shape)
    return tuple(int(axis) for axis in order) if len(order) == axes and order[0] == 0 else None


def named(axis: int, axes: int) -> int:
    axis %= axes
    return LAST if axis == axes - 1 else axis


def protocol(native: Shape, channels: int) -> Shape:
    """(None, 224, 224, 64) to (64, 224, 224)."""
    if len(native) < 3:
        return native[1:]
    sizes = list(native)
    return (sizes.pop(channels), *sizes[1:])
