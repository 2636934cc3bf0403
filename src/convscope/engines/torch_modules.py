"""Watching a torch module without leaving a trace in it: unwrapping, hooks that live for one call, and putting things back."""

from __future__ import annotations

import sys
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..errors import Unsupported
from .names import array_names, numbered
from .torch_attributes import parts_of, registered_in
from .torch_tensors import flattened, is_passed_on, rebuilt

if TYPE_CHECKING:
    from .torch_constants import Constants

# Is shown an array that flows, under the name of its row; what made it (None for the network's inputs and outputs); and whether
# it is another name for memory that was there before. Gives the array that is handed on.
Visit = Callable[[str, torch.Tensor, Any, bool], torch.Tensor]
# Inside, our own looks at tensors are seen by none of the modes that watch the network's: they are as many as its functions.
Unwatched = torch._C.DisableTorchFunction
Look = Callable[[str, Sequence[tuple[torch.Tensor, int]]], None]  # see Functions
Enter = Callable[[nn.Module, Any, Any], None]  # is shown a module before it runs, and its arguments
Leave = Callable[[nn.Module, Any, Any, Sequence[str]], None]  # and after that, with what it gives and the rows of that


@dataclass
class Counts:
    """How often each module came to its end, and each function was called: what numbers the rows."""

    modules: Counter[nn.Module] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Counts:
        return Counts(self.modules.copy(), self.functions.copy())

    def become(self, other: Counts) -> None:
        self.modules.clear()
        self.functions.clear()
        self.modules.update(other.modules)
        self.functions.update(other.functions)


@dataclass
class Way:
    """What is done, besides watching, while a network runs.

    functions   whether functions are looked at, even if none is asked for
    counts      kept up to date
    running     kept up to date where functions are looked at: the modules whose code runs, the innermost last
    standing    entered around the run
    wanted      the modules that are looked at; None: all
    channels_last   how the pictures lie in memory
    constants   where functions are looked at: what is known to come from no picture; None: to be found
    look        is shown what code looks at that may then go another way
    """

    enter: Enter | None = None
    leave: Leave | None = None
    functions: bool = False
    counts: Counts = field(default_factory=Counts)
    running: list[nn.Module | None] = field(default_factory=list)
    standing: Callable[[], AbstractContextManager[Any]] = nullcontext
    wanted: frozenset[nn.Module] | None = None
    channels_last: bool = False
    constants: Constants | None = None
    look: Look | None = None

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """What is computed inside is ours and not the network's: its functions have no rows."""
        self.running.append(None)
        try:
            yield
        finally:
            self.running.pop()


@contextmanager
def both(first: AbstractContextManager[Any], second: AbstractContextManager[Any]) -> Iterator[None]:
    with first, second:
        yield


@contextmanager
def visiting(names: Mapping[nn.Module, str], visit: Visit, way: Way) -> Iterator[None]:
    """Hooks on the modules in `names`, which are gone afterwards, whatever happens. Other threads run by them unseen."""
    calls, enter, thread = way.counts.modules, way.enter, threading.get_ident()

    def begin(module: nn.Module, args: Any, kwargs: Any) -> None:
        if threading.get_ident() != thread or module not in names:  # a copy has the hooks too
            return
        if enter:
            with way.unseen():
                enter(module, args, kwargs)
        way.running.append(module)

    def end(module: nn.Module, args: Any, out: Any) -> Any:
        if threading.get_ident() != thread or module not in names:
            return None
        while way.running and way.running.pop() is not module:
            pass  # one that was left by an exception
        calls[module] = call = calls.get(module, 0) + 1
        name = numbered(names[module], call)
        if type(out) is torch.Tensor and not way.leave:  # most calls, and this costs in each of them
            with Unwatched():
                given = visit(name, out, module, is_passed_on(out, args))
            return None if given is out else given
        with way.unseen():
            return handed_on(module, args, out, name, visit, way)

    with hooked(names if way.wanted is None else way.wanted, end, begin if enter or way.functions else None):
        yield


@contextmanager
def hooked(modules: Iterable[nn.Module], end: Callable[..., Any], begin: Callable[..., Any] | None) -> Iterator[None]:
    """`end` is the last forward hook of each, and `begin` a pre-hook with keywords.

    Written into torch's tables as its own methods do it, which take longer than the hooks themselves. TorchScript refuses those.
    """
    number = RemovableHandle(OrderedDict()).id  # no other hook has it
    tables: list[dict[int, Any]] = []
    try:
        for module in modules:
            tables.append(module._forward_hooks)
            module._forward_hooks[number] = end
            if begin:
                tables += (module._forward_pre_hooks, module._forward_pre_hooks_with_kwargs)
                module._forward_pre_hooks[number] = begin
                module._forward_pre_hooks_with_kwargs[number] = True
        yield
    finally:
        for table in tables:
            table.pop(number, None)


def handed_on(module: nn.Module, args: Any, out: Any, name: str, visit: Visit, way: Way) -> Any:
    """What the next layer receives instead of `out`; None if that is it."""
    tensors = flattened(out)
    rows = array_names(name, len(tensors))
    given = [visit(row, each, module, is_passed_on(each, args)) for row, each in zip(rows, tensors, strict=True)]
    unchanged = all(new is old for new, old in zip(given, tensors, strict=True))
    result = out if unchanged else rebuilt(out, iter(given))
    if way.leave:
        way.leave(module, args, result, rows)
    return None if unchanged else result


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """No gradients for weights inside, which nobody asks for and which would cost as much again.

    raises   Unsupported for weights that were made in torch.inference_mode: these neither let gradients through nor are changed
    """
    if any(each.is_inference() for each in module.parameters()):
        raise Unsupported(
            "The weights of this network were made in torch.inference_mode, and no gradient flows through such. "
            "Open copy.deepcopy(module), made outside of it, or use a method that needs no gradients, such as occlusion."
        )
    trained = [each for each in module.parameters() if each.requires_grad]
    try:
        for each in trained:
            each.requires_grad = False
        yield
    finally:
        for each in trained:
            each.requires_grad = True


def not_compiled() -> AbstractContextManager[Any]:
    """Parts that went through torch.compile run as they were written: hooks inside compiled code never fire."""
    stance = getattr(torch.compiler, "set_stance", None)
    return stance("force_eager") if stance and compiler_is_loaded() else nullcontext()


def compiler_is_loaded() -> bool:
    return "torch._dynamo" in sys.modules


def unwrapped(module: Any) -> nn.Module:
    """The module inside of torch.compile and DataParallel. Raises Unsupported for what cannot be watched."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif is_compiled(module):
            module = module._orig_mod
        else:
            break
    refuse(module)
    return cast(nn.Module, module)


def notes_on(module: nn.Module) -> Iterator[str]:
    """What was made of the module to watch it."""
    if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
        yield f"It was taken out of its {type(module).__name__}, and runs on one device."
    if any(is_compiled(each) or getattr(each, "_compiled_call_impl", None) for each in module.modules()):
        yield "It went through torch.compile, and is read as it was written: compiled code may differ in the last digits."
    scripted = any(map(is_script, parts_of(module)))
    if scripted and (scripts := [f"'{name}'" for each, name in names_of(unwrapped(module)).items() if is_script(each)]):
        yield f"Of parts in TorchScript ({', '.join(scripts)}) what they give is read, and not the layers in them."


def refuse(module: Any) -> None:
    original = "Open the nn.Module that it was made from."
    if isinstance(module, torch.jit.ScriptModule):
        raise Unsupported(f"This is a TorchScript module ({type(module).__name__}), whose layers cannot be watched. {original}")
    flat = isinstance(module, torch.fx.GraphModule) and all(
        node.op != "call_module" or node.target == "_guards_fn" for node in module.graph.nodes
    )
    if flat or type(module).__name__ == "ExportedProgram":
        raise Unsupported(f"This is an exported program ({type(module).__name__}), in which there are no layers left. {original}")
    if not isinstance(module, nn.Module):
        raise Unsupported(f"A {type(module).__name__} is no torch.nn.Module. Give the module itself.")
    parts = parts_of(module)
    weights = [*registered_in(parts, "_parameters"), *registered_in(parts, "_buffers")]
    if any(map(nn.parameter.is_lazy, weights)):
        raise Unsupported("This network has lazy layers that have no weights yet. Call it once with a picture, then open it.")
    if any(each.is_meta for each in weights):
        refuse_weightless(module)
    if not hasattr(torch.compiler, "set_stance") and any(map(is_compiled, module.modules())):
        raise Unsupported("A part of this network went through torch.compile. Open the network before it is compiled.")


def refuse_weightless(module: nn.Module) -> None:
    weights = dict(chain(module.named_parameters(), module.named_buffers()))
    if empty := [name for name, each in weights.items() if each.is_meta]:
        raise Unsupported(
            f"Of this network's {len(weights)} weights and buffers {len(empty)} are on the 'meta' device, where they have no "
            f"values, such as '{empty[0]}'. Load them, then open it."
        )


def is_script(module: nn.Module) -> bool:
    """Whether it is TorchScript, whose layers no hook and no function of ours ever sees."""
    return isinstance(module, torch.jit.ScriptModule)


def is_compiled(module: Any) -> bool:
    return isinstance(getattr(module, "_orig_mod", None), nn.Module)


def names_of(module: nn.Module) -> dict[nn.Module, str]:
    """Every module that may be read, by its dotted name. A network that is one layer is named after its class."""
    names: dict[nn.Module, str] = {}
    named = list(module.named_modules())
    unseen = tuple(f"{path}." for path, each in named if is_script(each))
    for path, each in named:
        parts = [part for part in path.split(".") if part != "_orig_mod"]
        # What runs inside `parametrizations` makes weights, not maps.
        if path and not is_compiled(each) and "parametrizations" not in parts and not path.startswith(unseen):
            names[each] = ".".join(parts)
    return names or {module: type(module).__name__.lower()}
