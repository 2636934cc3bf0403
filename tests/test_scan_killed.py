"""kill -9 at any moment, and the same command again: at the end the same numbers, and no shard is done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scans import network, same_tables, write_pictures

from convscope.scan.result import Scan

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
HERE = Path(__file__).parent
# Each batch is written down before it runs, so that what was done twice can be counted.
COMMAND = """
import sys, time
sys.path.insert(0, {here!r})
from scans import Counting, network
import convscope.scan.plan as plan
plan.SHARD = 4

class Slow(Counting):
    def run(self, pictures, taps=(), edits=()):
        if len(list(taps)) > 4:
            with open({log!r}, "a") as log:
                log.write("batch\\n")
            time.sleep({pause})
        return super().run(pictures, taps, edits)

network(Slow()).scan({pictures!r}, out={out!r}, batch=2, k=4, features="convs")
"""


# What the units are worth is asked of each picture by itself, which is held first: that is written down.
WORTH = """
import sys, time
sys.path.insert(0, {here!r})
from scans import network
from convscope.engines.fake import FakeEngine
import convscope.scan.worth as worth
from convscope.scan.result import Scan
worth.EVERY = 4

class Slow(FakeEngine):
    def hold(self, pictures, layer, edits=()):
        with open({log!r}, "a") as log:
            log.write("picture\\n")
        time.sleep({pause})
        return super().hold(pictures, layer, edits)

Scan({out!r}, network=network(Slow()), pictures={pictures!r}).accuracy_without("conv1")
"""


def command(pictures, out, log, pause, text=COMMAND):
    text = text.format(here=str(HERE), pictures=str(pictures), out=str(out), log=str(log), pause=pause)
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def killed_after(shards, pictures, out, log):
    """Run until so many shards are done, and kill in the middle of the one after."""
    process = command(pictures, out, log, pause=0.04)
    until = time.monotonic() + 60
    while not list((out / "shards").glob(f"{shards:06d}.part.npz")) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(0.03)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    return process.returncode


def test_killed_twice_it_ends_with_the_same_numbers_and_does_no_shard_again(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)
    write_pictures(tmp_path / "p", 26)  # seven shards of two batches, the last one of a batch
    whole = network().scan(tmp_path / "p", out=tmp_path / "whole", batch=2, k=4, features="convs")
    out, log = tmp_path / "s", tmp_path / "log"
    assert killed_after(2, tmp_path / "p", out, log) == -signal.SIGKILL
    assert killed_after(4, tmp_path / "p", out, log) == -signal.SIGKILL
    last = command(tmp_path / "p", out, log, pause=0)
    assert last.communicate()[1] == b""
    same_tables(Scan(out), whole)
    batches = len(log.read_text().splitlines())
    assert 13 <= batches <= 13 + 2 * 2  # each kill costs at most the two batches of a shard
    assert not list(out.glob("**/.writing-*"))
    assert not (out / "shards").exists()


def test_what_units_are_worth_killed_at_any_moment_goes_on_and_comes_to_the_same(tmp_path):
    write_pictures(tmp_path / "p", 26)  # seven pieces of four pictures, the last one of two
    scan = network().scan(tmp_path / "p", out=tmp_path / "s")
    log, seen = tmp_path / "log", 0
    for pictures in (2, 4, 9, 10):  # in the first piece, where one is written, in the second and the third one since
        process = command(tmp_path / "p", tmp_path / "s", log, 0.03, WORTH)
        until = time.monotonic() + 60
        while lines(log) < seen + pictures and process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        process.communicate()
        seen = lines(log)
    last = command(tmp_path / "p", tmp_path / "s", log, 0, WORTH)
    assert last.communicate()[1] == b""
    assert 26 <= lines(log) <= 26 + 4 * 4  # each kill costs at most the pictures of a piece
    found = scan.accuracy_without("conv1")  # which is only read now
    whole = network().scan(tmp_path / "p", out=tmp_path / "whole").accuracy_without("conv1")
    assert found.accuracy == whole.accuracy
    for name in ("pictures", "right", "without"):
        np.testing.assert_array_equal(getattr(found.dropped, name), getattr(whole.dropped, name))
    assert found.dropped.pictures.sum() == 26
    assert not list((tmp_path / "s").glob("**/.writing-*"))


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0
