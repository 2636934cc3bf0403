"""What every method that explains gives back, and what they have in common: a score and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import Array, Differentiable, Trace
from ..errors import EngineError, Unsupported
from .targets import Target

WITHOUT_GRADIENTS = "cam, eigen-cam, score-cam, ablation-cam, occlusion, rise"


@dataclass(frozen=True, eq=False)
class Attribution:
    """What speaks for a target in each of n pictures.

    values   (n, c, *spatial) at the pictures, or (n, *spatial) at a layer; unscaled
    score    (n,) the target's value
    delta    (n,) the method's own check, None where it has none
    check    what `delta` is, in words
    units    (n, units) what each unit of the layer speaks for the target, where the method tells
    notes    what has to be said about it
    """

    values: Array
    score: Array
    delta: Array | None = None
    check: str = ""
    units: Array | None = None
    notes: tuple[str, ...] = ()


def differentiable(engine: Any, what: str) -> Differentiable:
    """The engine, if it has gradients. Raises Unsupported, which says what works without."""
    if isinstance(engine, Differentiable):
        return engine
    raise Unsupported(
        f"{what} needs gradients, which {engine.framework} does not give. Methods that need none: {WITHOUT_GRADIENTS}. "
        "Or open the network in torch or Keras; an ONNX file with convscope.open(file, via='torch')."
    )


def pulled(trace: Trace, target: Target, wrt: Sequence[str]) -> tuple[Array, dict[str, Array]]:
    """(n,) scores, and their gradients with respect to each of `wrt`, of a trace that tapped all of them.

    raises   EngineError where a gradient is not finite
    """
    score, seeds = target.seeds(trace[target.layer])
    gradients = trace.pullback({target.layer: seeds}, list(wrt))
    for name, each in gradients.items():
        if broken := int(np.count_nonzero(~np.isfinite(each))):
            raise EngineError(
                f"The gradient of {target.name} with respect to '{name}' has {broken} values of {each.size} that are not finite. "
                "Look for the layer that gives them with maps(); a square root or a logarithm at 0 has no slope.",
                name,
            )
    return score, gradients


def gradient(engine: Differentiable, pictures: Array, target: Target) -> tuple[Array, Array]:
    """(n,) scores and (n, c, *spatial) their gradients with respect to the pictures."""
    score, gradients = pulled(engine.trace(pictures, ["input", target.layer]), target, ["input"])
    return score, gradients["input"]


def scores(engine: Any, pictures: Array, target: Target) -> Array:
    """(n,) the target's value of each picture."""
    return target.values(engine.run(pictures, [target.layer])[target.layer])


def total(values: Array) -> Array:
    """(n,) the sum of everything in each picture, in float64 on the way."""
    result: Array = values.reshape(len(values), -1).sum(1, dtype=np.float64).astype(np.float32)
    return result
