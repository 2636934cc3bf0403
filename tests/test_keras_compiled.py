"""Networks in which the user compiled a function (tf.function, jax.jit), or throws values away (keras.remat).

Our runs reach what is in there, and what such a function keeps is not what we did in it.
"""

from contextlib import nullcontext

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from keras import layers as L  # noqa: E402
from keras import ops  # noqa: E402
from zoo_keras import conv  # noqa: E402

from convscope.core import Edit  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.errors import EngineError  # noqa: E402

BACKEND = keras.backend.backend()
PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
NATIVE = np.ascontiguousarray(PICTURES.transpose(0, 2, 3, 1))
SEEDS = {"output": np.ones((2, 3), np.float32)}


def compiled(function, **options):
    if BACKEND == "tensorflow":
        import tensorflow

        return tensorflow.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function, **options)
    return function


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


class Plain(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.classes = conv(4, "conv"), L.ReLU(name="relu"), L.Dense(3, name="classes")
        self.conv.build((None, 8, 8, 3))
        self.classes.build((None, 4))

    def body(self, x):
        return self.classes(ops.mean(self.relu(self.conv(x)), (1, 2)))

    def call(self, x):
        return self.body(x)


class Part(Plain):
    def __init__(self):
        super().__init__()
        self.fast = compiled(self.body)

    def call(self, x):
        return self.fast(x)


class Whole(Plain):
    call = compiled(Plain.call, static_argnums=0)


class Later(Plain):
    def __init__(self):
        super().__init__()
        self.call = compiled(self.call)


def compiled_on(model):
    return {name: each for name, each in vars(model).items() if name in ("call", "fast", "body")}


@pytest.mark.skipif(BACKEND == "torch", reason="torch.compile alone takes longer than all other tests of Keras")
@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("build", [Part, Whole, Later])
def test_what_a_user_compiled_is_read_and_edited_and_keeps_nothing_of_it(build, called):
    keras.utils.set_random_seed(0)
    model = build()
    if called:
        model(NATIVE)
    before, own = compiled_on(model), numbers(model.body(NATIVE))
    maps, none = numbers(model.conv(NATIVE)), numbers(model.classes(np.zeros((2, 4), np.float32)))
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    assert engine.graph.names == ("input", "conv", "relu", "classes")
    off = [Edit("relu", 0.0)]
    for _ in range(2):
        run = engine.run(PICTURES, ["conv", "output"], off)
        np.testing.assert_allclose(run["conv"], maps.transpose(0, 3, 1, 2), atol=1e-5)
        np.testing.assert_allclose(run["output"], none, atol=1e-5)
        np.testing.assert_allclose(engine.hold(PICTURES, "conv").run([], off)["output"], none, atol=1e-5)
        traces = [engine.trace(PICTURES, ["conv"], edits) for edits in ([], off)]
        np.testing.assert_allclose(traces[0]["output"], own, atol=1e-5)
        assert [bool(np.any(each.pullback(SEEDS, ["conv"])["conv"])) for each in traces] == [True, False]
    np.testing.assert_allclose(numbers(model(NATIVE)), own, atol=1e-5)
    assert compiled_on(model) == before


OUT_OF_REACH = []


class Elsewhere(Plain):
    """The compiled function stands on no layer."""

    def call(self, x):
        return OUT_OF_REACH[-1](x)


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs it as Python")
@pytest.mark.parametrize("called", [False, True])
def test_a_function_out_of_reach_keeps_nothing_of_a_run_of_ours(called):
    """On TensorFlow it is refused before it keeps an edit; on JAX it is traced for us alone, and edits reach into it."""
    model = Elsewhere()
    OUT_OF_REACH.append(compiled(model.body))
    own, off = numbers(model.body(NATIVE)), numbers(model.classes(np.zeros((2, 4), np.float32)))
    if called:
        model(NATIVE)
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    refused = f"cannot be read on {BACKEND}. Read layers before or after it|has it in a function compiled before"
    for ask in (engine.run, engine.trace) * 2:
        with pytest.raises(EngineError, match=refused):
            ask(PICTURES, ["conv", "output"])
        if BACKEND == "tensorflow":
            with pytest.raises(EngineError, match=refused):
                ask(PICTURES, ["output"], [Edit("relu", 0.0)])
        else:
            np.testing.assert_allclose(ask(PICTURES, ["output"], [Edit("relu", 0.0)])["output"], off, atol=1e-5)
        np.testing.assert_allclose(ask(PICTURES, ["output"])["output"], own, atol=1e-5)
        np.testing.assert_allclose(numbers(model(NATIVE)), own, atol=1e-5)


class Remembering(L.Layer):
    """`early`: what throws values away is made before it is called."""

    def __init__(self, *, early, **options):
        super().__init__(**options)
        self.first, self.second = conv(4, "first"), conv(3, "second")
        self.kept = keras.remat(self.body) if early else None

    def body(self, x):
        return self.second(ops.tanh(self.first(x)))

    def call(self, x):
        return (self.kept or keras.remat(self.body))(x)


def network(*, early):
    keras.utils.set_random_seed(0)
    start = keras.Input((8, 8, 3))
    x = Remembering(early=early, name="block")(conv(3, "before")(start))
    return KerasEngine(keras.Model(start, L.GlobalAveragePooling2D(name="mean")(x)))


def check_slope(engine, layer, edits):
    """The gradient in one direction is the difference between two runs."""
    gradient = engine.trace(PICTURES, [layer], edits).pullback(SEEDS, [layer])[layer]
    step = np.random.default_rng(1).normal(size=gradient.shape).astype(np.float32) / 64
    more, less = (engine.run(PICTURES, [], [*edits, Edit(layer, 1.0, by)])["output"].sum() for by in (step, -step))
    np.testing.assert_allclose((gradient * step).sum(), (more - less) / 2, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize(("layer", "edits"), [("before", [Edit("block/first", 0.3, 0.1)]), ("block/first", [])])
def test_gradients_through_what_is_computed_again_are_those_of_the_run(layer, edits):
    engine = network(early=False)
    for _ in range(2):
        check_slope(engine, layer, edits)


@pytest.mark.parametrize(("layer", "edits"), [("before", [Edit("block/first", 0.3, 0.1)]), ("block/first", [])])
def test_or_they_are_refused(layer, edits):
    engine = network(early=True)
    check_slope(engine, "before", [])
    for _ in range(2):
        with nullcontext() if BACKEND == "jax" and edits else pytest.raises(EngineError):  # there they are traced for us alone
            check_slope(engine, layer, edits)
