"""Sheets: every pixel stands for a value of the map, and every sheet says what it shows."""

import io
import re
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import convscope
from convscope.draw import Sheet, save_all
from convscope.draw.colour import DEAD, LEVELS, MIDDLE, NONFINITE, palette, table
from convscope.draw.png import encoded
from convscope.draw.scale import levels, limits, ranges
from convscope.draw.text import width, wrapped
from convscope.draw.words import amount, share
from convscope.errors import InputError, OutputError, WrongOption

RANDOM = np.random.default_rng(0)


def sheet(tiles, **options) -> Sheet:
    tiles = np.asarray(tiles, np.float32)
    settled = {"title": "conv1 · cat", "subtitle": "all maps", "labels": tuple(map(str, range(len(tiles))))} | options
    return Sheet(tiles=tiles, **settled)


def drawn(of: Sheet, **options) -> list[np.ndarray]:
    """The tiles as they stand on the rendered sheet, (h, w, 3) each."""
    page, pixels = of._page(options.get("magnify"), options.get("size")), of.render(**options)
    h, w = page.tile
    return [pixels[y : y + h, x : x + w] for y, x in page.places]


def by_hand(value: float, low: float, high: float) -> int:
    """The level of one value, in plain arithmetic."""
    return int((value - low) / (high - low) * (LEVELS - 1) + 0.5)


@pytest.mark.parametrize("scale", ["map", "shared"])
@pytest.mark.parametrize("colour", ["gray", "viridis", "magma"])
def test_every_pixel_is_the_colour_of_its_value(scale, colour):
    maps = RANDOM.uniform(0, 9, (5, 6, 7)).astype(np.float32)
    colours = table(colour)
    for number, tile in enumerate(drawn(sheet(maps, scale=scale, colour=colour, columns=2), magnify=1)):
        of = maps if scale == "shared" else maps[number]
        for y in range(6):
            for x in range(7):
                level = by_hand(maps[number, y, x], of.min(), of.max())
                near = colours[max(0, level - 1) : level + 2]  # float32 may round the other way
                assert (tile[y, x] == near).all(1).any()


def test_by_a_fixed_range_a_value_has_one_colour_on_every_sheet():
    one, other = np.linspace(0, 0.8, 12).reshape(1, 3, 4), np.linspace(0.2, 3, 12).reshape(1, 3, 4)
    for maps, outside in ((one, None), (other, 8)):
        of = sheet(maps, scale=(0, 1), colour="gray")
        (tile,) = drawn(of, magnify=1)
        for y in range(3):
            for x in range(4):
                level = by_hand(min(maps[0, y, x], 1), 0, 1)
                assert (tile[y, x] == table("gray")[max(0, level - 1) : level + 2]).all(1).any()
        said = f", beyond which {outside} values are drawn as if at its end" if outside else ""
        assert f"all by the range 0 to 1, as asked{said}; over all" in of.caption
    assert np.count_nonzero(other > 1) == 8
    assert sheet(one, scale=(-1, 1)).colour_map == "diverging"  # the same colours for a sheet without negative values
    assert sheet(-one, scale=(0, 1)).colour_map == "viridis"
    assert "11 values are" in sheet(-one, scale=(0, 1)).caption
    assert "-2 to 2" not in sheet(one, scale=(-1, 2)).caption
    zero = sheet(np.zeros((1, 2, 2)), scale=(1, 2), dead_is_meaningful=False, colour="gray")  # beyond the range: its first colour
    assert (drawn(zero, magnify=1)[0] == table("gray")[0]).all()
    np.testing.assert_array_equal(drawn(sheet(one, scale=(0, 0.8)), magnify=1), drawn(sheet(one, scale="shared"), magnify=1))
    for wrong in ((1, 0), (0, 0), (0, np.inf), (0, 1, 2), ("a", "b")):
        with pytest.raises(WrongOption, match="two numbers"):
            sheet(one, scale=wrong)
    with pytest.raises(InputError, match="bars"):
        sheet(np.ones((2, 1, 1)), form="bar", scale=(0, 1))


@pytest.mark.parametrize("scale", ["map", "shared"])
def test_zero_is_the_middle_of_signed_maps(scale):
    maps = RANDOM.normal(size=(3, 4, 4)).astype(np.float32)
    maps[:, 1, 2] = 0
    middle = table("diverging")[MIDDLE]
    assert (middle >= 245).all()
    for tile in drawn(sheet(maps, scale=scale), magnify=1):
        assert (tile[1, 2] == middle).all()


def test_opposite_values_have_opposite_colours():
    known = ranges(np.array([[[-2.0, 2.0, 1.0, -1.0]]], np.float32))
    low, high = limits(known, "map", signed=True)
    found = levels(np.array([[[-2.0, 2.0, 1.0, -1.0]]], np.float32), known, low, high, shared=False)[0, 0].astype(int)
    assert found[0] + found[1] == LEVELS - 1
    assert found[2] + found[3] == LEVELS - 1


def test_signed_maps_are_diverging_and_others_are_not():
    assert sheet([[[-1.0, 2.0]]]).colour_map == "diverging"
    assert sheet([[[0.0, 2.0]]]).colour_map == "viridis"
    assert sheet([[[-1.0, 2.0]]], colour="gray").colour_map == "gray"


def test_a_dead_map_is_hatched_and_called_dead():
    maps = np.stack([np.zeros((40, 40)), RANDOM.uniform(1, 2, (40, 40))])
    of = sheet(maps)
    dead, alive = drawn(of, magnify=1)
    marks = palette("viridis")[DEAD : DEAD + 3]
    assert all((pixel == marks).all(1).any() for pixel in dead.reshape(-1, 3))
    assert len(np.unique(dead.reshape(-1, 3), axis=0)) >= 2
    assert "1 dead" in of.caption
    assert of.marked_labels == ("0 dead", "1")
    assert not (alive == marks[0]).all(-1).any()


def test_before_an_activation_a_map_of_zeros_is_not_called_dead():
    of = sheet([np.zeros((20, 20)), RANDOM.normal(size=(20, 20))], dead_is_meaningful=False)
    zeros = drawn(of, magnify=1)[0]
    assert "dead" not in of.caption
    assert (zeros == table("diverging")[MIDDLE]).all()


def test_before_an_activation_a_shared_range_may_lie_far_from_zero():
    maps = RANDOM.uniform(5, 6, (2, 4, 4))
    before, after = (drawn(sheet(maps, dead_is_meaningful=dead, scale="shared")) for dead in (False, True))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("value", [0.31, -4.0, 1e30])
def test_a_constant_map_is_flat_and_says_its_value(value):
    of = sheet([np.full((20, 20), value), RANDOM.uniform(0, 1, (20, 20))])
    assert len(np.unique(drawn(of)[0].reshape(-1, 3), axis=0)) == 1
    assert of.marked_labels[0] == f"0 constant {value:.3g}"
    assert "1 constant" in of.caption


def test_rounding_errors_are_not_stretched_into_noise():
    values = np.float32(1000) + RANDOM.uniform(0, 1e-4, (16, 16)).astype(np.float32)
    assert len(np.unique(drawn(sheet([values]))[0].reshape(-1, 3), axis=0)) == 1


def test_values_that_are_not_finite_have_their_own_colour_and_leave_the_others_alone():
    sound = RANDOM.uniform(0, 1, (1, 8, 8)).astype(np.float32)
    sound[0, 0, 0], sound[0, 0, 1] = 0, 1
    broken = sound.copy()
    broken[0, 3, 4], broken[0, 5, 5], broken[0, 6, 6] = np.nan, np.inf, -np.inf
    of = sheet(broken)
    tile, whole = drawn(of, magnify=1)[0], drawn(sheet(sound), magnify=1)[0]
    magenta = (tile == palette("viridis")[NONFINITE]).all(-1)
    assert set(zip(*np.nonzero(magenta), strict=True)) == {(3, 4), (5, 5), (6, 6)}
    assert (tile[~magenta] == whole[~magenta]).all()
    assert "3 values not finite" in of.caption


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)), elements=st.floats(width=32)),
    st.sampled_from(["map", "shared"]),
    st.sampled_from(["auto", "gray", "diverging"]),
)
def test_no_values_whatever_give_a_warning_or_a_wrong_mark(maps, scale, colour):
    of = sheet(maps, scale=scale, colour=colour)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = limits(of.ranges, scale, signed=of.colour_map == "diverging")
        found = levels(of.tiles, of.ranges, low, high, shared=scale == "shared")
        of.render()
    assert ((found == NONFINITE) == ~np.isfinite(maps)).all()
    assert ((found == DEAD) == (maps == 0).all((1, 2))[:, None, None]).all()


def test_greater_values_never_have_lower_levels():
    values = np.sort(RANDOM.normal(size=(1, 1, 500)).astype(np.float32))
    known = ranges(values)
    found = levels(values, known, *limits(known, "map", signed=True), shared=False)[0, 0].astype(int)
    assert (np.diff(found) >= 0).all()


def test_magnified_maps_have_no_values_between():
    maps = RANDOM.uniform(0, 1, (1, 7, 7)).astype(np.float32)
    small, large = drawn(sheet(maps), magnify=1)[0], drawn(sheet(maps), magnify=5)[0]
    assert (large == small.repeat(5, 0).repeat(5, 1)).all()


def test_true_size_has_one_pixel_per_value():
    assert drawn(sheet(RANDOM.uniform(0, 1, (3, 30, 40))), magnify=1)[0].shape[:2] == (30, 40)


def test_a_sheet_of_a_given_size_has_that_size_and_says_that_it_left_pixels_out(tmp_path):
    of = sheet(RANDOM.uniform(0, 1, (64, 224, 224)))
    assert of.render(size=(640, 480)).shape == (480, 640, 3)
    of.save(tmp_path / "a.png", size=(640, 480))
    with Image.open(tmp_path / "a.png") as saved:
        assert re.search(r"Reduced 9(\.\d)? times", saved.info["Description"])


def test_the_caption_says_size_colours_range_and_scale():
    caption = sheet(np.linspace(0, 7.31, 32).reshape(2, 4, 4)).caption
    assert all(words in caption for words in ("conv1 · cat", "all maps", "2 tiles of 4 x 4", "viridis", "own range", "0 to 7.31"))
    assert "all by one range" in sheet([[[1.0, 2.0]]], scale="shared").caption


def test_png_is_read_back_as_it_was_written():
    pixels = RANDOM.integers(0, 256, (33, 57), np.uint8)
    colours = RANDOM.integers(0, 256, (256, 3), np.uint8)
    image = Image.open(io.BytesIO(encoded(pixels, colours, about={"Description": "a · b"}, dpi=300)))
    assert (np.asarray(image.convert("RGB")) == colours[pixels]).all()
    assert image.info["Description"] == "a · b"
    assert [round(each) for each in image.info["dpi"]] == [300, 300]


@pytest.mark.parametrize("ending", ["png", "webp", "jpg"])
def test_a_saved_sheet_is_the_rendered_one(tmp_path, ending):
    of = sheet(RANDOM.normal(size=(4, 9, 9)))
    found = np.asarray(Image.open(io.BytesIO(of.save(tmp_path / f"a.{ending}").read_bytes())).convert("RGB"), float)
    assert np.abs(found - of.render()).mean() < (0.1 if ending == "png" else 6)


def test_the_same_maps_give_the_same_file(tmp_path):
    maps = RANDOM.normal(size=(4, 9, 9))
    assert sheet(maps).save(tmp_path / "a.png").read_bytes() == sheet(maps).save(tmp_path / "b.png").read_bytes()


def test_svg_has_its_words_as_text(tmp_path):
    content = sheet(RANDOM.normal(size=(4, 9, 9)), title="a < b & c").save(tmp_path / "a.svg").read_text(encoding="utf-8")
    words = re.findall(r"<text[^>]*>([^<]*)</text>", content)
    assert {"a &lt; b &amp; c", "0", "1", "2", "3"} <= set(words)
    assert "diverging" in " ".join(words)


def test_pdf_has_its_words_as_text_and_its_maps_as_a_picture(tmp_path):
    of = sheet(RANDOM.normal(size=(4, 9, 9)), title="conv(1) · cat")
    content = of.save(tmp_path / "a.pdf").read_bytes()
    assert content.startswith(b"%PDF-1.4")
    assert b"(conv\\(1\\) \xb7 cat) Tj" in content
    assert b"(3) Tj" in content
    height, width = of.render().shape[:2]
    start = content.index(b"stream\n", content.index(b"/Subtype /Image")) + 7
    assert len(zlib.decompressobj().decompress(content[start:])) == height * width
    for number, offset in enumerate(re.findall(rb"(\d{10}) 00000 n", content), 1):
        assert content[int(offset) :].startswith(b"%d 0 obj" % number)


def test_a_figure_has_the_words_as_text():
    of = sheet(RANDOM.normal(size=(4, 9, 9)))
    figure = of.figure()
    assert {"conv1 · cat", "0", "3"} <= {text.get_text() for text in figure.axes[0].texts}
    assert (figure.get_size_inches() * figure.dpi).round().astype(int).tolist() == list(of.render().shape[1::-1])


def test_colour_tiles_are_grey_at_zero_and_full_at_the_greatest_weight():
    kernels = np.zeros((2, 3, 3, 3), np.float32)
    kernels[0, 0, 0] = (2, -2, 0)
    kernels[1, 1, 1] = (0, 0, 1)
    first, second = drawn(sheet(kernels, colour="rgb", scale="shared"), magnify=1)
    assert first[0, 0].tolist() == [255, 0, 128]
    assert first[2, 2].tolist() == [128, 128, 128]
    assert second[1, 1].tolist() == [128, 128, 191]


def test_labels_stand_above_the_tiles_and_never_on_them():
    plain, labelled = sheet(np.ones((9, 20, 20)), labels=("",) * 9), sheet(np.ones((9, 20, 20)), labels=("123",) * 9)
    for one, other in zip(drawn(plain), drawn(labelled), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("count", [1, 2, 7, 64, 513])
def test_the_grid_fits_what_there_is(count):
    of = sheet(RANDOM.uniform(0, 1, (count, 5, 5)), columns=8)
    assert len(drawn(of)) == count


def test_lines_are_no_wider_than_the_room_and_lose_no_word():
    said = "grad-cam: red speaks for it.\nrise: red speaks for it, blue against; check, standard error: 0.4.\n\nend"
    lines = wrapped(said, 14, 160)
    assert all(width(line, 14) <= 160 for line in lines)
    assert " ".join(lines).split() == said.split()
    starts = ("grad-cam:", "rise:", "end")
    assert [line.split()[0] for line in lines if line.startswith(starts)] == list(starts)


def test_a_long_title_is_shortened_and_not_cut_off():
    of = sheet([np.eye(20)], title="a very long name/" * 40)
    assert "…" in of._page(None, None).texts[0].words
    pixels = of.render()
    assert (pixels[:30, -8:] == 255).all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"tiles": np.zeros((0, 3, 3))}, InputError),
        ({"tiles": np.zeros((3, 3))}, InputError),
        ({"tiles": np.zeros((2, 3, 3)), "labels": ("0",)}, InputError),
        ({"tiles": np.zeros((2, 3, 3)), "columns": 0}, InputError),
        ({"tiles": np.zeros((2, 3, 3)), "scale": "nice"}, WrongOption),
        ({"tiles": np.zeros((2, 3, 3)), "colour": "jet"}, WrongOption),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments, error):
    with pytest.raises(error):
        sheet(**arguments)


def test_what_cannot_be_saved_is_refused_and_leaves_nothing(tmp_path):
    of = sheet(np.ones((1, 3, 3)))
    with pytest.raises(WrongOption, match=r"\.png"):
        of.save(tmp_path / "a.docx")
    with pytest.raises(OutputError):
        of.save(tmp_path / "missing" / "a.png")
    with pytest.raises(InputError):
        of.save(tmp_path / "a.png", magnify=0)
    assert list(tmp_path.iterdir()) == []


def test_many_sheets_are_written_as_one_is(tmp_path):
    sheets = {tmp_path / f"{number}.png": sheet(RANDOM.normal(size=(5, 8, 8))) for number in range(6)}
    sizes = save_all(sheets)
    for path, of in sheets.items():
        image = Image.open(io.BytesIO(path.read_bytes()))
        assert (np.asarray(image.convert("RGB")) == of.render()).all()
        assert image.size == sizes[path]


@pytest.mark.parametrize(
    ("value", "digits", "signed", "written"),
    [
        (-0.3408, 2, True, "-0.34"),  # a hyphen, so that it is a number for a program that it is pasted into
        (0.3408, 3, True, "+0.341"),
        (12345.6, 4, False, "1.235e+04"),
        (-0.0, 4, False, "0"),
        (0.0, 2, True, "0"),
    ],
)
def test_how_numbers_are_written(value, digits, signed, written):
    assert amount(value, digits, signed=signed) == written
    assert float(written) == pytest.approx(value, rel=10 ** (1 - digits))


def test_how_shares_are_written():
    assert [share(each, signed=True) for each in (0.1, -0.03, -0.0001, 0.0)] == ["+10.0%", "-3.0%", "0.0%", "0.0%"]


def test_nobody_else_writes_numbers_for_people():
    source = Path(convscope.__file__).parent
    others = [
        (file.name, line)
        for part in ("draw", "results", "cli", "site", "show")
        for file in (source / part).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r":[+<>]*\d*\.\d[ge]}", line) or "−" in line
    ]
    assert others == []
    written = [file for kind in ("*.js", "*.j2") for file in (source / "site").rglob(kind)]
    assert not [file.name for file in written if "−" in file.read_text(encoding="utf-8")]
