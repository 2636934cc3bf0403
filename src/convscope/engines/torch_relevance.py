"""Layer-wise relevance propagation through a torch module, by zennit's rules for layers and rules here for functions.

It happens in a copy of the module, which goes with the trace: the module itself never gets a hook, nor other weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..core import Array, Layer, Pictures, Tap, Trace, as_tap, input_names
from ..errors import Unsupported, WrongOption
from .torch_functions import KEEPING, KINDS, name_of
from .torch_graph import is_looked_into
from .torch_inputs import shapes_of
from .torch_library import library
from .torch_reweighed import copied
from .torch_rules import is_in_place
from .torch_tensors import flattened, rebuilt

if TYPE_CHECKING:
    from .torch import TorchEngine

COMPOSITES = ("epsilon-plus-flat", "epsilon-plus", "epsilon-alpha2-beta1-flat", "epsilon-alpha2-beta1", "epsilon")
EPSILON = 1e-6
# Functions that share relevance among what they were given by how much each put in.
SHARING = frozenset(
    {"add", "sub", "mul", "div", "mean", "fold", *(f"{kind}avg_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3))}
)
PRODUCTS = frozenset({"mul", "div"})  # linear in one of what they were given, while the others are constant
# Functions and layers whose ordinary gradient hands relevance on: they move values, or let one of several through.
MOVING = frozenset({name for name, kind in KINDS.items() if kind in ("reshape", "dropout", "padding")} | KEEPING) | {
    "cat", "concat", "concatenate", "stack", *(f"{kind}max_pool{n}d" for kind in ("", "adaptive_") for n in (1, 2, 3)),
} - SHARING  # fmt: skip
GATES = frozenset({"softmax", "log_softmax", "glu", "softmax2d", "logsoftmax", "softmin"})  # they mix what they are given
PASSING = frozenset(name for name, kind in KINDS.items() if kind == "activation") - GATES


def trace_relevance(engine: TorchEngine, composite: str, pictures: Pictures, taps: Iterable[Tap | str]) -> Trace:
    """As `trace`; what its pullback brings back is relevance.

    raises   MissingExtra without zennit; WrongOption; Unsupported for a network with a step that has no rule
    """
    if composite not in COMPOSITES:
        raise WrongOption("The composite of LRP", composite, COMPOSITES)
    if engine.looks:
        raise Unsupported(
            "The code of this network looks at values, so that another picture may take steps that LRP has no rule for. Use a "
            "method without rules: integrated-gradients, grad-cam."
        )
    library("zennit", "The method 'lrp'", extra="lrp")
    asked = tuple(map(as_tap, taps))
    rows = engine.graph.layers
    last = max((engine.graph[tap.layer].index for tap in asked if tap.layer in engine.graph.names), default=len(rows) - 1)
    # Of networks, and of what a user wrote, the steps are the functions and layers in it.
    check(row for row in rows[: last + 1] if row.name not in engine._modules or not is_looked_into(engine._modules[row.name]))
    check(engine._folded)
    other = type(engine)(copied(engine.module), picture_shape=shapes_of(engine._inputs))
    made(composite, merges(other)).register(other.module)
    with Functions() as functions:
        trace = other.trace(pictures, (*asked, *input_names(engine.graph)))
    if functions.product:
        raise no_rule(functions.product, "of what follows from the picture with what does too")
    same(engine.run(pictures, asked), trace, asked)
    return trace


def made(composite: str, merged: list[tuple[list[str], str]]) -> Any:
    """zennit's composite of that name. BatchNorms become part of the layer before them, others are layers like any."""
    from zennit import composites, rules, types
    from zennit.canonizers import NamedMergeBatchNorm

    norms = [(types.BatchNorm, rules.Epsilon(epsilon=EPSILON))]
    canonizers = [NamedMergeBatchNorm(merged)]
    if composite == "epsilon":
        layers = [*norms, *composites.layer_map_base(), (types.Linear, rules.Epsilon(epsilon=EPSILON))]
        return composites.LayerMapComposite(layer_map=layers, canonizers=canonizers)
    return composites.COMPOSITES[composite.replace("-", "_")](layer_map=norms, canonizers=canonizers)


def merges(engine: TorchEngine) -> list[tuple[list[str], str]]:
    """The BatchNorms that follow one layer, and nothing else does, with that layer: what both compute is one layer."""
    found = []
    once = {name for name in engine.graph.names if f"{name}#2" not in engine.graph.names}
    for row in engine.graph if engine.graph.wired else ():
        before = engine.graph[row.inputs[0]] if len(row.inputs) == 1 else None
        if before is None or not is_batch_norm(engine._modules.get(row.name)) or not {row.name, before.name} <= once:
            continue
        alone = sum(before.name in each.inputs for each in engine.graph) == 1
        plain = isinstance(engine._modules[row.name].weight, nn.Parameter)
        if before.kind in ("convolution", "depthwise", "dense") and not before.function and alone and plain:
            found.append(([before.name], row.name))
    return found


def is_batch_norm(module: nn.Module | None) -> bool:
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d)


def check(rows: Iterable[Layer]) -> None:
    """Raises Unsupported for the first step through which relevance would flow by no rule, and look as if it had one."""
    for row in rows:
        name = row.native.lower()
        if row.function:
            known = row.native in MOVING | PASSING | SHARING and not (row.native in PRODUCTS and len(row.inputs) > 1)
        elif row.kind == "normalisation":
            known = name.startswith("batchnorm")
        else:
            known = row.kind not in ("other", "merge", "separable") and name not in GATES | {"lppool2d", "multiheadattention"}
            known = known or name in ("identity", "sequential")  # a Sequential that is no network is empty
        if not known:
            raise no_rule(row.name, f"({row.native})")


def no_rule(step: str, what: str) -> Unsupported:
    return Unsupported(
        f"LRP has no rule for '{step}' {what}, so that relevance would get lost or double there. Use a "
        "method without rules: integrated-gradients, grad-cam."
    )


def same(run: Any, trace: Trace, taps: Iterable[Tap]) -> None:
    """Raises Unsupported where the copy, with its BatchNorms merged, is another network."""
    for tap in taps:
        expected: Array = run[tap]
        if not np.allclose(trace[tap], expected, rtol=1e-3, atol=1e-4 * max(float(np.abs(expected).max(initial=0)), 1e-6)):
            raise Unsupported(
                f"With its BatchNorms merged this network gives other values at '{tap.layer}'. LRP would explain those."
            )


class Functions(TorchFunctionMode):
    """While it stands, relevance flows back through functions by rules; what flows forward does not change.

    product   the first function that multiplied what follows from the picture by what does too, or divided by it
    """

    product: str | None = None

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, name_of(function)
        given = [each for each in flattened((args, kwargs)) if each.is_floating_point()]
        flows = [each.requires_grad for each in given]
        if name not in PASSING | SHARING or not any(flows):
            return function(*args, **kwargs)
        if name in PRODUCTS and (sum(flows) > 1 or (name == "div" and not flows[0])):
            self.product = self.product or name
        in_place = is_in_place(function, args, kwargs) or getattr(function, "__name__", "").startswith("__i")

        def again(*tensors: torch.Tensor) -> Any:
            """The same on copies: what it writes into is none of the network's."""
            left = iter(tensors)
            both = flattened((args, kwargs))
            instead = [next(left).clone() if each.is_floating_point() else each for each in both]
            new_args, new_kwargs = rebuilt((args, kwargs), iter(instead))
            return function(*new_args, **new_kwargs)

        result = (Passed if name in PASSING else Shared).apply(again, *given)  # type: ignore[no-untyped-call]
        return given[0].copy_(result) if in_place else result


class Passed(torch.autograd.Function):
    """An activation: relevance goes through as it is."""

    @staticmethod
    def forward(_ctx: Any, again: Callable[..., Any], *given: torch.Tensor) -> Any:
        return again(*[each.detach() for each in given])

    @staticmethod
    def backward(ctx: Any, relevance: Any) -> Any:
        return (None, relevance, *[None] * (len(ctx.needs_input_grad) - 2))


class Shared(torch.autograd.Function):
    """R_i = x_i * (dz/dx_i)^T (R / z), z stabilised: each gets as much as it put in."""

    @staticmethod
    def forward(ctx: Any, again: Callable[..., Any], *given: torch.Tensor) -> Any:
        ctx.again = again
        ctx.save_for_backward(*given)
        return again(*[each.detach() for each in given])

    @staticmethod
    def backward(ctx: Any, relevance: Any) -> Any:
        with torch.enable_grad():
            given = [each.detach().requires_grad_() for each in ctx.saved_tensors]
            made = ctx.again(*given)
        stable = made + torch.where(made < 0, -EPSILON, EPSILON)
        found = torch.autograd.grad(made, given, relevance / stable)
        return (None, *[each * slope for each, slope in zip(given, found, strict=True)])
