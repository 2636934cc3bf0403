"""docs/scan.md: its snippets and commands run, and it says what every column is."""

import re
import shlex
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from scans import write_pictures

DOCS = (Path(__file__).parent.parent / "docs" / "scan.md").read_text(encoding="utf-8")
pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'convscope[embed]'")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def write_network(path, dead=None):
    """Two convolutions with their ReLUs on 8 x 8 pixels, and three classes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {"w1": (6, 3, 3, 3), "w2": (8, 6, 3, 3), "w3": (8, 3)}
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    if dead is not None:
        arrays["w2"][dead] = -np.abs(arrays["w2"][dead])
    weights = [numpy_helper.from_array(values, name) for name, values in arrays.items()]
    nodes = [
        helper.make_node("Conv", ["input", "w1"], ["c1"], "conv1", pads=[1] * 4),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], "conv2", pads=[1] * 4),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("GlobalAveragePool", ["r2"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flat"),
        helper.make_node("MatMul", ["f", "w3"], ["out"], "classes"),
    ]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 3])]
    graph = helper.make_graph(nodes, "network", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def module():
    """The same as a PyTorch module."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    parts = [torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU(), torch.nn.Conv2d(6, 8, 3), torch.nn.ReLU()]
    ends = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 3)]
    names = ("conv1", "relu1", "conv2", "relu2", "pool", "flat", "classes")
    return torch.nn.Sequential(OrderedDict(zip(names, parts + ends, strict=True)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    write_pictures(folder / "pictures", 24)
    write_network(folder / "net.onnx")
    return folder


def test_python_snippets_run_one_after_the_other(folder, monkeypatch, capsys):
    for name in ("duckdb", "pandas", "polars"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    monkeypatch.chdir(folder)
    for snippet in blocks("python"):
        exec(compile(snippet, "docs/scan.md", "exec"), {"module": module()} if "open(module" in snippet else {})
    printed = capsys.readouterr().out
    assert "24 pictures" in printed
    assert (folder / "top.png").stat().st_size > 1000


def test_commands_run(folder, monkeypatch, capsys):
    from convscope import cli

    monkeypatch.chdir(folder)
    commands = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("convscope ")]
    assert len(commands) == 4
    for command in commands:
        words = shlex.split(command.replace("scan/", "of-commands/"), comments=True)
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code in (0, None), (command, capsys.readouterr().err)
    assert (folder / "features.parquet").exists()


def test_every_column_is_described(folder):
    from convscope.scan.result import Scan

    scan = Scan(folder / "scan")
    for name, table in (("units", scan.units), ("top", scan.top_pictures), ("pictures", scan.pictures)):
        described = DOCS[DOCS.index(f"| column of `{name}.parquet` |") :].split("\n\n")[0]
        assert re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in described.splitlines()[2:])) == list(table)
