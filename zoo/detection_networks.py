"""The detectors of torchvision on small pictures: every layer's output up to the boxes, which differ in number by picture."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch_networks import compare as compare
from torchvision_ops import torchvision

SMALL = {"min_size": 96, "max_size": 128}  # in pixels; by default pictures become 800, which shows nothing more


def networks() -> Iterator[tuple[str, nn.Module]]:
    models = torchvision().models
    for name in models.list_models(module=models.detection):
        options = {} if name.startswith("ssd") else SMALL
        yield f"torchvision:{name}", models.get_model(name, weights=None, weights_backbone=None, **options)
