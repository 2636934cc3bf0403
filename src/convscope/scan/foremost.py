"""Which of many values of each unit are the greatest, in an order that does not depend on who was first."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from .blocks import blocks

Whole = npt.NDArray[np.int64]


def foremost(k: int, *columns: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Of values, means, pictures and positions, (n, units) each, what a list is made of: (at most k, units), in its order."""
    n, units = columns[0].shape
    found = [np.empty((min(k, n), units), kind) for kind in (np.float32, np.float32, np.int64, np.int32)]
    for place in blocks(units):
        given = [column[:, place] for column in columns]
        values, means, pictures, _ = given
        order = leading(values, means, pictures, k)
        for all_units, these in zip(found, given, strict=True):
            all_units[:, place] = np.take_along_axis(these, order, 0)
    return found


def leading(values: Array, means: Array, pictures: Whole, k: int) -> npt.NDArray[np.intp]:
    """(at most k, units): the rows of the greatest values (n, units), greatest first.

    Of equal values that of the greater mean, of those equal in both the lower picture.
    """
    n = len(values)
    # The value above and its row below in one whole number: sorted, they bring their rows along.
    lanes = np.ascontiguousarray((ordered(values) << 32 | np.arange(n)[:, None]).T)
    lanes.sort(axis=1)
    lanes = lanes[:, max(0, n - k - 1) :]  # and one more, which may be equal to the last
    rows = (lanes[:, ::-1].T & 0xFFFFFFFF)[:k]
    tied = np.flatnonzero((lanes[:, 1:] >> 32 == lanes[:, :-1] >> 32).any(1))
    if len(tied):
        rows[:, tied] = leading_of_tied(pairs(values[:, tied], means[:, tied]), pictures[:, tied], k)
    return rows


def leading_of_tied(keys: Whole, pictures: Whole, k: int) -> npt.NDArray[np.intp]:
    """As `leading`, of the greatest keys (n, units), of equal ones the lower picture."""
    n = len(keys)
    if n <= k:
        return np.lexsort((pictures, ~keys), axis=0)
    lanes = np.ascontiguousarray(keys.T)
    rows = np.argpartition(lanes, n - k, axis=1)[:, n - k :].T
    least = np.take_along_axis(keys, rows[:1], 0)
    # Where more are as great as the last one, which of them was taken is chance: these few units are sorted as a whole.
    tied = np.flatnonzero((keys >= least).sum(0) > k)
    rows[:, tied] = np.lexsort((pictures[:, tied], ~keys[:, tied]), axis=0)[:k]
    order = np.lexsort((np.take_along_axis(pictures, rows, 0), ~np.take_along_axis(keys, rows, 0)), axis=0)
    return np.take_along_axis(rows, order, 0)


def pairs(first: Array, second: Array) -> Whole:
    """Whole numbers that sort as (first, second) does."""
    return (ordered(first) << 32) + ordered(second) + (1 << 31)


def ordered(values: Array) -> Whole:
    """Whole numbers of 32 bits that sort as float32 does, -0 and 0 being the same."""
    bits = (values + np.float32(0)).view(np.int32)
    return (bits ^ (bits >> 31 & 0x7FFFFFFF)).astype(np.int64)
