"""From a network and pictures to what every unit of a layer is worth."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError, Unsupported, WrongOption
from .methods import interventions
from .methods.cam import last_with_maps
from .methods.class_scores import class_number
from .methods.effect import worth
from .methods.maps import Progress, reading
from .methods.select import select
from .methods.targets import resolve
from .results import Effect, Shown
from .results.effect import dropped_of

if TYPE_CHECKING:
    from .network import Network


def effect(
    network: Network, pictures: Any, at: str | int | None, target: Any, units: Sequence[int] | None, fill: str, over: Any,
    truth: Any, activated: bool, memory: int, progress: Progress | None,
) -> Effect:  # fmt: skip
    """See Network.ablate."""
    if fill not in ("zero", "mean"):
        raise WrongOption("What stands for a unit that is off", fill, ["zero", "mean"])
    if fill == "mean" and over is None:
        raise InputError("fill='mean' is taken from pictures. Give some: over='pictures/'.", received=over)
    engine, prepared = network.engine, network._prepared(pictures)
    names = [last_with_maps(network.graph)] if at is None else select(network.graph, at)
    if len(names) != 1:
        raise InputError(f"Units of one layer are switched off, but {len(names)} were named. Ablate one at a time.", received=at)
    where = reading(network.graph, names[0], activated=activated)
    value: Any = 0.0
    if fill == "mean":
        value = interventions.means(engine, network._prepared(over).values, where.read_at).ravel()
    worths, targets = [], []
    for number in range(len(prepared.values)):
        picture = prepared.values[number : number + 1]
        goal = resolve(engine, picture, target, labels=network.labels)
        told = None if progress is None else partial(of_all, progress, number, len(prepared.values))
        worths.append(worth(engine, picture, goal, where.read_at, units=units, value=value, memory=memory, progress=told))
        targets.append(goal.name)
    chosen = tuple(range(len(worths[0].without))) if units is None else tuple(map(int, units))
    dropped = None
    if truth is not None:
        if worths[0].classes is None:
            raise Unsupported("How often a network is right is only known of a classifier. Leave 'truth' away.")
        count = len(worths[0].classes)
        dropped = dropped_of(names[0], chosen, worths, numbers_of(truth, len(worths), network.labels, count), count)
    said = "zero" if fill == "zero" else "its mean over a set"
    shown = tuple(map(Shown, prepared.names, prepared.shown, prepared.notes))
    return Effect(where, chosen, tuple(targets), tuple(worths), shown, network.info, network.labels, said, dropped)


def of_all(progress: Progress, number: int, pictures: int, done: int, total: int) -> None:
    """From how far one of several pictures is to how far all of them are."""
    progress(number * total + done, total * pictures)


def numbers_of(truth: Any, count: int, labels: Sequence[str] | None, classes: int) -> list[int]:
    """The class of each picture, given one for all, or one each. Raises InputError, WrongClass."""
    given = [truth] * count if isinstance(truth, str | int | np.integer) else list(truth)
    if len(given) != count:
        raise InputError(
            f"{count} pictures have as many classes, but {len(given)} were given.", received=len(given), expected=count
        )
    return [class_number(each, labels, classes) for each in given]
