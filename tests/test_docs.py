"""The pages of docs/ that show how: their snippets run as they stand, in order; their commands run; their pictures are there."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("skimage", reason="the built-in photograph comes with scikit-image: pip install 'convscope[demo]'")

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("tutorial.md", "gallery.md", "maps.md", "filters.md", "attribution.md", "compare.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from PIL import Image

    from convscope import demo

    folder = tmp_path_factory.mktemp("docs")
    with Image.open(demo.picture()) as picture:
        picture.save(folder / "cat.png")
        for name, each in (("val/cat", picture), ("val/tench", picture.rotate(90)), ("dogs", picture.rotate(180))):
            (folder / name).mkdir(parents=True)
            each.save(folder / name / "1.png")
    shutil.copy(demo.MODEL, folder / "net.onnx")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_snippets_run_one_after_the_other(page, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    if "zarr" in "".join(blocks(page, "python")):
        pytest.importorskip("zarr", reason="zarr is not installed: pip install 'convscope[arrays]'")
    names = {}
    for snippet in blocks(page, "python"):
        exec(compile(snippet, page, "exec"), names)
    saved = re.findall(r'(?:save|export|gif)\("([^"]+)"', "".join(blocks(page, "python")))
    assert saved or capsys.readouterr().out
    assert all((folder / name).exists() for name in saved)


@pytest.mark.parametrize(
    ("page", "command"), [(page, line) for page in PAGES for block in blocks(page, "sh") for line in block.splitlines()]
)
def test_commands_run(page, command, folder, monkeypatch, capsys):
    from convscope import cli

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0, page
    assert capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES)
def test_pictures_are_there_and_small_and_links_lead_somewhere(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    for name in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (DOCS / name).is_file(), name
        assert (DOCS / name).stat().st_size < 250_000
    drawn = (DOCS / "draw.py").read_text(encoding="utf-8")
    assert all(Path(name).name in drawn for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text))
