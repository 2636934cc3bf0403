"""Answers before and after a change of the network, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..methods.answers import Answer


@dataclass(frozen=True, eq=False)
class Contrast:
    """What a network answers before and after a change.

    before, after   by the name of the picture, the most probable first
    what            the change, in words
    network         the changed network, on which every verb works
    """

    before: Mapping[str, Sequence[Answer]]
    after: Mapping[str, Sequence[Answer]]
    what: str
    network: Any

    def changed(self) -> tuple[str, ...]:
        """The pictures whose first answer is another one now."""
        return tuple(name for name in self.before if self.before[name][0].index != self.after[name][0].index)

    def __str__(self) -> str:
        """A line per answer: what it was before, and what it is after."""
        lines = [self.what]
        for name in self.before:
            width = max(len(each.label) for each in self.before[name])
            lines.append(name)
            for was, now in self._pairs(name):
                lines.append(f"  {was.probability:7.2%}  {was.label:{width}}    {now.probability:7.2%}  {now.label}")
        return "\n".join(lines)

    def _pairs(self, name: str) -> list[tuple[Answer, Answer]]:
        return list(zip(self.before[name], self.after[name], strict=True))

    def _repr_html_(self) -> str:
        from ..show.html import table

        rows = [
            (name if first else "", f"{was.probability:.2%}", was.label, f"{now.probability:.2%}", now.label)
            for name in self.before
            for first, (was, now) in zip((True, *[False] * len(self.before[name])), self._pairs(name), strict=False)
        ]
        return table(("picture", "before", "", "after", ""), rows, self.what)

    def __repr__(self) -> str:
        return f"Contrast({len(self.before)} pictures, {len(self.changed())} with another answer: {self.what})"
