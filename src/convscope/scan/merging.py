"""The statistics of shards, merged as a tree of two levels whose shape is that of the list, whoever merges it and when.

Eight shards in a row are a group. The shards of a group are merged in their order, and the groups in theirs: sums then have the
same last digits on one machine, on many, and after a stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from .plan import Plan
from .shards import Statistics

GROUP = 8  # shards


@dataclass(frozen=True, eq=False)
class Tree:
    """whole    the complete groups
    part     the shards since then
    shards   how many of them there are in all
    """

    empty: Statistics
    whole: Statistics
    part: Statistics
    shards: int = 0

    @classmethod
    def of(cls, plan: Plan) -> Tree:
        empty = Statistics.empty(plan)
        return cls(empty, empty, empty)

    def add(self, shard: Statistics) -> Tree:
        """The next shard."""
        part, shards = self.part.merge(shard), self.shards + 1
        if shards % GROUP:
            return replace(self, part=part, shards=shards)
        return replace(self, whole=self.whole.merge(part), part=self.empty, shards=shards)

    def add_group(self, group: Statistics) -> Tree:
        """The next group, which begins where one has ended, as `merged` gives it."""
        assert not self.shards % GROUP
        return replace(self, whole=self.whole.merge(group), shards=self.shards + GROUP)

    @property
    def all(self) -> Statistics:
        return self.whole.merge(self.part)


def merged(shards: Iterable[Statistics], empty: Statistics) -> Statistics:
    """The shards of a group, in their order."""
    return reduce(Statistics.merge, shards, empty)
