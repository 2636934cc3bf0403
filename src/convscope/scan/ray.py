"""The same scan on Ray Data: shards go to actors, on one machine or many, and their statistics come back.

They are merged as the tree that the shards' order makes, whichever is done first (merging.py): those of a group where they are,
the groups here. So the tables are those of a scan on one machine, to the bit, if the workers compute what this machine does. A
worker that dies is replaced, and its shard is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from ..core import Engine
from ..errors import InputError, MissingExtra, Unsupported
from ..pictures import Preprocess
from .merging import GROUP, merged
from .plan import Plan, fingerprint
from .runner import Job, Progress, begin, features
from .several import listing_for
from .shards import Pooled, Statistics, read_shard

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
    done: int


class Worker:
    """Does shards. Opens the network and the list of pictures once, and refuses others than those that the scan began with."""

    def __init__(self, errand: Errand):
        opened: Any = errand.open()
        self.engine: Engine = opened.engine if hasattr(opened, "preprocess") else opened
        self.errand, self.listing = errand, listing_for(errand.source, self.engine.graph)
        if fingerprint(self.engine) != errand.network:
            raise InputError("The network that a worker opened is another one than that of the scan. Check `open`.")
        if self.listing.digest != errand.digest:
            raise InputError(
                "The pictures that a worker finds are others than those of the scan. Give a place that all can read."
            )

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"shard": rows["shard"], "done": np.array([self.shard(int(number)) for number in rows["shard"]], object)}

    def shard(self, number: int) -> bytes:
        """A Piece; nothing for a shard that was done before, which only fills its group."""
        import pickle

        plan = self.errand.plan
        if number < self.errand.done:
            return b""
        items = islice(self.listing.items(number * plan.shard), plan.shard)
        pooled = read_shard(self.engine, items, self.listing, self.errand.preprocess, plan)
        statistics = Statistics.empty(plan).update(pooled, plan)
        rows = (number, replace(pooled, values={}, maps={}), dict(features(pooled, plan)))
        return pickle.dumps(Piece([rows], statistics))


@dataclass(frozen=True, eq=False)
class Piece:
    """Of a shard, or of a whole group: per shard its number and what it keeps per picture; the statistics of all of them."""

    rows: list[tuple[int, Pooled, dict[str, Any]]]
    statistics: Statistics


class Merger:
    """Merges the shards of a group where they are. What is no whole group goes on as it is."""

    def __init__(self, plan: Plan):
        self.plan = plan

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        import pickle

        found = [(int(number), content) for number, content in zip(rows["shard"], rows["done"], strict=True) if content]
        numbers = [number for number, _ in found]
        if not numbers or numbers[0] % GROUP or numbers != list(range(numbers[0], numbers[0] + GROUP)):
            return {"shard": np.array(numbers, int), "done": np.array([*(content for _, content in found), None], object)[:-1]}
        pieces = [pickle.loads(content) for _, content in found]  # of our own workers
        statistics = merged((piece.statistics for piece in pieces), Statistics.empty(self.plan))
        whole = Piece([row for piece in pieces for row in piece.rows], statistics)
        return {"shard": np.array(numbers[:1]), "done": np.array([pickle.dumps(whole), None], object)[:-1]}


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
    tree = store.tree(done, plan)
    errand = Errand(opener(job, how), source, job.preprocess, plan, record["identity"]["network"], job.listing.digest, done)
    for piece in in_order(results(ray, errand, how, -(-total // plan.shard)), done):
        for number, pooled, kept in piece.rows:
            store.keep_rows(number, pooled, kept)
        before = tree.shards
        tree = tree.add(piece.statistics) if len(piece.rows) == 1 else tree.add_group(piece.statistics)
        store.keep(tree, before)
        if progress:
            progress(min(tree.shards * plan.shard, total), total)
    store.write_record({**record, "shards": store.done()})


def results(ray: Any, errand: Errand, how: Ray, shards: int) -> Iterator[tuple[int, bytes]]:
    """What the workers give, by the number of its first shard."""
    if errand.done >= shards:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    left = range(errand.done - errand.done % GROUP, shards)  # from the beginning of a group
    workers = min(how.workers or usual_workers(ray.cluster_resources()), shards - errand.done)
    with in_order_and_quietly(ray):
        rows = ray.data.from_items([{"shard": number} for number in left], override_num_blocks=len(left))
        pieces = rows.map_batches(
            Worker,
            batch_size=1,
            batch_format="numpy",
            fn_constructor_args=(errand,),
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_gpus=how.gpus or None,
        )
        # No core is asked for: where every core has a worker, there would never be one.
        groups = pieces.map_batches(Merger(errand.plan), batch_size=GROUP, batch_format="numpy", num_cpus=0)
        for row in groups.iter_rows():
            yield int(row["shard"]), row["done"]


def usual_workers(have: Mapping[str, float]) -> int:
    return int(have.get("GPU", 0)) or max(1, int(have.get("CPU", 1)) // 2)


@contextmanager
def in_order_and_quietly(ray: Any) -> Iterator[None]:
    """Rows come in their order, so that eight in a row are a group; no progress bars besides ours."""
    context = ray.data.DataContext.get_current()
    before = context.execution_options.preserve_order, context.enable_progress_bars
    context.execution_options.preserve_order, context.enable_progress_bars = True, False
    try:
        yield
    finally:
        context.execution_options.preserve_order, context.enable_progress_bars = before


def in_order(found: Iterator[tuple[int, bytes]], first: int) -> Iterator[Piece]:
    """One after the other, from shard `first` on; those that came early wait."""
    import pickle

    waiting: dict[int, bytes] = {}
    for number, content in found:
        waiting[number] = content
        while first in waiting:
            piece: Piece = pickle.loads(waiting.pop(first))  # of our own workers
            yield piece
            first += len(piece.rows)


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
