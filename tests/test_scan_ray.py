"""The same scan on a local Ray cluster of two workers, one of which is killed: the same tables. In a process of its own."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scans import LAYERS, network, same_tables, write_pictures
from test_scan_statistics import tiny_plan, tiny_pooled

from convscope.errors import MissingExtra, Unsupported
from convscope.scan.merging import GROUP
from convscope.scan.ray import Merger, Piece, Ray, opener
from convscope.scan.result import Scan
from convscope.scan.runner import Job
from convscope.scan.shards import Statistics

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
HERE = Path(__file__).parent
SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {here!r})
import ray
from scans import LAYERS, Counting, network
import convscope.scan.plan as plan
from convscope.scan.ray import Ray
plan.SHARD = 4


def slow():
    import os, sys, time
    sys.path.insert(0, {here!r})
    from scans import Counting

    class Slow(Counting):
        def run(self, pictures, taps=(), edits=()):
            mark = {mark!r}
            try:
                os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
                dies = len(list(taps)) > 4
            except FileExistsError:
                dies = False
            if dies:  # the first worker that runs a shard dies in the middle of it
                os.kill(os.getpid(), 9)
            return super().run(pictures, taps, edits)

    return Slow()


ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=100_000_000)
options = dict(out={out!r}, batch=2, k=4, maps=LAYERS, features=LAYERS)


def stop(done, total):
    if done > 4:
        raise KeyboardInterrupt

try:  # the first two shards here: the group that they are of goes on there
    network().scan({pictures!r}, LAYERS, progress=stop, **options)
except KeyboardInterrupt:
    pass
network().scan({pictures!r}, LAYERS, engine=Ray(workers=2, open=slow), **options)
ray.shutdown()
"""


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="Ray is not installed: pip install 'convscope[ray]'")
def test_two_workers_of_which_one_is_killed_give_the_same_tables(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)
    write_pictures(tmp_path / "p", 78)  # 20 shards: a group that was begun elsewhere, a whole one, and half of one
    address = (tmp_path / "p").as_uri()  # through fsspec, as s3:// and gs:// are
    options = {"batch": 2, "k": 4, "maps": LAYERS, "features": LAYERS}
    local = network().scan(address, LAYERS, out=tmp_path / "local", **options)
    mark = tmp_path / "mark"
    text = SCRIPT.format(here=str(HERE), mark=str(mark), pictures=address, out=str(tmp_path / "ray"))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    assert mark.exists()  # a worker died
    same_tables(Scan(tmp_path / "ray"), local)


def test_whole_groups_are_merged_where_they_are_and_others_go_on_as_they_are():
    rng, plan = np.random.default_rng(0), tiny_plan()
    pooled = [tiny_pooled(number, rng) for number in range(2 * GROUP)]
    pieces = [Piece([(number, each, {})], Statistics.empty(plan).update(each, plan)) for number, each in enumerate(pooled)]

    def given(numbers, empty=()):
        contents = [b"" if number in empty else pickle.dumps(pieces[number]) for number in numbers]
        return {"shard": np.array(numbers), "done": np.array([*contents, None], object)[:-1]}

    merger = Merger(plan)
    out = merger(given(range(GROUP, 2 * GROUP)))
    assert out["shard"].tolist() == [GROUP]
    whole = pickle.loads(out["done"][0])
    assert [number for number, *_ in whole.rows] == list(range(GROUP, 2 * GROUP))
    assert whole.statistics.means.count == 5 * GROUP
    for numbers, empty in ((range(1, 9), ()), (range(3), ()), (range(GROUP), (0, 1)), ((0, 2, 1, 3, 4, 5, 6, 7), ())):
        out = merger(given(numbers, empty))
        assert out["shard"].tolist() == [number for number in numbers if number not in empty]
        assert [len(pickle.loads(each).rows) for each in out["done"]] == [1] * len(out["shard"])
    assert len(merger(given(range(GROUP), range(GROUP)))["shard"]) == 0


def test_a_network_that_cannot_be_sent_says_what_to_do(tmp_path):
    net = network()
    net.engine.lock = __import__("threading").Lock()
    job = Job(net.engine, net.info, net.preprocess, None, None, None, tmp_path)
    with pytest.raises(Unsupported, match="Say how they open it"):
        opener(job, Ray())


def test_without_ray_the_extra_is_named(tmp_path, monkeypatch):
    write_pictures(tmp_path / "p", 2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"convscope\[ray\]"):
        network().scan(tmp_path / "p", out=tmp_path / "s", engine="ray")
