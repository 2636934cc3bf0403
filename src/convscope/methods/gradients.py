"""Attributions by the gradient of the score with respect to the picture. Each stays signed where its formula is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable
from ..errors import InputError, WrongOption
from .attribution import Attribution, gradient, gradients_of, scores, total
from .maps import Progress
from .resume import MEMORY
from .targets import Target

Rule = Literal["gauss", "left", "right", "middle", "trapezoid"]
RULES: tuple[Rule, ...] = ("gauss", "left", "right", "middle", "trapezoid")
MOST_STEPS = 1600  # where raising the steps of integrated gradients ends


def saliency(engine: Differentiable, pictures: Array, target: Target) -> Attribution:
    """How much the score moves with each value of the picture: |dy/dx|. Simonyan et al. 2013.

    pictures  (n, c, *spatial), already preprocessed
    returns   (n, c, *spatial), never negative, in units of score per unit of what the network receives
    raises    InputError for a target without a gradient; EngineError where the gradient is not finite
    """
    score, slope = gradient(engine, pictures, target)
    return Attribution(np.abs(slope), score)


def input_x_gradient(engine: Differentiable, pictures: Array, target: Target) -> Attribution:
    """What each value contributes to first order: x * dy/dx, signed. Shrikumar et al. 2016.

    returns   (n, c, *spatial) in units of score; `delta` is their sum minus the score, zero for a ReLU network without biases
    """
    score, slope = gradient(engine, pictures, target)
    values = pictures * slope
    return Attribution(values, score, total(values) - score, "sum of the values minus the score")


def smooth_grad(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    *,
    samples: int = 25,
    spread: float = 0.15,
    seed: int = 0,
    noise: Array | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """The mean gradient under noise: E[dy/dx at x + e], e normal. Smilkov et al. 2017. Signed.

    spread    the noise's standard deviation, as a share of the picture's own range, max - min
    noise     (samples, n, c, *spatial) instead, to be added as it is
    returns   (n, c, *spatial) in units of score per unit; `delta` is the standard error of the mean over its size, 0..1
    """
    mean, variance, count = _under_noise(engine, pictures, target, samples, spread, seed, noise, memory, progress)
    size = np.sqrt(total(mean**2))
    error = np.sqrt(total(variance) / count) / np.where(size > 0, size, 1)
    said = "standard error of the mean over noise, as a share of its size"
    return Attribution(mean, scores(engine, pictures, target), error.astype(np.float32), said)


def var_grad(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    *,
    samples: int = 25,
    spread: float = 0.15,
    seed: int = 0,
    noise: Array | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """The variance of the gradient under noise: Var[dy/dx at x + e], e normal. Adebayo et al. 2018. Never negative.

    returns   (n, c, *spatial) in units of (score per unit) squared
    """
    _, variance, _ = _under_noise(engine, pictures, target, samples, spread, seed, noise, memory, progress)
    return Attribution(variance, scores(engine, pictures, target))


def _under_noise(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    samples: int,
    spread: float,
    seed: int,
    noise: Array | None,
    memory: int,
    progress: Progress | None,
) -> tuple[Array, Array, int]:
    """Mean and variance of the gradient over samples (Welford), and how many there were."""
    count = samples if noise is None else len(noise)
    if count < 2:
        raise InputError(f"Noise needs at least 2 samples, but received {count}.", received=count)
    if noise is not None and noise.shape[1:] != pictures.shape:
        raise InputError(f"The noise has shape {noise.shape}, but it is added to pictures of {pictures.shape}.")
    generator = np.random.default_rng(seed)
    range_ = np.ptp(pictures.reshape(len(pictures), -1), axis=1).reshape(-1, *[1] * (pictures.ndim - 1))
    mean, squares = np.zeros(pictures.shape, np.float64), np.zeros(pictures.shape, np.float64)

    def drawn(number: int) -> Array:
        given: Array | None = None if noise is None else noise[number]
        return generator.standard_normal(pictures.shape, np.float32) * np.float32(spread) * range_ if given is None else given

    variants = ((pictures + drawn(number)).astype(np.float32) for number in range(count))
    for number, slope in enumerate(gradients_of(engine, variants, target, memory=memory)):
        off = slope - mean
        mean += off / (number + 1)
        squares += off * (slope - mean)
        if progress:
            progress(number + 1, count)
    return mean.astype(np.float32), (squares / count).astype(np.float32), count


def integrated_gradients(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    *,
    baselines: Sequence[Array],
    steps: int = 50,
    rule: Rule = "gauss",
    tolerance: float | None = None,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """(x - b) * integral of dy/dx along the straight line from b to x, averaged over baselines b. Sundararajan et al. 2017.

    baselines   each broadcasts against the pictures; what the network would receive where there is nothing to see
    rule        "gauss" (Gauss-Legendre), or a Riemann sum: "left", "right", "middle", "trapezoid"
    tolerance   raise the steps, twice as many each time up to 1600, until the gap is under this share of the difference of scores
    returns     (n, c, *spatial) signed, in units of score; `delta` is the completeness gap: sum of values - (F(x) - F(b))
    """
    whole = scores(engine, pictures, target)
    gone = np.mean([scores(engine, on(baseline, pictures), target) for baseline in baselines], axis=0)
    while True:
        values = np.zeros(pictures.shape, np.float64)
        for baseline in baselines:
            along = _along(engine, pictures, on(baseline, pictures), target, nodes(rule, steps), memory, progress)
            values += along / len(baselines)
        gap = total(values.astype(np.float32)) - (whole - gone)
        enough = tolerance is None or (np.abs(gap) <= tolerance * np.maximum(np.abs(whole - gone), 1e-6)).all()
        if enough or steps >= MOST_STEPS:
            break
        steps = min(2 * steps, MOST_STEPS)
    notes: tuple[str, ...] = (
        f"{steps} steps, {rule}; mean over {len(baselines)} baselines" if len(baselines) > 1 else f"{steps} steps, {rule}",
    )
    if not enough:
        notes += (f"the gap is not under {tolerance:g} of the difference of scores after {steps} steps",)
    said = "sum of the values minus (score of the picture - score of the baseline)"
    return Attribution(values.astype(np.float32), whole, gap.astype(np.float32), said, notes=notes)


def _along(
    engine: Differentiable,
    pictures: Array,
    baseline: Array,
    target: Target,
    places: Sequence[tuple[float, float]],
    memory: int,
    progress: Progress | None,
) -> npt.NDArray[np.float64]:
    way = pictures - baseline
    mean = np.zeros(pictures.shape, np.float64)
    variants = ((baseline + np.float32(at) * way).astype(np.float32) for at, _ in places)
    for number, slope in enumerate(gradients_of(engine, variants, target, memory=memory)):
        mean += places[number][1] * slope
        if progress:
            progress(number + 1, len(places))
    result: npt.NDArray[np.float64] = way * mean
    return result


def nodes(rule: Rule, steps: int) -> list[tuple[float, float]]:
    """(place, weight) in 0..1 of a rule of integration; the weights sum to one. Raises WrongOption, InputError."""
    if rule not in RULES:
        raise WrongOption("The rule of integration", rule, RULES)
    if steps < 1 or (rule == "trapezoid" and steps < 2):
        raise InputError(
            f"Integration takes at least one step, two with the trapezoid rule, but received {steps}.", received=steps
        )
    if rule == "gauss":
        at, weights = np.polynomial.legendre.leggauss(steps)
        return [(float((1 + place) / 2), float(weight / 2)) for place, weight in zip(at, weights, strict=True)]
    if rule == "trapezoid":
        ends = [0.5 if number in (0, steps - 1) else 1.0 for number in range(steps)]
        return [(number / (steps - 1), weight / (steps - 1)) for number, weight in enumerate(ends)]
    offset = {"left": 0.0, "middle": 0.5, "right": 1.0}[rule]
    return [((number + offset) / steps, 1 / steps) for number in range(steps)]


def expected_gradients(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    *,
    among: Array,
    samples: int = 100,
    seed: int = 0,
    memory: int = MEMORY,
    progress: Progress | None = None,
) -> Attribution:
    """E[(x - b) * dy/dx at b + t (x - b)] over pictures b of a set and t in 0..1. Erion et al. 2021.

    among     (m, c, *spatial) the set, already preprocessed
    samples   pairs (b, t) drawn: each picture of the set equally often, t one from each of as many equal parts of 0..1
    returns   (n, c, *spatial) signed, in units of score; `delta` is sum of values - (F(x) - mean of F over those drawn)
    """
    if samples < 1:
        raise InputError(f"At least one sample has to be drawn, but received {samples}.", received=samples)
    if not len(among) or among.shape[1:] != pictures.shape[1:]:
        raise InputError(f"The set has shape {np.shape(among)}, but its pictures have to be of {pictures.shape[1:]}.")
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(np.resize(np.arange(len(among)), samples))
    parts = generator.permutation(samples)
    values, gone = np.zeros(pictures.shape, np.float64), np.zeros(len(pictures), np.float64)

    def way(number: int) -> tuple[Array, Array]:
        baseline = on(among[drawn[number]], pictures)
        return baseline, pictures - baseline

    places = [np.float32((part + generator.random()) / samples) for part in parts]
    variants = (start + at * off for at, (start, off) in zip(places, map(way, range(samples)), strict=True))
    for number, slope in enumerate(gradients_of(engine, variants, target, memory=memory)):
        values += way(number)[1] * slope / samples
        if progress:
            progress(number + 1, samples)
    for picture, times in zip(*np.unique(drawn, return_counts=True), strict=True):
        gone += scores(engine, on(among[picture], pictures), target) * times / samples
    whole = scores(engine, pictures, target)
    found = values.astype(np.float32)
    said = "sum of the values minus (score of the picture - mean score of those drawn)"
    return Attribution(found, whole, (total(found) - (whole - gone)).astype(np.float32), said, notes=(f"{samples} samples",))


def on(baseline: Any, pictures: Array) -> Array:
    """A baseline as an array of the shape of `pictures`. Raises InputError if it does not fit."""
    try:
        return np.array(np.broadcast_to(np.asarray(baseline, np.float32), pictures.shape))
    except ValueError:
        received = np.shape(baseline)
        message = (
            f"A baseline of shape {received} does not fit pictures of {pictures.shape}. Give a number, or one of their shape."
        )
        raise InputError(message, received=received, expected=pictures.shape) from None
