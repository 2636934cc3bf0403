"""Every network of torchvision, and of timm one of every structure: each value that is read, against an independent recording.

The recording is torch.fx's interpreter, or, where a network cannot be traced, hooks that copy at once. What torch.fx does not
look into has to be among the results of torch's own operators below (TorchDispatchMode). Each result is copied before the next
step can write into it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matrix import Line, close, smallest
from torch import fx, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from torchvision_ops import torchvision  # noqa: E402

from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.engines.torch_functions import KEEPING, name_of  # noqa: E402
from convscope.engines.torch_graph import is_looked_into  # noqa: E402
from convscope.engines.torch_tensors import flattened  # noqa: E402

LARGEST = 100_000_000  # parameters, of those of timm and of transformers: what larger ones leave does not fit into 24 GB
PICTURES = 5  # so that no other first axis, as of keys and values, or of queries too, is taken for that of the pictures
SIDES = (64, 96, 160, 224, 240, 256, 288, 299, 384)  # in pixels; the smallest that the network takes


@dataclass
class Recording:
    """`layers`: what each call of a module returned, by name; `functions`: what functions returned, in order; None: not known."""

    layers: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    functions: list[torch.Tensor] | None = None


class Tracer(fx.Tracer):
    """Looks into what is no layer, as the table does: a user's subclass of Conv2d is one."""

    def is_leaf_module(self, module, _name):
        return not is_looked_into(module)


class Interpreter(fx.Interpreter):
    def __init__(self, traced: fx.GraphModule, recording: Recording):
        super().__init__(traced)
        self.recording = recording
        recording.functions = []
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
                    self.recording.functions += kept
        return result


def record(module: nn.Module, pictures: torch.Tensor) -> Recording:
    recording = Recording()
    try:
        traced = fx.GraphModule(module, Tracer().trace(module))
    except Exception:  # noqa: BLE001 - control flow that depends on values; torch.fx raises whatever the network raises
        return hooked(module, pictures)
    with torch.no_grad():
        Interpreter(traced, recording).run(pictures.clone())
    return recording


def hooked(module: nn.Module, pictures: torch.Tensor) -> Recording:
    recording, hooks = Recording(), []
    for name, each in module.named_modules():
        if name and next(each.children(), None) is None:

            def keep(_module, _args, out, name=name):
                recording.layers.setdefault(name, []).extend(part.detach().clone() for part in flattened(out))

            hooks.append(each.register_forward_hook(keep))
    try:
        with torch.no_grad():
            module(pictures.clone())
    finally:
        for hook in hooks:
            hook.remove()
    return recording


class Operators(TorchDispatchMode):
    """What torch's operators return, below the functions that Python calls."""

    def __init__(self):
        super().__init__()
        self.results: dict[tuple[int, ...], list[torch.Tensor]] = {}

    def __torch_dispatch__(self, operator, _types, args=(), kwargs=None):
        out = operator(*args, **(kwargs or {}))
        for each in flattened(out):
            if each.is_floating_point():
                self.results.setdefault(tuple(each.shape), []).append(each.detach().clone())
        return out


def by_operators(module: nn.Module, pictures: torch.Tensor) -> dict[tuple[int, ...], list[torch.Tensor]]:
    with torch.no_grad(), Operators() as operators:
        module(pictures.clone())
    return operators.results


def compare(name: str, module: nn.Module) -> Line:
    started = time.perf_counter()
    module = module.eval()
    engine, pictures = opened(module)
    recording = record(module, torch.from_numpy(pictures))
    rows = [row.name for row in engine.graph if row.index]
    run = engine.run(pictures, [*rows, "output"])
    compared = wrong = missing = 0
    for layer, values in recording.layers.items():
        for number, expected in enumerate(values):
            if not is_shown(expected, pictures):
                continue
            row = next((each for each in candidates(layer, number, len(values)) if each in run_names(engine)), None)
            if row is None:
                missing += 1
                continue
            compared += 1
            wrong += not close(run[row], expected.numpy())
    mine = [run[row.name] for row in engine.graph if row.function]
    theirs = [each.numpy() for each in recording.functions or () if is_shown(each, pictures)]
    unmatched = without_partner(mine, theirs)
    missing += len(theirs) - (len(mine) - len(unmatched))
    below = by_operators(module, torch.from_numpy(pictures)) if unmatched else {}
    wrong += sum(not any(close(each, one.numpy()) for one in below.get(each.shape, ())) for each in unmatched)
    compared += len(mine)
    note = "" if recording.functions is not None else "not traceable"
    return Line(name, compared, wrong, missing, time.perf_counter() - started, note)


def opened(module: nn.Module) -> tuple[TorchEngine, np.ndarray]:
    first = next(each.in_channels for each in module.modules() if isinstance(each, nn.modules.conv._ConvNd))
    shapes = [(channels, side, side) for channels in dict.fromkeys((first, 3)) for side in SIDES]  # 3 before space-to-depth
    engine = smallest(shapes, lambda shape: TorchEngine(module, picture_shape=shape))
    shape = engine.graph.layers[0].shape
    return engine, np.random.default_rng(0).normal(size=(PICTURES, *shape)).astype(np.float32)


def is_shown(tensor: torch.Tensor, pictures: np.ndarray) -> bool:
    """Whether it has a row: numbers, with an axis of pictures, and not another one, by which timm's csatv2 mixes them."""
    return tensor.is_floating_point() and tensor.shape[:1] == pictures.shape[:1] != tensor.shape[1:2]


def run_names(engine: TorchEngine) -> frozenset[str]:
    return frozenset(engine.graph.names)


def candidates(layer: str, number: int, count: int) -> Iterator[str]:
    """What the row of the call `number` of a layer may be called."""
    yield layer if number == 0 else f"{layer}#{number + 1}"
    if count > 1:
        yield f"{layer}:{number}"


def without_partner(mine: list[np.ndarray], theirs: list[np.ndarray]) -> list[np.ndarray]:
    """Those of `mine` that are not in `theirs`, each of which is the partner of one at most."""
    unmatched, left = [], list(range(len(theirs)))
    for each in mine:
        at = next((at for at in left if close(each, theirs[at])), None)
        if at is None:
            unmatched.append(each)
        else:
            left.remove(at)
    return unmatched


def torchvision_networks() -> Iterator[tuple[str, nn.Module]]:
    models = torchvision().models
    segmentation = models.list_models(module=models.segmentation)
    for name in models.list_models(module=models) + segmentation:
        options = {"weights_backbone": None} if name in segmentation else {}
        options |= {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        module = models.get_model(name, weights=None, **options)
        if is_convolutional(module) or size(module) <= LARGEST:  # of vision transformers the large ones do not fit
            yield f"torchvision:{name}", module


def is_convolutional(module: nn.Module) -> bool:
    return sum(isinstance(each, nn.Conv2d) for each in module.modules()) > 2


def size(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


class Unfilled(TorchFunctionMode):
    """Does not fill what is on the meta device, which holds no values: most of the time that it takes to make a network there."""

    FILLING = ("normal_", "uniform_", "zero_", "fill_", "erfinv_", "mul_", "add_", "clamp_")

    def __torch_function__(self, function, _types, args=(), kwargs=None):
        if name_of(function) in self.FILLING and args[0].is_meta:
            return args[0]
        return function(*args, **(kwargs or {}))


def timm_networks() -> Iterator[tuple[str, nn.Module]]:
    """The smallest convolutional network of every structure: of each file of timm, and each set of kinds of modules."""
    torchvision()
    import timm

    smallest_of: dict[Any, tuple[int, str]] = {}
    for family in timm.list_modules():
        for name in timm.list_models(module=family):
            try:
                with torch.device("meta"), Unfilled():
                    module = timm.create_model(name)
            except Exception:  # noqa: BLE001 - one that cannot be made without values
                module = timm.create_model(name)
            if is_convolutional(module):
                structure = family, frozenset(type(each).__name__ for each in module.modules())
                this = size(module), name
                smallest_of[structure] = min(this, smallest_of.get(structure, this))
    for parameters, name in sorted(smallest_of.values()):
        if parameters <= LARGEST:
            yield f"timm:{name}", timm.create_model(name)
