"""The architecture of the built-in network `demo`, and how its BatchNorm is folded away once it is trained.

Five blocks named as VGG16's are. It is trained with BatchNorm and shipped without: folding is exact in evaluation
mode, and a network of plain convolutions is the easier one to read.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

SIZE = 128
# (units, convolutions) per block. Narrow early blocks, because at full resolution they cost the most to train on a CPU.
BLOCKS = ((16, 2), (32, 2), (96, 3), (144, 3), (160, 3))
CLASSES = (
    "cassette_player",
    "cat",
    "chain_saw",
    "church",
    "english_springer",
    "french_horn",
    "garbage_truck",
    "gas_pump",
    "golf_ball",
    "parachute",
    "tench",
)


def build(*, normalised: bool) -> nn.Sequential:
    """The network, from pictures (n, 3, 128, 128) in -1..1 to logits (n, 11). `normalised`: with BatchNorm, to train it."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = 3
    for block, (units, convolutions) in enumerate(BLOCKS, 1):
        if block > 1:
            layers[f"block{block - 1}_pool"] = nn.MaxPool2d(2)
        for number in range(1, convolutions + 1):
            layers[f"block{block}_conv{number}"] = nn.Conv2d(channels, units, 3, padding=1, bias=not normalised)
            if normalised:
                layers[f"block{block}_norm{number}"] = nn.BatchNorm2d(units)
            layers[f"block{block}_relu{number}"] = nn.ReLU()
            channels = units
    layers["average_pool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["predictions"] = nn.Linear(channels, len(CLASSES))
    return nn.Sequential(layers)


def folded(trained: nn.Sequential) -> nn.Sequential:
    """The same function without BatchNorm: w' = w * gamma / sqrt(var + eps), b' = beta - mean * gamma / sqrt(var + eps)."""
    plain = build(normalised=False)
    weights = plain.state_dict()
    for name, module in trained.named_children():
        if isinstance(module, nn.BatchNorm2d):
            conv = name.replace("norm", "conv")
            factor = module.weight / torch.sqrt(module.running_var + module.eps)
            weights[f"{conv}.weight"] = trained.get_submodule(conv).weight * factor[:, None, None, None]
            weights[f"{conv}.bias"] = module.bias - module.running_mean * factor
        elif isinstance(module, nn.Linear):
            weights[f"{name}.weight"], weights[f"{name}.bias"] = module.weight, module.bias
    plain.load_state_dict(weights)
    return plain.eval()
