"""From a classifier's output to its answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..core import Array
from ..errors import InputError, Unsupported
from .asked import is_whole


@dataclass(frozen=True)
class Answer:
    """One class and its probability, 0..1."""

    label: str
    index: int
    probability: float


def probabilities(output: Array) -> tuple[Array, str]:
    """(n, classes) in 0..1 that sum to one, and how they were found.

    A network that ends in a softmax gives them itself; otherwise softmax(output): exp(z - max z) / sum exp(z - max z).

    raises   Unsupported if the output is not (n, classes)
    """
    output = output.reshape(len(output), -1) if output.ndim > 2 and output[0].size == output.shape[1] else output
    if output.ndim != 2 or output.shape[1] < 2:
        raise Unsupported(
            f"This network's output has shape {output.shape}, so it is no classifier of pictures. "
            "Its layers can still be read with maps()."
        )
    if (output >= 0).all() and np.allclose(output.sum(1), 1, atol=1e-3):
        return output, "the network's own probabilities"
    exponents = np.exp(output - output.max(1, keepdims=True))
    return exponents / exponents.sum(1, keepdims=True), "softmax of the network's output"


def answers(probability: Array, labels: Sequence[str] | None, *, top: int) -> list[list[Answer]]:
    """Per picture the `top` most probable classes, the most probable first; ties in the order of the classes."""
    if not is_whole(top) or top < 1:
        raise InputError(f"How many answers to give is a whole number from 1 on, but received top={top!r}.", received=top)
    order = np.argsort(-probability, axis=1, kind="stable")[:, :top]
    return [
        [Answer(labels[i] if labels else f"class {i}", int(i), float(row[i])) for i in best]
        for row, best in zip(probability, order, strict=True)
    ]
