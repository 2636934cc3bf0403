"""Blocks, what `at` stands for, and which layer is read for which."""

import numpy as np
import pytest

from convscope.core import Graph, Layer
from convscope.errors import InputError, UnknownLayer
from convscope.methods.blocks import activation_after, block_ends
from convscope.methods.maps import reading
from convscope.methods.select import select


def graph(*rows: tuple, wired: bool = True) -> Graph:
    """Rows of (name, kind, shape, inputs)."""
    return Graph(
        tuple(Layer(i, name, kind, kind, shape, inputs=inputs) for i, (name, kind, shape, inputs) in enumerate(rows)), wired
    )


CHAIN = graph(
    ("input", "input", (3, 32, 32), ()),
    ("conv1", "convolution", (8, 32, 32), ("input",)),
    ("relu1", "activation", (8, 32, 32), ("conv1",)),
    ("conv2", "convolution", (8, 32, 32), ("relu1",)),
    ("norm2", "normalisation", (8, 32, 32), ("conv2",)),
    ("relu2", "activation", (8, 32, 32), ("norm2",)),
    ("pool", "pooling", (8, 16, 16), ("relu2",)),
    ("conv3", "depthwise", (8, 16, 16), ("pool",)),
    ("add", "merge", (8, 16, 16), ("conv3", "pool")),
    ("squeeze", "convolution", (2, 1, 1), ("add",)),
    ("conv4", "separable", (4, 16, 16), ("add", "squeeze")),
    ("dense", "dense", (5,), ("conv4",)),
)


def test_a_block_ends_before_each_change_of_resolution():
    assert block_ends(CHAIN) == ("conv2", "conv4")  # the squeeze on 1 x 1 maps ends none


def test_operations_are_what_functions_make():
    rows = (Layer(0, "input", "input", "Input"), Layer(1, "conv", "convolution", "Conv2d"))
    between = (Layer(2, "relu", "activation", "relu", function=True), Layer(3, "block.add", "merge", "add", function=True))
    assert select(Graph(rows + between), "operations") == ("relu", "block.add")
    with pytest.raises(InputError, match="at='all'"):
        select(Graph(rows), "operations")


def test_maps_of_one_pixel_count_where_there_are_no_others():
    rows = graph(("input", "input", (3, 1, 1), ()), ("a", "convolution", (4, 1, 1), ()), ("b", "convolution", (4, 1, 1), ()))
    assert block_ends(rows) == ("b",)


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("blocks", ("conv2", "conv4")),
        ("convs", ("conv1", "conv2", "conv3", "squeeze", "conv4")),
        ("all", CHAIN.names[1:]),
        ("relu1", ("relu1",)),
        (3, ("conv2",)),
        ("3", ("conv2",)),
        (np.int64(3), ("conv2",)),
        (CHAIN["conv2"], ("conv2",)),
        ([CHAIN["conv2"], "relu1"], ("relu1", "conv2")),
        (-1, ("dense",)),
        ("conv?", ("conv1", "conv2", "conv3", "conv4")),
        (["dense", "conv1", 1], ("conv1", "dense")),
        (["relu*", "blocks"], ("relu1", "conv2", "relu2", "conv4")),
    ],
)
def test_what_at_stands_for(at, names):
    assert select(CHAIN, at) == names


def test_words_mean_the_same_in_every_network_also_where_a_layer_is_called_so():
    # timm's EfficientNet and MobileNet hold their layers in a module called "blocks".
    names = [("conv", "convolution", (4, 8, 8)), ("blocks.0", "convolution", (4, 4, 4)), ("blocks", "network", (4, 4, 4))]
    named = graph(("input", "input", (3, 8, 8), ()), *((*row, ()) for row in names), ("all", "convolution", (4, 4, 4), ()))
    assert select(named, "blocks") == ("conv", "all")
    assert select(named, "all") == ("conv", "blocks.0", "blocks", "all")
    assert select(named, named["blocks"]) == select(named, 3) == select(named, "block[s]") == ("blocks",)


@pytest.mark.parametrize("at", ["covn1", 12, -13, "block9_*", ["conv1", "nothing"]])
def test_what_does_not_exist_is_an_unknown_layer(at):
    with pytest.raises(UnknownLayer):
        select(CHAIN, at)


def test_near_names_are_offered():
    with pytest.raises(UnknownLayer, match="Did you mean 'conv1'"):
        select(CHAIN, "covn1")


@pytest.mark.parametrize("at", [[], 1.5, [None], True])
def test_what_is_no_layer_is_an_input_error(at):
    with pytest.raises(InputError):
        select(CHAIN, at)


def test_a_network_without_convolutions_says_so():
    with pytest.raises(InputError, match="no convolutions"):
        select(graph(("input", "input", (3,), ()), ("dense", "dense", (4,), ("input",))), "blocks")


def test_the_activation_after_a_convolution_is_found_through_a_normalisation():
    assert activation_after(CHAIN, "conv1") == "relu1"
    assert activation_after(CHAIN, "conv2") == "relu2"


def test_an_activation_is_only_named_where_it_is_certain():
    assert activation_after(CHAIN, "conv3") is None  # an addition comes first
    assert activation_after(CHAIN, "conv4") is None
    forked = graph(
        ("input", "input", (3, 4, 4), ()),
        ("conv", "convolution", (3, 4, 4), ("input",)),
        ("relu", "activation", (3, 4, 4), ("conv",)),
        ("other", "activation", (3, 4, 4), ("conv",)),
    )
    assert activation_after(forked, "conv") is None


def test_the_reading_says_where_it_was_read():
    assert str(reading(CHAIN, "conv2", activated=True)) == "after its activation (relu2)"
    assert str(reading(CHAIN, "conv2", activated=False)) == "its own output, before any activation"
    assert not reading(CHAIN, "conv4", activated=True).activated
    assert reading(CHAIN, "relu1", activated=False).activated


def test_a_map_of_zeros_is_dead_behind_a_pooling_too():
    assert [reading(CHAIN, name, activated=False).activated for name in ("relu2", "pool", "conv3", "add", "norm2")] == [
        True, True, False, False, False,
    ]  # fmt: skip
    assert str(reading(CHAIN, "pool", activated=False)) == "its own output, after an activation"
