"""Attributions by changing the picture and looking at the score; no gradients are needed, but for extremal perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable, Engine
from ..errors import InputError
from .attribution import Attribution, gradient, scores
from .cam import rectified, with_maps
from .gradients import on
from .maps import Progress
from .resize import bilinear, bilinear_back
from .targets import Target

Masks = npt.NDArray[np.float64]  # in 0..1, 1 where the picture stays
TOGETHER = 16  # changed pictures that pass at a time


def rise(
    engine: Engine,
    pictures: Array,
    target: Target,
    *,
    masks: int = 1000,
    cells: int = 7,
    kept: float = 0.5,
    fill: Array | float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Attribution:
    """E[score(x under M) * M] / E[M] over random masks M, as a mean per position. Petsiuk et al. 2018.

    A mask is a grid of `cells` per axis, each open with the chance `kept`, made larger bilinearly and shifted at random.

    fill      what the network receives where a mask is shut
    returns   (n, *spatial) in units of score: the mean score of the pictures in which a position was open; `delta` is the
              standard error of that mean, over all positions, as a share of the map's own spread
    """
    if masks < 2 or cells < 1 or not 0 < kept < 1:
        raise InputError(f"RISE takes masks from 2 up, cells from 1 up and kept in 0..1, but received {masks}, {cells}, {kept}.")
    spatial, filled = pictures.shape[2:], on(fill, pictures)
    generator = np.random.default_rng(seed)
    open_, weighted, squared = np.zeros(spatial), np.zeros((len(pictures), *spatial)), np.zeros((len(pictures), *spatial))
    for start in range(0, masks, TOGETHER):
        some = random_masks(generator, min(TOGETHER, masks - start), spatial, cells, kept)
        value = _scores_under(engine, pictures, filled, some, target)
        open_ += some.sum(0)
        weighted += np.tensordot(value, some, 1)
        squared += np.tensordot(value**2, some, 1)
        if progress:
            progress(start + len(some), masks)
    values = weighted / np.maximum(open_, 1e-9)
    variance = np.maximum(squared / np.maximum(open_, 1e-9) - values**2, 0) / np.maximum(open_, 1e-9)
    axes = tuple(range(1, values.ndim))
    error = np.sqrt(variance.mean(axes)) / np.maximum(values.std(axes), 1e-12)
    said = "standard error of the map over masks, as a share of the map's spread"
    note = f"{masks} masks of {cells} cells per axis, {kept:g} open, random seed {seed}"
    return Attribution(values.astype(np.float32), scores(engine, pictures, target), error.astype(np.float32), said, notes=(note,))


def random_masks(generator: np.random.Generator, count: int, spatial: tuple[int, ...], cells: int, kept: float) -> Masks:
    """(count, *spatial) in 0..1: grids of cells, larger than the picture by one cell, at random places."""
    cell = [-(-size // cells) for size in spatial]
    grids = (generator.random((count, *[cells + 1] * len(spatial))) < kept).astype(np.float32)
    large = bilinear(grids, tuple((cells + 1) * size for size in cell))
    masks = np.empty((count, *spatial))
    for number in range(count):
        starts = [int(generator.integers(size)) for size in cell]
        part = tuple(slice(start, start + size) for start, size in zip(starts, spatial, strict=True))
        masks[number] = large[number][part]
    return masks


def _scores_under(engine: Engine, pictures: Array, filled: Array, masks: Masks, target: Target) -> Masks:
    """(n, m) the target's value of n pictures under m masks, (m, *spatial) or (n, m, *spatial)."""
    open_ = np.expand_dims(masks if masks.ndim == pictures.ndim else masks[None], 2).astype(np.float32)
    mixed = open_ * pictures[:, None] + (1 - open_) * filled[:, None]
    found = scores(engine, np.ascontiguousarray(mixed.reshape(-1, *pictures.shape[1:])), target)
    return found.reshape(len(pictures), -1).astype(np.float64)


def score_cam(
    engine: Engine,
    pictures: Array,
    target: Target,
    layer: str,
    *,
    units: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> Attribution:
    """relu(sum_c w_c a_c), w = softmax over units of the score of the picture under the unit's own map. Wang et al. 2020.

    A unit's map is made as large as the picture bilinearly and brought to 0..1; the picture is multiplied by it.

    units     only these, the others count nothing; None for all
    returns   (n, *spatial) at the layer's own resolution, never negative, in units of activation; `units` are the scores
              under each unit's map minus that of an input of zeros
    """
    run = engine.run(pictures, [layer, target.layer])
    activations, score = with_maps(engine, layer, run[layer]), target.values(run[target.layer])
    nothing = scores(engine, np.zeros_like(pictures), target)
    chosen = list(range(activations.shape[1])) if units is None else list(units)
    raised = np.zeros(activations.shape[:2], np.float64)
    for start in range(0, len(chosen), TOGETHER):
        some = chosen[start : start + TOGETHER]
        flat = activations[:, some].reshape(-1, *activations.shape[2:])
        masks = to_unit_range(bilinear(flat, pictures.shape[2:])).reshape(len(pictures), len(some), *pictures.shape[2:])
        raised[:, some] = _scores_under(engine, pictures, np.zeros_like(pictures), masks, target) - nothing[:, None]
        if progress:
            progress(start + len(some), len(chosen))
    weights = np.zeros_like(raised)
    exponents = np.exp(raised[:, chosen] - raised[:, chosen].max(1, keepdims=True))
    weights[:, chosen] = exponents / exponents.sum(1, keepdims=True)
    values = rectified((weights.reshape(*weights.shape, *[1] * (activations.ndim - 2)) * activations).sum(1))
    return Attribution(np.asarray(values, np.float32), score, units=raised.astype(np.float32))


def to_unit_range(maps: Array) -> Masks:
    """Each map (m, *spatial) by its own least and greatest value to 0..1; a constant one is shut everywhere."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    flat = high <= low
    return np.where(flat, 0.0, (maps - low) / np.where(flat, 1, high - low)).astype(np.float64)


def extremal_perturbation(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    *,
    area: float = 0.1,
    fill: Array | float = 0.0,
    steps: int = 200,
    cells: int = 16,
    rate: float = 0.1,
    progress: Progress | None = None,
) -> Attribution:
    """The mask of a given area under which the score is greatest: argmax_m score(m x + (1 - m) fill). Fong et al. 2019.

    The mask is a grid made larger bilinearly, found by Adam from grey; the area is kept by the paper's penalty, the squared
    distance of the sorted mask to one of the wanted area, whose weight grows.

    area      the share of the picture that stays, 0..1
    returns   (n, *spatial) the mask, 0..1; `delta` is the score under it minus the score of the picture
    """
    if not 0 < area < 1:
        raise InputError(f"The area is a share of the picture between 0 and 1, but received {area}.", received=area)
    spatial, filled = pictures.shape[2:], on(fill, pictures)
    grid = np.zeros((len(pictures), *[cells] * len(spatial)))
    first, second = np.zeros_like(grid), np.zeros_like(grid)
    count = grid[0].size
    wanted = (np.arange(count) >= round(count * (1 - area))).astype(np.float64)
    spread = np.maximum(np.abs(scores(engine, pictures, target) - scores(engine, filled, target)), 1e-6)
    for step in range(1, steps + 1):
        mask = 1 / (1 + np.exp(-grid))
        large = bilinear(mask.astype(np.float32), spatial)[:, None]
        slope = gradient(engine, large * pictures + (1 - large) * filled, target)[1]
        rise_ = bilinear_back((slope * (pictures - filled)).sum(1), grid.shape[1:])
        rise_ /= spread.reshape(-1, *[1] * len(spatial))
        flat = mask.reshape(len(mask), -1)
        order = flat.argsort(1)
        off = np.empty_like(flat)
        np.put_along_axis(off, order, np.take_along_axis(flat, order, 1) - wanted, 1)
        penalty = 10 * step / steps * 2 * off.reshape(grid.shape) / count
        way = (rise_ - penalty) * mask * (1 - mask)
        first, second = 0.9 * first + 0.1 * way, 0.999 * second + 0.001 * way**2
        grid += rate * 10 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-12) / 10
        if progress:
            progress(step, steps)
    large = bilinear((1 / (1 + np.exp(-grid))).astype(np.float32), spatial)
    score = scores(engine, pictures, target)
    under = scores(engine, large[:, None] * pictures + (1 - large[:, None]) * filled, target)
    said = "score under the mask minus the score of the picture"
    return Attribution(large, score, under - score, said, notes=(f"{steps} steps, a mask of {cells} cells per axis",))
