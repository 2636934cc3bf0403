"""A copy of a Keras model with other weights in some layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..core import Array, Kind
from ..errors import InputError, Unsupported
from .keras_rows import own_weights, within


def copied(model: Any) -> Any:
    """A clone with the same weights. Raises Unsupported for a model that Keras cannot clone."""
    try:
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Unsupported(
            f"Keras cannot clone this model ({said}), so that no other weights can be tried in it. Functional and Sequential "
            "models can be cloned."
        ) from error
    return clone


def fill(operation: Any, kind: Kind, weights: Mapping[str, Array], layer: str) -> None:
    """Put `weights`, named and laid out as those that the engine gives, into a layer. Raises InputError."""
    inner = within(operation)
    own: dict[str, Any] = {}
    for weight in own_weights(operation) + (own_weights(inner) if inner is not operation else []):
        own[weight.name if weight.name not in own else weight.path] = weight
    for name, values in weights.items():
        native = values
        if name in own and name.endswith("kernel"):
            native = native_kernel(values, name, kind, tuple(own[name].shape))
        if name not in own or native.shape != tuple(own[name].shape):
            message = f"'{layer}' has no weights '{name}' of shape {values.shape}."
            raise InputError(message, received=values.shape)
        own[name].assign(native)


def native_kernel(kernel: Array, name: str, kind: Kind, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """From (out, in / groups, *kernel) to Keras' layout: the inverse of keras_rows.protocol_kernel."""
    spatial = tuple(range(2, kernel.ndim))
    if kind in ("depthwise", "separable") and name != "pointwise_kernel":
        if kernel.size != np.prod(shape):
            return kernel
        return kernel.reshape(shape[-2], shape[-1], *kernel.shape[2:]).transpose(*spatial, 0, 1)
    return kernel.transpose(*spatial, 0, 1) if kind == "transposed" else kernel.transpose(*spatial, 1, 0)
