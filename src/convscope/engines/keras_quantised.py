"""The kernel that a quantised layer of Keras multiplies with, in float32: what is packed and scaled, undone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from ..core import Array
from ..errors import Unsupported
from .keras_arrays import contiguous, host

PLAIN = (None, "float8")  # modes in which the kernel is kept as it is
INTEGERS = ("int8", "int4")


def kernel_values(operation: Any, name: str) -> Array:
    """The kernel `name` of a layer, with LoRA's part added. Raises Unsupported for one packed by GPTQ or AWQ."""
    mode = getattr(operation, "quantization_mode", None)
    if mode in PLAIN:
        return contiguous(host(getattr(operation, name)))
    if mode not in INTEGERS:
        raise Unsupported(
            f"The kernel of '{operation.name}' is packed as {mode} and cannot be shown. Open the network before it is quantised."
        )
    values = int8(operation) if mode == "int8" else int4(operation)
    return values + low_rank(operation) if operation.lora_enabled else values


def size(operation: Any, weight: Any) -> int:
    """How many numbers a weight holds; two in each byte of a kernel in int4."""
    packed = getattr(operation, "quantization_mode", None) == "int4" and weight is operation._kernel
    return int(np.prod(operation.kernel.shape if packed else weight.shape))


def int8(operation: Any) -> Array:
    """Whole numbers divided by a scale per output; EinsumDense keeps that in the order of its outputs."""
    scale = operation.kernel_scale.value
    if hasattr(operation, "_adjust_scale_for_dequant"):
        scale = operation._adjust_scale_for_dequant(scale)
    return contiguous(host(operation._kernel)) / contiguous(host(scale))


def int4(operation: Any) -> Array:
    """Two in each byte along the last axis; a scale per output, or a scale and a zero per group of inputs."""
    shape = getattr(operation, "original_kernel_shape", None)  # of EinsumDense, which packs a matrix
    columns = operation._orig_output_dim if shape is None else operation._int4_unpacked_column_size
    whole = contiguous(host(keras.quantizers.unpack_int4(operation._kernel.value, columns, axis=-1)))
    scale = contiguous(host(operation.kernel_scale.value))
    if hasattr(operation, "kernel_zero"):
        groups = host(operation.g_idx.value).astype(int)
        values: Array = (whole - contiguous(host(operation.kernel_zero.value))[groups]) * scale[groups]
    else:
        values = whole / scale
    return values if shape is None else values.reshape(shape)


def low_rank(operation: Any) -> Array:
    """What LoRA adds to the kernel."""
    narrow, wide = (contiguous(host(each.value)) for each in (operation.lora_kernel_a, operation.lora_kernel_b))
    return np.asarray(np.matmul(narrow, wide) * (operation.lora_alpha / operation.lora_rank), np.float32)
