"""The Keras engine on the backend that Keras is on: the laws on every network of the zoo, Keras' own sub-models as a second
opinion, what is left of a model after, and files. `test_keras_backends.py` runs this again on the other backends.
"""

import json
import warnings
import zipfile
from functools import cache

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from zoo_keras import PICTURES, ZOO, Subclassed, conv  # noqa: E402

import convscope  # noqa: E402
from convscope import downloads  # noqa: E402
from convscope.conformance import check_engine, compare, holding, laws  # noqa: E402
from convscope.core import Edit, Tap  # noqa: E402
from convscope.engines import keras_backends  # noqa: E402
from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.engines.keras_graph import dry_run  # noqa: E402
from convscope.errors import (  # noqa: E402
    DownloadError,
    EngineError,
    InputError,
    ModelError,
    NotAModel,
    UnknownLayer,
    Unsupported,
    Untrusted,
    WrongPictureShape,
)
from convscope.scan.several import listing_for  # noqa: E402


def pictures(name, n=2):
    """What the network takes: an array, or one for each input."""
    random, shapes = np.random.default_rng(0), PICTURES[name]
    if isinstance(shapes, tuple):
        return random.normal(size=(n, *shapes)).astype(np.float32)
    whole = {"which": np.arange(n)} if "which" in shapes else {}
    return {each: random.normal(size=(n, *shape)).astype(np.float32) for each, shape in shapes.items()} | whole


def turned(values):
    """(n, c, *spatial) to Keras' (n, *spatial, c)."""
    return np.moveaxis(values, 1, -1) if values.ndim > 2 else values


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor))


on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="does not depend on the backend; tested on torch")

# Ways to build a network, which do not depend on the backend: there, only that they are run and pulled back by it.
BUILT = (
    "sequential_without_input", "nested", "dict_output", "reserved_names", "functional_with_a_call_of_its_own",
    "made_of_its_users_layers", "subclassed_in_functional_in_subclassed", "wrapped", "parts_of_maps", "run_twice_for_a_gradient",
    "quantised_to_four_bits", "several_inputs", "dict_of_inputs", "whole_number_input"
)  # fmt: skip


@pytest.mark.parametrize("name", ZOO)
def test_the_laws_hold(name, monkeypatch):
    if keras.backend.backend() != "torch" and name in BUILT:
        check_that_it_runs(KerasEngine(ZOO[name]()), pictures(name))
        return
    if keras.backend.backend() != "torch":  # each question is compiled there, which takes half a second
        monkeypatch.setattr(compare, "MOST", 3)
        monkeypatch.setattr(keras_backends, "KEPT", 200)  # the laws come back to the same questions
        monkeypatch.setattr(holding, "CUTS", 1)
        if name not in HELD:
            monkeypatch.delattr(KerasEngine, "hold")
            optimise(False)
    without = {needs for needs, verb in {"Resumable": "hold", "Local": "local"}.items() if not hasattr(KerasEngine, verb)}
    expected = [law for law, it in laws().items() if it.__annotations__["engine"] not in without]
    engine = KerasEngine(ZOO[name]())
    assert check_engine(engine, pictures(name)) == expected
    optimise(True)
    for law in OPTIMISED if keras.backend.backend() == "tensorflow" else ():
        laws()[law](engine, pictures(name))


# TensorFlow's optimiser of graphs takes a third of the time of these small networks, so that it is off in most of them, but
# for the laws that it could break: what is read, edited and pulled back, and whose memory that is. HELD have all laws with it.
OPTIMISED = ("arrays_are_float32_contiguous_and_the_receivers_own", "nothing_is_left_behind", "a_trace_reads_what_a_run_reads")


def optimise(on):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not on})


@pytest.fixture(autouse=True)
def optimised():
    yield
    optimise(True)


def test_the_place_of_a_maximum_is_exact_in_a_map_of_more_positions_than_float32_has_whole_numbers():
    wide, place = 4100, (1 << 24) + 1
    inputs = keras.Input((wide, wide, 1))
    engine = KerasEngine(keras.Model(inputs, keras.layers.ReLU(name="relu")(inputs)))
    pictures = np.zeros((1, 1, wide, wide), np.float32)
    pictures.reshape(-1)[place] = 1
    assert engine.run(pictures, [Tap("relu", "argmax")])[Tap("relu", "argmax")].tolist() == [[place]]


HELD = ("residual", "nested_sequential", "subclassed")  # on the backends that compile


@pytest.mark.parametrize("taps", [["conv3"], ["conv2", "conv3"], ["input", "conv3"], []], ids=str)
def test_a_second_trace_is_compiled_and_gives_the_same(taps):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only on TensorFlow are traces compiled")
    engine, edits = KerasEngine(ZOO["residual"]()), [Edit("conv1", 0.5, 0.1), Edit("conv3", 1.5, -0.1)]
    seed = {"output": np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)}
    eager, compiled = (engine.trace(pictures("residual"), taps, edits) for _ in range(2))
    assert type(eager._traced).__name__ != type(compiled._traced).__name__ == "CompiledTrace"
    for name in [*taps, "output"]:
        np.testing.assert_allclose(compiled[name], eager[name], atol=1e-5)
    for name in taps or ["input"]:
        wanted = eager.pullback(seed, [name])[name]
        np.testing.assert_allclose(compiled.pullback(seed, [name])[name], wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_second_trace_that_an_input_goes_past_gives_the_same():
    start = keras.Input((8, 8, 3), name="photo")
    engine = KerasEngine(keras.Model(start, keras.layers.Multiply(name="product")([conv(3, "conv")(start), start])))
    seed = {"output": np.ones((2, 3, 8, 8), np.float32)}
    first, second = (engine.trace(pictures("sequential"), ["conv"]).pullback(seed, ["conv"])["conv"] for _ in range(2))
    np.testing.assert_allclose(first, pictures("sequential"), atol=1e-6)
    np.testing.assert_allclose(second, first, atol=1e-6)


@pytest.mark.parametrize("layer", ["left", "right"])
def test_a_run_is_held_where_keras_runs_and_lists_branches_in_another_order(layer):
    engine, other = KerasEngine(ZOO["branches"]()), {"left": "right", "right": "left"}[layer]
    calls = [call.name for call in dry_run(engine.model, engine._forward.operations, engine._inputs).calls]
    assert calls.index("left") < calls.index("right")
    assert engine.graph["left"].index > engine.graph["right"].index
    expected = engine.run(pictures("branches"), [layer, "add", "output"], [Edit(layer, 0.5)])
    found = engine.hold(pictures("branches"), layer).run([layer, "add", "output"], [Edit(layer, 0.5)])
    for tap, values in expected.items():
        np.testing.assert_allclose(found[tap], values, atol=1e-6, err_msg=f"{tap.layer}, with {other} beside it")


def check_that_it_runs(engine, pictures):
    names = [*engine.graph.names, "output"]
    run, trace = engine.run(pictures, names), engine.trace(pictures, names)
    for name in names:
        np.testing.assert_allclose(trace[name], run[name], atol=1e-5, err_msg=name)
    assert np.abs(trace.pullback({"output": np.ones_like(run["output"])}, ["input"])["input"]).max() > 0


FLAT = [
    "sequential", "sequential_without_input", "residual", "concatenation", "norms_and_dropout", "depthwise_and_separable",
    "grouped_and_dilated", "transposed", "grey_without_bias", "bare_operations", "tuple_output", "dict_output", "one_dimension",
    "three_dimensions", "squeeze_and_excite", "reserved_names", "dense_only",
]  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_what_is_read_is_what_a_sub_model_of_keras_gives(name):
    model = ZOO[name]()
    engine = KerasEngine(model)
    nodes = [each for each in getattr(model, "operations", model.layers) if not isinstance(each, keras.layers.InputLayer)]
    expected = keras.Model(model.inputs[0], [each.output for each in nodes])(turned(pictures(name)), training=False)
    rows = list(engine.graph)[1:]
    run = engine.run(pictures(name), [row.name for row in rows])
    assert sorted(row.native for row in rows) == sorted(type(each).__name__ for each in nodes)
    for node, values in zip(nodes, expected if isinstance(expected, list) else [expected], strict=True):
        (row,) = (each for each in rows if engine.operation(each.name) is node)
        np.testing.assert_allclose(
            turned(run[row.name]), numbers(values), atol=1e-6 * np.abs(numbers(values)).max(), err_msg=row.name
        )


def test_nested_layers_are_read_by_their_path():
    engine = KerasEngine(ZOO["nested"]())
    names = [row.name for row in engine.graph]
    assert names[:6] == ["picture", "conv", "middle/inner/conv", "middle/inner/relu", "middle/inner/add", "middle/inner"]
    run = engine.run(pictures("nested"), ["conv", "middle/inner/relu", "middle/inner"])
    np.testing.assert_allclose(run["middle/inner"], run["middle/inner/relu"] + run["conv"], atol=1e-6)


def test_inputs_are_rows_by_their_own_names_in_keras_order():
    network = convscope.open(ZOO["several_inputs"]())
    graph = network.graph
    given = {row.name: np.full((1, *(row.shape or ())), 0.5, np.float32) for row in graph.inputs}
    found = network.maps(given, at="far")["far"].values
    np.testing.assert_array_equal(found, network.engine.run(given, ["far"])["far"])
    assert listing_for(given, graph).count == 1
    assert listing_for([given, given], graph).item(1).read().received(network.preprocess).keys() == {
        "input",
        "input:1",
        "input:2",
    }
    assert [(row.name, row.shape) for row in graph.inputs] == [("depth", (1, 8, 8)), ("gate", (4,)), ("picture", (3, 8, 8))]
    assert (graph["far"].inputs, graph["numbers"].inputs, graph["joined/add"].inputs) == (
        ("depth",),
        ("gate",),
        ("colour", "far"),
    )
    named = [keras.Input((4,), name=name) for name in ("one", "input", "output")]
    assert KerasEngine(keras.Model(named, keras.layers.Add(name="add")(named))).graph.names == (
        "one",
        "input#1",
        "output#1",
        "add",
    )


def test_several_inputs_are_those_of_the_model_itself():
    model, given = ZOO["several_inputs"](), pictures("several_inputs")
    engine = KerasEngine(model)
    photo, depth, gate = map(turned, given.values())
    expected = numbers(model({"picture": photo, "depth": depth, "gate": gate}, training=False))
    np.testing.assert_allclose(engine.run(given)["output"], expected, atol=1e-6)
    by_place = {"input": given["depth"], "input:1": given["gate"], "input:2": given["picture"]}
    np.testing.assert_allclose(engine.run(by_place)["output"], expected, atol=1e-6)
    with pytest.raises(InputError, match="takes 'input', 'input:1', 'input:2', but received 'input'"):
        engine.run(given["picture"])
    with pytest.raises(InputError, match="The input 'depth' is given twice, since 'input' is its name too"):
        engine.run({"input": given["picture"], **given})
    with pytest.raises(WrongPictureShape, match="'input:1' of this network takes arrays of shape"):
        engine.run({**given, "gate": np.zeros((2, 5), np.float32)})
    whole = KerasEngine(ZOO["whole_number_input"]())
    with pytest.raises(InputError, match="'input:1' takes whole numbers"):
        whole.run({**pictures("whole_number_input"), "which": np.full(2, 0.5)})


class SeveralArguments(keras.Model):
    def __init__(self):
        super().__init__()
        self.near, self.far = conv(2, "near"), conv(2, "far")

    def call(self, picture, depth, scale=1.0):
        return self.near(picture) * self.far(depth) * scale


def test_the_shapes_of_several_arguments_are_asked_for():
    """Keras remembers that of the first one."""
    model, given = SeveralArguments(), {"picture": pictures("sequential"), "depth": pictures("sequential")[:, :1]}
    expected = numbers(model(*map(turned, given.values())))
    with pytest.raises(Unsupported, match=r"several inputs \(picture, depth\).*picture_shape={'picture'"):
        convscope.open(model)
    net = convscope.open(model, picture_shape={"picture": (3, 8, 8), "depth": (1, 8, 8)})
    np.testing.assert_allclose(turned(net.engine.run(given)["output"]), expected, atol=1e-6)
    assert [(row.name, row.shape) for row in net.graph.inputs] == [("picture", (3, 8, 8)), ("depth", (1, 8, 8))]


def test_the_same_array_as_two_outputs_is_pulled_back_from_both():
    engine = KerasEngine(ZOO["parts_of_maps"]())
    trace = engine.trace(pictures("parts_of_maps"), ["output:1", "output:2"])
    first, second = (np.random.default_rng(number).normal(size=trace["output:1"].shape).astype(np.float32) for number in (1, 2))
    both, alone = (
        trace.pullback(seeds, ["input"])["input"]
        for seeds in ({"output:1": first, "output:2": second}, {"output:1": first + second})
    )
    np.testing.assert_allclose(both, alone, atol=1e-5)


def test_each_call_of_a_shared_layer_has_its_row():
    engine = KerasEngine(ZOO["shared"]())
    names = [row.name for row in engine.graph]
    assert [name for name in names if "body" in name or "inner" in name] == ["body", "body#2", "block/inner", "block/inner#2"]
    run = engine.run(pictures("shared"), ["relu", "body#2", "body", "relu#2"])
    np.testing.assert_allclose(run["relu#2"], np.maximum(run["body#2"], 0), atol=1e-6)
    assert not np.allclose(run["body"], run["body#2"])
    assert engine.graph.parameters == ZOO["shared"]().count_params()  # counted once


def test_an_activation_inside_a_layer_is_said_and_kernels_are_out_first():
    model = ZOO["concatenation"]()
    engine = KerasEngine(model)
    row = engine.graph["conv3"]
    assert (row.activation, row.kernel, row.shape, row.native_shape) == ("tanh", (3, 3, 3, 2), (2, 8, 8), (None, 8, 8, 2))
    kernel, bias = model.get_layer("conv3").get_weights()
    np.testing.assert_array_equal(engine.weights("conv3")["kernel"], kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(engine.weights("conv3")["bias"], bias)


def test_transposed_kernels_are_as_they_stamp():
    engine = KerasEngine(ZOO["transposed"]())
    maps = np.zeros((1, 4, 4, 4), np.float32)
    maps[0, 2, 1, 1] = 1
    up = engine.run(np.zeros((1, 3, 8, 8), np.float32), ["up"], [Edit("down", 0.0, maps)])["up"]
    kernel, bias = engine.weights("up")["kernel"], engine.weights("up")["bias"]
    assert kernel.shape == (5, 4, 2, 2)
    np.testing.assert_allclose((up - bias[:, None, None])[0, :, 2:4, 2:4], kernel[:, 2], atol=1e-6)


def test_separable_layers_have_both_kernels():
    found = KerasEngine(ZOO["depthwise_and_separable"]()).weights("separable")
    assert {name: each.shape for name, each in found.items()} == {
        "depthwise_kernel": (6, 1, 3, 3),
        "pointwise_kernel": (5, 6, 1, 1),
        "bias": (5,),
    }


@pytest.mark.parametrize("name", ["norms_and_dropout", "shared", "nested", "subclassed"])
def test_the_model_is_left_as_it_was(name):
    model = ZOO[name]()
    layers = list(model._flatten_layers())
    values, output = model.get_weights(), model.predict(turned(pictures(name)), verbose=0)
    before = [(sorted(vars(each)), each.trainable, each.call.__func__) for each in layers]
    engine = KerasEngine(model)
    names = engine.graph.names
    engine.run(pictures(name), names, [Edit(names[1], 0.5, 1.0)])
    engine.trace(pictures(name), names).pullback({"output": np.ones((2, 3), np.float32)}, ["input"])
    with pytest.raises(UnknownLayer):
        engine.run(pictures(name), ["nowhere"])
    assert [(sorted(vars(each)), each.trainable, each.call.__func__) for each in layers] == before
    assert all(np.array_equal(a, b) for a, b in zip(values, model.get_weights(), strict=True))
    np.testing.assert_allclose(model.predict(turned(pictures(name)), verbose=0), output, atol=1e-6)


def test_new_weights_are_seen_by_the_next_run():
    model = ZOO["sequential"]()
    engine = KerasEngine(model)
    before = engine.run(pictures("sequential"), ["conv1"])["conv1"]
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel * 0)
    after = engine.run(pictures("sequential"), ["conv1"])["conv1"]
    assert before.std() > 0.01
    bias = np.maximum(model.get_layer("conv1").get_weights()[1], 0)
    np.testing.assert_allclose(after, np.broadcast_to(bias[:, None, None], after.shape), atol=1e-6)


@keras.saving.register_keras_serializable()
class Picky(keras.layers.Layer):
    """Refuses batches of five."""

    def call(self, x):
        if x.shape[0] == 5:
            raise ZeroDivisionError("on purpose")
        return x


def test_a_failure_names_the_layer_before_it_and_keeps_the_cause():
    start = keras.Input((8, 8, 3))
    model = keras.Model(start, conv(2, "second")(Picky(name="picky")(conv(3, "first")(start))))
    engine = KerasEngine(model)
    with pytest.raises(EngineError, match="'first'.*on purpose") as caught:
        engine.run(np.zeros((5, 3, 8, 8), np.float32))
    assert caught.value.layer == "first"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert engine.run(np.zeros((4, 3, 8, 8), np.float32))["output"].shape == (4, 2, 8, 8)


def test_what_cannot_be_opened_says_why():
    with pytest.raises(Unsupported, match="Call it once"):
        KerasEngine(Subclassed())
    with pytest.raises(Unsupported, match="Call it once"):
        KerasEngine(keras.Sequential([conv(3, "conv")]))
    with pytest.raises(InputError, match="Conv2D"):
        KerasEngine(conv(3, "conv"))


def test_pictures_with_channels_last_get_a_hint():
    with pytest.raises(WrongPictureShape, match=r"transpose\(0, 3, 1, 2\)"):
        KerasEngine(ZOO["sequential"]()).run(np.zeros((2, 8, 8, 3), np.float32))


class InPlace(keras.layers.Layer):
    """Writes into what it received, as layers of torch's own may."""

    def call(self, x):
        return x.relu_() if keras.backend.backend() == "torch" and x.device.type != "meta" else keras.ops.relu(x)


def test_what_is_written_into_is_read_as_it_was():
    start, given = keras.Input((8, 8, 3)), pictures("sequential")
    model = keras.Model(start, InPlace(name="last")(conv(4, "conv")(InPlace(name="first")(start))))
    run = KerasEngine(model).run(given, ["input", "first", "conv", "last"])
    np.testing.assert_array_equal(run["input"], given)
    np.testing.assert_array_equal(run["first"], np.maximum(given, 0))
    assert run["conv"].min() < 0
    np.testing.assert_array_equal(run["last"], np.maximum(run["conv"], 0))


def test_a_write_into_what_two_layers_gave_reaches_both():
    """Dropout gives what it received, so that on torch the sum is of twice the same, however much is read."""
    start, given = keras.Input((8, 8, 3)), pictures("sequential")
    x = conv(4, "conv")(start)
    model = keras.Model(start, keras.layers.Add(name="add")([x, InPlace(name="last")(keras.layers.Dropout(0.5, name="drop")(x))]))
    engine, expected = KerasEngine(model), numbers(model(turned(given)))
    for found in (engine.run(given, [*engine.graph.names, "output"]), engine.hold(given, "drop").run(["output"])):
        np.testing.assert_allclose(turned(found["output"]), expected, atol=1e-6)


class Constant(keras.layers.Layer):
    """As the pictures are, but the same for all of them: TensorFlow makes a constant of it in the graph."""

    def call(self, x):
        return keras.ops.zeros_like(x) + keras.ops.arange(4.0)


def test_what_is_read_is_nobody_elses_even_where_it_is_a_constant():
    start, given = keras.Input((8, 8, 3)), pictures("sequential")
    model = keras.Model(start, keras.layers.Add(name="add")([x := conv(4, "conv")(start), Constant(name="constant")(x)]))
    engine = KerasEngine(model)
    names = [*engine.graph.names, "output"]
    expected = {name: values.copy() for name, values in zip(names, engine.run(given, names).values(), strict=True)}
    for _ in range(2):
        run = engine.run(given, names)
        for name in names:
            np.testing.assert_array_equal(run[name], expected[name], err_msg=name)
            run[name][...] = 7.0  # arrays can be written into


# Files


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize("name", ["sequential", "residual", "nested", "norms_and_dropout"])
def test_a_file_is_the_network_that_was_saved(name, ending, tmp_path):
    model = ZOO[name]()
    model.save(tmp_path / f"net{ending}")
    live, opened = convscope.open(model), convscope.open(tmp_path / f"net{ending}")
    assert opened.graph.names == live.graph.names
    assert opened.info.sha256
    assert opened.engine.graph.parameters == model.count_params()
    found, expected = (each.engine.run(pictures(name), [*live.graph.names, "output"]) for each in (opened, live))
    for tap in expected:
        np.testing.assert_allclose(found[tap], expected[tap], atol=1e-6, err_msg=tap.layer)


def with_lambda():
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x * 2, name="twice"), conv(2, "conv")])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_code_in_a_file_runs_only_if_it_is_trusted(ending, tmp_path):
    path = tmp_path / f"net{ending}"
    with_lambda().save(path)
    with pytest.raises(Untrusted, match="'twice'.*trust=True") as caught:
        convscope.open(path)
    assert caught.value.path == str(path)
    opened, batch = convscope.open(path, trust=True), pictures("sequential")
    np.testing.assert_allclose(opened.engine.run(batch, ["twice"])["twice"], batch * 2, atol=1e-6)


class Unregistered(keras.layers.Layer):
    def call(self, x):
        return x


def test_an_operation_in_a_file_that_keras_writes_and_cannot_read_is_named(tmp_path):
    start = keras.Input((4, 4, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that .keras is the better format
        keras.Model(start, start[:, 1:]).save(tmp_path / "sliced.h5")
    with pytest.raises(NotAModel, match="holds 'GetItem', an operation between layers.*Save the network as .keras"):
        convscope.open(tmp_path / "sliced.h5")


def test_a_class_that_keras_does_not_know_is_named(tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), Unregistered(), conv(2, "conv")]).save(tmp_path / "net.keras")
    config = json.loads(zipfile.ZipFile(tmp_path / "net.keras").read("config.json"))
    text = json.dumps(config).replace("test_engine_keras", "somewhere_else")
    with zipfile.ZipFile(tmp_path / "net.keras") as old, zipfile.ZipFile(tmp_path / "other.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, text if name == "config.json" else old.read(name))
    with pytest.raises(NotAModel, match="'Unregistered'.*register_keras_serializable"):
        convscope.open(tmp_path / "other.keras")


def saved(tmp_path, name) -> bytes:
    path = tmp_path / "saved" / name
    path.parent.mkdir(exist_ok=True)
    if name.endswith(".weights.h5"):
        ZOO["sequential"]().save_weights(path)
    else:
        ZOO["sequential"]().save(path)
    return path.read_bytes()


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize(
    ("source", "change", "name", "says"),
    [
        (None, None, "net.keras", "empty"),
        (None, None, "net.h5", "empty"),
        ("net.keras", lambda content: content[: len(content) // 2], "net.keras", "damaged"),
        ("net.h5", lambda content: content[: len(content) // 2], "net.h5", "damaged"),
        ("net.keras", None, "net.h5", "zip"),
        ("net.h5", None, "net.keras", r"\.h5"),
        ("net.weights.h5", None, "net.weights.h5", "weights only.*keras:VGG16"),
        ("net.keras", lambda content: content.replace(b"model.weights.h5", b"model.wrights.h5"), "net.keras", "Cannot open"),
    ],
)
def test_files_that_are_no_network(source, change, name, says, tmp_path):
    content = saved(tmp_path, source) if source else b""
    (tmp_path / name).write_bytes(change(content) if change else content)
    with pytest.raises(NotAModel, match=says):
        convscope.open(tmp_path / name)


def test_a_zip_file_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(NotAModel, match="no network of Keras"):
        convscope.open(tmp_path / "net.keras")


# Names


def test_a_name_that_is_not_there_offers_those_near():
    with pytest.raises(ModelError, match="VGG16"):
        convscope.open("keras:VGG17")
    with pytest.raises(ModelError, match="Did you mean 'VGG16'"):
        convscope.open("keras:vgg16")
    with pytest.raises(ModelError, match="It has: .*MobileNet"):
        convscope.open("keras:zzzzzz")


@on_torch
def test_weights_from_a_file(tmp_path):
    keras.utils.set_random_seed(3)
    model = keras.applications.MobileNet(weights=None, alpha=1.0)
    model.save_weights(tmp_path / "mobilenet.weights.h5")
    net = convscope.open("keras:MobileNet", weights=tmp_path / "mobilenet.weights.h5")
    np.testing.assert_array_equal(net.filters("conv1").values, model.get_layer("conv1").get_weights()[0].transpose(3, 2, 0, 1))
    assert "mobilenet.weights.h5" in net.info.source
    with pytest.raises(NotAModel, match="no weights of 'MobileNetV3Small'"):
        convscope.open("keras:MobileNetV3Small", weights=tmp_path / "mobilenet.weights.h5")
    with pytest.raises(InputError, match="no file 'missing.h5'"):
        convscope.open("keras:MobileNet", weights="missing.h5")


def test_weights_that_cannot_be_fetched_say_where_to_put_them(monkeypatch, tmp_path):
    from keras.src.applications import mobilenet

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match="put that file at") as caught:
        convscope.open("keras:MobileNet", weights="imagenet")
    assert caught.value.path == str(tmp_path / "models" / "mobilenet_1_0_224_tf.h5")


@on_torch
def test_weights_are_fetched_to_where_keras_looks_for_them(monkeypatch, tmp_path):
    import h5py
    from keras.src.applications import mobilenet
    from keras.src.legacy.saving import legacy_h5_format
    from keras.src.utils import file_utils

    model, own = keras.applications.MobileNet(weights=None), file_utils.get_file
    served = tmp_path / "served" / "mobilenet_1_0_224_tf.h5"
    served.parent.mkdir()
    with h5py.File(served, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mobilenet, "BASE_WEIGHT_PATH", served.parent.as_uri() + "/")
    seen, labels = [], list(map(str, range(1000)))
    net = convscope.open("keras:MobileNet", weights="imagenet", labels=labels, progress=lambda *each: seen.append(each))
    assert seen
    assert seen[-1][0] == served.stat().st_size
    assert [each.name for each in (tmp_path / "home" / "models").iterdir()] == [served.name]
    np.testing.assert_array_equal(net.filters("conv1").values, model.get_layer("conv1").get_weights()[0].transpose(3, 2, 0, 1))
    served.unlink()
    convscope.open("keras:MobileNet", weights="imagenet", labels=labels)  # from the cache
    assert file_utils.get_file is own


@on_torch
def test_random_weights_and_the_order_of_colours_are_said():
    net = convscope.open("keras:MobileNetV3Small")
    assert "random" in net.info.notes[0]
    assert net.filters("conv").order == "rgb"
    caffe = convscope.open(ZOO["sequential"](), preprocess={"order": "bgr"})
    assert caffe.filters(caffe.layers.convolutions[0].name).order == "bgr"


# What a network expects of a picture

FAMILIES = {
    "VGG16": "vgg16", "VGG19": "vgg19", "ResNet50": "resnet", "ResNet50V2": "resnet_v2", "DenseNet121": "densenet",
    "InceptionV3": "inception_v3", "Xception": "xception", "MobileNet": "mobilenet", "MobileNetV2": "mobilenet_v2",
    "EfficientNetB0": "efficientnet", "EfficientNetV2B0": "efficientnet_v2", "ConvNeXtTiny": "convnext",
    "MobileNetV3Small": "mobilenet_v3", "InceptionResNetV2": "inception_resnet_v2", "NASNetMobile": "nasnet",
}  # fmt: skip
PIXELS = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)


def application(name, **options):
    try:
        return getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(80, 80, 3), **options)
    except ValueError as error:
        if "not available" in str(error):
            pytest.skip(f"Keras has no {name} on this backend")
        raise


def expected_by(module):
    pixels = PIXELS.astype(np.float32)[None]
    return numbers(getattr(keras.applications, module).preprocess_input(pixels.copy()))[0].transpose(2, 0, 1)


def received(net):
    from PIL import Image

    from convscope.pictures import prepare

    assert net.preprocess.size == (80, 80)
    return prepare(Image.fromarray(PIXELS), net.preprocess).values[0]


# What a network expects is read off its layers, the same on every backend.
@on_torch
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_keras_get_what_their_preprocess_input_gives(name):
    net = convscope.open(application(name))
    np.testing.assert_allclose(received(net), expected_by(FAMILIES[name]), atol=1e-4)
    assert FAMILIES[name] in net.preprocess.origin or "own" in net.preprocess.origin


@on_torch
@pytest.mark.parametrize("name", ["MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny"])
def test_without_their_own_rescaling_they_get_small_numbers(name):
    """Their documentation: -1..1 for the first two; ConvNeXt subtracts ImageNet's mean."""
    net = convscope.open(application(name, include_preprocessing=False))
    by = "mobilenet_v2" if name != "ConvNeXtTiny" else "densenet"  # whose preprocess_input is of the modes "tf" and "torch"
    np.testing.assert_allclose(received(net), expected_by(by), atol=1e-5)


@cache  # nothing changes it, or runs it
def base():
    return application("MobileNetV2", alpha=0.35)


def behind_rescaling():
    return keras.Sequential([keras.Input((80, 80, 3)), keras.layers.Rescaling(1 / 127.5, -1), base()])


def behind_preprocess_input():
    start = keras.Input((80, 80, 3))
    return keras.Model(start, base()(keras.applications.mobilenet_v2.preprocess_input(start)))


def with_its_own_head():
    return keras.Sequential([keras.Input((80, 80, 3)), base(), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)])


def with_augmentation():
    flip = keras.layers.RandomFlip("horizontal")
    return keras.Sequential([keras.Input((80, 80, 3)), flip, keras.layers.Rescaling(1 / 255), conv(4, "conv")])


def behind_normalization():
    norm = keras.layers.Normalization(mean=[120.0, 110.0, 100.0], variance=[3000.0, 3000.0, 3000.0])
    return keras.Sequential([keras.Input((80, 80, 3)), norm, conv(4, "conv")])


def named_like_vgg():
    return keras.Sequential([keras.Input((80, 80, 3)), *(conv(8, f"block{n}_conv{m}") for n in range(1, 6) for m in (1, 2, 3))])


def begins_with(*steps):
    def build():
        x = start = keras.Input((80, 80, 3))
        for step in steps:
            x = step(x)
        return keras.Model(start, conv(4, "conv")(x))

    return build


def normalised(low, high):
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).uniform(low, high, (4, 16, 16, 3)).astype(np.float32))
    return layer


def numbers_beside_it():
    """Numbers that are normalised, and go through more layers than the picture does."""
    start, ages = keras.Input((80, 80, 3), name="picture"), keras.Input((4,), name="ages")
    norm = keras.layers.Normalization(mean=40.0, variance=100.0)
    x = keras.layers.Dense(4)(keras.layers.Dense(4)(keras.layers.Dense(4)(norm(ages))))
    return keras.Model([start, ages], keras.layers.Add()([keras.layers.GlobalAveragePooling2D()(conv(4, "conv")(start)), x]))


RESCALING = keras.layers.Rescaling


@pytest.mark.parametrize(
    ("build", "scaled", "origin"),
    [
        (begins_with(lambda x: x * 2 - 1), lambda x: x / 255, "own arithmetic"),
        (begins_with(lambda x: x - 0.5), lambda x: x / 255, "own arithmetic"),
        (begins_with(lambda x: (x - 0.45) / 0.225), lambda x: x / 255, "own arithmetic"),
        (begins_with(lambda x: (x + 1) / 2), lambda x: x / 127.5 - 1, "own arithmetic"),
        (begins_with(lambda x: x / 255), lambda x: x, "own arithmetic"),
        (begins_with(lambda x: x - 110), lambda x: x, "own arithmetic"),
        (begins_with(lambda x: x[:, 1:-1, 1:-1]), lambda x: x / 255, "assumed"),
        (begins_with(RESCALING(2.0, -1.0)), lambda x: x / 255, "own Rescaling"),
        (begins_with(RESCALING(0.5, 0.5)), lambda x: x / 127.5 - 1, "own Rescaling"),
        (begins_with(normalised(0, 255)), lambda x: x, "own Normalization"),
        (begins_with(normalised(0, 1)), lambda x: x / 255, "own Normalization"),
        (begins_with(normalised(-1, 1)), lambda x: x / 127.5 - 1, "own Normalization"),
        (begins_with(normalised(-2, 2)), lambda x: x / 255, "assumed"),
        (numbers_beside_it, lambda x: x / 255, "assumed"),
        (behind_rescaling, lambda x: x, "own Rescaling"),
        (behind_preprocess_input, lambda x: x, "own arithmetic"),
        (with_its_own_head, lambda x: x / 127.5 - 1, "mobilenet_v2"),
        (with_augmentation, lambda x: x, "own Rescaling"),
        (behind_normalization, lambda x: x, "own Normalization"),
        (named_like_vgg, lambda x: x / 255, "assumed"),
    ],
    ids=lambda value: getattr(value, "__name__", value) if callable(value) else value,
)
def test_what_stands_before_or_around_a_family(build, scaled, origin):
    net = convscope.open(build())
    assert origin in net.preprocess.origin
    np.testing.assert_allclose(received(net), scaled(PIXELS.astype(np.float32).transpose(2, 0, 1)), atol=1e-5)
