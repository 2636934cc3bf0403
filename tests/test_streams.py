"""What a command prints when its standard output is full, gone, or of few letters: a sentence, silence, or numbers."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from convscope import demo

MAIN = [sys.executable, "-c", "import sys; from convscope.cli import main; sys.exit(main())"]


def run(*arguments, **options):
    return subprocess.run([*MAIN, *arguments], stderr=subprocess.PIPE, check=False, **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full is there on Linux only")
@pytest.mark.parametrize("arguments", [["layers"], ["layers", "--json"]])
def test_a_full_disk_is_a_sentence(arguments):
    with open("/dev/full", "wb") as full:
        done = run(*arguments, stdout=full)
    assert (done.returncode, done.stderr.decode()) == (2, "convscope: Cannot write 'standard output': No space left on device.\n")


def test_a_reader_that_went_away_has_enough():
    reading, writing = os.pipe()
    os.close(reading)
    done = run("layers", stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_letters_that_a_terminal_lacks_are_numbers_and_json_stays_json(tmp_path):
    name = "\u00fcml\u00e4ut"
    shutil.copy(demo.picture(), tmp_path / f"{name}.png")
    asked = {"cwd": tmp_path, "stdout": subprocess.PIPE, "env": {**os.environ, "PYTHONIOENCODING": "ascii"}}
    done = run("predict", f"{name}.png", **asked)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("ascii").startswith("\\xfcml\\xe4ut\n")
    done = run("predict", f"{name}.png", "--json", **asked)
    assert json.loads(done.stdout.decode("ascii"))[0]["picture"] == name
