"""Keras networks that do not compute in float32 throughout: half precision, whole numbers, quantised; and channels first."""

import warnings

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from keras import layers as L  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine  # noqa: E402
from convscope.conformance.reads import law_shapes_in_the_layer_table_are_those_read  # noqa: E402
from convscope.core import Edit  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.errors import EngineError, InputError, Unsupported  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
BACKEND = keras.backend.backend()
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="Keras' own arithmetic, the same on every backend; tested on torch")


def network(policy="float32"):
    keras.utils.set_random_seed(0)
    start = keras.Input((8, 8, 3), dtype="float32")
    x = L.Conv2D(4, 3, activation="tanh", name="conv", dtype=policy)(start)
    x = L.Flatten(name="flat", dtype=policy)(L.BatchNormalization(name="norm", dtype=policy)(x))
    return keras.Model(start, L.Dense(3, name="classes", dtype=policy)(L.Dense(7, name="hidden", dtype=policy)(x)))


def turned(values):
    return np.moveaxis(values, 1, -1) if values.ndim > 2 else values


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))


# Half precision

ROUNDED = {"mixed_float16": 2**-10, "mixed_bfloat16": 2**-7, "bfloat16": 2**-7, "float64": 2**-23}
if BACKEND != "torch":  # where each network has to be compiled; and JAX has no float64 unless it is told
    ROUNDED = {name: ROUNDED[name] for name in ("mixed_float16", "bfloat16")}


@pytest.mark.parametrize("policy", ROUNDED)
def test_each_value_is_the_one_that_flowed_in_the_networks_own_precision(policy):
    model = network(policy)
    engine = KerasEngine(model)
    names = [layer.name for layer in model.layers[1:]]
    expected = keras.Model(model.inputs[0], [layer.output for layer in model.layers[1:]])(turned(PICTURES), training=False)
    run = engine.run(PICTURES, names)
    for name, values in zip(names, expected, strict=True):
        np.testing.assert_allclose(turned(run[name]), numbers(values), atol=ROUNDED[policy] * np.abs(numbers(values)).max())
    assert engine.weights("conv")["kernel"].dtype == np.float32


@pytest.mark.parametrize("policy", ROUNDED)
def test_edits_and_gradients_in_half_precision_are_those_in_full_to_its_rounding(policy):
    other, model = network(), network(policy)
    model.set_weights(other.get_weights())
    engine, full = KerasEngine(model), KerasEngine(other)
    mask = np.ones((4, 1, 1), np.float32)
    mask[2] = 0
    found, expected = (each.run(PICTURES, ["norm", "output"], [Edit("conv", mask, 1 - mask)]) for each in (engine, full))
    seeds = {"output": np.ones((2, 3), np.float32)}
    slopes, exact = (each.trace(PICTURES, ["conv"]).pullback(seeds, ["conv", "input"]) for each in (engine, full))
    for mine, theirs in [
        *zip(found.values(), expected.values(), strict=True),
        *zip(slopes.values(), exact.values(), strict=True),
    ]:
        np.testing.assert_allclose(mine, theirs, atol=4 * ROUNDED[policy] * np.abs(theirs).max())


# Whole numbers


def test_a_network_of_whole_numbers_refuses_what_it_would_round():
    start = keras.Input((8, 8, 3), dtype="uint8")
    engine = KerasEngine(keras.Model(start, L.Conv2D(4, 3, name="conv")(L.Rescaling(1 / 255, name="scaled")(start))))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8)).astype(np.float32)
    run = engine.run(pixels, ["input", "scaled"])
    np.testing.assert_array_equal(run["input"], pixels)
    np.testing.assert_allclose(run["scaled"], pixels / 255, atol=1e-6)
    with pytest.raises(InputError, match="whole numbers.*not scaled"):
        engine.run(pixels / 255)
    with pytest.raises(Unsupported, match="'input' holds whole numbers"):
        engine.run(pixels, edits=[Edit("input", 0.5)])


# Quantised layers


def quantised(mode, model=None):
    model = model or network()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line for every layer that stays as it is
        model.quantize(mode)
    return model


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantised_layer_is_read_and_edited_as_it_runs(mode):
    model = quantised(mode)
    engine = KerasEngine(model)
    run = engine.run(PICTURES, ["flat", "hidden", "output"])
    np.testing.assert_allclose(run["hidden"], numbers(model.get_layer("hidden")(run["flat"])), atol=1e-5)
    np.testing.assert_allclose(run["output"], numbers(model(turned(PICTURES), training=False)), atol=1e-5)
    edited = engine.run(PICTURES, ["output"], [Edit("hidden", 0.0, 0.5)])["output"]
    np.testing.assert_allclose(edited, numbers(model.get_layer("classes")(np.full((2, 7), 0.5, np.float32))), atol=1e-5)


@on_torch
@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("mode", ["int8", "int4"])
@pytest.mark.parametrize("layer", ["dense", "einsum"])
def test_the_kernel_of_a_quantised_layer_is_what_it_multiplies_with(layer, mode, lora):
    """Keras' own gradient goes through the kernel as it multiplies; LoRA's part is added to it."""
    start = keras.Input((6,))
    made = L.Dense(5, name="one") if layer == "dense" else L.EinsumDense("ab,bc->ac", 5, name="one", bias_axes="c")
    model = quantised(mode, keras.Model(start, made(start)))
    if lora:
        made.enable_lora(2)
        made.lora_kernel_b.assign(np.random.default_rng(1).normal(size=(2, 5)).astype(np.float32))
    engine = KerasEngine(model)
    trace = engine.trace(np.ones((1, 6), np.float32))
    rows = [trace.pullback({"output": seed[None]}, ["input"])["input"][0] for seed in np.eye(5, dtype=np.float32)]
    np.testing.assert_allclose(engine.weights("one")["kernel"], rows, atol=1e-5)
    (row,) = (each for each in engine.graph if each.name == "one")
    assert (row.kind, row.kernel) == ("dense", (6, 5))


def test_a_quantised_kernel_is_not_replaced_by_one_that_would_be_rounded():
    engine = KerasEngine(quantised("int8"))
    with pytest.raises(Unsupported, match="'hidden' is quantised"):
        engine.with_weights({"hidden": engine.weights("hidden")})


def test_a_gradient_that_the_framework_cannot_take_is_said():
    """TensorFlow has none through float8."""
    engine = KerasEngine(quantised("float8"))
    trace = engine.trace(PICTURES, ["conv"])
    seeds = {"output": np.ones((2, 3), np.float32)}
    if BACKEND == "tensorflow":
        with pytest.raises(EngineError, match="cannot take this gradient"):
            trace.pullback(seeds, ["conv"])
    else:
        assert np.abs(trace.pullback(seeds, ["conv"])["conv"]).max() > 0


def test_a_kernel_packed_by_calibration_is_refused():
    engine = KerasEngine(network())
    packed = type("Policy", (), {"quantization_mode": "gptq"})()  # calibrating needs a data set of text
    object.__setattr__(engine.operation("hidden"), "_dtype_policy", packed)
    with pytest.raises(Unsupported, match="'hidden' is packed as gptq"):
        engine.weights("hidden")


# Channels first


@pytest.mark.skipif(BACKEND == "tensorflow", reason="TensorFlow convolves channels last only on a CPU")
def test_channels_first_where_the_backend_allows_it():
    keras.utils.set_random_seed(0)
    first = {"data_format": "channels_first"}
    start = keras.Input((3, 8, 8))
    x = L.BatchNormalization(axis=1, name="norm")(L.Conv2D(4, 3, name="conv", **first)(start))
    x = L.MaxPooling2D(name="pool", **first)(L.ReLU(name="relu")(x))
    engine = KerasEngine(keras.Model(start, L.Dense(3)(L.Flatten(name="flat", **first)(L.Conv2D(2, 1, name="last", **first)(x)))))
    assert [row.shape for row in engine.graph][:5] == [(3, 8, 8), (4, 6, 6), (4, 6, 6), (4, 6, 6), (4, 3, 3)]
    if BACKEND == "torch":
        check_engine(engine, PICTURES)
    law_shapes_in_the_layer_table_are_those_read(engine, PICTURES)
    kernel, bias = engine.weights("conv")["kernel"], engine.weights("conv")["bias"]
    at_corner = (PICTURES[:, None, :, :3, :3] * kernel).sum((2, 3, 4)) + bias
    np.testing.assert_allclose(engine.run(PICTURES, ["conv"])["conv"][:, :, 0, 0], at_corner, atol=1e-5)
    assert convscope.open(engine.model).layers.convolutions.names == ["conv", "last"]
