"""The tutorial that everybody copies, on the network that it is written for: VGG16 in Keras.

On backends other than torch its maps only, of small pictures (see test_keras_backends.py).
"""

import math
import re

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

import convscope  # noqa: E402
from convscope.pictures import prepare  # noqa: E402

INDICES = [1, 2, 4, 5, 7, 8, 9, 11, 12, 13, 15, 16, 17]
CHANNELS = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="does not depend on the backend; tested on torch")
SIDE = 224 if keras.backend.backend() == "torch" else 32
SIDES = [SIDE // shrunk for shrunk in (1, 1, 2, 2, 4, 4, 4, 8, 8, 8, 16, 16, 16)]


@pytest.fixture(scope="module")
def net():
    """With zeros in the first dense layer: its hundred million random numbers would take longer than all that is asked here."""
    keras.utils.set_random_seed(0)
    if SIDE < 224:
        return convscope.open(keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)))
    drawn = keras.initializers.GlorotUniform.__call__

    def draw(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype) if math.prod(shape) > 1e8 else drawn(self, shape, dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.GlorotUniform, "__call__", draw)
        return convscope.open("keras:VGG16", weights=None)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def printed_by_keras(model):
    """Name, kind, shape and parameters of each row of `model.summary()`."""
    lines: list[str] = []
    model.summary(line_length=120, print_fn=lambda text, **_: lines.append(text))
    rows = re.findall(r"│\s*(\w+)\s*\((\w+)\)\s*│\s*(\([^)]*\))\s*│\s*([\d,]+)\s*│", "\n".join(lines))
    return [(name, native, shape, int(count.replace(",", ""))) for name, native, shape, count in rows]


@on_torch
def test_the_table_is_the_one_that_keras_prints(net, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    rows = printed_by_keras(net.engine.model)
    assert len(rows) == 23
    assert [(row.name, row.native, str(row.native_shape), row.parameters) for row in net.layers] == rows
    assert net.engine.graph.parameters == sum(row[3] for row in rows) == 138_357_544
    text = str(net.layers)
    for name, native, shape, count in rows:
        assert re.search(rf"{name}\s.*{native}.*{re.escape(shape)}.*{count:,}", text), name
    assert "138,357,544" in text


@on_torch
def test_the_kernels_are_listed_as_keras_has_them(net):
    convolutions = net.layers.convolutions
    assert [row.kernel for row in convolutions] == [(3, 3, a, b) for a, b in zip(CHANNELS, CHANNELS[1:], strict=False)]
    assert [row.index for row in convolutions] == INDICES
    for row in convolutions:
        layer = net.engine.model.get_layer(row.name)
        np.testing.assert_array_equal(net.filters(row.name).values, layer.get_weights()[0].transpose(3, 2, 0, 1))
        assert tuple(layer.kernel.shape) == row.kernel


def test_all_thirteen_maps_are_those_of_a_sub_model(net, pixels):
    maps = net.maps(pixels, at="convs")
    assert [net.layers[name].index for name in maps] == INDICES
    assert [maps[name].values.shape for name in maps] == [
        (1, channels, side, side) for channels, side in zip(CHANNELS[1:], SIDES, strict=True)
    ]
    model = net.engine.model
    whole = keras.Model(model.inputs[0], [model.layers[index].output for index in INDICES])
    received = prepare(pixels, net.preprocess).values.transpose(0, 2, 3, 1)
    ours = keras.applications.vgg16.preprocess_input(pixels[None].astype(np.float32))
    np.testing.assert_allclose(received, ours, atol=1e-4)
    for name, expected in zip(maps, whole(received, training=False), strict=True):
        expected = keras.ops.convert_to_numpy(expected).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(maps[name].values, expected, rtol=0, atol=1e-6 * np.abs(expected).max(), err_msg=name)


@on_torch
def test_blocks_are_layers_2_5_9_13_and_17_and_give_five_sheets_in_one_pass(net, pixels, monkeypatch, tmp_path):
    passes = []
    run = net.engine.run
    monkeypatch.setattr(net.engine, "run", lambda *args, **options: passes.append(1) or run(*args, **options))
    maps = net.maps(pixels, at="blocks")
    assert [net.layers[name].index for name in maps] == [2, 5, 9, 13, 17]
    assert len(passes) == 1
    maps.save(tmp_path / "study")
    assert len(passes) == 1
    sheets = [maps[name].sheet(order="plain") for name in maps]
    assert [(len(sheet.tiles), sheet.columns) for sheet in sheets] == [(64, 8)] * 5
    assert all(label.split()[0].strip("#") == str(n) for sheet in sheets for n, label in enumerate(sheet.labels))
    assert len(list((tmp_path / "study").rglob("*.png"))) >= 5


@on_torch
def test_the_first_six_filters_are_eighteen_panels(net):
    sheet = net.filters("block1_conv1").sheet(first=6)
    assert (len(sheet.tiles), sheet.columns) == (18, 3)
    values = net.filters("block1_conv1").values
    assert values.shape == (64, 3, 3, 3)
    np.testing.assert_array_equal(np.reshape(sheet.tiles, (6, 3, 3, 3)), values[:6])


@on_torch
def test_only_block_one_is_computed_when_only_that_is_asked_for(net, pixels, monkeypatch):
    layer = net.engine.model.get_layer("block2_conv1")
    call = layer.call

    def only_shapes(x):  # as are asked for again once a layer is another
        return call(x) if x.device.type == "meta" else pytest.fail("block 2 ran")

    monkeypatch.setattr(layer, "call", only_shapes)
    assert list(net.maps(pixels, at="block1_*")) == ["block1_conv1", "block1_conv2", "block1_pool"]
