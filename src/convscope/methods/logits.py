"""Logits and probabilities: which is which, and where a probability is too sure to have a slope."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..core import Array
from ..errors import ConvscopeWarning

SURE = 1e-4  # nearer to 0 or 1 than this, a probability hardly moves whatever the picture does


def softmax(logits: Array) -> Array:
    """exp(z - max z) / sum exp(z - max z) over the classes of (n, classes)."""
    exponents = np.exp(logits - logits.max(1, keepdims=True))
    result: Array = exponents / exponents.sum(1, keepdims=True)
    return result


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-z)) of each of (n, classes)."""
    result: Array = (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)
    return result


def agrees(logits: Array, output: Array) -> bool:
    """Whether the output (n, classes) is the softmax of these logits, its logarithm, or the sigmoid of each."""
    if np.allclose(sigmoid(logits), output, atol=1e-3):
        return True
    probability = softmax(logits)
    with np.errstate(divide="ignore"):
        return np.allclose(probability, output, atol=1e-3) or np.allclose(np.log(probability), output, atol=1e-2)


def are_probabilities(output: Array) -> bool:
    """Whether rows (n, classes) are in 0..1 and sum to one."""
    return bool((output >= 0).all() and np.allclose(output.sum(1), 1, atol=1e-3))


def saturated(probability: Array, classes: Sequence[int]) -> bool:
    """Whether any of these classes is so sure, of (n, classes) in 0..1, that its slope vanishes."""
    chosen = probability[np.arange(len(probability)), list(classes)]
    return bool((chosen > 1 - SURE).any() or (chosen < SURE).any())


def notes_on_saturation(probability: Array, classes: tuple[int, ...], *, apart: bool, offer: bool) -> tuple[str, ...]:
    """What has to be said, and is warned of, where gradients of these probabilities vanish.

    apart   each class has a sigmoid of its own; offer: there is a logit to explain instead
    """
    if not saturated(probability, classes):
        return ()
    way_out = "Explain the logit instead (scale='logit')." if offer else "No logits were found before it: gradients say little."
    what, where = "sigmoid" if apart else "softmax", f"within {SURE:g} of 0 or 1"
    said = f"The {what} is saturated: {where}, this probability hardly moves whatever the picture does. {way_out}"
    warnings.warn(said, category=ConvscopeWarning, stacklevel=2)
    return (said,)
