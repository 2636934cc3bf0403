"""Multiply-adds and blocks, against numbers worked by hand and those that papers state."""

import sys
from pathlib import Path

import pytest

from convscope.core import Graph, Layer
from convscope.methods.blocks import stages
from convscope.methods.costs import multiply_adds

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))


def graph(*rows: Layer) -> Graph:
    return Graph((Layer(0, "input", "input", "Input", (3, 8, 8)), *rows))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (Layer(1, "x", "convolution", "Conv2D", (16, 8, 8), kernel=(3, 3, 3, 16), inputs=("input",)), 9 * 3 * 16 * 64),
        (Layer(1, "x", "convolution", "grouped", (16, 4, 4), kernel=(16, 2, 3, 3), inputs=("input",)), 9 * 2 * 16 * 16),
        (Layer(1, "x", "depthwise", "DepthwiseConv2D", (3, 8, 8), kernel=(3, 3, 3, 1), inputs=("input",)), 9 * 3 * 64),
        (Layer(1, "x", "separable", "SeparableConv2D", (16, 8, 8), kernel=(3, 3, 3, 1), inputs=("input",)), (27 + 48) * 64),
        (Layer(1, "x", "transposed", "ConvTranspose2d", (4, 16, 16), kernel=(3, 4, 2, 2), inputs=("input",)), 48 * 64),
        (Layer(1, "x", "dense", "Linear", (10,), kernel=(10, 192), inputs=("input",)), 1920),
        (Layer(1, "x", "activation", "ReLU", (3, 8, 8), inputs=("input",)), 0),
        (Layer(1, "x", "convolution", "Conv2D", (16, None, None), kernel=(3, 3, 3, 16), inputs=("input",)), None),
        (Layer(1, "x", "convolution", "Conv2D", None, kernel=(3, 3, 3, 16), inputs=("input",)), None),
    ],
    ids=lambda value: value.native if isinstance(value, Layer) else str(value),
)
def test_multiply_adds_are_weights_times_places(layer, expected):
    assert multiply_adds(graph(layer), "x") == expected


def test_resnet50_costs_what_its_authors_and_others_say():
    """4.09 G multiply-adds with the stride in the 3 x 3 convolutions, as torchvision's documentation has it."""
    import networks

    import convscope

    found = convscope.open(networks.onnx_resnet50()).graph
    assert sum(multiply_adds(found, layer.name) for layer in found) == pytest.approx(4.09e9, rel=0.001)
    assert [block.resolution for block in stages(found)] == [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7), ()]


def test_every_row_but_the_input_is_in_one_block_and_in_order():
    import convscope

    found = convscope.open("demo").graph
    assert [layer for block in stages(found) for layer in block.layers] == list(found.layers[1:])


def test_a_pooling_ends_its_block_and_squeeze_and_excite_opens_none():
    rows = [
        Layer(1, "a", "convolution", "Conv", (4, 8, 8)),
        Layer(2, "pool", "pooling", "MaxPool", (4, 4, 4)),
        Layer(3, "b", "convolution", "Conv", (4, 4, 4)),
        Layer(4, "squeeze", "convolution", "Conv", (2, 1, 1)),
        Layer(5, "c", "convolution", "Conv", (4, 4, 4)),
        Layer(6, "head", "dense", "Dense", (10,)),
    ]
    names = [[layer.name for layer in block.layers] for block in stages(graph(*rows))]
    assert names == [["a", "pool"], ["b", "squeeze", "c"], ["head"]]
