"""A table of a scan: columns of equal length that print themselves, sort, and go on to pandas, Polars or Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import WrongOption

SHOWN = 20  # rows that are printed


class Table(Mapping[str, npt.NDArray[Any]]):
    """`table["mean"]` is a column, an array with None where nothing is known; `.rows` counts the rows."""

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]]):
        self._columns = dict(columns)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name not in self._columns:
            raise WrongOption("A column of this table", name, list(self._columns))
        return self._columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    @property
    def rows(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def row(self, number: int) -> dict[str, Any]:
        """A row as plain Python values."""
        return {name: plain(column[number]) for name, column in self._columns.items()}

    def only(self, *names: str) -> Table:
        """These columns alone, in this order. Raises WrongOption for one that is not there."""
        return Table({name: self[name] for name in names})

    def where(self, condition: npt.NDArray[np.bool_]) -> Table:
        """The rows for which `condition` (rows,) holds."""
        return Table({name: column[condition] for name, column in self._columns.items()})

    def sort(self, by: str, *, descending: bool = True) -> Table:
        """By a column, the greatest first; equal ones in the order that they had, and what is not known last."""
        column = self[by]
        missing = np.array([each is None or each != each for each in column])
        order = sorted(np.flatnonzero(~missing), key=lambda row: column[row], reverse=descending)
        return self.take(np.array([*order, *np.flatnonzero(missing)], int))

    def take(self, rows: npt.NDArray[np.intp]) -> Table:
        return Table({name: column[rows] for name, column in self._columns.items()})

    def to_dicts(self) -> list[dict[str, Any]]:
        return [self.row(number) for number in range(self.rows)]

    def to_pandas(self) -> Any:
        """A pandas.DataFrame."""
        import pandas

        return pandas.DataFrame({name: list(column) for name, column in self._columns.items()})

    def __str__(self) -> str:
        names = list(self._columns)
        cells = [names, *([text(self[name][row]) for name in names] for row in range(min(self.rows, SHOWN)))]
        widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
        return "\n".join([*lines, f"{self.rows} rows" + (f", the first {SHOWN} shown" if self.rows > SHOWN else "")])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from ..show.html import table

        rows = [[text(column[row]) for column in self._columns.values()] for row in range(min(self.rows, SHOWN))]
        return table(list(self._columns), rows, f"{self.rows} rows" + (f", the first {SHOWN} shown" if self.rows > SHOWN else ""))


def plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def text(value: Any) -> str:
    from ..draw.words import amount

    value = plain(value)
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return amount(value) if isinstance(value, float) else str(value)
