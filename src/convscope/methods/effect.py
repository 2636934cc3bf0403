"""What every unit of a layer is worth for an answer: the score and the answers without it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Edit, Engine, Graph, Held, Pictures
from .ablation import Value, Where, ablate_units, replaced
from .answers import is_classifier
from .class_scores import verified_scores
from .maps import Progress
from .resume import MEMORY, at_once, chunks, held
from .targets import Target


@dataclass(frozen=True, eq=False)
class Worth:
    """Of one picture.

    score     the target's value
    without   (units,) the same without each unit
    maps      (c, *spatial) the layer's maps
    answer    the class answered, None where the network is no classifier
    answers   (units,) the class answered without each unit, None likewise
    together  the fewest of the units, from the one that is worth most on, without all of which another class is answered; None
              where not even all of them are enough, and for no classifier
    classes   (classes,) the score of every class, and `classes_without` (units, classes) without each unit; None likewise
    """

    score: float
    without: Array
    maps: Array
    answer: int | None = None
    answers: npt.NDArray[np.intp] | None = None
    together: tuple[int, ...] | None = None
    classes: Array | None = None
    classes_without: Array | None = None


def worth(
    engine: Engine,
    picture: Pictures,
    target: Target,
    layer: str,
    *,
    units: Sequence[int] | None = None,
    value: Value = 0.0,
    where: Where = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Worth:
    """The target and all classes of one picture (1, c, *spatial), with each of `units` replaced by `value` at `where` in turn.

    The layers before `layer` run once; see methods/ablation.py.
    raises   UnknownLayer; InputError for a unit that does not exist, or a layer after the one that the target is read at
    """
    at, output = verified_scores(engine, picture)
    run = engine.run(picture, [layer, target.layer])
    score, maps = float(target.values(run[target.layer])[0]), run[layer][0]
    how = {"units": units, "value": value, "where": where, "memory": memory, "progress": progress}
    read = ablate_units(engine, picture, layer, read=target.layer, **how)[0]  # type: ignore[arg-type]
    without = np.asarray(target.values(read), np.float32)
    if target.classes is None and not is_classifier(output):
        return Worth(score, without, maps)
    every = read if at.layer == target.layer else ablate_units(engine, picture, layer, read=at.layer, **how)[0]  # type: ignore[arg-type]
    after = at.of(every)
    before = at.of(engine.run(picture, [at.layer])[at.layer])[0]
    answer, chosen = int(before.argmax()), list(range(len(without))) if units is None else list(units)
    order = [chosen[place] for place in np.argsort(without, kind="stable")]
    stopped = held(engine, picture, layer)

    def off(some: Array) -> Edit:
        return replaced(stopped, some, value, where)

    group = fewest(stopped, order, off, lambda read: at.of(read).argmax(1) != answer, at.layer, engine.graph, memory)
    together = None if group is None else tuple(order[:group])
    return Worth(score, without, maps, answer, after.argmax(1), together, before, after)


def fewest(
    stopped: Held,
    order: Sequence[int],
    edit: Callable[[Array], Edit],
    other: Callable[[Array], Any],
    read: str,
    graph: Graph,
    memory: int,
) -> int | None:
    """How many units, in this order, have to be off together until `other` holds of what `read` gives; None: all are not enough.

    edit    from (k, c), 1 for the units that are off in each of k repetitions, to what does that

    Looked for in ever larger groups first, then one by one below the first that is large enough.
    """
    channels = stopped.value.shape[1]

    def first(counts: Sequence[int]) -> int | None:
        for part in chunks(len(counts), at_once(graph, stopped.layer, memory=memory)):
            some = counts[part]
            off = np.zeros((len(some), channels), np.float32)
            for row, count in zip(off, some, strict=True):
                row[order[:count]] = 1
            holds = np.flatnonzero(other(stopped.run([read], [edit(off)], repeat=len(some))[read]))
            if len(holds):
                return some[int(holds[0])]
        return None

    rough = sorted({round(each) for each in np.geomspace(1, len(order), 16)})
    found = first(rough)
    if found is None:
        return None
    below = max((count for count in rough if count < found), default=0)
    return first(range(below + 1, found + 1))
