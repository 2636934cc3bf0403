"""`convscope scan`, `units`, `top` and `export`, as a user runs them."""

import json

import numpy as np
import pytest
from PIL import Image
from test_cli import run

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
DEMO = ["cassette_player", "cat"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scans")
    rng = np.random.default_rng(0)
    for number in range(6):
        path = folder / "pictures" / DEMO[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)).save(path)
    return folder


@pytest.fixture
def convscope(monkeypatch, capsys, folder):
    monkeypatch.chdir(folder)
    return lambda *arguments: run(monkeypatch, capsys, *arguments)


def test_a_scan_and_what_is_asked_of_it(convscope, folder):
    status, out, error = convscope("scan", "pictures", "-o", "out", "--at", "block5_conv2,block5_conv3")
    assert (status, error) == (0, "")
    assert "6 pictures" in out
    assert "dead: " in out
    status, out, _ = convscope("units", "out", "--sort", "max", "--first", "3")
    assert status == 0
    assert len(out.splitlines()) == 5
    values = [float(line.split()[2]) for line in out.splitlines()[1:4]]
    assert values == sorted(values, reverse=True)
    rows = json.loads(convscope("units", "out", "--layer", "block5_conv3", "--json", "--first", "0")[1])
    assert len(rows) == 160
    assert {row["layer"] for row in rows} == {"block5_conv3"}
    status, out, _ = convscope("top", "out", "block5_conv3", "3", "-o", "top.png")
    assert (status, out.splitlines()[-1]) == (0, "top.png")
    with Image.open(folder / "top.png") as sheet:
        assert sheet.width > 300
    assert len(json.loads(convscope("top", "out", "block5_conv3", "3", "--json")[1])) == 6
    cats = json.loads(convscope("top", "out", "block5_conv3", "3", "--class", "cat", "--json")[1])
    assert [row["label"] for row in cats] == ["cat"] * 3
    status, _, error = convscope(
        "scan", "pictures", "-o", "out", "--at", "block5_conv2,block5_conv3", "--speaking", "block5_conv3"
    )
    assert status == 0
    assert "via='torch'" in error  # the built-in network is an ONNX file: its lists are there, mean Grad-CAM is not
    assert len(json.loads(convscope("top", "out", "block5_conv3", "3", "--by", "relevance", "--json")[1])) == 6
    status, out, _ = convscope("export", "out", "block5_conv3", "-o", "features.csv", "--components", "2")
    assert (status, out) == (0, "features.csv\n")
    assert (folder / "features.csv").read_text().splitlines()[0] == "picture,name,label,component_0,component_1"
    answer = json.loads(convscope("export", "out", "block5_conv3", "-o", "features.npz", "--json")[1])
    assert answer == {"layer": "block5_conv3", "pictures": 6, "columns": 160, "file": "features.npz"}
    assert (folder / answer["file"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scan", "nowhere"], "nowhere"),
        (["scan", "pictures", "--engine", "dask", "-o", "x"], "dask"),
        (["scan", "pictures", "--at", "block9_conv1", "-o", "x"], "block9"),
        (["units", "pictures"], "no scan.json"),
        (["top", "pictures", "block5_conv3", "1"], "no scan.json"),
        (["top", "out", "block5_conv2", "1", "--by", "relevance"], "runs the network again"),
        (["export", "pictures", "block5_conv3", "-o", "f.xyz"], ".parquet"),
    ],
)
def test_what_is_wrong_gets_one_sentence(convscope, arguments, words):
    status, out, error = convscope(*arguments)
    assert (status, out) == (2, "")
    assert words in error
    assert len(error.splitlines()) == 1
