"""Memory for what is read. Asking the system for fresh pages costs several times what copying into them does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from math import prod

import numpy as np

from ..core import Array

SMALLEST = 1 << 14  # floats: 64 KiB; smaller arrays come from memory that Python keeps anyway
KEPT = 1 << 28  # bytes that are kept when nobody uses them: 256 MiB


def _references() -> int:
    """To a block that nobody uses: from the list, the loop, and getrefcount's own argument."""
    for block in [np.empty(0, np.float32)]:
        return sys.getrefcount(block)
    raise AssertionError


FREE = _references()


class Pool:
    """Gives arrays, and gives their memory again when nobody refers to it any more.

    An array is a view of a block, and NumPy keeps a reference to the block in it and in all that is made of it, so that a
    block without references is free. What was not used in the last run is let go, as is what is more than KEPT.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, list[Array]] = {}
        self._used: dict[int, int] = {}  # how many blocks of each size the run has asked for
        self._lock = threading.Lock()

    def empty(self, shape: Sequence[int]) -> Array:
        """An array whose values are whatever was there."""
        size = prod(shape)
        if size < SMALLEST:
            return np.empty(tuple(shape), np.float32)
        with self._lock:
            self._used[size] = self._used.get(size, 0) + 1
            blocks = self._blocks.setdefault(size, [])
            for block in blocks:
                if sys.getrefcount(block) == FREE:
                    return block[:].reshape(shape)
            blocks.append(np.empty(size, np.float32))
            return blocks[-1][:].reshape(shape)

    def trim(self) -> None:
        """To be called after a run."""
        with self._lock:
            room = KEPT
            for size, blocks in list(self._blocks.items()):
                kept: list[Array] = []
                for block in blocks:
                    room -= block.nbytes
                    if room >= 0 and len(kept) < self._used.get(size, 0):
                        kept.append(block)
                self._blocks[size] = kept
            self._blocks = {size: blocks for size, blocks in self._blocks.items() if blocks}
            self._used.clear()
