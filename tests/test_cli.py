"""The command line, run as a user runs it: one clear sentence and exit 2 for what is wrong, nothing half-written."""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from convscope import cli, demo
from convscope.cli.commands import app


def run(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of `convscope ARGUMENTS`, without the cost of a process."""
    monkeypatch.setattr(sys, "argv", ["convscope", *map(str, arguments)])
    try:
        cli.main()
        status = 0
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def convscope(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run(monkeypatch, capsys, *arguments)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)).save(path)
    return path


def test_look_writes_a_page_and_says_where(convscope, picture, tmp_path):
    status, out, _ = convscope("look", picture, "-o", "pages")
    assert status == 0
    assert out.rstrip().endswith("pages/index.html")
    assert (tmp_path / "pages" / "index.html").is_file()
    assert out.count("%") == 5
    assert all(f"block{number}_conv" in out for number in range(1, 6))


def test_one_page_that_can_be_mailed(convscope, picture, tmp_path):
    status, out, _ = convscope("look", picture, "--single-file", "--at", "block5_conv3", "-o", "cat")
    assert status == 0
    assert out.rstrip().endswith("The page: cat.html")
    assert (tmp_path / "cat.html").is_file()
    assert not (tmp_path / "cat").exists()


def test_maps_as_one_page(convscope, picture, tmp_path):
    status, out, _ = convscope("maps", picture, "--single-file", "--at", "block1_conv1", "-o", "cat", "--json")
    assert status == 0
    assert json.loads(out)["page"] == "cat.html"
    assert (tmp_path / "cat.html").is_file()
    assert not (tmp_path / "cat").exists()


def test_every_command_answers_programs():
    """A command that prints only for people cannot be built upon."""
    commands = typer.main.get_command(app).commands
    assert {"look", "maps", "compare", "export", "scan"} <= set(commands)
    assert [name for name, each in commands.items() if not any("--json" in option.opts for option in each.params)] == []


def test_what_was_assumed_is_said_beside_json_too(convscope, picture, tmp_path):
    """A build that reads the answers alone would never learn that all of them may be wrong."""
    kernel = numpy_helper.from_array(np.ones((2, 3, 3, 3), np.float32), "w")
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("GlobalAveragePool", ["y"], ["z"])]
    ends = {"x": [1, 3, 8, 8], "z": [1, 2, 1, 1]}
    given, answer = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends.items())
    graph = helper.make_graph(nodes, "g", [given], [answer], [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    for command in (("layers",), ("predict", picture), ("maps", picture, "-o", "m"), ("look", picture, "-o", "l")):
        status, out, said = convscope(*command, "-m", "net.onnx", "--json")
        assert status == 0, said
        json.loads(out)
        assert "nothing is known about what this network expects" in said, command
    assert "nothing is known" not in convscope("predict", picture, "--json")[2]


def test_the_version_is_printed(convscope):
    from importlib.metadata import version

    assert convscope("--version") == (0, f"convscope {version('convscope')}\n", "")


def test_look_as_json(convscope, picture):
    status, out, _ = convscope("look", picture, "--json")
    answer = json.loads(out)
    assert status == 0
    assert answer["page"] == "study/index.html"
    assert len(answer["pictures"][0]["answers"]) == 5
    assert [row["layer"] for row in answer["layers"]][0] == "block1_conv2"


def test_layers_prints_the_table_and_its_totals(convscope):
    status, out, _ = convscope("layers")
    assert status == 0
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["index", "name", "kind"]
    total = sum(layer["parameters"] for layer in json.loads(convscope("layers", "--json")[1])["layers"])
    assert lines[-1].endswith(f"{total:,} parameters")


def test_filters_writes_a_picture(convscope, tmp_path):
    assert convscope("filters", "block1_conv1", "-o", "f.svg")[0] == 0
    assert "filter 0" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    assert convscope("filters", "1", "--rgb")[0] == 0
    with Image.open(tmp_path / "block1_conv1.png") as drawn:
        assert drawn.size[0] > 100


def test_filters_as_json_are_the_numbers(convscope):
    answer = json.loads(convscope("filters", "block1_conv1", "--json")[1])
    assert np.array(answer["kernel"]).shape == tuple(answer["shape"])


def test_maps_runs_only_as_far_as_asked(convscope, picture, tmp_path):
    status, out, _ = convscope("maps", picture, "--at", "block1_*", "--at", "3", "-o", "m", "--json")
    assert status == 0
    assert [row["layer"] for row in json.loads(out)["layers"]] == [
        "block1_conv1", "block1_relu1", "block1_conv2", "block1_relu2", "block1_pool",
    ]  # fmt: skip
    assert json.loads((tmp_path / "m" / "study.json").read_text(encoding="utf-8"))["pictures"][0]["answers"] is None


def test_predict_prints_as_many_answers_as_asked(convscope, picture):
    assert convscope("predict", picture, "--top", "2")[1].count("%") == 2
    (answer,) = json.loads(convscope("predict", picture, "--top", "3", "--json")[1])
    assert answer["picture"] == "noise"
    assert len(answer["answers"]) == 3


def network_file(path: Path, *, weight: float = 1.0, channels: int = 3) -> Path:
    """A convolution and a mean, with one weight of choice."""
    kernel = np.full((2, channels, 1, 1), weight, np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("GlobalAveragePool", ["a"], ["b"], "mean"),
        helper.make_node("Flatten", ["b"], ["y"], "flat"),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", channels, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, [numpy_helper.from_array(kernel, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_what_had_to_be_assumed_is_said(convscope, picture, tmp_path):
    network_file(tmp_path / "tiny.onnx")
    status, _, error = convscope("predict", picture, "-m", "tiny.onnx")
    assert status == 0
    assert "--preprocess" in error
    assert "--preprocess" not in convscope("predict", picture, "-m", "tiny.onnx", "--preprocess", "0..1")[2]


def test_a_file_that_is_no_picture_in_a_folder_is_a_note(convscope, picture, tmp_path):
    (tmp_path / "notes.txt").write_text("about")
    status, out, error = convscope("predict", tmp_path, "--top", "1")
    assert status == 0
    assert out.startswith(picture.stem)
    assert error.startswith("Note: Left out of")
    assert "notes.txt" in error


def test_several_layers_with_commas(convscope, picture):
    _, out, _ = convscope("maps", picture, "--at", "block1_conv1,block2_pool", "-o", "m", "--json")
    assert [row["layer"] for row in json.loads(out)["layers"]] == ["block1_conv1", "block2_pool"]


def write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def truncated_demo(folder: Path) -> None:
    (folder / "cut.onnx").write_bytes(demo.MODEL.read_bytes()[:100_000])


def truncated_jpeg(folder: Path) -> None:
    Image.effect_noise((200, 200), 90).save(folder / "whole.jpg")
    (folder / "cut.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    (folder / "whole.jpg").unlink()


def a_file_in_the_way(folder: Path) -> None:
    (folder / "taken").write_text("mine")


def a_folder_with_files(folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").write_text("mine")


def a_bomb(folder: Path) -> None:
    """A PNG of 40,000 x 40,000 pixels in two kilobytes."""
    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts]
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def a_pickled_module(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Conv2d(3, 2, 3), folder / "module.pt")


def weights_alone(folder: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Conv2d(3, 2, 3).state_dict(), folder / "weights.pt")


def a_lambda(folder: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x * 2, name="twice"), keras.layers.Flatten()]
    keras.Sequential(layers).save(folder / "lambda.keras")


def weights_outside(folder: Path) -> None:
    model = onnx.load(network_file(folder / "outside.onnx"))
    (weight,) = model.graph.initializer
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="../../secret.bin")
    onnx.save(model, folder / "outside.onnx")


BAD = [
    # what is wrong                 arguments                                             how it comes to be                words
    ("no such picture", ["look", "missing.png"], None, "missing.png"),
    ("an empty picture", ["look", "empty.png"], write("empty.png", b""), "empty"),
    ("text as a picture", ["look", "text.png"], write("text.png", b"hello, world"), "text.png"),
    ("a truncated JPEG", ["look", "cut.jpg"], truncated_jpeg, "cut.jpg"),
    ("a decompression bomb", ["look", "bomb.png"], a_bomb, "bomb.png"),
    ("a folder without pictures", ["look", "nothing"], lambda folder: (folder / "nothing").mkdir(), "nothing"),
    ("no such network", ["look", "noise.png", "-m", "missing.onnx"], None, "no such file"),
    ("an empty network", ["look", "noise.png", "-m", "empty.onnx"], write("empty.onnx", b""), "empty"),
    ("a truncated network", ["look", "noise.png", "-m", "cut.onnx"], truncated_demo, "cut.onnx"),
    ("text as a network", ["layers", "-m", "text.onnx"], write("text.onnx", b"hello, world\n" * 9), "text.onnx"),
    ("a zip as ONNX", ["layers", "-m", "zip.onnx"], write("zip.onnx", b"PK\x03\x04" + b"\0" * 60), "zip"),
    ("text as Keras", ["layers", "-m", "text.keras"], write("text.keras", b"hello"), "text.keras"),
    ("text as HDF5", ["layers", "-m", "text.h5"], write("text.h5", b"hello"), "text.h5"),
    ("text as torch", ["layers", "-m", "text.pt"], write("text.pt", b"hello"), "text.pt"),
    ("a pickle", ["layers", "-m", "module.pt", "--shape", "3,8,8"], a_pickled_module, "--trust"),
    ("weights without their network", ["layers", "-m", "weights.pt", "--shape", "3,8,8"], weights_alone, "weights"),
    ("code in a Keras file", ["layers", "-m", "lambda.keras"], a_lambda, "'twice'"),
    ("weights outside the folder", ["layers", "-m", "outside.onnx"], weights_outside, "secret.bin"),
    ("an unknown ending", ["layers", "-m", "net.xyz"], write("net.xyz", b"hello"), ".xyz"),
    ("a folder as a network", ["layers", "-m", "."], None, "folder"),
    ("an unknown name", ["layers", "-m", "keras:VGG17"], None, "VGG16"),
    ("an unknown source", ["layers", "-m", "caffe:alexnet"], None, "keras:"),
    ("an unknown layer", ["filters", "block1_covn1"], None, "block1_conv1"),
    ("a layer without filters", ["filters", "block1_pool"], None, "no filters"),
    ("an index too large", ["filters", "99"], None, "99"),
    ("a pattern that fits nothing", ["maps", "noise.png", "--at", "block9_*"], None, "block9_"),
    ("an unknown scale", ["maps", "noise.png", "--scale", "nice"], None, "shared"),
    ("an unknown colour map", ["maps", "noise.png", "--colour", "jett"], None, "viridis"),
    ("an unknown preprocessing", ["predict", "noise.png", "--preprocess", "cafe"], None, "caffe"),
    ("a shape of words", ["layers", "--shape", "big"], None, "--shape"),
    ("weights for a file", ["layers", "--weights", "imagenet"], None, "by name"),
    ("labels that are missing", ["predict", "noise.png", "--labels", "none.txt"], None, "none.txt"),
    ("labels that are not there", ["predict", "noise.png", "--labels", "l.txt"], write("l.txt", b"\n\n"), "no labels"),
    ("too few labels", ["predict", "noise.png", "--labels", "l.txt"], write("l.txt", b"cat\ndog\n"), "11 classes"),
    ("a file where the study goes", ["look", "noise.png", "-o", "taken"], a_file_in_the_way, "taken"),
    ("other files where the study goes", ["look", "noise.png", "-o", "full"], a_folder_with_files, "other files"),
    ("a study inside a file", ["look", "noise.png", "-o", "taken/study"], a_file_in_the_way, "taken"),
    ("a sheet of an unknown ending", ["filters", "1", "-o", "f.docx"], None, "f.docx"),
    ("a sheet in a folder that is not there", ["filters", "1", "-o", "no/f.png"], None, "f.png"),
    (
        "weights with NaN",
        ["predict", "noise.png", "-m", "nan.onnx"],
        lambda f: network_file(f / "nan.onnx", weight=np.nan),
        "'conv'",
    ),
    (
        "colour tiles of four channels",
        ["filters", "1", "--rgb", "-m", "4.onnx"],
        lambda f: network_file(f / "4.onnx", channels=4),
        "3",
    ),
    (
        "a picture for four channels",
        ["predict", "noise.png", "-m", "4.onnx"],
        lambda f: network_file(f / "4.onnx", channels=4),
        "4",
    ),
]


@pytest.mark.parametrize(("arguments", "prepare", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_wrong_gets_one_sentence(convscope, picture, tmp_path, arguments, prepare, words):
    if prepare:
        prepare(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    status, out, error = convscope(*arguments)
    assert status == 2
    assert error.startswith("convscope: ")
    assert words.lower() in error.lower()
    assert "Traceback" not in error
    assert len(error.splitlines()) == 1
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before  # nothing half-written
    assert picture.exists()


@pytest.mark.parametrize("arguments", [["--nonsense"], ["look", "--top"], ["filters"], ["predict", "--top", "0"]])
def test_what_is_no_command_is_explained(convscope, arguments):
    status, _, error = convscope(*arguments)
    assert status == 2
    assert error.startswith("convscope: ")
    assert error.endswith("--help' lists what there is.\n")


def test_a_folder_that_cannot_be_written(convscope, picture, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write everywhere but where the kernel has its own
        locked = Path("/proc/self")
    status, out, error = convscope("look", picture, "-o", locked / "study")
    assert status == 2
    assert str(locked) in error
    assert len(error.splitlines()) == 1
    assert out == ""


def test_a_defect_of_ours_shows_its_traceback(tmp_path):
    code = "from convscope import cli, opening\ndef f(*a, **k): raise ZeroDivisionError\nopening.open = f\ncli.main()"
    done = subprocess.run([sys.executable, "-c", code, "layers"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_overlays_and_crops_are_drawn_for_every_picture(convscope, picture, tmp_path):
    import shutil

    other = shutil.copy(tmp_path / picture, tmp_path / "other.png")
    status, out, _ = convscope(
        "overlay", picture, str(other), "--at", "block4_conv3", "--units", "3,1", "-o", "over.png", "--json"
    )
    assert status == 0
    answer = json.loads(out)
    assert (answer["layer"], [each["units"] for each in answer["pictures"]]) == ("block4_conv3", [[3, 1], [3, 1]])
    for each in answer["pictures"]:
        with Image.open(tmp_path / each["file"]) as image:
            assert image.width > 400
    status, out, _ = convscope("crops", picture, "--first", "2", "--order", "max", "-o", "crops.png")
    assert status == 0
    assert "of 'block5_conv3'" in out  # the last one whose maps are pictures
    assert (tmp_path / "crops.png").is_file()
    for wrong, words in (
        (("--units", "a"), "--units takes"),
        (("--at", "softmax"), "sheet"),
        (("--units", "900"), "no unit 900"),
    ):
        status, _, error = convscope("overlay", picture, *wrong, "-o", "none.png")
        assert (status, words in error, "Traceback" in error) == (2, True, False), error
    assert not (tmp_path / "none.png").exists()


def test_the_channels_of_a_signal_have_names(convscope, tmp_path):
    weights = numpy_helper.from_array(np.ones((2, 3, 5), np.float32), "w")
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 40])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 36])]
    graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"], "conv")], "signal", inputs, outputs, [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "signal.onnx")
    np.save(tmp_path / "eeg.npy", np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32))
    assert convscope("look", "eeg.npy", "-m", "signal.onnx", "--at", "all", "--channels", "Fz,Cz,Pz", "-o", "eeg")[0] == 0
    assert json.loads((tmp_path / "eeg" / "study.json").read_text())["signal"]["channels"] == ["Fz", "Cz", "Pz"]
    status, _, error = convscope("look", "eeg.npy", "-m", "signal.onnx", "--at", "all", "--channels", "Fz,Cz", "-o", "two")
    assert (status, "3 channels need as many different names" in error) == (2, True)


def test_what_tensorflow_tells_when_it_is_imported_is_left_out_and_its_warnings_are_not(tmp_path):
    told = "WARNING: All log messages before absl::InitializeLog() is called are ...\nI0000 00:00:1795.2 port.cc:153] oneDNN"
    warned = "W0000 00:00:1795.2 x.cc:1] a warning\nand why\n"
    (tmp_path / "tensorflow").mkdir()
    package = tmp_path / "tensorflow" / "__init__.py"
    package.write_text(f"import os\nos.write(2, {told.encode()!r} + b'\\n' + {warned.encode()!r})\nloaded = True\n")
    code = "from convscope.cli.quiet import quiet_tensorflow as q; q(); q()\n"
    code += "import importlib.util as u; u.find_spec('tensorflow'); import tensorflow; print(tensorflow.loaded)"
    bare = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    for own, left in ({}, warned), ({"TF_CPP_MIN_LOG_LEVEL": "0"}, f"{told}\n{warned}"):
        environment = bare | own | {"PYTHONPATH": os.pathsep.join((str(tmp_path), *sys.path))}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == ("True\n", left)
