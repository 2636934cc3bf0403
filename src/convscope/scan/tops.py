"""The lists of a unit's top pictures: over all, of one class, and by what it speaks for the answer."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..errors import InputError, WrongOption
from .finishing import thumbnails
from .looking_again import Again, Found, Progress, found_in
from .plan import PER_CLASS, Part, per_class_bytes
from .running import again
from .speaking import relevance
from .statistics import Top
from .store import Store
from .table import Table
from .tables import places_of
from .top import TopPictures
from .worth import chosen

if TYPE_CHECKING:
    from .result import Scan

By = Literal["maximum", "relevance"]
BY: tuple[By, ...] = ("maximum", "relevance")
FOLDER = "relevance"


class Tops:
    """A part of Scan."""

    def top(
        self: Any,
        layer: str,
        unit: int,
        *,
        k: int | None = None,
        label: str | None = None,
        by: By = "maximum",
        first: int | None = None,
    ) -> TopPictures:
        """The pictures that drive a unit most, the strongest first, with where in the picture.

        k        so many, at most as many as the scan kept
        label    of the pictures of this class alone
        by       "maximum" of its map; "relevance": those in which it speaks most for the answer, see `relevance`
        first    by relevance: among so many pictures, evenly spread; None for all
        raises   UnknownLayer, WrongOption, InputError, also for a class where the scan kept no lists per class
        """
        part = self.part(layer)
        if not 0 <= unit < part.units:
            raise InputError(f"'{layer}' has no unit {unit}: it has 0 to {part.units - 1}.", received=unit)
        if by not in BY:
            raise WrongOption("What top pictures are ordered by", by, BY)
        if by == "relevance":
            if label is not None:
                raise InputError(
                    "Lists by relevance are kept over all pictures, not per class. Leave out the class.", received=label
                )
            return by_relevance(self, part, unit, k, first)
        rows = of_all(self, part, unit) if label is None else of_class(self, part, unit, label)
        words = "that drive it most" if label is None else f"of {label} that drive it most"
        return shown(self, part, unit, rows.take(np.arange(rows.rows)[:k]), words)

    def relevance(self: Any, layer: str, *, first: int | None = None, progress: Progress | None = None) -> str:
        """Find the pictures in which each unit of a layer speaks most for the network's answer, for `top(by="relevance")`.

        The network runs again over the pictures, once: what was found is kept, and goes on where it was stopped.

        first     so many pictures, evenly spread; None for all
        returns   the measure in words: gradient x activation, or of a network without gradients the drop of the score without
                  the unit, for which it runs as often as the layer has units
        raises    InputError without the network where nothing is kept, and for a layer after the scores
        """
        said: str = spoken(self, self.part(layer), first, progress).said
        return said


def of_all(scan: Scan, part: Part, unit: int) -> Table:
    length = len(scan.top_pictures["rank"]) // scan.plan.units
    start = (part.start + unit) * length
    return scan.top_pictures.take(np.arange(start, start + length))


def of_class(scan: Scan, part: Part, unit: int, label: str) -> Table:
    number = scan.class_number(label)
    if not scan.plan.per_class:
        classes, units = len(scan.plan.classes), scan.plan.units
        size = per_class_bytes(classes, scan.plan.k, units) / 1e6
        raise InputError(
            f"This scan kept no top lists per class: for {classes} classes and {units} units that would be {size:.0f} MB, and "
            f"the limit is {PER_CLASS / 1e6:.0f}. Scan fewer layers, or with a smaller k.",
            received=label,
        )
    top = scan.statistics.by_class[number]
    if not len(top.values):
        raise InputError(f"This scan has no pictures of '{label}'.", received=label)
    return rows_of(scan, part, top, part.start + unit)


def by_relevance(scan: Scan, part: Part, unit: int, k: int | None, first: int | None) -> TopPictures:
    found = spoken(scan, part, first, None)
    rows = rows_of(scan, part, found.value, unit)
    rows = Table({name: column for name, column in rows.items() if name != "mean"})  # of maps, which these lists do not keep
    among = "" if found.done == len(scan.pictures["picture"]) else f", of {found.done:,} pictures evenly spread"
    words = f"in which it speaks most for the answer{among}"
    return shown(scan, part, unit, rows.take(np.arange(rows.rows)[:k]), words, found.said)


def spoken(scan: Scan, part: Part, first: int | None, progress: Progress | None) -> Found:
    """The lists of a layer by relevance: those that are kept, or what the network says again."""
    found = spoken_before(scan, part, first)
    if found is not None:
        return found
    if scan.network is None:
        raise InputError(
            f"What the units of '{part.layer}' speak for was not asked yet, and that runs the network again: with what net.scan "
            f"returned, Scan(folder, network=net, pictures=...), or convscope scan ... --speaking {part.layer}"
        )
    net, listing = again(scan)
    again_of = Again(net.engine, listing, net.preprocess, numbers_of(scan, first))
    found = relevance(again_of, path_of(scan, part, first), part.read_at, scan.plan.k, progress)
    thumbnails(Store(scan.folder), listing, net.preprocess, np.unique(found.value.pictures).tolist(), None)
    return found


def spoken_before(scan: Scan, part: Part, first: int | None = None) -> Found | None:
    """The lists that are kept, without running anything; None where they are not finished."""
    found = found_in(path_of(scan, part, first))
    return found if found is not None and found.done == len(numbers_of(scan, first)) else None


def numbers_of(scan: Scan, first: int | None) -> list[int]:
    pictures = scan.pictures["picture"]
    return [int(pictures[place]) for place in chosen(len(pictures), first)]


def path_of(scan: Scan, part: Part, first: int | None) -> Path:
    digest = sha256(f"{part.layer} {first}".encode(errors="surrogatepass")).hexdigest()[:16]
    return scan.folder / FOLDER / f"{digest}.npz"


def rows_of(scan: Scan, part: Part, top: Top, place: int) -> Table:
    """One unit's list as rows. place: of the unit on the axis of `top`."""
    pictures, positions = top.pictures[:, place], top.positions[:, place]
    rows = np.searchsorted(scan.pictures["picture"], pictures)
    y, x = places_of(positions, part.spatial)
    return Table(
        {
            "rank": np.arange(len(pictures)),
            "value": top.values[:, place],
            "mean": top.means[:, place],
            "picture": pictures,
            "name": scan.pictures["name"][rows],
            "label": scan.pictures["label"][rows],
            "position": positions,
            "y": y,
            "x": x,
        }
    )


def shown(scan: Scan, part: Part, unit: int, rows: Table, words: str, measure: str = "maxima") -> TopPictures:
    preprocess = str(scan.record["preprocess_text"])
    field = scan.field(part.layer)
    return TopPictures(scan.folder, part.layer, unit, rows, field, preprocess, words, measure, fires=part.activated)
