"""What a scan found, read from its folder."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..errors import InputError, LeftOut, StudyError, UnknownLayer
from ..paths import path_of
from .classes import OfClasses
from .crops import Field
from .embeddings import Embedding, cka, curve
from .packing import load
from .plan import Part, Plan
from .running import RunsAgain
from .shards import Statistics
from .table import Table
from .tables import read_parquet
from .tops import Tops

FORMAT = 1


@dataclass(frozen=True)
class Duplicate:
    """Two units of a layer whose means rise and fall together over the pictures."""

    layer: str
    unit: int
    other: int
    correlation: float


class Scan(OfClasses, Tops, RunsAgain):
    """A finished scan, opened from its folder: tables, top pictures, mean maps.

    folder      where it lies
    record      scan.json: the network, the preprocessing, the pictures
    network     the network, for what has to be run again; pictures, what was scanned. `net.scan` gives both
    raises      StudyError for a folder without a finished scan
    """

    def __init__(self, folder: str | Path, *, network: Any = None, pictures: Any = None):
        self.folder, self.network, self.source = path_of(folder, "A scan"), network, pictures
        self.record = read_record(self.folder)
        self.plan = Plan.from_dict(self.record["plan"])

    @cached_property
    def units(self) -> Table:
        """A row per unit. docs/scan.md says what each column is."""
        return Table(read_parquet(self.folder / "units.parquet"))

    @cached_property
    def pictures(self) -> Table:
        """A row per picture: number, name, label, the network's answer, and whether it is right."""
        return Table(read_parquet(self.folder / "pictures.parquet"))

    @cached_property
    def top_pictures(self) -> Table:
        """A row per unit and place in its list of top pictures."""
        return Table(read_parquet(self.folder / "top.parquet"))

    @cached_property
    def statistics(self) -> Statistics:
        """All that was counted."""
        found: Statistics = load(self.folder / "state.npz")
        return found

    @property
    def layers(self) -> list[str]:
        return [part.layer for part in self.plan.parts]

    @property
    def skipped(self) -> list[dict[str, str]]:
        """The pictures that could not be used: number, name, reason."""
        with (self.folder / "skipped.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    @property
    def left_out(self) -> dict[str, str]:
        """Why layers are not here that a word or a pattern asked for: {layer: sentence}."""
        return dict(self.plan.left_out)

    def part(self, layer: str) -> Part:
        """Raises UnknownLayer."""
        if layer in self.left_out:
            raise LeftOut(layer, self.layers, self.left_out[layer])
        if layer not in self.layers:
            raise UnknownLayer(layer, self.layers)
        return self.plan[layer]

    def of(self, layer: str) -> Table:
        """The units of one layer. Raises UnknownLayer."""
        place = self.part(layer).place
        return self.units.take(np.arange(place.start, place.stop))

    def field(self, layer: str) -> Field | None:
        """Which part of a picture is shown for a position of this layer; None where its maps have no rows and columns."""
        found = self._fields.get(self.part(layer).layer)
        return None if found is None else Field.from_dict(found)

    @cached_property
    def _fields(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "fields.json").read_text(encoding="utf-8"))
        return found

    def dead(self) -> dict[str, list[int]]:
        """The units that were zero everywhere in every picture, by layer; of layers that were read after an activation."""
        return self._where("dead")

    def nearly_dead(self) -> dict[str, list[int]]:
        """The units that fired in fewer than one in a thousand pictures, and were zero in the others."""
        return self._where("nearly_dead")

    def always_on(self) -> dict[str, list[int]]:
        """The units that fired everywhere in every picture."""
        return self._where("always_on")

    def _where(self, column: str) -> dict[str, list[int]]:
        values = self.units[column]
        found = {part.layer: [unit for unit in range(part.units) if values[part.start + unit]] for part in self.plan.parts}
        return {layer: units for layer, units in found.items() if units}

    def correlation(self, layer: str) -> npt.NDArray[np.float64]:
        """(units, units): of the means of a layer's units over the pictures. Raises InputError if the scan kept none."""
        self.part(layer)
        if not self.plan.pairs:
            raise InputError("This scan kept no correlations. Scan again with correlations=True.")
        return self.statistics.pairs[layer].correlation

    def duplicates(self, *, at_least: float = 0.99) -> list[Duplicate]:
        """Pairs of units of a layer whose means correlate by `at_least`, the closest first. Units that never vary are in none."""
        found = []
        for layer in self.layers:
            together = np.triu(self.correlation(layer), 1)
            found += [Duplicate(layer, int(a), int(b), float(together[a, b])) for a, b in np.argwhere(together >= at_least)]
        return sorted(found, key=lambda each: (-each.correlation, each.layer, each.unit, each.other))

    def neighbours(self, layer: str, unit: int, k: int = 5) -> list[tuple[int, float]]:
        """The units of the layer that rise and fall most with this one, and their correlations."""
        together = self.correlation(layer)
        varies = np.diag(together) > 0
        row = np.where(varies & varies[unit], together[unit], -np.inf)  # one that never varies goes with none
        row[unit] = -np.inf
        return [(int(other), float(row[other])) for other in np.argsort(-row, kind="stable")[:k] if np.isfinite(row[other])]

    @property
    def confusion(self) -> npt.NDArray[np.int64]:
        """(classes of the pictures, classes of the network): how often pictures of a class got an answer."""
        return np.asarray(self.statistics.confusion.counts)

    @property
    def accuracy(self) -> float | None:
        """The share of pictures that are answered right, of those whose class the network knows; None if there are none."""
        rights = [each for each in self.pictures["right"] if each is not None]
        return float(np.mean(rights)) if rights else None

    def features(self, layer: str) -> Array:
        """(pictures, units): the means of the layer's maps in each picture, in the order of `pictures`. Raises InputError."""
        self.part(layer)
        if layer not in self.plan.features:
            kept = ", ".join(map(repr, self.plan.features)) or "none"
            raise InputError(f"The features of '{layer}' were not kept, but of {kept}. Scan again with features='{layer}'.")
        values: Array = np.load(self.folder / "features" / f"{self.plan.features.index(layer)}.npy", mmap_mode="r")
        return values

    def embed(self, layer: str | None = None) -> Embedding:
        """Every picture as a point: what `layer` says of it. None: the last layer whose features were kept. Raises InputError."""
        if layer is None and not self.plan.features:
            raise InputError("This scan kept no features. Scan again with features='blocks'.")
        layer = layer or self.plan.features[-1]
        return Embedding(layer, self.features(layer), self.pictures)

    def depth(self, *, seed: int = 0) -> Table:
        """How well each kept layer tells the classes, by a linear probe and by nearest neighbours: a curve over depth."""
        return curve([self.embed(layer) for layer in self.plan.features], seed=seed)

    def alike(self, other: Scan | None = None) -> npt.NDArray[np.float64]:
        """(layers, layers): linear CKA between the kept layers of this scan and those of another one of the same pictures, or
        of this one. Raises InputError where the pictures are not the same.
        """
        other = other or self
        if self.pictures["name"].tolist() != other.pictures["name"].tolist():
            raise InputError("Two scans are compared on the same pictures, but these are of different ones.")
        return np.array([[cka(self.features(a), other.features(b)) for b in other.plan.features] for a in self.plan.features])

    def page(self, *, embedding: str = "pca") -> Path:
        """Write the page of the scan, index.html, and return its path.

        embedding    how the pictures are laid out: "pca", "tsne", "umap"
        raises       WrongOption, MissingExtra, OutputError
        """
        from .pages import write_page

        write_page(self, embedding)
        return self.folder / "index.html"

    @property
    def labels(self) -> Sequence[str]:
        """The names of the network's classes."""
        return self.record["network"]["labels"] or [f"class {number}" for number in range(self.plan.outputs)]

    def __repr__(self) -> str:
        accuracy = "" if self.accuracy is None else f", {self.accuracy:.2%} right"
        skipped = f", {self.record['skipped']} skipped" if self.record["skipped"] else ""
        return (
            f"Scan('{self.folder}': {self.record['network']['name']}, {self.record['scanned']:,} pictures{skipped}, "
            f"{len(self.layers)} layers, {self.plan.units:,} units{accuracy})"
            + "".join(f"\nLeft out: {why}" for why in dict.fromkeys(self.left_out.values()))
        )


def read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StudyError(folder, "there is no scan.json. Make a scan with: convscope scan PICTURES -o FOLDER") from None
    except (OSError, ValueError) as error:
        raise StudyError(folder, f"scan.json is damaged ({error}). Scan again into a new folder.") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise StudyError(folder, "it is of another version. Scan again into a new folder.")
    if not record.get("complete"):
        raise StudyError(folder, "the scan is not finished. The command that began it goes on where it stopped.")
    return record
