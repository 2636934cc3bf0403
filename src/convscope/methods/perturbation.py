"""Attributions by changing the picture, or a layer, and looking at the score. No gradients are needed.

Each takes one picture (1, c, *spatial); its variants pass in batches that stay under a limit of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine
from ..errors import InputError
from .ablation import ablate_units
from .attribution import Attribution, scores
from .cam import rectified, with_maps
from .gradients import on
from .maps import Progress
from .occlusion import Fill, occlusion, per_axis, starts_along
from .resize import bilinear
from .resume import MEMORY, score_many
from .targets import Target

Masks = npt.NDArray[np.float64]  # in 0..1, 1 where the picture stays
DRAWN = 64  # random masks that are made at a time


def occlusion_map(
    engine: Engine,
    pictures: Array,
    target: Target,
    *,
    window: int | Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    fill: Fill = "mean",
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """What the score loses where a window covers the picture, the mean over the windows that do. Zeiler and Fergus 2014. Signed.

    window   positions along each axis; None: a seventh of the picture, 32 of 224. `stride`, by how many it moves; None: half
    returns  (1, *spatial) in units of score; see methods/occlusion.py
    raises   InputError where windows leave gaps, of which a map would say that nothing is lost there
    """
    size = tuple(max(1, each // 7) for each in pictures.shape[2:]) if window is None else window
    half = tuple(max(1, each // 2) for each in size) if isinstance(size, Sequence) else max(1, size // 2)
    step = half if stride is None else stride
    check_covers(pictures.shape[2:], size, step)
    found = occlusion(engine, one(pictures), target, window=size, stride=step, fill=fill, memory=memory, progress=progress)
    places = " x ".join(str(len(each)) for each in found.starts)
    note = f"a window of {' x '.join(map(str, found.window))} at {places} places; {found.how}"
    return Attribution(found.drop(pictures.shape[2:]), found.score, notes=(note,))


def check_covers(spatial: Sequence[int], window: int | Sequence[int], stride: int | Sequence[int]) -> None:
    """Raises InputError where no window covers some of the picture."""
    sizes, steps = (per_axis(each, len(spatial), what) for each, what in ((window, "window"), (stride, "stride")))
    for whole, size, step in zip(spatial, sizes, steps, strict=True):
        if size <= whole and max(np.diff(starts_along(whole, size, step)), default=0) > size:
            raise InputError(
                f"A window of {size} that moves by {step} leaves gaps, of which nothing would be known. "
                f"Give a stride of {size} at most.",
                received=stride,
                expected=sizes,
            )


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
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """E[score(x under M) | position open] - E[score(x under M)] over random masks M. Petsiuk et al. 2018. Signed.

    A mask is a grid of `cells` per axis, each open with the chance `kept`, made larger bilinearly and shifted at random. The
    paper's map is the first term; without the second, which is the same everywhere, zero would mean nothing.

    fill      what the network receives where a mask is shut
    returns   (1, *spatial) in units of score; `delta` is the standard error over masks as a share of the map's own spread
    """
    if masks < 2 or cells < 1 or not 0 < kept < 1:
        raise InputError(f"RISE takes masks from 2 up, cells from 1 up and kept in 0..1, but received {masks}, {cells}, {kept}.")
    spatial, filled = pictures.shape[2:], on(fill, one(pictures))
    generator, every = np.random.default_rng(seed), []
    open_, weighted, squared = (np.zeros(spatial) for _ in range(3))
    for start in range(0, masks, DRAWN):
        some = random_masks(generator, min(DRAWN, masks - start), spatial, cells, kept)
        value = _scores_under(engine, pictures, filled, some, len(some), target, memory)
        open_ += some.sum(0)
        weighted += np.tensordot(value, some, 1)
        squared += np.tensordot(value**2, some, 1)
        every.append(value)
        if progress:
            progress(start + len(some), masks)
    mean = weighted / (open_ := np.maximum(open_, 1e-9))
    error = np.sqrt(np.mean(np.maximum(squared / open_ - mean**2, 0) / open_)) / max(float(mean.std()), 1e-12)
    values = (mean - np.concatenate(every).mean())[None].astype(np.float32)
    said = "standard error of the map over masks, as a share of the map's spread"
    note = f"{masks} masks of {cells} cells per axis, {kept:g} open, seed {seed}"
    return Attribution(values, scores(engine, pictures, target), np.array([error], np.float32), said, notes=(note,))


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


def _scores_under(
    engine: Engine,
    picture: Array,
    filled: Array,
    masks: Iterable[Masks],
    number: int,
    target: Target,
    memory: int,
    progress: Progress | None = None,
) -> Masks:
    """(number,) the target's value of one picture (1, c, *spatial) under masks (*spatial), which are made one by one."""
    variants = (mask[None].astype(np.float32) for mask in masks)
    mixed = (mask * picture[0] + (1 - mask) * filled[0] for mask in variants)
    return score_many(engine, mixed, target, memory=memory, number=number, progress=progress).astype(np.float64)


def one(pictures: Array) -> Array:
    """A single picture. Raises InputError: the variants of several would get each other's targets."""
    if len(pictures) != 1:
        raise InputError(f"This method takes one picture at a time, but received {len(pictures)}.", received=len(pictures))
    return pictures


def score_cam(
    engine: Engine,
    pictures: Array,
    target: Target,
    layer: str,
    *,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """relu(sum_c w_c a_c), w = softmax over units of the score of the picture under the unit's own map. Wang et al. 2020.

    A unit's map is made as large as the picture bilinearly and brought to 0..1; the picture is multiplied by it.

    returns   (1, *spatial) at the layer's own resolution, never negative, in units of activation; `units` are the scores
              under each unit's map minus that of an input of zeros
    """
    run = engine.run(one(pictures), [layer, target.layer])
    activations, score = with_maps(engine, layer, run[layer]), target.values(run[target.layer])
    nothing = scores(engine, np.zeros_like(pictures), target)
    units = [unit for unit, each in enumerate(activations[0]) if each.min() < each.max()]  # others leave nothing of the picture
    masks = (to_unit_range(bilinear(activations[0, unit : unit + 1], pictures.shape[2:]))[0] for unit in units)
    under = _scores_under(engine, pictures, np.zeros_like(pictures), masks, len(units), target, memory, progress)
    raised = np.zeros(activations.shape[1])
    raised[units] = under - nothing
    weights = np.exp(raised - raised.max())
    values = rectified(np.tensordot(weights / weights.sum(), activations[0], 1))
    return Attribution(values[None].astype(np.float32), score, units=raised[None].astype(np.float32))


def ablation_cam(
    engine: Engine,
    pictures: Array,
    target: Target,
    layer: str,
    *,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """relu(sum_c (y - y without c) a_c). Desai and Ramaswamy 2020. The layers before it run once.

    Without the paper's division by y, which is the same for all units, and turns every sign where y is negative.

    returns   (1, *spatial) at the layer's own resolution, never negative; `units` is what the score loses without each
    """
    run = engine.run(one(pictures), [layer, target.layer])
    activations, score = with_maps(engine, layer, run[layer]), target.values(run[target.layer])
    without = ablate_units(engine, pictures, layer, read=target.layer, memory=memory, progress=progress)[0]
    lost = score - target.values(without)
    values = rectified(np.tensordot(lost, activations[0], 1))
    return Attribution(values[None].astype(np.float32), score, units=lost[None].astype(np.float32))


def to_unit_range(maps: Array) -> Masks:
    """Each map (m, *spatial) by its own least and greatest value to 0..1; a constant one is shut everywhere."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    flat = high <= low
    return np.where(flat, 0.0, (maps - low) / np.where(flat, 1, high - low)).astype(np.float64)
