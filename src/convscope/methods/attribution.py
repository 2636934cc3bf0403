"""What every method that explains gives back, and what they have in common: a score and its gradient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from ..core import Array, Differentiable, Graph, Trace
from ..errors import EngineError, InputError, Unsupported
from .resume import LIVE, MEMORY, MOST, size_of
from .targets import Target

QUICK = (
    56 << 20
)  # bytes in the largest array of a traced batch: of VGG16's pictures 4 at a time are quickest, measured on two cores
WITHOUT_GRADIENTS = "cam, eigen-cam, score-cam, ablation-cam, occlusion, rise"


@dataclass(frozen=True, eq=False)
class Attribution:
    """What speaks for a target in each of n pictures.

    values   (n, c, *spatial) at the pictures, or (n, *spatial) at a layer; unscaled
    score    (n,) the target's value
    delta    (n,) the method's own check, None where it has none
    check    what `delta` is, in words
    units    (n, units) what each unit of the layer speaks for the target, where the method tells
    notes    what has to be said about it
    """

    values: Array
    score: Array
    delta: Array | None = None
    check: str = ""
    units: Array | None = None
    notes: tuple[str, ...] = ()


def differentiable(engine: Any, what: str) -> Differentiable:
    """The engine, if it has gradients. Raises Unsupported, which says what works without."""
    if isinstance(engine, Differentiable):
        return engine
    raise Unsupported(
        f"{what} needs gradients, which {engine.framework} does not give. Methods that need none: {WITHOUT_GRADIENTS}. "
        "Or open the network in torch or Keras; an ONNX file with convscope.open(file, via='torch')."
    )


def pulled(trace: Trace, target: Target, wrt: Sequence[str]) -> tuple[Array, dict[str, Array]]:
    """(n,) scores, and their gradients with respect to each of `wrt`, of a trace that tapped all of them.

    raises   EngineError where a gradient is not finite
    """
    score, seeds = target.seeds(trace[target.layer])
    gradients = trace.pullback({target.layer: seeds}, list(wrt))
    for name, each in gradients.items():
        if broken := int(np.count_nonzero(~np.isfinite(each))):
            raise EngineError(
                f"The gradient of {target.name} with respect to '{name}' has {broken} values of {each.size} that are not finite. "
                "Look for the layer that gives them with maps(); a square root or a logarithm at 0 has no slope.",
                name,
            )
    return score, gradients


def gradient(engine: Differentiable, pictures: Array, target: Target) -> tuple[Array, Array]:
    """(n,) scores and (n, c, *spatial) their gradients with respect to the pictures."""
    score, gradients = pulled(engine.trace(pictures, ["input", target.layer]), target, ["input"])
    return score, gradients["input"]


def gradients_of(engine: Differentiable, variants: Iterable[Array], target: Target, *, memory: int = MEMORY) -> Iterator[Array]:
    """(n, c, *spatial) the gradient at each of many variants of n pictures, each (n, c, *spatial) too, in their order.

    They are made one by one, and pass in batches that stay under `memory` bytes.
    raises   InputError for a limit below what one of them takes
    """
    left = iter(variants)
    for first in left:
        size = traced_at_once(engine.graph, first, memory=memory)
        some = np.stack([first, *islice(left, size - 1)], 1)  # a target of n pictures takes each several times in a row
        slopes = gradient(engine, some.reshape(-1, *first.shape[1:]), target)[1]
        yield from np.moveaxis(slopes.reshape(some.shape), 1, 0)


def traced_at_once(graph: Graph, pictures: Array, *, memory: int) -> int:
    """How many variants of `pictures` to trace at a time: as many as are quick, and fit in `memory` bytes.

    raises   InputError for a limit below what one takes
    """
    one = traced_bytes(graph, pictures)
    check_memory(one, memory, pictures)
    return 1 if graph.mixed else max(1, min(memory // one, QUICK // (4 * max(values_of(graph, pictures))), MOST))


def traced_bytes(graph: Graph, pictures: Array, taps: Sequence[str] = ()) -> int:
    """About what a trace of `pictures` takes that begins at the first of `taps`; without any, at the pictures.

    It keeps what the layers from there on give, and of each tap the array, its gradient and copies.
    """
    sizes = values_of(graph, pictures)
    first = min((graph[name].index for name in taps), default=0)
    return 4 * (sum(sizes[first:]) + LIVE * (max(sizes[first:]) + sum(sizes[graph[name].index] for name in taps)))


def values_of(graph: Graph, pictures: Array) -> list[int]:
    """How many values each row of the table has for `pictures`; containers have none of their own.

    The table has the sizes for pictures of the size that it names: larger ones take as much more.
    """
    more = max(1.0, pictures.size / max([1, *(size_of(row.shape) for row in graph.inputs)]))
    return [0 if row.kind == "network" else int(more * size_of(row.shape)) for row in graph]


def check_memory(needed: int, memory: int, pictures: Array) -> None:
    """Raises InputError where the limit is too low."""
    if needed > memory:
        raise InputError(
            f"The gradient of {len(pictures)} of these pictures takes about {needed >> 20} MiB, but the limit is "
            f"{memory >> 20} MiB. Give more (memory={needed}), or smaller pictures.",
            received=memory,
            expected=needed,
        )


def scores(engine: Any, pictures: Array, target: Target) -> Array:
    """(n,) the target's value of each picture."""
    return target.values(engine.run(pictures, [target.layer])[target.layer])


def total(values: Array) -> Array:
    """(n,) the sum of everything in each picture, in float64 on the way."""
    result: Array = values.reshape(len(values), -1).sum(1, dtype=np.float64).astype(np.float32)
    return result
