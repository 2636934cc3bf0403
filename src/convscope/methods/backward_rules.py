"""Gradients with another rule at the ReLUs: fine pictures of what a network reacts to, which hardly depend on the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np

from ..core import Array, Differentiable, Engine, Pictures, RuledBackward, Tap, Trace
from ..errors import EngineError, Unsupported
from .attribution import WITHOUT_GRADIENTS, Attribution, pulled, total
from .targets import Target

WARNING = (
    "it hardly depends on the target, or on the weights of the last layers (Adebayo et al. 2018): it shows edges that the "
    "network reacts to, and is no evidence for an answer"
)


def deconvnet(engine: Engine, pictures: Array, target: Target) -> Attribution:
    """The gradient with relu(g) as every ReLU's backward rule. Zeiler and Fergus 2013. Signed.

    returns   (n, c, *spatial), in no unit: it is not the derivative of anything
    raises    Unsupported where the engine cannot change the rule, or the network has no ReLU
    """
    return _with_rule(engine, pictures, target, "deconvnet")


def guided_backpropagation(engine: Engine, pictures: Array, target: Target) -> Attribution:
    """As `deconvnet`, with relu(g) only where the ReLU let something through. Springenberg et al. 2014. Signed."""
    return _with_rule(engine, pictures, target, "guided")


@runtime_checkable
class Relevant(Differentiable, Protocol):
    """An Engine through which relevance can flow back."""

    def trace_relevance(self, composite: str, pictures: Pictures, taps: Iterable[Tap | str] = ()) -> Trace:
        """As `trace`, but what `pullback` takes and gives is relevance. `composite` names the rules."""
        ...


def lrp(engine: Engine, pictures: Array, target: Target, *, composite: str = "epsilon-plus-flat") -> Attribution:
    """Layer-wise relevance propagation: the score, handed back layer by layer to what it came from. Bach et al. 2015. Signed.

    What a layer's output is worth is shared among its inputs by what each put in, R_i = sum_j z_ij / (sum_i z_ij + e) R_j, by
    zennit (Anders et al. 2021).

    composite   the rules: "epsilon-plus-flat" (convolutions by their positive parts, the first layer evenly, dense layers by
                epsilon), "epsilon-plus", "epsilon-alpha2-beta1-flat", "epsilon-alpha2-beta1", or "epsilon" for every layer
    returns     (n, c, *spatial) in units of score; `delta` is their sum minus the score: what biases took, zero without
    raises      MissingExtra without zennit; Unsupported on other engines than torch, and for a layer that has no rule
    """
    if not isinstance(engine, Relevant):
        raise Unsupported(
            f"LRP is there for torch modules as they are, not on {engine.framework} or with edits. Use "
            f"integrated-gradients, or a method without gradients: {WITHOUT_GRADIENTS}."
        )
    trace = engine.trace_relevance(composite, pictures, [target.layer])
    read = trace[target.layer]
    score, seeds = target.seeds(read)
    values = trace.pullback({target.layer: seeds * read}, ["input"])["input"]
    if not np.isfinite(values).all():
        raise EngineError(f"The relevance of {target.name} is not finite. Try another composite.")
    said = "sum of the relevance minus the score, which is what biases took"
    return Attribution(values, score, total(values) - score, said, notes=(f"rules: {composite}, by zennit",))


def _with_rule(engine: Engine, pictures: Array, target: Target, rule: str) -> Attribution:
    if not isinstance(engine, RuledBackward):
        raise Unsupported(
            f"The backward rule of ReLUs cannot be changed on {engine.framework}. It can in torch, where an ONNX file gets by "
            "convscope.open(file, via='torch'), and in Keras on torch (KERAS_BACKEND=torch). Methods that need no gradients: "
            f"{WITHOUT_GRADIENTS}."
        )
    trace = engine.trace_by(rule, pictures, [target.layer])  # type: ignore[arg-type]
    score, slopes = pulled(trace, target, ["input"])
    return Attribution(slopes["input"], score, notes=(WARNING, *_others(engine)))


def _others(engine: Engine) -> tuple[str, ...]:
    """What other activations there are, whose backward rule is as it was."""
    names = [(row.activation or row.native).lower() for row in engine.graph if row.kind == "activation" or row.activation]
    others = Counter(name for name in names if "relu" not in name and "softmax" not in name and name != "linear")
    if not others:
        return ()
    listed = ", ".join(f"{name} ({count})" for name, count in others.items())
    return (f"besides ReLUs the network has other activations, whose rule is unchanged: {listed}",)
