"""Ctrl-C on the command line, whenever it comes: no traceback, exit 130, nothing half-written."""

import signal
import subprocess
import sys

import pytest

from convscope import cli

# Presses Ctrl-C when a module is imported: `hidden` as some libraries do, which make an error of their own of it.
PRESS = """
import os, signal, sys
module, hidden, *arguments = sys.argv[1:]
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal: what began in the background may ignore it

class Press:
    def find_spec(self, name, *_):
        if name == module:
            sys.meta_path.remove(self)
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                if hidden == "hidden":
                    raise ImportError("a library says that it is broken")
                raise

sys.meta_path.insert(0, Press())
sys.argv = ["convscope", *arguments]
from convscope.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("module", "hidden"),
    [
        ("convscope.cli.commands", "plain"),  # the first import of ours that takes time
        ("numpy", "hidden"),  # which tells how to mend an installation, at length
        ("onnxruntime", "hidden"),  # while a network is opened
        ("jinja2", "plain"),  # while a page is written
    ],
)
def test_wherever_it_is_stopped_it_ends_in_silence_and_leaves_nothing(module, hidden, tmp_path):
    command = [sys.executable, "-c", PRESS, module, hidden, "look", "--at", "block5_conv3", "--why", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_calls_it_keeps_its_own_way_to_be_stopped(monkeypatch):
    monkeypatch.setattr("sys.argv", ["convscope", "--help"])
    for own in (signal.default_int_handler, lambda *_: None):
        before = signal.signal(signal.SIGINT, own)
        try:
            with pytest.raises(SystemExit):
                cli.main()
            assert signal.getsignal(signal.SIGINT) is own
        finally:
            signal.signal(signal.SIGINT, before)
