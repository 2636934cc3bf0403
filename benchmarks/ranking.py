"""What ranking costs: gradient x activation against torch's own forward and backward; switching off against full runs."""

from __future__ import annotations

import json

import numpy as np
import torch
from networks import torch_resnet50
from timing import compared

import convscope
from convscope.core import Edit
from convscope.methods import ranking
from convscope.methods.blocks import block_ends
from convscope.methods.scores import scores

PICTURE = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
CLASSES = np.array([0])


def by_gradient() -> dict:
    module = torch_resnet50().eval().requires_grad_(False)
    engine = convscope.open(module, picture_shape=(3, 224, 224)).engine
    layers = list(block_ends(engine.graph))

    def bare() -> None:
        """To the same first layer, which is where the gradient ends."""
        kept = []
        first = dict(module.named_modules())[layers[0]]
        hook = first.register_forward_hook(lambda _module, _given, out: kept.append(out.requires_grad_()) or out.clone())
        torch.autograd.grad(module(torch.from_numpy(PICTURE))[0, 0], kept)
        hook.remove()

    jobs = {"ours": lambda: ranking.evidence(engine, PICTURE, layers, CLASSES), "bare": bare}
    times = compared(jobs, rounds=7)
    return row(
        "ranking the maps of every block of ResNet-50 by gradient x activation, over a forward and backward", "torch", times, 1.5
    )


def by_switching_off() -> dict:
    engine = convscope.open("demo").engine
    picture, layer, at = PICTURE[:, :, :128, :128].copy(), "block4_relu3", scores(engine)

    def full() -> None:
        for start in range(0, 144, 16):
            mask = np.ones((16, 144, 1, 1), np.float32)
            mask[range(16), range(start, start + 16)] = 0
            engine.run(np.repeat(picture, 16, axis=0), [at.layer], [Edit(layer, scale=mask)])

    jobs = {"ours": lambda: ranking.by_switching_off(engine, picture, layer, CLASSES, at, most=144), "bare": full}
    return row(
        "ranking the 144 maps of demo's block 4 by switching off, over full runs in batches",
        "onnx",
        compared(jobs, rounds=7),
        0.5,
    )


def row(what: str, engine: str, times: dict[str, float], must: float) -> dict:
    ratio = times["ours"] / times["bare"]
    return {"what": what, "engine": engine, "seconds": times["ours"], "against": times["bare"], "ratio": ratio, "must": must}


if __name__ == "__main__":
    for measured in (by_gradient, by_switching_off):
        print(json.dumps(measured()))
