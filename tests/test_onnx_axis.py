"""Which arrays of an ONNX network have an entry for each picture: only these are rows, and only these are read."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from zoo_onnx import NETWORKS, Writer, chain, pictures

from convscope.conformance import check_engine
from convscope.core import Edit, Tap, reduced
from convscope.engines import onnx_sessions
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_learning import learn, open_questions
from convscope.engines.onnx_pictures import turned
from convscope.errors import EngineError, Unsupported


def pictures_moved(*, mixed=True):
    """The first axis is made another one and back, by Unsqueeze, Concat, Split, Transpose, ReduceMean and Reshape."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    x = w.node("Unsqueeze", [x, w.constant("first", np.array([0]))], "in_front")
    x = w.node("Squeeze", [x, "first"], "taken_off")
    w.node("Split", [w.node("Concat", [x, x], "twice", axis=0)], "halves", outputs=2, axis=0)
    x = w.node("Tanh", [w.node("Transpose", ["halves:out0"], "channels_in_front", perm=[1, 0, 2, 3])], "tanh")
    x = w.node("Transpose", [x], "turned_back", perm=[1, 0, 2, 3])
    mean = w.node("ReduceMean", [x], "over_pictures", axes=[0], keepdims=1)
    x = w.node("Sub", [x, mean if mixed else w.weight("level", 4, 1, 1)], "without_mean")
    x = w.node("Reshape", [x, w.constant("maps", np.array([-1, 1, 12, 12]))], "maps_in_front")
    x = w.node("Reshape", [w.node("Sigmoid", [x], "sigmoid"), w.constant("whole", np.array([-1, 4, 12, 12]))], "whole_again")
    return w.model(["n", 3, 12, 12], w.head(x, 4))


ROWS = ("picture", "conv1", "relu1", "taken_off", "halves", "turned_back", "without_mean", "whole_again", "mean", "flatten")


def with_batch(model, number):
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = number
    return model


@pytest.mark.parametrize("batch", [None, 8])
def test_only_arrays_of_pictures_are_rows(batch):
    model = pictures_moved() if batch is None else with_batch(pictures_moved(), batch)
    engine, given = OnnxEngine(model), pictures(model, n=8)
    assert engine.graph.names == (*ROWS, "classes")
    run = engine.run(given, engine.graph.names)
    np.testing.assert_array_equal(run["halves"], run["relu1"])
    np.testing.assert_allclose(run["turned_back"], np.tanh(run["relu1"]), atol=1e-6)
    assert {len(value) for value in run.values()} == {8}


def test_the_laws_hold_where_the_first_axis_is_moved(monkeypatch):
    monkeypatch.setattr(onnx_sessions, "KEPT", 100)
    model = pictures_moved(mixed=False)  # a batch is its pictures one by one
    check_engine(OnnxEngine(model), pictures(model, n=3))


def test_of_one_picture_at_a_time_all_that_has_a_first_axis_of_one_is_its_own():
    model = with_batch(pictures_moved(), 1)
    engine = OnnxEngine(model)
    assert set(engine.graph.names) - {*ROWS, "classes"} == {"in_front", "over_pictures"}
    run = engine.run(pictures(model, n=3), engine.graph.names)
    np.testing.assert_array_equal(run["in_front"][:, 0], run["relu1"])
    np.testing.assert_array_equal(run["over_pictures"], run["turned_back"])


@pytest.mark.parametrize("channels", [3, 7, 8, 11])
def test_as_many_channels_as_there_are_pictures_are_not_taken_for_them(channels):
    w = Writer()
    x = w.node("Transpose", [w.conv("picture", "conv1", channels, 3, 3, 3)], "channels_in_front", perm=[1, 0, 2, 3])
    x = w.node("Transpose", [w.node("Relu", [x], "relu1")], "back", perm=[1, 0, 2, 3])
    model = w.model(["n", 3, 6, 6], x, ranks=(4,))
    for each in (model, with_batch(w.model(["n", 3, 6, 6], x, ranks=(4,)), channels)):
        assert OnnxEngine(each).graph.names == ("picture", "conv1", "back")


def reshaped(to, batch):
    """A Flatten that was written as a Reshape to sizes of numbers, as exporters do that trace one run."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    x = w.node("Reshape", [w.node("GlobalAveragePool", [x], "mean"), w.constant("to", np.array(to))], "flat")
    return w.model([batch, 3, 6, 6], w.dense(x, "classes", 4, 5))


@pytest.mark.parametrize(
    ("to", "batch"), [([1, 4], 1), ([1, -1], 1), ([4, 4], 4), ([4, -1], 4), ([1, 4], "n"), ([1, -1], "n"), ([-1, 4], "n")]
)
def test_sizes_that_were_written_for_so_many_pictures(to, batch):
    engine, given = OnnxEngine(reshaped(to, batch)), pictures(reshaped([0, -1], "n"), n=4, side=6)
    expected = OnnxEngine(reshaped([0, -1], "n"))
    assert engine.graph.names == expected.graph.names
    found, wanted = (each.run(given, [*expected.graph.names, "output"]) for each in (engine, expected))
    for tap in wanted:
        np.testing.assert_allclose(found[tap], wanted[tap], rtol=1e-5, atol=1e-6, err_msg=tap.layer)
    assert any("one at a time" in note for note in engine.notes) == (batch == "n" and to[0] == 1)


def with_a_foreign_operator(batch):
    """Whose shape only ONNX Runtime knows, so that what comes after it is found by running."""
    w = Writer()
    x = w.node("Gelu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "gelu", domain="com.microsoft")
    x = w.node("Transpose", [x], "channels_in_front", perm=[1, 0, 2, 3])
    x = w.node("Transpose", [w.node("Relu", [x], "relu1")], "back", perm=[1, 0, 2, 3])
    model = w.model([batch, 3, 6, 6], w.head(x, 4), domains=["com.microsoft"])
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_what_inference_leaves_open_is_found_by_running(batch):
    engine = OnnxEngine(with_a_foreign_operator(batch))
    assert engine.graph.names == ("picture", "conv1", "gelu", "back", "mean", "flatten", "classes")
    assert [row.shape for row in engine.graph][1:4] == [(4, 6, 6)] * 3
    assert not open_questions(engine)
    assert learn(engine)


def test_another_output_of_a_node_is_no_row_in_place_of_one_of_no_pictures():
    """Nothing reads either half: four channels stand before four pictures in both."""
    w = Writer()
    x = w.node("Concat", ["picture", "picture"], "twice", axis=3)
    turned_over = w.node("Transpose", [x], "turned_over", perm=[1, 2, 3, 0])
    w.node("Split", [turned_over], "halves", outputs=2, axis=1)
    engine = OnnxEngine(w.model([4, 4, 6, 6], w.node("Relu", [x], "relu1"), ranks=(4,)))
    assert engine.graph.names == ("picture", "twice", "relu1")


def test_pictures_that_change_places_tell_an_axis_of_theirs():
    values = np.random.default_rng(0).normal(size=(4, 4, 3))
    assert turned(values, np.roll(values, -1, 0))
    assert not turned(values, np.roll(values, -1, 1))
    assert not turned(values, values)
    assert turned(np.full((3, 2), np.nan), np.full((3, 2), np.nan))


# Outputs


def outputs_of_all_kinds():
    w = Writer()
    x = w.head(w.conv("picture", "conv1", 4, 3, 3, 3), 4)
    w.weight("anchors", 2, 5)
    w.nodes.append(helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.ones((2, 5), np.float32))))
    turned_over = w.node("Transpose", [x], "turned_over", perm=[1, 0])
    best = w.node("ArgMax", [x], "best", axis=1)
    parts = w.node("SplitToSequence", [x], "parts", axis=1)
    words = w.node("Gather", [w.constant("names", np.array(list("abcde"), object)), best], "words")
    model = w.model(["n", 3, 6, 6], x, "anchors", "one", turned_over, x, ranks=(2,) * 5)
    model.graph.output.append(helper.make_tensor_value_info(best, TensorProto.INT64, None))
    model.graph.output.append(helper.make_tensor_sequence_value_info(parts, TensorProto.FLOAT, None))
    model.graph.output.append(helper.make_tensor_value_info(words, TensorProto.STRING, None))
    return model


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("output:1", "does not depend on the pictures"),
        ("output:2", "does not depend on the pictures"),
        ("output:3", "another first axis"),
        ("output:6", "a sequence, a map or an optional value"),
        ("output:7", "values of type string"),
    ],
)
def test_an_output_that_holds_nothing_for_each_picture_is_refused(output, says):
    engine, batch = OnnxEngine(outputs_of_all_kinds()), pictures(outputs_of_all_kinds(), n=5, side=6)
    for call in (lambda: engine.run(batch, [output]), lambda: engine.run(batch, [], [Edit(output, 0.5)])):
        with pytest.raises(Unsupported, match=f"'{output}'.*{says}"):
            call()


def test_the_other_outputs_are_read():
    engine, batch = OnnxEngine(outputs_of_all_kinds()), pictures(outputs_of_all_kinds(), n=5, side=6)
    run = engine.run(batch, ["classes", "output", "output:4", "output:5"])
    np.testing.assert_array_equal(run["output"], run["classes"])
    np.testing.assert_array_equal(run["output:4"], run["classes"])
    np.testing.assert_array_equal(run["output:5"].ravel(), run["classes"].argmax(1))


def test_an_edit_of_an_output_changes_what_comes_out_and_no_layer():
    """As in every engine. This one is taken in the middle of the network, and flows on."""
    engine, batch = OnnxEngine(NETWORKS["two_outputs"]()), pictures(NETWORKS["two_outputs"]())
    taps, edits = [*engine.graph.names, "output", "output:1"], [Edit("output:1", 0.5), Edit("output:1", 1.0, 3.0)]
    plain, found = engine.run(batch, taps), engine.run(batch, taps, edits)
    for tap in taps:
        np.testing.assert_array_equal(found[tap], 0.5 * plain[tap] + 3 if tap == "output:1" else plain[tap], err_msg=tap)


@pytest.mark.parametrize("layer", ["picture", "conv1", "relu1", "conv2", "relu2", "classes"])
def test_an_edit_of_an_output_is_made_wherever_the_run_was_held(layer):
    engine, batch = OnnxEngine(NETWORKS["two_outputs"]()), pictures(NETWORKS["two_outputs"]())
    first, then, taps = (
        [Edit("output:1", 2.0), Edit(layer, 0.5)],
        [Edit("output:1", 1.0, 0.25), Edit("output", -1.0)],
        ["output", "output:1"],
    )
    held, whole = engine.hold(batch, layer, first), engine.run(batch, taps, [*first, *then])
    for repeat in (1, 3):
        found = held.run(taps, then, repeat=repeat)
        for tap in taps:
            np.testing.assert_allclose(found[tap], whole[tap].repeat(repeat, 0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("reduce", ["mean", "max", "argmax", "active"])
def test_maps_without_a_position_have_no_number(reduce):
    w = Writer()
    x = w.conv("picture", "conv1", 4, 3, 3, 3)
    x = w.node("Slice", [x, *(w.constant(name, np.array([at])) for name, at in (("from", 5), ("to", 5), ("of", 2)))], "nothing")
    engine = OnnxEngine(w.model(["n", 3, 6, 6], w.node("ReduceSum", [x, w.constant("all", np.array([2, 3]))], "sum", keepdims=0)))
    assert engine.graph["nothing"].shape == (4, 0, 6)
    tap = Tap("nothing", reduce)
    np.testing.assert_array_equal(
        engine.run(np.zeros((2, 3, 6, 6), np.float32), [tap])[tap], np.full((2, 4), -1 if reduce == "argmax" else np.nan)
    )


@pytest.mark.parametrize("reduce", ["mean", "max", "argmax", "active"])
@pytest.mark.parametrize("shape", [(2, 0, 6, 6), (0, 3, 6, 6)])
def test_of_no_unit_there_are_no_numbers(shape, reduce):
    assert reduced(np.zeros(shape, np.float32), reduce).shape == shape[:2]


def test_a_network_that_gives_its_input():
    w = Writer()
    model = w.model(["n", 3, 6, 6], "picture", ranks=(4,))
    engine, batch = OnnxEngine(model), pictures(model, n=2)
    assert [row.shape for row in engine.graph] == [(3, 6, 6)]
    np.testing.assert_array_equal(engine.run(batch, [], [Edit("output", 2.0)])["output"], 2 * batch)


def test_a_picture_without_an_axis_of_pictures_is_refused():
    w = Writer()
    x = w.node("Unsqueeze", ["picture", w.constant("first", np.array([0]))], "in_front")
    with pytest.raises(Unsupported, match=r"'picture' of shape \(3, 6, 6\) seems to have no axis of pictures"):
        OnnxEngine(w.model([3, 6, 6], w.head(w.conv(x, "conv1", 4, 3, 3, 3), 4)))


def test_inputs_that_take_different_numbers_at_once_are_refused():
    w = Writer()
    model = w.model([8, 3, 6, 6], w.node("Mul", [w.conv("picture", "conv1", 4, 3, 3, 3), "gains"], "gained"), ranks=(4,))
    model.graph.input.append(helper.make_tensor_value_info("gains", TensorProto.FLOAT, [1, 4, 1, 1]))
    with pytest.raises(Unsupported, match="'picture' takes 8, 'gains' takes 1"):
        OnnxEngine(model)


@pytest.mark.parametrize(("said", "channels"), [(True, None), (False, None), (False, 4), (False, 1)])
def test_a_number_of_channels_that_is_not_said_is_not_taken_for_three(said, channels):
    """Shapes behind an operator that ONNX does not know are learnt from runs."""
    w = Writer()
    x = w.node(
        "Gelu", [w.conv("picture", "conv1", channels, channels, 3, 3) if channels else "picture"], "gelu", domain="com.microsoft"
    )
    x = w.node("MaxPool", [x], "pool", kernel_shape=[2, 2])
    model = w.model(["n", None if not said else 3, 6, 6], x, ranks=(4,), domains=["com.microsoft"])
    engine, given = OnnxEngine(model), np.zeros((2, channels or 3, 6, 6), np.float32)
    for row, side in zip(engine.graph.layers[-2:], (6, 5), strict=True):
        known = [(3, side, side)] if said else [None, (None, side, side), (channels, side, side)]
        assert row.shape in known
    assert engine.run(given, ["gelu"])["gelu"].shape == given.shape


def of_any_rank():
    """A dense layer takes arrays of two axes or more. Of an input whose shape the file does not say, nothing is known before."""
    w = Writer()
    x = w.node("Relu", [w.node("MatMul", ["picture", w.weight("kernel", 6, 6)], "dense")], "relu1")
    x = w.node("Transpose", [w.node("Tanh", [w.node("Transpose", [x], "turned")], "tanh")], "back")
    model = w.model(None, x, ranks=(2,))
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return model


@pytest.mark.parametrize("number", [2, 6])  # as many pictures as units are told apart
def test_an_array_of_no_pictures_is_not_shown_where_the_file_says_no_shape(number):
    engine, batch = OnnxEngine(of_any_rank()), np.random.default_rng(0).normal(size=(number, 6)).astype(np.float32)
    for row in ("turned", "tanh"):
        with pytest.raises(EngineError, match="no entry for each picture"):
            engine.run(batch, [row])
        with pytest.raises(EngineError, match="no entry for each picture"):
            engine.hold(batch, "dense").run([row])
    run = engine.run(batch, ["relu1", "back"])
    np.testing.assert_allclose(run["back"], np.tanh(run["relu1"]), atol=1e-6)


def test_how_many_axes_an_input_has_follows_from_the_graph():
    """So that rows without an entry for each picture, and channels that are last, are known where the file says no shape."""
    for model, stated in ((pictures_moved(), pictures_moved()), (NETWORKS["channels_last"](), NETWORKS["channels_last"]())):
        model.graph.input[0].type.tensor_type.ClearField("shape")
        engine, twin, batch = OnnxEngine(model), OnnxEngine(stated), pictures(stated)
        assert set(engine.graph.names) <= set(twin.graph.names)
        found, expected = (each.run(batch, engine.graph.names) for each in (engine, twin))
        for name in engine.graph.names:
            np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.parametrize("number", [2, 4])
def test_an_array_of_another_length_is_not_shown_where_sizes_are_not_stated(number):
    """Four pictures of four channels that change places look like four pictures."""
    w = Writer()
    x = w.node("Transpose", [w.conv("picture", "conv1", 4, 3, 3, 3)], "channels_in_front", perm=[1, 0, 2, 3])
    x = w.node("Transpose", [w.node("Relu", [x], "relu1")], "back", perm=[1, 0, 2, 3])
    engine = OnnxEngine(w.model(None, x, ranks=(4,)))
    assert engine.graph.names == ("picture", "conv1", "back")
    run = engine.run(np.random.default_rng(0).normal(size=(number, 3, 6, 6)).astype(np.float32), ["conv1", "back"])
    np.testing.assert_array_equal(run["back"], np.maximum(run["conv1"], 0))


def test_a_network_of_ordinary_layers_is_not_run_to_be_opened(monkeypatch):
    monkeypatch.setattr("convscope.engines.onnx.learn", None)
    assert OnnxEngine(chain()).graph["conv2"].shape == (16, 6, 6)


def test_a_window_that_lies_in_the_padding_only_is_not_counted():
    """ONNX' inference counts the last one of a pooling that rounds up, as ONNX Runtime does not."""
    w = Writer()
    x = w.node("AveragePool", ["picture"], "pool", kernel_shape=[2, 2], strides=[3, 3], pads=[0, 0, 1, 1], ceil_mode=1)
    model = w.model(["n", 3, 12, 12], w.conv(x, "conv1", 4, 3, 3, 3), ranks=(4,))
    engine = OnnxEngine(model)
    reductions = [Tap(name, reduce) for name in ("pool", "conv1") for reduce in ("mean", "max", "argmax", "active")]
    run = engine.run(pictures(model), ["pool", "conv1", *reductions])
    for name in ("pool", "conv1"):
        assert engine.graph[name].shape == run[name].shape[1:]
    for tap in reductions:
        np.testing.assert_allclose(run[tap], reduced(run[tap.layer], tap.reduce), rtol=1e-5, atol=1e-6, err_msg=str(tap))
