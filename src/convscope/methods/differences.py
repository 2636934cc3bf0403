"""How far the layers of two networks are apart over the same pictures: of a quantised file and what it was made from, say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Array, Engine, Graph, Pictures, batch, count
from ..errors import InputError
from .answers import is_classifier
from .maps import BATCH, Progress

DEQUANTIZED = "_output_0_DequantizeLinear"  # what ONNX Runtime calls what stands for a layer that it quantised away


@dataclass(frozen=True)
class Difference:
    """Of one layer, over all pictures and positions.

    layer, other   its name in either network
    values         root mean square of what the first network has there
    share          that of the difference, as a share of `values`: 0.01 is one in a hundred
    greatest       the greatest difference of a value, in magnitude
    """

    layer: str
    other: str
    values: float
    share: float
    greatest: float


def paired(graph: Graph, other: Graph, names: Sequence[str], given: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """{layer: the layer of the other network}, and the layers that have none.

    given    pairs that have other names; for the rest it is the layer of the same name and shape
    raises   UnknownLayer; InputError where there is no pair, or where one that was given has two shapes
    """
    found = {graph[name].name: other[partner].name for name, partner in given.items()}
    for name, partner in found.items():
        if not alike(graph[name].shape, other[partner].shape):
            raise InputError(
                f"'{name}' gives {graph[name].shape}, but '{partner}' {other[partner].shape}: no pair.", received=partner
            )
    for name in names:
        same = [each for each in (name, name + DEQUANTIZED) if each in other.names]
        if name not in found and same and alike(graph[name].shape, other[same[0]].shape):
            found[name] = same[0]
    if not found:
        raise InputError(
            f"None of {len(names)} layers has one of its name and shape in the other network, whose layers are "
            f"{', '.join(map(repr, other.names[1:4]))}, ... Name pairs: {{'{names[0]}': '{other.names[-1]}'}}.",
            received=tuple(names),
        )
    ordered = {name: found[name] for name in graph.names if name in found}
    return ordered, tuple(name for name in names if name not in found)


def alike(one: tuple[int | None, ...] | None, other: tuple[int | None, ...] | None) -> bool:
    """Whether two shapes may be the same; a size that is not known may be any."""
    if one is None or other is None:
        return True
    return len(one) == len(other) and all(a == b or a is None or b is None for a, b in zip(one, other, strict=True))


def differences(
    engine: Engine,
    other: Engine,
    pictures: Pictures,
    others: Pictures,
    pairs: Mapping[str, str],
    progress: Progress | None = None,
) -> tuple[tuple[Difference, ...], list[int] | None]:
    """The difference of each pair, and the numbers of the pictures that are answered otherwise; None for no classifiers.

    pictures, others   the same ones, as either network receives them
    raises             InputError for two shapes; EngineError
    """
    sums = {name: np.zeros(3) for name in pairs}  # of squares of values, of squares of differences, how many
    greatest, changed = dict.fromkeys(pairs, 0.0), list[int]()
    classify = True
    for start in range(0, count(pictures), BATCH):
        part = slice(start, start + BATCH)
        one = engine.run(batch(pictures, part), [*pairs, "output"])
        two = other.run(batch(others, part), [*pairs.values(), "output"])
        for name, partner in pairs.items():
            more, most = apart(one[name], two[partner], name)
            sums[name] += more
            greatest[name] = float(np.maximum(greatest[name], most))  # a NaN stays one
        before, after = one["output"], two["output"]
        classify = classify and is_classifier(before) and before.shape == after.shape
        if classify:
            other_answer = before.reshape(len(before), -1).argmax(1) != after.reshape(len(after), -1).argmax(1)
            changed += (start + np.flatnonzero(other_answer)).tolist()
        if progress is not None:
            progress(min(start + BATCH, count(pictures)), count(pictures))
    rows = tuple(Difference(name, pairs[name], *shares(*sums[name]), greatest[name]) for name in pairs)
    return rows, changed if classify else None


def apart(one: Array, other: Array, name: str) -> tuple[Array, float]:
    """Sums of squares of values and of differences and how many there are; and the greatest difference."""
    if one.shape != other.shape:
        raise InputError(
            f"'{name}' gives {one.shape[1:]} in one network and {other.shape[1:]} in the other.", received=other.shape
        )
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is said by a difference that is none
        difference = one.astype(np.float64) - other
        squares = np.array([(one.astype(np.float64) ** 2).sum(), (difference**2).sum(), one.size])
        return squares, float(np.abs(difference).max(initial=0))


def shares(values: float, difference: float, size: float) -> tuple[float, float]:
    """Root mean square of the values, and that of the difference as a share of it."""
    if values == 0:
        return 0.0, 0.0 if difference == 0 else np.inf
    return float(np.sqrt(values / size)), float(np.sqrt(difference / values))
