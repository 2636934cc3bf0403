"""Whether an explanation depends on what the network learned: Adebayo et al. 2018, cascading randomisation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Graph, Reweighable
from ..errors import Unsupported

Heat = Callable[[Engine], Array]  # (n, *spatial) heat maps of the same pictures for the same classes


@dataclass(frozen=True)
class Step:
    """All layers from the last one down to `layer` are random.

    correlation   Spearman's rank correlation with the maps of the network as it is, mean over pictures, -1..1; of the values
    magnitude     the same of their magnitudes
    """

    layer: str
    correlation: float
    magnitude: float


def cascade(engine: Engine, heat: Heat, *, layers: Sequence[str] | None = None, seed: int = 0) -> Iterator[Step]:
    """Layer by layer from the last, kernels are shuffled, and what is left of the explanation is measured.

    A kernel keeps its values, in another order: its scale stays, so that the network does not die of it.

    layers   from the first to the last; None: all with a kernel
    raises   Unsupported where the engine cannot be copied with other weights
    """
    if not isinstance(engine, Reweighable):
        raise Unsupported(
            f"The check needs a copy of the network with other weights, which {engine.framework} does not give here. "
            "Open it in torch or Keras; an ONNX file with convscope.open(file, via='torch')."
        )
    generator = np.random.default_rng(seed)
    before, random = heat(engine), dict[str, dict[str, Array]]()
    for name in reversed(with_kernels(engine.graph) if layers is None else list(layers)):
        random[name] = {role: shuffled(values, generator) for role, values in engine.weights(name).items()}
        after = heat(engine.with_weights(random))
        pairs = list(zip(before, after, strict=True))
        yield Step(
            name,
            float(np.mean([rank_correlation(one, other) for one, other in pairs])),
            float(np.mean([rank_correlation(np.abs(one), np.abs(other)) for one, other in pairs])),
        )


def with_kernels(graph: Graph) -> list[str]:
    """Layers with a kernel of their own, each once however often it is called."""
    return [row.name for row in graph if row.kernel is not None and not row.function and "#" not in row.name]


def shuffled(values: Array, generator: np.random.Generator) -> Array:
    return generator.permutation(values.ravel()).reshape(values.shape)


def rank_correlation(one: Array, other: Array) -> float:
    """Spearman's, -1..1; ties get their mean rank. 0 where one of them is constant, or not finite."""
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return 0.0
    first, second = ranks(one.ravel()), ranks(other.ravel())
    first, second = first - first.mean(), second - second.mean()
    size = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / size) if size > 0 else 0.0


def ranks(values: Array) -> npt.NDArray[np.float64]:
    """From 1 up; equal values share the mean of theirs."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    result: npt.NDArray[np.float64] = (ends - (counts - 1) / 2)[where]
    return result
