"""Laws on gradients."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..core import Differentiable, Edit, Pictures
from .compare import REORDERED, SLOPE, editable, noise, require, same

STEPS = (1e-1, 1e-2, 1e-3, 1e-4)  # of a derivative's check, relative to the size of what is moved


def law_a_trace_reads_what_a_run_reads(engine: Differentiable, pictures: Pictures) -> None:
    names = [*editable(engine, pictures, engine.graph.names), "output"]
    for edits in ([], [Edit(names[1], -0.5, 0.25)]):
        run, trace = engine.run(pictures, names, edits), engine.trace(pictures, names, edits)
        for name in names:
            same(trace[name], run[name], name)
    same(engine.trace(pictures, [], edits)["output"], run["output"], "the output of a trace without taps")


def law_pullback_is_the_derivative(engine: Differentiable, pictures: Pictures) -> None:
    names = editable(engine, pictures)
    for name in names:
        check_slope(engine, pictures, "output", name)
    for later in {names[len(names) // 2], names[-1]} - {"input"}:
        check_slope(engine, pictures, later, "input")


def law_pullback_is_linear_in_its_seeds(engine: Differentiable, pictures: Pictures) -> None:
    names = editable(engine, pictures)
    trace = engine.trace(pictures, names)
    first, second = (noise(trace["output"].shape, number) for number in (1, 2))
    for earlier, later in pairwise(names):
        inner = noise(trace[later].shape, 3)
        parts = [trace.pullback({"output": each}, [earlier])[earlier] for each in (first, second)]
        within = trace.pullback({later: inner}, [earlier, later])
        parts.append(within[earlier])
        whole = trace.pullback({"output": 2 * first - second, later: 3 * inner}, [earlier])[earlier]
        off = np.abs(whole - (2 * parts[0] - parts[1] + 3 * parts[2])).max()
        require(off <= 3 * REORDERED * sum(np.abs(part).max() for part in parts), f"'{earlier}', seeds also at '{later}': {off}")
        same(within[later], inner, f"'{later}' with respect to itself")


def law_a_gradient_does_not_depend_on_what_else_is_tapped(engine: Differentiable, pictures: Pictures) -> None:
    names = editable(engine, pictures)
    together = engine.trace(pictures, names)
    seed = noise(together["output"].shape, 6)
    gradients = together.pullback({"output": seed}, names)
    for name in names:
        alone = engine.trace(pictures, [name]).pullback({"output": seed}, [name])[name]
        same(gradients[name], alone, f"the gradient with respect to '{name}'", REORDERED)


def check_slope(engine: Differentiable, pictures: Pictures, of: str, wrt: str) -> None:
    """Move `wrt` along its gradient, so that nothing cancels; where that is zero, anywhere: `of` must not move either.

    It starts beside the value that `wrt` has, since after a ReLU many are 0, where a maximum has no derivative.
    """
    value = engine.run(pictures, [wrt])[wrt]
    size = max(float(np.linalg.norm(value)), 1.0)
    start = noise(value.shape, 5) * np.float32(0.1 * size / np.sqrt(value.size))
    trace = engine.trace(pictures, [of, wrt], [Edit(wrt, 1.0, start)])
    seed = noise(trace[of].shape, 0)
    gradient = trace.pullback({of: seed}, [wrt])[wrt]
    require(gradient.shape == value.shape and gradient.dtype == np.float32, f"the gradient of '{wrt}' is {gradient.shape}")
    slope, seen = float(np.linalg.norm(gradient.astype(np.float64))), []
    way = gradient / slope if slope else noise(gradient.shape, 4) / np.sqrt(gradient.size)
    for step in STEPS:
        shifts = [np.asarray(start + way * sign * step * size, np.float32) for sign in (1, -1)]
        ahead, behind = (engine.run(pictures, [of], [Edit(wrt, 1.0, shift)])[of] for shift in shifts)
        seen.append(float((seed * (ahead.astype(np.float64) - behind)).sum()) / (2 * step * size))
    allowed = SLOPE * (slope or float(np.linalg.norm(seed)) * float(np.linalg.norm(trace[of])) / size)
    require(min(abs(each - slope) for each in seen) <= allowed, f"d '{of}' / d '{wrt}' is {slope}, differences give {seen}")
