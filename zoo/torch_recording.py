"""What happens while a torch module runs, written down independently of the engine.

By torch.fx's interpreter; where a network cannot be traced, by hooks that copy at once and a mode that sees what functions
return. Below these are torch's own operators. Each result is copied before the next step can write into it.
"""

from __future__ import annotations

import contextlib
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from convscope.engines.torch_functions import KEEPING, name_of
from convscope.engines.torch_graph import is_looked_into
from convscope.engines.torch_tensors import flattened, memory


@dataclass(frozen=True)
class Made:
    """What a function returned or wrote into."""

    function: str
    tensor: torch.Tensor

    @property
    def key(self) -> tuple[str, torch.Size]:
        """What it has in common with what the same function makes of other pictures."""
        return self.function, self.tensor.shape[1:]


@dataclass
class Recording:
    """`layers`: what each call of a module returned, by name; `functions`: what functions made, in order."""

    layers: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    functions: list[Made] = field(default_factory=list)
    traced: bool = False


def record(module: nn.Module, pictures: torch.Tensor) -> Recording:
    try:
        traced = fx.GraphModule(module, Tracer().trace(module))
    except Exception:  # noqa: BLE001 - control flow that depends on values; torch.fx raises whatever the network raises
        return watched(module, pictures)
    recording = Recording(traced=True)
    with torch.no_grad():
        Interpreter(traced, recording).run(pictures.clone())
    return recording


def once_for_each(module: nn.Module, pictures: torch.Tensor, recording: Recording) -> set[tuple[str, torch.Size]]:
    """The functions that are called less often for one picture less: code goes over the pictures one by one.

    `setitem#3` is then what is done to the third picture, and has no row.
    """
    calls = Counter(each.key for each in recording.functions)
    calls.subtract(each.key for each in record(module, pictures[1:]).functions)
    return {key for key, more in calls.items() if more > 0}


class Tracer(fx.Tracer):
    """Looks into what is no layer, as the table does: a user's subclass of Conv2d is one."""

    def is_leaf_module(self, module, _name):
        return not is_looked_into(module)


class Interpreter(fx.Interpreter):
    def __init__(self, traced: fx.GraphModule, recording: Recording):
        super().__init__(traced)
        self.recording = recording
        self._flows: set[fx.Node] = set()

    def run_node(self, node):
        given = [(each, each._version) for each in flattened(self.fetch_args_kwargs_from_env(node))]
        result = super().run_node(node)
        if node.op == "placeholder" or any(each in self._flows for each in node.all_input_nodes):
            kept = [each.detach().clone() for each in flattened(result)]
            self._flows |= {node} if kept else set()  # a picture's size is no value of it
            if node.op == "call_module":
                self.recording.layers.setdefault(node.target, []).extend(kept)
            elif node.op in ("call_function", "call_method"):
                made = flattened(result)
                passed_on = all(any(each is one and one._version == before for one, before in given) for each in made)
                name = node.target.strip("_") if node.op == "call_method" else name_of(node.target)
                if made and not passed_on and name not in KEEPING:
                    self.recording.functions += [Made(name, each) for each in kept]
        return result


def watched(module: nn.Module, pictures: torch.Tensor) -> Recording:
    recording, given = Recording(), pictures.clone()
    called = Called(recording, given)
    with torch.no_grad(), torch.compiler.set_stance("force_eager"), hooked(module, recording, called), called:
        module(given)  # as it is written: in compiled code there are no hooks
    return recording


@contextlib.contextmanager
def hooked(module: nn.Module, recording: Recording, called: Called) -> Iterator[None]:
    """Hooks that copy what layers return, and say to `called` in which of them the code runs."""
    hooks = []
    for name, each in module.named_modules():
        if not is_looked_into(each):
            hooks += [each.register_forward_pre_hook(called.enter), each.register_forward_hook(called.leave)]
        if name and next(each.children(), None) is None:

            def keep(_module, _args, out, name=name):
                recording.layers.setdefault(name, []).extend(copies(out))

            hooks.append(each.register_forward_hook(keep))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def copies(value: Any) -> list[torch.Tensor]:
    with torch._C.DisableTorchFunction():
        return [each.detach().clone() for each in flattened(value)]


class Called(TorchFunctionMode):
    """Writes down what functions return that the network's own code calls, and that are given what is made of the pictures.

    What a function writes into goes by its name, and not by torch's count of writes, which the engine goes by.
    """

    def __init__(self, recording: Recording, pictures: torch.Tensor):
        super().__init__()
        self._recording = recording
        self._flows: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._flows[pictures] = True
        self._inside = 0  # layers, whose functions have no rows

    def enter(self, *_: Any) -> None:
        self._inside += 1

    def leave(self, *_: Any) -> None:
        self._inside -= 1

    def __torch_function__(self, function, _types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        given = flattened((args, kwargs))
        if not any(each in self._flows for each in given):
            return out
        written = written_by_name(function, args, kwargs)
        made = flattened(out) or written
        for each in (*made, *written, *(each._base for each in written if each._base is not None)):
            self._flows[each] = True
        passed_on = all(any(each is one for one in given) for each in made) and not written
        name = name_of(function)
        if made and not passed_on and not self._inside and name not in KEEPING:
            self._recording.functions += [Made(name, each) for each in copies(made)]
        return out


def written_by_name(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """`x.add_(y)`, `x += y`, `x[0] = y`, `out=x`."""
    name = getattr(function, "__name__", "")
    dunder = name.startswith("__") and name.endswith("__")
    in_place = name in IN_PLACE if dunder else name.endswith("_")
    first = [*args[:1], *kwargs.values()][:1] if in_place or kwargs.get("inplace") else []
    return flattened((first, kwargs.get("out")))


IN_PLACE = {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__"}
IN_PLACE |= {"__iand__", "__ior__", "__ixor__", "__imatmul__"}


class Operators(TorchDispatchMode):
    """What torch's operators return and write into, below the functions that Python calls.

    `x[:, 0] = y` returns nothing, and copies into a view that nobody has: what changes with that is every array that shares its
    memory. What an operator writes into goes by its own declaration.
    """

    def __init__(self):
        super().__init__()
        self.results: dict[tuple[int, ...], list[torch.Tensor]] = {}
        self._living: dict[int, list[weakref.ref[torch.Tensor]]] = {}  # by their memory

    def __torch_dispatch__(self, operator, _types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self._meet(flattened((args, kwargs)))
        out = operator(*args, **kwargs)
        made = flattened(out)
        self._meet(made)
        for written in written_by(operator, args, kwargs):
            made += self._sharing(written)
        for each in {id(each): each for each in made}.values():
            if each.is_floating_point():
                self.results.setdefault(tuple(each.shape), []).append(each.detach().clone())
        return out

    def _meet(self, tensors: Sequence[torch.Tensor]) -> None:
        for tensor in tensors:
            if all(each is not tensor for each in self._sharing(tensor)):
                self._living.setdefault(memory(tensor), []).append(weakref.ref(tensor))

    def _sharing(self, tensor: torch.Tensor) -> list[torch.Tensor]:
        """Those that live and have been met: what is freed gives its memory to others."""
        references = [each for each in self._living.get(memory(tensor), ()) if each() is not None]
        self._living[memory(tensor)] = references
        return [each for each in (each() for each in references) if each is not None]


def written_by(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """What `operator` says that it writes into."""
    declared = operator._schema.arguments
    given = {each.name: value for each, value in zip(declared, args, strict=False)} | dict(kwargs)
    return flattened([given.get(each.name) for each in declared if each.alias_info is not None and each.alias_info.is_write])


def by_operators(module: nn.Module, pictures: torch.Tensor) -> dict[tuple[int, ...], list[torch.Tensor]]:
    with torch.no_grad(), Operators() as operators:
        module(pictures.clone())
    return operators.results
