"""What every unit of a layer is worth for an answer: the score and the answers without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine
from .ablation import Value, ablate_units
from .class_scores import verified_scores
from .maps import Progress
from .resume import MEMORY
from .targets import Target


@dataclass(frozen=True, eq=False)
class Worth:
    """Of one picture.

    score     the target's value
    without   (units,) the same without each unit
    maps      (c, *spatial) the layer's maps
    answer    the class answered, None where the network is no classifier
    answers   (units,) the class answered without each unit, None likewise
    classes   (classes,) the score of every class, and `classes_without` (units, classes) without each unit; None likewise
    """

    score: float
    without: Array
    maps: Array
    answer: int | None = None
    answers: npt.NDArray[np.intp] | None = None
    classes: Array | None = None
    classes_without: Array | None = None


def worth(
    engine: Engine,
    picture: Array,
    target: Target,
    layer: str,
    *,
    units: Sequence[int] | None = None,
    value: Value = 0.0,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Worth:
    """The target and all classes of one picture (1, c, *spatial), with each of `units` replaced by `value` in turn.

    The layers before `layer` run once; see methods/ablation.py.
    raises   UnknownLayer; InputError for a unit that does not exist, or a layer after the one that the target is read at
    """
    at, output = verified_scores(engine, picture)
    run = engine.run(picture, [layer, target.layer])
    score, maps = float(target.values(run[target.layer])[0]), run[layer][0]
    how = {"units": units, "value": value, "memory": memory, "progress": progress}
    read = ablate_units(engine, picture, layer, read=target.layer, **how)[0]  # type: ignore[arg-type]
    without = np.asarray(target.values(read), np.float32)
    if target.classes is None and not is_classifier(output):
        return Worth(score, without, maps)
    every = read if at.layer == target.layer else ablate_units(engine, picture, layer, read=at.layer, **how)[0]  # type: ignore[arg-type]
    after = at.of(every)
    before = at.of(engine.run(picture, [at.layer])[at.layer])[0]
    return Worth(score, without, maps, int(before.argmax()), after.argmax(1), before, after)


def is_classifier(output: Array) -> bool:
    return output.ndim >= 2 and output.shape[1] > 1 and output[0].size == output.shape[1]
