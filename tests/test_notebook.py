"""Results in notebooks: a notebook is run as Jupyter runs it, and what it shows is opened in a browser."""

import base64
import re
from html import unescape
from html.parser import HTMLParser

import browser
import numpy as np
import pytest

import convscope
from convscope import demo
from convscope.errors import InputError
from convscope.show import html, widget

CELLS = {
    "network": "import convscope\nnet = convscope.open('demo')\nnet",
    "layers": "net.layers[1:4]",
    "filters": "net.filters('block1_conv1')",
    "maps": "maps = net.look(convscope.demo.picture(), at='block5_conv3', ranked=False)\nmaps",
    "layer": "maps['block5_conv3']",
    "sheet": "maps['block5_conv3'].sheet(first=4)",
    "why": "net.explain(convscope.demo.picture(), 'cam')",
    "widget": "viewer = maps.widget()\nviewer",
    "set": "viewer.unit = 17\n(viewer.layer, viewer.unit)",
}


@pytest.fixture(scope="module")
def shown():
    """What each cell shows, by MIME type."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed: pip install nbclient ipykernel")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed: pip install ipykernel")
    pytest.importorskip("anywidget", reason="anywidget is not installed: pip install 'convscope[notebook]'")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS.values()])
    done = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    for cell in done.cells:
        assert [output.output_type for output in cell.outputs] == ["execute_result"], cell
    return {name: cell.outputs[0]["data"] for name, cell in zip(CELLS, done.cells, strict=True)} | {"": done}


@pytest.fixture(scope="module")
def maps():
    return convscope.open("demo").look(demo.picture(), at=["block4_conv3", "block5_conv3"], ranked=False)


class Frame(HTMLParser):
    page = ""

    def handle_starttag(self, tag, attributes):
        if tag == "iframe":
            self.page = dict(attributes)["srcdoc"]


def test_every_result_shows_itself(shown):
    assert "1,378,987 parameters" in shown["network"]["text/html"]
    assert shown["layers"]["text/html"].count("<tr>") == 4
    assert "block1_conv1 · filters in colour" in shown["filters"]["text/html"]
    assert "srcdoc=" in shown["maps"]["text/html"]
    assert shown["maps"]["text/plain"].startswith("MapSet(1 pictures;")
    assert "after its activation (block5_relu3)" in shown["layer"]["text/html"]
    assert "cam · chelsea" in shown["why"]["text/html"]
    assert base64.b64decode(shown["sheet"]["image/png"]).startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in shown["widget"]
    assert shown["set"]["text/plain"] == "('block5_conv3', 17)"


def test_nothing_is_brought_from_elsewhere(shown):
    for name in ("network", "layers", "filters", "maps", "layer", "why"):
        assert not re.search(r'(?:src|href)="(?!data:|#|&quot;)', shown[name]["text/html"]), name


def test_what_shows_no_pages_has_a_picture(shown):
    for name in ("filters", "maps", "layer", "sheet", "why"):
        assert base64.b64decode(shown[name]["image/png"]).startswith(b"\x89PNG"), name


# As Jupyter, VS Code and Colab show results: in a page of their own, in a frame that may run scripts and nothing else.
SANDBOX = """html => {
  const frame = Object.assign(document.createElement("iframe"), {srcdoc: html, style: "width: 1200px; height: 900px"});
  frame.setAttribute("sandbox", "allow-scripts");
  document.body.append(frame);
}"""


def test_results_work_in_a_sandbox_and_in_a_notebook_that_was_made_a_page(chromium, shown, tmp_path):
    nbconvert = pytest.importorskip("nbconvert", reason="nbconvert is not installed: pip install nbconvert")
    path = tmp_path / "notebook.html"
    path.write_text(nbconvert.HTMLExporter().from_notebook_node(shown[""])[0], encoding="utf-8")
    with chromium.new_context(viewport={"width": 1280, "height": 1000}) as context:
        # The exported page itself asks for MathJax and require.js, which our results do not need.
        context.route(re.compile("^http"), lambda route: route.abort())
        page = context.new_page()
        page.goto(path.as_uri())
        in_notebook = page.frame_locator("iframe[title='What demo sees']").first
        in_notebook.locator("[data-viewer][aria-busy=false]").wait_for()
        assert "Unit" in in_notebook.locator(".panel [data-unit]").inner_text()
        assert page.locator("table th", has_text="parameters").first.is_visible()
        watched = browser.Watched(context)
        watched.page.goto("about:blank")
        watched.page.evaluate(SANDBOX, shown["maps"]["text/html"])
        inner = watched.page.frame_locator("iframe").frame_locator("iframe")
        inner.locator("[data-viewer][aria-busy=false]").wait_for()
        inner.locator(".grid").press("Home")
        inner.locator(".grid").press("Enter")
        assert inner.get_by_role("dialog", name="Unit").is_visible()
        watched.assert_calm()


def test_an_explanation_of_a_signal_shows_itself_in_words():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    net = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3), torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2))
    why = convscope.open(net, picture_shape=(1, 20)).explain(np.zeros((1, 20), np.float32), "saliency")
    assert "saliency" in why._repr_html_()
    assert why._repr_png_() is None


def test_the_page_in_a_frame_is_the_page(maps):
    from convscope.studies.single import page_of

    reader = Frame()
    reader.feed(html.maps(maps))
    without_time = [re.sub(r"\d{4}-\d\d-\d\dT[\d:+]+", "", page) for page in (reader.page, page_of(maps))]
    assert without_time[0] == without_time[1]


def test_what_is_too_much_for_a_notebook_is_a_table_that_says_what_to_do(maps, monkeypatch):
    monkeypatch.setattr(html, "MOST", 1000)
    assert "<iframe" not in maps._repr_html_()
    assert "maps.save('study')" in unescape(html.maps(maps))
    assert html.maps(maps).count("<tr>") == 3


def test_names_cannot_break_a_table():
    assert "<script>" not in html.table(("<script>",), [("<script>",)], "<script>")


def test_a_layer_that_was_not_read_cannot_be_chosen(maps):
    viewer = maps.widget()
    with pytest.raises(InputError, match="block4_conv3"):
        viewer.layer = "block1_conv1"
    viewer.layer = "block4_conv3"
    assert viewer.layer == "block4_conv3"


MODEL = """async ([script, page]) => {
  const {default: {render}} = await import(`data:text/javascript;base64,${script}`);
  const values = {page, layer: "block5_conv3", picture: 0, unit: 0}, heard = {};
  window.model = {
    get: name => values[name], save_changes: () => {}, on: (name, call) => { heard[name] = call; },
    set: (name, value) => { values[name] = value; },
    from_python: (name, value) => { values[name] = value; heard[`change:${name}`]?.(); },
  };
  render({model: window.model, el: document.body});
}"""


def test_the_widget_says_what_is_chosen_and_shows_what_is_set(chromium, maps):
    with chromium.new_context(viewport={"width": 1200, "height": 900}) as context:
        watched = browser.Watched(context)
        page = watched.page
        page.goto("about:blank")
        from convscope.studies.single import page_of

        page.evaluate(MODEL, [base64.b64encode(widget.SCRIPT.encode()).decode(), page_of(maps)])
        frame = page.frame_locator("iframe")
        frame.locator("[data-viewer][aria-busy=false]").wait_for()
        page.wait_for_function("model.get('unit') > 0")
        first = int(np.argmax(maps["block5_conv3"].values[0].mean((1, 2))))
        assert page.evaluate("[model.get('layer'), model.get('unit')]") == ["block5_conv3", first]
        page.evaluate("model.from_python('layer', 'block4_conv3')")
        page.wait_for_function("model.get('layer') === 'block4_conv3'")
        page.evaluate("model.from_python('unit', 17)")
        frame.locator("#unit-at-cursor", has_text="Unit 17:").wait_for()
        frame.get_by_role("link", name="Words").click()  # a link within the frame stays in it
        assert frame.locator("#words").is_visible()
        frame.locator(".grid").press("Home")
        frame.locator(".grid").press("Enter")
        page.wait_for_function("model.get('unit') !== 17")
        watched.assert_calm()


def test_a_table_hides_no_row_unless_it_says_so():
    """What is printed has no bars to scroll with: the last layer of twelve was cut off, and nothing showed it."""
    few = html.table(("name",), [(str(row),) for row in range(12)], "12 layers")
    assert "max-height" not in few
    assert few.endswith("<div>12 layers</div>")
    many = html.table(("name",), ((str(row),) for row in range(300)), "300 layers")
    assert "max-height" in many
    assert "300 rows, which scroll. 300 layers" in many


def test_tables_and_answers_of_two_networks_show_themselves():
    from convscope.scan.table import Table

    shown = Table({"unit": np.arange(30), "mean": np.linspace(0, 1, 30)})._repr_html_()
    assert shown.count("<tr>") == 21
    assert "30 rows, the first 20 shown" in shown
    assert "which scroll" not in shown
    wide = Table({f"c{at}": np.arange(2) for at in range(20)})
    assert "20 columns, which scroll to the right: c0, c1," in wide._repr_html_()
    assert list(wide.only("c7", "c0")) == ["c7", "c0"]
    assert wide.only("c7", "c0")._repr_html_().count("<th>") == 2
    with pytest.raises(InputError, match="c77"):
        wide.only("c77")
    net = convscope.open("demo")
    contrast = net.contrast(net.without({"block5_conv3": None}), demo.picture(), top=3)
    assert contrast._repr_html_().count("<tr>") == 4
    assert "All units of" in contrast._repr_html_()
    assert net.contrast(convscope.open("demo"), demo.picture()).what == "demo before, demo after."
