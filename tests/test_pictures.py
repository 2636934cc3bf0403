"""Reading pictures: every kind is read to the same pixels, and what was done is said; what is no picture is refused."""

import io
import os
import struct
import threading
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageFile, features

from convscope.errors import InputError, NotAPicture, WrongPictureShape
from convscope.pictures import PRESETS, Picture, Preprocess, prepare, read_pictures
from convscope.pictures.decode import TURNS

SHARED = Path(__file__).parent.parent.parent / "shared"
AS_IT_IS = Preprocess(scale=1.0)
ORIENTATION = 0x0112


def smooth(height=30, width=40) -> np.ndarray:
    """A colour picture without symmetry: (h, w, 3) uint8."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 6, columns * 5, (rows + 2 * columns) * 2], -1).astype(np.uint8)


def noise(*shape, low=0, high=256, dtype=np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(low, high, shape, dtype)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: np.ndarray) -> bytes:
    return encoded(Image.fromarray(pixels), "PNG")


def read_bytes(folder: Path, content: bytes) -> Picture:
    """The picture in a file of this content, whose name says nothing of its kind."""
    (folder / "picture").write_bytes(content)
    (picture,) = read_pictures(folder / "picture")
    return picture


def read_image(image: Image.Image) -> Picture:
    (picture,) = read_pictures(image)
    return picture


# What can be given


def test_paths_arrays_and_images_give_the_same_pixels(tmp_path):
    pixels = smooth()
    (tmp_path / "a.png").write_bytes(png(pixels))
    given = [tmp_path / "a.png", str(tmp_path / "a.png"), tmp_path, pixels, Image.fromarray(pixels), pixels[None]]
    for each in [*given, given, tuple(given)]:
        for picture in read_pictures(each):
            np.testing.assert_array_equal(picture.pixels, pixels)
            assert picture.notes == ()
            assert picture.pixels.dtype == np.uint8


def test_a_folder_is_in_natural_order_without_hidden_files_and_sub_folders(tmp_path):
    for name in ("p10.png", "p9.png", "P1.png", "q.jpg", ".hidden.png", "sub/p2.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(smooth()))
    assert [picture.name for picture in read_pictures(tmp_path)] == ["P1", "p9", "p10", "q"]


def test_names_are_unique_and_say_which_picture(tmp_path):
    for name in ("cat.png", "cat.jpg", "cat (2).png"):
        (tmp_path / name).write_bytes(png(smooth()))
    names = [picture.name for picture in read_pictures([tmp_path / "cat.png", smooth(), tmp_path, smooth()])]
    assert names[:2] == ["cat", "picture 2"]
    assert names[-1] == "picture 6"
    assert len(set(names)) == 6
    with Image.open(tmp_path / "cat.png") as image:
        assert read_image(image).name == "cat"


def test_floats_with_their_channels_last_are_told_how_to_pass():
    values = np.random.default_rng(0).random((28, 28, 1)).astype(np.float32)
    grey = Preprocess(size=(28, 28), channels=1)
    with pytest.raises(InputError, match=r"pass array.transpose\(2, 0, 1\).* of 0 to 1, \(array \* 255\).round\(\)"):
        prepare(values, grey)
    np.testing.assert_array_equal(prepare(values.transpose(2, 0, 1), grey).values[0, 0], values[..., 0])
    with pytest.raises(InputError, match=r"Pass array\[None\] for one channel"):
        prepare(values[..., 0], grey)
    np.testing.assert_array_equal(prepare(values[..., 0][None], grey).values[0, 0], values[..., 0])
    assert np.abs(prepare((values * 255).round().astype("uint8"), grey).values[0, 0] - values[..., 0]).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "TGA", "GIF", "ICO", "PCX", "QOI"])
def test_files_are_opened_by_what_they_hold(tmp_path, kind):
    options = {"lossless": True} if kind == "WEBP" else {"sizes": [(40, 30)]} if kind == "ICO" else {}
    few_colours = smooth() // 64 * 64
    (tmp_path / "picture.jpg").write_bytes(encoded(Image.fromarray(few_colours), kind, **options))
    np.testing.assert_array_equal(read_pictures(tmp_path / "picture.jpg")[0].pixels, few_colours)


def test_arrays_of_every_shape():
    pixels = smooth()
    grey = pixels[..., 0]
    for each in (grey, grey[..., None], grey[None, ..., None], grey.astype(np.int64), grey.astype(np.int16)):
        np.testing.assert_array_equal(read_pictures(each)[0].pixels, grey[..., None])
    opaque = np.dstack([pixels, np.full_like(grey, 255)])
    np.testing.assert_array_equal(read_pictures(opaque)[0].pixels, pixels)
    assert read_pictures(opaque)[0].notes == ()  # nothing was composed
    assert len(read_pictures(np.stack([pixels, pixels]))) == 2
    np.testing.assert_array_equal(read_pictures(pixels[::-1, ::2])[0].pixels, pixels[::-1, ::2])


def test_tensors_of_frameworks_are_arrays():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    np.testing.assert_array_equal(read_pictures(torch.from_numpy(smooth()))[0].pixels, smooth())
    with pytest.raises(InputError, match="numpy.asarray"):
        prepare(torch.zeros(1, 3, 4, 4, requires_grad=True), AS_IT_IS)


def test_what_is_given_stays_as_it_is(tmp_path):
    frames = [Image.new("RGB", (5, 4), (number * 80, 0, 0)) for number in range(3)]
    (tmp_path / "a.gif").write_bytes(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with Image.open(tmp_path / "a.gif") as image:
        image.seek(1)
        mode = image.mode
        picture = read_image(image)
        assert (image.tell(), image.mode, image.size) == (1, mode, (5, 4))
    assert picture.notes[0].startswith("only picture 2 of several")


# What is done to a picture, and said


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "MPO", "JPEG", "AVIF"])
def test_exif_turns_a_picture_upright(tmp_path, kind, orientation):
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")
    upright = Image.fromarray(smooth())
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    stored = upright.transpose(TURNS[undo]) if undo in TURNS else upright
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind in ("JPEG", "MPO", "AVIF") else {}
    picture = read_bytes(tmp_path, encoded(stored, kind, exif=exif, **options))
    assert picture.pixels.shape == smooth().shape
    error = np.abs(picture.pixels.astype(int) - smooth())
    assert error.max() == 0 if kind in ("PNG", "TIFF", "WEBP") else error.mean() < 6
    assert ("turned upright by its EXIF tag" in picture.notes) == (orientation > 1)


def test_exif_that_says_nonsense_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 77
    picture = read_bytes(tmp_path, encoded(Image.fromarray(smooth()), "PNG", exif=exif))
    np.testing.assert_array_equal(picture.pixels, smooth())
    assert picture.notes == ()


def test_damaged_exif_is_said_and_the_picture_is_read(tmp_path):
    content = encoded(Image.fromarray(smooth()), "PNG", exif=b"Exif\0\0XX*\0\x08\0\0\0\x01\0")
    picture = read_bytes(tmp_path, content)
    np.testing.assert_array_equal(picture.pixels, smooth())
    assert picture.notes == ("its EXIF data is damaged, so that whether it should be turned is unknown",)


def on_white(colours, alpha):
    part = alpha[..., None] / 255
    return colours * part + 255 * (1 - part)


def test_alpha_is_composed_on_white(tmp_path):
    pixels, alpha = smooth(), np.tile(np.linspace(0, 255, 40).round().astype(np.uint8), (30, 1))
    picture = read_bytes(tmp_path, png(np.dstack([pixels, alpha])))
    np.testing.assert_allclose(picture.pixels, on_white(pixels, alpha), atol=1)
    assert (picture.pixels[:, 0] == 255).all()
    np.testing.assert_array_equal(picture.pixels[:, -1], pixels[:, -1])
    assert picture.notes == ("transparency composed on white",)
    np.testing.assert_array_equal(read_pictures(np.dstack([pixels, alpha]))[0].pixels, picture.pixels)


def test_grey_with_alpha_stays_grey():
    grey, alpha = smooth()[..., 0], smooth()[..., 1]
    picture = read_image(Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)]))
    assert picture.pixels.shape == (30, 40, 1)
    np.testing.assert_allclose(picture.pixels, on_white(grey[..., None], alpha), atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_one_see_through_colour_becomes_white(tmp_path, mode):
    image = Image.new(mode, (6, 4))  # all black
    if mode == "P":
        image.putpalette([0, 0, 0, 9, 9, 9])
    image.paste(1, (0, 0, 3, 4)) if mode in ("P", "1") else None
    key = (0, 0, 0) if mode == "RGB" else 0
    picture = read_bytes(tmp_path, encoded(image, "PNG", transparency=key))
    assert (picture.pixels[:, 3:] == 255).all()
    assert "transparency composed on white" in picture.notes


def test_a_palette_with_alpha_is_composed_on_white(tmp_path):
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 2).convert("P")
    image.putpalette([200, 0, 0, 0, 100, 0])
    picture = read_bytes(tmp_path, encoded(image, "PNG", transparency=bytes([0, 255])))
    np.testing.assert_array_equal(picture.pixels[0, :2], [[255, 255, 255], [0, 100, 0]])
    assert picture.notes == ("palette colours converted to RGB", "transparency composed on white")


def test_palette_bit_and_grey(tmp_path):
    few = smooth() // 64 * 64
    palette = read_bytes(tmp_path, encoded(Image.fromarray(few).quantize(256), "PNG"))
    np.testing.assert_array_equal(palette.pixels, few)
    assert palette.notes == ("palette colours converted to RGB",)
    bits = smooth()[..., 0] > 80
    one = read_bytes(tmp_path, encoded(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(one.pixels[..., 0], bits * 255)
    assert one.notes == ("1 bit per pixel converted to grey",)
    grey = read_bytes(tmp_path, png(smooth()[..., 0]))
    np.testing.assert_array_equal(grey.pixels, smooth()[..., :1])
    assert grey.notes == ()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of_16_bits(values: np.ndarray) -> bytes:
    """By hand, as Pillow writes 16 bits only for grey: (h, w) or (h, w, 3) uint16."""
    colour = 2 if values.ndim == 3 else 0
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def in_8_bits(values: np.ndarray) -> np.ndarray:
    return np.rint(values.astype(np.float64) / 65535 * 255).astype(np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "PGM", "TIFF", "TIFF of big-endian", "image"])
def test_16_bits_are_scaled_over_their_full_range(tmp_path, kind):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    match kind:
        case "PNG":
            picture = read_bytes(tmp_path, png_of_16_bits(values))
        case "PGM":
            picture = read_bytes(tmp_path, b"P5 256 256 65535\n" + values.astype(">u2").tobytes())
        case "image":
            picture = read_image(Image.fromarray(values))
        case _:
            stored = Image.fromarray(values.astype(">u2") if "big" in kind else values)
            picture = read_bytes(tmp_path, encoded(stored, "TIFF"))
    np.testing.assert_array_equal(picture.pixels[..., 0], in_8_bits(values))
    assert picture.notes == ("16 bits per pixel reduced to 8, x / 257; its values are 0 to 65535 of 0 to 65535",)


def test_a_dark_16_bit_picture_stays_dark_and_its_range_is_said(tmp_path):
    picture = read_bytes(tmp_path, png_of_16_bits(np.full((3, 4), 4095, np.uint16)))
    assert (picture.pixels == 16).all()
    assert "4095 to 4095 of 0 to 65535" in picture.notes[0]


def test_16_bits_where_zero_is_white(tmp_path):
    values = noise(5, 6, high=65536, dtype=np.uint16)
    picture = read_bytes(tmp_path, encoded(Image.fromarray(values), "TIFF", tiffinfo={262: 0}))
    np.testing.assert_array_equal(picture.pixels[..., 0], in_8_bits(65535 - values))
    assert "zero is white in this file, so that it was inverted" in picture.notes


def test_16_bit_colours_are_said(tmp_path):
    values = noise(5, 6, 3, high=65536, dtype=np.uint16)
    picture = read_bytes(tmp_path, png_of_16_bits(values))
    np.testing.assert_array_equal(picture.pixels, values >> 8)
    assert picture.notes == ("16 bits per channel reduced to 8, the upper byte of each",)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted_and_not_inverted(tmp_path, kind):
    """A JPEG by Adobe stores CMYK inverted."""
    inks = {
        (0, 0, 0, 0): (255, 255, 255),
        (0, 255, 255, 0): (255, 0, 0),
        (0, 0, 0, 255): (0, 0, 0),
        (255, 0, 0, 0): (0, 255, 255),
    }
    for ink, colour in inks.items():
        content = encoded(Image.new("CMYK", (16, 16), ink), kind)
        assert (b"Adobe" in content) == (kind == "JPEG")
        picture = read_bytes(tmp_path, content)
        assert np.abs(picture.pixels.astype(int) - colour).max() <= 3
        assert picture.notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize("mode", ["La", "LA", "RGBa", "RGBA", "PA"])
def test_what_is_see_through_is_on_white_however_it_is_kept(mode):
    """At half opacity, grey 100 is 178 on white, also where a file has it multiplied by its opacity already."""
    image = Image.new("LA", (2, 2), (100, 128))
    whole = image.convert("RGBA")
    image = {"La": image, "LA": image, "PA": whole.convert("P").convert("PA")}.get(mode, whole)
    image = image.convert(mode) if mode in ("La", "RGBa") else image
    assert image.mode == mode
    if mode == "PA":
        image.putalpha(128)
    picture = read_image(image)
    assert picture.notes == ("transparency composed on white",)
    assert np.abs(picture.pixels.astype(int) - 178).max() <= 2


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB"])
def test_other_colours_are_converted(mode):
    colours = Image.new("RGB", (3, 3), (200, 100, 50))
    stored = (
        ImageCms.profileToProfile(colours, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
        if mode == "LAB"
        else colours.convert(mode)
    )
    picture = read_image(stored)
    assert np.abs(picture.pixels.astype(int) - (200, 100, 50)).max() <= 4
    assert picture.notes[-1] == f"{mode} converted to RGB"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_an_animation_or_pages_the_first_is_read(tmp_path, kind):
    frames = [Image.fromarray(smooth() // 64 * 64 + number) for number in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    picture = read_bytes(tmp_path, encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    np.testing.assert_array_equal(picture.pixels, np.asarray(frames[0]))
    assert picture.notes[0] == "only picture 1 of several in its file (an animation, or pages)"


def test_a_colour_profile_is_ignored_and_said_unless_it_is_srgb(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image = Image.fromarray(smooth())
    assert read_bytes(tmp_path, encoded(image, "PNG", icc_profile=srgb)).notes == ()
    picture = read_bytes(tmp_path, encoded(image, "PNG", icc_profile=other))
    np.testing.assert_array_equal(picture.pixels, smooth())
    assert "profile, which is not sRGB, is ignored" in picture.notes[0]


def test_what_pillow_warns_of_becomes_a_note(tmp_path):
    exif = encoded(Image.fromarray(smooth()), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0f\x01\x02\0\xff\0\0\0\xff\0\0\0")
    assert any(note.startswith("Pillow warns: ") for note in read_bytes(tmp_path, exif).notes)


# What goes into the network


def test_prepare_makes_what_the_network_receives_and_how_it_looks(tmp_path):
    (tmp_path / "cat.png").write_bytes(png(smooth()))
    preprocess = Preprocess.parse("caffe 20x24")
    prepared = prepare([tmp_path / "cat.png", smooth(50, 60)[..., 0]], preprocess)
    assert prepared.names == ("cat", "picture 2")
    assert prepared.notes == ((), ("a grey picture, repeated in three channels for a colour network",))
    assert prepared.preprocess is preprocess
    assert prepared.values.shape == (2, 3, 20, 24)
    assert prepared.values.dtype == np.float32
    assert prepared.values.flags.c_contiguous
    for values, shown, picture in zip(
        prepared.values, prepared.shown, read_pictures([smooth(), smooth(50, 60)[..., 0]]), strict=True
    ):
        np.testing.assert_array_equal(values, preprocess.apply(picture))
        assert shown.shape == (20, 24, 3)
        np.testing.assert_array_equal(shown, np.broadcast_to(preprocess.pixels(picture), shown.shape))


def test_a_colour_picture_for_a_grey_network_says_so():
    prepared = prepare(smooth(), Preprocess(channels=1))
    assert prepared.values.shape == (1, 1, 30, 40)
    assert prepared.shown[0].shape == (30, 40, 3)
    assert "ITU-R 601" in prepared.notes[0][0]


def test_floats_pass_untouched():
    values = PRESETS["caffe"].apply(read_pictures(smooth())[0])
    for each in (values, values[None], values.astype(np.float64), np.asfortranarray(values), [values]):
        prepared = prepare(each, PRESETS["caffe"])
        np.testing.assert_array_equal(prepared.values, values[None])
        assert prepared.values.dtype == np.float32
        assert prepared.values.flags.c_contiguous
        np.testing.assert_array_equal(prepared.shown[0], smooth())
        assert prepared.notes == (("an array, taken as already preprocessed",),)
    assert prepare(np.stack([values] * 3), PRESETS["caffe"]).names == ("picture 1", "picture 2", "picture 3")


def test_floats_and_pictures_go_together():
    values = AS_IT_IS.apply(read_pictures(smooth())[0])
    prepared = prepare([values, smooth()], AS_IT_IS)
    np.testing.assert_array_equal(prepared.values[0], prepared.values[1])


def test_values_that_no_pixel_becomes_are_said():
    values = np.zeros((3, 10, 10), np.float32)
    values[0, 0, :6] = 300
    assert "2.00% of its values lie beyond what pixels become, and are shown clipped" in prepare(values, AS_IT_IS).notes[0]


def test_arrays_of_six_channels_pass():
    values = noise(2, 6, 4, 5).astype(np.float32) / 255
    prepared = prepare(values, Preprocess(channels=6))
    np.testing.assert_array_equal(prepared.values, values)
    assert "of its 6 channels the first is shown, in grey" in prepared.notes[1]


# A picture is read whole or not at all

KINDS = {
    "JPEG": {},
    "JPEG, progressive": {"progressive": True},
    "PNG": {},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
    "TIFF, compressed": {"compression": "tiff_lzw"},
    "WEBP": {},
    "AVIF": {},
    "JPEG2000": {},
    "TGA": {},
    "PPM": {},
    "QOI": {},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_truncated_file_is_refused_or_complete(tmp_path, monkeypatch, kind, lenient):
    codec = {"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}.get(kind)
    if codec and not features.check(codec):
        pytest.skip(f"this Pillow cannot write {kind}")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)  # somebody else's wish
    content = encoded(Image.fromarray(smooth(60, 50)), kind.split(",")[0], **KINDS[kind])
    whole = read_bytes(tmp_path, content).pixels
    cuts = {*range(1, len(content), max(1, len(content) // 40)), *range(len(content) - 6, len(content))}
    refused = 0
    for cut in cuts:
        try:
            np.testing.assert_array_equal(read_bytes(tmp_path, content[:cut]).pixels, whole)
        except NotAPicture:
            refused += 1
    assert refused > len(cuts) / 2
    assert ImageFile.LOAD_TRUNCATED_IMAGES is lenient


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_file_whose_end_is_zeros_is_refused(tmp_path, kind):
    """What a download that stopped leaves, where the file had got its full length at the start."""
    content = encoded(Image.fromarray(noise(300, 300, 3)), kind)
    for cut in range(len(content) // 2, len(content) - 20, len(content) // 9):
        with pytest.raises(NotAPicture, match="truncated"):
            read_bytes(tmp_path, content[:cut] + bytes(len(content) - cut))


def test_threads_read_side_by_side_and_leave_no_trace(tmp_path):
    (tmp_path / "a.png").write_bytes(png(smooth()))
    (tmp_path / "bad.png").write_bytes(png(smooth())[:-30])
    before = list(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES
    seen = []

    def read():
        for _ in range(20):
            with pytest.raises(NotAPicture):
                read_pictures(tmp_path / "bad.png")
            seen.append(np.array_equal(read_pictures(tmp_path / "a.png")[0].pixels, smooth()))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 80
    assert (list(warnings.filters), ImageFile.LOAD_TRUNCATED_IMAGES) == before


# What is no picture


def file(name: str, content: bytes):
    def make(folder: Path, _monkeypatch):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def cut_jpeg(folder: Path, _monkeypatch):
    content = encoded(Image.fromarray(smooth(200, 200)), "JPEG")
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    return folder / "cut.jpg"


def bomb(limit: int):
    def make(folder: Path, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        (folder / "bomb.png").write_bytes(png(np.zeros((100, 120), np.uint8)))
        return folder / "bomb.png"

    return make


def one_bad_of_three(folder: Path, _monkeypatch):
    for name in ("a.png", "c.png"):
        (folder / name).write_bytes(png(smooth()))
    (folder / "b.png").write_bytes(b"not a picture")
    return folder


def misspelt(folder: Path, _monkeypatch):
    (folder / "chelsea.png").write_bytes(png(smooth()))
    return folder / "chelsae.png"


def only_hidden(folder: Path, _monkeypatch):
    (folder / ".hidden.png").write_bytes(png(smooth()))
    (folder / "sub").mkdir()
    return folder


def forbidden(folder: Path, monkeypatch):
    (folder / "secret.png").write_bytes(png(smooth()))
    if os.geteuid() == 0:  # root may read everything

        def refuse(*_arguments, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
    (folder / "secret.png").chmod(0)
    return folder / "secret.png"


def forbidden_folder(folder: Path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    return folder


def broken_link(folder: Path, _monkeypatch):
    (folder / "link.png").symlink_to(folder / "gone.png")
    return folder


def pipe(folder: Path, _monkeypatch):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def archive(folder: Path, _monkeypatch):
    with zipfile.ZipFile(folder / "pictures.jpg", "w") as files:
        files.writestr("a.png", png(smooth()))
    return folder / "pictures.jpg"


def closed(_folder: Path, _monkeypatch):
    buffer = io.BytesIO(png(smooth()))
    image = Image.open(buffer)
    buffer.close()
    return image


def lazily_cut(_folder: Path, _monkeypatch):
    content = encoded(Image.fromarray(noise(200, 200, 3)), "JPEG")
    return Image.open(io.BytesIO(content[:-9000]))


def just(value):
    return lambda _folder, _monkeypatch: value


FLOATS = np.zeros((2, 3, 8, 8), np.float32)
BROKEN = np.where(np.arange(192).reshape(3, 8, 8) % 7 == 0, np.nan, 1).astype(np.float32)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
BAD = [
    # what                          how it comes to be                                           error              words
    ("missing", lambda folder, _: folder / "no.png", NotAPicture, ["no.png", "there is no such file"]),
    ("misspelt", misspelt, NotAPicture, ["chelsae.png", "Did you mean 'chelsea.png'"]),
    ("in a missing folder", just("nowhere/cat.png"), NotAPicture, ["nowhere/cat.png", "no folder 'nowhere'"]),
    ("no path", just(""), NotAPicture, ["the path is empty"]),
    ("a path with a null byte", just("a\0b.png"), NotAPicture, ["there is a null character in it"]),
    ("a path that is too long", just("a" * 5000), NotAPicture, ["there is no such file"]),
    ("an address", just("https://example.org/cat.png"), NotAPicture, ["nothing is downloaded", "give the file"]),
    ("empty file", file("empty.png", b""), NotAPicture, ["empty.png", "is empty"]),
    ("truncated JPEG", cut_jpeg, NotAPicture, ["cut.jpg", "truncated"]),
    ("bomb", bomb(5_000), NotAPicture, ["bomb.png", "12,000 pixels", "5,000", "MAX_IMAGE_PIXELS"]),
    ("what Pillow only warns of", bomb(11_000), NotAPicture, ["bomb.png", "12,000 pixels", "11,000", "MAX_IMAGE_PIXELS"]),
    ("text", file("text.png", b"hello, world"), NotAPicture, ["text.png", "it is text"]),
    ("a web page", file("cat.jpg", b"<!DOCTYPE html>\n<html></html>"), NotAPicture, ["a web page"]),
    ("zip", archive, NotAPicture, ["pictures.jpg", "a zip archive", "Unpack"]),
    ("gzip", file("a.png", b"\x1f\x8b\x08\0" + b"\xff" * 40), NotAPicture, ["gzip"]),
    ("HEIC", file("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"), NotAPicture, ["HEIC", "Pillow cannot read", "JPEG or PNG"]),
    ("HEIF", file("a.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0mif1"), NotAPicture, ["HEIF", "Pillow cannot read"]),
    ("SVG", file("a.svg", SVG), NotAPicture, ["SVG", "Pillow cannot read", "PNG"]),
    ("PDF", file("a.pdf", b"%PDF-1.7\n\xff\xff"), NotAPicture, ["PDF", "PNG"]),
    ("EPS", file("a.eps", EPS), NotAPicture, ["EPS", "another program"]),
    ("video", file("a.mp4", b"\0\0\0\x18ftypisom\0\0\x02\0"), NotAPicture, ["a video", "frame"]),
    ("random bytes", file("a.png", b"\xff\0" + bytes(noise(200))), NotAPicture, ["a.png", "of no kind that Pillow can read"]),
    ("damaged PNG", file("a.png", png(smooth())[:60] + b"?" + png(smooth())[61:]), NotAPicture, ["a.png", "damaged"]),
    ("empty folder", lambda folder, _: folder, NotAPicture, ["without pictures"]),
    ("folder of hidden files", only_hidden, NotAPicture, ["without pictures", "Sub-folders are not searched"]),
    ("one bad in a folder", one_bad_of_three, NotAPicture, ["b.png", "it is text"]),
    ("a broken link in a folder", broken_link, NotAPicture, ["link.png", "no such file"]),
    ("unreadable", forbidden, NotAPicture, ["secret.png", "permission is denied"]),
    ("unreadable folder", forbidden_folder, NotAPicture, ["the folder cannot be read", "Permission denied"]),
    ("a pipe", pipe, NotAPicture, ["pipe", "neither a file nor a folder"]),
    ("32-bit floats", file("a.tif", encoded(Image.fromarray(np.eye(4, dtype=np.float32)), "TIFF")), NotAPicture, ["from 0 to 1"]),
    ("32-bit integers", just(Image.fromarray(np.full((4, 4), -7, np.int32))), InputError, ["'picture 1'", "-7", "8 bits"]),
    ("image without pixels", just(Image.new("RGB", (0, 5))), InputError, ["no pixels", "0 x 5"]),
    ("closed image", closed, InputError, ["'picture 1' cannot be used"]),
    ("truncated image", lazily_cut, InputError, ["'picture 1' cannot be used", "truncated"]),
    ("empty list", just([]), InputError, ["the list is empty"]),
    ("None", just(None), InputError, ["NoneType is no picture"]),
    ("a number", just(7), InputError, ["An int is no picture"]),
    ("bytes", just(b"abc"), InputError, ["bytes is no picture"]),
    ("a list with a number in it", lambda *each: [misspelt(*each).with_name("chelsea.png"), 7], InputError, ["An int"]),
    ("array of no values", just(np.zeros((0, 8, 3), np.uint8)), InputError, ["(0, 8, 3)", "holds no picture"]),
    ("float array of no values", just(np.zeros((0, 3, 8, 8), np.float32)), InputError, ["(0, 3, 8, 8)", "holds no picture"]),
    ("array of one axis", just(np.zeros(8, np.uint8)), InputError, ["(8,)", "(h, w)"]),
    ("array of five axes", just(np.zeros((1, 2, 8, 8, 3), np.uint8)), InputError, ["(1, 2, 8, 8, 3)"]),
    ("array of two channels", just(np.zeros((8, 9, 2), np.uint8)), InputError, ["(8, 9, 2)", "array[..., None]"]),
    ("channels first", just(np.zeros((3, 8, 9), np.uint8)), InputError, ["channels look first", "transpose(1, 2, 0)"]),
    ("channels first, many", just(np.zeros((2, 3, 8, 9), np.uint8)), InputError, ["first", "transpose(0, 2, 3, 1)"]),
    ("values above 255", just(np.full((8, 8), 300)), InputError, ["from 300 to 300", "0 to 255"]),
    ("values below 0", just(np.full((8, 8), -1)), InputError, ["from -1 to -1", "0 to 255"]),
    ("array of bools", just(np.ones((8, 8), bool)), InputError, ["bool", "* 255"]),
    ("array of 16 bits", just(np.ones((8, 8), np.uint16)), InputError, ["uint16", "// 257"]),
    ("array of words", just(np.array(["cat.png"])), InputError, ["<U7"]),
    ("complex array", just(np.ones((3, 8, 8), complex)), InputError, ["complex128"]),
    ("floats of two axes", just(np.zeros((8, 8))), InputError, ["(8, 8)", "already preprocessed", "uint8"]),
    ("NaN", just(BROKEN), InputError, ["28 of the 192 values", "NaN or infinite"]),
    ("infinities", just(FLOATS + np.inf), InputError, ["384 of the 384", "NaN or infinite"]),
    ("beyond float32", just(np.full((3, 8, 8), 1e300)), InputError, ["192 of the 192", "float32"]),
    (
        "floats of six channels",
        just(np.zeros((2, 6, 8, 8), np.float32)),
        WrongPictureShape,
        ["(any, 3, any, any)", "(2, 6, 8, 8)"],
    ),
    ("floats with channels last", just(np.zeros((2, 8, 8, 3))), WrongPictureShape, ["look last", "transpose(0, 3, 1, 2)"]),
    ("one, channels last", just(np.zeros((8, 8, 3))), InputError, ["(8, 8, 3)", "as uint8", "(h, w, 3)"]),
    ("one of four channels", just(np.zeros((4, 8, 8))), InputError, ["(3, any, any)", "(4, 8, 8)", "uint8"]),
    ("different sizes", just([smooth(4, 5), smooth(6, 7)]), InputError, ["'picture 1' is 4 x 5", "6 x 7", "0..1 224"]),
    ("a huge mixture", just([*[smooth()] * 500, FLOATS[:, :, :4]]), InputError, ["'picture 501'", "4 x 8"]),
]


@pytest.mark.parametrize(("make", "error", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_is_no_picture_is_refused_in_a_sentence(tmp_path, monkeypatch, make, error, words):
    source = make(tmp_path, monkeypatch)
    with pytest.raises(InputError) as caught:
        prepare(source, AS_IT_IS)
    message = str(caught.value)
    assert type(caught.value) is error
    assert [word for word in words if word not in message] == []
    assert message[-1] in ".?"
    assert "\n" not in message
    assert len(message) < 400 or len(str(source)) > 400


def test_floats_are_no_pictures():
    with pytest.raises(InputError, match="already preprocessed and so is no picture"):
        read_pictures(FLOATS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_entered(tmp_path):
    (tmp_path / "locked").mkdir(mode=0)
    with pytest.raises(NotAPicture, match="locked"):
        read_pictures(tmp_path / "locked")


# Real photographs


def test_chelsea():
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    prepared = prepare(Path(data.__file__).parent / "chelsea.png", Preprocess.parse("tf 128"))
    assert (prepared.names, prepared.notes) == (("chelsea",), ((),))
    np.testing.assert_array_equal(prepare(data.chelsea(), prepared.preprocess).values, prepared.values)


@pytest.mark.skipif(not (SHARED / "data").exists(), reason="the photographs of ../shared/data are not here")
def test_photographs(tmp_path):
    with zipfile.ZipFile(SHARED / "data" / "pictures11" / "val.zip") as files:
        names = [name for name in files.namelist() if name.endswith(".jpg")][::200]
        for number, name in enumerate(names):
            (tmp_path / f"{number}.jpg").write_bytes(files.read(name))
    preprocess = Preprocess.parse("torch 128")
    prepared = prepare(tmp_path, preprocess)
    assert prepared.names == tuple(str(number) for number in range(len(names)))
    assert len(names) > 20
    for shown, picture in zip(prepared.shown, read_pictures(tmp_path), strict=True):
        assert picture.pixels.shape == (144, 144, 3)
        np.testing.assert_array_equal(shown, preprocess.pixels(picture))


def test_what_is_no_picture_in_a_folder_is_left_out_and_said(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("about these pictures")
    (tmp_path / "Thumbs.db").write_bytes(b"\0" * 9)
    with pytest.warns(UserWarning, match=r"no pictures \(2\): notes.txt, Thumbs.db"):
        assert [each.name for each in read_pictures(tmp_path)] == ["a"]


def test_float_pixels_are_noticed():
    pixels = smooth().astype(np.float32).transpose(2, 0, 1)
    with pytest.warns(UserWarning, match="pass them as uint8"):
        prepare(pixels, Preprocess.parse("-1..1"))


@pytest.mark.parametrize("questions", range(1, 6))
def test_a_file_that_vanishes_between_two_questions_about_it_is_not_a_picture(questions, tmp_path, monkeypatch):
    path, ask, asked = tmp_path / "here.png", os.stat, []
    path.write_bytes(png(smooth()))

    def answer(at, *arguments, **options):
        found = ask(at, *arguments, **options)
        if str(at) == str(path):
            asked.append(at)
            if len(asked) == questions:
                path.unlink()  # as another process does
        return found

    monkeypatch.setattr(os, "stat", answer)
    with pytest.raises(NotAPicture, match="here.png"):
        [read_pictures(path) for _ in range(5)]
