"""The page in a real browser, opened from a disk: what it draws is what the values say, by mouse, by keyboard and by ear."""

# ruff: noqa: E501 - the scripts below read better in long lines

import json

import browser
import numpy as np
import pytest

from convscope.core import Graph, Layer, Window
from convscope.draw.colour import table
from convscope.draw.scale import levels, limits, ranges
from convscope.methods.maps import Reading
from convscope.methods.ranking import Evidence
from convscope.pictures import Preprocess
from convscope.results import FeatureMaps, MapSet, NetworkInfo, Shown

ROWS = (
    Layer(0, "input", "input", "Input", (3, 32, 32)),
    Layer(1, "conv", "convolution", "Conv", (6, 8, 8), parameters=168, kernel=(6, 3, 3, 3), inputs=("input",)),
    Layer(2, "relu", "activation", "Relu", (6, 8, 8), inputs=("conv",)),
    Layer(3, "raw", "convolution", "Conv", (4, 8, 8), parameters=220, kernel=(4, 6, 3, 3), inputs=("relu",)),
    Layer(4, "many", "convolution", "Conv", (900, 4, 4), parameters=32400, kernel=(900, 4, 3, 3), inputs=("raw",)),
    Layer(5, "dense", "dense", "Gemm", (10,), parameters=9010, kernel=(10, 900), inputs=("many",)),
)


def values(name: str, picture: int) -> np.ndarray:
    """Maps that a byte a value holds exactly: whole numbers within 254 of the least one, where they differ at all."""
    random = np.random.default_rng(picture)
    if name == "conv":  # alive, dead, constant, with NaN and infinity, weak, strong
        maps = random.integers(0, 255, (6, 8, 8)).astype(np.float32)
        maps[:, 0, 0], maps[:, 7, 7] = 0, 254
        maps[1], maps[2] = 0, 5
        maps[3, 2, 2:4] = np.nan, np.inf
        maps[4] /= 254
        maps[5, 1] = 0
        return maps
    if name == "raw":  # before an activation: signed, and zero everywhere means nothing
        maps = random.integers(-127, 128, (4, 8, 8)).astype(np.float32)
        maps[:, 0, 0], maps[:, 7, 7] = -127, 127
        maps[1] = 0
        return maps
    if name == "many":
        maps = random.integers(0, 255, (900, 4, 4)).astype(np.float32)
        maps[:, 0, 0], maps[:, 3, 3] = 0, 254
        maps[:, 1:3, 1:3] = np.arange(900).reshape(900, 1, 1) % 200
        return maps
    return random.permutation(10).astype(np.float32)


def maps_of(*names: str) -> MapSet:
    readings = {"conv": Reading("conv", "relu", True), "raw": Reading("raw", "raw", False), "many": Reading("many", "many", True)}
    evidence = Evidence(np.array([[0.5, 0, 2, np.nan, -1, 1]] * 2, np.float32), ("cat", "dog"), "made up")
    found = {
        name: FeatureMaps(
            next(row for row in ROWS if row.name == name), readings.get(name, Reading(name, name, False)),
            np.stack([values(name, number) for number in range(2)]), ("chelsea", "rex"), evidence if name == "conv" else None,
        )
        for name in names
    }  # fmt: skip
    pixels = np.random.default_rng(9).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    return MapSet(
        maps=found,
        network=NetworkInfo("little", "made here", "numpy", Graph(ROWS)),
        pictures=(Shown("chelsea", pixels[0]), Shown("rex", pixels[1])),
        preprocess=Preprocess.parse("0..1 32"),
        asked={"at": "all", "activated": True},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return maps_of("conv", "raw", "many", "dense").save(tmp_path_factory.mktemp("page") / "study of a cat")


@pytest.fixture(scope="module")
def context(chromium):
    with chromium.new_context(viewport={"width": 1200, "height": 900}, reduced_motion="reduce") as context:
        yield context


@pytest.fixture(scope="module")
def opened(context, folder):
    return browser.Watched(context), (folder / "index.html").as_uri()


@pytest.fixture
def page(opened):
    watched, url = opened
    page = watched.open(url)
    show(page, "conv", order="unit")
    yield page
    watched.assert_calm()


def show(page, layer, *, order=None):
    page.get_by_role("combobox", name="Layer", exact=True).select_option(layer)
    page.wait_for_function("name => convscope.viewer.layer?.entry.layer === name", arg=layer)
    if order:
        page.get_by_role("combobox", name="Order").select_option(order)
    settled(page)


def settled(page):
    page.locator(".grid").scroll_into_view_if_needed()
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def tile(page, unit):
    """Where a unit's tile is in the window: {x, y, width, height}."""
    return page.evaluate(
        """unit => {
          const {grid} = convscope.viewer, box = grid.canvas.getBoundingClientRect(), place = grid.place(unit);
          return place && {...place, x: box.x + place.x, y: box.y + place.y};
        }""",
        unit,
    )


def pixels(page, unit):
    """The colours in the middle of each cell of a tile, (h, w, 3), as the canvas has them."""
    found = page.evaluate(
        """unit => {
          const {grid} = convscope.viewer, place = grid.place(unit), [h, w] = grid.layer.size;
          const context = grid.canvas.getContext("2d");
          return Array.from({length: h}, (_, y) => Array.from({length: w}, (_, x) => Array.from(
            context.getImageData(place.x + ((x + 0.5) * place.width) / w, place.y + ((y + 0.5) * place.height) / h, 1, 1).data.slice(0, 3))));
        }""",
        unit,
    )
    return np.array(found)


def order(page):
    return page.evaluate("convscope.viewer.order_")


def expected(maps, unit, *, scale, signed):
    """The colours of a sheet for this unit, (h, w, 3): the other way to the same picture."""
    known = ranges(maps)
    low, high = limits(known, scale, signed=signed)
    drawn = levels(maps, known, low, high, shared=scale == "shared")[unit]
    return table("diverging" if signed else "viridis")[drawn]


@pytest.mark.parametrize("scale", ["map", "shared"])
def test_the_pixel_of_a_tile_is_the_colour_of_the_value_as_on_the_sheets(page, scale):
    page.get_by_role("combobox", name="Scale").select_option(scale)
    settled(page)
    for unit in (0, 2, 4, 5):
        np.testing.assert_array_equal(pixels(page, unit), expected(values("conv", 0), unit, scale=scale, signed=False), f"{unit}")


@pytest.mark.parametrize("scale", ["map", "shared"])
def test_signed_maps_are_centred_at_zero(page, scale):
    show(page, "raw", order="unit")
    page.get_by_role("combobox", name="Scale").select_option(scale)
    settled(page)
    for unit in (0, 3):
        np.testing.assert_array_equal(pixels(page, unit), expected(values("raw", 0), unit, scale=scale, signed=True), f"{unit}")
    assert (pixels(page, 1) == 247).all()  # zero everywhere is no dead map here, and white
    assert "which maps are dead cannot be said" in page.locator("[data-caption]").inner_text()


def test_what_is_dead_or_not_finite_cannot_be_taken_for_a_map(page):
    assert (np.ptp(pixels(page, 1), axis=-1) <= 12).all()  # greys, which viridis has none of
    broken = pixels(page, 3)
    assert broken[2, 2].tolist() == broken[2, 3].tolist() == [255, 0, 220]
    caption = page.locator("[data-caption]").inner_text()
    for words in ("1 dead", "1 constant", "2 values not finite", "8 × 8", "after its activation (relu)", "viridis", "each map by its own range",
                  "as they are numbered", "0 to 254", "x / 255", "254 steps"):  # fmt: skip
        assert words in caption, words


def test_hovering_says_unit_number_value_and_place(page):
    place = tile(page, 0)
    page.mouse.move(place["x"] + place["width"] * 2.5 / 8, place["y"] + place["height"] * 1.5 / 8)
    panel = page.locator(".panel")
    assert panel.locator("[data-unit]").inner_text() == "Unit 0"
    text = panel.inner_text()
    assert f"{values('conv', 0)[0, 1, 2]:g} at row 1, column 2" in text
    assert f"{values('conv', 0)[0].mean():.4g}" in text
    y, x = divmod(int(values("conv", 0)[0].argmax()), 8)
    assert f"row {y}, column {x}" in text


def test_a_click_shows_it_large_and_arrows_go_on(page):
    place = tile(page, 4)
    page.mouse.click(place["x"] + 5, place["y"] + 5)
    large = page.get_by_role("dialog", name="Unit 4 of conv")
    assert large.locator(".ends").inner_text().split() == ["0", "0.5", "1"]
    assert "chelsea; after its activation (relu); viridis, each map by its own range; number 5 of 6." in large.inner_text()
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("dialog", name="Unit 5 of conv").is_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert "not finite" in page.get_by_role("dialog", name="Unit 3 of conv").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


SEARCHES = {
    "": [0, 1, 2, 3, 4, 5], "dead": [1], "alive and not constant": [0, 3, 4, 5], "constant": [2], "nonfinite": [3],
    "> 3": [0, 2, 5], "max <= 5": [1, 2, 4], "1, 3-4": [1, 3, 4], "2 to 3 or dead": [1, 2, 3], "17, 40-52": [],
    "active < 50%": [1], "mean > 4.5 and mean < 5.5": [2], "ANSWER >= 1": [2, 5], "min = 5": [2], "!alive": [1],
}  # fmt: skip


def test_units_are_searched(page):
    field = page.get_by_role("searchbox", name="Units")
    says = page.locator("[data-search-says]")
    for text, found in SEARCHES.items():
        field.fill(text)
        assert order(page) == found, text
        assert ("No unit is like that." in says.inner_text()) == (found == []), text


def test_a_search_that_is_not_understood_says_what_is_possible(page):
    field = page.get_by_role("searchbox", name="Units")
    for text in ("3-", "great", "mean > x", "constructor", "mean 3", "> 3 <"):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true", text
        assert "is not understood. Write dead, alive, > 3" in page.locator("[data-search-says]").inner_text(), text
        assert order(page) == [0, 1, 2, 3, 4, 5], text  # nothing is hidden by a mistake


def test_units_are_ordered_by_what_speaks_for_the_answer_of_each_picture(page):
    show(page, "conv")
    select = page.get_by_role("combobox", name="Order")
    assert select.locator("option").all_inner_texts() == [
        "speaks for cat", "mean", "greatest value", "share active", "variance", "unit number",
    ]  # fmt: skip
    select.select_option("answer")
    assert order(page) == [2, 5, 0, 1, 4, 3]  # what was not measured last
    assert 'how much each speaks for "cat" (made up)' in page.locator("[data-caption]").inner_text()
    page.get_by_role("radio", name="rex").check()
    page.wait_for_function("convscope.viewer.picture === 1")
    settled(page)
    assert select.locator("option").first.inner_text() == "speaks for dog"
    select.select_option("unit")
    settled(page)
    np.testing.assert_array_equal(pixels(page, 0), expected(values("conv", 1), 0, scale="map", signed=False))
    assert "conv · rex" in page.locator("[data-caption]").inner_text()


def test_all_of_it_by_keyboard(page):
    page.keyboard.press("g")
    grid = page.get_by_role("listbox")
    option = page.locator("#unit-at-cursor")
    page.keyboard.press("ArrowRight")
    assert option.inner_text() == "Unit 1: dead, zero everywhere"
    assert (option.get_attribute("aria-posinset"), option.get_attribute("aria-setsize")) == ("2", "6")
    page.keyboard.press("End")
    assert option.inner_text().startswith("Unit 5: 0 to 254, mean ")
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog", name="Unit 5 of conv").is_visible()
    page.keyboard.press("Escape")
    assert grid.evaluate("each => each === document.activeElement")
    page.keyboard.press("/")
    page.keyboard.type("dead/?")  # keys typed into a field are text
    assert page.get_by_role("searchbox").input_value() == "dead/?"
    page.keyboard.press("Enter")
    page.keyboard.press("]")
    page.wait_for_function("convscope.viewer.layer.entry.layer === 'raw'")
    page.keyboard.press(".")
    page.wait_for_function("convscope.viewer.picture === 1")
    page.keyboard.press("?")
    assert page.get_by_role("dialog", name="Keys and searches").is_visible()
    page.keyboard.press("Escape")


def test_a_layer_of_many_maps_draws_only_what_is_seen(page):
    show(page, "many", order="unit")
    assert page.locator(".grid *").count() == 3
    drawn = page.evaluate("""() => { let count = 0; const {grid} = convscope.viewer, tile = grid.tile;
        grid.tile = (...all) => { count++; return tile.apply(grid, all); }; grid.draw(); delete grid.tile; return count; }""")
    assert 20 < drawn < 200
    page.keyboard.press("g")
    page.keyboard.press("End")
    settled(page)
    assert page.locator("#unit-at-cursor").inner_text().startswith("Unit 899:")
    np.testing.assert_array_equal(pixels(page, 899), expected(values("many", 0), 899, scale="map", signed=False))
    assert tile(page, 899)["y"] < 900


def test_a_block_shows_its_layers_with_what_they_cost(page):
    network = page.get_by_role("region", name="The network", exact=True)
    blocks = network.get_by_role("listitem").filter(has=page.get_by_role("heading"))
    assert blocks.count() == 3
    first = blocks.first.inner_text()
    assert all(
        words in first for words in ("8 × 8", "2 convolutions", "4 to 6 channels", "388 parameters", "24.2 k multiply-adds")
    )
    network.get_by_role("button", name="many").click()
    page.wait_for_function("convscope.viewer.layer.entry.layer === 'many'")
    assert network.get_by_role("button", pressed=True).count() == 1
    assert page.get_by_role("listbox").evaluate("each => each === document.activeElement")


def test_a_dense_layer_is_shown(page):
    show(page, "dense", order="max")
    assert order(page) == np.argsort(-values("dense", 0), kind="stable").tolist()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_control_has_a_name_and_every_text_can_be_read(chromium, folder, scheme):
    with chromium.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme) as context:
        watched = browser.Watched(context)
        page = watched.open((folder / "index.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390  # nothing to scroll sideways on a phone
        assert page.evaluate(NAMELESS) == []
        assert page.evaluate(FAINT) == []
        watched.assert_calm()


NAMELESS = """Array.from(document.querySelectorAll("button, select, input, [role=listbox], canvas[role=img], dialog, aside, section"))
  .filter(each => !(each.getAttribute("aria-label") || each.labels?.length || each.textContent.trim()
     || document.getElementById(each.getAttribute("aria-labelledby"))?.textContent)).map(each => each.outerHTML.slice(0, 80))"""
# WCAG 2.2, 1.4.3: 4.5 to 1 for text. A background is that of the nearest ancestor that has one.
FAINT = """(() => {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d", {willReadFrequently: true});
  const rgb = (colour, under = [255, 255, 255]) => { context.fillStyle = `rgb(${under})`; context.fillRect(0, 0, 1, 1);
    context.fillStyle = colour; context.fillRect(0, 0, 1, 1); return Array.from(context.getImageData(0, 0, 1, 1).data.slice(0, 3)); };
  const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = each => { for (let at = each; at; at = at.parentElement) { const colour = getComputedStyle(at).backgroundColor;
    if (!/, 0\\)|transparent/.test(colour)) return rgb(colour); } return [255, 255, 255]; };
  const faint = [];
  for (const each of document.body.querySelectorAll("*")) {
    const own = Array.from(each.childNodes).some(node => node.nodeType === 3 && node.textContent.trim());
    if (!own || !each.checkVisibility() || each.closest("script, style, .unseen, .skip")) continue;
    const under = behind(each), over = rgb(getComputedStyle(each).color, under);
    const [a, b] = [light(under), light(over)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(`${each.tagName} ${each.textContent.trim().slice(0, 30)}`);
  }
  return faint;
})()"""


def test_several_pictures_side_by_side_have_one_range(page):
    place = tile(page, 4)
    page.mouse.click(place["x"] + 5, place["y"] + 5)
    every = page.locator("[data-every] figure")
    every.nth(1).wait_for()
    assert every.all_inner_texts() == ["chelsea", "rex"]
    drawn = every.locator("canvas").evaluate_all(
        """all => all.map(each => { const [h, w] = convscope.viewer.layer.size, context = each.getContext("2d");
           return Array.from({length: h}, (_, y) => Array.from({length: w}, (_, x) => Array.from(
             context.getImageData((x + 0.5) * each.width / w, (y + 0.5) * each.height / h, 1, 1).data.slice(0, 3)))); })"""
    )
    both = np.stack([values("conv", number)[4] for number in range(2)])
    known = ranges(both)
    colours = table("viridis")[levels(both, known, *limits(known, "shared", signed=False), shared=True)]
    np.testing.assert_array_equal(np.array(drawn), colours)


def test_a_glance_shows_the_first_maps_of_the_last_layer_of_each_block(page):
    rows = page.get_by_role("region", name="At a glance").locator("[data-glance]")
    assert rows.count() == 2  # one for each block with maps
    rows.first.scroll_into_view_if_needed()
    tiles = rows.first.get_by_role("button", name="Unit")
    tiles.first.wait_for()
    means = values("raw", 0).mean((1, 2))
    ranked = np.argsort(-means, kind="stable")
    assert [each.split()[0] for each in tiles.all_inner_texts()] == [str(unit) for unit in ranked]
    amounts = [float(each.split()[1]) for each in tiles.all_inner_texts()]
    np.testing.assert_allclose(amounts, means[ranked], rtol=0.05)
    assert "by their mean" in rows.first.inner_text()
    tiles.first.click()
    assert page.get_by_role("dialog", name=f"Unit {means.argmax()} of raw").is_visible()
    page.keyboard.press("Escape")


def test_a_place_in_the_padding_sees_no_pixel(context, tmp_path):
    """A 1 x 1 kernel with padding: the edge of its map sees no pixel of the picture, and nothing is outlined or cut out for it."""
    rows = (
        Layer(0, "input", "input", "Input", (3, 6, 6)),
        Layer(
            1,
            "conv",
            "convolution",
            "Conv",
            (2, 8, 8),
            inputs=("input",),
            window=Window((1, 1), (1, 1), (1, 1), ((1, 1), (1, 1))),
        ),
    )
    values = np.zeros((1, 2, 8, 8), np.float32)
    values[0, 0, 0, 3], values[0, 1, 2, 3] = 1, 1
    found = FeatureMaps(rows[1], Reading("conv", "conv", False), values, ("noise",))
    pixels = np.random.default_rng(0).integers(0, 255, (6, 6, 3)).astype(np.uint8)
    maps = MapSet(
        {"conv": found},
        NetworkInfo("little", "made here", "numpy", Graph(rows)),
        (Shown("noise", pixels),),
        Preprocess.parse("0..1 6"),
        {"at": "all"},
    )
    watched = browser.Watched(context)
    page = watched.open(maps.save(tmp_path / "page.html", single_file=True).as_uri())
    show(page, "conv", order="unit")
    page.locator(".grid").press("Home")
    said = page.locator(".panel [data-field]").inner_text()
    assert said == "Where it is strongest it lies in the padding and sees no pixel of the picture."
    pixel = """() => Array.from(document.querySelector(".panel canvas.seen").getContext("2d").getImageData(1, 1, 1, 1).data.slice(0, 3))"""
    np.testing.assert_array_equal(page.evaluate(pixel), pixels[0, 0])  # neither outlined nor darkened
    page.locator(".grid").press("ArrowRight")
    assert "rows 1 to 1, columns 2 to 2" in page.locator(".panel [data-field]").inner_text()
    assert maps.crops("conv", units=[0, 1]).crops[0] is None
    watched.assert_calm()


def test_what_a_unit_sees_is_outlined(context, tmp_path):
    import convscope

    net = convscope.open("demo")
    looked = net.look(convscope.demo.picture(), at=["block2_conv1", "block5_conv3"], ranked=False)
    watched = browser.Watched(context)
    # One file: pixels that come from a picture beside the page may not be read, even by its own scripts.
    page = watched.open(looked.save(tmp_path / "page.html", single_file=True).as_uri())
    show(page, "block2_conv1", order="max")
    maps = looked["block2_conv1"].values[0]
    unit = int(maps.max((1, 2)).argmax())
    field = net.receptive_field("block2_conv1", tuple(int(at) for at in np.unravel_index(maps[unit].argmax(), maps[unit].shape)))
    (top, left), (bottom, right) = field.start, field.stop
    page.locator(".grid").press("Home")
    said = page.locator(".panel [data-field]").inner_text()
    assert said == f"Outlined: what it sees where it is strongest, rows {top} to {bottom - 1}, columns {left} to {right - 1}."
    inside, outside = page.evaluate(
        """([y, x]) => { const canvas = document.querySelector(".panel canvas.seen"), context = canvas.getContext("2d");
           return [context.getImageData(x * 4, y * 4, 1, 1), context.getImageData(2, 2, 1, 1)].map(each => Array.from(each.data.slice(0, 3))); }""",
        [(top + bottom) // 2, (left + right) // 2],
    )
    seen = looked.pictures[0].pixels
    np.testing.assert_array_equal(inside, seen[(top + bottom) // 2, (left + right) // 2])
    np.testing.assert_allclose(outside, seen[0, 0] * 0.55, atol=1)  # darkened
    show(page, "block5_conv3")
    cells = page.evaluate(
        "Array.from({length: 160}, (_, unit) => { const {layer} = convscope.viewer; "
        "return layer.isDead(unit) ? null : layer.cell(layer.peak(unit)); })"
    )
    marks = looked.crops("block5_conv3", units=list(range(160))).marks[::2]
    reach = [
        net.receptive_field("block5_conv3", tuple(map(int, np.unravel_index(each.argmax(), each.shape))))
        for each in looked["block5_conv3"].values[0]
    ]
    for cell, mark, field in zip(cells, marks, reach, strict=True):
        assert (cell is None) == (mark is None)
        if cell is not None:
            np.testing.assert_allclose(cell, np.asarray(mark) + np.tile(field.start, 2), atol=1e-6)
    assert sum(cell is not None for cell in cells) > 50
    assert "Laid over it: its map" in page.locator(".panel [data-field]").inner_text()
    watched.assert_calm()


def test_signals_volumes_and_layers_with_nothing_to_show_are_shown(context, tmp_path):
    from dataclasses import replace

    arrays = {
        "signal": np.random.default_rng(0).normal(size=(4, 50)),
        "volume": np.random.default_rng(0).normal(size=(3, 2, 4, 5)),
        "broken": np.full((2, 4, 4), np.nan),
        "asleep": np.zeros((3, 4, 4)),
        "single": np.ones((1, 1, 1)),
    }
    rows = (ROWS[0], *(Layer(at, name, "convolution", "Conv", each.shape) for at, (name, each) in enumerate(arrays.items(), 1)))
    found = {
        row.name: FeatureMaps(row, Reading(row.name, row.name, True), arrays[row.name][None].astype(np.float32), ("chelsea",))
        for row in rows[1:]
    }
    whole = maps_of("conv")
    odd = replace(whole, maps=found, pictures=whole.pictures[:1], network=replace(whole.network, graph=Graph(rows)))
    watched = browser.Watched(context)
    page = watched.open(odd.save(tmp_path / "page.html", single_file=True).as_uri())
    said = {}
    for name in arrays:
        show(page, name)
        page.locator(".grid").press("Home")
        page.locator(".grid").press("Enter")
        page.keyboard.press("Escape")
        said[name] = page.locator("[data-caption]").inner_text()
    assert "signals drawn as strips" in said["signal"]
    assert "slice 1 of each volume, in the colours of the whole" in said["volume"]
    assert "32 values not finite" in said["broken"]
    assert "3 dead" in said["asleep"]
    watched.assert_calm()


def test_one_file_shows_the_same_with_nothing_beside_it(context, tmp_path):
    path = maps_of("conv", "raw").save(tmp_path / "mailed" / "page.html", single_file=True)
    assert [each.name for each in path.parent.iterdir()] == ["page.html"]
    watched = browser.Watched(context)
    page = watched.open(path.as_uri())
    show(page, "conv", order="unit")
    np.testing.assert_array_equal(pixels(page, 0), expected(values("conv", 0), 0, scale="map", signed=False))
    assert [url for url in watched.requests if not url.startswith("data:")] == [path.as_uri()]
    watched.assert_calm()


def test_a_file_that_is_missing_is_said(context, folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "torn")
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    (tmp_path / "torn" / record["maps"][1]["data"][0]["file"]).unlink()
    watched = browser.Watched(context)
    page = watched.open((tmp_path / "torn" / "index.html").as_uri())
    page.get_by_role("combobox", name="Layer", exact=True).select_option("raw")
    page.wait_for_selector("[data-viewer][aria-busy=false]")
    assert "is missing beside this page." in page.get_by_role("alert").inner_text()
    show(page, "conv")  # the others can still be seen


def test_paper_has_all_tiles_of_the_layer_and_cuts_none(page):
    show(page, "many", order="unit")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    tiles = page.locator("[data-paper] figure")
    assert tiles.count() == 900
    assert tiles.nth(7).inner_text().split() == ["7"]
    assert tiles.nth(899).evaluate("tile => [getComputedStyle(tile).breakInside, tile.offsetHeight > 90]") == ["avoid", True]
    found = (
        tiles.nth(7)
        .locator("canvas")
        .evaluate(
            """canvas => Array.from({length: 4}, (_, y) => Array.from({length: 4}, (_, x) => Array.from(
          canvas.getContext("2d").getImageData((x + 0.5) * canvas.width / 4, (y + 0.5) * canvas.height / 4, 1, 1).data.slice(0, 3))))"""
        )
    )
    np.testing.assert_array_equal(found, expected(values("many", 0), 7, scale="map", signed=False))
    assert not page.locator(".grid").is_visible()
    assert not page.locator(".controls").is_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tiles.count() == 0
    assert page.locator(".grid").is_visible()


@pytest.mark.parametrize("width", [1200, 390])
def test_the_ends_of_a_bar_of_reasons_are_each_in_one_line_and_apart(chromium, tmp_path, width):
    import convscope

    picture = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    page_of = convscope.open("demo").look(picture, at="block5_conv3", ranked=False).save(tmp_path / "study")
    with chromium.new_context(viewport={"width": width, "height": 800}) as context:
        page = browser.Watched(context).open((page_of / "index.html").as_uri())
        ends = page.evaluate("""() => {
            const spans = [...document.querySelector(".why .ends").children];
            spans[0].textContent = "-0.0003862, against it";
            spans[2].textContent = "0.0003862, for it";
            return spans.map(span => span.getBoundingClientRect().toJSON());
        }""")
        line = ends[1]["height"]
        assert all(end["height"] == line for end in ends)
        assert all(one["right"] + 4 < other["left"] for one, other in zip(ends, ends[1:], strict=False))
        assert page.evaluate("document.documentElement.scrollWidth") <= width
