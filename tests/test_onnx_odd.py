"""ONNX networks that are odd in themselves: functions, random numbers, whole numbers between the layers, names of all kinds."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from zoo_onnx import NETWORKS, Writer, pictures, rename

import convscope
from convscope.core import Edit, Tap
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_rows import listed
from convscope.errors import EngineError, InputError, Unsupported, WrongPictureShape
from convscope.methods.ablation import ablate_units
from convscope.methods.receptive import derived, measured, sizes_of
from convscope.methods.silent import silent
from convscope.scan.several import listing_for

# Functions of the file's own


def block(w: Writer, x: str, name: str, *, written_out: bool) -> str:
    kernel, slope = w.weight(f"{name}.kernel", 3, 3, 3, 3), 0.1 * (1 + int(name[-1]))
    if not written_out:
        return w.node("Block", [x, kernel], name, domain="own", slope=slope)
    x = w.node("Conv", [x, kernel], f"{name}.conv", pads=[1] * 4)
    x = w.node("Add", [x, w.constant(f"{name}.half", np.full((3, 1, 1), 0.5, np.float32))], f"{name}.plus")
    return w.node("LeakyRelu", [x], f"{name}.leaky", alpha=slope)


def of_blocks(*, written_out: bool) -> onnx.ModelProto:
    """Two blocks, each a function with an attribute that calls another function."""
    w = Writer()
    x = block(w, block(w, "picture", "block0", written_out=written_out), "block1", written_out=written_out)
    model = w.model(["n", 3, 12, 12], w.head(x, 3), domains=["own"])
    leaky = helper.make_node("LeakyRelu", ["sum"], ["y"], "leaky")
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    half = numpy_helper.from_array(np.full((3, 1, 1), 0.5, np.float32))
    body = [
        helper.make_node("Turn", ["x", "k"], ["c"], "turn", domain="own"),
        helper.make_node("Constant", [], ["half"], value=half),
        helper.make_node("Add", ["c", "half"], ["sum"], "plus"),
        leaky,
    ]
    conv = helper.make_node("Conv", ["x", "k"], ["y"], "conv", pads=[1] * 4)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    for name, nodes, attributes in (("Block", body, ["slope"]), ("Turn", [conv], [])):
        model.functions.append(helper.make_function("own", name, ["x", "k"], ["y"], nodes, opsets, attributes))
    return model


def test_functions_of_the_file_are_written_out():
    """So that the convolutions in them are rows: files of torch's exporter used to have one for each module."""
    engine, plain = OnnxEngine(of_blocks(written_out=False)), OnnxEngine(of_blocks(written_out=True))
    batch = pictures(of_blocks(written_out=True))
    rows = list(zip(engine.graph.names, plain.graph.names, strict=True))
    found, expected = engine.run(batch, engine.graph.names), plain.run(batch, plain.graph.names)
    for name, twin in rows:
        np.testing.assert_allclose(found[name], expected[twin], rtol=1e-6, atol=1e-6, err_msg=name)
        assert engine.graph[name].native == plain.graph[twin].native
        assert engine.graph[name].kernel == plain.graph[twin].kernel
        for role, values in plain.weights(twin).items():
            np.testing.assert_array_equal(engine.weights(name)[role], values)


# What lies between the layers


def of_a_scalar():
    """Multiplied by the sum of all values: each place depends on all."""
    w = Writer()
    x = w.conv("picture", "conv1", 4, 3, 3, 3)
    x = w.node("Mul", [x, w.node("ReduceSum", [x], "all", keepdims=0)], "odd")
    return w.model(["n", 3, 12, 12], w.head(x, 4))


def of_whole_numbers():
    """A convolution of bytes, whose whole numbers have no row: the Cast after it has a window of 3 x 3 more."""
    w = Writer()
    w.constant("step", np.float32(0.01))
    w.constant("zero", np.uint8(128))
    w.constant("kernel", np.random.default_rng(0).integers(-100, 100, (4, 3, 3, 3)).astype(np.int8))
    x = w.node("QuantizeLinear", ["picture", "step", "zero"], "bytes")
    x = w.node("ConvInteger", [x, "kernel", "zero"], "conv1", pads=[1] * 4)
    x = w.node("Cast", [x], "odd", to=TensorProto.FLOAT)
    return w.model(["n", 3, 12, 12], w.head(x, 4))


def by_range(batch="n"):
    """As ONNX Runtime's dynamic quantisation writes it: bytes by the range of all that passes at once."""
    w = Writer()
    for name, value in (("zero", np.uint8(120)), ("step", np.float32(0.02))):
        w.constant(name, value)
    w.constant("kernel", np.random.default_rng(0).integers(0, 255, (4, 3, 3, 3)).astype(np.uint8))
    w.nodes.append(helper.make_node("DynamicQuantizeLinear", ["picture"], ["bytes", "range", "shift"], "bytes"))
    x = w.node("Cast", [w.node("ConvInteger", ["bytes", "kernel", "shift", "zero"], "conv1")], "cast", to=TensorProto.FLOAT)
    x = w.node("Mul", [x, w.node("Mul", ["range", "step"], "steps")], "real")
    return w.model([batch, 3, 12, 12], w.head(w.node("Relu", [x], "relu"), 4), opset=19, ir=9)


def test_a_picture_is_not_rounded_by_the_range_of_those_beside_it():
    engine, one = OnnxEngine(by_range()), np.random.default_rng(0).normal(size=(1, 3, 12, 12)).astype(np.float32)
    expected = ReferenceEvaluator(by_range()).run(None, {"picture": one})[0]
    np.testing.assert_allclose(engine.run(np.concatenate([one, 9 * one]))["output"][:1], expected, atol=1e-5)
    notes = convscope.open(by_range()).info.notes
    assert notes[0].startswith("Rounding in 'bytes' is by the range of all that passes at once")
    assert len(set(notes)) == len(notes)  # each was said twice
    assert not engine.graph.mixed
    assert listed(["a", "b", "c", "d", "e", "f"]) == "a, b, c, d and 2 more"
    fixed = OnnxEngine(by_range(2))
    assert fixed.graph.mixed
    assert any("depends on those beside it, of which 'bytes' (DynamicQuantizeLinear)" in note for note in fixed.notes)


def test_sums_of_whole_numbers_are_read_as_what_they_stand_for():
    """And so are the kernels: with the bytes as they are read, they give the sums. No step that follows says it: no row."""
    net = convscope.open(by_range())
    run = net.engine.run(pictures(by_range())[:1], ["bytes", "conv1", "real"])
    seen = np.lib.stride_tricks.sliding_window_view(run["bytes"], (3, 3), (2, 3))
    expected = np.einsum("ncyxab,ocab->noyx", seen, net.filters("conv1").values)
    np.testing.assert_allclose(run["conv1"], expected, atol=1e-4)
    np.testing.assert_array_equal(run["conv1"], run["real"])
    assert (net.graph["conv1"].kind, net.graph["conv1"].parameters) == ("convolution", 108)
    with pytest.raises(Unsupported, match="'conv1' are quantised"):
        net.with_filters("conv1", np.ones((1, 3, 3)))
    assert "1 convolution of whole numbers ('conv1') can be read only" in OnnxEngine(of_whole_numbers()).notes[0]


def in_training():
    w = Writer()
    x = w.conv("picture", "conv1", 4, 3, 3, 3)
    given = [x, *(w.weight(name, 4) for name in ("scale", "shift", "mean")), w.constant("var", np.ones(4, np.float32))]
    w.nodes.append(helper.make_node("BatchNormalization", given, ["odd:out", "m", "v"], "odd", training_mode=1))
    return w.model(["n", 3, 12, 12], w.head("odd:out", 4))


@pytest.mark.parametrize("build", [of_a_scalar, of_whole_numbers, in_training])
def test_a_receptive_field_is_not_derived_through_what_has_no_row(build):
    engine = OnnxEngine(build())
    with pytest.raises(Unsupported, match="'odd'"):
        derived(engine.graph, "odd", (6, 6), sizes_of(engine.graph))
    field = measured(engine, "odd", (6, 6), (3, 12, 12), "")
    assert min(stop - start for start, stop in zip(field.start, field.stop, strict=True)) >= 3


MIXING = {
    "a softmax over pictures": ("Softmax", {"axis": 0}, True),
    "a softmax over channels": ("Softmax", {"axis": 1}, False),
    "a softmax over pictures from behind": ("Softmax", {"axis": -4}, True),
    "one mean and deviation": ("MeanVarianceNormalization", {}, True),
    "of each map": ("MeanVarianceNormalization", {"axes": [2, 3]}, False),
    "the mean picture": ("ReduceMean", {"axes": [0]}, True),
    "the greatest of all": ("ReduceMax", {}, True),
    "the greatest of each map": ("ReduceMax", {"axes": [-1, 2]}, False),
}


@pytest.mark.parametrize("kind", MIXING)
def test_that_pictures_change_each_other_is_said(kind):
    operator, options, mixed = MIXING[kind]
    w = Writer()
    x = w.conv("picture", "conv1", 4, 3, 3, 3)
    engine = OnnxEngine(w.model(["n", 3, 12, 12], w.head(w.node("Sub", [x, w.node(operator, [x], "odd", **options)], "less"), 4)))
    assert engine.graph.mixed == mixed == any("depends on those beside it" in note for note in engine.notes)


def test_an_operator_that_a_later_opset_took_back_is_computed_all_the_same():
    """GroupNormalization of opset 18, by whose name onnx alone stumbles."""
    w = Writer()
    given = [w.conv("picture", "conv1", 4, 3, 3, 3), w.weight("scale", 2), w.weight("shift", 2)]
    model = w.model(["n", 3, 12, 12], w.head(w.node("GroupNormalization", given, "norm", num_groups=2), 4), opset=18)
    assert OnnxEngine(model).run(pictures(model), ["norm"])["norm"].shape == (2, 4, 12, 12)


def test_what_a_network_in_training_does_is_said():
    engine = OnnxEngine(in_training())
    assert any("depends on those beside it, of which 'odd' (BatchNormalization)" in note for note in engine.notes)
    one = pictures(in_training())[:1]
    without = ablate_units(engine, one, "conv1")[0]
    alone = [engine.run(one, edits=[Edit("conv1", 1 - np.eye(4, dtype=np.float32)[unit, :, None, None])]) for unit in range(4)]
    np.testing.assert_allclose(without, np.concatenate([run["output"] for run in alone]), rtol=1e-5)
    w = Writer()
    x = w.node("Dropout", [w.conv("picture", "conv1", 4, 3, 3, 3), w.constant("half", np.float32(0.5)), "on"], "dropout")
    x = w.node("Add", [x, w.node("RandomNormalLike", [x], "noise")], "noisy")
    for on in (True, False):
        w.weights = [each for each in w.weights if each.name != "on"]
        w.constant("on", np.bool_(on))
        notes = " ".join(OnnxEngine(w.model(["n", 3, 6, 6], x, ranks=(4,))).notes)
        assert ("'dropout' (Dropout)" in notes, "'noise' (RandomNormalLike)" in notes) == (on, True)
    assert not any("random" in note for note in OnnxEngine(NETWORKS["batch_norm_and_dropout"]()).notes)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (6,), (1, 6)])
def test_the_bias_of_a_dense_layer_is_that_which_acts(shape):
    w = Writer()
    bias = w.constant("bias", np.random.default_rng(1).normal(size=shape).astype(np.float32))
    x = w.node("Gemm", [w.node("Flatten", ["picture"], "flat"), w.weight("kernel", 48, 6), bias], "dense", alpha=0.5, beta=3.0)
    engine = OnnxEngine(w.model(["n", 3, 4, 4], x))
    weights, run = engine.weights("dense"), engine.run(np.ones((2, 3, 4, 4), np.float32), ["flat", "dense"])
    assert weights["bias"].shape == (6,)
    np.testing.assert_allclose(run["flat"] @ weights["kernel"].T + weights["bias"], run["dense"], atol=1e-5)


def test_a_bias_of_each_picture_of_a_fixed_batch_is_none_of_units():
    w = Writer()
    x = w.node("Gemm", [w.node("Flatten", ["picture"], "flat"), w.weight("kernel", 48, 6), w.weight("each", 2, 6)], "dense")
    assert OnnxEngine(w.model([2, 3, 4, 4], x)).weights("dense")["C"].shape == (2, 6)


def test_a_filter_whose_output_is_added_to_before_its_relu_is_not_said_to_be_silent():
    """As ONNX Runtime writes a convolution, an addition and a ReLU into an optimised file."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 2, 3, 1, 1)], "relu1")
    negative = [w.constant("kernel", -np.ones((2, 2, 1, 1), np.float32)), w.constant("bias", -np.ones(2, np.float32))]
    for inputs, activation, expected in (([], "relu", (0, 1)), (["sum"], "relu of a sum", None)):
        w.nodes, w.weights = w.nodes[:2], [each for each in w.weights if each.name != "sum"]
        w.constant("sum", np.full((1, 2, 4, 4), 9, np.float32))
        fused = w.node("FusedConv", [x, *negative, *inputs], "conv2", domain="com.microsoft", activation="Relu")
        engine = OnnxEngine(w.model([1, 3, 4, 4], fused, ranks=(4,), domains=["com.microsoft"]))
        assert engine.graph["conv2"].activation == activation
        assert silent(engine, "conv2") == expected
        assert engine.run(np.ones((1, 3, 4, 4), np.float32))["output"].any() == (expected is None)


def of_channels_last(operator, *, last=True, **attributes):
    """Its size is stated, since ONNX does not know these operators."""
    w = Writer()
    x = w.node("Transpose", ["picture"], "to_last", perm=[0, 2, 3, 1]) if last else "picture"
    inputs = [x, w.weight("kernel", 4, 3, 3, 5), w.weight("bias", 4)]
    shape = {"pads": [1, 2, 1, 2], "strides": [2, 1], "kernel_shape": [3, 5]}
    x = w.node(operator, inputs, "conv1", domain="com.microsoft", **shape, **attributes)
    x = w.node("Transpose", [x], "to_first", perm=[0, 3, 1, 2]) if last else w.node("Abs", [x], "abs")
    model = w.model([1, 3, 8, 8], x, ranks=(4,), domains=["com.microsoft"])
    size = [1, 4, 8, 4] if last else [1, 4, 4, 8]
    model.graph.value_info.append(helper.make_tensor_value_info("conv1:out", TensorProto.FLOAT, size))
    return model


@pytest.mark.parametrize("operator", ["NhwcConv", "NhwcFusedConv"])
def test_convolutions_of_channels_last_are_convolutions_with_the_filters_of_the_file(operator, monkeypatch):
    """As their schemas have it, filters lie as in Conv. ONNX Runtime can run them on some processors only: here none is run."""
    monkeypatch.setattr("convscope.engines.onnx_sessions.Sessions.check", lambda _: None)
    monkeypatch.setattr("convscope.engines.onnx.learn", lambda _: True)
    fused = {"activation": "Relu"} if "Fused" in operator else {}
    engine, twin = OnnxEngine(of_channels_last(operator, **fused)), OnnxEngine(of_channels_last("FusedConv", last=False, **fused))
    row, same = engine.graph["conv1"], twin.graph["conv1"]
    assert (row.native, row.shape, row.native_shape) == (operator, (4, 4, 8), (1, 4, 8, 4))
    assert (row.kind, row.kernel, row.window, row.shape) == (same.kind, same.kernel, same.window, same.shape)
    assert row.activation == (same.activation if fused else None)
    for role, values in twin.weights("conv1").items():
        np.testing.assert_array_equal(engine.weights("conv1")[role], values)


# Weights of which only what is not zero is in the file


def with_sparse_filters(how):
    """The same network with them, and without."""
    plain = NETWORKS["residual"]()
    kernel = next(each for each in plain.graph.initializer if each.name == "conv2.weight")
    values = numpy_helper.to_array(kernel).copy()
    values[np.random.default_rng(0).random(values.shape) < 0.8] = 0
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    places = np.argwhere(values)
    if how != "by axes":
        places = np.ravel_multi_index(tuple(places.T), values.shape)
    given = (numpy_helper.from_array(each, name) for each, name in ((values[values != 0], kernel.name), (places, "places")))
    tensor, sparse = helper.make_sparse_tensor(*given, values.shape), onnx.ModelProto()
    sparse.CopyFrom(plain)
    sparse.graph.initializer.remove(kernel)
    if how == "of a node":
        sparse.graph.node.insert(0, helper.make_node("Constant", [], [kernel.name], sparse_value=tensor))
    else:
        sparse.graph.sparse_initializer.append(tensor)
    return sparse, plain


@pytest.mark.parametrize("how", ["by axes", "by one number", "of a node"])
def test_sparse_filters_are_filters(how):
    sparse, plain = with_sparse_filters(how)
    engine, twin, batch = OnnxEngine(sparse), OnnxEngine(plain), pictures(plain)
    assert engine.graph == twin.graph
    for name in twin.graph.names:
        for role, values in twin.weights(name).items():
            np.testing.assert_array_equal(engine.weights(name)[role], values)
    found, expected = engine.run(batch, engine.graph.names), twin.run(batch, twin.graph.names)
    for name in twin.graph.names:
        np.testing.assert_array_equal(found[name], expected[name])


def test_sparse_filters_whose_places_are_elsewhere_are_damaged():
    sparse, _ = with_sparse_filters("by one number")
    places = numpy_helper.to_array(sparse.graph.sparse_initializer[0].indices).copy()
    for wrong in (-1, 10_000):
        places[-1] = wrong
        sparse.graph.sparse_initializer[0].indices.CopyFrom(numpy_helper.from_array(places, "places"))
        with pytest.raises(EngineError, match=r"'conv2.weight' are not in \(8, 8, 3, 3\).*damaged"):
            OnnxEngine(sparse)


def test_a_batch_that_the_file_fixes_is_said():
    w = Writer()
    engine = OnnxEngine(w.model([8, 3, 4, 4], w.head(w.conv("picture", "conv1", 4, 3, 3, 3), 4)))
    with pytest.raises(WrongPictureShape, match="It takes 8 at once: give a multiple of 8 pictures"):
        engine.run(np.ones((3, 3, 4, 4), np.float32))


# Names

NASTY = (
    *(
        "a/b",
        "a:b",
        "../../x",
        "new\nline",
        "\u00fcn\u00ef",
        "x" * 300,
        "con*v",
        "[1]",
        "blocks",
        "output:1",
        "input",
        "",
        "a, b",
    ),
    *(".", "..", "a\\b", "<b>x</b>"),
)


@pytest.mark.parametrize("of_nodes", [True, False])
def test_a_row_of_any_name_is_found_and_written(of_nodes, tmp_path):
    w, x = Writer(), "picture"
    for number in range(len(NASTY)):
        x = w.conv(x, f"conv{number}", 3, 3, 1, 1)
    model = w.model(["n", 3, 4, 4], x, ranks=(4,))
    for node, name in zip(model.graph.node, NASTY, strict=True):
        node.name = name if of_nodes else ""
    if not of_nodes:
        model = rename(model, {node.output[0]: name or "?" for node, name in zip(model.graph.node, NASTY, strict=True)})
    net, batch = convscope.open(model), pictures(model, side=4)
    assert len(set(net.graph.names)) == len(NASTY) + 1
    whole = net.engine.run(batch, net.graph.names)
    for name in net.graph.names:
        asked = net.graph[name].index if name == "blocks" else name  # a word of ours, which stands for several rows
        np.testing.assert_array_equal(net.maps(batch, at=[asked])[name].values, whole[name])
    net.maps(batch, at="all").save(tmp_path / "deep" / "study")
    assert {path.name for path in tmp_path.iterdir()} == {"deep"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"study"}


def test_names_of_ours_are_none_of_the_files():
    """The file has tensors called "t/scale" and "t/held" beside "t"."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    x = w.node("Mul", [x, w.constant("t/scale", np.full((4, 1, 1), 2, np.float32))], "doubled")
    x = w.node("Add", [x, w.constant("t/shift", np.full((4, 1, 1), 1, np.float32))], "raised")
    model = rename(
        w.model(["n", 3, 12, 12], w.head(x, 4)), {"conv1:out": "t", "doubled:out": "t/unedited", "raised:out": "t/held"}
    )
    engine, batch = OnnxEngine(model), pictures(model)
    plain, expected = engine.run(batch, ["conv1"])["conv1"], lambda conv: np.maximum(conv, 0) * 2 + 1
    edits = [Edit("conv1", 0.5, 0.25)]
    np.testing.assert_allclose(engine.run(batch, ["raised"], edits)["raised"], expected(plain * 0.5 + 0.25), atol=1e-6)
    held = engine.hold(batch, "conv1").run(["raised", Tap("raised", "max")], edits)
    np.testing.assert_allclose(held["raised"], expected(plain * 0.5 + 0.25), atol=1e-6)
    np.testing.assert_array_equal(held[Tap("raised", "max")], held["raised"].max((2, 3)))


def test_names_of_inputs_that_can_be_read_in_two_ways_are_refused(tmp_path):
    """The file's `input:1` is its first input, and `input`, by place, is that too: the arrays were swapped."""
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 1, 4, 4)) for name in ("input:1", "input")]
    output = helper.make_tensor_value_info("less", TensorProto.FLOAT, ("n", 1, 4, 4))
    graph = helper.make_graph([helper.make_node("Sub", ["input:1", "input"], ["less"], "less")], "two", inputs, [output])
    net = convscope.open(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    first, second = np.ones((1, 1, 4, 4), np.float32), np.zeros((1, 1, 4, 4), np.float32)
    assert (net.maps({"input:1#2": first, "input#1": second}, "less")["less"].values == 1).all()
    (tmp_path / "both.csv").write_text("input,input:1\na.png,b.png\n", encoding="utf-8")
    own = {"input:1": first, "input": second}
    for given in (own, [own], tmp_path / "both.csv"):
        with pytest.raises(InputError, match="two ways: .*{'input:1#2': ..., 'input#1': ...}"):
            listing_for(given, net.graph).item(0).read()
    with pytest.raises(InputError, match="two ways"):
        net.maps(own, "less")


def test_what_a_quantised_dense_layer_computes_with_and_that_it_is_not_replaced():
    """By rounding, 0.5 became nothing."""
    w, random = Writer(), np.random.default_rng(0)
    w.constant("step", np.float32(0.05))
    w.constant("zero", np.uint8(120))
    w.constant("kernel", random.integers(-100, 100, (48, 5)).astype(np.int8))
    w.constant("steps", random.uniform(0.01, 0.03, 5).astype(np.float32))
    w.constant("zeros", np.zeros(5, np.int8))
    x = w.node("QuantizeLinear", [w.node("Flatten", ["picture"], "flat"), "step", "zero"], "bytes")
    x = w.node("QLinearMatMul", [x, "step", "zero", "kernel", "steps", "zeros", "step", "zero"], "dense")
    net = convscope.open(w.model(["n", 3, 4, 4], w.node("DequantizeLinear", [x, "step", "zero"], "real")))
    run = net.engine.run(random.normal(size=(2, 3, 4, 4)).astype(np.float32) / 9, ["bytes", "dense"])
    expected = run["bytes"] @ net.filters("dense").values.T
    assert net.graph["dense"].kind == "dense"
    np.testing.assert_allclose(run["dense"], expected, atol=0.026)  # half a step
    with pytest.raises(Unsupported, match="The weights of 'dense' are quantised"):
        net.engine.with_weights({"dense": {"kernel": np.full((5, 48), 0.5, np.float32)}})
