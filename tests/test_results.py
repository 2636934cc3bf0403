"""What results say of themselves: dead, constant and non-finite maps, and which of them a sheet shows."""

import numpy as np
import pytest

from convscope.core import Layer
from convscope.draw import as_planes, nearly_square
from convscope.errors import InputError, WrongOption
from convscope.methods.maps import Reading
from convscope.results import FeatureMaps, Filters


def feature_maps(values, *, activated=True, pictures=("cat",)) -> FeatureMaps:
    layer = Layer(1, "conv1", "convolution", "Conv", values.shape[1:])
    return FeatureMaps(layer, Reading("conv1", "relu1" if activated else "conv1", activated), values, tuple(pictures))


@pytest.fixture
def odd():
    """Five units: alive, dead, constant, with a NaN, and dead but for one pixel."""
    values = np.zeros((1, 5, 4, 4), np.float32)
    values[0, 0] = np.arange(16).reshape(4, 4)
    values[0, 2] = 0.25
    values[0, 3, 1, 1] = np.nan
    values[0, 4, 3, 3] = 1e-30
    return feature_maps(values)


def test_dead_is_zero_everywhere_and_nothing_else(odd):
    assert odd.dead() == (1,)


def test_dead_is_unknown_before_an_activation(odd):
    assert feature_maps(odd.values, activated=False).dead() is None


def test_constant_is_one_value_other_than_zero(odd):
    assert odd.constant() == (2,)


def test_units_of_a_dense_layer_are_not_constant_maps():
    assert feature_maps(np.array([[0.0, 2.0]], np.float32)).constant() == ()


def test_values_that_are_not_finite_are_counted_and_leave_the_range_alone(odd):
    assert odd.nonfinite() == 1
    assert odd.span() == (0.0, 15.0)


def test_each_picture_has_its_own_counts():
    values = np.stack([np.zeros((3, 2, 2)), np.ones((3, 2, 2))]).astype(np.float32)
    both = feature_maps(values, pictures=("a", "b"))
    assert (both.dead(0), both.dead(1)) == ((0, 1, 2), ())


def test_a_sheet_shows_the_first_maps_and_says_of_how_many(odd):
    sheet = odd.sheet(first=2, order="plain")
    assert sheet.labels == ("0", "1")
    assert "the first 2 of 5 maps" in sheet.caption
    np.testing.assert_array_equal(sheet.tiles, odd.values[0, :2])


def test_a_sheet_shows_the_units_that_were_asked_for(odd):
    sheet = odd.sheet(units=[4, 0])
    assert sheet.labels == ("4", "0")
    np.testing.assert_array_equal(sheet.tiles, odd.values[0, [4, 0]])


def test_a_sheet_names_layer_picture_and_where_it_was_read(odd):
    caption = odd.sheet().caption
    assert all(words in caption for words in ("conv1", "cat", "after its activation (relu1)", "4 x 4"))


@pytest.mark.parametrize("arguments", [{"units": [5]}, {"units": [-1]}, {"picture": 1}, {"first": 0}])
def test_what_is_not_there_cannot_be_drawn(odd, arguments):
    with pytest.raises(InputError):
        odd.sheet(**arguments)


@pytest.mark.parametrize("arguments", [{"scale": "nice"}, {"colour": "jet"}])
def test_an_unknown_scale_or_colour_is_refused(odd, arguments):
    with pytest.raises(WrongOption):
        odd.sheet(**arguments)


def filters(*shape, biases=True) -> Filters:
    random = np.random.default_rng(0)
    weights = {"kernel": random.normal(size=shape).astype(np.float32)}
    if biases:
        weights["bias"] = random.normal(size=shape[0]).astype(np.float32)
    return Filters(Layer(1, "conv1", "convolution", "Conv"), weights)


def test_eighteen_panels_of_six_filters_by_three_channels():
    found = filters(64, 3, 3, 3)
    sheet = found.sheet(first=6)
    assert len(sheet.tiles) == 18
    assert sheet.columns == 3
    for filter_number in range(6):
        for channel in range(3):
            np.testing.assert_array_equal(sheet.tiles[filter_number * 3 + channel], found.values[filter_number, channel])


def test_of_many_channels_those_that_weigh_most_are_shown_and_said():
    found = filters(8, 64, 3, 3)
    sheet = found.sheet(channels=4)
    assert "of 64 input channels the 4 that weigh most in each filter" in sheet.caption
    for number in range(8):
        norms = np.linalg.norm(found.values[number].reshape(64, 9), axis=1)
        strongest = sorted(range(64), key=lambda channel, norms=norms: -norms[channel])[:4]
        assert sheet.labels[number * 4 : number * 4 + 4] == tuple(map(str, strongest))
        np.testing.assert_array_equal(sheet.tiles[number * 4 : number * 4 + 4], found.values[number, strongest])


@pytest.mark.parametrize(
    ("shape", "kind", "tiles", "form"),
    [
        ((8, 16, 1, 1), "convolution", (1, 8, 16), "map"),
        ((8, 1, 3, 3), "depthwise", (8, 3, 3), "map"),
        ((4, 2, 7), "convolution", (8, 1, 7), "curve"),
        ((4, 2, 3, 5, 5), "convolution", (8, 5, 15), "map"),
        ((6, 1, 9), "depthwise", (6, 1, 9), "curve"),
    ],
)
def test_kernels_are_drawn_by_what_they_are(shape, kind, tiles, form):
    found = filters(*shape)
    sheet = Filters(Layer(1, "conv1", kind, "Conv"), found.weights).sheet()
    assert (sheet.tiles.shape, sheet.form) == (tiles, form)
    np.testing.assert_array_equal(np.sort(sheet.tiles.ravel()), np.sort(found.values.ravel()))
    assert "all by one range" in sheet.caption
    sheet.render()


def test_a_colour_tile_has_the_channels_as_red_green_and_blue():
    found = filters(5, 3, 3, 3)
    np.testing.assert_array_equal(found.rgb_sheet().tiles[2, :, :, 1], found.values[2, 1])


def test_colour_tiles_of_a_network_that_takes_blue_first():
    """VGG16 of Keras: what looks for red has its weight in input channel 2, and is drawn red."""
    kernel = np.zeros((1, 3, 3, 3), np.float32)
    kernel[0, 2, 1, 1] = 1
    sheet = Filters(Layer(1, "conv1", "convolution", "Conv"), {"kernel": kernel}, order="bgr").rgb_sheet()
    assert sheet.tiles[0, 1, 1].tolist() == [1, 0, 0]
    assert "red, green and blue are input channels 2, 1 and 0" in sheet.subtitle


@pytest.mark.parametrize("first", [0, -1, 2.5, "a", True])
def test_how_many_to_draw_is_a_number_from_one_on(first):
    with pytest.raises(InputError, match="from 1 on"):
        filters(8, 3, 3, 3).sheet(first=first)


def test_colour_tiles_need_three_channels():
    with pytest.raises(InputError, match="3 input channels"):
        filters(8, 4, 3, 3).rgb_sheet()


def test_a_layer_without_biases_has_none():
    assert filters(8, 3, 3, 3, biases=False).biases is None
    assert filters(8, 3, 3, 3).biases.shape == (8,)


def test_dense_weights_are_one_matrix():
    assert filters(10, 20).sheet().tiles.shape == (1, 10, 20)


@pytest.mark.parametrize(
    ("shape", "plane"), [((7,), (7, 1, 1)), ((7, 32), (7, 4, 32)), ((7, 5, 6), (7, 5, 6)), ((7, 3, 5, 6), (7, 5, 18))]
)
def test_everything_becomes_a_flat_picture(shape, plane):
    assert as_planes(np.zeros(shape, np.float32))[0].shape == plane


def test_slices_of_a_volume_stand_side_by_side():
    volume = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    planes, note = as_planes(volume)
    np.testing.assert_array_equal(planes[1], np.hstack(list(volume[1])))
    assert "3 slices" in note


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (2, 2), (3, 2), (16, 4), (64, 8), (65, 9), (512, 23)])
def test_grids_are_nearly_square(count, columns):
    assert nearly_square(count) == columns
