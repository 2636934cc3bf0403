"""Detectors of torchvision: they find another number of things in each picture, and their layers are read like others."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

import convscope  # noqa: E402
from convscope.engines.torch_outputs import outputs_of  # noqa: E402

# Of torchvision's own, which it means to replace.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
PICTURES = np.random.default_rng(0).normal(size=(2, 3, 32, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def detector():
    """A Faster R-CNN of a few layers, which finds something in every picture."""
    detection = torchvision().models.detection
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 8, 3, 4, 1), nn.ReLU(inplace=True))
        backbone.out_channels = 8
        anchors = detection.anchor_utils.AnchorGenerator(((8, 16),), ((0.5, 1.0, 2.0),))
        module = detection.FasterRCNN(
            backbone,
            rpn_anchor_generator=anchors,
            box_roi_pool=torchvision().ops.MultiScaleRoIAlign(["0"], 3, 2),
            box_head=detection.faster_rcnn.TwoMLPHead(72, 8),
            box_predictor=detection.faster_rcnn.FastRCNNPredictor(8, 3),
            min_size=32,
            max_size=40,
            box_score_thresh=0.0,
            box_detections_per_img=5,
            rpn_post_nms_top_n_test=6,
        )
    return module.eval()


@pytest.fixture(scope="module")
def net(detector):
    return convscope.open(detector, picture_shape=(3, 32, 40))


def test_its_layers_are_what_hooks_that_copy_at_once_see(detector, net):
    seen: dict[str, list[np.ndarray]] = {}

    def keep(name):
        return lambda _module, _given, out: seen.setdefault(name, []).append(out.detach().clone().numpy())

    leaves = [(name, each) for name, each in detector.named_modules() if isinstance(each, nn.Conv2d | nn.ReLU)]
    hooks = [each.register_forward_hook(keep(name)) for name, each in leaves]
    with torch.no_grad():
        detector(list(torch.from_numpy(PICTURES)))
    for hook in hooks:
        hook.remove()
    maps = net.maps(PICTURES, at=[name for name, _ in leaves])
    assert {"backbone.0", "rpn.head.conv.0.0", "rpn.head.cls_logits", "rpn.head.bbox_pred"} <= set(maps)
    for name, (expected,) in seen.items():
        np.testing.assert_allclose(maps[name].values, expected, atol=1e-6)


def test_its_outputs_are_what_it_finds_and_nan_where_it_finds_less(detector, net):
    run = net.engine.run(PICTURES, ["output", "output:1", "output:2"])
    with torch.no_grad():
        found = detector(list(torch.from_numpy(PICTURES)))
    for name, key in (("output", "boxes"), ("output:1", "labels"), ("output:2", "scores")):
        for row, each in zip(run[name], found, strict=True):
            np.testing.assert_allclose(row[: len(each[key])], each[key].numpy(), atol=1e-4)
            assert np.isnan(row[len(each[key]) :]).all()
    assert "'output' boxes, 'output:1' labels, 'output:2' scores" in " ".join(net.info.notes)


def test_a_score_is_differentiated_to_the_input(net):
    trace = net.engine.trace(PICTURES, ["backbone.2", "output:2"])
    seed = np.zeros_like(trace["output:2"])
    seed[0, 0] = 1  # the best of the first picture
    gradients = trace.pullback({"output:2": seed}, ["input", "backbone.2"])
    assert gradients["backbone.2"][0].any()
    assert gradients["input"][0].any()
    assert not gradients["input"][1].any()


def test_different_numbers_of_things_are_put_together():
    found = [{"boxes": torch.ones(n, 4), "labels": torch.ones(n, dtype=torch.int64), "scores": torch.ones(n)} for n in (2, 0, 1)]
    boxes, labels, scores = outputs_of(found, 3)
    assert boxes.shape == (3, 2, 4)
    np.testing.assert_array_equal(labels.numpy(), [[1, 1], [np.nan] * 2, [1, np.nan]])
    np.testing.assert_array_equal(scores.numpy(), labels.numpy())
    assert [each.shape for each in outputs_of([{"a": torch.ones(3, 4)}] * 3, 3)] == [(3, 4)] * 3  # not of a picture each
