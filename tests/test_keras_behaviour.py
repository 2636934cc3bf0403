"""What stays of a Keras model, and in memory, after runs of ours; and what happens beside them: threads, other networks."""

import gc
import threading

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from zoo_keras import conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.core import Edit  # noqa: E402
from convscope.engines import keras_backends  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.errors import EngineError, UnknownLayer  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
NATIVE = np.ascontiguousarray(PICTURES.transpose(0, 2, 3, 1))
BACKEND = keras.backend.backend()


class Counting(keras.layers.Layer):
    """Counts how often Python goes through it; refuses batches of seven."""

    calls = 0

    def call(self, x):
        self.calls += 1
        if x.shape[0] == 7:
            raise ZeroDivisionError("on purpose")
        return x


def network(seed=0):
    keras.utils.set_random_seed(seed)
    start = keras.Input((8, 8, 3), name="picture")
    x = Counting(name="counting")(conv(4, "first", activation="relu")(start))
    for number in range(4):
        x = conv(4, f"conv{number}")(x)
    return keras.Model(start, head(x))


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled on torch")
def test_what_keras_compiled_is_used_again_after_runs_and_failures():
    model = network()
    before, layer = model.predict(NATIVE, verbose=0), model.get_layer("counting")
    engine = KerasEngine(model)
    engine.run(PICTURES, ["first", "output"], [Edit("first", 0.0)])
    engine.trace(PICTURES, ["first"]).pullback({"output": np.ones((2, 3), np.float32)}, ["input"])
    with pytest.raises(EngineError, match="on purpose"):
        engine.run(np.zeros((7, 3, 8, 8), np.float32))
    calls = layer.calls
    np.testing.assert_array_equal(model.predict(NATIVE, verbose=0), before)
    assert layer.calls == calls  # it was not traced again


def test_the_losses_of_a_call_of_the_users_stay():
    """A loop of his own adds them up after the call, and may have asked us between the two."""
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, head(conv(4, "conv", activity_regularizer="l2")(start)))
    model(NATIVE)
    before = [float(keras.ops.convert_to_numpy(each)) for each in model.losses]
    engine = KerasEngine(model)
    engine.run(PICTURES, ["conv"])
    engine.trace(PICTURES, ["conv"])
    engine.with_weights({})
    assert before[0] > 0
    assert [float(keras.ops.convert_to_numpy(each)) for each in model.losses] == before


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled on torch")
def test_the_same_question_with_other_numbers_is_not_compiled_again():
    model = network()
    engine, layer = KerasEngine(model), model.get_layer("counting")
    outputs, calls = [], []
    for shift in (0.0, 1.0, 2.0):
        outputs.append(engine.run(PICTURES * (1 + shift), ["conv1", "output"], [Edit("conv0", 0.5, shift)])["output"])
        calls.append(layer.calls)
    assert len(set(calls)) == 1
    assert not np.allclose(outputs[1], outputs[2])


def test_many_questions_keep_no_more_than_a_few_compiled(monkeypatch):
    monkeypatch.setattr(keras_backends, "KEPT", 2)
    engine = KerasEngine(network())
    for name in ("conv0", "conv1", "conv2", "first"):
        engine.run(PICTURES, [name])
    kept = getattr(engine._backend, "_compiled", None)
    assert (kept is None) == (BACKEND == "torch")
    assert kept is None or len(kept._functions) == 2


@pytest.mark.skipif(BACKEND != "torch", reason="tensors are counted as torch's")
def test_many_calls_leave_no_tensors_behind():
    import torch

    engine, names = KerasEngine(network()), ["first", "conv3", "output"]

    def tensors():
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    counts = []
    for _ in range(3):
        for _ in range(10):
            engine.run(PICTURES, names, [Edit("conv0", 0.5)])
            engine.trace(PICTURES, names).pullback({"output": np.ones((2, 3), np.float32)}, ["conv3", "input"])
        counts.append(tensors())
    assert counts[1] == counts[2]


def test_two_networks_of_the_same_layer_names_in_two_threads():
    models = [network(seed) for seed in (1, 2)]
    engines, failures = list(map(KerasEngine, models)), []
    expected = [np.asarray(keras.ops.convert_to_numpy(model(NATIVE, training=False))) for model in models]

    def work(number):
        for edits in ([], [Edit("conv1", 0.0)], []) * 3:
            found = engines[number].run(PICTURES, ["conv1", "output"], edits)
            right = not found["conv1"].any() if edits else np.allclose(found["output"], expected[number], atol=1e-5)
            failures.extend([] if right else [(number, len(edits))])

    threads = [threading.Thread(target=work, args=(number % 2,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert not np.allclose(*expected)


class Unused(keras.Model):
    def __init__(self):
        super().__init__()
        self.used, self.idle = conv(2, "used"), conv(2, "idle")
        self.idle.build((None, 8, 8, 3))

    def call(self, x):
        return self.used(x)


def test_a_layer_that_is_never_called_is_no_row_and_its_neighbours_are_named():
    model = Unused()
    model(NATIVE)
    engine = KerasEngine(model)
    assert engine.graph.names == ("input", "used")
    assert engine.graph.parameters == model.count_params()
    net = convscope.open(model)
    for call in (lambda: engine.run(PICTURES, ["idle"]), lambda: net.maps(PICTURES, at="idle"), lambda: net.filters("idle")):
        with pytest.raises(UnknownLayer, match="'idle' is a layer of this network, but was not called"):
            call()
