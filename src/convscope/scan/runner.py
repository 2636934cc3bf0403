"""The scan itself, on this machine: shard after shard, each merged with those before it and written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Engine, Pictures
from ..errors import ConvscopeError, ConvscopeWarning, InputError, OutputError
from ..pictures import Preprocess
from ..results import NetworkInfo
from .decoding import decode
from .entries import Item, Listing
from .inputs import shapes_of
from .marks import replaced
from .plan import Plan, Wishes, batch_size, fingerprint, plan
from .shards import Pooled, Statistics, read_shard
from .store import Store

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What is scanned, with what and where to."""

    engine: Engine
    info: NetworkInfo
    preprocess: Preprocess
    labels: tuple[str, ...] | None
    listing: Listing
    wishes: Wishes
    folder: Path

    def identity(self) -> dict[str, Any]:
        """What may not change while a scan goes on. The batch may; unless one is asked for, it is that of the beginning."""
        wishes = {name: value for name, value in asdict(self.wishes).items() if name not in ("batch", "memory", "shard")}
        at = {name: list(value) if isinstance(value, tuple) else value for name, value in wishes.items()}
        return {
            "network": fingerprint(self.engine),
            "preprocess": self.preprocess.to_dict(),
            "pictures": {"kind": self.listing.kind, "count": self.listing.count, "digest": self.listing.digest},
            "settings": at,
            "labels": None if self.labels is None else list(self.labels),
        }


def run(job: Job, progress: Progress | None = None) -> None:
    """Do what is left of a scan and leave all its shards in the folder. Raises ConvscopeError of every kind."""
    store, job_plan, record = begin(job)
    if record.get("complete"):
        return
    done = store.done()
    total = job.listing.count or 0
    tree = store.tree(done, job_plan)
    seen = done * job_plan.shard
    for number, items in shards(job.listing, job_plan.shard, done):

        def count(pictures: int) -> None:
            nonlocal seen
            seen += pictures
            if progress:
                progress(min(seen, total or seen), total or seen)

        pooled = read_shard(job.engine, iter(items), job.listing, job.preprocess, job_plan, count)
        tree = tree.add(Statistics.empty(job_plan).update(pooled, job_plan))
        store.keep_rows(number, pooled, features(pooled, job_plan))
        store.keep(tree, number)
        seen = min((number + 1) * job_plan.shard, total or (number + 1) * job_plan.shard)
    store.write_record({**record, "shards": store.done()})


def begin(job: Job) -> tuple[Store, Plan, dict[str, Any]]:
    """The folder, and the plan: that of the scan that goes on there, or a new one."""
    store, identity = Store(job.folder), job.identity()
    record = store.begin(identity)
    if record is not None:
        check_same_files(store, job.listing)
        begun = Plan.from_dict(record["plan"])
        size = begun.batch if job.wishes.batch is None else batch_size(job.engine.graph, job.wishes)
        return store, replace(begun, batch=size), record
    once = job.listing.item is None
    made = plan(job.engine, job.wishes, first_picture(job), job.listing.classes, job.labels, numbered=once)
    warn_of_unknown(made, job.labels)
    record = {
        "identity": identity,
        "plan": made.to_dict(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "convscope": version("convscope"),
        "network": {
            "name": job.info.name,
            "source": job.info.source,
            "framework": job.info.framework,
            "sha256": job.info.sha256,
            "labels": job.labels,
            "notes": list(job.info.notes),
        },
        "preprocess": job.preprocess.to_dict(),
        "preprocess_text": job.preprocess.describe(),
        "pictures": {"kind": job.listing.kind, "count": job.listing.count, "from": str(job.listing.root or job.listing.kind)},
    }
    store.write_record(record)
    return store, made, record


def check_same_files(store: Store, listing: Listing) -> None:
    """Raises OutputError where a picture was replaced by another of the same size since it was scanned."""
    if name := replaced(listing, store.marks()):
        raise OutputError(
            store.folder,
            f"'{name}' is not the picture that was scanned, but another of that name and size, and two are not mixed. Put the "
            "old one back, choose another folder, or delete this one.",
        )


def warn_of_unknown(made: Plan, labels: tuple[str, ...] | None) -> None:
    """Say which classes of the pictures the network has no answer for."""
    unknown = [name for name, right in zip(made.classes, made.right, strict=True) if right < 0]
    if not made.outputs or not unknown:
        return
    why = "it names others, or two of them alike" if labels else f"it does not name its {made.outputs}; name them with labels"
    warnings.warn(
        f"Of the {len(made.classes)} classes of the pictures the network does not know {len(unknown)}, such as '{unknown[0]}': "
        f"{why}. Answers to them count as neither right nor wrong.",
        category=ConvscopeWarning,
        stacklevel=2,
    )


def first_picture(job: Job) -> Pictures:
    """What the network receives of the first picture that can be read, which tells the shapes. Raises InputError."""
    if job.listing.item is None:
        shapes = shapes_of(job.engine.graph)
        if any(not shape or None in shape for shape in shapes.values()):
            raise InputError("An iterable of pictures needs a network of a fixed picture size. Give a list instead.")
        nothing = {name: np.zeros([size or 0 for size in shape or ()], np.float32) for name, shape in shapes.items()}
        return nothing if len(nothing) > 1 else nothing["input"]
    failed: ConvscopeError | None = None
    for item in job.listing.items(0):
        try:
            return decode(item, job.preprocess)
        except ConvscopeError as error:
            failed = failed or error
    raise InputError(f"None of the {job.listing.count} pictures can be read. The first: {failed}") from failed


def shards(listing: Listing, size: int, done: int) -> Iterator[tuple[int, list[Item]]]:
    """The shards that are left, by number, each with its pictures."""
    items = listing.items(done * size)
    number = done
    while part := list(islice(items, size)):
        yield number, part
        number += 1


def features(pooled: Pooled, plan: Plan) -> Mapping[str, Any]:
    return {layer: pooled.values["mean"][:, plan[layer].place] for layer in plan.features}
