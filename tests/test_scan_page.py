"""The page of a scan: its files say what the tables say, and in a browser its controls do what they are called."""

import io
import json
import re
import time

import numpy as np
import pytest
from browser import Watched
from PIL import Image
from scans import CLASSES, LAYERS, network, write_pictures

from convscope.errors import WrongOption
from convscope.scan.histogram import BINS
from convscope.site.scripts import joined

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    write_pictures(folder / "p", 30)
    found = network().scan(folder / "p", LAYERS, out=folder / "scan", k=9, maps="relu2")
    found.relevance("conv1")
    found.class_cams("conv1")
    found.page()
    return found


def beside(scan, key):
    text = (scan.folder / "page" / f"{key}.js").read_text()
    assert text.startswith(f'found("{key}", ')
    return json.loads(text[len(f'found("{key}", ') : -len(");\n")])


def test_the_files_beside_the_page_say_what_the_tables_say(scan):
    for number, name in enumerate(LAYERS):
        data, units = beside(scan, f"layer{number}"), scan.of(name)
        for column, values in data["columns"].items():
            for told, known in zip(values, units[column], strict=True):
                assert (told is None) == (known is None)
                assert told is None or told == pytest.approx(known, rel=1e-3)
        assert data["flags"]["dead"] == units["dead"].tolist()
        for unit in range(4):
            rows = scan.top(name, unit).rows
            assert data["top"]["pictures"][unit] == rows["picture"].tolist()
            assert data["top"]["positions"][unit] == rows["position"].tolist()
            first, *counts = data["histogram"][unit]
            whole = np.zeros(BINS, int)
            whole[first : first + len(counts)] = counts
            assert whole.tolist() == np.asarray(scan.statistics.histogram.counts)[scan.plan[name].start + unit].tolist()
            pairs = data["neighbours"][unit]
            assert [(pairs[at], pairs[at + 1]) for at in range(0, len(pairs), 2)] == [
                (other, pytest.approx(value, abs=1e-3)) for other, value in scan.neighbours(name, unit, 6)
            ]


def test_what_was_asked_for_later_is_there_too(scan):
    data = beside(scan, "layer0")["relevance"]
    rows = scan.top("conv1", 1, by="relevance").rows
    assert data["pictures"][1] == rows["picture"].tolist()
    assert data["values"][1] == pytest.approx(rows["value"].tolist(), rel=1e-3)
    assert data["said"] == "gradient x activation of the network's output"
    assert beside(scan, "layer1")["relevance"] is None
    written = sorted(path.name for path in (scan.folder / "page" / "classes").iterdir())
    assert written == ["0-cams.png", "2-maps-0.png", "2-maps-1.png", "2-maps-2.png"]


def test_kernels_are_those_of_the_network(scan):
    data, kernel = beside(scan, "layer0")["kernel"], network().filters("conv1").values
    for unit in range(4):
        assert data["inputs"][unit] == [0, 1, 2]
        told = np.array(data["values"][unit]).reshape(3, 3, 3) / 127 * data["largest"][unit]
        np.testing.assert_allclose(told, kernel[unit], atol=np.abs(kernel[unit]).max() / 254 + 1e-3)


def test_the_embedding_is_the_scans(scan):
    data = beside(scan, "embedding")
    np.testing.assert_allclose(np.stack([data["x"], data["y"]], 1), scan.embed().pca(2).points, rtol=1e-3, atol=1e-6)
    assert [CLASSES[label] for label in data["label"]] == scan.pictures["label"].tolist()
    with pytest.raises(WrongOption, match="umap"):
        scan.page(embedding="umpa")


def test_the_page_says_where_its_numbers_are_from(scan):
    text = (scan.folder / "index.html").read_text()
    for words in ("fake", "30 pictures", scan.record["preprocess_text"], "before an activation it means nothing"):
        assert words in text
    assert "http:" not in text.replace("http://www.w3.org/2000/svg", "")
    assert joined("scan.js") in text


def test_in_a_browser(chromium, scan):
    with chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as context:
        watched = Watched(context)
        page = watched.page
        page.goto(f"file://{scan.folder}/index.html")
        page.wait_for_selector("#unit h3")
        assert page.locator("#layer option").count() == 3
        page.select_option("#layer", "0")
        page.select_option("#sort", "max")
        page.wait_for_function("document.querySelector('#unit h3').textContent.startsWith('conv1')")
        best = scan.of("conv1").sort("max")["unit"].tolist()
        units = "[...document.querySelectorAll('.tile')].map((each) => Number(each.dataset.unit))"
        assert page.evaluate(units) == best
        page.select_option("#order", "1")
        assert page.evaluate(units) == scan.of("conv1").sort("max", descending=False)["unit"].tolist()
        page.select_option("#only", "dead")
        assert page.evaluate(units) == [3]
        page.select_option("#only", "")
        page.click(".tile[data-unit='1']")
        assert page.inner_text("#unit h3") == "conv1 · unit 1"
        assert page.evaluate("location.hash") == "#layer=0&unit=1"
        page.wait_for_function("[...document.querySelectorAll('.crops figcaption')].every((each) => each.textContent)")
        first = page.inner_text(".crops figure:first-child figcaption").split()
        row = scan.top("conv1", 1).rows.row(0)
        assert float(first[0]) == pytest.approx(row["value"], rel=1e-3)
        assert first[1] == row["label"]
        assert page.locator(".crops").count() == 2  # by its maximum and by relevance
        page.select_option("#class-layer", "1")
        page.select_option("#class-of", "1")
        assert page.get_attribute("#class-maps img", "src") == "page/classes/2-maps-1.png"
        assert "10 pictures of bee" in page.get_attribute("#class-maps img", "alt")
        assert not page.is_visible("#class-cams")
        page.select_option("#class-layer", "0")
        assert "mean Grad-CAM" in page.get_attribute("#class-cams img", "alt")
        page.wait_for_function("document.querySelector('#class-cams img').naturalWidth > 0")
        assert not page.is_visible("#class-maps")
        page.fill("#find", "2")
        page.press("#find", "Enter")
        assert page.inner_text("#unit h3") == "conv1 · unit 2"
        page.fill("#find", "9")
        page.press("#find", "Enter")
        assert page.get_attribute("#find", "aria-invalid") == "true"
        page.goto(f"file://{scan.folder}/index.html#layer=2&unit=3")
        page.wait_for_function("document.querySelector('#unit h3')?.textContent === 'relu2 · unit 3'")
        page.locator("#points").scroll_into_view_if_needed()
        page.wait_for_selector("#points[aria-busy=false]")
        assert page.locator("#legend span").all_inner_texts() == list(CLASSES)
        page.locator("#points canvas").press("+")
        on_paper(page)
        watched.assert_calm()


def on_paper(page):
    """Whole tiles of the units in sight, and how many that are; the grid cut the last row."""
    page.add_style_tag(content="@media screen { #tiles { width: 140px; height: 60px; } }")
    page.wait_for_function("document.querySelectorAll('.tile').length === 2")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    said = page.evaluate("getComputedStyle(document.getElementById('room'), '::before').content")
    assert said == '"Here are those in sight, 1 to 2 of 4."'
    broken = "[...document.querySelectorAll('.tile')].map((each) => getComputedStyle(each).breakInside)"
    assert set(page.evaluate(broken)) == {"avoid"}
    assert (
        page.evaluate("(({ scrollHeight, clientHeight }) => scrollHeight - clientHeight)(document.getElementById('tiles'))") == 0
    )


@pytest.mark.parametrize("width", [1280, 700])
def test_what_comes_later_moves_nothing(chromium, scan, width):
    """A click on what moves between the button's way down and up is lost."""
    there = "[...document.querySelectorAll('h2, h4, a[data-layer]')].map((each) => each.getBoundingClientRect().y + scrollY)"
    with chromium.new_context(viewport={"width": width, "height": 900}) as context:
        page = Watched(context).page
        context.route(re.compile("embedding|classes/|thumbnails"), lambda _: None)  # which never come
        page.goto(f"file://{scan.folder}/index.html", wait_until="commit")
        page.wait_for_selector("#unit h4")
        before = page.evaluate(there)
        context.unroute_all()
        page.reload()
        page.locator("#points").scroll_into_view_if_needed()
        page.wait_for_selector("#points[aria-busy=false]")
        page.wait_for_function("[...document.querySelectorAll('.crops figcaption')].every((each) => each.textContent)")
        assert page.evaluate(there) == before


UNITS = "[...document.querySelectorAll('.tile')].map((each) => Number(each.dataset.unit))"


def in_order(values, sign):
    """Numbers of units by a column: what is not known last, equal ones by their numbers."""
    known = [unit for unit, value in enumerate(values) if value is not None]
    return sorted(known, key=lambda unit: (sign * values[unit], unit)) + [u for u in range(len(values)) if values[u] is None]


def test_clicked_through_in_a_browser(chromium, scan):
    data = beside(scan, "layer1")
    with chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as context:
        watched = Watched(context)
        page = watched.page
        page.goto(f"file://{scan.folder}/index.html#layer=1&unit=99")  # of another scan: then the first one
        page.wait_for_function("document.querySelector('#unit h3')?.textContent.startsWith('relu1')")
        columns = page.evaluate("[...document.querySelectorAll('#sort option')].map((each) => each.value)")
        assert columns == ["unit", *data["columns"]]
        for column in columns[1:]:
            page.select_option("#sort", column)
            for sign in ("-1", "1"):
                page.select_option("#order", sign)
                assert page.evaluate(UNITS) == in_order(data["columns"][column], int(sign)), column
        page.select_option("#sort", "unit")
        page.select_option("#order", "-1")
        assert page.evaluate(UNITS) == [0, 1, 2, 3]
        for label in range(3):
            page.select_option("#class", str(label))
            assert page.evaluate(UNITS) == [unit for unit in range(4) if data["best"][unit] == label]
        page.select_option("#class", "")
        page.click(".tile[data-unit='0']")
        page.locator("#tiles").press("ArrowRight")
        assert page.inner_text("#unit h3") == "relu1 · unit 1"
        assert page.locator(".tile[aria-selected=true]").get_attribute("data-unit") == "1"
        page.locator("#tiles").press("ArrowLeft")
        page.locator("#tiles").press("ArrowLeft")  # where there is nothing it stays
        assert page.inner_text("#unit h3") == "relu1 · unit 0"
        button = page.locator(".beside button").first
        name = button.inner_text()
        assert name == f"unit {data['neighbours'][0][0]}"
        button.click()
        assert page.inner_text("#unit h3") == f"relu1 · {name}"
        page.locator("a[data-layer='0']").press("Enter")
        page.wait_for_function("document.querySelector('#unit h3').textContent.startsWith('conv1')")
        assert page.input_value("#layer") == "0"
        see_points(page, beside(scan, "embedding"))
        watched.assert_calm()


def drawn(page, place):
    """Whether anything is drawn at a place of the plane, by a photograph: thumbnails from a disk may not be read out of it."""
    pixels = np.asarray(Image.open(io.BytesIO(page.locator("#points canvas").screenshot())).convert("RGB"), int)
    x, y = (round(each) for each in place)
    return np.abs(pixels[y - 1 : y + 2, x - 1 : x + 2] - pixels[3, 3]).max() > 20


def see_points(page, data):
    """A point stays under the pointer when the wheel turns there, moves when it is dragged, and is back where it was at last."""
    page.locator("#points").scroll_into_view_if_needed()
    page.wait_for_selector("#points[aria-busy=false]")
    wide, high = page.evaluate("['clientWidth', 'clientHeight'].map((each) => document.querySelector('#points canvas')[each])")
    at = int(np.argmax(data["x"]))  # by itself, at the right end
    shares = [(data[axis][at] - min(data[axis])) / (max(data[axis]) - min(data[axis])) - 0.5 for axis in "xy"]
    place = [wide / 2 + shares[0] * min(wide, high) * 0.92, high / 2 - shares[1] * min(wide, high) * 0.92]
    moved, box = [place[0] - 150, place[1] + 40], page.locator("#points canvas").bounding_box()
    until(lambda: drawn(page, place))
    page.mouse.move(box["x"] + place[0], box["y"] + place[1])
    page.mouse.wheel(0, -1200)
    until(lambda: drawn(page, place) and not drawn(page, moved))
    page.mouse.down()
    page.mouse.move(box["x"] + moved[0], box["y"] + moved[1], steps=5)
    page.mouse.up()
    until(lambda: drawn(page, moved) and not drawn(page, place))
    page.locator("#points canvas").press("0")
    until(lambda: drawn(page, place) and not drawn(page, moved))


def until(holds, seconds=10):
    """Wait until it does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
