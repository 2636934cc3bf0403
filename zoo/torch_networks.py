"""Every network of torchvision, and of timm one of every structure: each value that is read, against an independent recording.

The recording is in torch_recording.py. What that has not has to be among the results of torch's own operators below.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matrix import Line, close, smallest
from torch import nn
from torch.overrides import TorchFunctionMode

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from torch_recording import Made, Recording, by_operators, once_for_each, record  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

from convscope.core import Run  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.engines.torch_functions import name_of  # noqa: E402

LARGEST = 100_000_000  # parameters, of those of timm and of transformers: what larger ones leave does not fit into 24 GB
PICTURES = 5  # so that no other first axis, as of keys and values, or of queries too, is taken for that of the pictures
SIDES = (64, 96, 160, 224, 240, 256, 288, 299, 384)  # in pixels; the smallest that the network takes


def compare(name: str, module: nn.Module) -> Line:
    started = time.perf_counter()
    module = module.eval()
    engine, pictures = opened(module)
    recording = record(module, torch.from_numpy(pictures))
    run = engine.run(pictures, [*(row.name for row in engine.graph if row.index), "output"])
    compared, wrong, missing = compared_layers(engine, run, recording, pictures)
    mine = [run[row.name] for row in engine.graph if row.function]
    theirs = [each for each in recording.functions if is_shown(each.tensor, pictures)]
    unmatched, left = without_partner(mine, theirs)
    if left:
        by_picture = once_for_each(module, torch.from_numpy(pictures), recording)
        missing += sum(each.key not in by_picture for each in left)
    below = by_operators(module, torch.from_numpy(pictures)) if unmatched else {}
    wrong += sum(not any(close(each, one.numpy()) for one in below.get(each.shape, ())) for each in unmatched)
    note = "" if recording.traced else "not traceable"
    return Line(name, compared + len(mine), wrong, missing, time.perf_counter() - started, note)


def compared_layers(engine: TorchEngine, run: Run, recording: Recording, pictures: np.ndarray) -> tuple[int, int, int]:
    """How many outputs of layers were compared, are wrong, and are missing."""
    compared = wrong = missing = 0
    names = frozenset(engine.graph.names)
    for layer, values in recording.layers.items():
        for number, expected in enumerate(values):
            if not is_shown(expected, pictures):
                continue
            row = next((each for each in candidates(layer, number, len(values)) if each in names), None)
            if row is None:
                missing += 1
                continue
            compared += 1
            wrong += not close(run[row], expected.numpy())
    return compared, wrong, missing


def opened(module: nn.Module) -> tuple[TorchEngine, np.ndarray]:
    first = next(each.in_channels for each in module.modules() if isinstance(each, nn.modules.conv._ConvNd))
    shapes = [(channels, side, side) for channels in dict.fromkeys((first, 3)) for side in SIDES]  # 3 before space-to-depth
    engine = smallest(shapes, lambda shape: TorchEngine(module, picture_shape=shape))
    shape = engine.graph.layers[0].shape
    return engine, np.random.default_rng(0).normal(size=(PICTURES, *shape)).astype(np.float32)


def is_shown(tensor: torch.Tensor, pictures: np.ndarray) -> bool:
    """Whether it has a row: numbers, with an axis of pictures, and not another one, by which timm's csatv2 mixes them."""
    return tensor.is_floating_point() and tensor.shape[:1] == pictures.shape[:1] != tensor.shape[1:2]


def candidates(layer: str, number: int, count: int) -> Iterator[str]:
    """What the row of the call `number` of a layer may be called."""
    yield layer if number == 0 else f"{layer}#{number + 1}"
    if count > 1:
        yield f"{layer}:{number}"


def without_partner(mine: list[np.ndarray], theirs: list[Made]) -> tuple[list[np.ndarray], list[Made]]:
    """Those of `mine` that are not in `theirs`, each of which is the partner of one at most, and those that are nobody's."""
    unmatched, left = [], list(theirs)
    for each in mine:
        at = next((at for at, made in enumerate(left) if close(each, made.tensor.numpy())), None)
        if at is None:
            unmatched.append(each)
        else:
            del left[at]
    return unmatched, left


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
