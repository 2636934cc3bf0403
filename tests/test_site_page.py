"""The page of a study: it says what the record says, and nothing in the record can break it."""

# ruff: noqa: E501 - the record below reads better in long lines

import copy
import re
from html.parser import HTMLParser

import pytest

from convscope.site.page import render, times, units

STUDY = {
    "format": 1,
    "convscope": "0.1.0",
    "created": "2026-11-24T08:00:00+00:00",
    "network": {
        "name": "demo", "source": "built in", "framework": "onnxruntime 1.32.0", "sha256": "abc123", "parameters": 1322859,
        "input": [3, 128, 128], "notes": [],
    },
    "preprocess": {"origin": "the network's card"},
    "preprocess_text": "resized to 128 x 128 (cropped), RGB, x / 127.5 - 1",
    "preprocess_assumed": False,
    "asked": {"at": "blocks", "activated": True},
    "answer_text": "the network's own probabilities",
    "pictures": [
        {
            "name": "chelsea", "received": "pictures/chelsea.png", "size": [128, 96], "notes": ["rotated by its EXIF tag"],
            "answers": [{"label": "cat", "index": 1, "probability": 0.97}, {"label": "tench", "index": 10, "probability": 0.01}],
        }
    ],
    "layers": [
        {"index": 0, "name": "input", "kind": "input", "native": "Input", "shape": [3, 128, 128], "native_shape": [None, 3, 128, 128],
         "parameters": 0, "kernel": None, "activation": None, "inputs": []},
        {"index": 1, "name": "conv", "kind": "convolution", "native": "Conv", "shape": [16, 128, 128], "native_shape": None,
         "parameters": 448, "kernel": [16, 3, 3, 3], "activation": "relu", "inputs": ["input"]},
    ],
    "filters": [{"layer": "conv", "shape": [16, 3, 3, 3], "file": "filters/conv.png", "caption": "all of it", "pixels": [10, 20]}],
    "why": [],
    "blocks": [
        {"name": "Block 1", "says": ["128 × 128", "1 convolution", "16 channels"], "parameters": 448, "multiply_adds": 7077888,
         "layers": [{"name": "conv", "kind": "convolution", "shape": [16, 128, 128], "parameters": 448, "multiply_adds": 7077888, "shows": 0}]},
    ],
    "maps": [
        {
            "activated": True, "note": "", "answer": None, "data": [{"key": "tiles/conv.js", "file": "tiles/conv.js"}],
            "layer": "conv", "read_at": "relu", "reading": "after its activation (relu)", "shape": [16, 128, 128],
            "sheets": [
                {"picture": "chelsea", "file": "maps/conv.png", "caption": "what it shows", "range": [0.0, 7.31], "shown": 8, "of": 16,
                 "dead": [3, 7], "constant": [], "nonfinite": 0, "pixels": [300, 200]},
            ],
        }
    ],
}  # fmt: skip


def changed(**changes):
    """The record with values replaced: `pictures__0__answers=None`."""
    study = copy.deepcopy(STUDY)
    for path, value in changes.items():
        place = study
        *steps, last = (int(step) if step.isdigit() else step for step in path.split("__"))
        for step in steps:
            place = place[step]
        place[last] = value
    return study


class Reader(HTMLParser):
    """The text of a page, its links, and whether every element that was opened is closed."""

    VOID = {"meta", "img", "br", "link", "input"}

    def __init__(self, page: str):
        super().__init__()
        self.text, self.links, self.open, self.ids = "", [], [], set()
        self.feed(page)
        self.text = re.sub(r"\s+", " ", self.text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.links += [values[name] for name in ("href", "src") if name in values]
        self.ids |= {values["id"]} if "id" in values else set()
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text += data


def test_the_page_says_what_the_record_says():
    text = Reader(render(STUDY)).text
    for words in (
        "What demo sees", "1,322,859 parameters", "97.00 %", "cat", "rotated by its EXIF tag", "x / 127.5 - 1", "the network's card",
        "The first 8 of 16 maps. 2 dead here, zero everywhere for this picture: 3, 7.", "0 to 7.31", "after its activation (relu)",
        "(16, 3, 3, 3)", "(None, 3, 128, 128)", "sha256 of the file: abc123", "onnxruntime 1.32.0", "Conv + relu", "7.08 M multiply-adds",
    ):  # fmt: skip
        assert words in text, words


def test_every_element_is_closed_and_every_anchor_is_there():
    page = Reader(render(STUDY))
    assert page.open == []
    assert {link[1:] for link in page.links if link.startswith("#")} <= page.ids


def test_nothing_comes_from_a_network():
    page = render(STUDY)
    assert not re.search(r"https?://|@import|fetch\(", page)
    assert all(not link.startswith("/") for link in Reader(page).links)


def test_names_cannot_break_the_page():
    evil = '<script>alert("1")</script>'
    page = render(changed(network__name=evil, pictures__0__name=evil, maps__0__layer=evil, layers__1__name=evil))
    assert evil not in page
    assert page.count("<script") == render(STUDY).count("<script")
    assert Reader(page).text.count(evil) >= 4


def test_files_of_any_name_are_linked():
    assert "maps/a%20b%23c%3F.png" in Reader(render(changed(maps__0__sheets__0__file="maps/a b#c?.png"))).links


def test_what_was_assumed_is_a_warning():
    assert "The preprocessing was assumed." in Reader(render(changed(preprocess_assumed=True))).text
    assert "assumed" not in Reader(render(STUDY)).text
    assert "Its input was guessed." in Reader(render(changed(network__notes=["Its input was guessed."]))).text


def test_a_network_that_does_not_classify_has_no_answers():
    assert "What it takes it for" not in Reader(render(changed(pictures__0__answers=None))).text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maps__0__sheets__0__dead": None}, "which maps are dead cannot be said"),
        ({"maps__0__sheets__0__dead": []}, "None is dead here"),
        ({"maps__0__sheets__0__shown": 16}, "All 16 maps"),
        ({"maps__0__sheets__0__nonfinite": 12}, "12 values are not finite"),
        ({"maps__0__sheets__0__constant": [5]}, "1 constant, one value everywhere: 5"),
        ({"maps__0__sheets__0__range": None}, "none is finite"),
    ],
)
def test_what_is_out_of_the_ordinary_is_said(change, words):
    assert words in Reader(render(changed(**change))).text


def test_the_head_is_no_block_for_a_resolution():
    study = copy.deepcopy(STUDY)
    assert "<p>1 block, from the picture" in render(study)
    study["blocks"] += [{**study["blocks"][0], "name": name} for name in ("Block 2", "Head")]
    assert "<p>2 blocks, one for each resolution, and the head that answers, from the picture" in render(study)


def test_two_pictures_have_two_columns_and_two_sheets():
    study = changed()
    study["pictures"].append({**study["pictures"][0], "name": "dog"})
    study["maps"][0]["sheets"].append({**study["maps"][0]["sheets"][0], "picture": "dog", "dead": [1]})
    text = Reader(render(study)).text
    assert "dead · chelsea" in text
    assert "dead · dog" in text


def test_many_units_are_listed_shortly():
    assert units([1, 2]) == "1, 2"
    assert units(list(range(30)), most=3) == "0, 1, 2 and 27 more"
    assert (times([]), times([7]), times([None, 3])) == ("1", "7", "any × 3")
