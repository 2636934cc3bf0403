"""Faults in the torch engine."""

from __future__ import annotations

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import torch
from zoo_torch import PICTURES, ZOO

from convscope.engines import torch as engines
from convscope.engines import torch_modules, torch_watchers
from convscope.engines.torch import TorchEngine

NETWORKS = ("inplace_residual", "shared", "norms_and_dropout", "concatenation")


def engine(name):
    return TorchEngine(ZOO[name]().train(), picture_shape=PICTURES[name])


def pictures(name):
    return np.random.default_rng(0).normal(size=(2, *PICTURES[name])).astype(np.float32)


def without_a_copy(tensor, _pool=None):
    return tensor.detach().to("cpu", torch.float32).numpy()


def over_one_axis(tensor, reduce):
    return tensor if reduce == "none" or tensor.ndim < 3 else tensor.float().mean(-1)


@contextmanager
def nothing_put_back(_module, _known):
    yield


def edit_after_the_tap(self, name, tensor):
    taps = self.taps.pop(name, ())
    given = self.take(name, tensor, taps) if taps else tensor
    return torch_watchers.edited(given, self.edits.pop(name)) if name in self.edits else given


@contextmanager
def hooks_left_behind(module, known):
    with UNTOUCHED(module, known):
        yield
    for each in module.modules():
        each.register_forward_hook(lambda _module, _args, out: out * 1.01 if isinstance(out, torch.Tensor) else out)


def of_another_call(self, name):
    others = [each for each in self._handles if each not in (name, "input", "output")]
    same = [each for each in others if self._handles[each].shape == self._handles[name].shape]
    return HANDLE(self, same[0] if same else name)


def turned(pictures):
    return FROM_NUMPY(pictures.transpose(0, 1, 3, 2).copy() if pictures.ndim == 4 else pictures)


UNTOUCHED, HANDLE, FROM_NUMPY = engines.untouched, engines.TorchTrace._handle, torch.from_numpy
FAULTS = {
    "no copy of what is read": lambda: patch.object(torch_watchers, "to_numpy", without_a_copy),
    "evaluation mode forgotten, statistics not put back": lambda: patch.object(engines, "untouched", nothing_put_back),
    "reduced over the wrong axis": lambda: patch.object(torch_watchers, "reduced", over_one_axis),
    "a shared layer keeps its last call only": lambda: patch.object(torch_modules, "numbered", lambda name, _call: name),
    "edited after instead of before the tap": lambda: patch.object(torch_watchers.Watcher, "_taken", edit_after_the_tap),
    "hooks left behind": lambda: patch.object(engines, "untouched", hooks_left_behind),
    "a gradient with respect to another call": lambda: patch.object(engines.TorchTrace, "_handle", of_another_call),
    "height and width exchanged": lambda: patch.object(engines.torch, "from_numpy", turned),
}
