"""Another backward rule for every ReLU, wherever it stands: a module or a function, in place or not; in Keras on torch too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..core import RULES, Rule
from ..errors import Unsupported, WrongOption
from .torch_functions import name_of
from .torch_modules import is_script

# Functions that are a ReLU when their lower bound is 0, with the places of their bounds among the arguments.
BOUNDED = {"clamp": ("min", "max"), "clip": ("min", "max"), "hardtanh": ("min_val", "max_val"), "maximum": ("other",)}


class ReluRule(TorchFunctionMode):
    """While it stands, what flows back through a ReLU changes; what flows forward does not.

    guided      relu(g) where the ReLU let something through. Springenberg et al. 2014
    deconvnet   relu(g) everywhere. Zeiler and Fergus 2013
    changed     how many ReLUs ran
    """

    def __init__(self, rule: Rule):
        super().__init__()
        if rule not in RULES:
            raise WrongOption("The backward rule", rule, RULES)
        self.rule, self.changed = rule, 0

    def check(self) -> None:
        """Raises Unsupported where no ReLU ran: the rule would have changed nothing, and looked as if it had."""
        if not self.changed:
            raise Unsupported(
                f"No ReLU was found in this network, so that the backward rule '{self.rule}' would change nothing. "
                "Use a method without such a rule: saliency, integrated-gradients, grad-cam."
            )

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        value = args[0] if args else kwargs.get("input")
        if not isinstance(value, torch.Tensor) or not is_relu(name_of(function), args, kwargs):
            return function(*args, **kwargs)
        self.changed += 1
        rest = {key: each for key, each in kwargs.items() if key not in ("input", "inplace")}
        made = function(value.detach().clone(), *args[1:], **rest)
        # Between its bounds, and only there, a ReLU gives what it received.
        through = made.ne(0) & made.eq(value.detach()) if self.rule == "guided" else None
        result = Rectified.apply(value, made, through)  # type: ignore[no-untyped-call]
        return value.copy_(result) if is_in_place(function, args, kwargs) else result


class Rectified(torch.autograd.Function):
    """Forward what a ReLU made; backward the positive part of the gradient, where it is let through."""

    @staticmethod
    def forward(ctx: Any, _value: Any, made: Any, through: Any) -> Any:
        ctx.save_for_backward(*([] if through is None else [through]))
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        rectified = gradient.clamp(min=0)
        for through in ctx.saved_tensors:
            rectified = rectified * through
        return rectified, None, None


def is_relu(name: str, args: Any, kwargs: Any) -> bool:
    """Whether it is zero below 0 and what it received above, up to a bound if there is one."""
    if name in ("relu", "relu6"):
        return True
    if name == "threshold":
        return tuple(args[1:3]) == (0, 0)
    if name not in BOUNDED:
        return False
    low = args[1] if len(args) > 1 else kwargs.get(BOUNDED[name][0])
    if isinstance(low, torch.Tensor):
        return not low.requires_grad and not bool(low.any())  # one that follows from the picture is no bound
    return isinstance(low, int | float) and low == 0


def is_in_place(function: Any, args: Any, kwargs: Any) -> bool:
    """Whether it writes into what it received: `relu_`, `inplace=True`, or that as the last of several arguments."""
    return function.__name__.endswith("_") or bool(kwargs.get("inplace")) or (len(args) > 1 and args[-1] is True)


def refuse_scripts(rule: Rule, names: Mapping[nn.Module, str]) -> None:
    """Raises Unsupported for a network with TorchScript in it."""
    if script := next((name for each, name in names.items() if is_script(each)), None):
        raise Unsupported(
            f"'{script}' is TorchScript, in which no ReLU can be given the backward rule '{rule}'. Use a method without such "
            "a rule: saliency, integrated-gradients, grad-cam."
        )
