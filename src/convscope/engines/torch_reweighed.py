"""A copy of a torch module with other weights in some layers."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.utils import parametrize, prune
from torch.overrides import TorchFunctionMode

from ..core import Array
from ..errors import InputError, Unsupported
from .torch_functions import name_of
from .torch_graph import has_kernel, is_quantised
from .torch_inputs import shapes_of
from .torch_kernels import acting_in, any_picture
from .torch_modules import Way
from .torch_tensors import flattened

if TYPE_CHECKING:
    from .torch import TorchEngine

# The hooks of torch that make a weight before every call, and what each keeps beside it.
MAKERS = ("WeightNorm", "SpectralNorm")
BESIDE = ("_orig", "_mask", "_g", "_v", "_u")
# Functions that take of their other tensors only how these are.
LIKE = frozenset({"to", "type_as", "view_as", "reshape_as", "expand_as"})


def reweighed(engine: TorchEngine, weights: Mapping[str, Mapping[str, Array]]) -> TorchEngine:
    """See Reweighable.with_weights."""
    rows = {layer: engine.graph[layer].name for layer in weights}
    module = copied(engine.module)
    twins = dict(zip(engine.module.modules(), module.modules(), strict=True))
    for layer, row in rows.items():
        if row not in engine._modules:
            raise InputError(f"'{layer}' has no weights that could be replaced. Name a layer that has.", received=layer)
        twin = twins[engine._modules[row]]
        names = [own_name(twin, name) for name in weights[layer]]
        free(twin, names)
        unshare(twin, names, module)
    result = type(engine)(module, picture_shape=shapes_of(engine._inputs))
    kernels = {row for layer, row in rows.items() if any(name.endswith("kernel") for name in weights[layer])}
    made = acting_in(result, result._odd & kernels)
    if name := next((name for name, row in rows.items() if row in made and made[row].made), None):
        raise Unsupported(f"The kernels of '{name}' are made of other weights in every run, and cannot be replaced.")
    refuse_used_elsewhere(result, {row: weights[layer] for layer, row in rows.items()})
    for layer, row in rows.items():
        fill(result._modules[row], weights[layer], layer)
    return result


class Elsewhere(TorchFunctionMode):
    """Notes, while a network runs by `way`, which weights are computed with while their layer does not run.

    owners   {id of a weight: its layer}
    found    kept up to date: {layer: the function}
    """

    def __init__(self, owners: Mapping[int, nn.Module], way: Way):
        super().__init__()
        self.found: dict[nn.Module, str] = {}
        self._owners, self._way = owners, way

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, name_of(function)
        out = function(*args, **kwargs)
        only_asked = name.startswith("new_") or name.endswith("_like") or not flattened(out)  # for a shape or a type
        if not only_asked:
            taken = flattened(args[:1] if name in LIKE else (args, kwargs))
            owners = {self._owners[id(each)] for each in taken if id(each) in self._owners}
            self.found |= dict.fromkeys(owners.difference(self._way.running), name)
        return out


def refuse_used_elsewhere(engine: TorchEngine, names: Mapping[str, Iterable[str]]) -> None:
    """Raises Unsupported where code of the network takes a weight of a layer for something else: `F.linear(x, self.conv.weight)`.

    names   of the weights, as the engine calls them, by row
    """
    modules, way = engine._modules, Way(functions=True)
    pairs = [(modules[row], name) for row, each in names.items() for name in each]
    kept = [(getattr(module, own_name(module, name), None), module) for module, name in pairs]  # so that no id is used twice
    mode = Elsewhere({id(weight): module for weight, module in kept if isinstance(weight, torch.Tensor)}, way)
    way.standing = lambda: mode
    with torch.no_grad(), suppress(Exception):
        engine._call(any_picture(engine), lambda _name, tensor, _maker, _alias: tensor, way)
    for row in names:
        if function := mode.found.get(modules[row]):
            raise Unsupported(
                f"The weights of '{row}' are used by '{function}' elsewhere in this network too, which would change with them: "
                "they cannot be replaced in this layer alone."
            )


def copied(module: nn.Module) -> nn.Module:
    """A deep copy. Raises Unsupported for a module that cannot be copied."""
    kept = (value for part in module.modules() for value in vars(part).values())
    # What hooks made of weights that are trained: torch copies none of these, and the next call makes it again.
    made = {id(each): each.detach().clone() for each in kept if isinstance(each, torch.Tensor) and not each.is_leaf}
    try:
        return copy.deepcopy(module, dict[int, Any](made))
    except Exception as error:
        raise Unsupported(f"This network cannot be copied ({error}), so that no other weights can be tried in it.") from error


class Fixed(nn.Module):
    """In place of a parametrisation: what it made, as a parameter."""

    def __init__(self, made: torch.Tensor):
        super().__init__()
        self.original = nn.Parameter(made.detach().clone())

    def forward(self) -> torch.Tensor:
        return self.original


def free(module: nn.Module, names: Iterable[str]) -> None:
    """Let what a parametrisation of torch, a pruning or a norm of the weights makes in every call be parameters.

    Done by hand: torch's own ways to remove these write into the weights, which other layers may share, and into the class of a
    parametrised layer, which a copy of it shares with the layer that was copied.
    """
    for name in names:
        if parametrize.is_parametrized(module, name):
            made: Any = module.parametrizations
            made[name] = Fixed(getattr(module, name))
        makers = [key for key, hook in module._forward_pre_hooks.items() if makes(hook, name)]
        for key in makers:
            del module._forward_pre_hooks[key]
        if makers:
            kept = vars(module).pop(name)
            for beside in (f"{name}{each}" for each in BESIDE):
                module._parameters.pop(beside, None)
                module._buffers.pop(beside, None)
            module.register_parameter(name, nn.Parameter(kept.detach().clone()))


def unshare(module: nn.Module, names: Iterable[str], network: nn.Module) -> None:
    """Let parameters that other layers have too be those of this layer alone: the others keep theirs."""
    every = [each for part in network.modules() for each in part._parameters.values()]  # kept, so that no id is used twice
    owned = Counter(map(id, every))
    for name in names:
        shared = module._parameters[name] if name in module._parameters else None  # noqa: SIM401 - scripts' tables have no get
        if shared is not None and owned[id(shared)] > 1:
            module._parameters[name] = nn.Parameter(shared.detach().clone(), shared.requires_grad)


def makes(hook: Any, name: str) -> bool:
    if isinstance(hook, prune.BasePruningMethod):
        return hook._tensor_name == name
    own = type(hook).__module__.startswith("torch.nn.utils.") and type(hook).__name__ in MAKERS
    return own and hook.name == name


def own_name(module: nn.Module, name: str) -> str:
    """Of weights as the engine calls them, as torch does."""
    return "weight" if has_kernel(module) and name.endswith("kernel") else name


def fill(module: nn.Module, weights: Mapping[str, Array], layer: str) -> None:
    """Put `weights`, named and laid out as those that the engine gives, into a module. Raises InputError."""
    if is_quantised(module):
        raise Unsupported(f"The weights of '{layer}' are quantised, and cannot be replaced.")
    with torch.no_grad():
        for name, values in weights.items():
            path = own_name(module, name)
            own: Any = module
            for part in path.split("."):
                own = getattr(own, part, None)
            given = torch.from_numpy(values.copy())
            if has_kernel(module) and path == "weight" and isinstance(module, nn.modules.conv._ConvTransposeNd):
                # From (out, in / groups, *kernel) back to torch's (in, out / groups, *kernel).
                given = given.reshape(module.groups, -1, *given.shape[1:]).transpose(1, 2).flatten(0, 1)
            if not isinstance(own, torch.Tensor) or own.shape != given.shape:
                expected = tuple(own.shape) if isinstance(own, torch.Tensor) else None
                message = f"'{layer}' has no weights '{name}' of shape {values.shape}."
                raise InputError(message, received=values.shape, expected=expected)
            own.copy_(given)
