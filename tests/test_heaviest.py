"""The slices of a kernel that weigh most, against sorting all of them."""

import numpy as np
import pytest

import convscope
from convscope.core import Graph, Layer
from convscope.methods.heaviest import groups_of, heaviest, slices


@pytest.mark.parametrize("shape", [(6, 9, 3, 3), (5, 9, 1, 1), (4, 7, 5), (3, 8, 2, 3, 3), (6, 11), (4, 2, 3, 3)])
def test_they_are_the_first_of_all_sorted_by_norm(shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    before = kernel.copy()
    found = heaviest(kernel, most=4)
    norms = np.sqrt((kernel.reshape(*shape[:2], -1).astype(np.float64) ** 2).sum(2))
    np.testing.assert_array_equal(found.inputs, np.argsort(-norms, axis=1, kind="stable")[:, :4])
    for unit in range(shape[0]):
        np.testing.assert_array_equal(found.values[unit], kernel[unit, found.inputs[unit]])
    assert found.of == shape[1]
    np.testing.assert_array_equal(kernel, before)  # the network's weights may be what was handed in


def test_channels_are_numbered_among_all_that_the_layer_receives():
    depthwise = heaviest(np.ones((6, 1, 3, 3), np.float32), groups=3)  # two units for each of three channels
    assert depthwise.inputs.ravel().tolist() == [0, 0, 1, 1, 2, 2]
    grouped = heaviest(np.array([[1, 2], [4, 3]], np.float32)[:, :, None, None], most=1, groups=2)
    assert grouped.inputs.ravel().tolist() == [1, 2]


def test_groups_are_found_from_what_the_layer_receives():
    rows = (Layer(0, "input", "input", "Input", (8, 4, 4)), Layer(1, "conv", "convolution", "Conv", (6, 4, 4), inputs=("input",)))
    assert [groups_of(Graph(rows), "conv", channels) for channels in (8, 2, 3, 1)] == [1, 4, 1, 8]


def test_layers_without_a_kernel_have_none():
    net = convscope.open("demo")
    found = slices(net.engine, net.graph.names)
    assert set(found) == {layer.name for layer in net.graph if layer.is_convolution or layer.kind == "dense"}
