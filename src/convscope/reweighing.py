"""From a network to a copy of it with other kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .core import Reweighable
from .errors import InputError, Unsupported
from .kernels import fitted
from .methods.filters import kernels as kernels_of

if TYPE_CHECKING:
    from .network import Network


def with_filters(network: Network, layer: str, kernels: Any, units: Sequence[int] | None) -> Network:
    """See Network.with_filters."""
    engine = network.engine
    if not isinstance(engine, Reweighable):
        raise Unsupported(f"A network on {engine.framework} cannot be copied with other weights.")
    weights = kernels_of(engine, layer)
    if "raw_kernel" in weights or "inner_kernel" in weights:
        raise InputError(f"'{layer}' does not just convolve with a kernel of its own, and has no filters to replace.")
    if "kernel" not in weights:
        raise InputError(f"'{layer}' has two kernels, one after the other ({', '.join(weights)}), and no filters to replace.")
    kernel, bias = weights["kernel"].copy(), weights.get("bias")
    placed = fitted(kernels, kernel.shape)
    chosen = list(range(len(placed))) if units is None else list(units)
    _check(layer, chosen, len(placed), len(kernel))
    kernel[chosen] = placed
    changed = {"kernel": kernel}
    if bias is not None:
        changed["bias"] = bias.copy()
        changed["bias"][chosen] = 0
    which = ", ".join(map(str, chosen[:12])) + (" and more" if len(chosen) > 12 else "")
    note = f"Filters {which} of '{layer}' are not the network's own, but were given."
    info = dataclasses.replace(network.info, notes=(*network.info.notes, note))
    return type(network)(engine.with_weights({layer: changed}), info, network.preprocess, network.labels)


def _check(layer: str, units: Sequence[int], given: int, there: int) -> None:
    if len(units) != given or len(set(units)) != len(units):
        raise InputError(f"{given} kernels replace as many filters, each once, but received units={list(units)}.", received=units)
    if wrong := [unit for unit in units if not 0 <= unit < there]:
        raise InputError(f"'{layer}' has no filter {wrong[0]}: it has 0 to {there - 1}.", received=wrong[0])
