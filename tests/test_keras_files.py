"""Files of Keras 2, weights in files of their own, and on which backend a file is opened."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

import h5py  # noqa: E402
from keras import layers as L  # noqa: E402
from zoo_keras import ZOO, conv  # noqa: E402

import convscope  # noqa: E402
from convscope.engines import keras_setup  # noqa: E402
from convscope.engines.keras_two import in_words_of_keras_three  # noqa: E402
from convscope.errors import InputError, MissingExtra, ModelError, NotAModel, Unsupported, Untrusted  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def output(net):
    return net.engine.run(PICTURES)["output"]


# Keras 2


def layer(kind, name, *feeds, **config):
    """As Keras 2 describes a layer of a graph; `feeds` are (layer, call)."""
    known = {"name": name, "trainable": True, "dtype": "float32"}
    nodes = [[[feed, call, 0, {}] for feed, call in feeds]] if feeds else []
    return {"class_name": kind, "config": known | config, "name": name, "inbound_nodes": nodes}


def start(name, *shape):
    return layer("InputLayer", name, batch_input_shape=[None, *shape], sparse=False, ragged=False)


def two_dimensional(name, *feeds, kind="Conv2D", **config):
    common = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last",
              "dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": True}  # fmt: skip
    return layer(kind, name, *feeds, **common | config)


def graph(name, layers, start, end):
    return {"name": name, "trainable": True, "layers": layers, "input_layers": [[start, 0, 0]], "output_layers": [[*end, 0]]}


def as_keras_two_had_it():
    """A depthwise and a transposed convolution, which were given `groups`; a network inside that is called twice."""
    inside = [start("first", 8, 8, 4), two_dimensional("mix", ("first", 0), filters=4)]
    inner = {"class_name": "Functional", "config": graph("inner", inside, "first", ("mix", 0)), "name": "inner"}
    inner["inbound_nodes"] = [[["up", 0, 0, {}]], [["inner", 1, 0, {}]]]
    depthwise = {"kind": "DepthwiseConv2D", "strides": [2, 2], "depth_multiplier": 1}
    transposed = {"kind": "Conv2DTranspose", "kernel_size": [2, 2], "strides": [2, 2], "padding": "valid", "filters": 4}
    layers = [
        start("picture", 8, 8, 3),
        two_dimensional("depthwise", ("picture", 0), **depthwise),
        two_dimensional("up", ("depthwise", 0), **transposed),
        inner,
        layer("Flatten", "flat", ("inner", 2), data_format="channels_last"),
        layer("Dense", "classes", ("flat", 0), units=3, activation="softmax", use_bias=True),
    ]
    return {"class_name": "Functional", "config": graph("old", layers, "picture", ("classes", 0))}


def same_in_keras_three():
    keras.utils.set_random_seed(0)
    first, picture = keras.Input((8, 8, 4), name="first"), keras.Input((8, 8, 3), name="picture")
    inner = keras.Model(first, conv(4, "mix")(first), name="inner")
    x = L.DepthwiseConv2D(3, strides=2, padding="same", name="depthwise")(picture)
    x = inner(inner(L.Conv2DTranspose(4, 2, strides=2, name="up")(x)))
    return keras.Model(picture, L.Dense(3, activation="softmax", name="classes")(L.Flatten(name="flat")(x)))


def write_keras_two(path, config, model):
    """The layout of Keras 2: a group per layer of the network, in it the arrays by the variables' names."""
    with h5py.File(path, "w") as file:
        file.attrs["model_config"], file.attrs["keras_version"] = json.dumps(config), "2.15.0"
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [each.name.encode() for each in model.layers]
        group.attrs["keras_version"], group.attrs["backend"] = "2.15.0", "tensorflow"
        for each in model.layers:
            names = [f"{weight.path}:0" for weight in each.weights]
            group.create_group(each.name).attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, each.get_weights(), strict=True):
                group[each.name][name] = weight
        group.create_group("top_level_model_weights").attrs["weight_names"] = []


def test_a_file_of_keras_two_is_the_network_that_was_saved(tmp_path):
    model = same_in_keras_three()
    write_keras_two(tmp_path / "old.h5", as_keras_two_had_it(), model)
    net = convscope.open(tmp_path / "old.h5")
    assert net.graph.names == ("picture", "depthwise", "up", "inner/mix", "inner", "inner/mix#2", "inner#2", "flat", "classes")
    np.testing.assert_array_equal(output(net), output(convscope.open(model)))


def test_what_keras_three_does_not_know_in_it_is_named_with_a_way_out(tmp_path):
    config = as_keras_two_had_it()
    config["config"]["layers"][1]["class_name"] = "LocallyConnected2D"
    write_keras_two(tmp_path / "old.h5", config, same_in_keras_three())
    with pytest.raises(NotAModel, match=r"Keras 2.15.0 wrote it.*'LocallyConnected2D'.*architecture=.*ONNX"):
        convscope.open(tmp_path / "old.h5")
    config["config"]["layers"][1] = layer("Lambda", "twice", ("picture", 0), function=["code", None, None])
    write_keras_two(tmp_path / "old.h5", config, same_in_keras_three())
    with pytest.raises(Untrusted, match="'twice'"):
        convscope.open(tmp_path / "old.h5")


def test_tuples_of_keras_two_are_lists():
    assert in_words_of_keras_three({"function": {"class_name": "__tuple__", "items": ["code", None]}}) == {
        "function": ["code", None]
    }


def test_live_models_of_keras_two_are_refused_with_a_way_out(monkeypatch):
    model = type("Functional", (), {"__module__": "tf_keras.src.engine.functional", "name": "old"})()
    with pytest.raises(Unsupported, match=r"Keras 2 model.*Save it as \.h5"):
        convscope.open(model)
    monkeypatch.setattr(keras, "__version__", "2.15.0")
    with pytest.raises(Unsupported, match=r"Keras 2.15.0 is installed.*pip install 'convscope\[keras\]'"):
        convscope.open(ZOO["residual"]())


# Weights in files of their own


def build():
    return ZOO["norms_and_dropout"]()


def changed(model):
    for each in model.weights:
        each.assign(np.random.default_rng(1).uniform(0.5, 1.5, each.shape))
    return model


@pytest.mark.parametrize("ending", [".weights.h5", ".keras", ".h5"])
@pytest.mark.parametrize("architecture", ["test_keras_files:build", build, "live"])
def test_weights_go_into_the_architecture_that_they_are_of(architecture, ending, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "test_keras_files", sys.modules[__name__])
    model, path = changed(build()), tmp_path / f"some{ending}"
    if ending == ".h5":
        write_keras_two(path, {}, model)
    else:
        (model.save_weights if ending == ".weights.h5" else model.save)(path)
    net = convscope.open(path, architecture=build() if architecture == "live" else architecture)
    np.testing.assert_array_equal(output(net), output(convscope.open(model)))
    assert f"weights: some{ending}" in net.info.source
    assert not net.info.notes


def spectral():
    """Writes the kernel of the layer in it twice."""
    return keras.Sequential([keras.Input((8, 8, 3)), L.SpectralNormalization(conv(4, "conv"), name="spectral")])


def test_what_a_file_holds_twice_is_not_left_over(tmp_path):
    model = spectral()
    model.save_weights(tmp_path / "some.weights.h5")
    net = convscope.open(tmp_path / "some.weights.h5", architecture=spectral)
    np.testing.assert_array_equal(output(net), output(convscope.open(model)))


def larger():
    """`build`, and a convolution more at its end."""
    model = build()
    return keras.Model(model.inputs, [model.outputs[0], conv(9, "more")(model.get_layer("norm2").output)])


def test_weights_that_are_missing_or_left_over_are_named_and_refused(tmp_path):
    larger().save_weights(tmp_path / "large.weights.h5")
    build().save_weights(tmp_path / "small.weights.h5")
    with pytest.raises(NotAModel, match=r"2 arrays that 'build' has no place for: .*conv2d_3.*partial=True"):
        convscope.open(tmp_path / "large.weights.h5", architecture=build)
    net = convscope.open(tmp_path / "large.weights.h5", architecture=build, partial=True)
    assert "2 were not used" in net.info.notes[0]
    with pytest.raises(NotAModel, match="no weights of 'larger'"):
        convscope.open(tmp_path / "small.weights.h5", architecture=larger)
    net = convscope.open(tmp_path / "small.weights.h5", architecture=larger, partial=True)
    assert net.info.notes == ("1 layers kept their own weights: more",)


def test_weights_without_or_with_the_wrong_architecture(tmp_path):
    path = tmp_path / "some.weights.h5"
    build().save_weights(path)
    with pytest.raises(NotAModel, match="weights only.*architecture='keras:VGG16'"):
        convscope.open(path)
    with pytest.raises(InputError, match="cannot go into 'timm:resnet50'"):
        convscope.open(path, architecture="timm:resnet50")
    with pytest.raises(ModelError, match="gives a dict"):
        convscope.open(path, architecture=dict)
    with pytest.raises(ModelError, match="Call it once"):
        convscope.open(path, architecture=lambda: keras.Sequential([conv(3, "conv")]))
    with pytest.raises(ModelError, match="'Dense', it raises TypeError: .*give a function that needs none"):
        convscope.open(path, architecture=L.Dense)
    with pytest.raises(ModelError, match="'int' gives a int"):
        convscope.open(path, architecture=7)
    (tmp_path / "w.pth").touch()
    with pytest.raises(InputError, match="cannot go into 'Functional': .*for networks of Keras"):
        convscope.open(tmp_path / "w.pth", architecture=build())
    with pytest.raises(NotAModel, match="these are no weights of") as refused:
        convscope.open(path, architecture=keras.Sequential([keras.Input((8, 8, 3)), conv(9, "conv")]))
    assert "value=[" not in str(refused.value)  # all numbers of the layer
    path.rename(tmp_path / "some.h5")
    with pytest.raises(NotAModel, match=r"Rename it to end in \.weights\.h5"):
        convscope.open(tmp_path / "some.h5", architecture=build)


# One process sees one backend


def installed(monkeypatch, *names, settings=None, environment=None, home=None):
    """A process in which Keras is installed, these backends are, and none of them is imported."""
    found, absent = importlib.util.find_spec, {"tensorflow", "torch", "jax"} - set(names)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else found(name))
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    if settings:
        (home / "keras.json").write_text(json.dumps({"backend": settings}))
    if environment:
        monkeypatch.setenv("KERAS_BACKEND", environment)


@pytest.mark.parametrize(
    ("there", "settings", "environment", "taken"),
    [
        (("torch",), None, None, "torch"),
        (("tensorflow", "torch", "jax"), "jax", None, "jax"),
        (("tensorflow", "torch"), "jax", None, "tensorflow"),  # configured, but not installed
        (("tensorflow", "torch"), "tensorflow", "torch", "torch"),
        (("jax",), "tensorflow", "torch", "jax"),
    ],
)
def test_a_file_is_opened_on_the_backend_that_is_configured_else_on_one_that_is_there(
    there, settings, environment, taken, monkeypatch, tmp_path
):
    installed(monkeypatch, *there, settings=settings, environment=environment, home=tmp_path)
    keras_setup.settle("'net.keras'")
    assert keras_setup.os.environ["KERAS_BACKEND"] == taken


def test_without_a_backend_or_without_keras_the_command_is_said(monkeypatch, tmp_path):
    installed(monkeypatch, home=tmp_path)
    with pytest.raises(MissingExtra, match=r"'net.keras' needs a backend.*pip install 'convscope\[torch\]'"):
        keras_setup.settle("'net.keras'")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtra, match=r"needs keras.*pip install 'convscope\[keras\]'"):
        keras_setup.settle("'net.keras'")


def test_a_backend_that_runs_no_network_of_ours_is_refused():
    code = "import os; os.environ['KERAS_BACKEND'] = 'numpy'; import keras, convscope\n"
    code += "try: convscope.open(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))\n"
    code += "except convscope.errors.Unsupported as error: print(error)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "Keras runs on numpy here" in said.stdout, said.stderr
