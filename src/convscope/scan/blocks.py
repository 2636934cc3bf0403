"""The axis of all units in pieces: what is made of a piece on the way stays in the processor's cache."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def blocks(units: int, size: int = 2048) -> Iterator[slice]:
    """Nearly equal pieces of at most `size` units.

    None is of a single unit where there are more: NumPy would add up its one column pairwise, with other last digits.
    """
    ends = np.linspace(0, units, -(-units // size) + 1).astype(int).tolist()
    return map(slice, ends, ends[1:])
