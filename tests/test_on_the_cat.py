"""Every method that looks at the class puts more on the cat than the cat's share of the scene: see training/on_the_cat.py."""

import sys
from pathlib import Path

import pytest
from conftest import SHARED

import convscope

pytest.importorskip("skimage", reason="the photograph comes with scikit-image: pip install 'convscope[demo]'")
pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from test_same_weights import torch_twin  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

from convscope.methods.explain import METHODS  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
from on_the_cat import CORNERS, HARDLY_THE_CLASS, scene, share_on  # noqa: E402

MOBILENET, PICTURES = SHARED / "models" / "mobilenet_v1_pictures11.keras", SHARED / "data" / "pictures11" / "val.zip"
SHOULD = [name for name in METHODS if name not in HARDLY_THE_CLASS]
QUICK = {
    "smooth-grad": {"samples": 6}, "var-grad": {"samples": 6}, "integrated-gradients": {"steps": 8}, "rise": {"masks": 60},
    "expected-gradients": {"samples": 8}, "extremal": {"steps": 20}, "occlusion": {"window": 32, "stride": 16},
}  # fmt: skip
ON_MOBILENET = ("cam", "grad-cam", "grad-cam++", "hires-cam", "layer-cam")  # those that take about a run


def options_of(method, pixels):
    return QUICK.get(method, {}) | ({"among": [pixels[::-1].copy()]} if method == "expected-gradients" else {})


@pytest.fixture(scope="module")
def built_in():
    net = convscope.open("demo")
    return convscope.open(torch_twin(net), preprocess=net.preprocess, labels=net.labels, picture_shape=(3, 128, 128))


@pytest.mark.parametrize("method", SHOULD)
def test_the_built_in_network_looks_at_the_cat(built_in, method):
    if method == "lrp":
        torchvision()  # which zennit imports
        pytest.importorskip("zennit", reason="zennit is not installed: pip install 'convscope[lrp]'")
    pixels, box = scene(128, CORNERS[0])
    heat = built_in.explain(pixels, method, target="cat", **options_of(method, pixels)).over_picture()
    assert share_on(heat, box) > box.mean()


@pytest.mark.skipif(not MOBILENET.exists(), reason="needs ../shared")
def test_mobilenet_looks_at_the_cat():
    pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    net = convscope.open(MOBILENET, labels=PICTURES)
    pixels, box = scene(224, CORNERS[1])
    for method in ON_MOBILENET:
        heat = net.explain(pixels, method, target="cat", **options_of(method, pixels)).over_picture()
        assert share_on(heat, box) > box.mean(), method


def test_the_built_in_network_without_the_units_that_ablate_names_sees_no_cat():
    from convscope import demo

    net = convscope.open("demo")
    effect = net.ablate(demo.picture(), target="cat")
    group = effect.together()
    assert group is not None
    assert net.without({effect.layer: group}).predict(demo.picture(), top=1)[0][0][0] != "cat"
    assert net.without({effect.layer: group[:-1]}).predict(demo.picture(), top=1)[0][0][0] == "cat"
