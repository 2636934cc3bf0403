"""Signals and volumes on the page, in a real browser: the curve over the signal, and the slices of a volume."""

# ruff: noqa: E501 - the scripts below read better in long lines

import browser
import numpy as np
import pytest
from test_site_browser import pixels, settled, show, tile

import convscope
from convscope.draw.colour import table
from convscope.draw.scale import levels, limits, ranges

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def context(chromium):
    with chromium.new_context(viewport={"width": 1200, "height": 900}) as context:
        yield context


def copying(conv):
    """A convolution whose first unit says what stands in the middle of what it sees, and its second nothing."""
    with torch.no_grad():
        conv.weight[:], conv.bias[:] = 0, 0
        conv.weight[(0, 0, *(size // 2 for size in conv.weight.shape[2:]))] = 1
    return conv


@pytest.fixture(scope="module")
def volume():
    """(1, 5, 6, 7) whole numbers that a byte a value holds exactly; the greatest in slice 3."""
    found = RANDOM.integers(1, 250, (1, 5, 6, 7)).astype(np.float32)
    found[0, 0, 0, 0], found[0, 3, 4, 2] = 0, 254
    return found


@pytest.fixture
def volumes(context, volume, tmp_path):
    net = torch.nn.Sequential(
        copying(torch.nn.Conv3d(1, 2, 3, padding=1)), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(420, 2)
    )
    maps = convscope.open(net, picture_shape=(1, 5, 6, 7)).look(volume, at="0", ranked=False)
    watched = browser.Watched(context)
    page = watched.open(maps.save(tmp_path / "page.html", single_file=True).as_uri())
    show(page, "0", order="unit")
    yield page
    watched.assert_calm()


def coloured(volume, at):
    """A slice in the colours of the sheets, by the range of the whole volume."""
    tiles = volume.reshape(1, 30, 7)
    known = ranges(tiles)
    drawn = levels(tiles, known, *limits(known, "map", signed=False), shared=False)
    return table("viridis")[drawn.reshape(5, 6, 7)[at]]


def test_a_range_moves_through_the_slices_of_a_volume(volumes, volume):
    page = volumes
    scrubber = page.get_by_role("slider", name="Slice")
    assert scrubber.get_attribute("aria-valuetext") == "slice 2 of 0 to 4"  # the middle one, at first
    np.testing.assert_array_equal(pixels(page, 0), coloured(volume, 2))
    scrubber.press("Home")
    settled(page)
    np.testing.assert_array_equal(pixels(page, 0), coloured(volume, 0))
    scrubber.press("ArrowRight")
    settled(page)
    assert scrubber.get_attribute("aria-valuetext") == "slice 1 of 0 to 4"
    np.testing.assert_array_equal(pixels(page, 0), coloured(volume, 1))
    assert "slice 1 of each volume, in the colours of the whole" in page.locator("[data-caption]").inner_text()
    assert (np.ptp(pixels(page, 1), axis=-1) <= 12).all()  # dead in all slices: hatched
    place = tile(page, 0)
    page.mouse.move(place["x"] + place["width"] * 2.5 / 7, place["y"] + place["height"] * 4.5 / 6)
    text = page.locator(".panel").inner_text()
    assert f"{volume[0, 1, 4, 2]:g} at slice 1, row 4, column 2" in text
    assert "slice 3, row 4, column 2" in text  # where the whole volume is strongest
    y, x = np.unravel_index(volume[0, 1].argmax(), (6, 7))
    rows = f"rows {max(0, y - 1)} to {min(5, y + 1)}, columns {max(0, x - 1)} to {min(6, x + 1)}"
    assert f"The input's slice 1 of 0 to 4. Outlined: what it sees where it is strongest in this slice, {rows}." in text
    for key, slice_ in (("End", 4), ("Home", 0)):  # at the ends too, where less is seen: a slice stands over its own
        scrubber.press(key)
        settled(page)
        assert f"The input's slice {slice_} of 0 to 4." in page.locator(".panel").inner_text()


def test_the_large_view_of_a_volume_has_its_slices_and_goes_to_the_strongest(volumes, volume):
    page = volumes
    page.keyboard.press("g")
    page.keyboard.press("Enter")
    large = page.get_by_role("dialog", name="Unit 0 of 0")
    large.get_by_role("button", name="To the strongest").click()
    assert large.get_by_role("slider", name="Slice").get_attribute("aria-valuetext") == "slice 3 of 0 to 4"
    drawn = page.evaluate(
        """() => ["map", "seen"].map(name => { const canvas = document.querySelector(`dialog canvas.${name}`), context = canvas.getContext("2d");
             return Array.from({length: 6}, (_, y) => Array.from({length: 7}, (_, x) => Array.from(
               context.getImageData((x + 0.5) * canvas.width / 7, (y + 0.5) * canvas.height / 6, 1, 1).data.slice(0, 3)))); })"""
    )
    np.testing.assert_array_equal(drawn[0], coloured(volume, 3))
    grey = np.asarray(drawn[1])[..., 0].astype(int)
    inside = np.s_[3:6, 1:4]  # what it sees, outlined; the rest is darkened
    np.testing.assert_array_equal(grey[inside], np.floor(volume[0, 3][inside] / 254 * 255 + 0.5))
    assert (grey[:2] < volume[0, 3][:2] * 0.6 + 2).all()
    large.get_by_role("slider", name="Slice").press("ArrowLeft")
    assert page.evaluate("convscope.viewer.layer.slice") == 2


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (8, 3)])
def test_the_curve_of_a_unit_stands_under_the_signal(context, tmp_path, kernel, stride):
    conv = copying(torch.nn.Conv1d(1, 2, kernel, stride=stride))
    net = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2))
    signal = np.zeros((1, 100), np.float32)
    signal[0, 67] = signal[0, 66] = signal[0, 68] = 1
    opened = convscope.open(net, picture_shape=(1, 100))
    maps = opened.look(signal, at="0", ranked=False, channels=["Cz"])
    watched = browser.Watched(context)
    page = watched.open(maps.save(tmp_path / "page.html", single_file=True).as_uri())
    show(page, "0", order="unit")
    page.locator(".grid").press("Home")
    page.locator(".grid").press("Enter")
    page.get_by_role("dialog", name="Unit 0 of 0").wait_for()
    peaks = page.evaluate(PEAKS)
    ends = min(0, maps["0"].signals.centres[0]), max(99, maps["0"].signals.centres[-1])
    for x in peaks["ink"], peaks["accent"]:
        assert ends[0] + x * (ends[1] - ends[0]) == pytest.approx(67, abs=(stride + 1) / 2)
    position = int(maps["0"].values[0, 0].argmax())
    field = opened.receptive_field("0", (position,))
    said = page.locator("dialog [data-field]").inner_text()
    assert said == f"Shaded: what it sees where it is strongest, samples {field.start[0]} to {field.stop[0] - 1}."
    assert f"position {position}" in page.locator("dialog dl").inner_text()
    box = page.locator("dialog canvas.seen").bounding_box()
    page.mouse.move(box["x"] + box["width"] * (30.5 - ends[0]) / (ends[1] - ends[0]), box["y"] + 30)
    nearest = int(np.abs(maps["0"].signals.centres - 30.5).argmin())
    assert f"at position {nearest}" in page.locator("dialog dl").inner_text()
    watched.assert_calm()


# Of the plot: where in its width, as a share, the top of the first channel and of the unit's curve are.
PEAKS = """() => {
  const canvas = document.querySelector("dialog canvas.seen"), context = canvas.getContext("2d"), style = getComputedStyle(canvas);
  const colour = name => { context.fillStyle = style.getPropertyValue(name); context.fillRect(0, 0, 1, 1); return context.getImageData(0, 0, 1, 1).data; };
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  const top = (name, from) => { const wanted = colour(name), found = [];
    for (let y = from; y < from + 8; y++) for (let x = 0; x < canvas.width; x++)
      if ([0, 1, 2].every(c => Math.abs(data[4 * (y * canvas.width + x) + c] - wanted[c]) < 40)) found.push(x);
    return found.reduce((sum, x) => sum + x, 0) / found.length / canvas.width; };
  return {ink: top("--ink", 15), accent: top("--accent", 74)};
}"""


def test_what_is_no_picture_is_not_said_to_be_one(context, tmp_path):
    net = torch.nn.Sequential(copying(torch.nn.Conv1d(1, 2, 3)), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(36, 2))
    maps = convscope.open(net, picture_shape=(1, 20)).look(np.zeros((1, 20), np.float32), at="0", ranked=False)
    watched = browser.Watched(context)
    page = watched.open((maps.save(tmp_path / "study") / "index.html").as_uri())
    text = page.locator("body").inner_text()
    assert "The array as the network received it" in text
    assert "x / 255" not in text
    assert "The preprocessing was assumed" not in text
    page.locator("[data-shown]").select_option("curves")
    settled(page)
    assert "It is zero everywhere" in page.locator(".panel [data-field]").inner_text()
    watched.assert_calm()
