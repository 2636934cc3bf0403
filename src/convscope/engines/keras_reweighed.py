"""A copy of a Keras model with other weights in some layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..core import Array, Kind
from ..errors import InputError, Unsupported
from .failures import first_line
from .keras_arrays import host
from .keras_inputs import Inputs
from .keras_quantised import INTEGERS
from .keras_rows import own_weights, raw_names, within

SIZE = 64  # of a picture where the network takes any


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


def check_same(model: Any, copy: Any, inputs: Inputs) -> None:
    """Raises Unsupported for a copy that answers otherwise: Keras copies what a layer says in `get_config`, and no more."""
    random, shapes = np.random.default_rng(0), [start.shape for start in inputs.starts]
    numbers = [random.integers(0, 2, [batch or 1, *(size or SIZE for size in sizes)]) for batch, *sizes in shapes]
    given = [keras.ops.convert_to_tensor(each.astype(start.dtype)) for each, start in zip(numbers, inputs.starts, strict=True)]
    with keras.StatelessScope():
        try:
            outputs = keras.tree.flatten(inputs.call(model, given))
        except Exception:  # noqa: BLE001 - it takes pictures of other sizes
            return
        try:
            copied = keras.tree.flatten(inputs.call(copy, given))
        except Exception as error:
            raise Unsupported(
                f"Keras' copy of this model does not run, so that no other weights can be tried in it. {first_line(error)}"
            ) from error
    pairs = [(host(a), host(b)) for a, b in zip(outputs, copied, strict=True) if keras.ops.is_tensor(a)]
    if not all(np.allclose(a, b, rtol=1e-3, atol=1e-4, equal_nan=True) for a, b in pairs):
        raise Unsupported(
            "Keras' copy of this model gives other answers, so that no other weights can be tried in it. Let the `get_config` of "
            "your layers say all that they were made with."
        )


def fill(operation: Any, kind: Kind, weights: Mapping[str, Array], layer: str) -> None:
    """Put `weights`, named and laid out as those that the engine gives, into a layer. Raises InputError; Unsupported for a
    quantised layer, whose kernel would be rounded to whole numbers.
    """
    inner = within(operation)
    if getattr(inner, "quantization_mode", None) in (*INTEGERS, "gptq", "awq"):
        raise Unsupported(f"'{layer}' is quantised, so that no other weights fit in it. Open the network before it is quantised.")
    own: dict[str, Any] = {}
    for weight in own_weights(operation) + (own_weights(inner) if inner is not operation else []):
        own[weight.name if weight.name not in own else weight.path] = weight
    names = {called: name for name, called in raw_names(inner, kind).items() if name in own}
    for called, values in weights.items():
        name, native = names.get(called, called), values
        if name in own and name.endswith("kernel"):
            native = native_kernel(values, name, kind, tuple(own[name].shape))
        if name not in own or native.shape != tuple(own[name].shape):
            message = f"'{layer}' has no weights '{name}' of shape {values.shape}."
            raise InputError(message, received=values.shape)
        own[name].assign(native - added_by_lora(inner) if name == "kernel" else native)


def native_kernel(kernel: Array, name: str, kind: Kind, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """From (out, in / groups, *kernel) to Keras' layout: the inverse of keras_rows.protocol_kernel."""
    spatial = tuple(range(2, kernel.ndim))
    if kind in ("depthwise", "separable") and name != "pointwise_kernel":
        if kernel.size != np.prod(shape):
            return kernel
        return kernel.reshape(shape[-2], shape[-1], *kernel.shape[2:]).transpose(*spatial, 0, 1)
    return kernel.transpose(*spatial, 0, 1) if kind == "transposed" else kernel.transpose(*spatial, 1, 0)


def added_by_lora(operation: Any) -> npt.NDArray[np.float32] | float:
    """What LoRA adds to the kernel that a layer keeps: kernels are given as they act."""
    if not getattr(operation, "lora_enabled", False):
        return 0.0
    return np.asarray(host(operation.kernel) - host(operation._kernel), np.float32)
