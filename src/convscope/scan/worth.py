"""What the units of a layer are worth: how often a classifier is right over a whole set without each of them, on held runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from ..core import Engine
from ..errors import ConvscopeError, InputError
from ..methods.ablation import Dropped, accuracy_without
from ..pictures import Preprocess
from .decoding import decode, stacked
from .entries import Item, Listing
from .finishing import put_npz
from .plan import Part, Plan
from .store import Store
from .table import Table

EVERY = 64  # pictures after which the counts are written
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Worth:
    """dropped   counts of right answers with and without each unit; classes the names of the network's classes."""

    layer: str
    dropped: Dropped
    classes: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """With all units, 0..1, of the pictures whose class the network knows."""
        return self.dropped.accuracy

    @property
    def table(self) -> Table:
        """A row per unit, the dearest first: what is lost of the accuracy without it, in all and in the class that loses most."""
        drop, by_class = self.dropped.drop, np.nan_to_num(self.dropped.drop_by_class, nan=-np.inf)
        worst = by_class.argmax(1)
        rows = np.arange(len(drop))
        columns = {
            "unit": np.array(self.dropped.units),
            "drop": drop,
            "class_that_loses_most": np.array(self.classes, object)[worst],
            "drop_there": by_class[rows, worst],
        }
        return Table(columns).sort("drop")


def worth(
    engine: Engine,
    listing: Listing,
    preprocess: Preprocess,
    plan: Plan,
    part: Part,
    folder: Path,
    *,
    classes: tuple[str, ...],
    first: int | None = None,
    progress: Progress | None = None,
) -> Worth:
    """Over the pictures of a scan. Counts are written as it goes, so that it goes on where it was stopped.

    first     so many pictures, evenly spread; None for all
    raises    InputError where the network knows none of the classes, or pictures come only once; OutputError where another
              process is at it
    """
    if listing.item is None:
        raise InputError("Pictures that come only once cannot be looked at again. Give a list or a folder.")
    numbers = chosen(listing.count or 0, first)
    store, name = Store(folder / "worth"), f"{sha256(f'{part.layer} {first}'.encode()).hexdigest()[:16]}.npz"
    found, done = resumed(store.folder / name)
    if done < len(numbers):
        with store.locked():
            found = counted(engine, listing, preprocess, plan, part, store, name, numbers, progress)
    if found is None:
        raise InputError(
            "The network knows none of the classes of these pictures, so that no answer is right. Name them with labels."
        )
    return Worth(part.layer, found, classes)


def counted(
    engine: Engine,
    listing: Listing,
    preprocess: Preprocess,
    plan: Plan,
    part: Part,
    store: Store,
    name: str,
    numbers: list[int],
    progress: Progress | None,
) -> Dropped | None:
    """Over these pictures, from where the file `name` ends; None where the network knows none of their classes."""
    found, done = resumed(store.folder / name)
    for items, start in groups(listing, numbers, done):
        some = known(items, preprocess, plan)
        if some:
            batch, labels = stacked([values for values, _ in some]), [label for _, label in some]
            more = accuracy_without(engine, batch, labels, part.read_at)
            found = more if found is None else found.merge(more)
        if found is not None:
            arrays = {key: np.asarray(value) for key, value in asdict(found).items()}
            store.write(name, partial(put_npz, {**arrays, "done": np.array(start + len(items))}))
        if progress:
            progress(start + len(items), len(numbers))
    return found


def chosen(count: int, first: int | None) -> list[int]:
    return list(range(count)) if first is None else sorted({int(each) for each in np.linspace(0, count - 1, min(first, count))})


def groups(listing: Listing, numbers: list[int], done: int) -> Iterator[tuple[list[Item], int]]:
    assert listing.item is not None
    for start in range(done, len(numbers), EVERY):
        yield [listing.item(number) for number in numbers[start : start + EVERY]], start


def known(items: list[Item], preprocess: Preprocess, plan: Plan) -> list[tuple[Any, int]]:
    """What the network receives of those pictures that can be read and whose class it knows, and the output that is right."""
    result = []
    for item in items:
        right = plan.right[item.label] if item.label >= 0 else -1
        try:
            if right >= 0:
                result.append((decode(item, preprocess), right))
        except ConvscopeError:  # in skipped.csv
            continue
    return result


def resumed(path: Path) -> tuple[Dropped | None, int]:
    if not path.exists():
        return None, 0
    with np.load(path, allow_pickle=False) as arrays:
        units = tuple(int(unit) for unit in arrays["units"])
        counts = (arrays[name] for name in ("pictures", "right", "without"))
        return Dropped(str(arrays["layer"]), units, *counts), int(arrays["done"])
