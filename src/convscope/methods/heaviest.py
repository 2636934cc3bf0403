"""Which input channels a unit listens to: the slices of its kernel that weigh most."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Graph
from ..errors import InputError
from .filters import kernels


@dataclass(frozen=True, eq=False)
class Slices:
    """The heaviest slices of each unit's kernel.

    inputs   (units, k) numbers of input channels, that of the greatest norm first
    values   (units, k, *kernel) float32, the weights themselves
    of       how many input channels each unit has
    """

    inputs: npt.NDArray[np.int64]
    values: Array
    of: int


def heaviest(kernel: Array, most: int = 4, groups: int = 1) -> Slices:
    """The `most` slices of each unit with the greatest Euclidean norm; of equal ones the first.

    kernel   (out, in / groups, *kernel)
    groups   so that a channel is numbered among all that the layer receives, not within its group
    """
    units, channels = kernel.shape[:2]
    flat = kernel.reshape(units, channels, -1)
    norms = np.abs(flat[:, :, 0]) if flat.shape[2] == 1 else np.einsum("oij,oij->oi", flat, flat)
    every = np.arange(units)
    found = []
    for _ in range(min(most, channels)):  # quicker than sorting where there are hundreds of channels and few are wanted
        found.append(norms.argmax(1))
        norms[every, found[-1]] = -1
    chosen = np.stack(found, axis=1)
    group = every // max(1, units // groups)
    return Slices(chosen + (group * channels)[:, None], kernel[every[:, None], chosen], channels)


def groups_of(graph: Graph, layer: str, channels: int) -> int:
    """Into how many groups `layer` parts what it receives, if each unit has `channels` of it; 1 where that is not known."""
    inputs = graph[layer].inputs
    received = (graph[inputs[0]].shape or (None,))[0] if len(inputs) == 1 and inputs[0] in graph.names else None
    return received // channels if received and channels and received % channels == 0 else 1


def slices(engine: Engine, layers: Sequence[str]) -> dict[str, Slices]:
    """The heaviest slices of those of `layers` that have one kernel; separable layers have two, and others none."""
    found = {}
    with ThreadPoolExecutor(max_workers=2) as threads:  # the engine itself is asked by one
        for name in layers:
            row = engine.graph[name]
            if not (row.is_convolution or row.kind == "dense") or row.function:
                continue
            try:
                weights = kernels(engine, name)
            except InputError:
                continue
            if "kernel" in weights and weights["kernel"].ndim >= 2:
                kernel = weights["kernel"]
                groups = groups_of(engine.graph, name, kernel.shape[1])
                found[name] = threads.submit(heaviest, kernel, groups=groups)
        return {name: each.result() for name, each in found.items()}
