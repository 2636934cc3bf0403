"""Sheets on paper, films, and arrays for other programs."""

import csv

import numpy as np
import pytest
from PIL import Image

import convscope
import convscope.demo
from convscope.core import Layer
from convscope.draw import Panels, Sheet
from convscope.draw.paper import dotted, layout_width
from convscope.errors import InputError, OutputError, WrongOption
from convscope.methods.maps import Reading
from convscope.results import FeatureMaps
from convscope.results.npz import save_npz
from convscope.results.signals import Signals

RANDOM = np.random.default_rng(0)


def sheet(count=12, side=14, **options) -> Sheet:
    tiles = RANDOM.uniform(0, 3, (count, side, side)).astype(np.float32)
    return Sheet(tiles=tiles, labels=tuple(map(str, range(count))), title="conv1 · cat", subtitle="all maps", **options)


@pytest.mark.parametrize(("width_mm", "dpi"), [(85, 300), (180, 600), (60, 150)])
def test_a_png_has_the_width_on_paper_that_was_asked_for(tmp_path, width_mm, dpi):
    with Image.open(sheet().save(tmp_path / "a.png", width_mm=width_mm, dpi=dpi)) as image:
        assert image.width == round(width_mm / 25.4 * dpi)
        assert [round(each) for each in image.info["dpi"]] == [dpi, dpi]
        assert image.width / image.info["dpi"][0] * 25.4 == pytest.approx(width_mm, abs=0.2)


def test_pdf_and_svg_have_it_too_and_their_words_as_text(tmp_path):
    content = sheet().save(tmp_path / "a.pdf", width_mm=85).read_bytes()
    points = float(content.partition(b"/MediaBox [0 0 ")[2].split()[0])
    assert points / 72 * 25.4 == pytest.approx(85, abs=0.2)
    assert b"(conv1 \xb7 cat) Tj" in content
    svg = sheet().save(tmp_path / "a.svg", width_mm=85).read_text()
    assert int(svg.partition('width="')[2].partition('"')[0]) / 96 * 25.4 == pytest.approx(85, abs=0.2)
    assert "conv1 · cat</text>" in svg


def test_on_paper_every_map_is_there_and_each_value_has_its_colour(tmp_path):
    of = sheet(40, 9)
    page = dotted(of._page(None, None, layout_width(60)), 60, 300)
    with Image.open(of.save(tmp_path / "a.png", width_mm=60, dpi=300)) as image:
        pixels = np.asarray(image.convert("RGB"))
    h, w = page.tile
    assert len(page.places) == 40
    for number, (y, x) in enumerate(page.places):
        assert x + w <= pixels.shape[1]
        drawn = pixels[y + 2 : y + h - 2, x + 2 : x + w - 2].reshape(-1, 3)  # a dot at the edge may be the paper's
        assert {tuple(each) for each in drawn.tolist()} == {tuple(each) for each in of.tile(number).reshape(-1, 3).tolist()}


@pytest.mark.parametrize(("arguments", "word"), [({"width_mm": 3}, "mm"), ({"width_mm": 85, "dpi": 20}, "dots per inch")])
def test_a_width_that_cannot_be_is_refused(tmp_path, arguments, word):
    with pytest.raises(InputError, match=word):
        sheet().save(tmp_path / "a.png", **arguments)
    assert not list(tmp_path.iterdir())


def maps(values, **options) -> FeatureMaps:
    names = tuple(f"picture{number}" for number in range(len(values)))
    layer = Layer(1, "block/conv1", "convolution", "Conv", values.shape[1:])
    return FeatureMaps(layer, Reading("block/conv1", "relu1", True), values.astype(np.float32), names, **options)


def test_a_film_has_a_frame_per_picture_and_one_range(tmp_path):
    values = RANDOM.uniform(0, 1, (3, 4, 6, 6)) * np.array([1, 2, 10])[:, None, None, None]
    path = maps(values).gif(tmp_path / "a.gif", units=[2, 0], seconds=0.5)
    with Image.open(path) as film:
        assert film.n_frames == 3
        assert film.info["duration"] == 500
        means = []
        for number in range(3):
            film.seek(number)
            means.append(np.asarray(film.convert("RGB"), float)[60:150, 25:100].mean())
    assert means[0] < means[1] < means[2]  # brighter with the values: each by its own range they would be alike
    with pytest.raises(WrongOption, match="gif"):
        maps(values).gif(tmp_path / "a.mp4")


def test_maps_as_files_hold_the_values(tmp_path):
    found = maps(RANDOM.normal(size=(2, 3, 4, 5)))
    np.testing.assert_array_equal(np.load(found.save(tmp_path / "a.npy")), found.values)
    np.testing.assert_array_equal(np.load(found.save(tmp_path / "a.npz"))["block/conv1"], found.values)
    with found.save(tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["picture"], int(row["unit"])) for row in rows] == [(f"picture{p}", u) for p in range(2) for u in range(3)]
    assert [float(row["mean"]) for row in rows] == pytest.approx(found.values.mean((2, 3)).ravel().tolist(), rel=1e-5)


def test_zarr_and_parquet_and_xarray_hold_them_too(tmp_path):
    zarr = pytest.importorskip("zarr", reason="zarr is not installed: pip install 'convscope[arrays]'")
    pytest.importorskip("xarray", reason="xarray is not installed: pip install 'convscope[arrays]'")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed: pip install 'convscope[arrays]'")
    found = maps(RANDOM.normal(size=(2, 3, 4, 5)))
    for _ in range(2):  # the second time it replaces the first
        stored = zarr.open_group(found.save(tmp_path / "a.zarr"), mode="r")
        np.testing.assert_array_equal(stored["block/conv1"][:], found.values)
    read = parquet.read_table(found.save(tmp_path / "a.parquet"))
    assert read["max"].to_pylist() == pytest.approx(found.values.max((2, 3)).ravel().tolist())
    named = found.to_xarray()
    assert named.dims == ("picture", "unit", "y", "x")
    assert named.sel(picture="picture1", unit=2).values.tolist() == found.values[1, 2].tolist()
    assert "relu1" in named.attrs["read"]
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError):
        found.save(tmp_path / "other.zarr")
    assert (tmp_path / "other.zarr" / "mine.txt").read_text() == "mine"


def test_all_layers_in_one_file(tmp_path):
    net = convscope.open("demo")
    found = net.maps(RANDOM.normal(size=(2, 3, 128, 128)).astype(np.float32), at=["block5_conv3", "predictions"])
    table = found.table()
    assert len(table["unit"]) == 2 * (160 + 11)
    assert set(table["layer"]) == {"block5_conv3", "predictions"}
    arrays = np.load(found.export(tmp_path / "a.npz"))
    np.testing.assert_array_equal(arrays["predictions"], found["predictions"].values)
    with pytest.raises(WrongOption, match="zarr"):
        found.export(tmp_path / "a.npy")


def test_a_heat_map_has_a_width_on_paper_too(tmp_path):
    tiles = RANDOM.integers(0, 256, (3, 224, 160, 3)).astype(np.uint8)
    panels = Panels(tuple(tiles), ("the picture", "a map", "over it"), "grad-cam · cat", "a cat")
    with Image.open(panels.save(tmp_path / "a.png", width_mm=85, dpi=600)) as image:
        pixels = np.asarray(image.convert("RGB"))
        assert (image.width, round(image.info["dpi"][0])) == (round(85 / 25.4 * 600), 600)
    page = dotted(panels._page(None, layout_width(85)), 85, 600)
    (h, w), (y, x) = page.tile, page.places[1]
    assert h > 224  # all of it is there at 600 dots per inch, and as it is
    assert len({place[0] for place in page.places}) == 1  # side by side
    assert h / w == pytest.approx(224 / 160, rel=0.03)
    drawn = pixels[y + (np.arange(224) * 2 + 1) * h // 448][:, x + (np.arange(160) * 2 + 1) * w // 320]
    np.testing.assert_array_equal(drawn, tiles[1])
    content = panels.save(tmp_path / "a.pdf", width_mm=85).read_bytes()
    assert float(content.partition(b"/MediaBox [0 0 ")[2].split()[0]) / 72 * 25.4 == pytest.approx(85, abs=0.2)
    assert b"(grad-cam \xb7 cat) Tj" in content
    svg = panels.save(tmp_path / "a.svg", width_mm=85).read_text()
    assert float(svg.partition('width="')[2].partition('"')[0]) / 96 * 25.4 == pytest.approx(85, abs=0.2)
    with pytest.raises(InputError, match="mm"):
        panels.save(tmp_path / "b.png", width_mm=3)


def test_an_array_of_a_signal_says_over_which_sample_each_position_stands():
    pytest.importorskip("xarray", reason="xarray is not installed: pip install 'convscope[arrays]'")
    signals = Signals(np.zeros((1, 1, 9), np.float32), ("Cz",), np.array([1.0, 3.0, 5.0]))
    named = maps(RANDOM.normal(size=(1, 2, 3)), signals=signals).to_xarray()
    assert named.dims == ("picture", "unit", "x")
    assert named.sample.values.tolist() == [1, 3, 5]


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "a/b"])
def test_a_layer_may_have_any_name_in_an_npz_file(tmp_path, name):
    content = {name: RANDOM.random((2, 3)), "text": "words"}
    for smaller in (False, True):
        save_npz(tmp_path / "a.npz", content, smaller=smaller)
        with np.load(tmp_path / "a.npz") as found:
            np.testing.assert_array_equal(found[name], content[name])
            assert str(found["text"]) == "words"


def test_above_the_columns_of_side_by_side_are_the_pictures(tmp_path):
    pixels = [np.full((20, 30, 3), colour, np.uint8) for colour in ((200, 30, 40), (20, 160, 90))]
    net = convscope.open(convscope.demo.MODEL)
    of = net.maps(pixels, at="block3_conv1")["block3_conv1"].side_by_side(first=2)
    page, drawn = of._page(None, None), of.render()
    assert len(page.heads) == len(of.heads) == 2
    for (y, x), picture, (_, first) in zip(page.heads, of.heads, page.places, strict=False):
        assert x == first  # over its column
        part = drawn[y : y + page.head[0], x : x + page.head[1]].reshape(-1, 3)
        assert {tuple(each) for each in part.tolist()} <= {tuple(each) for each in picture.reshape(-1, 3).tolist()}
    assert max(page.head) == 96
    for options in ({"width_mm": 60}, {"size": (300, 300)}):
        with Image.open(of.save(tmp_path / "a.png", **options)) as image:
            found = {tuple(each) for each in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
        assert tuple(of.heads[0][10, 15].tolist()) in found
    assert b"<image" in of.save(tmp_path / "a.svg").read_bytes()
    of.save(tmp_path / "a.pdf")
