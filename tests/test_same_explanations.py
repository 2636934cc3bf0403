"""One set of weights in torch, in Keras and in ONNX: the same explanations, to 1e-5 of the greatest value."""

import numpy as np
import pytest
from test_same_weights import keras_twin, torch_twin

import convscope

BY_GRADIENTS = {
    "saliency": {}, "input-x-gradient": {}, "smooth-grad": {"samples": 2},
    "integrated-gradients": {"steps": 3, "baseline": "grey"}, "grad-cam": {}, "grad-cam++": {}, "hires-cam": {}, "layer-cam": {},
}  # fmt: skip
WITHOUT = {"cam": {}, "eigen-cam": {}, "ablation-cam": {}, "occlusion": {"window": 64, "stride": 32}, "rise": {"masks": 8}}
LAYER = "block5_relu3"


@pytest.fixture(scope="module")
def demo():
    return convscope.open("demo")


@pytest.fixture(scope="module")
def twins(demo):
    kept = {"preprocess": demo.preprocess, "labels": demo.labels, "picture_shape": (3, 128, 128)}
    return [convscope.open(twin(demo), **kept) for twin in (torch_twin, keras_twin)]


@pytest.fixture(scope="module")
def picture():
    coarse = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    return coarse.repeat(16, 0).repeat(16, 1)


def same(found, expected, tolerance=1e-5):
    assert found.targets[0].split(" (")[0] == expected.targets[0].split(" (")[0]
    assert found.layer == expected.layer
    largest = np.abs(expected.values).max()
    np.testing.assert_allclose(found.values, expected.values, rtol=tolerance, atol=tolerance * largest)
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-4)


@pytest.mark.parametrize("method", BY_GRADIENTS)
def test_by_gradients_in_torch_and_keras(twins, picture, method):
    first, second = (net.explain(picture, method, target="cat", **BY_GRADIENTS[method]) for net in twins)
    same(second, first, 1e-4 if method == "grad-cam++" else 2e-5)  # a quotient of small numbers


@pytest.mark.parametrize("method", WITHOUT)
def test_without_gradients_in_all_three(demo, twins, picture, method):
    expected = demo.explain(picture, method, target="cat", **WITHOUT[method])
    for net in twins:
        same(net.explain(picture, method, target="cat", **WITHOUT[method]), expected, 1e-4 if method == "rise" else 2e-5)


def test_what_units_are_worth_in_all_three(demo, twins, picture):
    expected = demo.ablate(picture, LAYER, target="cat", units=range(20))
    for net in twins:
        found = net.ablate(picture, LAYER, target="cat", units=range(20))
        np.testing.assert_allclose(found.drop, expected.drop, atol=1e-5 * np.abs(expected.worths[0].score))
        assert [row.answer for row in found.table()] == [row.answer for row in expected.table()]
