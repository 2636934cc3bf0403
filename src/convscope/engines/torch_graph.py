"""What a layer of torch is: its kind, its weights, its arrays in NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from ..core import Array, Kind
from .torch_modules import is_script

# The file of torch.nn.modules in which a layer's class, or the class it derives from, is defined.
KINDS: dict[str, Kind] = {
    "activation": "activation",
    "batchnorm": "normalisation",
    "channelshuffle": "reshape",
    "conv": "convolution",
    "dropout": "dropout",
    "flatten": "reshape",
    "fold": "reshape",
    "instancenorm": "normalisation",
    "linear": "dense",
    "normalization": "normalisation",
    "padding": "padding",
    "pixelshuffle": "reshape",
    "pooling": "pooling",
}


def kind_of(module: nn.Module) -> Kind:
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        return "transposed"
    if isinstance(module, nn.modules.conv._ConvNd):
        return "depthwise" if module.groups == module.in_channels > 1 else "convolution"
    if isinstance(module, nn.Identity | nn.MultiheadAttention) or is_script(module):
        return "other"
    for base in type(module).__mro__:
        package, _, file = base.__module__.rpartition(".")
        if package == "torch.nn.modules" and file in KINDS:
            return KINDS[file]
    return "network" if next(module.children(), None) is not None else "other"


def is_looked_into(module: nn.Module) -> bool:
    """Whether functions that its code calls have rows: in networks and in what a user wrote, not in torch's own layers."""
    kind = kind_of(module)
    return kind == "network" or (kind == "other" and not type(module).__module__.startswith(("torch.nn.", "torch.jit.")))


def has_kernel(module: nn.Module) -> bool:
    return kind_of(module) in ("convolution", "depthwise", "transposed", "dense")


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Those of the module itself, not of the modules in it; of a parametrised weight, what it is made of."""
    if is_script(module):  # in which nothing else has a row
        return list(module.parameters())
    named = dict(module.named_parameters())
    return [value for name, value in named.items() if "." not in name or name.startswith("parametrizations.")]


def weights_of(module: nn.Module) -> dict[str, Array]:
    """`kernel` (out, in / groups, *kernel) and `bias`, or all parameters and buffers of the module itself by torch's names.

    The kernel of a transposed convolution is rearranged from torch's (in, out / groups, *kernel): kernel[o, i] is what a
    single 1 in input channel i of its group stamps into output channel o. It is not mirrored.
    """
    with torch.no_grad():
        if has_kernel(module):
            kernel, bias = cast(torch.Tensor, module.weight), cast(torch.Tensor | None, module.bias)
            if isinstance(module, nn.modules.conv._ConvTransposeNd):
                kernel = kernel.reshape(module.groups, -1, *kernel.shape[1:]).transpose(1, 2).flatten(0, 1)
            found: dict[str, torch.Tensor] = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
        else:
            inner = is_script(module)
            found = {**dict(module.named_parameters(recurse=inner)), **dict(module.named_buffers(recurse=inner))}
        return {name: to_numpy(each) for name, each in found.items() if each.is_floating_point()}


def to_numpy(tensor: torch.Tensor, empty: Callable[[Sequence[int]], Array] | None = None) -> Array:
    """A copy, float32 and in one piece, whatever the dtype, the strides and the device are. `empty`: where memory is from."""
    values = tensor.detach()
    shape = tuple(values.shape)
    array = empty(shape) if empty else np.empty(shape, np.float32)  # NumPy asks for large pages, torch does not
    torch.from_numpy(array).copy_(values.dequantize() if values.is_quantized else values)
    return array
