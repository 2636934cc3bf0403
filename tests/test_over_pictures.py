"""Maps over their picture: a value stands where what it depends on stands, on sheets and on the page alike."""

from importlib import resources

import numpy as np
import pytest

import convscope
from convscope.draw.panels import blended
from convscope.methods.centres import centres, over
from convscope.methods.receptive import edges
from convscope.scan.dissection import dissect

torch = pytest.importorskip("torch")


def picks(*convolutions):
    """A network whose maps are pixels of its picture: each kernel is 1 in its middle, and 0 elsewhere."""
    net = torch.nn.Sequential(*convolutions)
    for each in net:
        torch.nn.init.dirac_(each.weight)
        torch.nn.init.zeros_(each.bias)
    return net


def strided(kernel=3, padding=1, stride=2):
    return torch.nn.Conv2d(1, 1, kernel, stride=stride, padding=padding)


def maps_of(net):
    pixels = np.random.default_rng(3).random((1, 1, 16, 16)).astype(np.float32)
    return pixels[0, 0], convscope.open(net, picture_shape=(1, 16, 16)).maps(pixels, at="all", activated=False)


def test_over_the_picture_a_value_covers_the_pixels_that_are_nearest_to_what_it_is_of():
    pixels, maps = maps_of(picks(strided(), strided()))
    values = maps["1"].values[0, 0]
    np.testing.assert_array_equal(values, pixels[::4, ::4])  # so place p is of pixel 4 p, not of 4 p + 1.5
    nearest = np.abs(np.arange(16)[:, None] - 4 * np.arange(4) + 0.01).argmin(1)  # half-way belongs to the next
    sheet = maps.overlay("1", units=[0])
    by_hand = blended(maps.pictures[0].pixels, values[np.ix_(nearest, nearest)], "nearest")
    np.testing.assert_array_equal(sheet.tiles[0], by_hand)
    assert (sheet.tiles[0] != blended(maps.pictures[0].pixels, values, "nearest")).any()
    assert "drawn where they stand" in sheet.caption


def test_between_places_values_are_mixed_and_at_a_place_they_are_its_own():
    _, maps = maps_of(picks(strided(), strided()))
    values, at = maps["1"].values[0, 0], np.minimum(np.arange(16) / 4, 3)
    rows = np.stack([np.interp(at, np.arange(4), column) for column in values.T], 1)
    whole = np.stack([np.interp(at, np.arange(4), row) for row in rows]).astype(np.float32)
    drawn = maps.overlay("1", units=[0], upsample="bilinear").tiles[0].astype(int)
    by_hand = blended(maps.pictures[0].pixels, whole, "nearest", float(values.max())).astype(int)
    assert np.abs(drawn - by_hand).max() <= 2


def test_what_no_place_sees_is_not_covered():
    _, maps = maps_of(picks(strided(kernel=1, padding=0, stride=4)))
    graph = maps.network.graph
    for axis in over(graph, "0", (16, 16)):
        assert np.isnan(axis[13:]).all()
        assert np.isfinite(axis[:13]).all()
    tile = maps.overlay("0", units=[0]).tiles[0]
    assert (tile.max(2) == tile.min(2))[13:].all()  # grey
    assert (tile.max(2) > tile.min(2))[:12, :12].any()
    assert over(graph, "0", (16, 12)) is None  # another picture than the graph is of


def test_the_page_lays_them_over_as_the_sheets_do(chromium):
    script = resources.files("convscope.site").joinpath("static/over.js").read_text("utf-8").replace("export ", "")
    graph = maps_of(picks(strided(), strided(), strided(kernel=1, padding=0)))[1].network.graph
    cases = []
    for layer in ("0", "1", "2"):
        seen = edges(graph, layer)
        axis = [each[0].tolist() for each in (centres(graph, layer), seen.starts, seen.stops)]
        cases.append((axis, over(graph, layer, (16, 16))[0]))
    uneven = np.interp(np.arange(16), [0, 5, 6, 12], np.arange(4))
    uneven[[0, 14, 15]] = np.nan
    cases.append(([[0, 5, 6, 12], [1, 3, 3, 8], [4, 7, 9, 14]], uneven))
    with chromium.new_context() as context:
        page = context.new_page()
        for (middles, starts, stops), expected in cases:
            found = np.full(16, np.nan)
            runs = page.evaluate(f"(() => {{ {script}; return runs({middles}, {starts}, {stops}, 16); }})()")
            for first, count, left, right in runs:
                for pixel in range(16):
                    if left <= pixel + 0.5 < right:
                        found[pixel] = first + int((pixel + 0.5 - left) / (right - left) * count)
            np.testing.assert_array_equal(found, np.floor(expected + 0.5))


def test_masks_are_compared_with_maps_where_their_places_stand():
    """Every place of this network is pixel 4 p of its picture: by hand with np.interp, and by a mask of just that."""
    net = picks(strided(), strided())
    pixels, maps = maps_of(net)
    values, at = maps["1"].values[0, 0].astype(np.float64), np.minimum(np.arange(16) / 4, 3)
    rows = np.stack([np.interp(at, np.arange(4), column) for column in values.T], 1)
    whole = np.stack([np.interp(at, np.arange(4), row) for row in rows])
    mask = whole > np.quantile(values, 0.7)
    engine = convscope.open(net, picture_shape=(1, 16, 16)).engine
    assert dissect(engine, pixels[None, None], mask[None, None], "1", top=0.3).iou == 1
    stretched = np.repeat(np.repeat(mask, 2, 0), 2, 1)  # of another size than the pictures
    assert dissect(engine, pixels[None, None], stretched[None, None], "1", top=0.3).iou < 1


def test_what_no_place_sees_is_found_by_no_unit():
    net = picks(strided(kernel=1, padding=0, stride=4))
    pixels, _ = maps_of(net)
    engine = convscope.open(net, picture_shape=(1, 16, 16)).engine
    found = dissect(engine, pixels[None, None], np.ones((1, 1, 16, 16), bool), "0", top=1.0)
    assert found.own[0] <= 13 * 13


WIDENED = {
    "transposed, kernel 4": lambda: torch.nn.ConvTranspose2d(1, 1, 4, stride=4),
    "transposed, kernel 8": lambda: torch.nn.ConvTranspose2d(1, 1, 8, stride=4, padding=2),
    "twice transposed": lambda: [torch.nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1) for _ in range(2)],
    "nearest": lambda: torch.nn.Upsample(scale_factor=4),
    "adaptive": lambda: torch.nn.AdaptiveAvgPool2d(16),
}


@pytest.mark.parametrize("kind", WIDENED)
def test_a_map_made_as_large_as_the_picture_again_lies_over_it_place_by_place(kind):
    """As of a segmentation: each pixel has a place of its own, though several places are made of the same pixels."""
    widened = WIDENED[kind]()
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 4, stride=4), *(widened if isinstance(widened, list) else [widened]))
    _, maps = maps_of(net)
    name = list(maps)[-1]
    maps[name].values[:] = values = np.random.default_rng(0).normal(size=(1, 1, 16, 16)).astype(np.float32)
    for axis in over(maps.network.graph, name, (16, 16)):
        np.testing.assert_allclose(axis, np.arange(16))
    by_hand = blended(maps.pictures[0].pixels, values[0, 0], "nearest", float(np.abs(values).max()))
    np.testing.assert_array_equal(maps.overlay(name, units=[0]).tiles[0], by_hand)


def test_a_crop_sheet_says_in_one_line_what_it_is():
    _, maps = maps_of(picks(strided()))
    assert repr(maps.crops("0")).endswith("what units see where they are strongest', 2 crops)")


@pytest.mark.parametrize(("value", "says"), [(0.0, "0 everywhere"), (2.0, "2 everywhere"), (np.nan, "not finite")])
def test_a_map_that_is_the_same_everywhere_has_no_strongest_place(value, says):
    _, maps = maps_of(picks(strided()))
    maps["0"].values[:] = value
    sheet = maps.crops("0")
    assert sheet.crops[0] is None
    assert list(sheet.labels) == ["0 has no strongest place", f"0, {says}"]
