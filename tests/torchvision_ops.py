"""torchvision where its compiled operators do not load: they are declared, so that its networks, which are Python, import.

The two that detectors need, `nms` and `roi_align`, are written out; what needs another one fails where it is called.
"""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

LIBRARY = []  # what a library declares goes when it goes


def torchvision():
    """The package. Skips the test where it is not installed."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed: pip install torchvision")
    try:
        import torchvision
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declare(Path(importlib.util.find_spec("torchvision").origin).parent / "_meta_registrations.py")
        import torchvision

        torchvision.extension._has_ops = lambda: True  # from here on: while it is imported they are not looked for
    return torchvision


def declare(registrations: Path) -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema, operator in WRITTEN.items():
        library.define(schema)
        for key in ("CPU", "AutogradCPU"):
            library.impl(schema.partition("(")[0], operator, key)
    source = registrations.read_text(encoding="utf-8")
    for name in re.findall(r'@(?:register_meta|torch\.library\.register_fake)\("(?:torchvision::)?(\w+)"\)', source):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor x) -> Tensor")
    LIBRARY.append(library)


def nms(boxes, scores, threshold):
    """The boxes (n, 4) to keep, the best first: those that no better one overlaps by more than `threshold` of their union."""
    import torch
    from torchvision.ops import box_iou

    order, kept = scores.argsort(descending=True, stable=True), []
    overlap = box_iou(boxes, boxes)
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][overlap[order[0], order[1:]] <= threshold]
    return torch.tensor(kept, dtype=torch.int64)


def roi_align(maps, boxes, scale, height, width, ratio, aligned):
    from torchvision.ops.roi_align import _roi_align  # torchvision's own, for where its operators are missing

    # What compiles it at its first call is left out.
    return getattr(_roi_align, "__wrapped__", _roi_align)(maps, boxes, scale, height, width, ratio, aligned)


WRITTEN = {
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor": nms,
    "roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, int sampling_ratio, "
    "bool aligned) -> Tensor": roi_align,
}
