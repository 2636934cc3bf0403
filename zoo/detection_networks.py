"""The detectors of torchvision on small pictures: every layer's output up to the boxes, which differ in number by picture."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch_networks import compare as compare
from torchvision_ops import torchvision

# In pixels, and in things that are looked for; by default pictures become 800, which shows nothing more.
SMALL = {"min_size": 96, "max_size": 128}
FEW = {"rpn_pre_nms_top_n_test": 60, "rpn_post_nms_top_n_test": 20, "box_detections_per_img": 5}
FEW_IN_ONE_STAGE = {"topk_candidates": 60, "detections_per_img": 5}


def networks() -> Iterator[tuple[str, nn.Module]]:
    models = torchvision().models
    for name in models.list_models(module=models.detection):
        options = {} if name.startswith("ssd") else SMALL
        options = options | (FEW if "rcnn" in name else FEW_IN_ONE_STAGE)
        yield f"torchvision:{name}", models.get_model(name, weights=None, weights_backbone=None, **options)
