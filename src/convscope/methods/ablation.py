"""What becomes of the answer when the units of a layer are switched off, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Edit, Engine, Held, Pictures, batch, count
from ..errors import InputError
from .asked import unit_numbers
from .linear import each_way
from .resume import MEMORY, QUICK, Progress, at_once, chunks, held

Value = Array | float  # (c,) or (c, *spatial) of the whole layer
Where = Array | None  # (*spatial), 1 where a map is changed; None: everywhere
WORTHWHILE = 16  # units from which on it pays to look for the next linear layer
LARGEST_ARRAY = QUICK // 2  # of a batch: in the last layers of ResNet-50 and VGG16 up to a fifth quicker than QUICK on two cores


@dataclass(frozen=True)
class Dropped:
    """How often a classifier is right, and how often without each unit of a layer. `merge` adds other pictures.

    pictures   (classes,) of each class
    right      (classes,) of these, answered right
    without    (units, classes) answered right without the unit
    """

    layer: str
    units: tuple[int, ...]
    pictures: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    without: npt.NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """0..1, over all pictures."""
        return float(self.right.sum() / max(self.pictures.sum(), 1))

    @property
    def drop(self) -> npt.NDArray[np.float64]:
        """(units,) how much of the accuracy is lost without each unit, -1..1."""
        result: npt.NDArray[np.float64] = (self.right.sum() - self.without.sum(1)) / max(self.pictures.sum(), 1)
        return result

    @property
    def drop_by_class(self) -> npt.NDArray[np.float64]:
        """(units, classes) the same within each class; NaN for a class without pictures."""
        shown = np.where(self.pictures > 0, self.pictures, np.nan)
        result: npt.NDArray[np.float64] = (self.right - self.without) / shown
        return result

    def merge(self, other: Dropped) -> Dropped:
        """Both together. Raises InputError for other units or another layer."""
        if (self.layer, self.units) != (other.layer, other.units):
            raise InputError(f"Drops of '{self.layer}' and '{other.layer}', or of other units, cannot be added up.")
        return Dropped(
            self.layer, self.units, self.pictures + other.pictures, self.right + other.right, self.without + other.without
        )


def ablate_units(
    engine: Engine,
    pictures: Pictures,
    layer: str,
    units: Sequence[int] | None = None,
    value: Value = 0.0,
    *,
    where: Where = None,
    read: str = "output",
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Array:
    """What `read` gives with each of `units` replaced by `value` in turn: a_u = value.

    pictures   (n, c, *spatial), already preprocessed
    units      None for all of the layer
    value      one number; (c,) one for each unit of the layer, such as their means over a set; or (c, *spatial), such as their
               maps of another picture
    where      (*spatial), 1 where the map is changed and 0 where it stays; None: everywhere
    memory     bytes that a batch may take
    returns    (n, units, ...): for a classifier (n, units, classes), unscaled
    raises     UnknownLayer; InputError for a unit that is out of range and for a layer after `read`
    """
    every = _of_each_picture(engine, pictures, layer, units, value, where, read, memory, progress)
    found = [changed() for _, changed in every]
    return np.stack(found) if found else np.zeros((0, 0), np.float32)


def _of_each_picture(
    engine: Engine,
    pictures: Pictures,
    layer: str,
    units: Sequence[int] | None,
    value: Value,
    where: Where,
    read: str,
    memory: int,
    progress: Progress | None,
) -> Iterator[tuple[Array, Callable[[], Array]]]:
    """The plain answer (...), and what computes those without each unit (units, ...), for one picture after the other."""
    for index in range(count(pictures)):
        stopped = held(engine, batch(pictures, slice(index, index + 1)), layer)
        chosen = checked_units(layer, stopped.value, units)

        def told(done: int, index: int = index, number: int = len(chosen)) -> None:
            if progress:
                progress(index * number + done, count(pictures) * number)

        answer = stopped.run([read])[read]
        yield answer[0], partial(_each, engine, stopped, chosen, value, where, read, answer, memory, told)


def _each(
    engine: Engine,
    stopped: Held,
    units: Sequence[int],
    value: Value,
    where: Where,
    read: str,
    answer: Array,
    memory: int,
    told: Any,
) -> Array:
    """(units, ...). Of a unit whose change is gone before it is mixed with others, it is the plain answer."""

    def off(some: Sequence[int]) -> Edit:
        return without(stopped, some, value, where)

    all_off = everything_off(stopped, value, where)
    quick = each_way(engine, stopped, units, off, all_off, read, answer) if len(units) >= WORTHWHILE else None
    reaches = quick.reaches if quick else changed_by(all_off, stopped)
    left = [place for place, unit in enumerate(units) if reaches[unit]]
    result = np.repeat(answer, len(units), 0)
    told(len(units) - len(left))
    for part in chunks(len(left), at_once(engine.graph, stopped.layer, memory=memory, largest_array=LARGEST_ARRAY)):
        some = [units[place] for place in left[part]]
        result[left[part]] = stopped.run([read], quick(some) if quick else [off(some)], repeat=len(some))[read]
        told(len(units) - len(left[part.stop :]))
    return result


def changed_by(all_off: Edit, stopped: Held) -> npt.NDArray[np.bool_]:
    """(channels,) whether each unit's values become others."""
    changed = all_off.scale * stopped.value + all_off.shift != stopped.value
    result: npt.NDArray[np.bool_] = changed.any((0, *range(2, changed.ndim)))
    return result


def everything_off(stopped: Held, value: Value, where: Where = None) -> Edit:
    return replaced(stopped, np.ones((1, stopped.value.shape[1]), np.float32), value, where)


def without(stopped: Held, units: Sequence[int], value: Value = 0.0, where: Where = None) -> Edit:
    """For a picture that is repeated as often as there are `units`: each time another one is replaced by `value`."""
    off = np.zeros((len(units), stopped.value.shape[1]), np.float32)
    off[np.arange(len(units)), list(units)] = 1
    return replaced(stopped, off, value, where)


def replaced(stopped: Held, off: Array, value: Value, where: Where = None) -> Edit:
    """For a picture that is repeated: a * (1 - m) + m * value, m being 1 at `where` for the units in a row of `off` (k, c)."""
    axes = (1,) * (stopped.value.ndim - 2)
    mask: Array = off.reshape(*off.shape, *axes) * (1 if where is None else where)
    given = np.asarray(value, np.float32)
    each = given.reshape(*given.shape, *axes) if given.ndim == 1 else given
    return Edit(stopped.layer, 1 - mask, mask * each)


def accuracy_without(
    engine: Engine,
    pictures: Pictures,
    labels: Sequence[int],
    layer: str,
    units: Sequence[int] | None = None,
    value: Value = 0.0,
    *,
    where: Where = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Dropped:
    """How often the greatest output is the picture's class, with and without each unit of `layer`.

    labels    the number of each picture's class
    returns   counts, which can be merged with those of further pictures: a set may pass batch by batch, in any order
    raises    InputError for a label that is no class, for an output that is not (n, classes), and where there are no pictures
    """
    truth, number = np.asarray(labels, np.intp), 0
    plain, changed = list[Any](), list[Any]()  # the classes answered, () and (units,): no more is kept of the answers
    for answer, answers in _of_each_picture(engine, pictures, layer, units, value, where, "output", memory, progress):
        if answer.ndim != 1:
            shape = (count(pictures), *answer.shape)
            raise InputError(f"An accuracy needs an output (n, classes), but received {shape}.", received=shape)
        number = len(answer)
        if truth.shape != (count(pictures),) or not 0 <= truth.min() <= truth.max() < number:
            raise InputError(
                f"Labels are numbers of classes from 0 to {number - 1}, one for each of {count(pictures)} pictures.",
                received=tuple(labels),
            )
        plain.append(answer.argmax())
        changed.append(answers().argmax(1))
    if not plain:
        raise InputError("An accuracy needs pictures, but there are none.")
    of_class = truth[:, None] == np.arange(number)  # (n, classes)
    right = of_class & (np.stack(plain) == truth)[:, None]
    still = (np.stack(changed) == truth[:, None])[:, :, None] & of_class[:, None]  # (n, units, classes)
    chosen = tuple(range(still.shape[1])) if units is None else tuple(units)
    return Dropped(layer, chosen, of_class.sum(0), right.sum(0), still.sum(0))


def checked_units(layer: str, values: Array, units: Sequence[int] | None) -> list[int]:
    """Raises InputError for one that the layer does not have."""
    number = values.shape[1] if values.ndim > 1 else 0
    return unit_numbers(range(number) if units is None else units, number, layer)
