"""Whether TorchScript looks at values: no function that runs in it is ever seen, but its graph is known."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from .torch_modules import Enter, Look, Unwatched, is_script
from .torch_tensors import flattened, version

# By these values become numbers, on which a script can decide what to do, or which it can give to code that does.
LEAVING = """
    Bool Int Float Complex IntImplicit FloatImplicit ComplexImplicit ScalarImplicit item _local_scalar_dense is_nonzero equal
    allclose tolist"""
# They find as many things as the values say.
FINDING = "nonzero argwhere masked_select _unique _unique2 unique_dim unique_consecutive bincount nms"
LOOKING = frozenset(f"{LEAVING} {FINDING}".split())
CALLING = frozenset({"prim::PythonOp", "prim::CallMethod", "prim::CallFunction"})  # into what is not in the graph


def looks_at_values(script: Any) -> bool:
    """Whether a scripted or traced module or function looks at values that may be of a picture."""
    if isinstance(script, torch.jit.ScriptModule):  # one whose forward is overloaded has several: forward__0, forward__1
        own: Any = script._c
        graphs = [own._get_method(name).inlined_graph for name in own._method_names() if name.startswith("forward")]
    else:
        graphs = [script.inlined_graph]
    return any(looks(each, set()) for each in graphs)


def looks(block: Any, constant: set[str]) -> bool:
    """`constant`: kept up to date, the values of the graph that are made of no input."""

    def known(values: Any) -> bool:
        return all("Tensor" not in str(each.type()) or each.debugName() in constant for each in values)

    for node in block.nodes():
        namespace, _, name = node.kind().partition("::")
        alone = name == "where" and len(list(node.inputs())) == 1
        if f"{namespace}::{name}" in CALLING or ((name in LOOKING or alone) and not known(node.inputs())):
            return True
        if any(looks(each, constant) for each in node.blocks()):
            return True
        if known(node.inputs()) and all(known(each.outputs()) and known(each.inputs()) for each in node.blocks()):
            constant.update(each.debugName() for each in node.outputs())
    return False


class Scripts:
    """Shows `look` what scripts that look at values are given, while a network runs. `looked`: whether there were any."""

    def __init__(self, look: Look) -> None:
        self.looked = False
        self._look = look
        self._known: dict[int, bool] = {}

    def entering(self, enter: Enter) -> Enter:
        def instead(module: nn.Module, args: Any, kwargs: Any) -> None:
            enter(module, args, kwargs)
            if is_script(module):
                self._called(module, (args, kwargs))

        return instead

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Scripted functions have no hooks; what calls them is put back."""
        kind: Any = torch.jit.ScriptFunction
        own, thread = vars(kind)["__call__"], threading.get_ident()

        def call(function: Any, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == thread:
                self._called(function, (args, kwargs))
            return own(function, *args, **kwargs)

        kind.__call__ = call
        try:
            yield
        finally:
            kind.__call__ = own

    def _called(self, script: Any, given: Any) -> None:
        if id(script) not in self._known:
            self._known[id(script)] = looks_at_values(script)
        if self._known[id(script)]:
            self.looked = True
            with Unwatched():
                self._look("script", [(each, version(each)) for each in flattened(given)])
