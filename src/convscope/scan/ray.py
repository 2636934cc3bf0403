"""The same scan on Ray Data: shards go to actors, on one machine or many, and their statistics come back.

They are merged in the order of the shards, whichever is done first, so that the tables are those of a scan on one machine, to
the bit, if the workers compute what this machine does. A worker that dies is replaced, and its shard is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..core import Engine
from ..errors import InputError, MissingExtra, Unsupported
from ..pictures import Preprocess
from .plan import Plan, fingerprint
from .runner import Job, Progress, begin, features
from .shards import Pooled, Statistics, read_shard
from .sources import listing

Opener = Callable[[], Any]


@dataclass(frozen=True)
class Ray:
    """How a scan runs on Ray. `ray.init(address=...)` before it joins a cluster; otherwise one starts on this machine.

    workers   actors; None: one per GPU of the cluster, or without GPUs one per two cores
    gpus      of each worker, a part of one too
    open      a function without arguments that opens the network where the worker is: what a framework holds cannot be sent. Not
              needed for a network that can be pickled
    """

    workers: int | None = None
    gpus: float = 0
    open: Opener | None = None


@dataclass(frozen=True)
class Errand:
    """All that a worker is told."""

    open: Opener
    source: Any
    preprocess: Preprocess
    plan: Plan
    network: str
    digest: str


class Worker:
    """Does shards. Opens the network and the list of pictures once, and refuses others than those that the scan began with."""

    def __init__(self, errand: Errand):
        opened: Any = errand.open()
        self.engine: Engine = opened.engine if hasattr(opened, "preprocess") else opened
        self.errand, self.listing = errand, listing(errand.source)
        if fingerprint(self.engine) != errand.network:
            raise InputError("The network that a worker opened is another one than that of the scan. Check `open`.")
        if self.listing.digest != errand.digest:
            raise InputError(
                "The pictures that a worker finds are others than those of the scan. Give a place that all can read."
            )

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"shard": rows["shard"], "done": np.array([self.shard(int(number)) for number in rows["shard"]], object)}

    def shard(self, number: int) -> bytes:
        import pickle

        plan = self.errand.plan
        items = islice(self.listing.items(number * plan.shard), plan.shard)
        pooled = read_shard(self.engine, items, self.listing, self.errand.preprocess, plan)
        statistics = Statistics.empty(plan).update(pooled, plan)
        kept = dict(features(pooled, plan))
        return pickle.dumps((replace(pooled, values={}, maps={}), statistics, kept))


def run(job: Job, source: Any, how: Ray, progress: Progress | None = None) -> None:
    """As runner.run. Raises MissingExtra; Unsupported for pictures or a network that cannot be sent."""
    ray = package()
    if job.listing.count is None or job.listing.item is None:
        raise Unsupported(
            "Pictures that come only once cannot be divided among workers. Give a folder, an archive, a table or a list."
        )
    store, plan, record = begin(job)
    if record.get("complete"):
        return
    done, total = store.done(), job.listing.count
    state = store.statistics(done) if done else Statistics.empty(plan)
    errand = Errand(opener(job, how), source, job.preprocess, plan, record["identity"]["network"], job.listing.digest)
    left = range(done, -(-total // plan.shard))
    for number, (pooled, statistics, kept) in in_order(results(ray, errand, how, left), done):
        state = state.merge(statistics)
        store.keep(number, state, pooled, kept)
        if progress:
            progress(min((number + 1) * plan.shard, total), total)
    store.write_record({**record, "shards": store.done()})


def results(ray: Any, errand: Errand, how: Ray, shards: range) -> Iterator[tuple[int, bytes]]:
    """What the workers give, in the order in which they do."""
    if not shards:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    have = ray.cluster_resources()
    workers = how.workers or int(have.get("GPU", 0)) or max(1, int(have.get("CPU", 1)) // 2)
    workers = min(workers, len(shards))
    rows = ray.data.from_items([{"shard": number} for number in shards], override_num_blocks=len(shards))
    done = rows.map_batches(
        Worker,
        batch_size=1,
        batch_format="numpy",
        fn_constructor_args=(errand,),
        concurrency=workers,
        num_gpus=how.gpus or None,
    )
    for row in done.iter_rows():
        yield int(row["shard"]), row["done"]


def in_order(found: Iterator[tuple[int, bytes]], first: int) -> Iterator[tuple[int, tuple[Pooled, Statistics, Any]]]:
    """Shards one after the other; those that came early wait."""
    import pickle

    waiting: dict[int, bytes] = {}
    for number, content in found:
        waiting[number] = content
        while first in waiting:
            yield first, pickle.loads(waiting.pop(first))  # of our own workers
            first += 1


def opener(job: Job, how: Ray) -> Opener:
    """A function that a worker opens the network by. Raises Unsupported."""
    if how.open is not None:
        return how.open
    import pickle

    try:
        content = pickle.dumps(job.engine)
    except Exception as error:  # what a framework holds refuses in its own way
        raise Unsupported(
            f"A network in {job.engine.framework} cannot be sent to workers. Say how they open it: "
            "engine=Ray(open=lambda: convscope.open('net.onnx')), from convscope.scan.ray."
        ) from error
    return lambda: pickle.loads(content)


def package() -> Any:
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MissingExtra("ray", "ray", "A scan on many machines") from error
    return ray
