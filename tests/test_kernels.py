"""Hand-made kernels: what they answer to on pictures that are known, and in a network."""

import numpy as np
import pytest

import convscope
from convscope import kernels
from convscope.errors import InputError, WrongOption

RANDOM = np.random.default_rng(0)


def picture(values) -> np.ndarray:
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def step():
    """Dark at the left, bright at the right."""
    values = np.zeros((12, 12))
    values[:, 6:] = 255
    return picture(values)


@pytest.mark.parametrize("make", [kernels.sobel, kernels.prewitt, kernels.laplacian, kernels.lines])
def test_what_looks_for_differences_is_silent_where_there_are_none(make):
    found = kernels.apply(picture(np.full((9, 11), 137)), make())
    assert found.values.shape == (1, len(make()), 9, 11)
    np.testing.assert_allclose(found.values, 0, atol=1e-6)


def test_an_edge_is_found_where_it_is_and_with_its_sign(step):
    across, down = kernels.apply(step, kernels.sobel()).values[0]
    np.testing.assert_allclose(across[:, 5:7], 4, rtol=1e-6)
    assert np.abs(np.delete(across, (5, 6), axis=1)).max() == 0
    np.testing.assert_allclose(down, 0, atol=1e-6)
    turned = kernels.apply(np.rot90(step, 1, (1, 0)).copy(), kernels.sobel()).values[0]
    np.testing.assert_allclose(turned[1], across.T, atol=1e-6)


def test_lines_answer_most_to_their_own_direction():
    drawn = [np.zeros((9, 9)) for _ in range(4)]
    drawn[0][4] = drawn[1][:, 4] = 255
    drawn[2][range(9), range(9)] = drawn[3][range(9), range(8, -1, -1)] = 255
    for number, values in enumerate(drawn):
        answers = kernels.apply(picture(values), kernels.lines()).values[0, :, 4, 4]
        assert answers.argmax() == number


def test_a_blur_keeps_the_mean_and_a_gabor_function_has_none(step):
    assert kernels.gaussian(5).sum() == pytest.approx(1)
    np.testing.assert_allclose(kernels.apply(step, kernels.gaussian(5)).values.mean(), 0.5, atol=1e-4)
    bank = kernels.gabor_bank(7, orientations=6)
    assert bank.shape == (24, 7, 7)
    np.testing.assert_allclose(bank.sum((1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose((bank**2).sum((1, 2)), 1, rtol=1e-5)


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_a_gabor_function_answers_most_to_a_wave_of_its_own_direction(degrees):
    y, x = np.mgrid[:25, :25]
    t = np.radians(degrees)
    wave = picture(127 + 120 * np.cos(2 * np.pi * 0.2 * (x * np.cos(t) + y * np.sin(t))))
    answers = np.abs(kernels.apply(wave, np.concatenate([kernels.gabor(9, orientation=d) for d in (0, 45, 90, 135)])).values)
    assert answers[0].max((1, 2)).argmax() == degrees // 45


def test_maps_of_kernels_are_shown_as_maps_are(step):
    found = kernels.apply(255 - step, kernels.sobel())
    assert found.sheet().colour_map == "diverging"


def test_kernels_that_are_none_are_refused():
    for wrong in (np.zeros((1, 2, 3, 4)), np.zeros((0, 3, 3)), np.full((1, 3, 3), np.nan)):
        with pytest.raises(InputError, match="finite numbers"):
            kernels.apply(picture(np.zeros((9, 9))), wrong)
    with pytest.raises(InputError, match="whole number"):
        kernels.gaussian(2.5)


def test_in_a_network_they_give_what_they_give_alone_and_the_network_stays():
    net = convscope.open("demo")
    before = net.filters("block1_conv1").values.copy()
    own = net.with_filters("block1_conv1", kernels.sobel(), units=[3, 7])
    pictures = RANDOM.normal(size=(1, 3, 128, 128)).astype(np.float32)
    found = own.maps(pictures, at="block1_conv1")["block1_conv1"].values[0]
    grey = np.pad(pictures[0].mean(0), 1)
    expected = sum(kernels.sobel()[0][i, j] * grey[i : i + 128, j : j + 128] for i in range(3) for j in range(3))
    np.testing.assert_allclose(found[3], expected, atol=1e-5)
    others = [unit for unit in range(16) if unit not in (3, 7)]
    plain = net.maps(pictures, at="block1_conv1")["block1_conv1"].values[0]
    np.testing.assert_allclose(found[others], plain[others], atol=1e-6)
    np.testing.assert_array_equal(net.filters("block1_conv1").values, before)
    assert "were given" in own.info.notes[-1]


def test_a_smaller_kernel_stands_in_the_middle():
    small = kernels.fitted(kernels.sobel(), (4, 2, 7, 5))
    np.testing.assert_array_equal(small[:, :, 2:5, 1:4], np.repeat(kernels.sobel()[:, None] / 2, 2, axis=1))
    assert np.count_nonzero(small) == np.count_nonzero(kernels.sobel()) * 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("block1_conv1", np.ones((1, 5, 5)), None),
        ("block1_conv1", np.ones((1, 4, 3, 3)), None),
        ("block1_conv1", np.ones((2, 3, 3)), [1]),
        ("block1_conv1", np.ones((1, 3, 3)), [16]),
        ("block1_relu1", np.ones((1, 3, 3)), None),
    ],
)
def test_what_does_not_fit_is_refused(arguments):
    layer, given, units = arguments
    with pytest.raises((InputError, WrongOption)):
        convscope.open("demo").with_filters(layer, given, units=units)


@pytest.mark.parametrize("name", ["transposed", "weights_behind_nodes", "grouped_and_dilated"])
def test_onnx_weights_go_back_as_they_came(name):
    """Each layer gets twice its own weights, and then its own again."""
    from zoo_onnx import NETWORKS

    from convscope.engines.onnx import OnnxEngine
    from convscope.errors import Unsupported

    engine, changed = OnnxEngine(NETWORKS[name]()), 0
    pictures = RANDOM.normal(size=(2, *engine.graph.layers[0].shape)).astype(np.float32)
    for row in engine.graph:
        own = engine.weights(row.name)
        if row.kernel is None or not own:
            continue
        try:
            twice = engine.with_weights({row.name: {role: 2 * values for role, values in own.items()}})
        except Unsupported:
            continue
        plain = engine.run(pictures, [row.name])[row.name]
        np.testing.assert_allclose(twice.run(pictures, [row.name])[row.name], 2 * plain, rtol=1e-4, atol=1e-5)
        again = twice.with_weights({row.name: own})
        np.testing.assert_allclose(again.run(pictures)["output"], engine.run(pictures)["output"], rtol=1e-5, atol=1e-6)
        changed += 1
    assert changed >= 1
