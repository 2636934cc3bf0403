"""Forms in which maps are shown: what each sheet says and draws is what the maps hold."""

from dataclasses import replace

import numpy as np
import pytest

import convscope
from convscope.core import Layer
from convscope.draw import Sheet
from convscope.draw.colour import GREY, INK, NONFINITE, PAPER, SHADES
from convscope.draw.curves import HEIGHT, LONG, bars, curves
from convscope.errors import InputError, WrongOption
from convscope.methods.maps import Reading
from convscope.methods.receptive import edges
from convscope.results import FeatureMaps
from convscope.results.oddities import oddities
from convscope.site.tiles import quantised, strips
from convscope.studies.page import facts

RANDOM = np.random.default_rng(0)


def maps(values, *, activation="relu", pictures=None) -> FeatureMaps:
    values = np.asarray(values, np.float32)
    names = pictures or tuple(f"picture{number}" for number in range(len(values)))
    return FeatureMaps(
        Layer(1, "conv1", "convolution", "Conv", values.shape[1:]), Reading("conv1", "r", True, activation), values, names
    )


@pytest.fixture(scope="module")
def looked():
    picture = RANDOM.integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    return convscope.open("demo").look(
        [picture[0], picture[1]], at=["block1_conv1", "block4_conv3", "flatten", "softmax"], ranked=False
    )


def test_odd_maps_are_listed_and_explained():
    values = np.zeros((1, 6, 4, 4))
    values[0, 0] = np.arange(16).reshape(4, 4) / 20
    values[0, 2] = 0.5
    values[0, 3, 1, 1] = np.inf
    values[0, 4] = 0.999
    values[0, 4, 0, 0] = -0.999
    values[0, 5] = 0.999
    values[0, 5, :2] = 0.3
    found = maps(values, activation="Tanh")
    assert found.oddities() == {"dead": (1,), "constant": (2,), "saturated": (4,), "nonfinite": (3,)}
    said = found.explained()
    assert len(said) == 4
    assert any("1 map is saturated (4)" in sentence for sentence in said)
    assert "1 dead, 1 constant, 1 saturated, 1 with values that are not finite" in found.sheet(first=1).caption
    assert "4 saturated" in found.sheet(order="plain").labels
    assert maps(values).oddities()["saturated"] == ()


def test_a_dense_layer_is_a_ranked_list_of_bars_with_values():
    found = maps([[0.5, 3, -1, 0]])
    assert list(found.firing()) == [1, 0]
    sheet = found.sheet()
    assert (sheet.form, sheet.tiles.ravel().tolist()) == ("bar", [3, 0.5, 0, -1])
    assert sheet.row_labels == ("1   3", "0   0.5", "3   0", "2   -1")
    sheet.render()
    strip = maps(np.arange(160)[None]).sheet(form="strip")
    np.testing.assert_array_equal(strip.tiles[0, ::5], np.arange(160).reshape(2, 80))
    assert "1 tile of 2 x 80" in strip.caption  # each row of values is drawn five times


def test_a_sheet_says_how_many_of_the_units_are_on_it():
    found = maps(np.ones((1, 3, 4, 4)))
    said = {units: found.sheet(units=units).subtitle.split(";")[0] for units in ((0, 0, 1), (2, 0, 1), (1,), (0, 1, 2, 2))}
    assert said == {
        (0, 0, 1): "2 of 3 maps, some more than once",
        (2, 0, 1): "all 3 maps",
        (1,): "1 of 3 maps",
        (0, 1, 2, 2): "all 3 maps, some more than once",
    }


@pytest.mark.parametrize(("activation", "units"), [("tanh", (0,)), ("hard_tanh", (0,)), ("hardtanh", ()), ("Hardtanh", ())])
def test_only_activations_whose_ends_are_known_are_called_saturated(activation, units):
    """torch's Hardtanh(-1, 6) levels off at 6, and a map of ones is in its middle."""
    assert oddities(np.ones((1, 4, 4), np.float32), activated=True, activation=activation)["saturated"] == units


def test_the_page_says_of_odd_maps_what_the_maps_themselves_do():
    values = np.random.default_rng(0).normal(size=(1, 7, 5, 4))
    values[0, 1], values[0, 2], values[0, 3, 1, 1], values[0, 4], values[0, 5, 0] = 0, 2.5, np.nan, np.inf, -np.inf
    for each in (maps(values), maps(values[..., 0]), maps(values[..., 0, 0])):
        columns, _ = quantised(strips(each.values[0]))
        said = facts(each, columns)
        odd = each.oddities()
        assert (tuple(said["dead"] or ()), tuple(said["constant"])) == (odd["dead"], odd["constant"])
        assert (said["nonfinite"], said["range"]) == (each.nonfinite(), each.span())


def test_the_answers_are_bars_with_their_names(looked):
    sheet = looked.answers_sheet(1)
    best = looked.answers[1][0]
    assert sheet.row_labels[0] == f"{best.label}   {best.probability:.2%}"
    assert "the network's own probabilities" in sheet.caption
    sheet.render()


def test_bars_are_as_long_as_their_values():
    values = np.array([4, 2, -4, np.nan, 0], np.float32)
    drawn = bars(values, np.array([-4.0]), np.array([4.0]))[:, 3]
    assert (drawn == GREY + SHADES - 1).sum(1)[[0, 1, 2, 4]].tolist() == pytest.approx([LONG / 2, LONG / 4, LONG / 2, 0], abs=1)
    assert (drawn[3] == NONFINITE).all()


def test_a_curve_goes_through_its_samples():
    signals = RANDOM.normal(size=(3, 12)).astype(np.float32)
    low, high = signals.min(1).astype(float), signals.max(1).astype(float)
    drawn = curves(signals, low, high) == INK + SHADES - 1
    columns = drawn.shape[2]
    for row, signal in enumerate(signals):
        for sample, value in enumerate(signal):
            column = min(columns - 1, int(sample / 11 * columns))
            height = (HEIGHT - 1) * (1 - (value - low[row]) / (high[row] - low[row]))
            inked = np.flatnonzero(drawn[row, :, column])
            assert inked.min() - 4 <= height <= inked.max() + 4


def test_no_peak_of_a_long_signal_is_lost_and_what_is_not_finite_is_marked():
    signal = np.zeros((1, 5000), np.float32)
    signal[0, 3333] = 7
    drawn = curves(signal, np.array([0.0]), np.array([7.0]))[0]
    assert (drawn[:3] == INK + SHADES - 1).any()
    signal[0, 10] = np.nan
    assert (curves(signal, np.array([0.0]), np.array([7.0])) == NONFINITE).any()
    assert (drawn != PAPER).any(0).all()


def test_signals_are_strips_or_curves():
    found = maps(RANDOM.uniform(size=(1, 3, 20)))
    assert found.sheet().tiles.shape == (3, 2, 20)
    sheet = found.sheet(form="curve")
    assert "curves" in sheet.caption
    sheet.render()
    with pytest.raises(WrongOption, match="'curve'"):
        found.sheet(form="bar")
    with pytest.raises(WrongOption):
        maps(RANDOM.uniform(size=(1, 3, 4, 4))).sheet(form="curve")


def test_the_percentile_scale_leaves_out_what_lies_far_away():
    tile = RANDOM.uniform(0, 1, (1, 40, 40)).astype(np.float32)
    tile[0, 0, 0] = 1000
    plain, robust = (Sheet(tiles=tile, labels=("0",), title="a", scale=scale).tile(0) for scale in ("map", "percentile"))
    assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 2
    assert len(np.unique(robust.reshape(-1, 3), axis=0)) > 150
    assert "1st to 99th percentile" in Sheet(tiles=tile, labels=("0",), title="a", scale="percentile").caption


@pytest.mark.parametrize(("h", "w"), [(8, 8), (32, 64), (1, 1), (7, 3)])
def test_numbers_can_be_read_over_maps_of_any_size(h, w):
    sheet = Sheet(tiles=RANDOM.uniform(size=(30, h, w)).astype(np.float32), labels=tuple(map(str, range(1990, 2020))), title="a")
    for magnify in (None, 1):
        texts = {text.words.partition(" ")[0]: text for text in sheet._page(magnify, None).texts}
        places = sorted((texts[label].y, texts[label].x) for label in sheet.labels)  # none is shortened
        assert all(later[1] - one[1] >= 26 for one, later in zip(places, places[1:], strict=False) if later[0] == one[0])


def test_pictures_side_by_side_have_one_range():
    found = maps(RANDOM.uniform(size=(3, 5, 4, 4)))
    sheet = found.side_by_side(units=[4, 1])
    assert (sheet.scale, sheet.columns, sheet.row_labels) == ("shared", 3, ("unit 4", "unit 1"))
    np.testing.assert_array_equal(sheet.tiles, found.values[:, [4, 1]].transpose(1, 0, 2, 3).reshape(6, 4, 4))


def test_of_two_networks_the_units_that_changed_most_come_first():
    before = maps(RANDOM.uniform(size=(1, 5, 4, 4)))
    changed = before.values.copy()
    changed[0, 3] += 2
    changed[0, 1, 0, 0] -= 0.5
    sheet = before.beside(maps(changed), first=3)
    assert [label.split()[1] for label in sheet.row_labels] == ["3", "1", "0"]
    assert sheet.row_labels[0].endswith("2")
    np.testing.assert_allclose(sheet.tiles[2], 2, rtol=1e-6)
    with pytest.raises(InputError, match="same pictures"):
        before.beside(maps(changed[:, :4]))


def test_maps_of_other_pictures_are_no_before_and_after_also_where_the_pictures_have_no_names():
    net = convscope.open("demo")
    one, other = RANDOM.integers(0, 256, (2, 128, 128, 3)).astype(np.uint8)
    first = net.maps(one, at="block5_conv3")["block5_conv3"]
    with pytest.raises(InputError, match=r"of other pictures.*side_by_side"):
        first.beside(net.maps(other, at="block5_conv3")["block5_conv3"])
    blue_first = replace(net.preprocess, order="bgr")  # the same picture, whatever was done to it
    turned = convscope.open("demo", preprocess=blue_first).maps(one, at="block5_conv3")["block5_conv3"]
    assert first.beside(turned, first=2).tiles.shape[0] == 6
    floats = net._prepared(one).values  # the same values, which undone by another preprocessing are other pixels
    given = net.maps(floats, at="block5_conv3")["block5_conv3"]
    assert given.beside(convscope.open("demo", preprocess=blue_first).maps(floats, at="block5_conv3")["block5_conv3"], first=2)


def test_crops_are_what_the_strongest_place_sees(looked):
    found = looked["block4_conv3"]
    sheet = looked.crops("block4_conv3", picture=1, units=[5, 9])
    reach = edges(looked.network.graph, found.reading.read_at)
    for number, unit in enumerate((5, 9)):
        place = np.unravel_index(found.values[1, unit].argmax(), found.values.shape[2:])
        (top, left), (bottom, right) = reach.of(place)
        np.testing.assert_array_equal(sheet.crops[2 * number], looked.pictures[1].pixels[top:bottom, left:right])
    sheet.image()


def test_a_crop_that_is_cut_off_says_where_in_it_the_place_is(looked):
    """The box lies where the receptive field would have its middle, and is as large as the step to the next place."""
    sheet = looked.crops("block4_conv3", units=list(range(144)))
    found = looked["block4_conv3"]
    reach, net = edges(looked.network.graph, found.reading.read_at), convscope.open("demo")
    whole = net.receptive_field("block4_conv3", (7, 7))
    marked = 0
    for unit in range(144):
        place = np.unravel_index(found.values[0, unit].argmax(), found.values.shape[2:])
        (top, left), (bottom, right) = reach.of(place)
        box = sheet.marks[2 * unit]
        if unit in found.dead():
            assert sheet.crops[2 * unit] is None
            assert "dead" in sheet.labels[2 * unit + 1]
            continue
        if box is None:  # hardly anything is cut off
            assert max(whole.size[0] - (bottom - top), whole.size[1] - (right - left)) <= 2
            continue
        marked += 1
        middle = [whole.offset[axis] + whole.stride[axis] * place[axis] + 0.5 for axis in (0, 1)]
        assert (box[0] + box[2]) / 2 + top == pytest.approx(middle[0], abs=whole.stride[0] / 2)
        assert (box[1] + box[3]) / 2 + left == pytest.approx(middle[1], abs=whole.stride[1] / 2)
        assert 0 <= box[0] < box[2] <= bottom - top
        assert box[2] - box[0] <= whole.stride[0]
    assert marked > 10
    drawn, plain = np.asarray(sheet.image()), np.asarray(replace(sheet, marks=None).image())
    assert (drawn != plain).any()


def test_an_overlay_leaves_the_picture_where_the_map_is_zero(looked):
    values = looked["block1_conv1"].values[0, 3]
    sheet = looked.overlay("block1_conv1", units=[3, 4])
    grey = sheet.tiles[0][values == 0]
    assert (grey.max(1).astype(int) - grey.min(1) <= 1).all()
    assert (sheet.tiles[0][values == values.max()].max(1) - sheet.tiles[0][values == values.max()].min(1) > 40).all()
    with pytest.raises(InputError, match="sheet"):
        looked.overlay("softmax")


def test_which_units_fire_in_every_layer(looked):
    found = looked.firing()
    assert list(found) == list(looked)
    values = looked["flatten"].values[0]
    assert found["flatten"] == sorted(np.flatnonzero(values > 0).tolist(), key=lambda unit: -values[unit])


def test_one_sheet_has_the_first_maps_of_every_layer(looked):
    sheet = looked.sheet(first=5)
    layers = [name for name in looked if looked[name].values.ndim == 4]
    assert [heading.partition(":")[0] for heading, _ in sheet.groups] == layers == ["block1_conv1", "block4_conv3"]
    assert [count for _, count in sheet.groups] == [5, 5]
    assert "without flatten, softmax, which have none" in sheet.subtitle
    shapes = [looked[name].values.shape[2:] for name in layers]
    assert sheet.tiles.shape[1:] == max(shapes)
    for row, name in enumerate(layers):
        for at, unit in enumerate(looked[name].ranked()[:5]):
            own = looked[name].values[0, unit]
            times = [large // small for large, small in zip(max(shapes), own.shape, strict=True)]
            np.testing.assert_array_equal(sheet.tiles[5 * row + at], own.repeat(times[0], 0).repeat(times[1], 1))
            assert sheet.labels[5 * row + at].split()[0] == str(unit)
    assert looked.sheet(picture=1).title.endswith(looked.pictures[1].name)


def test_on_a_sheet_of_every_layer_dead_maps_stay_dead_beside_a_layer_before_its_activation():
    values = np.zeros((1, 2, 4, 4))
    values[0, 1] = 1 + np.arange(16).reshape(4, 4)
    after, before = maps(values), maps(values - 3)
    before = replace(before, reading=Reading("conv1", "conv1", False))
    whole = convscope.open("demo").maps(np.zeros((128, 128, 3), np.uint8), at="block1_conv1")
    both = replace(whole, maps={"after": after, "before": before})
    assert both.sheet(order="plain").labels == ("0 dead", "1", "0", "1")
    alone = replace(whole, maps={"after": after})
    assert alone.sheet(order="plain").marked_labels == ("0 dead", "1")
    with pytest.raises(InputError, match="has maps of rows and columns"):
        replace(whole, maps={"dense": maps([[1.0, 2.0]])}).sheet()


def test_a_sheet_of_all_layers_gives_its_maps_no_size_that_they_have_not(looked):
    sheet = looked.sheet(first=2)
    assert len({looked[name].values.shape[2:] for name in ("block1_conv1", "block4_conv3")}) == 2
    assert "4 tiles; " in sheet.caption
    assert "tiles of" not in sheet.caption
    assert "2 tiles of 128 x 128; " in looked["block1_conv1"].sheet(first=2).caption
