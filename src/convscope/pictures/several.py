"""What goes into a network with several inputs: pictures for those that are pictures, arrays for the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError, Shape, WrongPictureShape
from .decode import Pixels
from .prepare import Prepared, prepare
from .preprocess import Array, Preprocess
from .signals import prepare_arrays, takes_pictures


def prepare_inputs(given: Any, preprocess: Preprocess, shapes: Mapping[str, Shape | None]) -> Prepared:
    """As `prepare`, for every input of a network.

    given    {name: what goes in}, or for a network with one input what goes in. Pictures for an input that takes pictures, of
             which the first is the one that is shown; arrays (n, *shape), or of one picture (*shape), pass as they are
    shapes   by the names of the inputs, without the axis of pictures; None: not known
    raises   InputError for an input that is missing, unknown or of another number of pictures, and what `prepare` raises
    """
    if not isinstance(given, Mapping):
        if len(shapes) > 1:
            raise wrong_inputs(type(given).__name__, shapes)
        only = next(iter(shapes.values()))
        return prepare(given, preprocess) if only is None or takes_pictures(only) else prepare_arrays(given, only, preprocess)
    if set(given) != set(shapes):
        raise wrong_inputs(", ".join(map(repr, given)), shapes)
    main = main_input(shapes)
    shown = prepare_inputs(given[main], preprocess, {main: shapes[main]})
    others = {
        name: _received(name, given[name], preprocess, shape, len(shown.names)) for name, shape in shapes.items() if name != main
    }
    arrays = {name: shown.values if name == main else others[name] for name in shapes}
    looks = {name: _looks(array, preprocess) for name, array in others.items() if is_picture(shapes[name]) and array.ndim == 4}
    notes = [f"with an array of shape {array.shape[1:]} for '{name}'" for name, array in others.items()]
    return dataclasses.replace(shown, inputs=arrays, looks=looks, notes=tuple((*each, *notes) for each in shown.notes))


def _looks(values: Array, preprocess: Preprocess) -> list[Pixels]:
    """Per picture (h, w, 3) of (n, c, h, w); where the preprocessing is for another number of channels, by 0..1."""
    shape = values.shape[1:]
    try:
        fitted = preprocess.fitted(shape)
    except InputError:
        fitted = Preprocess().fitted(shape)
    return [fitted.undo(each) for each in values]


def main_input(shapes: Mapping[str, Shape | None]) -> str:
    """The input whose pictures are shown: the first that takes pictures, or the first."""
    return next((name for name, shape in shapes.items() if is_picture(shape)), next(iter(shapes)))


def is_picture(shape: Shape | None) -> bool:
    """Whether an input of this shape takes pictures: (c, h, w) of 1 or 3 channels."""
    return shape is None or (len(shape) == 3 and shape[0] in (1, 3, None))


def _received(name: str, given: Any, preprocess: Preprocess, shape: Shape | None, number: int) -> Array:
    is_array = hasattr(given, "__array__") and np.asarray(given).dtype.kind != "u"
    if is_picture(shape) and not is_array:
        values = prepare(given, preprocess.fitted(shape or (None, None, None))).values
    else:
        values = _array(name, given)
        values = values[None] if shape is not None and values.ndim == len(shape) else values
    if shape is not None and values.ndim != len(shape) + 1:
        raise WrongPictureShape(values.shape, (None, *shape), name)
    if len(values) != number:
        raise InputError(
            f"There are {number} pictures, but {len(values)} entries for '{name}'. Give as many for every input.",
            received=len(values),
            expected=number,
        )
    return values


def _array(name: str, given: Any) -> Array:
    try:
        values: Array = np.asarray(given)
        return values if values.dtype.kind in "iu" else values.astype(np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"What was given for '{name}' is no array of numbers: {error}. Give a NumPy array.") from error


def wrong_inputs(received: str, shapes: Mapping[str, Shape | None]) -> InputError:
    wanted, first = ", ".join(map(repr, shapes)), next(iter(shapes))
    more = ", ..." if len(shapes) > 1 else ""
    return InputError(
        f"This network takes {wanted}, but received {received or 'nothing'}. Give each one thing: {{'{first}': picture{more}}}.",
        received=received,
        expected=tuple(shapes),
    )
