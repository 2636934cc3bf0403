"""A real network in a file of somebody else's: MobileNet v1, saved by Keras, with a photograph of a cat."""

import numpy as np
import pytest
from conftest import SHARED

import convscope
from convscope import demo

MODEL, PICTURES = SHARED / "models" / "mobilenet_v1_pictures11.keras", SHARED / "data" / "pictures11" / "val.zip"
pytestmark = pytest.mark.skipif(not MODEL.exists(), reason="needs ../shared")
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
pytest.importorskip("skimage", reason="the photograph comes with scikit-image: pip install 'convscope[demo]'")


@pytest.fixture(scope="module")
def net():
    return convscope.open(MODEL, labels=PICTURES)


def test_the_cat_is_a_cat(net):
    (answers,) = net.predict(demo.picture(), top=2)
    assert answers[0][0] == "cat"
    assert answers[0][1] > 0.99


def test_what_it_expects_is_found_in_its_layers(net):
    card = net.preprocess.to_dict()
    assert tuple(card["size"]) == (224, 224)
    assert "mobilenet" in net.preprocess.origin
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    from PIL import Image

    from convscope.pictures import prepare

    received = prepare(Image.fromarray(pixels), net.preprocess).values[0]
    np.testing.assert_allclose(received, pixels.transpose(2, 0, 1) / 127.5 - 1, atol=1e-6)


def test_its_stages_get_a_sheet_each(net, tmp_path):
    maps = net.look(demo.picture())
    sizes = {
        "conv_pw_1": (64, 112),
        "conv_pw_3": (128, 56),
        "conv_pw_5": (256, 28),
        "conv_pw_11": (512, 14),
        "conv_pw_12": (1024, 7),
    }
    assert {name: maps[name].values.shape[1:3] for name in maps} == sizes
    folder = maps.save(tmp_path / "study")
    assert len(list(folder.rglob("*conv_pw_*.png"))) == 5
    assert "mobilenet_v1_pictures11" in (folder / "index.html").read_text(encoding="utf-8")


def test_its_maps_are_those_of_a_sub_model_of_keras(net):
    model = keras.saving.load_model(MODEL, compile=False)
    names = net.layers.convolutions.names
    pictures = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    sub = keras.Model(model.inputs[0], [model.get_layer(name).output for name in names])
    expected = sub(pictures.transpose(0, 2, 3, 1), training=False)
    found = net.engine.run(pictures, names)
    assert len(names) == 25
    for name, values in zip(names, expected, strict=True):
        values = np.moveaxis(np.asarray(keras.ops.convert_to_numpy(values)), -1, 1)
        np.testing.assert_allclose(found[name], values, atol=1e-6 * np.abs(values).max(), err_msg=name)
