"""What Keras knows about an operation, as one row of the layer table."""

from __future__ import annotations

import re
from typing import Any

import keras

from ..core import CONVOLUTIONS, Array, Kind
from ..errors import Shape
from .keras_arrays import contiguous, host
from .keras_calls import is_of_keras
from .keras_kernels import einsum_kernel, protocol_kernel
from .keras_quantised import kernel_values, size

# Where in keras.src.layers a layer's class, or the class that it derives from, is defined.
LAYERS: dict[str, Kind] = {
    r"activations\.": "activation",
    r"convolutional\.conv\d?\w*_transpose": "transposed",
    r"convolutional\.(base_)?depthwise": "depthwise",
    r"convolutional\.(base_)?separable": "separable",
    r"convolutional\.": "convolution",
    r"core\.(dense|einsum_dense)": "dense",
    r"merging\.": "merge",
    r"normalization\.(?!spectral)": "normalisation",
    r"preprocessing\.normalization": "normalisation",
    r"pooling\.": "pooling",
    r"regularization\.(?!activity)": "dropout",
    r"reshaping\.(zero_padding|cropping)": "padding",
    r"(reshaping\.up_sampling|preprocessing\.image_preprocessing\.resizing)": "resizing",
    r"reshaping\.(flatten|permute|repeat|reshape)": "reshape",
}
# Operations of keras.ops, by their class.
OPERATIONS: dict[str, Kind] = {
    r"Add|Average|Concatenate|Divide|Maximum|Minimum|Multiply|Stack|Subtract|TrueDivide": "merge",
    r"\w*(elu|ELU|lu6|Relu|Sigmoid|Silu|Softmax|Softplus|Softsign|Swish|Tanh)": "activation",
    r"(Average|Adaptive\w*|Max)Pool": "pooling",
    r"(Batch|Layer|Group|RMS)?Norm(alization|alize|alise)?": "normalisation",
    r"ConvTranspose": "transposed",
    r"DepthwiseConv": "depthwise",
    r"SeparableConv": "separable",
    r"Conv": "convolution",
    r"ExpandDims|GetItem|Moveaxis|Ravel|Reshape|Squeeze|Swapaxes|Transpose": "reshape",
    r"Pad": "padding",
    r"Resize": "resizing",
}


def within(operation: Any) -> Any:
    """The layer that a wrapper of Keras' own is around, TimeDistributed or SpectralNormalization; else the operation itself."""
    return operation.layer if isinstance(operation, keras.layers.Wrapper) and is_of_keras(operation) else operation


def kind_of(operation: Any, *, is_network: bool) -> Kind:
    operation = within(operation)
    for base in type(operation).__mro__:
        package, _, place = base.__module__.partition(".src.")
        known, text = (LAYERS, place.removeprefix("layers.")) if place.startswith("layers.") else (OPERATIONS, base.__name__)
        if package != "keras" or not place.startswith(("layers.", "ops.")):
            continue
        for pattern, kind in known.items():
            if re.match(pattern, text) if known is LAYERS else re.fullmatch(pattern, text):
                return "depthwise" if kind == "convolution" and has_own_kernel_per_channel(operation) else kind
    return "network" if is_network else "other"


def has_own_kernel_per_channel(operation: Any) -> bool:
    groups = getattr(operation, "groups", 1)
    return bool(groups > 1 and getattr(operation, "built", False) and operation.kernel.shape[-2] == 1)


def facts(operation: Any, kind: Kind) -> dict[str, Any]:
    """Parameters, kernel and activation of a row."""
    weights, trained = getattr(operation, "weights", ()), getattr(operation, "trainable_weights", ())
    return {
        "parameters": sum(size(operation, each) for each in weights),
        "trainable": sum(size(operation, each) for each in trained),
        "kernel": kernel_shape(within(operation), kind),
        "activation": activation_of(within(operation), kind),
    }


def kernel_shape(operation: Any, kind: Kind) -> Shape | None:
    if kind not in (*CONVOLUTIONS, "dense"):
        return None
    kernel = getattr(operation, "depthwise_kernel" if kind == "separable" else "kernel", None)
    return None if kernel is None else tuple(kernel.shape)


def activation_of(operation: Any, kind: Kind) -> str | None:
    """The name of the activation inside a layer; None for a linear one."""
    activation = getattr(operation, "activation", None)
    if kind == "activation" and getattr(operation, "negative_slope", None) and type(operation).__name__ == "ReLU":
        return "leaky_relu"
    if kind not in (*CONVOLUTIONS, "dense", "activation") or not callable(activation):
        return None
    name = getattr(activation, "__name__", None) or type(activation).__name__.lower()
    return None if name == "linear" else name


def weights_of(operation: Any, kind: Kind) -> dict[str, Array]:
    """`kernel` (out, in / groups, *kernel), or `depthwise_kernel` and `pointwise_kernel`; `bias`; others by Keras' names.

    Of a layer with a `call` of its own they are called as in RAW: it may standardise or turn them before it convolves.

    raises   Unsupported for a kernel that GPTQ or AWQ packed
    """
    found = {}
    inner = within(operation)
    for weight in own_weights(operation) + (own_weights(inner) if inner is not operation else []):
        name = weight.name if weight.name not in found else weight.path
        found[name] = contiguous(host(weight.value))
    for name in [name for name in found if name.endswith("kernel") and kind in (*CONVOLUTIONS, "dense")]:
        values = kernel_values(inner, name)
        equation = getattr(inner, "equation", None)
        found[name] = einsum_kernel(values, equation) if equation else protocol_kernel(values, name, kind)
    raw = raw_names(inner, kind)
    return {raw.get(name, name): values for name, values in found.items()}


def raw_names(operation: Any, kind: Kind) -> dict[str, str]:
    """How kernels are called of which it is not known how they act; empty where it is."""
    return {} if is_of_keras(operation) or kind not in (*CONVOLUTIONS, "dense") else RAW


RAW = {"kernel": "raw_kernel", "depthwise_kernel": "raw_kernel", "pointwise_kernel": "raw_pointwise_kernel"}


def own_weights(operation: Any) -> list[Any]:
    """Those of the operation itself, without those of the layers in it."""
    inside = getattr(operation, "_layers", ())
    below = {id(weight) for layer in inside for weight in layer.weights}
    return [weight for weight in getattr(operation, "weights", ()) if id(weight) not in below]
