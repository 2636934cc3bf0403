"""How far the layers of two networks are apart, as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..methods.differences import Difference


@dataclass(frozen=True, eq=False)
class Differences:
    """Layer by layer, in the order in which they run. Printing it prints the table.

    rows        a Difference for each pair of layers
    unmatched   layers that were asked for, and have none in the other network
    pictures    the names of the pictures
    networks    the names of the networks
    changed     the pictures whose first answer is another one; None where the networks are no classifiers
    """

    rows: tuple[Difference, ...]
    unmatched: tuple[str, ...]
    pictures: tuple[str, ...]
    networks: tuple[str, str]
    changed: tuple[str, ...] | None

    @property
    def worst(self) -> Difference:
        """The layer of which the difference is the greatest share of its values; one that is not finite before all."""
        return max(self.rows, key=lambda row: (row.share != row.share, row.share))

    def beyond(self, most: float) -> tuple[Difference, ...]:
        """The layers whose difference is more than this share of their values, or not finite."""
        return tuple(row for row in self.rows if not row.share <= most)

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON, which has no number for what is not finite: None."""
        rows = [{key: each if each == each and abs(each) != float("inf") else None for key, each in numbers(row).items()} |
                {"layer": row.layer, "other": row.other} for row in self.rows]  # fmt: skip
        return {
            "networks": self.networks,
            "pictures": len(self.pictures),
            "layers": rows,
            "unmatched": self.unmatched,
            "changed": self.changed,
        }

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text, under HEADINGS."""
        from ..draw.words import amount, share

        return [
            (
                row.layer,
                "" if row.other == row.layer else row.other,
                amount(row.values),
                share(row.share, 2),
                amount(row.greatest),
            )
            for row in self.rows
        ]

    def said(self) -> str:
        """What the table is of, and what is not in it."""
        one, other = self.networks
        parts = [f"{one} and {other} over {len(self.pictures)} pictures"]
        if self.changed is not None:
            parts.append(f"{len(self.changed)} answered otherwise")
        if self.unmatched:
            more = ", ..." if len(self.unmatched) > 4 else ""
            parts.append(f"{len(self.unmatched)} without a layer of the same name: {', '.join(self.unmatched[:4])}{more}")
        return "; ".join(parts)

    def __str__(self) -> str:
        table = [HEADINGS, *self.cells()]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
        lines = [
            "  ".join(
                cell.ljust(width) if at < 2 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in table
        ]
        return "\n".join([*(line.rstrip() for line in lines), self.said()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..show.html import table

        return table(HEADINGS, self.cells(), self.said())


HEADINGS = ("layer", "in the other", "values", "difference", "greatest")


def numbers(row: Difference) -> dict[str, float]:
    return {key: each for key, each in asdict(row).items() if not isinstance(each, str)}
