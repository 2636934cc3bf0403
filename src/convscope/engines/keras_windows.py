"""Where the layers of Keras look: kernel, stride, dilation and padding of an operation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..core import CONVOLUTIONS, Kind, Window
from .keras_calls import is_of_keras


def window_of(operation: Any, kind: Kind, axes: int) -> Window | None:
    """Of a convolution, pooling, padding, cropping or upsampling to nearest that is a layer of Keras' own; None for any other.

    A layer that derives from one of these with a `call` of its own may look elsewhere: it may pad first.
    """
    if (
        not isinstance(operation, keras.Layer)
        or isinstance(operation, keras.layers.Wrapper)
        or axes < 1
        or not is_of_keras(operation)
    ):
        return None
    if kind in CONVOLUTIONS and hasattr(operation, "kernel_size"):
        sizes = operation.kernel_size, operation.strides, getattr(operation, "dilation_rate", 1)
        return _window(*sizes, operation.padding, axes, transposed=kind == "transposed", more=operation)
    if kind == "pooling" and hasattr(operation, "pool_size"):
        return _window(operation.pool_size, operation.strides or operation.pool_size, 1, operation.padding, axes)
    ones = (1,) * axes
    if kind == "padding":
        outside = getattr(operation, "padding", None) or getattr(operation, "cropping", None)
        sign = 1 if hasattr(operation, "padding") else -1
        numbers = np.asarray(outside)
        if numbers.size != 2 * axes:
            return None
        return Window(ones, ones, ones, tuple((sign * int(low), sign * int(high)) for low, high in numbers.reshape(axes, 2)))
    if "UpSampling" in type(operation).__name__ and getattr(operation, "interpolation", "nearest") == "nearest":
        factors = _each(operation.size, axes)
        return Window(factors, factors, ones, ((0, 0),) * axes, transposed=True)
    return None


def _window(
    kernel: Any, stride: Any, dilation: Any, padding: Any, axes: int, *, transposed: bool = False, more: Any = None
) -> Window | None:
    if padding not in ("valid", "same", "causal"):
        return None
    k, s, d = _each(kernel, axes), _each(stride, axes), _each(dilation, axes)
    if transposed:
        if getattr(more, "output_padding", None) is not None:
            return None
        # The reverse of the convolution that makes the input of the output.
        total = [max((size - 1) * each + 1 - step, 0) * (padding == "same") for size, step, each in zip(k, s, d, strict=True)]
        return Window(k, s, d, tuple((each // 2, each - each // 2) for each in total), transposed=True)
    if padding == "same":
        return Window(k, s, d, "same")
    before = [(size - 1) * each * (padding == "causal") for size, each in zip(k, d, strict=True)]
    return Window(k, s, d, tuple((each, 0) for each in before))


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(int(each) for each in value) if isinstance(value, tuple | list) else (int(value),) * axes
