"""Preprocess: what a picture becomes, that it can be undone, and that it is plain data."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from convscope.errors import InputError, WrongOption
from convscope.pictures import PRESETS, Picture, Preprocess

RANDOM = np.random.default_rng(0)
RESAMPLING = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def noise(height=40, width=60, channels=3) -> Picture:
    return Picture("noise", np.random.default_rng(height * width).integers(0, 256, (height, width, channels), np.uint8))


def every_level(channels=3) -> Picture:
    """All 256 levels in every channel, in another order in each."""
    return Picture("levels", np.stack([RANDOM.permutation(256).reshape(16, 16) for _ in range(channels)], -1).astype(np.uint8))


def as_colour(pixels):
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


sides = st.integers(1, 40)
numbers = st.floats(0.01, 200, allow_nan=False)


@st.composite
def preprocesses(draw):
    channels = draw(st.sampled_from([1, 3]))
    three = st.tuples(*[numbers] * channels)
    try:
        return Preprocess(
            size=draw(st.none() | st.tuples(sides, sides)),
            fit=draw(st.sampled_from(["crop", "stretch", "pad"])),
            resample=draw(st.sampled_from(RESAMPLING)),
            scale=draw(st.sampled_from([1 / 255, 1 / 127.5, 1.0, 1 / 256, -1 / 255]) | numbers),
            offset=draw(st.floats(-128, 128)),
            mean=draw(st.none() | three),
            std=draw(st.none() | three),
            order=draw(st.sampled_from(["rgb", "bgr"] if channels == 3 else ["rgb"])),
            channels=channels,
            crop_fraction=draw(st.floats(0.3, 1)),
            fill=draw(st.integers(0, 255)),
        )
    except InputError:  # levels that float32 cannot keep apart
        assume(False)


@settings(deadline=None, max_examples=200)
@given(preprocesses(), st.tuples(sides, sides, st.sampled_from([1, 3])))
def test_undo_gives_the_fitted_picture_to_the_pixel(preprocess, shape):
    picture = noise(*shape)
    values = preprocess.apply(picture)
    fitted = preprocess.pixels(picture)
    assert values.dtype == np.float32
    assert values.shape == (preprocess.channels, *fitted.shape[:2])
    assert fitted.shape[:2] == (preprocess.size or shape[:2])
    np.testing.assert_array_equal(preprocess.undo(values), as_colour(fitted))
    assert preprocess.outside(values) == 0


@pytest.mark.parametrize("name", PRESETS)
def test_undo_keeps_every_level_apart(name):
    picture = every_level()
    np.testing.assert_array_equal(PRESETS[name].undo(PRESETS[name].apply(picture)), picture.pixels)


def test_the_arithmetic_is_that_of_keras_applications_to_the_bit():
    utils = pytest.importorskip("keras.applications.imagenet_utils", reason="keras is not installed")
    picture = every_level()
    for mode in ("caffe", "tf", "torch"):
        theirs = utils.preprocess_input(picture.pixels.astype(np.float32)[None], data_format="channels_last", mode=mode)
        np.testing.assert_array_equal(PRESETS[mode].apply(picture), theirs[0].transpose(2, 0, 1))


def test_the_arithmetic_is_that_of_torchvision():
    picture = every_level()
    tensor = picture.pixels.transpose(2, 0, 1).astype(np.float32) / np.float32(255)  # ToTensor
    mean, std = (np.array(each, np.float32)[:, None, None] for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    np.testing.assert_allclose(PRESETS["torch"].apply(picture), (tensor - mean) / std, rtol=0, atol=1e-6)


@given(preprocesses())
@settings(deadline=None, max_examples=50)
def test_the_arithmetic_is_the_formula(preprocess):
    picture = every_level(preprocess.channels)
    own_size = dataclasses.replace(preprocess, size=None)
    order = [2, 1, 0] if preprocess.order == "bgr" else range(preprocess.channels)
    exact = picture.pixels.astype(np.float64)[..., order] * preprocess.scale + preprocess.offset
    exact = (exact - np.array(preprocess.mean or 0)) / np.array(preprocess.std or 1)
    size = 255 * abs(preprocess.scale) + abs(preprocess.offset) + max(map(abs, preprocess.mean or (0,)))
    error = np.abs(own_size.apply(picture) - exact.transpose(2, 0, 1))
    assert (error <= 4e-7 * size / min(preprocess.std or (1,))).all()


def test_bgr_has_blue_first_and_its_mean_too():
    red = Picture("red", np.full((2, 2, 3), (255, 0, 10), np.uint8))
    values = Preprocess(scale=1.0, mean=(1.0, 2.0, 3.0), order="bgr").apply(red)
    np.testing.assert_array_equal(values[:, 0, 0], [10 - 1, 0 - 2, 255 - 3])


def test_colour_becomes_grey_by_its_luma():
    primaries = Picture("rgb", np.eye(3, dtype=np.uint8)[None] * 255)
    luma = Preprocess(scale=1.0, channels=1).apply(primaries)[0, 0]
    np.testing.assert_array_equal(luma, [round(255 * part) for part in (0.299, 0.587, 0.114)])


def test_grey_becomes_three_channels_that_are_the_same():
    picture = noise(channels=1)
    values = Preprocess(size=(20, 30)).apply(picture)
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_array_equal(values[0], values[2])


@pytest.mark.parametrize("resample", RESAMPLING)
def test_resizing_is_that_of_pillow_on_bytes(resample):
    picture = noise()
    theirs = Image.fromarray(picture.pixels).resize((17, 23), Image.Resampling[resample.upper()])
    ours = Preprocess(size=(23, 17), fit="stretch", resample=resample, scale=1.0).apply(picture)
    np.testing.assert_array_equal(ours, np.asarray(theirs, np.float32).transpose(2, 0, 1))


def as_torchvision_does(image: Image.Image, resize: int, crop: int) -> Image.Image:
    """Resize(resize) and CenterCrop(crop), the long way."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = int(resize * long / short)
    image = image.resize((resize, new_long) if width <= height else (new_long, resize), Image.Resampling.BILINEAR)
    left, top = int(round((image.width - crop) / 2.0)), int(round((image.height - crop) / 2.0))
    return image.crop((left, top, left + crop, top + crop))


@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 375), (333, 333), (224, 224), (100, 41), (41, 100), (9, 300)])
@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (224, 224), (73, 64)])
def test_crop_is_that_of_torchvision(height, width, resize, crop):
    picture = noise(height, width)
    ours = Preprocess(size=(crop, crop), crop_fraction=crop / resize).pixels(picture)
    np.testing.assert_array_equal(ours, np.asarray(as_torchvision_does(Image.fromarray(picture.pixels), resize, crop)))


@given(sides, sides, sides, sides, st.floats(0.3, 1))
def test_crop_keeps_the_ratio_and_the_middle(h, w, height, width, fraction):
    """A wedge of grey from left to right, cropped, is a wedge around the same middle."""
    assume(h > 4 and w > 4 and height > 4 and width > 4)
    wedge = np.tile(np.linspace(0, 255, w), (h, 1)).round().astype(np.uint8)[..., None]
    row = Preprocess(size=(height, width), crop_fraction=fraction, channels=1).pixels(Picture("wedge", wedge))[0, :, 0]
    step = 255 / (w - 1)  # one pixel of the picture
    factor = max(height / h, width / w) / fraction
    assert abs((float(row[0]) + float(row[-1])) / 2 - 127.5) <= step * (1 + 1 / factor) + 2


def test_a_padded_picture_is_whole_in_the_middle_of_its_fill():
    white = Picture("white", np.full((10, 20, 3), 255, np.uint8))
    pixels = Preprocess(size=(40, 40), fit="pad", fill=7).pixels(white)
    assert (pixels[10:30] == 255).all()
    assert (pixels[:10] == 7).all()
    assert (pixels[30:] == 7).all()
    grey = Preprocess(size=(8, 40), fit="pad", fill=7, channels=1).pixels(white)[..., 0]
    assert (grey[:, 12:28] == 255).all()
    assert (grey[:, :12] == 7).all()


def test_a_very_thin_picture_does_not_vanish():
    assert Preprocess(size=(8, 8), fit="pad").pixels(noise(1, 400)).shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("preprocess", "picture"),
    [
        (Preprocess(size=(224, 224)), noise(1, 20_000)),
        (Preprocess(size=(10**5, 10**5), fit="stretch"), noise()),
        (Preprocess(size=(10**5, 10**5), fit="pad"), noise(1, 1)),
    ],
)
def test_what_would_become_enormous_is_refused(preprocess, picture, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 900_000)
    with pytest.raises(InputError, match=r"more than the 900,000 pixels .* Crop it first"):
        preprocess.apply(picture)


def test_a_picture_has_no_six_channels():
    with pytest.raises(InputError, match=r"6 channels, but 'noise' .*\(n, 6, h, w\)"):
        Preprocess(channels=6).apply(noise())


def test_undo_shows_the_first_of_other_channels_in_grey():
    values = RANDOM.random((6, 4, 5), np.float32)
    shown = Preprocess(channels=6).undo(values)
    np.testing.assert_array_equal(shown, np.repeat(np.rint(values[0] * 255).astype(np.uint8)[..., None], 3, axis=2))


def test_undo_clips_and_says_how_much():
    values = np.array([-5, 0, 0.5, 1, 99, np.inf, -np.inf, np.nan], np.float32).reshape(1, 2, 4)
    preprocess = Preprocess(channels=1)
    assert preprocess.undo(values)[..., 0].ravel().tolist() == [0, 0, 128, 255, 255, 255, 0, 0]
    assert preprocess.outside(values[:, :1]) == 1 / 4
    assert Preprocess(channels=1, scale=-1 / 255).outside(-values[:, :1]) == 1 / 4


@pytest.mark.parametrize("shape", [(1, 4, 4), (4, 4, 3), (1, 3, 4, 4), (3, 4)])
def test_undo_takes_one_picture_of_the_right_channels(shape):
    with pytest.raises(InputError, match=r"shape \(3, h, w\)"):
        Preprocess().undo(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("preprocess", "words"),
    [
        (Preprocess(size=(224, 224), scale=1 / 127.5, offset=-1), "resized to 224 x 224 (cropped, bilinear), RGB, x / 127.5 - 1"),
        (PRESETS["caffe"], "in its own size, BGR, x - (103.939, 116.779, 123.68)"),
        (PRESETS["torch"], "in its own size, RGB, (x / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)"),
        (PRESETS["0..255"], "in its own size, RGB, x from 0 to 255 as it is"),
        (
            Preprocess(size=(8, 9), fit="pad", fill=114, channels=1, mean=(0.5,), scale=0.003),
            "resized to 8 x 9 (padded with grey level 114, bilinear), grey, x * 0.003 - 0.5",
        ),
        (
            Preprocess(size=(224, 224), crop_fraction=224 / 256, resample="bicubic", scale=1, std=(2, 3, 4)),
            "resized to 224 x 224 (cropped to the central 0.875 of the shorter side, bicubic), RGB, x / (2, 3, 4)",
        ),
        (
            Preprocess(size=(9, 9), fit="stretch", channels=4, offset=0.5),
            "resized to 9 x 9 (stretched, bilinear), 4 channels, x / 255 + 0.5",
        ),
    ],
)
def test_describe_is_one_line_that_a_person_understands(preprocess, words):
    assert preprocess.describe() == words


@given(preprocesses())
def test_json_keeps_everything(preprocess):
    again = Preprocess.from_dict(json.loads(json.dumps(preprocess.to_dict())))
    assert again == preprocess
    assert hash(again) == hash(preprocess)


def test_what_a_dict_leaves_out_is_as_in_the_constructor():
    assert Preprocess.from_dict({"size": [3, 4], "scale": 1}) == Preprocess(size=(3, 4), scale=1.0)
    assert Preprocess(mean=np.array([1, 2, 3]), size=np.array([5, 6])) == Preprocess(mean=(1.0, 2.0, 3.0), size=(5, 6))


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ({"means": [1, 2, 3]}, WrongOption, "mean"),
        ({"fit": "croop"}, WrongOption, "'fit'"),
        ({"resample": "area"}, WrongOption, "'resample'"),
        ({"order": "gbr"}, WrongOption, "'order'"),
        ({"order": "bgr", "channels": 1}, InputError, "'order'"),
        ({"dtype": "float16"}, WrongOption, "'dtype'"),
        ({"fit": ["crop"]}, WrongOption, "'fit'"),
        ({"size": 224}, InputError, "'size'"),
        ({"size": [224]}, InputError, "'size'"),
        ({"size": [0, 224]}, InputError, "'size'"),
        ({"size": [224.5, 224]}, InputError, "'size'"),
        ({"size": "224"}, InputError, "'size'"),
        ({"scale": 0}, InputError, "'scale'"),
        ({"scale": "1/255"}, InputError, "'scale'"),
        ({"scale": 10**400}, InputError, "'scale'"),
        ({"scale": True}, InputError, "'scale'"),
        ({"scale": math.nan}, InputError, "'scale'"),
        ({"offset": None}, InputError, "'offset'"),
        ({"offset": math.inf}, InputError, "'offset'"),
        ({"mean": [1, 2]}, InputError, "'mean'"),
        ({"mean": 0.5}, InputError, "'mean'"),
        ({"mean": [1, 2, "3"]}, InputError, "'mean'"),
        ({"mean": [1, 2, math.nan]}, InputError, "'mean'"),
        ({"std": [1, 0, 1]}, InputError, "'std'"),
        ({"std": [1, 1, -1]}, InputError, "'std'"),
        ({"channels": 0}, InputError, "'channels'"),
        ({"channels": 3.0}, InputError, "'channels'"),
        ({"channels": 1, "mean": [1, 2, 3]}, InputError, "'mean'"),
        ({"crop_fraction": 0}, InputError, "'crop_fraction'"),
        ({"crop_fraction": 1.5}, InputError, "'crop_fraction'"),
        ({"fill": 256}, InputError, "'fill'"),
        ({"origin": 7}, InputError, "'origin'"),
        ({"scale": 1e-30, "offset": 1}, InputError, "256 levels"),
        ({"scale": 1e300}, InputError, "256 levels"),
        ({"mean": [1e9, 0, 0]}, InputError, "256 levels"),
        ([1, 2], InputError, "an object"),
        (None, InputError, "an object"),
    ],
    ids=str,
)
def test_what_is_not_possible_is_named_by_its_key(data, error, words):
    with pytest.raises(InputError, match=words) as caught:
        Preprocess.from_dict(data)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_parse_knows_the_names(name):
    assert Preprocess.parse(name) == PRESETS[name]
    assert Preprocess.parse(f"{name} 224") == dataclasses.replace(PRESETS[name], size=(224, 224))
    assert Preprocess.parse(f" {name}  192x256 ").size == (192, 256)


def test_parse_reads_a_file(tmp_path):
    path = tmp_path / "own.json"
    path.write_text('{"size": [32, 32], "mean": [1, 2, 3]}', encoding="utf-8")
    assert Preprocess.parse(str(path)) == Preprocess(size=(32, 32), mean=(1.0, 2.0, 3.0))


@pytest.mark.parametrize(
    ("text", "content", "words"),
    [
        ("cafe", None, "Did you mean 'caffe'"),
        ("", None, "0..1"),
        ("caffe big", None, "0..1 224"),
        ("caffe 0", None, "'size'"),
        ("caffe -5", None, "0..1 224"),
        ("missing.json", None, "No such file"),
        ("own.json", b"{", "own.json"),
        ("own.json", b"\xff\xfe", "own.json"),
        ("own.json", b"[]", "an object"),
        ("own.json", b'{"colour": 1}', "'colour'"),
        ("own.json", b'{"scale": NaN}', "'scale'"),
        ("own.json", b"1" * 5000, "own.json"),
        ("own.json", b"[" * 100_000, "own.json"),
        ("caffe" * 1000, None, "0..1"),
    ],
)
def test_what_cannot_be_parsed_says_what_can(tmp_path, monkeypatch, text, content, words):
    monkeypatch.chdir(tmp_path)
    if content:
        (tmp_path / text).write_bytes(content)
    with pytest.raises(InputError, match=words):
        Preprocess.parse(text)


@pytest.mark.parametrize(
    ("shape", "size", "channels"),
    [
        ((3, 224, 192), (224, 192), 3),
        ((1, 28, 28), (28, 28), 1),
        ((6, 8, 8), (8, 8), 6),
        ((3, None, None), None, 3),
        ((3, 224, None), None, 3),
        ((None, 32, 32), (32, 32), 3),
        ((12, 100), None, 12),
        ((1, 8, 8, 8), None, 1),
        ((), None, 3),
    ],
)
def test_what_is_assumed_is_the_size_and_values_from_0_to_1(shape, size, channels):
    assumed = Preprocess(origin="assumed").fitted(shape)
    assert (assumed.size, assumed.channels, assumed.origin) == (size, channels, "assumed")
    assert (assumed.scale, assumed.offset, assumed.mean, assumed.std) == (1 / 255, 0, None, None)


def test_fitted_keeps_what_was_said():
    said = Preprocess(size=(5, 6), scale=1.0)
    assert said.fitted((3, 224, 224)) == said
    assert PRESETS["caffe"].fitted((3, 224, 224)) == dataclasses.replace(PRESETS["caffe"], size=(224, 224))
    assert PRESETS["0..1"].fitted((1, 28, 28)) == Preprocess(size=(28, 28), channels=1)
    with pytest.raises(InputError, match=r"'mean'.* 1 finite number|'order'"):
        PRESETS["torch"].fitted((1, 28, 28))
