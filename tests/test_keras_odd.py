"""Keras networks with more in them than arrays that flow: masks, one number for the whole batch, chance.

Compared with Keras' own layers, called one by one.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from keras import layers as L  # noqa: E402
from keras import ops  # noqa: E402
from zoo_keras import conv  # noqa: E402

import convscope  # noqa: E402
from convscope.core import Edit  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.engines.keras_settings import told  # noqa: E402
from convscope.engines.keras_windows import window_of  # noqa: E402
from convscope.errors import EngineError, InputError, UnknownLayer, Unsupported  # noqa: E402

WORDS = np.array([[1, 2, 0, 0, 3], [0, 4, 1, 0, 0]], np.float32)
BACKEND = keras.backend.backend()
PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


class Words(L.Layer):
    """Hands on the mask of a layer in it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = L.Embedding(5, 4, mask_zero=True, name="table")

    def call(self, x):
        return self.table(x)


def nested(name):
    start = keras.Input((5,), dtype="int32")
    return keras.Model(start, L.Dropout(0.5, name="drop")(L.Embedding(5, 4, mask_zero=True, name="table")(start)), name=name)


@pytest.mark.parametrize("build", [Words, nested])
def test_what_is_edited_held_or_traced_keeps_its_mask(build):
    keras.utils.set_random_seed(0)
    start = keras.Input((5,), dtype="int32")
    words, steps = build(name="words"), L.GRU(3, name="steps")
    engine = KerasEngine(keras.Model(start, steps(words(start))))
    mask = WORDS != 0
    plain, edited = (
        numbers(steps(change(words(WORDS.astype("int32"))), mask=mask)) for change in (lambda x: x, lambda x: x * 0.5)
    )
    assert np.abs(plain - numbers(steps(ops.convert_to_tensor(numbers(words(WORDS)))))).max() > 0.01  # the mask matters
    edits = [Edit("words", 0.5)]
    for found, expected in [
        (engine.run(WORDS, ["words", "output"])["output"], plain),
        (engine.run(WORDS, [], edits)["output"], edited),
        (engine.hold(WORDS, "words").run([], edits)["output"], edited),
        (engine.hold(WORDS, "words").run([], repeat=2)["output"], plain.repeat(2, 0)),
        (engine.trace(WORDS, ["words"])["output"], plain),
        (engine.trace(WORDS, ["words"])["output"], plain),  # compiled, on TensorFlow
    ]:
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_mask_made_of_what_is_not_held_is_held():
    """Masking looks for zeros in what feeds it, which stands behind the cut."""
    keras.utils.set_random_seed(0)
    start = keras.Input((6, 2))
    x = L.Masking(0.0, name="masking")(L.ReLU(name="relu")(L.Conv1D(2, 1, name="conv")(start)))
    engine = KerasEngine(keras.Model(start, L.GRU(3, name="steps")(x)))
    signals = np.random.default_rng(0).normal(size=(3, 2, 6)).astype(np.float32)
    expected = engine.run(signals)["output"]
    for layer, repeat in [("masking", 1), ("masking", 2), ("relu", 2)]:
        found = engine.hold(signals, layer).run([], repeat=repeat)["output"]
        np.testing.assert_allclose(found, expected.repeat(repeat, 0), atol=1e-5, err_msg=f"{layer}, {repeat} times")


def test_one_number_for_the_whole_batch_is_no_row_and_does_not_hide_what_it_is_made_of():
    keras.utils.set_random_seed(0)
    keras.utils.clear_session(free_memory=False)  # operations are numbered from the start of the process
    start = keras.Input((8, 8, 3), name="picture")
    left, right = conv(4, "left")(start), conv(4, "right")(start)
    engine = KerasEngine(keras.Model(start, L.ReLU(name="relu")(right * ops.mean(left))))
    assert engine.graph["multiply"].inputs == ("right", "left")
    run = engine.run(PICTURES, ["left", "right", "multiply", "output"])
    np.testing.assert_allclose(run["multiply"], run["right"] * run["left"].mean(), atol=1e-6)
    for layer in ("left", "right"):
        held, edits = engine.hold(PICTURES, layer), [Edit(layer, 0.5, 1.0)]
        np.testing.assert_allclose(held.run()["output"], run["output"], atol=1e-6)
        np.testing.assert_allclose(held.run([], edits)["output"], engine.run(PICTURES, [], edits)["output"], atol=1e-6)


class Throwing(keras.Model):
    """Throws dice in every run."""

    def __init__(self):
        super().__init__()
        self.conv, self.drop, self.norm = conv(4, "conv"), L.Dropout(0.5, seed=1, name="drop"), L.BatchNormalization(name="norm")

    def call(self, x):
        for _ in range(2):
            x = self.norm(self.drop(self.conv(x), training=True), training=True)[..., :3]
        return x


def test_chance_falls_the_same_way_in_a_held_run_and_stays_as_it_was():
    model = Throwing()
    model(PICTURES.transpose(0, 2, 3, 1))
    with keras.StatelessScope():
        expected = numbers(model(PICTURES.transpose(0, 2, 3, 1), training=False)).transpose(0, 3, 1, 2)
    before = [numbers(each) for each in model.variables]
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    for found in (engine.run(PICTURES), engine.run(PICTURES), engine.hold(PICTURES, "drop").run()):
        np.testing.assert_allclose(found["output"], expected, atol=1e-5)
    assert all(np.array_equal(a, numbers(b)) for a, b in zip(before, model.variables, strict=True))


def test_a_built_network_of_which_keras_kept_no_shape_is_asked_for_it():
    model = Throwing()
    model(PICTURES.transpose(0, 2, 3, 1))
    model._build_shapes_dict = None  # as where Keras cannot go through a network without numbers, and builds it as it runs
    with pytest.raises(Unsupported, match=r"picture_shape=\(3, 224, 224\)"):
        KerasEngine(model)


def test_a_network_without_weights_is_not_given_some():
    model = Unbuilt()
    with pytest.raises(Unsupported, match=r"has layers without weights yet \(conv\). Call it once"):
        KerasEngine(model, picture_shape=(3, 8, 8))
    assert not model.variables


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = conv(4, "conv")

    def call(self, x):
        return self.conv(x)


class Several(keras.Model):
    """Returns more than arrays."""

    def __init__(self):
        super().__init__()
        self.conv = conv(4, "conv")

    def call(self, x):
        return {"maps": self.conv(x), "nothing": None, "number": 3.0}


def test_outputs_that_are_no_arrays_are_passed_by():
    model = Several()
    model.conv.build((None, 8, 8, 3))
    run = KerasEngine(model, picture_shape=(3, 8, 8)).run(PICTURES, ["conv", "output"])
    np.testing.assert_array_equal(run["output"], run["conv"])


def test_two_rows_of_one_name_are_refused():
    start, relu = keras.Input((8, 8, 3)), L.ReLU(name="relu")
    x = L.Activation("tanh", name="tanh")(relu(relu(start)))
    model = keras.Model(start, x)
    model.get_layer("tanh").name = "relu#2"  # which TensorFlow would not take for a name from the beginning
    if BACKEND == "tensorflow":
        with pytest.raises(EngineError):
            KerasEngine(model)
    else:
        with pytest.raises(Unsupported, match="would be called 'relu#2'"):
            KerasEngine(model)


def test_a_network_that_was_changed_is_opened_again():
    """What was compiled would go on with the layer as it was, and the table with its activation."""
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, L.Dense(4, activation="softmax", name="classes")(L.Flatten(name="flat")(start)))
    engine = KerasEngine(model)
    np.testing.assert_allclose(engine.run(PICTURES)["output"].sum(1), 1, atol=1e-5)
    model.get_layer("classes").activation = None
    for call in (engine.run, engine.trace, lambda pictures: engine.hold(pictures, "flat")):
        with pytest.raises(Unsupported, match="was changed after it was opened"):
            call(PICTURES)
    expected = numbers(model(PICTURES.transpose(0, 2, 3, 1)))
    np.testing.assert_allclose(KerasEngine(model).run(PICTURES)["output"], expected, atol=1e-5)


class Times(L.Layer):
    factor = 1.0

    def call(self, x):
        return ops.multiply(x, self.factor)


def test_a_copy_that_answers_otherwise_is_refused():
    start, times = keras.Input((None, None, 3)), Times(name="times")
    model = keras.Model(start, conv(2, "conv")(times(start)))
    engine = KerasEngine(model)
    np.testing.assert_allclose(engine.with_weights({}).run(PICTURES)["output"], engine.run(PICTURES)["output"], atol=1e-6)
    times.factor = 3.0  # of which get_config knows nothing
    with pytest.raises(Unsupported, match="copy of this model gives other answers"):
        engine.with_weights({})


class Mirrored(L.Conv2D):
    """Looks beyond what a Conv2D of its arguments would."""

    def call(self, x):
        return super().call(ops.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="reflect"))


def test_where_a_layer_with_a_call_of_its_own_looks_is_not_known():
    own, plain = Mirrored(4, 5, name="own"), L.Conv2D(4, 5)
    assert window_of(plain, "convolution", 2) is not None
    assert window_of(own, "convolution", 2) is None


class Standardised(L.Conv2D):
    """As in BiT: what it convolves with is not what it keeps."""

    def call(self, x):
        kernel = self.kernel - ops.mean(self.kernel, (0, 1, 2), keepdims=True)
        return ops.conv(x, kernel, padding="valid")


def test_a_kernel_of_a_layer_with_a_call_of_its_own_is_not_shown_as_it_acts():
    start = keras.Input((8, 8, 3))
    own, last = Standardised(4, 3, use_bias=False, name="own"), L.Conv2D(2, 3, name="last")
    network = convscope.open(keras.Model(start, last(own(start))))
    kept = np.moveaxis(ops.convert_to_numpy(own.kernel), (3, 2), (0, 1))
    assert set(network.engine.weights("own")) == {"raw_kernel"}
    assert "perhaps not the kernels as they act" in network.filters("own").note
    assert network.filters("own").silent is None
    assert network.filters("last").note == ""
    np.testing.assert_array_equal(network.filters("own").values, kept)
    with pytest.raises(InputError, match="no filters to replace"):
        network.with_filters("own", np.ones((3, 3), np.float32))
    other = network.engine.with_weights({"own": {"raw_kernel": kept[::-1].copy()}})
    np.testing.assert_allclose(
        other.run(PICTURES, ["own"])["own"], network.engine.run(PICTURES, ["own"])["own"][:, ::-1], atol=1e-5
    )


def test_a_normalization_that_is_adapted_later_is_opened_again():
    """Its means are no weights, and what was compiled would go on with the old ones."""
    norm, start = L.Normalization(name="norm"), keras.Input((8, 8, 3))
    norm.adapt(PICTURES.transpose(0, 2, 3, 1))
    model = keras.Model(start, norm(start))
    engine = KerasEngine(model)
    engine.run(PICTURES)
    norm.adapt(PICTURES.transpose(0, 2, 3, 1) * 5 + 3)
    with pytest.raises(Unsupported, match="was changed after it was opened"):
        engine.run(PICTURES)


class AlwaysTraining(keras.Model):
    def __init__(self):
        super().__init__()
        self.norm = L.BatchNormalization(name="norm")
        self.norm.build((None, 8, 8, 3))

    def call(self, x):
        return self.norm(x, training=True)


def test_a_layer_that_is_frozen_after_a_run_is_read_as_it_is_now():
    """BatchNorm in training takes the pictures' own statistics, frozen those that it has learned."""
    model = AlwaysTraining()
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    for trainable in (True, False, True):
        model.trainable = trainable
        with keras.StatelessScope():
            expected = numbers(model(PICTURES.transpose(0, 2, 3, 1), training=False)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(engine.run(PICTURES, ["norm"])["norm"], expected, atol=1e-5)


def test_a_kernel_with_lora_is_replaced_as_it_acts():
    start, layer = keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv")
    model = keras.Model(start, layer(start))
    layer.enable_lora(2)
    layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=layer.lora_kernel_b.shape))
    engine = KerasEngine(model)
    weights = engine.weights("conv")
    np.testing.assert_allclose(weights["kernel"], np.moveaxis(ops.convert_to_numpy(layer.kernel), (3, 2), (0, 1)), atol=1e-6)
    kernel = np.random.default_rng(1).normal(size=(4, 3, 3, 3)).astype(np.float32)
    other = engine.with_weights({"conv": {"kernel": kernel}})
    np.testing.assert_allclose(other.weights("conv")["kernel"], kernel, atol=1e-5)
    at_corner = (PICTURES[:, None, :, :3, :3] * kernel).sum((2, 3, 4)) + weights["bias"]
    np.testing.assert_allclose(other.run(PICTURES, ["conv"])["conv"][:, :, 0, 0], at_corner, atol=1e-4)


@pytest.mark.skipif(BACKEND != "torch", reason="modules of torch run on torch")
def test_a_module_of_torch_is_channels_first_and_stays_in_training():
    import torch

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(inplace=True))
    start = keras.Input((3, 8, 8))
    wrapper = keras.layers.TorchModuleWrapper(module, name="torch", output_shape=(None, 4, 6, 6))
    engine = KerasEngine(keras.Model(start, wrapper(start)))
    module.train()
    assert [row.shape for row in engine.graph] == [(3, 8, 8), (4, 6, 6)]
    found = engine.run(PICTURES, ["torch"])["torch"]
    assert all(each.training for each in module.modules())
    with torch.no_grad():
        np.testing.assert_allclose(found, module.eval()(torch.from_numpy(PICTURES)).numpy(), atol=1e-6)


class Looping(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv, self.last = conv(3, "conv"), conv(2, "last")

    def call(self, x):
        _, x = ops.while_loop(lambda at, _: at < 3, lambda at, x: (at + 1, self.conv(x)), (0, x))
        return self.last(x)


def test_what_runs_in_a_loop_of_the_backend_is_read_on_torch_and_refused_elsewhere():
    model = Looping()
    model.conv.build((None, 8, 8, 3))
    model.last.build((None, 8, 8, 3))
    native = PICTURES.transpose(0, 2, 3, 1)
    expected = [numbers(each).transpose(0, 3, 1, 2) for each in (model.conv(native), model(native))]
    engine = KerasEngine(model, picture_shape=(3, 8, 8))
    np.testing.assert_allclose(engine.run(PICTURES, ["last"])["last"], expected[1], atol=1e-5)
    if BACKEND == "torch":
        np.testing.assert_allclose(engine.run(PICTURES, ["conv", "conv#2"])["conv"], expected[0], atol=1e-5)
    else:
        with pytest.raises(EngineError, match=f"cannot be read on {BACKEND}. Read layers before or after it"):
            engine.run(PICTURES, ["conv", "output"])


@pytest.mark.parametrize(("build", "read"), [(L.StringLookup, (3,)), (L.TextVectorization, (1,))])
def test_a_network_of_strings_is_refused_with_a_way_out(build, read):
    start = keras.Input(read, dtype="string", name="words")
    model = keras.Model(start, L.Embedding(4, 2)(build(vocabulary=["a", "b"])(start)))
    with pytest.raises(Unsupported, match="The input 'words' of '.*' takes strings"):
        KerasEngine(model)


class Scaled(L.Layer):
    """By an array that may be absent."""

    def call(self, x, by=None):
        return x if by is None else x * by[:, None, None]


def test_an_optional_input_may_be_absent():
    start, by = keras.Input((8, 8, 3), name="picture"), keras.Input((3,), optional=True, name="by")
    last = conv(2, "last")
    model = keras.Model([start, by], last(Scaled(name="scaled")(start, by)))
    plain = numbers(model([PICTURES.transpose(0, 2, 3, 1), None])).transpose(0, 3, 1, 2)
    engine = KerasEngine(model, picture_shape={"picture": (3, 8, 8)})
    assert [row.name for row in engine.graph.inputs] == ["picture"]
    assert engine.graph["scaled"].inputs == ("picture",)
    for found in (engine.run(PICTURES), engine.trace(PICTURES), engine.hold(PICTURES, "scaled").run()):
        np.testing.assert_allclose(found["output"], plain, atol=1e-5)
    both = {"picture": PICTURES, "by": np.full((2, 3), 2, np.float32)}
    np.testing.assert_allclose(KerasEngine(model).run(both)["output"], engine.run(PICTURES * 2)["output"], atol=1e-5)
    with pytest.raises(Unsupported, match="Keras' copy of this model does not run"):  # it forgets that the input is optional
        engine.with_weights({})


def test_layers_inside_one_of_keras_own_are_said_to_be_one_piece():
    part = keras.Sequential([keras.Input((8, 8, 3)), conv(2, "inner"), L.Flatten(name="flat")], name="part")
    start = keras.Input((2, 8, 8, 3))
    engine = KerasEngine(keras.Model(start, L.TimeDistributed(part, name="each")(start)))
    for name in ("inner", "part/inner", "each/part/inner"):
        with pytest.raises(UnknownLayer, match=f"'{name}' is inside the layer 'each', which is read as one piece"):
            engine.run(np.zeros((1, 3, 2, 8, 8), np.float32), [name])


def test_what_a_layer_of_the_users_is_set_to_is_what_runs():
    """What was compiled would go on with the number as it was."""
    start, times = keras.Input((8, 8, 3)), Times(name="times")
    engine = KerasEngine(keras.Model(start, times(start)))
    for factor in (1.0, 3.0, -2.0, np.float32(3), np.float32(4), np.full(1, 5, np.float32), np.full(1, 6, np.float32)):
        times.factor = factor
        np.testing.assert_allclose(engine.run(PICTURES, ["times"])["times"], PICTURES * factor, atol=1e-5)
        trace = engine.trace(PICTURES, ["input"])
        slope = trace.pullback({"output": np.ones_like(PICTURES)}, ["input"])["input"]
        np.testing.assert_allclose(slope, np.full_like(PICTURES, factor))


def test_what_is_held_in_tuples_and_dicts_is_a_setting_and_an_object_is_itself():
    values = (1, 1.0, True, (1, 2), [1, 3], {"a": np.arange(2)}, {"a": np.arange(3)}, np.float32(1), None, object(), [object()])
    assert len(set(map(told, values))) == len(values)
    assert all(told(each) == told(each) for each in values)


def test_what_a_layer_of_keras_own_is_set_to_is_what_runs_or_the_network_is_opened_again():
    """Also within another layer, and where a list is written into; what the table says of strides would be wrong."""
    lamp, cut = L.Lambda(lambda x, k: x * k, arguments={"k": 2.0}, name="lamp"), L.LeakyReLU(name="cut")
    norm, down = L.LayerNormalization(name="norm"), L.MaxPooling2D(name="down")
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, down(L.TimeDistributed(norm, name="rows")(cut(lamp(start)))))
    engine = KerasEngine(model)
    changes = (lambda: setattr(cut, "negative_slope", 0.9), lambda: setattr(norm, "epsilon", 0.5),
               lambda: lamp.arguments.update({"k": 5.0}))  # fmt: skip
    before = engine.run(PICTURES)["output"]
    for change in changes:
        change()
        expected = numbers(model(PICTURES.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(engine.run(PICTURES)["output"], expected, atol=1e-5)
        assert np.abs(expected - before).max() > 0.01
        before = expected
    down.strides = (1, 1)
    with pytest.raises(Unsupported, match="has other layers, activations, shapes or means now. Open it again"):
        engine.run(PICTURES)
    assert KerasEngine(model).run(PICTURES)["output"].shape == (2, 3, 7, 7)


def test_a_network_of_any_size_opens_where_a_layer_needs_one():
    """UpSampling2D to bilinear does, on TensorFlow; what the size decides is not known."""
    start = keras.Input((None, None, 3))
    up, mean = L.UpSampling2D(2, interpolation="bilinear", name="up"), L.GlobalAveragePooling2D(name="mean")
    model = keras.Model(start, mean(up(start)))
    engine = KerasEngine(model)
    assert [row.shape for row in engine.graph] == [(3, None, None), (3, None, None), (3,)]
    expected = numbers(up(PICTURES.transpose(0, 2, 3, 1))).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(engine.run(PICTURES, ["up"])["up"], expected, atol=1e-5)


def test_what_padding_says_is_read_whatever_it_stands_in():
    layer, line = L.ZeroPadding2D(((1, 2), (3, 4))), L.Cropping1D((1, 2))
    layer.padding, line.cropping = [[1, 2], [3, 4]], [1, 2]
    assert window_of(layer, "padding", 2).padding == ((1, 2), (3, 4))
    assert window_of(line, "padding", 1).padding == ((-1, -2),)
    same = L.Conv2D(2, 3)
    same.padding = [[1, 1], [1, 1]]  # which Keras itself does not know
    assert window_of(same, "convolution", 2) is None
