"""ONNX networks converted to torch for their gradients: the laws, torch's own gradients, and what is refused."""

import sys
import warnings

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torchvision_ops import torchvision
from zoo_onnx import NETWORKS, Writer, chain, pictures

import convscope
from convscope.conformance import check_engine, laws
from convscope.core import Edit, Tap
from convscope.engines.onnx import OnnxEngine
from convscope.errors import InputError, MissingExtra, Unsupported, WrongOption, WrongPictureShape

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module", autouse=True)
def onnx2torch():
    torchvision()  # which onnx2torch imports
    return pytest.importorskip("onnx2torch", reason="onnx2torch is not installed: pip install 'convscope[onnx-torch]'")


@pytest.mark.parametrize("name", ["residual", "channels_last", "split"])
def test_the_laws_hold(name):
    model = NETWORKS[name]()
    engine = convscope.open(model, via="torch").engine
    assert set(check_engine(engine, pictures(model))) >= {law for law in laws() if "pullback" in law}


@pytest.mark.parametrize(
    "name", ["residual", "channels_last", "a_function", "names_used_twice", "names_of_paddle", "constants_as_nodes", "transposed"]
)
def test_rows_weights_and_values_are_those_of_the_file(name):
    model = NETWORKS[name]()
    exact, via = OnnxEngine(model), convscope.open(model, via="torch").engine
    assert via.graph == exact.graph
    taps = [*exact.graph.names, *(Tap(row, how) for row in exact.graph.names for how in ("mean", "max", "argmax")), "output"]
    edits = [Edit(exact.graph.names[1], 0.5, 0.25), Edit("input", -1.0)]
    found, expected = via.run(pictures(model), taps, edits), exact.run(pictures(model), taps, edits)
    for tap in taps:
        np.testing.assert_allclose(found[tap], expected[tap], rtol=0, atol=1e-5 * np.abs(expected[tap]).max(), err_msg=str(tap))
    for row in exact.graph.names:
        for key, value in exact.weights(row).items():
            np.testing.assert_array_equal(via.weights(row)[key], value)


def of_computed_sizes():
    """A layer normalisation, whose size onnx2torch asks inference for, behind a size that the file computes."""
    w = Writer()
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    size = {
        at: w.node("Gather", [w.node("Shape", [x], f"shape{at}"), w.constant(f"at{at}", np.array([at]))], f"size{at}")
        for at in (0, 1)
    }
    half = w.node("Div", [w.node("Mul", [size[1], w.constant("two", np.array([2]))], "twice"), "two"], "half")
    to = w.node("Concat", [size[0], half, w.constant("rest", np.array([-1]))], "to", axis=0)
    x = w.node("Transpose", [w.node("Reshape", [x, to], "places")], "last", perm=[0, 2, 1])
    x = w.node("LayerNormalization", [x, w.weight("scale", 4), w.weight("shift", 4)], "norm", axis=-1)
    return w.model(["n", 3, 6, 6], w.dense(w.node("Flatten", [x], "flat"), "classes", 144, 5))


def test_sizes_that_the_file_computes_are_known_to_the_converter():
    model = of_computed_sizes()
    via, exact = convscope.open(model, via="torch").engine, OnnxEngine(model)
    found, expected = (each.run(pictures(model, side=6), ["norm", "output"]) for each in (via, exact))
    for tap in expected:
        np.testing.assert_allclose(found[tap], expected[tap], rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A torch module and the file that torch makes of it."""
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.SiLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(8, 4),
    ).eval()  # fmt: skip
    path = tmp_path_factory.mktemp("exported") / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, 3, 12, 12),), path, dynamo=False, dynamic_axes={"x": {0: "n"}}, input_names=["x"]
        )
    return module, path


def test_gradients_are_those_of_the_module_that_was_exported(exported):
    module, path = exported
    net, live = convscope.open(path, via="torch"), convscope.open(module, picture_shape=(3, 12, 12))
    batch, seed = np.random.default_rng(0).normal(size=(3, 3, 12, 12)).astype(np.float32), np.eye(4, dtype=np.float32)[:3]
    first, last = (net.layers.convolutions[index].name for index in (0, 1))
    found = net.engine.trace(batch, [first, last]).pullback(
        {"output": seed, last: np.ones((3, 8, 4, 4), np.float32)}, ["input", first, last]
    )
    wanted = live.engine.trace(batch, ["0", "3"]).pullback(
        {"output": seed, "3": np.ones((3, 8, 4, 4), np.float32)}, ["input", "0", "3"]
    )
    for name, expected in zip((first, last, "input"), (wanted["0"], wanted["3"], wanted["input"]), strict=True):
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_the_backward_rule_of_its_relus_can_be_changed_as_in_the_module_that_was_exported(exported, rule):
    module, path = exported
    net, live = convscope.open(path, via="torch"), convscope.open(module, picture_shape=(3, 12, 12))
    batch, seed = np.random.default_rng(0).normal(size=(3, 3, 12, 12)).astype(np.float32), np.eye(4, dtype=np.float32)[:3]
    found, expected, plain = (
        trace.pullback({"output": seed}, ["input"])["input"]
        for trace in (net.engine.trace_by(rule, batch), live.engine.trace_by(rule, batch), net.engine.trace(batch))
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert np.abs(found - plain).max() > 0.1 * np.abs(plain).max()


def test_a_fixed_batch_is_kept_also_for_gradients():
    model = chain()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    fixed, free = (convscope.open(each, via="torch").engine for each in (model, chain()))
    batch, seed = pictures(chain(), n=3), np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    shift = np.random.default_rng(1).normal(size=(3, 8, 12, 12)).astype(np.float32)
    found, expected = (
        each.trace(batch, ["conv1"], [Edit("relu1", 1.0, shift)]).pullback({"output": seed}, ["conv1", "input"])
        for each in (fixed, free)
    )
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    with pytest.raises(InputError, match="seed"):
        fixed.trace(batch).pullback({"output": seed[:2]}, ["input"])
    with pytest.raises(WrongPictureShape):
        fixed.run(batch[:, :2])


def test_it_is_said_that_it_was_converted(exported, tmp_path):
    net = convscope.open(exported[1], via="torch")
    assert net.info.source == "net.onnx, converted from ONNX"
    assert "converted from ONNX by onnx2torch" in net.info.framework
    assert any("agrees with ONNX Runtime" in note for note in net.info.notes)
    study = net.maps(np.zeros((1, 3, 12, 12), np.float32)).save(tmp_path / "study")
    assert "converted from ONNX" in (study / "study.json").read_text(encoding="utf-8")


def test_another_network_than_the_files_is_refused_with_the_difference(onnx2torch, monkeypatch):
    convert = onnx2torch.convert

    def wrong(model):
        module = convert(model)
        with torch.no_grad():
            next(module.parameters()).mul_(1.01)
        return module

    monkeypatch.setattr(onnx2torch, "convert", wrong)
    with pytest.raises(
        Unsupported, match=r"'conv1' gives differs by 0\.0\d+ from ONNX Runtime's values.*Open the file without via"
    ):
        convscope.open(chain(), via="torch")


def test_a_limit_that_small_values_do_not_meet_is_compared_too(onnx2torch, monkeypatch):
    """A converter that forgets that a ReLU6 ends at 6, or what lies behind a certain size, gives a network that seems right."""
    convert = onnx2torch.convert

    def unlimited(model):
        module = convert(model)
        for each in module.modules():
            for name, child in list(each.named_children()):
                if isinstance(child, torch.nn.ReLU6):
                    setattr(each, name, torch.nn.ReLU())
        return module

    convscope.open(NETWORKS["depthwise_separable"](), via="torch")
    monkeypatch.setattr(onnx2torch, "convert", unlimited)
    with pytest.raises(Unsupported, match="'relu6' gives differs by"):
        convscope.open(NETWORKS["depthwise_separable"](), via="torch")


def test_an_output_that_is_refused_is_refused_here_too():
    w = Writer()
    x = w.head(w.conv("picture", "conv1", 4, 3, 3, 3), 4)
    model = w.model(["n", 3, 6, 6], x, w.node("Transpose", [x], "turned_over", perm=[1, 0]), x, ranks=(2, 2, 2))
    engine = convscope.open(model, via="torch").engine
    batch = pictures(model, side=6)
    run = engine.run(batch, ["classes", "output", "output:2"], [Edit("output:2", 2.0)])
    np.testing.assert_allclose(run["output:2"], 2 * run["output"], rtol=1e-6)
    np.testing.assert_array_equal(run["output"], run["classes"])
    with pytest.raises(Unsupported, match="'output:1'.*another first axis"):
        engine.run(batch, ["output:1"])


@pytest.mark.parametrize(
    ("name", "says"), [("a_branch", "'If'"), ("without_biases_on_grey", "'GlobalMaxPool'"), ("a_loop", "'Loop'")]
)
def test_an_operator_that_cannot_be_converted_is_named(name, says):
    with pytest.raises(Unsupported, match=f"cannot convert version .* of the operator {says}.*without via='torch'"):
        convscope.open(NETWORKS[name](), via="torch")


def test_what_is_missing_or_meant_otherwise_is_said(monkeypatch, tmp_path):
    onnx.save(chain(), tmp_path / "net.onnx")
    with pytest.raises(WrongOption, match="'torch'"):
        convscope.open(tmp_path / "net.onnx", via="keras")
    for other in (torch.nn.Conv2d(3, 4, 3), "torchvision:resnet18", "net.keras"):
        with pytest.raises(InputError, match="converts ONNX networks"):
            convscope.open(other, via="torch")
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(MissingExtra, match=r"via='torch' needs onnx2torch.*pip install 'convscope\[onnx-torch\]'"):
        convscope.open(tmp_path / "net.onnx", via="torch")


def test_external_weights_and_old_files_are_converted_too(tmp_path):
    model = NETWORKS["initialisers_among_the_inputs"]()
    onnx.save(chain(), tmp_path / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    for source in (model, tmp_path / "net.onnx"):
        net = convscope.open(source, via="torch")
        np.testing.assert_array_equal(net.filters("conv1").values, numpy_helper.to_array(chain().graph.initializer[0]))
        assert net.engine.trace(pictures(chain())).pullback({"output": np.ones((2, 5), np.float32)}, ["input"])[
            "input"
        ].shape == (2, 3, 12, 12)


def test_on_the_command_line(exported, capsys, monkeypatch):
    from convscope.cli import main

    monkeypatch.setattr(sys, "argv", ["convscope", "layers", "-m", str(exported[1]), "--via", "torch"])
    with pytest.raises(SystemExit) as done:
        main()
    out = capsys.readouterr()
    assert done.value.code == 0
    assert "Conv" in out.out
    assert "Converted from ONNX" in out.err
