"""From the shards of a scan to the files that people and other programs read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

import numpy as np
from PIL import Image

from ..core import Engine
from ..errors import ConvscopeError, InputError
from ..methods.silent import silent
from ..pictures import Preprocess
from ..pictures.prepare import received
from ..pictures.sources import Source
from ..results.npz import save_npz
from .crops import fields
from .entries import Listing
from .inputs import Inputs
from .kernels import strongest
from .packing import pack
from .plan import Plan
from .runner import Job
from .shards import Statistics
from .store import Store
from .tables import Columns, parquet, picture_columns, top_columns, unit_columns

THUMBNAIL = 160  # pixels of the longer side, at most
Progress = Callable[[int, int], None]


def finish(job: Job, progress: Progress | None = None) -> None:
    """Write the tables, the arrays and the thumbnails that are not there yet. Raises InputError, OutputError, MissingExtra."""
    store = Store(job.folder)
    record = store.record() or {}
    if record.get("complete"):
        store.clean()  # which a kill may have kept it from
        return
    plan, done = Plan.from_dict(record["plan"]), store.done()
    statistics = store.tree(done, plan).all
    skipped = [tuple(each) for part in store.rows(done) for each in json.loads(str(part["skipped"]))]
    if not statistics.means.count:
        why = f" The first of them: {skipped[0][2]}" if skipped else ""
        raise InputError(f"None of the {len(skipped)} pictures could be used.{why}", received=len(skipped))
    pictures = picture_columns(plan, store.rows(done), job.labels)
    write_tables(store, plan, statistics, pictures, record, proven(job.engine, plan))
    store.write("skipped.csv", lambda file: file.write(skipped_csv(skipped)))
    store.write("class_maps.npz", partial(put_npz, class_maps(plan, statistics)))
    store.write("state.npz", partial(put_npz, pack(statistics)))
    store.write("kernels.npz", partial(put_npz, strongest(job.engine, plan)))
    shown = {layer: field.to_dict() for layer, field in fields(job.engine, plan).items()}
    store.write("fields.json", partial(put, json.dumps(shown).encode()))
    store.write("marks.npy", partial(save, store.marks()))
    for number in range(len(plan.features)):
        values = np.concatenate([part[f"features/{number}"] for part in store.rows(done)])
        store.write(f"features/{number}.npy", partial(save, values))
    if job.listing.item is not None:
        tops = (statistics.top, *statistics.by_class.values())
        numbers = np.unique(np.concatenate([each.pictures.reshape(-1) for each in tops]))
        thumbnails(store, job.listing, job.preprocess, [int(number) for number in numbers], progress)
    store.write_record({**record, "complete": True, "scanned": statistics.means.count, "skipped": len(skipped)})
    store.clean()


def proven(engine: Engine, plan: Plan) -> dict[str, tuple[int, ...] | None]:
    """Per layer the units that no picture at all can make fire, by interval arithmetic; None where that cannot be told."""
    found: dict[str, tuple[int, ...] | None] = {}
    for part in plan.parts:
        try:
            found[part.layer] = silent(engine, part.layer) if part.activated else None
        except ConvscopeError:  # it has no kernel
            found[part.layer] = None
    return found


def write_tables(
    store: Store,
    plan: Plan,
    statistics: Statistics,
    pictures: Columns,
    record: dict[str, Any],
    silenced: Mapping[str, tuple[int, ...] | None],
) -> None:
    names = dict(zip(pictures["picture"].tolist(), pictures["name"].tolist(), strict=True))
    labels = np.full(int(pictures["picture"].max()) + 1, -1)
    numbers = {name: number for number, name in enumerate(plan.classes)}
    labels[pictures["picture"]] = [numbers.get(each, -1) for each in pictures["label"]]
    about = {"convscope": json.dumps({key: record[key] for key in ("convscope", "network", "preprocess_text", "pictures")})}
    tables = {
        "pictures": pictures,
        "top": top_columns(plan, statistics, names, labels),
        "units": unit_columns(plan, statistics, labels, silenced),
    }
    for name, columns in tables.items():
        store.write(f"{name}.parquet", partial(put, parquet(columns, about)))


def class_maps(plan: Plan, statistics: Statistics) -> dict[str, Any]:
    """Per layer the mean map of each class, (classes, units, *spatial), NaN for one without pictures; `classes` and `counts`.

    A layer of one of these two names is `classes#1`, as one that is called as the network's end is in a layer table.
    """
    own = {"classes": np.array(plan.classes, str), "counts": np.asarray(statistics.classes.counts)}
    found: dict[str, Any] = dict(own)
    for layer, sums in statistics.maps.items():
        part = plan[layer]
        means = np.full((len(plan.classes), part.units, *part.spatial), np.nan, np.float32)
        for label, total in sums.sums.items():
            if label >= 0:
                means[label] = total / sums.counts[label]
        found[f"{layer}#1" if layer in own else layer] = means
    return found


def save(values: Any, file: IO[bytes]) -> None:
    np.save(file, values)


def put_npz(arrays: Mapping[str, Any], file: IO[bytes]) -> None:
    save_npz(file, arrays)


def put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def skipped_csv(skipped: list[Any]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["picture", "name", "reason"])
    writer.writerows(skipped)
    return text.getvalue().encode()


def thumbnails(store: Store, listing: Listing, preprocess: Preprocess, numbers: list[int], progress: Progress | None) -> None:
    """A WebP of each of these pictures as the network received it. Those that are there already are not made again."""
    missing = [number for number in numbers if not (store.folder / thumbnail(number)).exists()]

    def make(number: int) -> None:
        assert listing.item is not None
        try:
            looks = looks_of(listing.item(number).read(), preprocess)
        except ConvscopeError:  # gone since it was scanned: its tile stays empty, its numbers are there
            return
        for of, pixels in looks.items():
            image = small(pixels)
            store.write(thumbnail(number, of), partial(image.save, format="WEBP", quality=80, method=1), sync=False)

    with ThreadPoolExecutor(2) as pool:
        for count, _ in enumerate(pool.map(make, missing), 1):
            if progress:
                progress(count, len(missing))


def looks_of(source: Source | Inputs, preprocess: Preprocess) -> dict[str, Any]:
    """How what the network receives looks: other inputs that are pictures by their names, then the one that is shown as ""."""
    if not isinstance(source, Inputs):
        return {"": preprocess.undo(received(source, preprocess)[0])}
    found = source.prepared(preprocess)
    return {**{name: looks[0] for name, looks in found.looks.items()}, "": found.shown[0]}


def small(pixels: Any) -> Image.Image:
    image = Image.fromarray(pixels)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    return image


def thumbnail(number: int, of: str = "") -> str:
    """of   another input than the one that is shown"""
    folder = of.replace(":", "-") + "/" if of else ""
    return f"thumbnails/{folder}{number // 1000:04d}/{number:07d}.webp"
