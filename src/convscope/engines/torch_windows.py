"""Where the layers of torch look: kernel, stride, dilation and padding of a module."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from ..core import CONVOLUTIONS, Window
from .torch_graph import kind_of

FILLS: dict[str, Literal["zeros", "reflect", "replicate", "circular"]] = {
    "zeros": "zeros", "constant": "zeros", "reflect": "reflect", "replicate": "replicate", "circular": "circular",
}  # fmt: skip
POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.LPPool1d, nn.LPPool2d)
PADDINGS = {
    "constant": nn.modules.padding._ConstantPadNd,
    "reflect": nn.modules.padding._ReflectionPadNd,
    "replicate": nn.modules.padding._ReplicationPadNd,
    "circular": nn.modules.padding._CircularPadNd,
}

# What functions take after their input, in their order.
ARGUMENTS = {
    "max_pool": ("kernel_size", "stride", "padding", "dilation"),
    "avg_pool": ("kernel_size", "stride", "padding"),
    "conv": ("weight", "bias", "stride", "padding", "dilation"),
    "pad": ("pad", "mode", "value"),
}


def window_of(module: nn.Module, axes: int) -> Window | None:
    """Of a convolution, pooling, padding or upsampling to nearest; None for any other. `axes`: how many the map has."""
    if kind_of(module) in CONVOLUTIONS:
        return _of_convolution(module)
    if isinstance(module, POOLINGS):
        kernel = _each(module.kernel_size, axes)
        stride = _each(module.stride, axes) if module.stride else kernel
        before = _each(getattr(module, "padding", 0), axes)
        return Window(kernel, stride, _each(getattr(module, "dilation", 1), axes), tuple((each, each) for each in before))
    for fill, kind in PADDINGS.items():
        if isinstance(module, kind):
            return _of_padding(_each(module.padding, 2 * axes), fill, axes)
    return _of_upsampling(module, axes)


def window_of_call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], axes: int) -> Window | None:
    """Of a call of max_pool2d, avg_pool2d, conv2d, pad and their kin, the input first; None for any other function."""
    kind = "pad" if name == "constant_pad_nd" else re.sub(r"[123]d$", "", name)
    if kind not in ARGUMENTS or axes < 1:
        return None
    told = {**dict(zip(ARGUMENTS[kind], args[1:], strict=False)), **kwargs}
    if kind == "pad":
        return _of_padding(tuple(told["pad"]), told.get("mode") or "constant", axes)
    kernel = tuple(told["weight"].shape[2:]) if kind == "conv" else _each(told["kernel_size"], axes)
    stride = _each(told.get("stride") or (1 if kind == "conv" else kernel), axes)
    dilation, padding = _each(told.get("dilation") or 1, axes), told.get("padding") or 0
    if isinstance(padding, str):
        total = [each * (size - 1) * (padding == "same") for each, size in zip(dilation, kernel, strict=True)]
        return Window(kernel, stride, dilation, tuple((each // 2, each - each // 2) for each in total))
    return Window(kernel, stride, dilation, tuple((each, each) for each in _each(padding, axes)))


def _of_padding(sides: tuple[Any, ...], mode: str, axes: int) -> Window | None:
    """`sides`: before and after, of the last axis first; those that are not named are not padded."""
    ones = (1,) * axes
    pairs = tuple((int(sides[2 * axis]), int(sides[2 * axis + 1])) for axis in range(len(sides) // 2))[::-1]
    if len(pairs) > axes or mode not in FILLS:
        return None
    return Window(ones, ones, ones, ((0, 0),) * (axes - len(pairs)) + pairs, fill=FILLS[mode])


def _of_convolution(module: Any) -> Window:
    kernel, stride, dilation = module.kernel_size, module.stride, module.dilation
    if isinstance(module.padding, str):  # "valid", or "same" with a stride of one
        total = [each * (size - 1) * (module.padding == "same") for each, size in zip(dilation, kernel, strict=True)]
        padding = tuple((each // 2, each - each // 2) for each in total)
    else:
        padding = tuple((int(each), int(each)) for each in module.padding)
    return Window(kernel, stride, dilation, padding, module.transposed, FILLS[module.padding_mode])


def _of_upsampling(module: nn.Module, axes: int) -> Window | None:
    factor = getattr(module, "scale_factor", None)
    if not isinstance(module, nn.Upsample) or module.mode != "nearest" or factor is None:
        return None
    factors = factor if isinstance(factor, tuple) else (factor,) * axes
    if any(each != int(each) for each in factors):
        return None
    whole = tuple(int(each) for each in factors)
    return Window(whole, whole, (1,) * axes, ((0, 0),) * axes, transposed=True)


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(int(each) for each in value) if isinstance(value, tuple | list) else (int(value),) * axes
