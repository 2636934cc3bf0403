"""Which layers of a torch module can be computed on parts of maps, and how: copies that do not pad, and plain functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..core import Array, Layer, Part, input_names
from .torch_functions import Function
from .torch_graph import to_numpy
from .torch_modules import Way
from .torch_untouched import RUNNING

if TYPE_CHECKING:
    from .torch import TorchEngine

Compute = Callable[..., torch.Tensor]
# By class, not by what they derive from: a class of the user's may do anything.
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
MEANS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
PADDINGS = (nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
NOTHING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
OF_EACH_VALUE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish, nn.Hardsigmoid,
    nn.Hardtanh, nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.Sigmoid, nn.LogSigmoid, nn.Tanh, nn.Softplus, nn.Softsign,
    nn.Threshold,
)  # fmt: skip
KNOWN = frozenset((*CONVOLUTIONS, *MAXIMA, *MEANS, *BATCH_NORMS, *PADDINGS, *NOTHING, *OF_EACH_VALUE))
FUNCTIONS: dict[str, Compute] = {
    "relu": F.relu, "relu6": F.relu6, "leaky_relu": F.leaky_relu, "elu": F.elu, "selu": F.selu, "gelu": F.gelu, "silu": F.silu,
    "mish": F.mish, "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "sigmoid": torch.sigmoid, "tanh": torch.tanh,
    "softplus": F.softplus,
}  # fmt: skip
OF_TWO: dict[str, Compute] = {"add": torch.add, "mul": torch.mul, "maximum": torch.maximum, "minimum": torch.minimum}
JOINS = ("cat", "concat", "concatenate")


class Locals:
    """The layers of `engine` that can be computed on parts. What its functions do is looked up once, when it is first asked."""

    def __init__(self, engine: TorchEngine):
        self._engine = engine
        self._calls: dict[str, int] | None = None  # of functions called with nothing but so many arrays

    def of(self, row: Layer) -> Part | None:
        """None on a device of its own too: parts would travel back and forth, and whole maps are quick there."""
        engine = self._engine
        if engine._like.device.type != "cpu" or not row.inputs or row.name in engine._odd or self._looked_up() is None:
            return None
        if row.function:
            compute = self._function(row)
            return None if compute is None else Part(self._on_arrays(compute))
        module = engine._modules.get(row.name)
        if module is None or len(row.inputs) != 1 or any(each.dtype != engine._like.dtype for each in module.parameters()):
            return None  # of a network of several precisions nobody knows in which of them a map flows
        found = local(module)
        return None if found is None else Part(self._on_arrays(found[0]) if found[0] else first, found[1])

    def _function(self, row: Layer) -> Compute | None:
        if (self._looked_up() or {}).get(row.name) != len(row.inputs):
            return None
        if row.native in JOINS:
            return lambda *tensors: torch.cat(tensors, 1)
        return {1: FUNCTIONS, 2: OF_TWO}.get(len(row.inputs), {}).get(row.native)

    def _looked_up(self) -> dict[str, int] | None:
        """None for a network whose code looks at values."""
        if self._engine.looks:
            return None
        if self._calls is None:
            calls: dict[str, int] = {}

            def visit(name: str, tensor: torch.Tensor, maker: Any, _alias: bool) -> torch.Tensor:
                if isinstance(maker, Function) and is_plain(maker):
                    calls[name] = len(maker.given)
                return tensor

            inputs = zip(input_names(self._engine.graph), self._engine._inputs, strict=True)
            trial = {name: np.zeros((1, *each.shape), np.float32) for name, each in inputs}
            with torch.no_grad():
                self._engine._call(trial, visit, Way(functions=True))
            self._calls = calls
        return self._calls

    def _on_arrays(self, compute: Compute) -> Callable[[Sequence[Array]], Array]:
        like = self._engine._like

        def call(arrays: Sequence[Array]) -> Array:
            with RUNNING, torch.inference_mode(False), torch.no_grad():
                tensors = [torch.from_numpy(np.require(each, np.float32, "W")).to(like.dtype) for each in arrays]
                result = compute(*tensors)
            return result.numpy() if result.dtype is torch.float32 else to_numpy(result)

        return call


def first(arrays: Sequence[Array]) -> Array:
    return arrays[0]


def is_plain(function: Function) -> bool:
    """Whether a call says nothing but which arrays; of those that are joined, that it is by channels."""
    args, kwargs = function.args, function.kwargs
    if function.name in JOINS:
        return len(args) + len(kwargs) == 2 and isinstance(args[0], tuple | list) and (*args[1:], *kwargs.values())[0] == 1
    return all(isinstance(each, torch.Tensor) for each in args) and set(kwargs) <= {"inplace"}


def local(module: nn.Module) -> tuple[Compute | None, float] | None:
    """How it computes parts, None for as they are; and what stands beyond the edges. None where it is not known."""
    kind: Any = type(module)
    if kind not in KNOWN or "forward" in vars(module) or module._forward_hooks or module._forward_pre_hooks:
        return None
    alike: Any = copy.copy(module)  # with the same weights
    alike.training = False
    if kind in NOTHING:
        return None, 0.0
    if kind in PADDINGS:
        return None, float(getattr(alike, "value", 0.0))
    if kind in OF_EACH_VALUE:
        alike.inplace = False
        return alike.forward, 0.0
    if kind in BATCH_NORMS:
        return None if alike.running_mean is None else (alike.forward, 0.0)
    if kind in MAXIMA and not alike.return_indices:
        alike.padding, alike.ceil_mode = 0, False
        return alike.forward, -np.inf
    if kind in MEANS and not alike.ceil_mode and (alike.count_include_pad or not np.any(alike.padding)):
        alike.padding = 0
        return alike.forward, 0.0
    if kind in CONVOLUTIONS and alike.padding_mode == "zeros":
        alike.padding = (0,) * len(alike.kernel_size)
        return alike.forward, 0.0
    return None
