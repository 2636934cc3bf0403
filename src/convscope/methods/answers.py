"""From a classifier's output to its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Array
from ..errors import EngineError, InputError, Unsupported
from .asked import check_labels, is_whole


@dataclass(frozen=True)
class Answer:
    """One class and its probability, 0..1."""

    label: str
    index: int
    probability: float


def probabilities(output: Array, *, apart: bool = False) -> tuple[Array, str]:
    """(n, classes) in 0..1, and how they were found. They sum to one, unless each class has a probability of its own.

    A network that ends in a softmax gives them itself; otherwise softmax(output): exp(z - max z) / sum exp(z - max z).

    apart    whether the network ends in a sigmoid of each class, which no other changes
    raises   Unsupported if the output is not (n, classes)
    """
    output = output.reshape(len(output), -1) if output.ndim > 2 and output[0].size == output.shape[1] else output
    if output.ndim > 2 and output.shape[1] > 1:
        raise Unsupported(
            f"This network answers at each of {' x '.join(map(str, output.shape[2:]))} places, with {output.shape[1]} values "
            "there: it is no classifier of pictures, but of places, as a segmentation is. Say which, as where=(y, x), or "
            "--where y,x; explain() and ablate() take target=Region(label, (y, x)), or a mask."
        )
    if output.ndim != 2 or output.shape[1] < 2:
        raise Unsupported(
            f"This network's output has shape {output.shape}, so it is no classifier of pictures. "
            "Its layers can still be read with maps(); explain() and ablate() take target=Region(label, mask), "
            "Unit(layer, unit) or a function of the output, and differences() compares two networks."
        )
    if apart:
        return output, "the network's own, each class by itself: several may be there, or none"
    if (output >= 0).all() and np.allclose(output.sum(1), 1, atol=1e-3):
        return output, "the network's own probabilities"
    exponents = np.exp(output - output.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True), "softmax of the network's output"


def at_place(output: Array, where: tuple[int, ...] | None) -> Array:
    """(n, classes): what a network that answers everywhere, (n, classes, *spatial), answers at one place; None: all there is.

    raises   InputError for a place that is not there; Unsupported for a network that answers nowhere in particular
    """
    if where is None:
        return output
    spatial = output.shape[2:]
    if output.ndim < 3 or output[0].size == output.shape[1]:
        raise Unsupported(f"This network's output has shape {output.shape}: it answers at no place. Leave 'where' out.")
    fits = isinstance(where, tuple | list) and len(where) == len(spatial) and all(map(is_whole, where))
    if not fits or any(not 0 <= at < size for at, size in zip(where, spatial, strict=True)):
        raise InputError(
            f"This network answers at {' x '.join(map(str, spatial))} places, each {len(spatial)} numbers from 0, but received "
            f"where={where!r}.",
            received=where,
            expected=spatial,
        )
    place: Array = output.reshape(*output.shape[:2], -1)[:, :, np.ravel_multi_index(tuple(where), spatial)]
    return place


def not_finite(output: Array) -> dict[int, str]:
    """Which pictures have no answer, since their output (n, ...) is not finite, and that in words."""
    flat = output.reshape(len(output), -1)
    broken = np.count_nonzero(~np.isfinite(flat), axis=1)
    return {
        int(at): f"{broken[at]} of the {flat.shape[1]} values that the network answers are not finite, so that it has no answer"
        for at in np.flatnonzero(broken)
    }


def check_finite(output: Array, names: Sequence[str] = ()) -> None:
    """Raises EngineError, which names the picture, if it has a name."""
    for at, why in not_finite(output).items():
        said = f"Of '{names[at]}' {why}" if names else f"Here {why}"
        raise EngineError(f"{said}. Look for the layer that gives them with maps(at='all').")


def is_classifier(output: Array) -> bool:
    """Whether the output is one score per class: (n, classes), or that with trailing axes of one."""
    return output.ndim >= 2 and output.shape[1] > 1 and output[0].size == output.shape[1]


def noted(notes: Sequence[tuple[str, ...]], output: Array | None) -> list[tuple[str, ...]]:
    """The notes on each picture, with why it has no answer; `output` None for what was not asked for."""
    broken = not_finite(output) if output is not None and is_classifier(output) else {}
    return [(*each, broken[at]) if at in broken else each for at, each in enumerate(notes)]


def answers(probability: Array, labels: Sequence[str] | None, *, top: int) -> list[list[Answer]]:
    """Per picture the `top` most probable classes, the most probable first; ties in their own order. Raises InputError."""
    if not is_whole(top) or top < 1:
        raise InputError(f"How many answers to give is a whole number from 1 on, but received top={top!r}.", received=top)
    check_labels(labels, probability.shape[1])
    order = np.argsort(-probability, axis=1, kind="stable")[:, :top]
    return [
        [Answer(labels[i] if labels else f"class {i}", int(i), float(row[i])) for i in best]
        for row, best in zip(probability, order, strict=True)
    ]
