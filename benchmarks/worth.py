"""What a unit of a layer is worth, against full evaluations without each, of one picture at a time and in batches.

`worth.py depth` is the same over the depth of the network, and `worth.py ceiling` what could be gained there.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from statistics import median

import numpy as np
from timing import show

import convscope

ROUNDS = 3
BATCHES = (4, 8, 16)


def worth() -> None:
    """256 units of three layers in the last third of ResNet-50, one picture, against as many full evaluations.

    They are the first, the middle and the last of these layers: what follows has to run for each unit, and is less each time.
    """
    names = last_third(resnet50()[1])
    for layer in (names[0], names[len(names) // 2], names[-1]):
        held, full, _, _ = without_each(*resnet50(), layer, ROUNDS)
        what = f"accuracy without each of 256 units of {layer}, times faster than full runs"
        show(what, "torch", held, full, 20, full / held)


def depth(*layers: str) -> None:
    """The same of these layers, or of every one in the last third, beside what its own cost would allow.

    That is one over the share of the network's multiply-adds that come after the layer and are not linear in one unit's change.
    """
    for layer in layers or last_third(resnet50()[1]):
        held, full, in_batches, left = without_each(*resnet50(), layer, 1)
        print(
            f"{layer}: {full / held:.1f} times faster, {in_batches / held:.1f} than in batches; "
            f"{left:.2%} of the multiply-adds have to run for each unit",
            flush=True,
        )


def ceiling() -> None:
    """Multiply-adds per second: ResNet-50, one picture; what follows its block 15, 40 pictures; a product of matrices."""
    import torch
    from torch.fx.experimental.optimization import fuse

    from convscope.methods.costs import multiply_adds

    module, net = resnet50()
    graph = net.engine.graph
    costs = {row.name: multiply_adds(graph, row.name) or 0 for row in graph}
    some = sum(cost for name, cost in costs.items() if name.split(".")[0] in ("16", "17", "18", "19", "22"))
    maps, one, square = torch.rand(40, 1024, 14, 14), torch.rand(1, 3, 224, 224), torch.rand(2048, 2048)
    rest = module[16:].eval()
    folded, last = fuse(rest), {"memory_format": torch.channels_last}
    tried = {
        "one picture": (lambda: module(one), sum(costs.values())),
        "40 after block 15": (lambda: rest(maps), 40 * some),
        "channels last": (lambda: rest(maps.to(**last)), 40 * some),
        "BatchNorm folded": (lambda: folded(maps), 40 * some),
        "both": (lambda: folded(maps.to(**last)), 40 * some),
        "product of 2048 x 2048": (lambda: square @ square, 2048**3),
    }
    taken: dict[str, list[float]] = {name: [] for name in tried}
    with torch.no_grad():
        for round_ in range(ROUNDS + 1):
            for name, (compute, _) in tried.items():
                start = time.perf_counter()
                compute()
                if round_:
                    taken[name].append(time.perf_counter() - start)
    print(
        "; ".join(f"{name} {tried[name][1] / median(each) / 1e9:.0f}" for name, each in taken.items()),
        "thousand million per second",
    )


@cache
def resnet50():
    from networks import torch_resnet50

    module = torch_resnet50()
    return module, convscope.open(module, picture_shape=(3, 224, 224))


def last_third(net: convscope.Network) -> list[str]:
    """Its convolutions of at least 256 units there."""
    rows = [row for row in net.layers.convolutions if row.shape and row.shape[0] >= 256]
    return [row.name for row in rows if row.index >= 2 * len(net.layers) / 3]


def without_each(module, net: convscope.Network, layer: str, rounds: int) -> tuple[float, float, float, float]:
    """Seconds that a picture takes without each of 256 units: held, in full runs of one picture, and of as many pictures as are
    quickest; and the share of the multiply-adds that have to run.

    Over a set of pictures a full evaluation without a unit can take them in batches; what is held is of one picture, since there
    the units are the batch.
    """
    import torch

    from convscope.methods.ablation import accuracy_without
    from convscope.methods.costs import multiply_adds
    from convscope.methods.linear import mixers

    values = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    many = torch.from_numpy(np.random.default_rng(1).normal(size=(max(BATCHES), 3, 224, 224)).astype(np.float32))
    held, full, batches = [], [], {size: [] for size in BATCHES}
    for round_ in range(rounds + 1):
        start = time.perf_counter()
        accuracy_without(net.engine, values, [0], layer, range(256 if round_ else 16))
        middle = time.perf_counter()
        with torch.no_grad():
            for _ in range(8):
                module(torch.from_numpy(values))
        if round_:
            held.append(middle - start)
            full.append((time.perf_counter() - middle) / 8 * 256)
        for size, taken in batches.items():
            start = time.perf_counter()
            with torch.no_grad():
                module(many[:size])
            if round_:
                taken.append((time.perf_counter() - start) / size * 256)
    graph = net.engine.graph
    costs = {row.name: multiply_adds(graph, row.name) or 0 for row in graph}
    linear = {layer, *mixers(graph, layer)[0]}
    left = sum(costs[row.name] for row in graph.layers[graph[layer].index :] if row.name not in linear)
    return median(held), median(full), min(map(median, batches.values())), left / sum(costs.values())


if __name__ == "__main__":
    if sys.argv[1:2] == ["depth"]:
        depth(*sys.argv[2:])
    elif sys.argv[1:2] == ["ceiling"]:
        ceiling()
    else:
        worth()
