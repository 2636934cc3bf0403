"""Where the layers of torch look: kernel, stride, dilation and padding of a module."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from ..core import Window

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


def window_of(module: nn.Module, axes: int) -> Window | None:
    """Of a convolution, pooling, padding or upsampling to nearest; None for any other. `axes`: how many the map has."""
    if isinstance(module, nn.modules.conv._ConvNd):
        return _of_convolution(module)
    if isinstance(module, POOLINGS):
        kernel = _each(module.kernel_size, axes)
        stride = _each(module.stride, axes) if module.stride else kernel
        before = _each(getattr(module, "padding", 0), axes)
        return Window(kernel, stride, _each(getattr(module, "dilation", 1), axes), tuple((each, each) for each in before))
    for fill, kind in PADDINGS.items():
        if isinstance(module, kind):
            ones, sides = (1,) * axes, _each(module.padding, 2 * axes)  # of the last axis first
            pairs = tuple((sides[2 * axis], sides[2 * axis + 1]) for axis in range(len(sides) // 2))[::-1]
            return Window(ones, ones, ones, pairs, fill=FILLS[fill]) if len(pairs) == axes else None
    return _of_upsampling(module, axes)


def _of_convolution(module: nn.modules.conv._ConvNd) -> Window:
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
