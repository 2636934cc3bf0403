"""The page of a scan: its files say what the tables say, and in a browser its controls do what they are called."""

import json

import numpy as np
import pytest
from browser import Watched, running
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


def test_in_a_browser(scan):
    with running() as browser:
        watched = Watched(browser.new_context(viewport={"width": 1280, "height": 900}))
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
        assert page.url.endswith("#layer=0&unit=1")
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
        page.wait_for_function("document.querySelectorAll('#legend span').length === 3")
        page.locator("#points canvas").press("+")
        watched.assert_calm()
