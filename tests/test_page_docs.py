"""docs/page.md: its command runs, its pictures are there and small, and every search and key that it names works."""

import re
import shutil
import sys
from pathlib import Path

import browser
import pytest

import convscope
from convscope import cli, demo

DOCS = Path(__file__).parent.parent / "docs"
TEXT = (DOCS / "page.md").read_text(encoding="utf-8")


def test_its_commands_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(demo.picture(), "cat.png")
    (tmp_path / "names.txt").write_text("\n".join(f"class {number}" for number in range(11)))
    (commands,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    for line in commands.splitlines():
        words = line.split("#")[0].split()
        if "net.keras" in words:
            words[words.index("net.keras")] = str(demo.MODEL)  # the same command for a network that is quick to open
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert not stop.value.code, line
    assert (tmp_path / "study" / "index.html").is_file()
    assert (tmp_path / "cat.html").is_file()


def test_its_pictures_are_there_and_small():
    pictures = re.findall(r"!\[([^\]]+)\]\((images/[\w.-]+)\)", TEXT)
    assert len(pictures) == 6
    for words, path in pictures:
        assert len(words) > 20
        assert (DOCS / path).stat().st_size < 400_000, path


def test_its_searches_are_understood(chromium, tmp_path):
    maps = convscope.open("demo").look(demo.picture(), at="block5_conv3")
    path = maps.save(tmp_path / "page.html", single_file=True)
    (paragraph,) = re.findall(r"A search is .*?\n\n", TEXT, re.DOTALL)
    searches = [each for each in re.findall(r"`([^`]+)`", paragraph) if each not in ("and", "or", "not")]
    assert len(searches) >= 10
    with chromium.new_context() as context:
        watched = browser.Watched(context)
        page = watched.open(path.as_uri())
        for search in searches:
            page.get_by_role("searchbox", name="Units").fill(search)
            assert page.locator("[data-search]").get_attribute("aria-invalid") is None, search
        listed = page.locator("#help kbd").all_text_contents()
        keys = re.findall(r"`([/\[\],.?])`", TEXT)
        assert set(keys) - {"?"} <= set(listed)
        watched.assert_calm()
