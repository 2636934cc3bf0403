"""Which axes functions of torch are told to work along."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import EllipsisType, NoneType
from typing import Any

from .torch_functions import Function

WORDS = ("dim", "axis", "dims", "dim0", "dim1")
MOVING = ("permute", "transpose", "swapaxes")
# They move values along an axis: the place of that among their arguments, and which one it is if it is not told.
ORDERING = {
    "flip": (1, 0), "flipud": (1, 0), "roll": (2, None), "index_select": (1, 0), "gather": (1, 0), "take_along_dim": (2, 0),
    "sort": (1, -1), "fft_fftshift": (1, None), "fft_ifftshift": (1, None), "rot90": (2, (0, 1)), "index_copy": (1, 0),
    "index_add": (1, 0), "scatter": (1, 0), "scatter_add": (1, 0),
}  # fmt: skip


def told(function: Function, place: int, words: Sequence[str] = WORDS, default: Any = None) -> Any:
    """What a function was told at this place, or by one of these names."""
    return next((function.kwargs[word] for word in words if word in function.kwargs), (*function.args, *[default] * 4)[place])


def axes_named(function: Function, axes: int) -> list[int] | None:
    """Those that a function was told, counted from the first; None where it is not known."""
    named = [*function.args[1:], *(function.kwargs[name] for name in WORDS if name in function.kwargs)]
    if function.name not in MOVING:
        named = named[:1]  # what follows is no axis: keepdim
    if named and isinstance(named[0], tuple | list):
        named = list(named[0])
    known = bool(named) and all(isinstance(each, int) and not isinstance(each, bool) for each in named)
    return [each % axes for each in named] if known else None


def after_index(places: Any, axes: int, axis: int) -> tuple[int, int] | None:
    """Where that axis is in `x[places]`, and how many there are; None where less than all of it is taken, or in another order."""
    places = places if isinstance(places, tuple) else (places,)
    if not all(isinstance(each, int | slice | NoneType | EllipsisType) and not isinstance(each, bool) for each in places):
        return None  # arrays of places could move axes
    found, made, at = None, 0, 0
    named = sum(each is not None and each is not ... for each in places)
    for each in places if ... in places else (*places, ...):
        if each is ...:
            found = made + axis - at if at <= axis < at + axes - named else found
            made, at = made + axes - named, at + axes - named
        elif each is None:
            made += 1
        else:
            found = made if at == axis and each == slice(None) else found
            made, at = made + isinstance(each, slice), at + 1
    return None if found is None else (found, made)


def axes_ordered(function: Function) -> Collection[int]:
    """The axes along which a function of ORDERING moves values."""
    place, default = ORDERING[function.name]
    many = function.name == "flip" and len(function.args) > 2
    axes = function.args[1:] if many else told(function, place, default=default)
    if axes is None or axes == ():  # as numbers in a row
        return range(function.args[0].ndim)
    return [each % function.args[0].ndim for each in (axes if isinstance(axes, tuple | list) else [axes])]
