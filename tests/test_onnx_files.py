"""ONNX files that others wrote: every opset, torch's two exporters, quantised, optimised, with channels last."""

import logging
import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from zoo_onnx import NETWORKS, NEWEST, Writer, chain, pictures, turned

import convscope
from convscope.conformance import check_engine
from convscope.core import CONVOLUTIONS, Edit, Tap
from convscope.engines.onnx import OnnxEngine
from convscope.errors import Unsupported


def same(actual, expected, what=""):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=what)


# Opsets


@pytest.mark.parametrize("opset", range(7, NEWEST + 1))
def test_every_opset_that_the_runtime_takes(opset):
    model, expected = chain(opset), OnnxEngine(chain(17))
    try:
        onnxruntime.InferenceSession(model.SerializeToString())
    except Exception:
        with pytest.raises(Unsupported, match=f"Opset {opset}"):
            OnnxEngine(model)
        return
    engine, batch = OnnxEngine(model), pictures(chain())
    names = [*engine.graph.names, Tap("conv2", "mean"), "output"]
    found, wanted = (each.run(batch, names, [Edit("relu1", 0.5, 0.1)]) for each in (engine, expected))
    assert engine.graph.names == expected.graph.names
    for name in names:
        same(found[name], wanted[name], name)


@pytest.mark.parametrize("opset", [5, 6])
def test_an_opset_that_is_too_old_says_how_to_convert_it(opset):
    with pytest.raises(Unsupported, match=f"opset {opset}.*oldest.*7.*version_converter"):
        OnnxEngine(chain(opset))


# Channels last


def test_channels_last_are_read_edited_and_fed_channels_first():
    last, first, batch = OnnxEngine(turned(channels_last=True)), OnnxEngine(turned(channels_last=False)), pictures(chain())
    batch = np.random.default_rng(0).normal(size=(2, 3, 12, 10)).astype(np.float32)
    names = [row.name for row in first.graph if row.name in last.graph.names]
    assert set(last.graph.names) - set(names) == {
        "picture_first", "conv1_last", "relu1_first", "depth_last", "join_first", "pool_last", "weighed_first"
    }  # fmt: skip
    taps = [*names, *(Tap(name, reduce) for name in names for reduce in ("mean", "max")), "output"]
    mask = np.ones((16, 1, 1), np.float32)
    mask[[3, 9]] = 0
    weights = np.random.default_rng(1).normal(size=(2, 8, 12, 10)).astype(np.float32)
    for edits in ([], [Edit("weighed", mask, 1 - mask), Edit("relu1", 1.0, weights), Edit("picture", -1.0, 0.5)]):
        found, expected = last.run(batch, taps, edits), first.run(batch, taps, edits)
        for tap in taps:
            same(found[tap], expected[tap], str(tap))
    for name in names:
        assert last.graph[name].shape == first.graph[name].shape
        assert set(last.weights(name)) == set(first.weights(name))
    assert last.graph["relu1"].native_shape == (None, 12, 10, 8)


def test_a_channels_last_file_takes_pictures(tmp_path):
    onnx.save(turned(channels_last=True), tmp_path / "net.onnx")
    net = convscope.open(tmp_path / "net.onnx")
    grey = np.zeros((30, 40, 3), np.uint8)
    assert (net.preprocess.size, net.preprocess.channels) == ((12, 10), 3)
    assert net.maps(grey, at="relu1")["relu1"].values.shape == (1, 8, 12, 10)


def test_dense_layers_at_each_place_keep_their_channels():
    """As ConvNeXt has them: a convolution, turned, MatMul, turned back."""
    w = Writer(seed=3)
    x = w.node("Transpose", [w.conv("picture", "conv1", 4, 3, 3, 3)], "to_last", perm=[0, 2, 3, 1])
    x = w.node("Gelu", [w.node("MatMul", [x, w.weight("dense.weight", 4, 8)], "dense")], "gelu", domain="com.microsoft")
    x = w.node("Transpose", [w.node("MatMul", [x, w.weight("back.weight", 8, 4)], "back")], "to_first", perm=[0, 3, 1, 2])
    engine = OnnxEngine(w.model(["n", 3, 6, 5], x, ranks=(4,), domains=["com.microsoft"]))
    run = engine.run(np.random.default_rng(0).normal(size=(2, 3, 6, 5)).astype(np.float32), [*engine.graph.names, "output"])
    assert [run[name].shape for name in ("to_last", "dense", "gelu", "back")] == [(2, size, 6, 5) for size in (4, 8, 8, 4)]
    np.testing.assert_array_equal(run["back"], run["output"])
    np.testing.assert_allclose(
        run["dense"], np.einsum("ou,nuhw->nohw", engine.weights("dense")["kernel"], run["conv1"]), atol=1e-5
    )


# Exporters


@pytest.fixture(scope="module")
def module():
    """In-place additions, BatchNorm, groups, a transposed convolution, concatenation, functions."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn
    from torch.nn import functional

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1, self.relu = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
            self.conv2, self.up = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ConvTranspose2d(8, 4, 2, stride=2)
            self.fc = nn.Linear(12, 5)

        def forward(self, x):
            x = self.relu(self.bn1(self.conv1(x)))
            y = self.conv2(x)
            y += x
            y = functional.silu(y)
            x = torch.cat([y, self.up(functional.max_pool2d(y, 2))], 1)
            return self.fc(x.mean((2, 3)))

    torch.manual_seed(0)
    net = Net().eval()
    nn.init.uniform_(net.bn1.running_mean, -0.5, 0.5)
    nn.init.uniform_(net.bn1.running_var, 0.5, 2)
    return net


def by_script(torch, module, path):
    axes = {"x": {0: "n", 2: "h", 3: "w"}}
    torch.onnx.export(
        module, (torch.zeros(2, 3, 16, 16),), path, dynamo=False, input_names=["x"], dynamic_axes=axes, export_params=True
    )


def by_dynamo(torch, module, path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install onnxscript")
    any_size = torch.export.Dim.DYNAMIC
    sizes = ({0: any_size, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO},)
    torch.onnx.export(module, (torch.zeros(2, 3, 16, 16),), path, dynamo=True, dynamic_shapes=sizes, external_data=True)


@pytest.mark.parametrize("export", [by_script, by_dynamo])
def test_what_torch_exports_has_the_values_of_the_module(module, export, tmp_path, caplog):
    import torch

    path = tmp_path / "net.onnx"
    with warnings.catch_warnings(), caplog.at_level(logging.CRITICAL):
        warnings.simplefilter("ignore")  # the exporters' own
        export(torch, module, path)
    net, twin = convscope.open(path), convscope.open(module, picture_shape=(3, 16, 16))
    batch = np.random.default_rng(0).normal(size=(3, 3, 16, 16)).astype(np.float32)
    run = net.engine.run(batch, [*net.graph.names, "output"])
    live = twin.engine.run(batch, [*twin.graph.names, "output"])
    same(run["output"], live["output"])
    for row in net.graph.layers:
        near = [each for each in live.values() if each.shape == run[row.name].shape and np.abs(each - run[row.name]).max() < 1e-5]
        assert near or row.native == "Sigmoid", row.name  # silu is a Sigmoid and a Mul
    assert [row.kind for row in net.graph if row.is_convolution] == ["convolution", "depthwise", "transposed"]
    assert net.graph.layers[0].shape == (3, None, None)  # dynamic axes
    assert net.maps(np.zeros((1, 3, 20, 24), np.float32), at="all")


def test_names_of_any_exporter_become_files(tmp_path):
    for name in ("names_of_torch", "names_of_paddle", "names_used_twice"):
        onnx.save(NETWORKS[name](), tmp_path / "net.onnx")
        net = convscope.open(tmp_path / "net.onnx")
        maps = net.maps(pictures(NETWORKS[name]()), at="all")
        sheets = list((maps.save(tmp_path / name)).rglob("*.png"))
        assert len(sheets) >= len(maps)


# Quantised and optimised


@pytest.fixture(scope="module")
def residual(tmp_path_factory):
    path = tmp_path_factory.mktemp("residual") / "net.onnx"
    onnx.save(NETWORKS["residual"](), path)
    return path


def quantise(path, how):
    """By ONNX Runtime's static quantisation, calibrated on the test's own pictures."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        left = [{"picture": pictures(NETWORKS["residual"]())}]

        def get_next(self):
            return self.left.pop() if self.left else None

    to = path.with_name(f"{how}.onnx")
    kind = getattr(quantization.QuantFormat, how)
    quantization.quantize_static(
        path, to, Reader(), quant_format=kind, per_channel=True, extra_options={"QDQKeepRemovableActivations": True}
    )
    return to


@pytest.mark.parametrize("how", ["QDQ", "QOperator"])
def test_maps_of_quantised_networks_are_numbers_and_not_bytes(residual, how, caplog):
    with caplog.at_level(logging.CRITICAL):
        engine = convscope.open(quantise(residual, how)).engine
    batch = pictures(NETWORKS["residual"]())
    exact = OnnxEngine(NETWORKS["residual"]())
    run, expected = engine.run(batch, [*engine.graph.names, "output"]), exact.run(batch, [*exact.graph.names, "output"])
    for row in engine.graph:
        original = row.name.split("_Quant")[0].split("_quant")[0].split("_Dequant")[0].removesuffix(":out")
        shown = [
            expected[name]
            for name in (original, original.replace("conv", "relu"), original.replace("add", "relu3"))
            if name in exact.graph.names
        ]
        distances = [
            np.abs(each - run[row.name]).max() / np.abs(each).max() for each in shown if each.shape == run[row.name].shape
        ]
        assert min(distances) < 0.03, row.name  # a few steps of 1 / 255
        if row.native == "QuantizeLinear":
            (reader,) = [each for each in engine.graph if row.name in each.inputs][:1]
            if reader.native == "DequantizeLinear":
                np.testing.assert_array_equal(run[row.name], run[reader.name])
    kernels = {name: exact.weights(name)["kernel"] for name in ("conv1", "conv2", "conv3", "classes")}
    for name, kernel in kernels.items():
        row = next(row for row in engine.graph if row.name.startswith(name) and "uantize" not in row.native)
        assert row.parameters == exact.graph[name].parameters
        np.testing.assert_allclose(engine.weights(row.name)["kernel"], kernel, atol=np.abs(kernel).max() / 100)
        np.testing.assert_allclose(engine.weights(row.name)["bias"], exact.weights(name)["bias"], atol=1e-3)
    bytes_row = next(row.name for row in engine.graph if row.native in ("QuantizeLinear", "QLinearConv"))
    with pytest.raises(Unsupported, match=f"'{bytes_row}' holds whole numbers"):
        engine.run(batch, [], [Edit(bytes_row, 0.0)])


def optimised(path, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath, options.log_severity_level = str(path.with_name(f"{level}.onnx")), 4
    onnxruntime.InferenceSession(path, options)
    return path.with_name(f"{level}.onnx")


def test_a_quantised_file_that_was_optimised_to_channels_last_is_read_channels_first(residual, caplog):
    with caplog.at_level(logging.CRITICAL):
        path = quantise(residual, "QOperator")
    first, last = (convscope.open(optimised(path, level)).engine for level in ("ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"))
    assert any(row.native == "Transpose" for row in last.graph)
    batch = pictures(NETWORKS["residual"]())
    found, expected = (each.run(batch, each.graph.names) for each in (last, first))
    for name in first.graph.names:
        twin = next(row.name for row in last.graph if row.name.split("_token")[0] == name)
        np.testing.assert_array_equal(found[twin], expected[name], err_msg=name)
        assert last.graph[twin].shape == first.graph[name].shape


def test_a_fused_convolution_says_that_its_activation_is_inside(residual):
    net, exact = convscope.open(optimised(residual, "ORT_ENABLE_EXTENDED")), OnnxEngine(NETWORKS["residual"]())
    fused = [row for row in net.graph if row.native == "FusedConv"]
    assert fused
    assert {row.activation for row in fused} == {"relu"}
    assert all(row.kind in CONVOLUTIONS for row in fused)
    batch = pictures(NETWORKS["residual"]())
    run, expected = net.engine.run(batch, [*net.graph.names, "output"]), exact.run(batch, [*exact.graph.names, "output"])
    for row in net.graph:
        fits = [
            each
            for each in expected.values()
            if each.shape == run[row.name].shape and np.allclose(each, run[row.name], atol=1e-5)
        ]
        assert fits, row.name
    assert (run[fused[0].name] >= 0).all()
    assert check_engine(net.engine, batch)
    np.testing.assert_array_equal(net.filters(fused[0].name).values, exact.weights("conv1")["kernel"])


def test_a_file_that_was_rearranged_for_one_processor_is_refused():
    """There a map of 16 channels lies in memory as blocks; read as maps it would be a wrong picture that looks right."""
    w = Writer()
    x = w.conv("picture", "conv1", 16, 16, 3, 3)
    w.nodes[-1].domain = "com.microsoft.nchwc"
    model = w.model(["n", 16, 8, 8], x, ranks=(4,), domains=["com.microsoft.nchwc"])
    with pytest.raises(Unsupported, match="rearranged.*ORT_ENABLE_EXTENDED"):
        OnnxEngine(model)


def test_an_input_that_nothing_reads_is_not_asked_for():
    """As tf2onnx leaves constants of Keras' EfficientNet among the inputs."""
    model, batch = NETWORKS["residual"](), pictures(NETWORKS["residual"]())
    expected = OnnxEngine(model).run(batch)["output"]
    model.graph.input.append(helper.make_tensor_value_info("Sqrt/x", onnx.TensorProto.FLOAT, [1, 1, 1, 3]))
    net = convscope.open(model)
    assert len(net.graph.inputs) == 1
    assert any("'Sqrt/x'" in note for note in net.info.notes)
    np.testing.assert_array_equal(net.engine.run(batch)["output"], expected)


# Control flow


def test_what_lies_within_branches_and_loops_is_said(tmp_path):
    onnx.save(NETWORKS["a_loop"](), tmp_path / "net.onnx")
    net = convscope.open(tmp_path / "net.onnx")
    assert net.graph["loop"].shape == (6, 12, 12)
    assert any("1 convolution" in note and "'loop'" in note for note in net.info.notes)
    kernel = {each.name: each for each in NETWORKS["a_loop"]().graph.initializer}["inner.weight"]
    batch = pictures(NETWORKS["a_loop"]())
    run = net.engine.run(batch, ["relu1", "loop"])
    value = run["relu1"]
    for _ in range(3):
        once = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[1] * 4)
        ends = [helper.make_tensor_value_info(name, 1, None) for name in ("x", "w", "y")]
        graph = helper.make_graph([once], "once", ends[:2], ends[2:])
        evaluator = onnx.reference.ReferenceEvaluator(helper.make_model(graph))
        value = np.tanh(evaluator.run(None, {"x": value, "w": onnx.numpy_helper.to_array(kernel)})[0])
    same(run["loop"], value)
