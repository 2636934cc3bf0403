"""What a layer of torch is: its kind, its weights, its arrays in NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ..core import OF_THE_BATCH, Array, Kind
from .memory import Pool, copied
from .torch_attributes import parts_of, registered_in
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
    "upsampling": "resizing",
}
# Where those are defined; quantised ones have their own, and `weight()` and `bias()` in place of parameters.
QUANTISED = ("torch.ao.nn.quantized.modules", "torch.ao.nn.quantized.dynamic.modules")
PACKAGES = ("torch.nn.modules", *QUANTISED)
ATOMIC = (nn.Identity, nn.MultiheadAttention)


def kind_of(module: nn.Module) -> Kind:
    if isinstance(module, ATOMIC) or is_script(module):
        return "other"
    file = file_of(type(module))  # type: ignore[arg-type]
    if file is not None:
        return kind_of_convolution(module) if file == "conv" else KINDS[file]
    return "network" if any(each is not None for each in module._modules.values()) else "other"


@lru_cache(maxsize=1024)
def file_of(layer: type[nn.Module]) -> str | None:
    """Where torch has the class, or the first one that it derives from: looked up for hundreds of layers, of few classes."""
    for base in layer.__mro__:
        package, _, file = base.__module__.rpartition(".")
        if package in PACKAGES and file in KINDS and not base.__name__.endswith("PackedParams"):
            return file
    return None


def kind_of_convolution(module: Any) -> Kind:
    if module.transposed:
        return "transposed"
    return "depthwise" if module.groups == module.in_channels > 1 else "convolution"


def acts_as_torchs(module: Any) -> bool:
    """Whether it does what torch's layer does that its class is or derives from: no code and no hook of the user's is in it.

    While a network is watched there is one hook of ours.
    """
    ways = [getattr(type(module), name, None) for name in ("forward", "_conv_forward")]
    own = "forward" in vars(module) or len(module._forward_hooks) > 1
    return not own and all(each is None or str(each.__module__).startswith("torch.") for each in ways)


def is_quantised(module: nn.Module) -> bool:
    return derives_from(type(module), QUANTISED) and kind_of(module) != "other"  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def derives_from(layer: type[nn.Module], packages: tuple[str, ...]) -> bool:
    return any(base.__module__.rpartition(".")[0] in packages for base in layer.__mro__)


def is_quantised_by_values(module: nn.Module) -> bool:
    """Whether it rounds what it is given, by how large the values are that it is given together."""
    return any(base.__module__.startswith(QUANTISED[1]) for base in type(module).__mro__)


def native_of(module: nn.Module) -> str:
    """By its class; quantised ones are called as the others, and say another name themselves."""
    own: Any = module
    name: str = own._get_name() if is_quantised(module) else type(module).__name__
    return name + OF_THE_BATCH if isinstance(module, BatchNorm) and module.running_mean is None else name


def activation_in(module: nn.Module) -> str | None:
    return "relu" if is_quantised(module) and "ReLU" in native_of(module) else None


def is_looked_into(module: nn.Module) -> bool:
    """Whether functions that its code calls have rows: in networks and in what a user wrote, not in torch's own layers."""
    kind = kind_of(module)
    return kind == "network" or (kind == "other" and not type(module).__module__.startswith(("torch.nn.", "torch.jit.")))


def has_kernel(module: nn.Module) -> bool:
    return kind_of(module) in ("convolution", "depthwise", "transposed", "dense")


def kernel_of(module: Any) -> torch.Tensor:
    return module.weight() if is_quantised(module) else module.weight  # type: ignore[no-any-return]


def bias_of(module: Any) -> torch.Tensor | None:
    return module.bias() if is_quantised(module) else module.bias  # type: ignore[no-any-return]


def sizes_of(module: nn.Module) -> tuple[int, int]:
    """How many parameters are its own, and how many of these are trained."""
    if has_kernel(module) and is_quantised(module):
        bias = bias_of(module)
        return kernel_of(module).numel() + (0 if bias is None else bias.numel()), 0
    own = own_parameters(module)
    return sum(each.numel() for each in own), sum(each.numel() for each in own if each.requires_grad)


def size_of(network: nn.Module) -> int:
    """How many parameters there are, shared ones counted once."""
    parts = parts_of(network)
    quantised = sum(sizes_of(each)[0] for each in parts if is_quantised(each))
    return int(sum(each.numel() for each in registered_in(parts, "_parameters"))) + quantised


def own_parameters(module: nn.Module) -> list[nn.Parameter]:
    """Those of the module itself, not of the modules in it; of a parametrised weight, what it is made of."""
    if is_script(module):  # in which nothing else has a row
        return list(module.parameters())
    own = list(dict.fromkeys(each for each in module._parameters.values() if each is not None))
    made_of = module._modules.get("parametrizations")
    return own if made_of is None else list(dict.fromkeys((*own, *made_of.parameters())))


def weights_of(module: nn.Module) -> dict[str, Array]:
    """`kernel` (out, in / groups, *kernel) and `bias`, or all parameters and buffers of the module itself by torch's names.

    The kernel of a transposed convolution is rearranged from torch's (in, out / groups, *kernel): kernel[o, i] is what a
    single 1 in input channel i of its group stamps into output channel o. It is not mirrored.
    """
    with torch.no_grad():
        if has_kernel(module):
            kernel, bias = kernel_of(module), bias_of(module)
            found = {"kernel": acting(module, kernel)} | ({} if bias is None else {"bias": bias})
        else:
            inner = is_script(module)
            found = {**dict(module.named_parameters(recurse=inner)), **dict(module.named_buffers(recurse=inner))}
        return {name: to_numpy(each) for name, each in found.items() if each.is_floating_point() or each.is_quantized}


def acting(module: Any, kernel: torch.Tensor) -> torch.Tensor:
    """(out, in / groups, *kernel)."""
    if kind_of(module) != "transposed":
        return kernel
    values = kernel.dequantize() if kernel.is_quantized else kernel
    return values.reshape(module.groups, -1, *values.shape[1:]).transpose(1, 2).flatten(0, 1)


def to_numpy(tensor: torch.Tensor, pool: Pool | None = None) -> Array:
    """A copy, float32 and in one piece, whatever the dtype, the strides and the device are. `pool`: where memory is from."""
    values = tensor.detach() if tensor.requires_grad else tensor
    values = values.dequantize() if values.is_quantized else values
    return pool.copy(values) if pool else copied(values)
