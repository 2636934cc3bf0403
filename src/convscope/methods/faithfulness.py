"""How well a map tells where the score comes from: by taking away what it names, and by pointing at objects of known places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine
from ..errors import InputError
from .attribution import scores
from .resume import MEMORY, score_many
from .targets import Target, of_one


@dataclass(frozen=True, eq=False)
class Curve:
    """Scores while a picture goes, or comes, in the order of a map.

    shares   (steps + 1,) of the positions that were changed, 0..1
    scores   (steps + 1,) the target's value then
    """

    shares: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    @property
    def area(self) -> float:
        """Under the curve, the mean score on the way (trapezoid rule): small is good for deletion, large for insertion."""
        middles = (self.scores[1:] + self.scores[:-1]) / 2
        return float((middles * np.diff(self.shares)).sum())


def deletion(
    engine: Engine,
    picture: Array,
    target: Target,
    heat: Array,
    *,
    fill: Array | float = 0.0,
    steps: int = 32,
    memory: int = MEMORY,
) -> Curve:
    """The score while positions are replaced by `fill`, those with the greatest values first. Petsiuk et al. 2018.

    picture   (1, c, *spatial), already preprocessed
    heat      (*spatial) as large as the picture: of a layer as `Explanation.over_picture` lays it over that
    raises    InputError for a map of another size, and for less than one step
    """
    return _curve(engine, picture, np.broadcast_to(np.asarray(fill, np.float32), picture.shape), target, heat, steps, memory)


def insertion(
    engine: Engine,
    picture: Array,
    target: Target,
    heat: Array,
    *,
    fill: Array | float = 0.0,
    steps: int = 32,
    memory: int = MEMORY,
) -> Curve:
    """The score while positions of `fill` are replaced by the picture's, those with the greatest values first."""
    return _curve(engine, np.broadcast_to(np.asarray(fill, np.float32), picture.shape), picture, target, heat, steps, memory)


def _curve(engine: Engine, start: Array, end: Array, target: Target, heat: Array, steps: int, memory: int) -> Curve:
    if steps < 1:
        raise InputError(f"A curve takes at least one step, but received {steps}.", received=steps)
    spatial = start.shape[2:]
    order = np.argsort(-_fits(heat, spatial).ravel(), kind="stable")
    counts = np.linspace(0, order.size, steps + 1).round().astype(int)
    before, after = start[0].reshape(start.shape[1], -1), end[0].reshape(start.shape[1], -1)

    def mixed(count: int) -> Array:
        result: Array = before.copy()
        result[:, order[:count]] = after[:, order[:count]]
        reshaped: Array = result.reshape(start.shape[1:])
        return reshaped

    found = score_many(engine, (mixed(count) for count in counts), of_one(target, 0, 1), memory=memory, number=len(counts))
    return Curve(counts / order.size, found.astype(np.float64))


def drop_and_increase(engine: Engine, picture: Array, target: Target, heat: Array) -> tuple[float, bool]:
    """max(0, y - o) / y and whether o > y, o being the score of the picture times the map in 0..1. Chattopadhay et al. 2018.

    target   a probability: the share has no meaning for a score that can be negative
    heat     as of `deletion`
    raises   InputError where the score is not above 0, and for a map of another size than the picture
    """
    mask = np.maximum(_fits(heat, picture.shape[2:]), 0)
    mask = mask / max(float(mask.max()), 1e-12)
    whole = float(scores(engine, picture, target)[0])
    if whole <= 0:
        raise InputError(f"The average drop is a share of a score above 0, but this is {whole:.3g}. Use a probability.")
    masked = float(scores(engine, (picture * mask).astype(np.float32), target)[0])
    return max(0.0, whole - masked) / whole, masked > whole


def points_at(heat: Array, region: npt.NDArray[np.bool_], *, tolerance: float = 0) -> bool:
    """The pointing game: whether the greatest value lies in `region` (*spatial), or near it. Zhang et al. 2018.

    heat        as large as `region`: of a layer as `Explanation.over_picture` lays it over the picture
    tolerance   how many positions beside the region still count
    raises      InputError for a map of another size

    Of several greatest values the first is taken, row by row. A map that is the same everywhere points nowhere.
    """
    map_ = _fits(heat, region.shape)
    if np.ptp(map_) == 0:
        return False
    at = np.unravel_index(int(map_.argmax()), region.shape)
    if tolerance <= 0 or not region.any():
        return bool(region[at])
    return bool(np.sqrt(((np.argwhere(region) - np.array(at)) ** 2).sum(1).min()) <= tolerance)


def _fits(heat: Array, spatial: tuple[int, ...]) -> Array:
    """The map, if it is as large as the picture. A smaller one says nothing of where in the picture its places stand."""
    map_: Array = np.asarray(heat, np.float32)
    if map_.shape != spatial:
        raise InputError(
            f"The map is as large as the picture, {spatial}, but received one of {map_.shape}. Pass the explanation's "
            "over_picture(), which lays the map of a layer where its places stand.",
            received=map_.shape,
            expected=spatial,
        )
    return map_
