"""Memory for what is read. Asking the system for fresh pages costs several times what copying into them does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

import numpy as np
import torch

from ..core import Array

SMALLEST = 1 << 10  # floats: 4 KiB; smaller arrays come from memory that Python keeps anyway
KEPT = 1 << 28  # bytes that are kept when nobody uses them: 256 MiB
RUNS = 8  # for how many runs they are: who reads one layer and another in turn needs no fresh pages for either


class Block(NamedTuple):
    """A piece of memory, as NumPy and as torch know it."""

    array: Array
    tensor: torch.Tensor


def block(shape: Sequence[int]) -> Block:
    array = np.empty(tuple(shape), np.float32)  # NumPy asks for large pages, torch does not
    return Block(array, torch.from_numpy(array))


def copied(tensor: torch.Tensor) -> Array:
    """Float32, in one piece."""
    array, memory = block(tensor.shape)
    memory.copy_(tensor)
    return array


def references(blocks: Sequence[Block]) -> list[int]:
    """How many there are to the array of each."""
    return [sys.getrefcount(each.array) for each in blocks]


(FREE,) = references([block((1,))])  # those of the block, of its tensor, and of getrefcount itself


class Blocks:
    """Of one shape. `asked`: how many were asked for in each of the last runs, the present one last."""

    def __init__(self, shape: Sequence[int]):
        self.shape, self.bytes, self.asked = shape, 4 * prod(shape), [0]
        self._all, self._free = list[Block](), list[Block]()

    def __len__(self) -> int:
        return len(self._all)

    def take(self) -> Block:
        self.asked[-1] += 1
        if not self._free:  # all at once: else each that is asked for would look through all of them
            self._free = [each for each, used in zip(self._all, references(self._all), strict=True) if used == FREE][::-1]
        if self._free:
            return self._free.pop()
        with torch.inference_mode(False):  # the network may be in that mode, outside of which nobody could write into it
            self._all.append(block(self.shape))
        return self._all[-1]

    def trim(self, room: int) -> None:
        """Keep as many as a run needed, and no more bytes than `room`."""
        self._free.clear()
        del self._all[min(max(self.asked), room // self.bytes) :]
        self.asked = [*self.asked[1 - RUNS :], 0]


class Pool:
    """Gives arrays, and gives their memory again when nobody refers to it any more.

    An array is a view of a block, and NumPy keeps a reference to the block in it and in all that is made of it, so that a
    block without references is free. What was not used in the last RUNS runs is let go, as is what is more than KEPT.
    """

    def __init__(self) -> None:
        self._blocks: dict[Sequence[int], Blocks] = {}
        self._lock = threading.Lock()

    def copy(self, tensor: torch.Tensor) -> Array:
        """As `copied`."""
        array, memory = self._take(tensor.shape)
        memory.copy_(tensor)
        return array.view()

    def _take(self, shape: Sequence[int]) -> Block:
        with self._lock:
            if shape not in self._blocks:
                if prod(shape) < SMALLEST:
                    return block(shape)
                self._blocks[shape] = Blocks(shape)
            return self._blocks[shape].take()

    def trim(self) -> None:
        """To be called after a run."""
        with self._lock:
            room = KEPT
            for blocks in sorted(self._blocks.values(), key=lambda each: not each.asked[-1]):  # what this run used comes first
                blocks.trim(room)
                room -= blocks.bytes * len(blocks)
            self._blocks = {shape: blocks for shape, blocks in self._blocks.items() if any(blocks.asked)}
