"""The questions to a scan for which its network runs again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import InputError
from .concepts import Concepts, concepts
from .entries import Listing
from .marks import replaced
from .plan import fingerprint
from .several import listing_for
from .store import Store
from .worth import Worth, worth

Progress = Callable[[int, int], None]


class RunsAgain:
    """A part of Scan. It needs what `net.scan` returned, or Scan(folder, network=net, pictures=...)."""

    def accuracy_without(self: Any, layer: str, *, first: int | None = None, progress: Progress | None = None) -> Worth:
        """How often the network is right without each unit of a layer, over the pictures of the scan; all else is held.

        Goes on where it was stopped.

        first     so many pictures, evenly spread; None for all
        raises    InputError without the network and its pictures, or where it knows none of their classes
        """
        net, pictures = again(self)
        return worth(
            net.engine, pictures, net.preprocess, self.plan, self.part(layer), self.folder,
            classes=tuple(self.labels), first=first, progress=progress,
        )  # fmt: skip

    def concepts(self: Any, layer: str, count: int = 8, *, first: int = 200, k: int = 9, seed: int = 0) -> Concepts:
        """`count` directions whose sums make the maps of a layer, each with the crops where it is strongest: `.top(0).sheet()`.

        first     from the maps of so many pictures, evenly spread over the list
        raises    InputError, also for a layer whose values may be negative; MissingExtra
        """
        net, pictures = again(self)
        names = list(zip(*(self.pictures[name].tolist() for name in ("picture", "name", "label")), strict=True))
        return concepts(
            net.engine, pictures, net.preprocess, self.part(layer), Store(self.folder), self.field(layer), names,
            count=count, first=first, k=k, seed=seed,
        )  # fmt: skip


def again(scan: Any) -> tuple[Any, Listing]:
    """The network and the pictures of a scan. Raises InputError where they are missing or others."""
    if scan.network is None or scan.source is None:
        raise InputError("This runs the network again: Scan(folder, network=net, pictures=...), or what net.scan returned.")
    if fingerprint(scan.network.engine) != scan.record["identity"]["network"]:
        raise InputError("This is another network than that of the scan.")
    pictures = listing_for(scan.source, scan.network.graph)
    if pictures.digest != scan.record["identity"]["pictures"]["digest"]:
        raise InputError("These are other pictures than those of the scan.")
    if name := replaced(pictures, Store(scan.folder).marks()):
        raise InputError(f"'{name}' is not the picture that was scanned, but another of that name and size.", received=name)
    return scan.network, pictures
