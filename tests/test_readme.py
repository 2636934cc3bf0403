"""The README's snippets and commands run as they stand there."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
pytest.importorskip("skimage", reason="the built-in photograph comes with scikit-image: pip install 'convscope[demo]'")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that the README speaks of: cat.png, net.onnx and net.keras."""
    from PIL import Image

    from convscope import demo

    monkeypatch.chdir(tmp_path)
    with Image.open(demo.picture()) as picture:
        picture.save("cat.png")
    shutil.copy(demo.MODEL, "net.onnx")
    return tmp_path


@pytest.mark.parametrize("snippet", blocks("python"))
def test_snippets_run(folder, snippet, capsys):
    exec(compile(snippet, "README.md", "exec"), {})
    assert "parameters" in capsys.readouterr().out
    assert all(
        (folder / name).stat().st_size
        for name in ("filters.png", "colours.png", "block1.png", "maps/index.html", "study/index.html", "why.png")
    )


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("convscope ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(folder, command, monkeypatch, capsys):
    from convscope import cli

    if "net.keras" in command:
        keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
        layers = [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
        keras.Sequential(layers).save(folder / "net.keras")
    monkeypatch.setattr(sys, "argv", shlex.split(command, comments=True))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    assert capsys.readouterr().out


def test_there_are_commands_to_run():
    assert len(COMMANDS) >= 5
    assert len(blocks("python")) >= 1


def test_the_chinese_readme_says_the_same():
    def lines(text: str) -> list[list[str]]:
        """Snippets and commands without their comments, links and first columns of the tables that name code."""
        code = [
            [line.split("#")[0].rstrip() for line in block.splitlines()]
            for block in re.findall(r"```\w+\n(.*?)```", text, re.DOTALL)
        ]
        links = [re.findall(r"\]\((?!README)([^)]+)\)", text)]
        return code + links + [re.findall(r"`(?:convscope\.open|pip install)[^`]*`", text)]

    assert lines((ROOT / "README.zh-CN.md").read_text(encoding="utf-8")) == lines(README)


def test_both_say_where_the_cat_is():
    for text in (README, (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")):
        line = re.search(r"`from convscope import demo; (demo\.picture\(\))`", text)
        assert line, "a newcomer has no cat.png"
        space: dict[str, object] = {}
        exec(f"from convscope import demo; path = {line[1]}", space)
        assert Path(str(space["path"])).is_file()


def test_links_lead_somewhere():
    assert [name for name in re.findall(r"\]\(([^):#]+)\)", README) if not (ROOT / name).exists()] == []


def test_the_make_commands_stand_at_the_top():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert README.index("make look") < README.index("make test") < README.index("## In Python")
