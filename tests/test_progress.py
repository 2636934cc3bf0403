"""The line that says what is going on: after a while, on a terminal, and gone afterwards."""

import io
import time

import pytest
from rich.console import Console

from convscope import progress
from convscope.progress import Steps


@pytest.mark.parametrize(("delay", "terminal", "shown"), [(0.0, True, True), (30.0, True, False), (0.0, False, False)])
def test_it_appears_after_a_while_on_a_terminal(delay, terminal, shown, monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=written, force_terminal=terminal, width=100))
    with Steps(delay) as steps:
        steps.begin("Running the network")
        steps(3, 8)
        time.sleep(0.4)
    assert ("Running the network" in written.getvalue()) == shown
    assert ("3 of 8" in written.getvalue()) == shown
