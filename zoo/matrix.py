"""What the comparisons of all frameworks share: a line of the matrix, and when two arrays are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

CLOSE = 1e-5  # of the largest value
Made, Size = TypeVar("Made"), TypeVar("Size")


@dataclass(frozen=True)
class Line:
    """One network in the matrix."""

    network: str
    compared: int
    wrong: int
    missing: int
    seconds: float
    note: str = ""


def close(actual: np.ndarray, expected: np.ndarray) -> bool:
    if actual.shape != expected.shape or np.array_equal(actual, expected):  # most are equal, which is seen sooner
        return actual.shape == expected.shape
    finite = expected[np.isfinite(expected)]  # infinite ones, of masks, are no scale
    scale = float(np.abs(finite).max(initial=1e-6))
    return bool(np.allclose(actual, expected, rtol=0, atol=CLOSE * scale, equal_nan=True))


def smallest(sizes: Iterable[Size], make: Callable[[Size], Made]) -> Made:
    """What `make` gives for the first of `sizes` with which it does not fail. Raises what it raises for the last."""
    error: Exception | None = None
    for size in sizes:
        try:
            return make(size)
        except Exception as failed:  # noqa: BLE001 - too small for this network
            error = failed
    raise error or ValueError("no size")
