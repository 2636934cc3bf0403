"""What is given as the name of a file: one sentence for what is none, nothing half-written, and the home folder by its sign."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import convscope
from convscope import cli, demo
from convscope.draw import write_whole
from convscope.errors import ConvscopeError, InputError, NotAModel, NotAPicture, OutputError
from convscope.scan.sources import listing
from convscope.studies.files import replacing

LONG = "x" * 300
NO_NAME = (None, "", 5, b"x.png", "a\0.png")


@pytest.fixture(scope="module")
def net():
    return convscope.open("demo")


@pytest.fixture(scope="module")
def maps(net):
    return net.maps(np.zeros((8, 8, 3), np.uint8), at="block5_conv3")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path


def sentence(error):
    """Whether it is one that a person can read: no empty name, no end of a line."""
    assert str(error).endswith((".", "?", ")"))
    assert "\n" not in str(error)
    assert "\0" not in str(error)


@pytest.mark.parametrize("name", [*NO_NAME, LONG, LONG + ".png", "nosuch/x.png"])
def test_what_names_no_file_is_refused_wherever_something_is_written(here, net, maps, name):
    one = maps["block5_conv3"]
    writers = [
        maps.save,
        maps.export,
        one.save,
        one.sheet(first=1).save,
        lambda path: maps.save(path, single_file=True),
        net.filters("block1_conv1").save,
        maps.crops("block5_conv3", first=1).save,
        maps.overlay("block5_conv3", first=1).save,
    ]
    for write in writers if not isinstance(name, str) or name != "nosuch/x.png" else writers[3:4]:
        with pytest.raises(ConvscopeError) as refused:
            write(name)
        sentence(refused.value)
    assert sorted(each.name for each in here.iterdir()) == ["home"]


def test_a_folder_that_we_are_in_is_not_replaced(here, maps):
    for name in (".", "..", "/", Path("")):
        with pytest.raises(OutputError, match="cannot be replaced by another"):
            maps.save(name)
    assert sorted(each.name for each in here.iterdir()) == ["home"]


def test_names_of_any_letters_and_the_home_folder(here, net, maps):
    names = ["a b.png", "ümläut ß.png", "'q\".png", "%20#?.png", "~x.png", "x" * 251 + ".png"]
    for name in names:
        assert maps["block5_conv3"].sheet(first=1).save(name) == Path(name)
        assert net.predict(name) == net.predict(Path(name))
    assert maps.save("~/study") == here / "home" / "study"
    shutil.copy("a b.png", "home/a.png")
    assert net.predict("~/a.png") == net.predict("a b.png")
    shutil.copy(demo.MODEL, "home/net.onnx")
    assert convscope.open("~/net.onnx").info.name == "net"
    assert not (here / "~").exists()
    assert listing("~/study/pictures").count == 1  # of a scan
    assert maps.save("y" * 240) == Path("y" * 240)
    assert sorted(each.name for each in here.iterdir()) == sorted([*names, "home", "y" * 240])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "the name is empty"),
        (".", "it is a folder"),
        (LONG + ".onnx", "File name too long"),
        ("https://example.com/net.onnx", "'https://example.com/net.onnx' .*it is an address.*Download it and give the file"),
        ("s3://bucket/net.pt", "it is an address"),
    ],
)
def test_a_network_that_is_no_file(name, says):
    with pytest.raises(NotAModel, match=says) as refused:
        convscope.open(name)
    sentence(refused.value)


def test_a_saved_model_of_tensorflow_is_told_what_to_open(tmp_path):
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(NotAModel, match="is a SavedModel of TensorFlow.*Give the .keras file"):
        convscope.open(tmp_path)


def test_a_file_that_may_not_be_read_says_so(monkeypatch):
    shutil.copy(demo.MODEL, "net.onnx")

    def refused(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(NotAModel, match="it cannot be read .Permission denied"):
        convscope.open("net.onnx")


def test_weights_and_labels_that_are_no_file():
    with pytest.raises(InputError, match="at an address.*Download the file and give that"):
        convscope.open("torchvision:resnet18", weights="https://example.com/w.pth")
    for labels in ("", "a\0b"):
        with pytest.raises(InputError, match="labels is named by a path|null character"):
            convscope.open("demo", labels=labels)


def test_a_picture_at_an_address_is_to_be_downloaded_first(net):
    for given in ("https://example.com/cat.png", ["https://example.com/cat.png"]):
        with pytest.raises(NotAPicture, match="'https://example.com/cat.png' .*it is an address, and nothing is downloaded here"):
            net.predict(given)


def test_no_layer_is_called_nothing(net, maps):
    for at in ("", [""], ["block5_conv3", ""]):
        with pytest.raises(InputError, match="^No layer was asked for: 'at' is empty"):
            net.maps(maps.pictures[0].pixels, at=at)
    with pytest.raises(InputError, match="by name or index, but received b'x'"):
        net.maps(maps.pictures[0].pixels, at=b"x")
    with pytest.raises(InputError, match="but received nothing"):
        net.maps({})


@pytest.mark.parametrize(
    "arguments",
    [["maps", "--at", ""], ["maps", ""], ["look", "-m", ""], ["look", "-o", ""], ["layers", "--model="], ["scan", "a", "--out="]],
)
def test_an_argument_of_the_command_line_that_is_empty_is_refused_before_anything_is_read(monkeypatch, capsys, arguments):
    Image.new("RGB", (8, 8)).save("picture of the folder that we are in.png")
    monkeypatch.setattr("sys.argv", ["convscope", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("convscope: ")
    assert said.err.endswith("is empty. If it stands for a variable of the shell, that is not set.\n")
    assert (arguments[-1].rstrip("=") or arguments[-2]) in said.err


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_is_stopped_while_it_is_written_leaves_what_was_there(here, monkeypatch, error):
    """Ctrl-C too, which is no OSError."""
    Path("old.png").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(error))
    with pytest.raises((KeyboardInterrupt, OutputError)):
        write_whole(Path("old.png"), b"new")
    with pytest.raises((KeyboardInterrupt, OutputError)), replacing(Path("study")) as draft:
        (draft / "study.json").write_text("{}")
    assert sorted(each.name for each in here.iterdir()) == ["home", "old.png"]
    assert Path("old.png").read_bytes() == b"old"


def test_a_list_of_addresses_is_scanned_as_a_table_of_them_is():
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: pip install 'convscope[ray]'")
    system = fsspec.filesystem("memory")
    content = Path(demo.picture()).read_bytes()
    for name in ("a", "b"):
        system.pipe(f"/there/{name}.png", content)
    found = listing([("memory://there/a.png", "x"), (str(demo.picture()), "y"), ("memory://there/b.png", "x")])
    assert (list(found.classes), found.count) == (["x", "y"], 3)
    pixels = [item.read().read().pixels for item in found.items(0)]
    assert np.array_equal(pixels[0], pixels[1])
    assert np.array_equal(pixels[0], pixels[2])
    with pytest.raises(InputError, match="Cannot open 'nosuch://host/a.png'"):
        listing(["nosuch://host/a.png"])


def test_the_command_line_leaves_an_address_as_it_is(monkeypatch, capsys):
    for arguments, says in (
        (["predict", "https://host/a.png"], "it is an address"),
        (["scan", "nosuch://host/a.csv"], "Cannot open"),
    ):
        monkeypatch.setattr("sys.argv", ["convscope", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr().err
        assert end.value.code == 2
        assert says in said
        assert arguments[1] in said
