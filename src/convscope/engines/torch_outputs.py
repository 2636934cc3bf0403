"""What a torch module gives at its end, as arrays with an axis of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..errors import Unsupported
from .names import end_names
from .torch_tensors import flattened


def outputs_of(result: Any, pictures: int) -> list[torch.Tensor]:
    """The arrays in what a network returned. What a detector found in each picture is put together, see `together`.

    raises   Unsupported for what holds none, or not in an order that is known
    """
    if is_detections(result, pictures):
        return [together([each[key] for each in result]) for key in result[0]]
    found = flattened(result) or flattened(list(vars(result).values()) if hasattr(result, "__dict__") else [])
    if not found:
        raise Unsupported(
            f"The network returned {of_what(result)}, in which no arrays are found. Let its forward return tensors, alone or in "
            "a tuple, a list, a dict, a dataclass or the attributes of an object."
        )
    return [dense(each) for each in found]


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """A sparse one with its zeros, through which gradients flow."""
    return tensor if tensor.layout is torch.strided or tensor.is_nested else tensor.to_dense()


def of_what(result: Any) -> str:
    kind = type(result).__name__
    return "nothing (None)" if result is None else f"{'an' if kind[0].lower() in 'aeiou' else 'a'} {kind}"


def is_detections(result: Any, pictures: int) -> bool:
    """Whether it is what torchvision's detectors return: for each picture a dict of what was found in it."""
    of_one = isinstance(result, list) and len(result) == pictures and all(isinstance(each, Mapping) for each in result)
    return of_one and all("boxes" in each and "scores" in each for each in result)


def together(parts: list[torch.Tensor]) -> torch.Tensor:
    """(n, most, ...) float from arrays (found, ...) of each picture. Where less was found there is NaN, and no zero, which is a
    corner, a class and a score.
    """
    most = max(map(len, parts))
    floats = [each if each.is_floating_point() else each.float() for each in parts]
    return torch.stack([torch.cat([each, each.new_full((most - len(each), *each.shape[1:]), torch.nan)]) for each in floats])


def note_on(result: Any, pictures: int) -> str | None:
    """What a user has to know of the outputs."""
    if not is_detections(result, pictures):
        return None
    names = ", ".join(f"'{name}' {key}" for name, key in zip(end_names("output", len(result[0])), result[0], strict=True))
    return f"It finds another number of things in each picture; where it found less than in others, its outputs are NaN: {names}."
