"""The smallest part of a picture that keeps its score: a mask found by gradient."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable
from ..errors import InputError
from .attribution import Attribution, gradient, scores
from .gradients import on
from .maps import Progress
from .resize import bilinear, bilinear_back
from .targets import Target


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
    spread = np.maximum(np.abs(scores(engine, pictures, target) - scores(engine, filled, target)), 1e-6)
    for step in range(1, steps + 1):
        mask = 1 / (1 + np.exp(-grid))
        large = bilinear(mask.astype(np.float32), spatial)[:, None]
        slope = gradient(engine, large * pictures + (1 - large) * filled, target)[1]
        rise_ = bilinear_back((slope * (pictures - filled)).sum(1), grid.shape[1:])
        rise_ /= spread.reshape(-1, *[1] * len(spatial))
        way = (rise_ - 10 * step / steps * penalty(mask, area)) * mask * (1 - mask)
        first, second = 0.9 * first + 0.1 * way, 0.999 * second + 0.001 * way**2
        grid += rate * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-12)
        if progress:
            progress(step, steps)
    large = bilinear((1 / (1 + np.exp(-grid))).astype(np.float32), spatial)
    score = scores(engine, pictures, target)
    under = scores(engine, large[:, None] * pictures + (1 - large[:, None]) * filled, target)
    said = "score under the mask minus the score of the picture"
    return Attribution(large, score, under - score, said, notes=(f"{steps} steps, a mask of {cells} cells per axis",))


def penalty(mask: npt.NDArray[np.float64], area: float) -> npt.NDArray[np.float64]:
    """The slope of the mean squared distance of the sorted mask to one that is 1 on the share `area` of it, and 0 elsewhere."""
    flat = mask.reshape(len(mask), -1)
    order, count = flat.argsort(1), flat.shape[1]
    off = np.empty_like(flat)
    np.put_along_axis(off, order, np.take_along_axis(flat, order, 1) - (np.arange(count) >= round(count * (1 - area))), 1)
    result: npt.NDArray[np.float64] = 2 * off.reshape(mask.shape) / count
    return result
