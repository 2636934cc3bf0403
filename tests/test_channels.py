"""Pictures of 1, 2, 4, 6 and 13 channels: arrays, .npy files, TIFFs with a page per channel; drawn with the channels named."""

import dataclasses
import sys

import numpy as np
import onnx
import pytest
from PIL import Image
from zoo_onnx import Writer

import convscope
from convscope import Preprocess
from convscope.errors import InputError, NotAPicture, WrongPictureShape
from convscope.pictures import prepare

RANDOM = np.random.default_rng(0)
COUNTS = (1, 2, 4, 6, 13)


def network(channels, size=None):
    """Fully convolutional up to its mean; of any size, or of one."""
    w = Writer(seed=channels)
    x = w.node("Relu", [w.conv("picture", "conv1", 4, channels, 3, 3)], "relu1")
    return w.model(["n", channels, *(size or ("h", "w"))], w.head(w.node("Relu", [w.conv(x, "conv2", 5, 4, 3, 3)], "relu2"), 5))


def tiff(path, planes):
    """A file with a page per plane (c, h, w)."""
    first, *others = [Image.fromarray(plane) for plane in planes]
    first.save(path, save_all=True, append_images=others)
    return path


@pytest.mark.parametrize("channels", COUNTS)
def test_the_same_picture_by_every_way_gives_the_same_maps(channels, tmp_path):
    net = convscope.open(network(channels))
    pixels = RANDOM.integers(0, 256, (9, 7, channels)).astype(np.uint8)
    ready = (pixels.transpose(2, 0, 1) / 255).astype(np.float32)
    np.save(tmp_path / "pixels.npy", pixels)
    np.save(tmp_path / "ready.npy", ready)
    ways = [
        pixels,
        ready,
        ready[None],
        tmp_path / "pixels.npy",
        tmp_path / "ready.npy",
        tiff(tmp_path / "pages.tif", pixels.transpose(2, 0, 1)),
    ]
    if channels == 1:
        ways.append(pixels[..., 0])
    expected = net.engine.run(ready[None], ["conv1"])["conv1"]
    for given in ways:
        maps = net.maps(given, at="conv1")
        np.testing.assert_allclose(maps["conv1"].values, expected, atol=1e-5)
        assert maps.pictures[0].pixels.shape == (9, 7, 3)


def test_a_folder_may_hold_all_of_these(tmp_path):
    pixels = RANDOM.integers(0, 256, (2, 9, 7, 6)).astype(np.uint8)
    np.save(tmp_path / "b.npy", pixels)
    tiff(tmp_path / "a.tif", pixels[0].transpose(2, 0, 1))
    prepared = prepare(tmp_path, Preprocess(channels=6))
    assert prepared.names == ("a", "b", "b (2)")
    np.testing.assert_array_equal(prepared.values[0], prepared.values[1])
    np.testing.assert_array_equal(prepared.values[2], (pixels[1] / np.float32(255)).transpose(2, 0, 1))


def test_the_channels_that_are_named_are_drawn():
    pixels = RANDOM.integers(0, 256, (9, 7, 13)).astype(np.uint8)
    rule = Preprocess(channels=13, mean=RANDOM.random(13), std=1 + RANDOM.random(13), shown=(3, 2, 1))
    prepared = prepare(pixels, rule)
    np.testing.assert_array_equal(prepared.shown[0], pixels[..., [3, 2, 1]])
    assert "of its 13 channels 3, 2 and 1 are shown as red, green and blue" in prepared.notes[0]
    assert "13 channels (3, 2 and 1 are shown as red, green and blue)" in rule.describe()
    one = prepare(pixels, dataclasses.replace(rule, shown=(7,)))
    np.testing.assert_array_equal(one.shown[0], pixels[..., [7, 7, 7]])
    first = prepare(pixels, dataclasses.replace(rule, shown=None))
    np.testing.assert_array_equal(first.shown[0], pixels[..., [0, 0, 0]])
    assert "of its 13 channels the first is shown, in grey" in first.notes[0]
    assert Preprocess.from_dict(rule.to_dict()) == rule


@pytest.mark.parametrize("shown", [(1, 2), (3, 2, 13), (-1, 0, 1), "rgb"])
def test_channels_that_are_not_there_are_refused(shown):
    with pytest.raises(InputError, match="'shown'"):
        Preprocess(channels=13, shown=shown)


def test_the_command_line_and_the_page_say_which_channels_are_drawn(tmp_path, monkeypatch):
    from convscope.cli import main

    onnx.save(network(6), tmp_path / "net.onnx")
    np.save(tmp_path / "picture.npy", RANDOM.integers(0, 256, (16, 16, 6)).astype(np.uint8))
    command = [
        "look",
        str(tmp_path / "picture.npy"),
        "-m",
        str(tmp_path / "net.onnx"),
        "--channels",
        "3,2,1",
        "-o",
        str(tmp_path / "study"),
    ]
    monkeypatch.setattr(sys, "argv", ["convscope", *command])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code == 0
    assert "3, 2 and 1 are shown as red, green and blue" in (tmp_path / "study" / "index.html").read_text(encoding="utf-8")


def test_sixteen_bits_keep_their_levels(tmp_path):
    """As satellites have them: most of the range is empty, and rounding to bytes would leave a few levels of it."""
    planes = RANDOM.integers(0, 3000, (4, 9, 7)).astype(np.uint16)
    rule = Preprocess(channels=4, mean=(0.1, 0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7, 0.8))
    prepared = prepare(tiff(tmp_path / "deep.tif", planes), rule)
    mean, std = (np.array(each)[:, None, None] for each in (rule.mean, rule.std))
    np.testing.assert_allclose(prepared.values[0], (planes / 65535 - mean) / std, atol=1e-6)
    assert any("16 bits per pixel as x / 257; its values are" in note for note in prepared.notes[0])
    assert len(np.unique(prepared.values)) > 100


def test_pages_of_floats_are_already_preprocessed(tmp_path):
    planes = RANDOM.random((4, 9, 7), np.float32)
    prepared = prepare(tiff(tmp_path / "floats.tif", planes), Preprocess(channels=4, mean=(0.5,) * 4))
    np.testing.assert_array_equal(prepared.values[0], planes)
    assert "an array, taken as already preprocessed" in prepared.notes[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_each_channel_is_resized_as_a_grey_picture_is(tmp_path, dtype):
    planes = (RANDOM.integers(0, 256, (6, 40, 30)) * (257 if dtype == np.uint16 else 1)).astype(dtype)
    rule = Preprocess(channels=6, size=(16, 16), resample="bicubic", scale=1.0)
    found = prepare(tiff(tmp_path / "pages.tif", planes), rule).values[0]
    grey = dataclasses.replace(rule, channels=1)
    for channel, plane in enumerate(planes):
        expected = prepare((plane // (257 if dtype == np.uint16 else 1)).astype(np.uint8), grey).values[0, 0]
        bound = 0 if dtype == np.uint8 else 1.01  # bytes are rounded after each of the two directions, and clipped
        assert np.abs(np.clip(found[channel], 0, 255) - expected).max() <= bound


def test_a_network_of_one_size_gets_its_picture_fitted_and_arrays_refused():
    net = convscope.open(network(6, (12, 10)))
    assert net.preprocess.size == (12, 10)
    assert net.maps(RANDOM.integers(0, 256, (30, 20, 6)).astype(np.uint8), at="conv1")["conv1"].values.shape == (1, 4, 12, 10)
    with pytest.raises(WrongPictureShape, match=r"shape \(any, 6, 12, 10\), but received \(1, 6, 30, 20\)"):
        net.maps(np.zeros((1, 6, 30, 20), np.float32))
    with pytest.raises(WrongPictureShape, match=r"shape \(any, 6, any, any\), but received \(1, 3, 12, 10\)"):
        net.maps(np.zeros((1, 3, 12, 10), np.float32))


def test_a_network_of_any_size_takes_any():
    net = convscope.open(network(2))
    for size in ((9, 7), (33, 20)):
        assert net.maps(np.zeros((1, 2, *size), np.float32), at="conv2")["conv2"].values.shape == (1, 5, *size)


GREY, COLOUR, DEEP = np.zeros((9, 7), np.uint8), np.zeros((9, 7, 3), np.uint8), np.zeros((9, 7), np.uint16)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ([GREY] * 4, NotAPicture, "has 4 pages, but this network takes 6 channels"),
        ([np.zeros((9, 7 + extra), np.uint8) for extra in range(6)], NotAPicture, "pages differ in size"),
        ([COLOUR] * 6, NotAPicture, "its page 1 is of Pillow's mode RGB"),
        ([GREY] * 5 + [DEEP], NotAPicture, "pages differ in kind"),
        (COLOUR, InputError, r"takes 6 channels, but 'picture 1' has 3\. Give a TIFF with a page per channel"),
        (np.zeros((9, 7, 5), np.uint8), InputError, r"\(h, w, 1 \| 3 \| 4 \| 6\).*received \(9, 7, 5\)"),
        (np.zeros((1, 5, 9, 7), np.float32), WrongPictureShape, r"\(any, 6, any, any\), but received \(1, 5, 9, 7\)"),
        ("missing.npy", NotAPicture, "no such file"),
    ],
    ids=["pages", "sizes", "colour pages", "kinds", "colour", "five", "floats", "missing"],
)
def test_what_does_not_fit_says_what_does(tmp_path, given, error, says):
    source = tiff(tmp_path / "x.tif", given) if isinstance(given, list) else given
    with pytest.raises(error, match=says):
        prepare(source, Preprocess(channels=6))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x93NUMPY\x01\x00v\x00{'descr'", b"PK\x03\x04"])
def test_files_that_are_no_array(tmp_path, content):
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(NotAPicture, match=r"x\.npy"):
        prepare(tmp_path / "x.npy", Preprocess())


def test_pickled_arrays_are_not_opened(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(NotAPicture, match="Python objects"):
        prepare(tmp_path / "x.npy", Preprocess())


def test_a_colour_network_shows_the_first_page_and_says_so(tmp_path):
    prepared = prepare(tiff(tmp_path / "x.tif", RANDOM.integers(0, 256, (3, 9, 7)).astype(np.uint8)), Preprocess())
    assert any("only picture 1 of several" in note for note in prepared.notes[0])
