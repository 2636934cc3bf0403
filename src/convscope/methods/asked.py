"""Numbers that users ask by: of pictures, of units, how many. Each is checked here, so that all that is wrong is said alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, TypeGuard

from ..errors import InputError


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number, of Python's or of NumPy's; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def how_many(first: int | None) -> int | None:
    """How many to draw; None for all. Raises InputError."""
    if first is not None and (not is_whole(first) or first < 1):
        raise InputError(f"How many to draw is a number from 1 on, or None for all, but received {first!r}.", received=first)
    return first


def picture_number(picture: int, there: int, what: str) -> int:
    """Of a picture, from 0; negative ones count from the end. what: was done with so many. Raises InputError."""
    if not is_whole(picture) or not -there <= picture < there:
        known = "only picture 0 was" if there == 1 else f"0 to {there - 1} were"
        raise InputError(f"There is no picture {picture!r}: {known} {what}.", received=picture)
    return picture % there


def check_labels(labels: Sequence[str] | None, classes: int | None) -> None:
    """Raises InputError unless there is a label per class."""
    if labels is not None and classes not in (None, len(labels)):
        raise InputError(
            f"{len(labels)} label{'s' * (len(labels) != 1)} given, but the network has {classes} classes. "
            "Give one label per class, in order.",
            received=len(labels),
            expected=classes,
        )


def unit_numbers(units: Sequence[int] | int, there: int, layer: str) -> list[int]:
    """Of units of a layer that has so many, in the order in which they were asked for. Raises InputError."""
    named: list[Any] = list(units) if isinstance(units, Iterable) and not isinstance(units, str) else [units]
    for unit in named:
        if not is_whole(unit):
            raise InputError(f"Units of '{layer}' are asked for by their numbers, 0 to {there - 1}, but received {unit!r}.",
                             received=units)  # fmt: skip
        if not 0 <= unit < there:
            raise InputError(f"'{layer}' has no unit {unit}: it has 0 to {there - 1}.", received=unit, expected=there)
    if not named:
        raise InputError(f"No unit of '{layer}' was named. Name some, or None for all.", received=units)
    return [int(unit) for unit in named]
