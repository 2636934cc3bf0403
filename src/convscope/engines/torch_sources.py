"""What is known of the tensors that a step of a torch module was given."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from .torch_axis_rules import Placed, Sizes

Given = Sequence[tuple[torch.Tensor, int]]  # tensors, and how often each had been written into when it was used
Parents = tuple[str, ...] | None  # the steps behind an array; none for weights and constants; None if they are not known


class Source(NamedTuple):
    """What is known of a tensor that was seen. `written`: how often it had been written into; `axis`: see torch_axis."""

    tensor: weakref.ref[torch.Tensor]
    written: int
    parents: Parents
    axis: int | None
    counted: bool


Sources = list[tuple[torch.Tensor, Source | None]]


@dataclass
class Call:
    """A module that runs. `shape`, `axis`: of the first thing that it was given, if it is known where the pictures stand.

    received   the id of that
    """

    module: nn.Module
    parents: Parents
    shape: Sizes | None
    axis: int | None
    counted: bool
    number: int
    received: int | None


def parents_of(sources: Sources) -> Parents:
    found: list[str] = []
    for _, known in sources:
        if known is None or known.parents is None:
            return None
        found += known.parents
    return tuple(dict.fromkeys(found))


def placed_of(sources: Sources) -> Placed:
    """Those of which it is known along which axis the pictures stand in them."""
    return [(tensor, known.axis) for tensor, known in sources if known and known.axis is not None]


def counted_of(sources: Sources) -> bool:
    return any(known.counted for _, known in sources if known)
