"""A copy of a torch module with other weights in some layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ..core import Array
from ..errors import InputError, Unsupported
from .torch_graph import has_kernel, is_quantised


def copied(module: nn.Module) -> nn.Module:
    """A deep copy. Raises Unsupported for a module that cannot be copied."""
    try:
        return copy.deepcopy(module)
    except Exception as error:
        raise Unsupported(f"This network cannot be copied ({error}), so that no other weights can be tried in it.") from error


def fill(module: nn.Module, weights: Mapping[str, Array], layer: str) -> None:
    """Put `weights`, named and laid out as those that the engine gives, into a module. Raises InputError."""
    kernel = has_kernel(module)
    if is_quantised(module):
        raise Unsupported(f"The weights of '{layer}' are quantised, and cannot be replaced.")
    with torch.no_grad():
        for name, values in weights.items():
            path = "weight" if kernel and name.endswith("kernel") else name
            own: Any = module
            for part in path.split("."):
                own = getattr(own, part, None)
            given = torch.from_numpy(values.copy())
            if kernel and path == "weight" and isinstance(module, nn.modules.conv._ConvTransposeNd):
                # From (out, in / groups, *kernel) back to torch's (in, out / groups, *kernel).
                given = given.reshape(module.groups, -1, *given.shape[1:]).transpose(1, 2).flatten(0, 1)
            if not isinstance(own, torch.Tensor) or own.shape != given.shape:
                expected = tuple(own.shape) if isinstance(own, torch.Tensor) else None
                message = f"'{layer}' has no weights '{name}' of shape {values.shape}."
                raise InputError(message, received=values.shape, expected=expected)
            if nn.utils.parametrize.is_parametrized(module, "weight") and path == "weight":
                raise Unsupported(f"The weights of '{layer}' are made from others (a parametrisation), and cannot be replaced.")
            own.copy_(given)
