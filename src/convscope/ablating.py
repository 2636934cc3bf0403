"""From a network and pictures to what every unit of a layer is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Array, Pictures, arrays, batch, count
from .errors import InputError, Unsupported, WrongOption
from .methods import interventions
from .methods.ablation import Dropped
from .methods.class_scores import class_number
from .methods.effect import Worth, worth
from .methods.explain import last_layer
from .methods.interventions import FILLS, Region
from .methods.maps import Progress, Reading, reading
from .methods.select import select
from .methods.targets import of_one, resolve
from .pictures import Prepared
from .results import Effect, Shown
from .results.effect import dropped_of
from .scan.class_folders import in_classes

if TYPE_CHECKING:
    from .network import Network


@dataclass(frozen=True)
class Off:
    """How units are switched off. See Network.ablate."""

    fill: str
    over: Any
    region: Region
    seed: int
    activated: bool


def effect(
    network: Network, pictures: Any, at: str | int | None, target: Any, units: Sequence[int] | None, off: Off, truth: Any,
    first: int | None, memory: int, progress: Progress | None,
) -> Effect:  # fmt: skip
    """See Network.ablate."""
    refuse_no_set(off)
    prepared, named = with_classes(network, pictures, first)
    where = reading(network.graph, one_layer(network, prepared, at, target), activated=off.activated)
    region = region_of(network, prepared, where.read_at, off.region)
    values = Instead(network, where, off)
    worths, targets = list[Worth](), list[str]()
    for number in range(len(prepared.names)):
        picture = batch(prepared.inputs, slice(number, number + 1))
        goal = resolve(network.engine, picture, of_one(target, number, len(prepared.names)), labels=network.labels)
        told = None if progress is None else partial(of_all, progress, number, len(prepared.names))
        found = worth(
            network.engine, picture, goal, where.read_at,
            units=units, value=values.of(picture), where=region, memory=memory, progress=told,
        )  # fmt: skip
        worths.append(found)
        targets.append(goal.name)
    chosen = tuple(range(len(worths[0].without))) if units is None else tuple(map(int, units))
    return Effect(
        where, chosen, tuple(targets), tuple(worths), shown_of(prepared), network.info, network.labels, values.said,
        dropped(network, where.layer, chosen, worths, named if truth is None else truth), off.region,
    )  # fmt: skip


def refuse_no_set(off: Off) -> None:
    """Raises WrongOption, and InputError where what stands for a unit is of pictures that were not given."""
    if off.fill not in FILLS:
        raise WrongOption("What stands for a unit that is off", off.fill, FILLS)
    if off.fill != "zero" and off.over is None:
        raise InputError(f"fill='{off.fill}' is taken from pictures. Give some: over='pictures/'.", received=off.over)


def with_classes(network: Network, pictures: Any, first: int | None) -> tuple[Prepared, list[int] | None]:
    """The pictures, and the classes that a folder per class says, None without. Raises InputError."""
    classes = in_classes(pictures, network.preprocess, network.labels, first)
    if classes is None and first is not None:
        raise InputError(
            "first= is of a folder with a folder per class, which these pictures are not. Leave it out.", received=first
        )
    return classes or (network._prepared(pictures), None)


def one_layer(network: Network, prepared: Prepared, at: str | int | None, target: Any) -> str:
    """Raises InputError, UnknownLayer."""
    names = [default_layer(network, prepared, target)] if at is None else select(network.graph, at)
    if len(names) != 1:
        raise InputError(f"Units of one layer are switched off, but {len(names)} were named. Ablate one at a time.", received=at)
    return names[0]


def default_layer(network: Network, prepared: Prepared, target: Any) -> str:
    """The last layer with maps that the target of the first picture follows from."""
    first = batch(prepared.inputs, slice(0, 1))
    goal = resolve(network.engine, first, of_one(target, 0, len(prepared.names)), labels=network.labels)
    return last_layer(network.engine, first, goal)


def region_of(network: Network, prepared: Prepared, layer: str, region: Region) -> Array | None:
    """Raises InputError for one that does not fit the layer."""
    if region is None:
        return None
    shape = interventions.shape_of(network.engine, layer, batch(prepared.inputs, slice(0, 1)))
    return interventions.within(region, shape[1:], layer)


class Instead:
    """What stands in a unit's place: nothing, its mean over a set, or its map of another picture of the set.

    said   that in words
    """

    def __init__(self, network: Network, where: Reading, off: Off):
        self._seed = off.seed
        self._value: Array | float = 0.0
        self._maps: Array | None = None
        self.said, self._set = "zero", None if off.over is None else network._prepared(off.over).inputs
        if off.fill == "mean" and self._set is not None:
            self._value = interventions.means(network.engine, self._set, where.read_at).ravel()
            self.said = f"its mean over {count(self._set)} pictures"
        if off.fill == "resample" and self._set is not None:
            self._maps = interventions.every_map(network.engine, self._set, where.read_at)
            self.said = f"its map of another of {count(self._set)} pictures (seed {off.seed})"

    def of(self, picture: Pictures) -> Array | float:
        """For one picture. Where that is in the set itself, its own maps are not drawn: nothing would change.

        raises   InputError where no other is left
        """
        if self._maps is None or self._set is None:
            return self._value
        others = [number for number in range(len(self._maps)) if not same(batch(self._set, slice(number, number + 1)), picture)]
        if not others:
            raise InputError("fill='resample' takes maps of other pictures, but there is none in 'over'. Give more.")
        return interventions.sampled(self._maps[others], seed=self._seed)


def same(one: Pictures, other: Pictures) -> bool:
    first, second = arrays(one), arrays(other)
    return all(np.array_equal(first[name], second[name]) for name in first)


def dropped(network: Network, layer: str, units: tuple[int, ...], worths: Sequence[Worth], truth: Any) -> Dropped | None:
    """How often the network is right; None where no classes are given."""
    if truth is None:
        return None
    if worths[0].classes is None:
        raise Unsupported("How often a network is right is only known of a classifier. Leave 'truth' away.")
    classes = len(worths[0].classes)
    return dropped_of(layer, units, worths, numbers_of(truth, len(worths), network.labels, classes), classes)


def shown_of(prepared: Prepared) -> tuple[Shown, ...]:
    return tuple(map(Shown, prepared.names, prepared.shown, prepared.notes))


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
