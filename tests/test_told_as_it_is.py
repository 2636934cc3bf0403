"""Pictures that would look right and be wrong: a bar with another end than it says, colours for channels that are none."""

import json
import re
from importlib import resources

import browser
import numpy as np
import pytest
from PIL import Image

import convscope
from convscope.core import Graph, Layer
from convscope.draw import Sheet
from convscope.draw.colour import MIDDLE, NONFINITE, palette, table
from convscope.draw.curves import curves
from convscope.draw.panels import OPAQUE, blended, greatest, peak_of
from convscope.draw.scale import ranges
from convscope.errors import InputError, Unsupported, WrongPictureShape
from convscope.methods.blocks import is_activated
from convscope.methods.effect import Worth
from convscope.methods.filters import sees_picture
from convscope.methods.maps import Reading
from convscope.methods.resize import laid_over
from convscope.results import Effect, FeatureMaps, Filters, NetworkInfo, Shown
from convscope.results.on_pictures import overlay
from convscope.site import page


def test_over_a_picture_the_greatest_value_alone_has_the_last_colour():
    values = np.full((1, 1, 150, 150), 0.1, np.float32)
    values[0, 0, 0, 0], values[0, 0, 50, 50] = 5.0, 10.0  # of so many values they are too few for a quantile
    maps = FeatureMaps(Layer(1, "conv", "convolution", "Conv"), Reading("conv", "conv", True), values, ("grey",))
    shown = Shown("grey", np.full((150, 150, 3), 128, np.uint8))
    panels = overlay(maps, shown, None, 0, [0], "", "nearest")
    assert panels.labels == ("unit 0, max |10|",)
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


RANDOM = np.random.default_rng(0)


def of_layer(values, *, name="conv", activated=False, activation=None, pictures=("one",)):
    reading = Reading(name, name, activated, activation)
    return FeatureMaps(Layer(1, name, "convolution", "Conv"), reading, np.asarray(values, np.float32), pictures)


def colours(sheet):
    return [sheet.tile(number)[0, 0].tolist() for number in range(len(sheet.tiles))]


def test_around_zero_a_constant_map_has_the_colour_of_its_sign_and_not_that_of_zero():
    tiles = np.stack([np.full((3, 3), 5.0), np.full((3, 3), -0.1), np.zeros((3, 3)), RANDOM.normal(size=(3, 3))])
    sheet = Sheet(tiles=tiles.astype(np.float32), labels=tuple("abcd"), title="", dead_is_meaningful=False)
    assert sheet.colour_map == "diverging"
    assert colours(sheet)[:3] == [table("diverging")[at].tolist() for at in (-1, 0, MIDDLE)]
    plain = Sheet(tiles=tiles[[0, 2]].astype(np.float32), labels=tuple("ab"), title="", dead_is_meaningful=False)
    assert colours(plain) == [table("viridis")[MIDDLE].tolist()] * 2  # where no colour says a value, the one in the middle


@pytest.mark.parametrize("shape", [(4,), (4, 1, 1), (4, 1)])
def test_maps_of_a_single_value_are_told_apart(shape):
    values = np.array([1, 2, 3, 4], np.float32).reshape(1, *shape)
    sheet = of_layer(values).sheet(order="plain", form="map")
    assert sheet.scale == "shared"
    assert colours(sheet) == table("viridis")[[0, 75, 149, -1]].tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_over_a_picture_what_is_not_finite_is_magenta_and_not_as_zero(value, upsample):
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0], heat[2, 2] = 1, value
    picture = np.full((8, 8, 3), 128, np.uint8)
    places = [np.arange(8) / 2 - 0.25] * 2
    for large in (None, laid_over(heat, [np.clip(axis, 0, 3) for axis in places], upsample)):
        drawn = blended(picture, heat, upsample, large=large)
        magenta = OPAQUE * palette("diverging")[NONFINITE] + (1 - OPAQUE) * 128
        np.testing.assert_allclose(drawn[4, 4], magenta, atol=1)
        assert drawn[7, 1].tolist() == [128] * 3


@pytest.mark.parametrize("shape", [(1, 4096), (4096, 1), (500, 500)])
def test_a_sheet_that_leaves_out_pixels_says_so_on_itself(shape, tmp_path):
    sheet = Sheet(tiles=RANDOM.random((2, *shape)).astype(np.float32), labels=("0", "1"), title="")
    written = " ".join(text.words for text in sheet._page(None, (400, 300)).texts)
    assert "Reduced to fit, by leaving out pixels." in written
    with Image.open(sheet.save(tmp_path / "small.png", size=(400, 300))) as saved:
        assert re.search(r"Reduced \d+(\.\d)? times", saved.info["Description"])
    assert "Reduced" not in " ".join(text.words for text in sheet._page(1, None).texts)


def test_maps_that_were_read_in_two_ways_are_not_compared_as_if_they_were_not():
    values = RANDOM.random((1, 3, 4, 4))
    before, after = of_layer(values), of_layer(values + 1, name="later", activated=True)
    sheet = before.beside(after)
    assert sheet.title.startswith("conv and later · ")
    assert "before: its own output, before any activation; after: its own output, after an activation" in sheet.subtitle
    assert "its own output, before any activation" in before.beside(of_layer(values + 1)).subtitle
    with pytest.raises(InputError, match="from 1 on"):
        before.beside(after, first=0)


def test_a_map_that_has_become_no_number_has_changed_most():
    values = RANDOM.random((1, 3, 4, 4))
    broken = values + np.array([0.1, 0, 0.2])[:, None, None]
    broken[0, 1, 2, 2] = np.nan
    assert [label.split()[1] for label in of_layer(values).beside(of_layer(broken)).row_labels] == ["1", "2", "0"]


def two_inputs():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

    class Both(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.deep, self.colour = torch.nn.Conv2d(6, 2, 3, 2, 1), torch.nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, deep, colour):
            return (torch.relu(self.deep(deep)) + torch.relu(self.colour(colour))).mean((2, 3))

    net = convscope.open(Both(), picture_shape=[(6, 64, 64), (3, 32, 32)])
    pixels = RANDOM.integers(0, 256, (32, 32, 3), np.uint8)
    return net.maps({"input": RANDOM.normal(size=(1, 6, 64, 64)).astype(np.float32), "input:1": pixels}, at="all")


def test_of_several_inputs_crops_and_overlays_are_of_the_one_that_is_shown(tmp_path):
    maps = two_inputs()
    for draw in (maps.crops, maps.overlay):
        with pytest.raises(Unsupported, match="follow from 'input', and not from the pictures of 'input:1'"):
            draw("deep")
    values = maps["colour"].values[0, 0]
    y, x = np.unravel_index(values.argmax(), values.shape)
    pixels = maps.pictures[0].pixels[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
    np.testing.assert_array_equal(maps.crops("colour", units=[0]).crops[0], pixels)
    assert maps.overlay("colour").tiles[0].shape == (32, 32, 3)
    record = json.loads((maps.save(tmp_path / "study") / "study.json").read_text())
    entries = {each["layer"]: each for each in record["maps"]}
    assert entries["deep"]["apart"]
    assert entries["deep"]["receptive"] is None
    assert not entries["colour"].get("apart")
    assert entries["colour"]["receptive"]["stops"][0] == [2, *range(3, 33), 32]
    assert entries["add"]["receptive"]["starts"][0] == [0, *range(31)]


def test_over_the_picture_only_the_layer_that_is_drawn_is_spoken_of():
    net = convscope.open("demo")
    why = net.explain(RANDOM.integers(0, 256, (64, 64, 3), np.uint8), "eigen-cam", at=["block1_conv2", "block4_conv3"])
    panels = why.overlay()
    assert "At 'block4_conv3'; " in panels.subtitle
    assert panels.peak == peak_of(why.values[0])


def test_before_an_activation_a_unit_of_zeros_is_not_called_dead_in_an_ablation():
    maps = np.stack([np.zeros((3, 3)), RANDOM.normal(size=(3, 3))]).astype(np.float32)
    worth = Worth(1.0, np.array([1.0, 0.5], np.float32), maps)
    reading = Reading("conv", "conv", activated=False)
    shown, info = Shown("one", np.zeros((3, 3, 3), np.uint8)), NetworkInfo("net", "", "", Graph(()))
    effect = Effect(reading, (0, 1), ("it",), (worth,), (shown,), info, None)
    assert "dead" not in effect.sheet().caption


def test_the_page_colours_constant_maps_as_sheets_do(chromium):
    """Of a constant 5, a constant -2 and zeros among signed maps, the colours of the page by JavaScript."""
    script = resources.files("convscope.site").joinpath("static/colour.js").read_text("utf-8").replace("export ", "")
    values = {"low": [5, -2, 0, -1], "high": [5, -2, 0, 1]}
    ask = f"""(() => {{ {script};
        const layer = {{ low: -2, high: 5, column: (name) => ({json.dumps(values)})[name], isConstant: (unit) => unit < 2 }};
        const colours = new Colours({json.dumps(page.colours())});
        return [0, 1, 2].map((unit) => colours.lookup(layer, unit, "map", "diverging")[0] >>> 0);
    }})()"""
    with chromium.new_context() as context:
        found = context.new_page().evaluate(ask)
    tiles = np.stack([np.full((2, 2), value, np.float32) for value in (5, -2, 0)] + [np.float32([[-1, 1], [0, 0]])])
    sheet = Sheet(tiles=tiles, labels=tuple("abcd"), title="", dead_is_meaningful=False)
    assert [[colour & 255, colour >> 8 & 255, colour >> 16 & 255] for colour in found] == colours(sheet)[:3]


def test_a_page_brings_the_maps_of_a_layer_whatever_its_name_is(chromium, tmp_path):
    """`relu#2`, the second call of a layer: as a link, all from # on is no part of a file's name."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.relu, self.conv = torch.nn.ReLU(), torch.nn.Conv2d(3, 2, 3)

        def forward(self, x):
            return self.relu(self.conv(self.relu(x)))

    net = convscope.open(Twice(), picture_shape=(3, 8, 12))
    maps = net.look(RANDOM.integers(0, 256, (8, 12, 3), np.uint8), at="all")
    assert "relu#2" in maps
    with chromium.new_context() as context:
        watched = browser.Watched(context)
        watched.open((maps.save(tmp_path / "study") / "index.html").as_uri())
        watched.page.wait_for_function("[...document.querySelectorAll('[data-ranked]')].every((each) => each.textContent)")
        watched.page.get_by_text("8 × 12 pixels (height × width)").wait_for()
        watched.assert_calm()


@pytest.mark.parametrize(
    ("method", "says"), [("input-x-gradient", "the sum over"), ("saliency", "the greatest over"), ("grad-cam", None)]
)
def test_what_a_pixel_shows_of_its_channels_is_said(method, says):
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    why = convscope.open(module, picture_shape=(3, 8, 8)).explain(RANDOM.integers(0, 256, (8, 8, 3), np.uint8), method)
    folded = {"the sum over": why.values[0].sum(0), "the greatest over": why.values[0].max(0), None: why.values[0]}[says]
    np.testing.assert_array_equal(why.heat(), folded)
    assert (f", of each pixel {says} its channels; " in why.sheet().subtitle) == (says is not None)
    assert says or "over its channels" not in why.sheet().subtitle


def test_of_a_picture_that_is_not_there_nothing_is_told():
    net = convscope.open("demo")
    picture = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)
    why = net.explain(picture, "ablation-cam")
    for ask in (net.look(picture, ranked=False).answers_sheet, why.best):
        with pytest.raises(InputError, match="There is no picture 3: only picture 0 was"):
            ask(3)
