"""Which axis of what a Keras layer gives is that of its channels: after time, moved by the network, and of what has no pictures.

Compared with Keras' own outputs, turned by hand.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from keras import layers as L  # noqa: E402
from keras import ops  # noqa: E402

from convscope.conformance import check_engine  # noqa: E402
from convscope.core import Edit, Tap  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.errors import Unsupported  # noqa: E402
from convscope.methods.receptive import edges  # noqa: E402

BACKEND = keras.backend.backend()
FIRST = {"data_format": "channels_first"}
RANDOM = np.random.default_rng(0)


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def sizes(engine):
    return {row.name: row.shape for row in engine.graph} | {"input": engine.graph.layers[0].shape}


def check_rows(model, pictures, axes):
    """Each row is what Keras gives, with its channels moved from the axis in `axes`; reduced too, and the last edited."""
    engine = KerasEngine(model)
    native = np.moveaxis(pictures, 1, axes["input"])
    outputs = keras.Model(model.inputs[0], [model.get_layer(name).output for name in axes if name != "input"])(native)
    run = engine.run(pictures, [*axes, *(Tap(name, "mean") for name in axes), *(Tap(name, "argmax") for name in axes)])
    for name, values in zip(axes, [native, *map(numbers, keras.tree.flatten(outputs))], strict=True):
        expected = np.moveaxis(values, axes[name], 1)
        flat = expected.reshape(*expected.shape[:2], -1)
        np.testing.assert_allclose(run[name], expected, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(run[Tap(name, "mean")], flat.mean(2), atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(run[Tap(name, "argmax")], flat.argmax(2), err_msg=name)
        assert sizes(engine)[name] == expected.shape[1:]
    off = np.ones((expected.shape[1], *(1 for _ in expected.shape[2:])), np.float32)
    off[0] = 0
    np.testing.assert_allclose(engine.run(pictures, [name], [Edit(name, off)])[name], expected * off, atol=1e-5)
    return engine


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow convolves channels last only on a CPU")
def test_channels_that_stand_after_time():
    keras.utils.set_random_seed(0)
    start = keras.Input((4, 3, 6, 7), name="film")
    x = L.ReLU(name="relu")(L.TimeDistributed(L.Conv2D(5, 2, **FIRST), name="each")(start))
    x = L.Reshape((20, 5, 6), name="side_by_side")(x)
    film = RANDOM.normal(size=(2, 3, 4, 6, 7)).astype(np.float32)
    engine = check_rows(keras.Model(start, x), film, {"input": 2, "each": 2, "relu": 2, "side_by_side": 1})
    if BACKEND == "torch":
        check_engine(engine, film)


@pytest.mark.skipif(BACKEND != "torch", reason="the same wherever channels may be first; JAX compiles it for minutes")
def test_channels_that_stand_after_time_in_layers_that_remember():
    keras.utils.set_random_seed(0)
    start = keras.Input((2, 3, 5, 6), name="film")
    x = L.ReLU(name="relu")(L.ConvLSTM2D(2, 3, return_sequences=True, name="steps", **FIRST)(start))
    x = L.ConvLSTM2D(3, 3, name="last", **FIRST)(x)
    film = RANDOM.normal(size=(2, 3, 2, 5, 6)).astype(np.float32)
    model = keras.Model(start, L.GlobalAveragePooling2D(name="mean", **FIRST)(x))
    check_rows(model, film, {"input": 2, "steps": 2, "relu": 2, "mean": 1, "last": 1})


def test_channels_last_after_time_are_last():
    start = keras.Input((4, 6, 7, 3), name="film")
    x = L.TimeDistributed(L.ZeroPadding2D(1, name="pad"), name="padded")(start)
    x = L.TimeDistributed(L.Flatten(), name="flat")(L.TimeDistributed(L.MaxPooling2D(2), name="each")(x))
    film = RANDOM.normal(size=(2, 3, 4, 6, 7)).astype(np.float32)
    engine = check_rows(keras.Model(start, x), film, {"input": -1, "padded": -1, "each": -1, "flat": -1})
    assert engine.graph["padded"].window is None  # of the map in each step, not of the film


@pytest.mark.parametrize(
    "move", [L.Permute((2, 3, 1), name="moved"), lambda x: ops.transpose(x, (0, 2, 3, 1)), lambda x: ops.moveaxis(x, 1, -1),
             lambda x: ops.swapaxes(ops.swapaxes(x, 1, 2), 2, 3)]
)  # fmt: skip
def test_a_network_that_moves_the_channels_of_its_pictures_takes_them_first(move):
    keras.utils.set_random_seed(0)
    start = keras.Input((3, 6, 7), name="picture")
    x = L.Conv2D(4, 3, name="conv")(L.Rescaling(2.0, name="scaled")(move(start)))
    model = keras.Model(start, ops.transpose(x, (0, 3, 1, 2)))
    engine = check_rows(model, RANDOM.normal(size=(2, 3, 6, 7)).astype(np.float32), {"input": 1, "scaled": -1, "conv": -1})
    assert engine.graph.layers[-1].shape == (4, 4, 5)


def test_groups_and_heads_that_are_moved_leave_the_channels_where_they_were():
    start = keras.Input((6, 7, 8), name="picture")
    x = L.Permute((1, 2, 4, 3), name="shuffled")(L.Reshape((6, 7, 2, 4))(L.Conv2D(8, 1, name="conv")(start)))
    x = L.BatchNormalization(name="norm")(L.Reshape((6, 7, 8), name="back")(x))
    pictures = RANDOM.normal(size=(2, 8, 6, 7)).astype(np.float32)
    check_rows(keras.Model(start, x), pictures, {"input": -1, "conv": -1, "back": -1, "norm": -1})


def test_features_of_words_are_last():
    keras.utils.set_random_seed(0)
    start = keras.Input((6,), name="words")
    x = L.Embedding(9, 8, name="table")(start)
    shift, scores = L.MultiHeadAttention(2, 4, name="heads")(x, x, return_attention_scores=True)
    model = keras.Model(start, [L.LayerNormalization(name="norm")(x + shift), scores])
    words = RANDOM.integers(0, 9, (3, 6)).astype(np.float32)
    run = KerasEngine(model).run(words, ["table", "norm", "output"])
    expected = numbers(model(words)[0]).transpose(0, 2, 1)
    np.testing.assert_allclose(run["norm"], expected, atol=1e-5)
    np.testing.assert_allclose(run["output"], expected, atol=1e-5)
    np.testing.assert_allclose(run["table"], numbers(model.get_layer("table")(words)).transpose(0, 2, 1), atol=1e-6)


@pytest.mark.parametrize("layer", ["steps", "each"])
def test_a_window_of_a_layer_over_time_is_not_taken_for_one_of_the_film(layer):
    start = keras.Input((4, 6, 6, 1))
    x = L.TimeDistributed(L.Cropping2D(1), name="steps")(start)
    engine = KerasEngine(keras.Model(start, L.TimeDistributed(L.Conv2D(1, 3), name="each")(x)))
    with pytest.raises(Unsupported, match="What 'steps'"):
        edges(engine.graph, layer)


@pytest.mark.parametrize("number", [2, 3])
def test_what_is_stacked_before_the_pictures_is_no_row(number):
    start = keras.Input((8, 8, 3), name="picture")
    maps = L.Conv2D(4, 3, name="conv")(start)
    means = [ops.mean(maps, (1, 2)) * factor for factor in range(1, number + 1)]
    model = keras.Model(start, L.Dense(2, name="classes")(ops.stack(means)[number - 1]))
    engine = KerasEngine(model)
    assert not any(name.startswith("stack") for name in engine.graph.names)
    pictures = RANDOM.normal(size=(number, 3, 8, 8)).astype(np.float32)
    run = engine.run(pictures, [*engine.graph.names, "output"])
    assert {len(values) for values in run.values()} == {number}
    held, off = engine.hold(pictures, "conv"), [Edit("conv", 0.5)]
    np.testing.assert_allclose(held.run([], off)["output"], engine.run(pictures, [], off)["output"], atol=1e-5)


def test_an_output_that_holds_nothing_for_each_picture_is_refused():
    start = keras.Input((8, 8, 3), name="picture")
    maps = L.Conv2D(4, 3, name="conv")(start)
    engine = KerasEngine(keras.Model(start, [maps, ops.stack([maps, maps * 2]), ops.mean(maps)]))
    pictures = RANDOM.normal(size=(2, 3, 8, 8)).astype(np.float32)
    run = engine.run(pictures, ["output", "conv"])
    np.testing.assert_array_equal(run["output"], run["conv"])
    for name in ("output:1", "output:2"):
        with pytest.raises(Unsupported, match=f"'{name}' of this network holds nothing for each picture"):
            engine.run(pictures, [name])


def test_a_network_of_so_many_pictures_runs_with_as_many():
    """A stateful layer remembers each of its pictures; in our runs what it remembers stays."""
    keras.utils.set_random_seed(0)
    start = keras.Input(batch_shape=(3, 8, 2), name="signal")
    model = keras.Model(start, L.LSTM(4, stateful=True, return_sequences=True, name="steps")(start))
    engine = KerasEngine(model)
    signals = RANDOM.normal(size=(3, 2, 8)).astype(np.float32)
    native = signals.transpose(0, 2, 1)
    for _ in range(2):
        found = [engine.run(signals, ["steps"])["steps"] for _ in range(2)]
        np.testing.assert_allclose(found[0], numbers(model(native)).transpose(0, 2, 1), atol=1e-5)
        np.testing.assert_array_equal(*found)


class First(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = L.Conv2D(4, 3, name="conv", **FIRST)
        self.conv.build((None, 3, 6, 7))

    def call(self, x):
        return self.conv(x)


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow convolves channels last only on a CPU")
def test_a_shape_that_is_said_is_taken_as_the_networks_layers_have_it():
    model = First()
    pictures = RANDOM.normal(size=(2, 3, 6, 7)).astype(np.float32)
    engine = KerasEngine(model, picture_shape=(3, 6, 7))
    np.testing.assert_allclose(engine.run(pictures, ["conv"])["conv"], numbers(model(pictures)), atol=1e-5)


@pytest.mark.skipif(BACKEND != "jax", reason="jax.disable_jit is JAX's")
def test_a_user_who_debugs_without_jit_gets_the_same():
    import jax

    start = keras.Input((6, 7, 3))
    engine = KerasEngine(keras.Model(start, L.Conv2D(4, 3, name="conv")(start)))
    pictures = RANDOM.normal(size=(2, 3, 6, 7)).astype(np.float32)
    expected, seeds = engine.run(pictures)["output"], {"output": np.ones((2, 4, 4, 5), np.float32)}
    slope = engine.trace(pictures).pullback(seeds, ["input"])["input"]
    with jax.disable_jit():
        np.testing.assert_allclose(engine.run(pictures)["output"], expected, atol=1e-6)
        np.testing.assert_allclose(
            KerasEngine(engine.model).trace(pictures).pullback(seeds, ["input"])["input"], slope, atol=1e-5
        )
