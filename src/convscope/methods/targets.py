"""What is explained: from a network's output, or from any layer, to one number per picture.

None, "cat", 3          the top answer; a class by label or number
("cat", "dog")          a class against another: the difference of their scores
Unit("conv5", 17)       a unit of any layer: its mean over all positions, over a region, or its value at one position
Region("road", mask)    the mean score of a class over a region of a segmentation, or at one position (y, x)
Box(3, "cat")           the score of a detector's box
a function              of the output (n, ...), giving (n,) numbers, or these with their gradient (n, ...)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Pictures, batch, count
from ..errors import InputError, Unsupported, WrongOption
from .answers import check_finite
from .asked import check_labels
from .boxes import Detections, detections, of_box
from .class_scores import Numbers, Score, class_number, logit_of, named, probability_of, verified_scores
from .logits import are_probabilities, notes_on_saturation, softmax
from .scores import Scores, ends_in_sigmoid

Where = tuple[int, ...] | npt.NDArray[np.bool_] | None
Scale = Literal["logit", "probability"]


@dataclass(frozen=True, eq=False)
class Target:
    """A number per picture, read at one layer.

    name      in words: "logit of 'cat', before the softmax 'predictions'"
    layer     where it is read: "output" or a row of the table
    score     from that layer's values (n, ...) to (n,) numbers and their gradient (n, ...), None where that is not known.
              With more rows than pictures, each picture stands there so many times in a row
    classes   per picture the number of the class, where the target is one
    notes     what has to be said about it
    each      where it is another class for each of several pictures, the target of each alone
    """

    name: str
    layer: str
    score: Score
    classes: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    each: tuple[Target, ...] = ()

    def of(self, picture: int, pictures: int | None = None) -> Target:
        """The target of one of the pictures that it was resolved for, which are so many. Raises InputError where they are not."""
        if self.each and pictures not in (None, len(self.each)):
            raise InputError(
                f"This target is of {len(self.each)} pictures, each with a class of its own, but here are {pictures}. Take "
                "the one of each: target.of(0), target.of(1), ...",
                received=pictures,
                expected=len(self.each),
            )
        return self.each[picture] if self.each else self

    def values(self, read: Array) -> Array:
        """(n,) scores alone."""
        return self.score(read)[0]

    def seeds(self, read: Array) -> tuple[Array, Array]:
        """(n,) scores and the gradient (n, ...) at `layer`. Raises InputError for a function that gives none."""
        value, seeds = self.score(read)
        if seeds is None:
            raise InputError(
                "The target gives values only, so that nothing can be pulled back. Let it return (values, gradient of the "
                "values with respect to the output), or choose a method that needs no gradients: occlusion, rise, score-cam.",
                received=self.name,
            )
        return value, seeds


@dataclass(frozen=True, eq=False)
class Unit:
    """A unit of any layer.

    where   None for the mean over all positions, a position (y, x), or a mask (h, w) whose mean is taken
    """

    layer: str
    unit: int
    where: Where = None


@dataclass(frozen=True, eq=False)
class Region:
    """The mean score of a class over a region of the output (n, classes, h, w).

    mask   (h, w), True inside, of the size of the output; or one position (y, x)
    """

    label: str | int
    mask: npt.NDArray[np.bool_] | tuple[int, ...]
    output: str = "output"


@dataclass(frozen=True)
class Box:
    """The score that a detector gives one box for a class, in an output (n, classes, boxes), or (n, boxes, classes).

    Where the outputs are boxes (n, found, 4), classes and scores (n, found), as torchvision's detectors have them, it is the
    score of the box found as `number`, which has to be of that class.
    """

    number: int
    label: str | int
    output: str = "output"
    boxes_first: bool = False


def resolve(
    engine: Engine,
    pictures: Pictures,
    asked: Any = None,
    *,
    labels: Sequence[str] | None = None,
    scale: Scale = "logit",
) -> Target:
    """What `asked` stands for, for these pictures.

    pictures   (n, c, *spatial), already preprocessed; of several inputs such an array for each
    scale      "logit" or "probability", of a class
    raises     WrongClass, WrongOption, InputError, UnknownLayer; Unsupported where a class is asked of what is no classifier
    """
    if scale not in ("logit", "probability"):
        raise WrongOption("The scale of a score", scale, ["logit", "probability"])
    if isinstance(asked, Target):
        asked.of(0, count(pictures))
        return asked
    if isinstance(asked, Unit):
        return _unit(engine, pictures, asked, f"unit {asked.unit} of '{asked.layer}'")
    if isinstance(asked, Region):
        return _region(engine, pictures, asked, labels)
    if isinstance(asked, Box):
        return _box(engine, pictures, asked, labels)
    if callable(asked):
        return _function(asked)
    pair = asked if isinstance(asked, tuple) else (asked, None)
    if len(pair) != 2:
        raise InputError(f"A class against another is a pair, such as ('cat', 'dog'), but received {asked!r}.", received=asked)
    return _class(engine, pictures, pair, labels, scale)


def of_one(asked: Any, picture: int, pictures: int) -> Any:
    """What is asked of one of so many pictures: a Target of all of them is another one for each."""
    return asked.of(picture, pictures) if isinstance(asked, Target) else asked


def _class(engine: Engine, pictures: Pictures, pair: tuple[Any, Any], labels: Sequence[str] | None, scale: Scale) -> Target:
    at, output = verified_scores(engine, pictures)
    flat = output.reshape(len(output), -1)
    if output.ndim < 2 or flat.shape[1] != output.shape[1] or flat.shape[1] < 2:
        raise Unsupported(
            f"This network's output has shape {output.shape}, so that it has no score per class. Give a target that fits it: "
            "Region(label, mask), Box(number, label), Unit(layer, unit), or a function of the output."
        )
    check_finite(output)
    check_labels(labels, flat.shape[1])
    apart = ends_in_sigmoid(engine.graph)
    number, own = flat.shape[1], apart or are_probabilities(flat)
    chosen = flat.argmax(1) if pair[0] is None else np.full(len(flat), class_number(pair[0], labels, number))
    against = None if pair[1] is None else class_number(pair[1], labels, number)
    classes = tuple(map(int, chosen))
    notes: tuple[str, ...] = ()
    if scale == "probability":
        notes = notes_on_saturation(flat if own else softmax(flat), classes, apart=apart, offer=True)
        at = Scores("output", "the network's own" if own else "softmax of the network's output")
    elif own and at.layer == "output":
        scale, notes = "probability", notes_on_saturation(flat, classes, apart=apart, offer=False)

    def of(some: Numbers) -> Target:
        asked = some if len(set(some.tolist())) > 1 else some[:1]  # one class is one for any number of pictures
        score = probability_of(asked, against) if scale == "probability" and not own else logit_of(at, asked, against)
        name = f"{scale} of {_class_name(some, against, labels, pair[0] is None)} ({at.said})"
        return Target(name, at.layer, score, tuple(map(int, some)) if against is None else None, notes)

    whole = of(chosen)
    return replace(whole, each=tuple(map(of, chosen[:, None]))) if len(set(classes)) > 1 else whole


def _class_name(chosen: Numbers, against: int | None, labels: Sequence[str] | None, top: bool) -> str:
    each = [named(number, labels) for number in dict.fromkeys(map(int, chosen))]
    name = each[0] if len(each) == 1 else f"each picture's top answer ({', '.join(each)})"
    return (
        name
        + (", the top answer" if top and len(each) == 1 else "")
        + (f" against {named(against, labels)}" if against is not None else "")
    )


def _unit(engine: Engine, pictures: Pictures, asked: Unit, name: str) -> Target:
    shape = engine.run(batch(pictures, slice(0, 1)), [asked.layer])[asked.layer].shape
    if isinstance(asked.unit, bool) or not 0 <= asked.unit < shape[1]:
        raise InputError(
            f"'{asked.layer}' has no unit {asked.unit}: it has 0 to {shape[1] - 1}.", received=asked.unit, expected=shape[1]
        )
    weight = np.zeros(shape[1:], np.float32)
    weight[asked.unit] = _weights_of(asked.where, shape[2:], asked.layer)
    if asked.where is None:
        said = name if len(shape) == 2 else f"mean of {name}"
    else:
        said = f"{name} at {asked.where}" if isinstance(asked.where, tuple) else f"mean of {name} over a region"
    return Target(said, asked.layer, linear(weight))


def linear(weight: Array) -> Score:
    """<weight, values> of each picture: its gradient is the weight itself."""

    def score(values: Array) -> tuple[Array, Array]:
        return (values * weight).reshape(len(values), -1).sum(1), np.broadcast_to(weight, values.shape).astype(np.float32)

    return score


def _weights_of(where: Where, spatial: tuple[int, ...], layer: str) -> Array | float:
    """(*spatial) that sum to one: what a position counts in the mean."""
    if where is None:
        return float(1 / np.prod(spatial, dtype=int))
    if isinstance(where, tuple):
        if len(where) != len(spatial) or any(not 0 <= at < size for at, size in zip(where, spatial, strict=True)):
            raise InputError(
                f"'{layer}' has positions {spatial}, so that there is none at {where}.", received=where, expected=spatial
            )
        at_one = np.zeros(spatial, np.float32)
        at_one[where] = 1
        return at_one
    mask = np.asarray(where, bool)
    if mask.shape != spatial or not mask.any():
        wrong = "is empty" if mask.shape == spatial else f"has shape {mask.shape}"
        raise InputError(
            f"The region {wrong}, but it selects positions of '{layer}', {spatial}.", received=mask.shape, expected=spatial
        )
    share: Array = (mask / mask.sum()).astype(np.float32)
    return share


def _region(engine: Engine, pictures: Pictures, asked: Region, labels: Sequence[str] | None) -> Target:
    count = engine.run(batch(pictures, slice(0, 1)), [asked.output])[asked.output].shape[1]
    number = class_number(asked.label, labels, count)
    where = asked.mask if isinstance(asked.mask, tuple) else np.asarray(asked.mask, bool)
    return _unit(engine, pictures, Unit(asked.output, number, where), named(number, labels))


def _box(engine: Engine, pictures: Pictures, asked: Box, labels: Sequence[str] | None) -> Target:
    one = batch(pictures, slice(0, 1))
    found = detections(engine, one) if asked.output == "output" else None
    if found is not None:
        return _detected(found, asked, labels)
    shape = engine.run(one, [asked.output])[asked.output].shape
    if len(shape) != 3:
        raise InputError(f"Boxes with scores have shape (n, classes, boxes), but '{asked.output}' has {shape}.", received=shape)
    number = class_number(asked.label, labels, shape[2 if asked.boxes_first else 1])
    unit, where = (asked.number, number) if asked.boxes_first else (number, asked.number)
    return _unit(engine, pictures, Unit(asked.output, unit, (where,)), f"{named(number, labels)} of box {asked.number},")


def _detected(found: Detections, asked: Box, labels: Sequence[str] | None) -> Target:
    score = of_box(found, asked.number)
    is_ = int(found.labels[asked.number])
    count = len(labels) if labels else int(np.nanmax(found.labels)) + 1
    if class_number(asked.label, labels, max(count, is_ + 1)) != is_:
        raise InputError(
            f"Box {asked.number} was found to be {named(is_, labels)}. Ask for its score as that.", received=asked.label
        )
    note = f"boxes are numbered by their scores: in a changed picture, box {asked.number} may be another one"
    return Target(f"score of box {asked.number}, {named(is_, labels)}", found.layer, score, notes=(note,))


def _function(asked: Callable[[Array], Any]) -> Target:
    name = getattr(asked, "__name__", type(asked).__name__)

    def score(values: Array) -> tuple[Array, Array | None]:
        given = asked(values)
        value, seeds = given if isinstance(given, tuple) else (given, None)
        value = np.asarray(value, np.float32)
        if value.shape != (len(values),) or (seeds is not None and np.shape(seeds) != values.shape):
            received = value.shape if seeds is None else (value.shape, np.shape(seeds))
            raise InputError(
                f"The target '{name}' has to give one number per picture, ({len(values)},), and with a gradient one of the "
                f"output's shape {values.shape}, but it gave {received}.",
                received=received,
                expected=((len(values),), values.shape),
            )
        return value, None if seeds is None else np.asarray(seeds, np.float32)

    return Target(f"'{name}' of the output", "output", score)
