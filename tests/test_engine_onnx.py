"""The ONNX engine: the laws on every network of the zoo, ONNX's own evaluator as a second opinion, and files that are none."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from zoo_onnx import NETWORKS, Writer, chain, of_type, pictures, pixels, weight_norm

from convscope import open as open_network
from convscope.conformance import check_engine, holding, laws
from convscope.core import CONVOLUTIONS, Edit, Tap, reduced
from convscope.engines import onnx_graph, onnx_sessions
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_files import load
from convscope.errors import EngineError, InputError, NotAModel, Unsupported, WrongPictureShape

LACKS = {needs for needs, verb in {"Differentiable": "trace", "Local": "local"}.items() if not hasattr(OnnxEngine, verb)}
ASKED = [name for name, law in laws().items() if law.__annotations__["engine"] not in LACKS]
# What ONNX's evaluator does not have: old operators, transposed convolutions in groups, BatchNorm before opset 14.
NOT_IN_THE_EVALUATOR = {
    "chain_in_opset_7", "initialisers_among_the_inputs", "transposed", "batch_norm_and_dropout", "constants_as_nodes",
    "channels_last",  # compared with its twin, in test_onnx_files.py
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_laws_hold(name, monkeypatch):
    monkeypatch.setattr(holding, "CUTS", 1)  # each question is a session, which takes a while to make
    monkeypatch.setattr(onnx_sessions, "KEPT", 100)  # the laws come back to the same questions
    model = NETWORKS[name]()
    assert check_engine(OnnxEngine(model), pictures(model)) == ASKED


def test_what_goes_on_after_a_cut_is_a_graph_without_what_lies_before():
    engine = OnnxEngine(NETWORKS["residual"]())
    last = [row.name for row in engine.graph if row.kind == "convolution"][-1]
    held = engine.hold(np.zeros((1, *engine.graph.layers[0].shape), np.float32), last)
    held.run(["output"])
    (session,) = [
        each
        for key, each in engine._sessions._kept.items()
        if key[2] and each.outputs == (engine.tensor(engine.graph.names[-1]),)
    ]
    fed = set(session.inputs)
    assert fed.isdisjoint(engine.inputs.names)
    assert onnx_graph.held_of(engine.tensor(last)) in fed


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - NOT_IN_THE_EVALUATOR))
def test_what_is_read_is_what_another_runtime_computes(name):
    model = NETWORKS[name]()
    seen, engine = recorded(model, pictures(model)), OnnxEngine(model)
    run = engine.run(pictures(model), [*engine.graph.names, "output"])
    read = {row.name: run[row.name] for row in engine.graph if row.kind != "input"}
    assert read
    for row, values in read.items():
        fits = [each for each in seen if each.shape == values.shape and np.abs(each - values).max() <= 1e-5 * np.abs(each).max()]
        assert fits, f"{row} is nothing that ONNX's evaluator computes"


def recorded(model, batch):
    """All arrays that ONNX's evaluator makes, by another way: it is asked for every one of them as an output."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    del whole.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    whole.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    names_of = [each.name for each in model.graph.input]
    given = dict(zip(names_of, batch.values() if isinstance(batch, dict) else [batch], strict=False))
    kinds = {each.name: helper.tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type) for each in model.graph.input}
    typed = {name: values.astype(kinds[name]) for name, values in given.items()}
    size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    parts = [{name: values[at : at + 1] for name, values in typed.items()} for at in range(len(batch))] if size == 1 else [typed]
    evaluator = ReferenceEvaluator(whole)
    found = [evaluator.run(None, part) for part in parts]
    return [np.concatenate(each).astype(np.float32) for each in zip(*found, strict=True) if np.ndim(each[0]) > 0]


@pytest.mark.parametrize(
    "name", ["residual", "unnamed_nodes", "constants_as_nodes", "initialisers_among_the_inputs", "chain_in_opset_7"]
)
def test_kernels_are_the_initialisers(name):
    model = NETWORKS[name]()
    engine = OnnxEngine(model)
    kernels = [engine.weights(row.name)["kernel"] for row in engine.graph if row.kind in CONVOLUTIONS]
    stored = [numpy_helper.to_array(each) for each in model.graph.initializer]
    stored += [numpy_helper.to_array(node.attribute[0].t) for node in model.graph.node if node.op_type == "Constant"]
    assert len(kernels) == sum(node.op_type == "Conv" for node in model.graph.node)
    assert all(any(np.array_equal(kernel, each) for each in stored) for kernel in kernels)


def test_transposed_kernels_are_turned_to_out_first():
    """kernel[o, i] is what a single 1 in input channel i of its group stamps into output channel o."""
    engine, picture = OnnxEngine(NETWORKS["transposed"]()), np.zeros((1, 3, 12, 12), np.float32)
    maps = np.zeros((1, 6, 6, 6), np.float32)
    maps[0, 2, 3, 3] = 1
    kernel, bias = (engine.weights("up")[part] for part in ("kernel", "bias"))
    stamped = engine.run(picture, ["up"], [Edit("relu1", 0.0, maps)])["up"] - bias[:, None, None]
    assert kernel.shape == (4, 6, 2, 2)
    np.testing.assert_allclose(stamped[0, :, 6:8, 6:8], kernel[:, 2], atol=1e-6)
    maps = np.zeros((1, 4, 12, 12), np.float32)
    maps[0, 3, 5, 5] = 1  # the second channel of the second group, whose outputs are 3, 4 and 5
    stamped = engine.run(picture, ["up_in_groups"], [Edit("relu2", 0.0, maps)])["up_in_groups"]
    kernel = engine.weights("up_in_groups")["kernel"]
    assert kernel.shape == (6, 2, 3, 3)
    np.testing.assert_allclose(stamped[0, 3:, 4:7, 4:7], kernel[3:, 1], atol=1e-6)
    assert not stamped[0, :3].any()


@pytest.mark.parametrize("name", ["batch_norm_and_dropout", "constants_as_nodes"])
def test_batch_norm_is_its_formula(name):
    model = NETWORKS[name]()
    engine = OnnxEngine(model)
    run, norm = engine.run(pictures(model), ["conv1", "norm1"]), engine.weights("norm1")
    scale, shift, mean, variance = (norm[key][:, None, None] for key in ("scale", "B", "input_mean", "input_var"))
    np.testing.assert_allclose(run["norm1"], (run["conv1"] - mean) / np.sqrt(variance + 1e-3) * scale + shift, atol=1e-5)


def test_a_kernel_that_the_file_computes_is_the_one_that_acts():
    engine = OnnxEngine(weight_norm())
    stored = {each.name: numpy_helper.to_array(each) for each in weight_norm().graph.initializer}
    np.testing.assert_allclose(engine.weights("conv1")["kernel"], stored["direction"] * stored["length"], rtol=1e-6)
    assert engine.graph["conv1"].parameters == 4 * 27 + 4


def test_halves_are_those_of_the_network_in_float32():
    """ONNX Runtime computes halves in float32 on a CPU, and rounds between some nodes: 2 ** -10 is a step."""
    half, single = of_type(np.float16), of_type(np.float32)
    engine, exact = OnnxEngine(half), OnnxEngine(single)
    names = [*engine.graph.names, "output"]
    run, expected = engine.run(pictures(half), names), exact.run(pictures(half), names)
    for name in names:
        assert run[name].dtype == np.float32
        np.testing.assert_allclose(run[name], expected[name], atol=4e-3 * np.abs(expected[name]).max())


def test_a_network_of_pixels_takes_no_others():
    engine, batch = OnnxEngine(pixels()), pictures(pixels())
    run = engine.run(batch, ["input", "scaled", "output"])
    np.testing.assert_array_equal(run["input"], batch)
    np.testing.assert_allclose(run["scaled"], batch / 255, rtol=1e-6)
    with pytest.raises(InputError, match="whole numbers"):
        engine.run(batch / 255)


def fails_late():
    """conv1 -> relu1 -> a reshape that fits no picture -> dense."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    x = w.node("Reshape", [x, w.constant("to", np.array([0, 13]))], "reshape")
    return w.model(["n", 3, 12, 12], w.dense(x, "dense", 13, 3))


def test_a_run_stops_at_the_last_tap_and_a_failure_names_its_layer():
    engine, batch = OnnxEngine(fails_late()), np.ones((2, 3, 12, 12), np.float32)
    assert engine.run(batch, ["relu1"])["relu1"].shape == (2, 4, 12, 12)
    with pytest.raises(EngineError, match="reshape") as caught:
        engine.run(batch)
    assert caught.value.__cause__ is not None


def test_reducing_where_the_network_runs():
    model = chain()
    engine, batch = OnnxEngine(model), pictures(model)
    run = engine.run(batch, ["conv2", Tap("conv2", "mean"), Tap("conv2", "max")])
    np.testing.assert_allclose(run[Tap("conv2", "mean")], run["conv2"].mean((2, 3)), atol=1e-6)
    np.testing.assert_array_equal(run[Tap("conv2", "max")], run["conv2"].max((2, 3)))


def test_the_users_model_is_left_as_it_was():
    model = NETWORKS["residual"]()
    before = model.SerializeToString(deterministic=True)
    engine = OnnxEngine(model)
    engine.run(pictures(model), ["conv1", "output"], [Edit("relu1", 0.0, 1.0)])
    assert model.SerializeToString(deterministic=True) == before


def test_no_deep_learning_framework_is_imported():
    code = (
        "import sys, convscope, numpy; net = convscope.open('demo'); net.look(numpy.zeros((1, 3, 128, 128), 'float32'));"
        "print(sorted({'torch', 'keras', 'tensorflow', 'jax'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def external(folder: Path, location: str) -> Path:
    """A network whose first kernel lies in the file `location`."""
    model = chain()
    kernel = model.graph.initializer[0]
    content = kernel.raw_data
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(content)))):
        entry = kernel.external_data.add()
        entry.key, entry.value = key, value
    path = folder / "net" / "net.onnx"
    path.parent.mkdir()
    path.write_bytes(model.SerializeToString())
    (path.parent / "inside.bin").write_bytes(content)
    (folder / "outside.bin").write_bytes(content)
    return path


def test_weights_in_a_file_beside_the_network(tmp_path):
    engine, plain = load(external(tmp_path, "inside.bin")), OnnxEngine(chain())
    batch = pictures(chain())
    np.testing.assert_array_equal(engine.weights("conv1")["kernel"], plain.weights("conv1")["kernel"])
    np.testing.assert_array_equal(engine.run(batch)["output"], plain.run(batch)["output"])


@pytest.mark.parametrize("location", ["../outside.bin", "{folder}/outside.bin", "sub/../../outside.bin", "link.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path, location):
    path = external(tmp_path, location.format(folder=tmp_path))
    (path.parent / "link.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(NotAModel, match="outside"):
        load(path)


@pytest.mark.parametrize("location", ["missing.bin", "short.bin"])
def test_weights_that_are_missing_or_cut_short(tmp_path, location):
    path = external(tmp_path, location)
    (path.parent / "short.bin").write_bytes(b"1234")
    with pytest.raises(NotAModel, match=location):
        load(path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello, world", "text"),
        (b"PK\x03\x04rest", "zip"),
        (b"\x89HDF\r\n\x1a\nrest", "HDF5"),
        (b"\x80\x04rest", "pickle"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"version https://git-lfs.github.com/spec/v1", "git-lfs"),
        (chain().SerializeToString()[:2000], "cut short"),
        (onnx.ModelProto(ir_version=8).SerializeToString(), "no network"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_are_no_network(tmp_path, content, says):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(NotAModel, match=says) as caught:
        open_network(path)
    assert caught.value.path == str(path)


DAMAGED = {
    "too short": {"raw_data": b"1234"},
    "too long": {"raw_data": bytes(4 * 577)},
    "in two fields": {"raw_data": bytes(4 * 576), "float_data": [1.0] * 575},
    "of another type": {"data_type": 99},
    "of no type": {"data_type": 0},
    "turned inside out": {"dims": [-16, -4, 3, 3]},
}


@pytest.mark.parametrize("how", DAMAGED)
@pytest.mark.parametrize("beside", [False, True])
def test_weights_that_do_not_fit_their_shape_are_said_to_be_damaged(how, beside, tmp_path):
    model, path = chain(), tmp_path / "net.onnx"
    weight = next(each for each in model.graph.initializer if each.name == "conv2.weight")
    for field, value in DAMAGED[how].items():
        if isinstance(value, list):
            del getattr(weight, field)[:]
            getattr(weight, field).extend(value)
        else:
            setattr(weight, field, value)
    if how != "in two fields":  # of which one is looked at
        with pytest.raises((EngineError, Unsupported)):
            OnnxEngine(model)
    if beside and how != "in two fields":
        onnx.external_data_helper.set_external_data(weight, "net.bin", 0, length=len(weight.raw_data))
        (tmp_path / "net.bin").write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(NotAModel) as caught:
        open_network(path)
    assert str(caught.value).startswith(f"Cannot open '{path}' as a network: ") or str(caught.value).startswith(
        f"Cannot open '{tmp_path}'"
    )


def unknown_operator():
    w = Writer()
    return w.model(["n", 3, 12, 12], w.head(w.node("Fold", ["picture"], "fold", domain="elsewhere"), 3), domains=["elsewhere"])


def too_new():
    model = chain()
    model.opset_import[0].version = 999
    return model


def doubles():
    return of_type(np.float64)


@pytest.mark.parametrize("build", [unknown_operator, too_new, doubles])
def test_what_the_runtime_cannot_compute_is_said(build):
    with pytest.raises(Unsupported, match="in float32" if build is doubles else "with another opset"):
        OnnxEngine(build())


def test_several_inputs():
    engine, by_number = OnnxEngine(NETWORKS["three_inputs"]()), pictures(NETWORKS["three_inputs"]())
    batch = dict(zip(("picture", "gain", "kind"), by_number.values(), strict=True))
    assert engine.graph.names[:3] == tuple(batch)
    assert [row.kind for row in engine.graph.inputs] == ["input"] * 3
    run = engine.run(by_number, ["gain", "input:2", "amplified", "output"])
    np.testing.assert_array_equal(run["gain"], batch["gain"])
    np.testing.assert_array_equal(run["input:2"], batch["kind"])
    doubled = engine.run(by_number, ["amplified"], [Edit("input:1", 2.0)])
    np.testing.assert_allclose(doubled["amplified"], 2 * run["amplified"], rtol=1e-6)
    with pytest.raises(InputError, match="'input', 'input:1', 'input:2'"):
        engine.run(batch["picture"])
    with pytest.raises(InputError, match="'input:2' of this network takes whole numbers"):
        engine.run(batch | {"kind": batch["kind"] + 0.5})
    with pytest.raises(WrongPictureShape, match="'input:1' of this network takes arrays of shape .any, 6."):
        engine.run(batch | {"gain": batch["gain"][:, :4]})


def test_an_input_that_is_one_number_for_all_pictures_is_refused():
    model = NETWORKS["three_inputs"]()
    model.graph.input[1].CopyFrom(helper.make_tensor_value_info("gain", TensorProto.FLOAT, []))
    with pytest.raises(Unsupported, match="'gain' of this network is one number"):
        OnnxEngine(model)


@pytest.mark.parametrize("after", [None, "Relu"])
def test_a_share_counts_the_least_float_above_zero_and_none_below(after):
    """In the graph it is counted in whole numbers: nothing may round, and NaN is not above zero."""
    values = np.random.default_rng(0).normal(size=(2, 3, 9, 11)).astype(np.float32)
    least = np.float32(2.0**-149)
    for number, each in enumerate((0.0, least, -least, 1e-39, 1e30, -1e30, np.nan)):
        values.reshape(-1)[number :: 7 + number] = each
    writer = Writer()
    kernel = np.concatenate([np.eye(3), [[1e3, -1e3, 1.0]]]).reshape(4, 3, 1, 1).astype(np.float32)
    maps = writer.node("Conv", ["picture", writer.constant("kernel", kernel)], "conv")
    maps = writer.node(after, [maps], "relu") if after else maps
    engine = OnnxEngine(writer.model(["n", 3, 9, 11], maps, ranks=(4,)))
    row = engine.graph.names[-1]
    expected = (engine.run(values, [row])[row] > 0).mean((2, 3), dtype=np.float32)
    assert 0 < expected.min() < expected.max() < 1
    for reductions in (("active",), ("active", "mean", "max", "argmax", "none")):
        found = engine.run(values, [Tap(row, each) for each in reductions])
        np.testing.assert_array_equal(found[Tap(row, "active")], expected)


@pytest.mark.parametrize("shape", [(24, 30), (5, 7), ("h", "w")])
@pytest.mark.parametrize("version", [11, 17, 20])
def test_the_first_greatest_value_of_a_map_of_any_size_with_many_equal_ones(shape, version):
    """Of large maps it is looked for by rows first, where their size is known and the operators of the file can."""
    values = np.round(np.random.default_rng(0).normal(size=(3, 2, *(size if isinstance(size, int) else 25 for size in shape))), 1)
    values[0, 0], values[1, 1] = 5, -2
    values[2, 0, -1, -1] = values[2, 0, 1, -1] = values[2, 0, 2, 0] = 9
    writer = Writer()
    maps = writer.node("Conv", ["picture", writer.constant("kernel", np.eye(2).reshape(2, 2, 1, 1).astype(np.float32))], "conv")
    engine = OnnxEngine(writer.model(["n", 2, *shape], maps, ranks=(4,), opset=version, ir=9 if version > 18 else 8))
    row, values = engine.graph.names[-1], values.astype(np.float32)
    for reductions in (("argmax",), ("max",), ("max", "argmax", "none")):
        found = engine.run(values, [Tap(row, each) for each in reductions])
        for each in reductions:
            np.testing.assert_array_equal(found[Tap(row, each)], reduced(values, each))


@pytest.mark.parametrize("sizes", [(4100, 4100), ("h", "w"), (4100 * 4100,)])
def test_the_place_of_a_maximum_is_exact_in_a_map_of_more_positions_than_float32_has_whole_numbers(sizes):
    place, writer = (1 << 24) + 1, Writer()
    maps = writer.node("Relu", ["picture"], "relu")
    engine, tap = OnnxEngine(writer.model(["n", 1, *sizes], maps, ranks=(2 + len(sizes),))), Tap("relu", "argmax")
    pictures = np.zeros((1, 1, *(each if isinstance(each, int) else 4100 for each in sizes)), np.float32)
    pictures.reshape(-1)[place] = 1
    assert engine.run(pictures, [tap])[tap].tolist() == engine.hold(pictures, "relu").run([tap])[tap].tolist() == [[place]]
