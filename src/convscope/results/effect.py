"""What every unit of a layer is worth: what is lost without it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import Array
from ..errors import InputError
from ..methods.ablation import Dropped
from ..methods.asked import picture_number
from ..methods.effect import Worth
from ..methods.maps import Reading
from ..paths import path_of
from .provenance import NetworkInfo, Shown

if TYPE_CHECKING:
    from ..draw import Sheet


@dataclass(frozen=True)
class Row:
    """One unit. `drop`: the score that is lost without it, positive for a unit that speaks for the target."""

    unit: int
    drop: float
    score: float
    answer: str | None
    changes: bool


@dataclass(frozen=True)
class Drop:
    """What is lost of the share of right answers without one unit, -1..1: in all, and within each class that was shown."""

    unit: int
    drop: float
    by_class: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Effect:
    """What some pictures lose without each unit of a layer, one unit at a time.

    reading   where the units were switched off
    units     their numbers
    targets   per picture what was looked at, in words
    worths    per picture the numbers
    fill      what stood in their place, in words
    region    the mask of the map where it stood; None for all of it
    dropped   how often the network is right with and without each unit, where the classes of the pictures were given
    """

    reading: Reading
    units: tuple[int, ...]
    targets: tuple[str, ...]
    worths: tuple[Worth, ...]
    pictures: tuple[Shown, ...]
    network: NetworkInfo
    labels: tuple[str, ...] | None
    fill: str = "zero"
    dropped: Dropped | None = None
    region: Any = None

    @property
    def filled(self) -> str:
        """What stood in a unit's place, and where."""
        return self.fill if self.region is None else f"{self.fill} at {int(np.count_nonzero(self.region))} positions"

    @property
    def layer(self) -> str:
        return self.reading.layer

    @property
    def drop(self) -> Array:
        """(n, units) the score that each picture loses without each unit, in units of score; negative: it gains."""
        return np.stack([each.score - each.without for each in self.worths])

    @property
    def by_class(self) -> Array | None:
        """(units, classes) what the score of each class loses without each unit, mean over pictures; None for no classifier."""
        parts = [each.classes - each.classes_without for each in self.worths if each.classes is not None]  # type: ignore[operator]
        return np.mean(parts, axis=0) if parts else None

    def table(self, picture: int = 0) -> list[Row]:
        """One row per unit, the greatest loss first."""
        worth = self.worths[self._checked(picture)]
        lost = worth.score - worth.without
        answers = worth.answers
        return [
            Row(
                self.units[at],
                float(lost[at]),
                float(worth.without[at]),
                None if answers is None else self._label(int(answers[at])),
                answers is not None and int(answers[at]) != worth.answer,
            )
            for at in np.argsort(-lost, kind="stable")
        ]

    def accuracy(self) -> list[Drop]:
        """One row per unit: what is lost of the share of right answers without it, in all and by class.

        The greatest first; of equal ones, which are many among few pictures, the one whose score loses most in the mean.

        raises   InputError where the classes of the pictures were not given
        """
        if self.dropped is None:
            raise InputError(
                "How often the network is right is only known where the classes of the pictures are: ablate(..., truth='cat'), "
                "or a folder with a folder per class."
            )
        overall, by_class = self.dropped.drop, self.dropped.drop_by_class
        shown = [number for number, pictures in enumerate(self.dropped.pictures) if pictures]
        lost = self.drop.mean(0)
        return [
            Drop(unit, float(overall[at]), {self._label(number): float(by_class[at, number]) for number in shown})
            for at, unit in sorted(enumerate(self.dropped.units), key=lambda pair: (-overall[pair[0]], -lost[pair[0]]))
        ]

    def strongest(self, picture: int = 0, *, first: int = 32) -> list[Row]:
        """The units that change the score most: first those for the target, then those against it, the greatest of each first."""
        chosen = sorted(self.table(picture), key=lambda row: -abs(row.drop))[:first]
        return sorted(chosen, key=lambda row: (-np.sign(row.drop), -abs(row.drop)))

    def breaking(self, picture: int = 0) -> tuple[Row, ...]:
        """The units without which the answer is another one."""
        return tuple(row for row in self.table(picture) if row.changes)

    def together(self, picture: int = 0) -> tuple[int, ...] | None:
        """The fewest units, from the one with the greatest loss on, that change the answer when all are off; None: no such."""
        return self.worths[self._checked(picture)].together

    def sheet(self, *, picture: int = 0, first: int = 32, columns: int | None = None) -> Sheet:
        """The maps of the units that change the score most, first those for the target, then those against it."""
        from ..draw import Sheet, as_planes, nearly_square
        from ..draw.words import amount

        chosen, rows = self.strongest(picture, first=first), self.units
        ups = sum(row.drop > 0 for row in chosen)
        downs = sum(row.drop < 0 for row in chosen)
        groups = (("for it: without the unit the score falls", ups), ("it changes nothing", len(chosen) - ups - downs),
                  ("against it: without the unit the score rises", downs))  # fmt: skip
        tiles, note = as_planes(self.worths[picture].maps[[row.unit for row in chosen]])
        return Sheet(
            tiles=tiles,
            labels=tuple(
                f"{row.unit}  {amount(-row.drop, 2, signed=True)}" + (f" {row.answer}" if row.changes else "") for row in chosen
            ),
            title=f"{self.layer} without a unit · {self.pictures[picture].name}",
            subtitle=f"{self.targets[picture]} is {amount(self.worths[picture].score)}; beside each unit, by how much it changes "
            f"when that is {self.filled}, and the new answer if there is one; the {len(chosen)} of {len(rows)} units that change "
            f"it most; {self.reading}{note}",
            columns=columns or nearly_square(len(chosen)),
            scale="map",
            dead_is_meaningful=self.reading.activated,
            groups=[(heading, count) for heading, count in groups if count],
        )

    def save(self, path: str | Path) -> Path:
        """Write the table of every picture as `.csv`: picture, unit, drop, score, answer, changes. Raises OutputError."""
        rows = [
            [picture.name, self.layer, row.unit, row.drop, row.score, row.answer or "", row.changes]
            for number, picture in enumerate(self.pictures)
            for row in self.table(number)
        ]
        return _as_csv(path, ["picture", "layer", "unit", "drop", "score", "answer", "changes"], rows)

    def save_accuracy(self, path: str | Path) -> Path:
        """Write `accuracy()` as `.csv`: layer, unit, drop, and a column per class. Raises InputError, OutputError."""
        rows = self.accuracy()
        classes = list(rows[0].by_class)
        return _as_csv(
            path, ["layer", "unit", "drop", *classes], [[self.layer, row.unit, row.drop, *row.by_class.values()] for row in rows]
        )

    def about(self, picture: int = 0, *, most: int = 10) -> dict[str, Any]:
        """The first rows of one picture as plain data."""
        rows = self.table(picture)
        return {
            "picture": self.pictures[picture].name,
            "layer": self.layer,
            "read_at": self.reading.read_at,
            "target": self.targets[picture],
            "score": self.worths[picture].score,
            "most": [vars(row) for row in rows[:most]],
            "least": [vars(row) for row in rows[::-1][:most]],
            "breaking": [row.unit for row in self.breaking(picture)],
            "together": self.together(picture),
            "fill": self.filled,
        }

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        return sheets([self.sheet()])

    def _repr_png_(self) -> bytes:
        return self.sheet()._repr_png_()

    def __repr__(self) -> str:
        return f"Effect({len(self.units)} units of '{self.layer}' on {len(self.pictures)} pictures)"

    def _label(self, number: int) -> str:
        return self.labels[number] if self.labels else f"class {number}"

    def _checked(self, picture: int) -> int:
        return picture_number(picture, len(self.worths), "looked at")


def _as_csv(path: str | Path, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    from ..draw import write_whole

    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([heads, *rows])
    return write_whole(path_of(path), buffer.getvalue().encode())


def dropped_of(layer: str, units: Sequence[int], worths: Sequence[Worth], truth: Sequence[int], classes: int) -> Dropped:
    """How often these pictures, of the classes `truth`, are answered right with and without each unit."""
    shown, right = np.zeros(classes, np.int64), np.zeros(classes, np.int64)
    without = np.zeros((len(units), classes), np.int64)
    for worth, number in zip(worths, truth, strict=True):
        assert worth.answers is not None
        shown[number] += 1
        right[number] += worth.answer == number
        without[:, number] += worth.answers == number
    return Dropped(layer, tuple(units), shown, right, without)
