"""Gradients with another rule at the ReLUs: fine pictures of what a network reacts to, which hardly depend on the answer."""

from __future__ import annotations

from collections import Counter

from ..core import Array, Engine, RuledBackward
from ..errors import Unsupported
from .attribution import WITHOUT_GRADIENTS, Attribution, pulled
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


def _with_rule(engine: Engine, pictures: Array, target: Target, rule: str) -> Attribution:
    if not isinstance(engine, RuledBackward):
        raise Unsupported(
            f"The backward rule of ReLUs cannot be changed on {engine.framework}. It can in torch, and in Keras on torch "
            f"(KERAS_BACKEND=torch). Methods that need no gradients: {WITHOUT_GRADIENTS}."
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
