"""kill -9 at any moment, and the same command again: at the end the same numbers, and no shard is done twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


def command(pictures, out, log, pause):
    text = COMMAND.format(here=str(HERE), pictures=str(pictures), out=str(out), log=str(log), pause=pause)
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
