"""A study as one file: everything that the page shows is in it, and a mistake leaves what was there."""

import json
import re

import pytest

import convscope
from convscope.errors import OutputError, WrongOption


@pytest.fixture(scope="module")
def maps():
    return convscope.open("demo").look(convscope.demo.picture(), at=["block5_conv3", "predictions"])


def test_one_file_names_nothing_beside_it(maps, tmp_path):
    path = maps.save(tmp_path / "new" / "cat.html", single_file=True)
    assert [each.name for each in path.parent.iterdir()] == ["cat.html"]
    page = path.read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(("#", "data:")) for link in links)
    assert "maps.npz" not in page


def test_its_maps_are_those_of_the_folder(maps, tmp_path):
    page = maps.save(tmp_path / "cat.html", single_file=True).read_text(encoding="utf-8")
    folder = maps.save(tmp_path / "study")
    found = re.findall(r'<script type="application/json" class="maps" data-key="([^"]+)">(.*?)</script>', page)
    assert len(found) == 4  # the maps and the kernels of two layers
    for key, payload in found:
        beside = (folder / key).read_text(encoding="ascii")
        assert beside == f"convscope.receive({payload});\n"
        assert json.loads(payload)["key"] == key


def test_a_mistake_leaves_what_was_there(maps, tmp_path):
    (tmp_path / "cat.html").write_text("mine")
    with pytest.raises(WrongOption, match="html"):
        maps.save(tmp_path / "cat.pdf", single_file=True)
    with pytest.raises(WrongOption):
        maps.save(tmp_path / "cat.html", single_file=True, scale="nice")
    assert (tmp_path / "cat.html").read_text() == "mine"
    with pytest.raises(OutputError):
        maps.save(tmp_path / "cat.html" / "in a file.html", single_file=True)
    assert [each.name for each in tmp_path.iterdir()] == ["cat.html"]
