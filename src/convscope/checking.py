"""`convscope.check`: whether a method's explanations depend on what the network learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Array, Engine, Pictures, batch
from .errors import InputError
from .methods.explain import method_of
from .methods.maps import Progress
from .methods.randomisation import cascade, with_kernels
from .results.check import Check

if TYPE_CHECKING:
    from .network import Network


def check(
    method: str,
    network: Network,
    pictures: Any,
    *,
    target: Any = None,
    layers: int | Sequence[str] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Check:
    """Cascading randomisation: from the last layer to the first, weights are shuffled, and each time the maps are made again.

    An explanation that stays the same when the network has forgotten everything explains the picture, not the network.

    method    a name, as in `explain`, with its `options`
    target    a class, as in `explain`; None: the first answer of the network as it is, also when it is random
    layers    at so many layers only, evenly spread, or at these; None: at every layer with a kernel
    returns   `.steps`, per layer the rank correlation with the maps of the network as it is; printed, a table
    raises    Unsupported where no copy of the network can be made; what `explain` raises
    """
    from .network import Network

    method_of(method)
    prepared = network._prepared(pictures)
    tops = top_classes(network.engine, prepared.inputs) if target is None else [target] * len(prepared.names)

    def heat(engine: Engine) -> Array:
        other = Network(engine, network.info, network.preprocess, network.labels)
        each = (batch(prepared.inputs, slice(at, at + 1)) for at in range(len(tops)))
        return np.stack([other.explain(one, method, target=top, **options).heat() for one, top in zip(each, tops, strict=True)])

    named = spread(with_kernels(network.graph), layers) if isinstance(layers, int | None) else list(layers)
    found = []
    for step in cascade(network.engine, heat, layers=named, seed=seed):
        found.append(step)
        if progress:
            progress(len(found), len(named))
    return Check(method, tuple(found), len(prepared.names), network.info)


def top_classes(engine: Engine, pictures: Pictures) -> list[Any]:
    output = engine.run(pictures, ["output"])["output"]
    return [int(number) for number in output.reshape(len(output), -1).argmax(1)]


def spread(layers: Sequence[str], count: int | None) -> list[str]:
    """Some of the layers, evenly, the first and the last among them. Raises InputError."""
    if count is None or count >= len(layers):
        return list(layers)
    if count < 2:
        raise InputError(f"The check takes at least 2 layers, the last and the first, but received {count}.", received=count)
    return [layers[round(at)] for at in np.linspace(0, len(layers) - 1, count)]
