"""Back and Forward of the browser go from view to view of a page, and leave it only where it was entered."""

import numpy as np
import pytest
from browser import Watched
from scans import LAYERS, network, write_pictures

import convscope
from convscope import demo


@pytest.fixture
def watched(chromium):
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    yield Watched(context)
    context.close()


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    root = tmp_path_factory.mktemp("scan")
    write_pictures(root / "p", 9)
    return network().scan(root / "p", LAYERS, out=root / "s").folder / "index.html"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    net = convscope.open("demo")
    maps = net.look([demo.picture(), np.zeros((9, 9, 3), np.uint8)], at=["block4_conv2", "block5_conv3"], why="none")
    return maps.save(tmp_path_factory.mktemp("study") / "s") / "index.html"


def at_a_unit(watched, scan):
    """The page of a scan, entered at unit 2 of relu1."""
    watched.page.goto(f"file://{scan}#layer=1&unit=2")
    says(watched.page, "relu1 · unit 2")
    return watched.page


def says(page, text):
    page.wait_for_function("text => document.querySelector('#unit h3')?.textContent === text", arg=text)


def test_back_on_the_page_of_a_scan_goes_to_the_unit_and_the_layer_before(watched, scan):
    page = watched.page
    page.goto("about:blank")
    page.goto(f"file://{scan}#layer=1&unit=2")
    says(page, "relu1 · unit 2")
    page.click(".tile[data-unit='0']")
    says(page, "relu1 · unit 0")
    page.select_option("#layer", "0")
    page.wait_for_function("document.querySelector('#unit h3').textContent.startsWith('conv1')")
    first = page.inner_text("#unit h3")
    page.locator("a[data-layer='2']").click()
    page.wait_for_function("document.querySelector('#unit h3').textContent.startsWith('relu2')")
    for there in (first, "relu1 · unit 0", "relu1 · unit 2"):
        page.go_back()
        says(page, there)
        assert page.input_value("#layer") == ("0" if there == first else "1")
    assert page.evaluate("location.hash") == "#layer=1&unit=2"
    page.go_forward()
    says(page, "relu1 · unit 0")
    assert page.locator(".tile[aria-selected=true]").get_attribute("data-unit") == "0"
    page.go_back()
    page.go_back()
    assert page.url == "about:blank"
    watched.assert_calm()


def test_steps_of_the_arrow_keys_are_one_view(watched, scan):
    page = at_a_unit(watched, scan)
    page.select_option("#sort", "unit")
    page.select_option("#order", "-1")
    page.click(".tile[data-unit='0']")
    for unit in (1, 2, 3):
        page.locator("#tiles").press("ArrowRight")
        says(page, f"relu1 · unit {unit}")
    page.go_back()
    says(page, "relu1 · unit 2")
    page.go_forward()
    says(page, "relu1 · unit 3")


def test_a_link_to_a_part_of_the_page_of_a_scan_leaves_the_view_as_it_is(watched, scan):
    page = at_a_unit(watched, scan)
    page.evaluate("location.hash = '#words'")
    page.evaluate("location.hash = '#layer=0&unit=1'")  # as somebody types it
    says(page, "conv1 · unit 1")
    page.go_back()
    says(page, "relu1 · unit 2")
    assert page.evaluate("location.hash") == "#words"
    page.go_back()
    says(page, "relu1 · unit 2")


def held(watched, name):
    """A file beside the page that does not come until what is returned is called."""
    page, waiting = watched.page, []
    page.route(f"**/{name}", lambda route: waiting.append(route))

    def come():
        page.evaluate(
            "name => { document.querySelector(`script[src$='${name}']`).onload = () => { globalThis.came = true; }; }", name
        )
        for _ in range(500):
            if not waiting:
                page.wait_for_timeout(20)
        waiting.pop().continue_()
        page.wait_for_function("globalThis.came")

    return come


def test_until_a_layer_of_a_scan_is_there_the_one_before_is_gone_through_under_its_own_name(watched, scan):
    page = watched.page
    come = held(watched, "layer0.js")
    page.goto(f"file://{scan}#layer=1&unit=2")
    says(page, "relu1 · unit 2")
    page.select_option("#layer", "0")
    page.click(".tile[data-unit='0']")
    says(page, "relu1 · unit 0")
    come()
    page.wait_for_function("document.querySelector('#unit h3').textContent.startsWith('conv1')")
    watched.assert_calm()


def test_who_goes_elsewhere_before_the_view_before_is_there_gets_there(watched, scan):
    page = at_a_unit(watched, scan)
    page.select_option("#layer", "0")
    page.wait_for_function("location.hash.startsWith('#layer=0')")
    come = held(watched, "layer1.js")
    page.reload()
    page.wait_for_function("document.querySelector('#unit h3')?.textContent.startsWith('conv1')")
    page.go_back()
    page.select_option("#layer", "2")
    page.wait_for_function("location.hash.startsWith('#layer=2')")
    come()
    assert page.inner_text("#unit h3").startswith("relu2")
    page.go_back()
    says(page, "relu1 · unit 2")


def test_a_layer_whose_file_is_missing_is_said_and_the_one_before_stays(watched, scan):
    page = watched.page
    page.route("**/layer0.js", lambda route: route.abort())
    page.goto(f"file://{scan}#layer=1&unit=2")
    says(page, "relu1 · unit 2")
    page.select_option("#layer", "0")
    page.wait_for_function("document.querySelector('#about').textContent === 'page/layer0.js is not there.'")
    assert page.input_value("#layer") == "1"


def shown(page, layer, picture, unit=None):
    """Waits for a view of the page of `look`, with a unit large or none, and for the history, which takes a step Back later."""
    page.wait_for_function(
        """([layer, picture, unit]) => {
          const {viewer} = convscope, {dialog} = viewer.large;
          return viewer.layer?.entry.layer === layer && viewer.picture === picture && dialog.open === (unit !== null)
            && (unit === null || viewer.large.unit === unit) && history.state?.open === (unit !== null);
        }""",
        arg=[layer, picture, unit],
    )


def test_back_on_the_page_of_pictures_closes_what_is_large_and_goes_to_the_layer_and_the_picture_before(watched, study):
    page = watched.page
    page.goto("about:blank")
    watched.open(f"file://{study}")
    layers = page.get_by_role("combobox", name="Layer", exact=True)
    shown(page, "block5_conv3", 0)
    layers.select_option("block4_conv2")
    shown(page, "block4_conv2", 0)
    page.keyboard.press(".")
    shown(page, "block4_conv2", 1)
    page.evaluate("convscope.viewer.open(3)")
    shown(page, "block4_conv2", 1, 3)
    page.keyboard.press("ArrowRight")
    stepped = page.evaluate("convscope.viewer.large.unit")
    shown(page, "block4_conv2", 1, stepped)
    page.go_back()
    shown(page, "block4_conv2", 1)
    page.go_forward()
    shown(page, "block4_conv2", 1, stepped)
    page.keyboard.press("Escape")
    shown(page, "block4_conv2", 1)
    for layer, picture in (("block4_conv2", 0), ("block5_conv3", 0)):
        page.go_back()
        shown(page, layer, picture)
        assert page.locator("input[name=picture]:checked").get_attribute("value") == str(picture)
    page.go_back()
    assert page.url == "about:blank"
    watched.assert_calm()


def test_a_unit_of_a_layer_is_not_opened_in_another_that_was_asked_for_meanwhile(watched, study):
    watched.open(f"file://{study}")
    both = "viewer => Promise.all([viewer.goBack({layer: 0, picture: 1, open: true, unit: 3}), viewer.show(1, 1)])"
    watched.page.evaluate(f"({both})(convscope.viewer)")
    shown(watched.page, "block5_conv3", 1)


def test_who_closes_what_is_large_and_goes_on_at_once_gets_there(watched, study):
    """The step Back that closing takes comes later than what is done next."""
    page = watched.open(f"file://{study}")
    page.evaluate(
        """() => {
          const {viewer} = convscope, {dialog} = viewer.large;
          viewer.open(3);
          dialog.addEventListener("close", () => viewer.turn(-1), {once: true});
          dialog.close();
        }"""
    )
    page.wait_for_function("history.state.layer === 0")
    shown(page, "block4_conv2", 0)
    page.go_back()
    shown(page, "block5_conv3", 0)


def test_what_back_closed_and_forward_opened_stays_open(watched, study):
    """A browser tells that it was closed later; that was taken for somebody who closes it, and went back once more."""
    page = watched.open(f"file://{study}")
    page.evaluate(
        """() => {
          globalThis.late = (event) => event.stopImmediatePropagation();
          addEventListener("close", late, {capture: true});
          convscope.viewer.open(3);
        }"""
    )
    shown(page, "block5_conv3", 0, 3)
    page.go_back()
    shown(page, "block5_conv3", 0)
    page.go_forward()
    shown(page, "block5_conv3", 0, 3)
    page.evaluate("""() => {
      removeEventListener("close", late, {capture: true});
      convscope.viewer.large.dialog.dispatchEvent(new Event("close"));
      return new Promise((done) => setTimeout(done, 300));
    }""")
    shown(page, "block5_conv3", 0, 3)
    page.keyboard.press("Escape")
    shown(page, "block5_conv3", 0)


def test_a_page_in_a_frame_leaves_the_history_of_what_is_around_it_alone(watched, study):
    """As in a notebook."""
    page = watched.page
    page.goto(f"file://{study}")
    before = page.evaluate("history.length")
    page.evaluate(
        """() => { const frame = document.createElement("iframe");
        frame.srcdoc = document.querySelector("script[type=module]").outerHTML;
        document.body.replaceChildren(frame); }"""
    )
    frame = page.wait_for_selector("iframe").content_frame()
    added = """async () => { const script = document.querySelector("script[type=module]").textContent;
      const views = script.slice(script.indexOf("class Views"), script.indexOf("\\n}\\n", script.indexOf("class Views")) + 2);
      const Views = eval(`(${views})`), made = new Views(() => null);
      made.add({layer: 1}); made.add({layer: 2}); return made.alone; }"""
    assert frame.evaluate(added) is False
    assert page.evaluate("history.length") == before
