"""The score of a class and its gradient: which number it has, where it is read, as a logit or a probability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, Pictures
from ..errors import InputError, SeveralClasses, WrongClass
from .asked import check_labels
from .logits import agrees, softmax
from .scores import Scores, scores

Numbers = npt.NDArray[np.intp]
# From what is read at a layer (n, ...) to (n,) numbers and their gradient (n, ...), None where that is not known.
Score = Callable[[Array], tuple[Array, Array | None]]


def verified_scores(engine: Engine, pictures: Pictures) -> tuple[Scores, Array]:
    """Where the scores of classes are read, and the output. What the graph says is a softmax must be one in the numbers."""
    at = scores(engine)
    run = engine.run(pictures, [at.layer, "output"])
    output = run["output"]
    if at.layer != "output" and not fits(at, run[at.layer], output.reshape(len(output), -1)):
        return Scores("output", "the network's output"), output
    return at, output


def fits(at: Scores, read: Array, output: Array) -> bool:
    """Whether the output (n, classes) is the softmax of the scores that were read at a layer."""
    if at.kernel is not None and read[0].size != at.kernel.shape[1]:
        return False
    logits = at.of(read)
    return logits.shape == output.shape and agrees(logits, output)


def logit_of(at: Scores, classes: Numbers, against: int | None = None) -> Score:
    """z_c, or z_c - z_d, of the scores of a layer, and its gradient there."""

    def score(values: Array) -> tuple[Array, Array]:
        rows, chosen = np.arange(len(values)), repeated(classes, len(values))
        logits, seeds = at.of(values), at.seeds(values, chosen)
        if against is None:
            return logits[rows, chosen], seeds
        return logits[rows, chosen] - logits[:, against], seeds - at.seeds(values, np.full(len(values), against))

    return score


def probability_of(classes: Numbers, against: int | None = None) -> Score:
    """p_c of p = softmax(z), or p_c - p_d. Its gradient is p * (e - sum(p * e)), with e one at c and minus one at d."""

    def score(values: Array) -> tuple[Array, Array]:
        probability = softmax(values.reshape(len(values), -1))
        one = np.zeros_like(probability)
        one[np.arange(len(one)), repeated(classes, len(one))] = 1
        if against is not None:
            one[:, against] -= 1
        share = (probability * one).sum(1)
        return share, (probability * (one - share[:, None])).reshape(values.shape)

    return score


def repeated(per_picture: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """One entry per row, where each picture stands so many times in a row. Raises InputError where it cannot."""
    if rows % len(per_picture):
        raise InputError(
            f"The target is of {len(per_picture)} pictures, each with a class of its own, but {rows} were scored. Take "
            "the one of each: target.of(0), target.of(1), ...",
            received=rows,
            expected=len(per_picture),
        )
    return np.repeat(per_picture, rows // len(per_picture))


def class_number(asked: Any, labels: Sequence[str] | None, count: int) -> int:
    """The number of a class, given that, or its label.

    raises   WrongClass, which offers near labels; SeveralClasses; InputError where there are not as many labels as classes
    """
    check_labels(labels, count)  # one class more or less before it, and it would be another, or be called as another
    if isinstance(asked, str) and labels is not None:
        exact = [number for number, label in enumerate(labels) if label == asked]
        # ImageNet's labels are lists: "tabby, tabby cat". Any of its names will do, in any case.
        loose = [
            number
            for number, label in enumerate(labels)
            if asked.lower() in (label.lower(), *(part.strip().lower() for part in label.split(",")))
        ]
        if len(found := exact or loose) > 1:  # ImageNet has two cranes: the first would look like an answer
            raise SeveralClasses(asked, labels, found)
        if found:
            return found[0]
    if isinstance(asked, str) and asked.removeprefix("-").isdecimal():  # the command line has only text
        asked = int(asked)
    if isinstance(asked, list):
        message = f"A target is one class, or a pair of them, ('cat', 'dog'), but received the list {asked}."
        raise InputError(message, received=asked)
    if isinstance(asked, bool) or not isinstance(asked, int | np.integer) or not 0 <= asked < count:
        raise WrongClass(asked, labels, count)
    return int(asked)


def named(number: int, labels: Sequence[str] | None) -> str:
    """A class by its label, with its number where another class has the same label."""
    if not labels:
        return f"class {number}"
    return f"'{labels[number]}'" + (f" (class {number})" if labels.count(labels[number]) > 1 else "")
