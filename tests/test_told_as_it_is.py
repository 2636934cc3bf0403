"""Pictures that would look right and be wrong: a bar with another end than it says, colours for channels that are none."""

import numpy as np
import pytest

from convscope.core import Graph, Layer
from convscope.draw import Sheet
from convscope.draw.colour import NONFINITE, palette
from convscope.draw.curves import curves
from convscope.draw.panels import greatest
from convscope.draw.scale import ranges
from convscope.errors import InputError, WrongPictureShape
from convscope.methods.blocks import is_activated
from convscope.methods.filters import sees_picture
from convscope.methods.maps import Reading
from convscope.results import FeatureMaps, Filters, Shown
from convscope.results.on_pictures import overlay


def test_over_a_picture_the_greatest_value_alone_has_the_last_colour():
    values = np.full((1, 1, 150, 150), 0.1, np.float32)
    values[0, 0, 0, 0], values[0, 0, 50, 50] = 5.0, 10.0  # of so many values they are too few for a quantile
    maps = FeatureMaps(Layer(1, "conv", "convolution", "Conv"), Reading("conv", "conv", True), values, ("grey",))
    shown = Shown("grey", np.full((150, 150, 3), 128, np.uint8))
    panels = overlay(maps, shown, None, 0, [0], "", "nearest")
    assert panels.labels == ("0  10",)
    assert "stretched over the picture (nearest), as it is not known" in panels.caption
    assert (panels.tiles[0][50, 50] != panels.tiles[0][0, 0]).any()
    assert greatest(np.full((2, 2), np.nan, np.float32)) == 0


def test_a_map_without_a_finite_value_has_no_part_in_the_range_of_all():
    tiles = np.full((2, 2, 2), np.nan, np.float32)
    tiles[1] = [[5, 6], [5, 6]]
    assert ranges(tiles).whole == (5, 6)
    assert ranges(tiles[:1]).whole == (0, 0)


@pytest.mark.parametrize(("second", "expected"), [("activation", True), ("convolution", False)])
def test_maps_put_together_are_after_an_activation_if_all_are(second, expected):
    graph = Graph(
        (
            Layer(0, "input", "input", "Input"),
            Layer(1, "a", "activation", "ReLU", inputs=("input",)),
            Layer(2, "b", second, "B", inputs=("input",)),
            Layer(3, "both", "merge", "cat", inputs=("a", "b")),
            Layer(4, "sum", "merge", "add", inputs=("a", "a")),
        )
    )
    assert is_activated(graph, "both") == expected
    assert not is_activated(graph, "sum")


def test_only_kernels_over_the_picture_itself_are_shown_in_colour():
    graph = Graph(
        (
            Layer(0, "input", "input", "Input", shape=(3, 8, 8)),
            Layer(1, "pad", "padding", "Pad", inputs=("input",)),
            Layer(2, "first", "convolution", "Conv", inputs=("pad",)),
            Layer(3, "second", "convolution", "Conv", inputs=("first",)),
        )
    )
    kernel = {"kernel": np.ones((6, 3, 3, 3), np.float32)}
    assert Filters(graph["first"], kernel, sees_picture=sees_picture(graph, "first")).in_colour
    assert not Filters(graph["second"], kernel, sees_picture=sees_picture(graph, "second")).in_colour
    grouped = Filters(graph["first"], kernel, groups=2)
    assert not grouped.in_colour
    with pytest.raises(InputError, match="in 2 groups"):
        grouped.rgb_sheet()


def test_beside_a_sample_that_is_not_finite_a_curve_does_not_fall_to_zero():
    signal = np.full((1, 24), 5.0, np.float32)
    signal[0, 0], signal[0, 12] = 4.0, np.nan
    drawn = curves(signal, np.array([0.0]), np.array([6.0]))[0]
    sound = curves(np.where(np.isfinite(signal), signal, 5.0).astype(np.float32), np.array([0.0]), np.array([6.0]))[0]
    marked = drawn == NONFINITE
    assert marked.any()
    np.testing.assert_array_equal(palette("gray")[drawn[~marked]], palette("gray")[sound[~marked]])


def test_slices_side_by_side_are_high_enough_to_be_seen():
    sheet = Sheet(tiles=np.zeros((4, 12, 96), np.float32), labels=("0", "1", "2", "3"), title="a volume", columns=2)
    plain = Sheet(tiles=np.zeros((4, 12, 12), np.float32), labels=("0", "1", "2", "3"), title="a picture", columns=2)
    assert sheet.render().shape[0] > plain.render().shape[0] // 3 + 2 * 36
    assert sheet.render().shape[1] <= 960 + 60


def test_a_signal_of_another_length_is_no_picture_of_another_size():
    error = WrongPictureShape((1, 2, 400), (None, 2, 224))
    assert str(error) == (
        "This network takes arrays of shape (any, 2, 224), but received (1, 2, 400). "
        "If the network takes any size, open it with picture_shape=(2, 400)."
    )
