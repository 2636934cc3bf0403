"""The verb of a network that goes over a whole data set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..methods.select import At

if TYPE_CHECKING:
    from .ray import Ray
    from .result import Scan


class Scanning:
    """A part of Network."""

    def scan(
        self: Any,
        pictures: Any,
        at: At = "convs",
        *,
        out: str | Path = "scan",
        k: int = 9,
        activated: bool = True,
        maps: At | None = "last",
        features: At | None = "blocks",
        correlations: bool = True,
        batch: int | None = None,
        memory: int = 1 << 30,
        engine: str | Ray = "local",
        progress: Callable[[int, int], None] | None = None,
    ) -> Scan:
        """What each unit of the layers `at` did over a whole data set. A scan that was stopped goes on where it was.

        pictures      a folder (with a folder per class), a zip or tar of one, a CSV or Parquet of paths and labels, a Hugging
                      Face data set, or a list or iterable of pictures or of (picture, label); of several inputs such a source for
                      each, {"input": "colour/", "input:1": "depth/"}, a table with a column for each, or mappings one by one
        out           the folder of the scan
        k             how many top pictures are kept for each unit
        activated     read a convolution after the activation that follows it; before one, no unit is dead
        maps          layers whose mean map per class is kept: "last", "blocks", names, None
        features      layers whose pooled values are kept for every picture, for embeddings
        correlations  keep how the units of a layer vary together, 8 bytes per pair of units
        batch         pictures at once; None: as many as fit into `memory` bytes with all their maps
        engine        "local"; "ray" for Ray Data on one machine or many, or convscope.scan.ray.Ray(workers=8, gpus=1)
        progress      called with (pictures done, pictures in all)
        raises        InputError and its kinds, UnknownLayer, EngineError, MissingExtra; OutputError for a folder that holds
                      something else, or a scan of another network, preprocessing or list
        """
        from .plan import Wishes
        from .scanning import scan

        wishes = Wishes(at, activated, k, correlations, maps, features, batch, memory)
        return scan(self, pictures, wishes, out, where=engine, progress=progress)
