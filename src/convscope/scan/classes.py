"""What a layer does for a class: mean maps, mean Grad-CAM, and how both are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..errors import InputError
from .looking_again import Again, Found, Progress, found_in
from .running import again
from .selectivity import class_means
from .speaking import class_cam
from .worth import chosen

if TYPE_CHECKING:
    from ..draw.sheet import Sheet
    from .result import Scan

CAMS = "grad_cam"  # the folder within that of the scan


@dataclass(frozen=True, eq=False)
class ClassCams:
    """Where a layer speaks for each class, on average over its pictures.

    labels   the classes; counts, of how many pictures each
    values   (classes, h, w), the mean of relu(sum_c mean(dy/da_c) a_c), y the score of the class; in units of score
    said     which score
    """

    layer: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    values: Array
    said: str

    def sheet(self, *, columns: int | None = None) -> Sheet:
        """A map per class, all in the same colours."""
        from ..draw.planes import as_planes, nearly_square
        from ..draw.sheet import Sheet

        tiles, note = as_planes(self.values)
        labels = tuple(f"{label} ({count:,})" for label, count in zip(self.labels, self.counts, strict=True))
        return Sheet(
            tiles, labels, f"{self.layer} · where it speaks for each class",
            f"mean Grad-CAM over so many pictures of the class, of {self.said}; pictures are not aligned{note}",
            columns=columns or nearly_square(len(tiles)), scale="shared",
        )  # fmt: skip


class OfClasses:
    """A part of Scan: its classes."""

    def class_maps(self: Any, layer: str, label: str | None = None) -> Array:
        """(c, *spatial): the mean of the layer's maps over the pictures of a class, or over all.

        raises   InputError for a layer whose maps were not kept, or a class without pictures
        """
        self.part(layer)
        if layer not in self.plan.maps:
            kept = ", ".join(map(repr, self.plan.maps)) or "none"
            raise InputError(f"The mean maps of '{layer}' were not kept, but of {kept}. Scan again with maps='{layer}'.")
        sums = self.statistics.maps[layer]
        labels = list(sums.counts) if label is None else [self.class_number(label)]
        count = sum(sums.counts.get(each, 0) for each in labels)
        if not count:
            raise InputError(f"This scan has no pictures of '{label}'.", received=label)
        total = sum(sums.sums[each] for each in labels if each in sums.sums)
        return np.asarray(total / count, np.float32)

    def class_sheet(self: Any, layer: str, label: str, *, first: int = 64) -> Sheet:
        """The mean maps of a class, those units first that are more active in it than over all pictures. Raises InputError."""
        from ..draw.planes import as_planes, nearly_square
        from ..draw.sheet import Sheet

        maps = self.class_maps(layer, label)
        own, all_of = (each.reshape(len(each), -1).mean(1) for each in (maps, self.class_maps(layer)))
        order = np.argsort(all_of - own, kind="stable")[:first]
        tiles, note = as_planes(maps[order])
        number = self.class_number(label)
        count = self.statistics.maps[layer].counts[number]
        which = f"the {len(order)} of {len(maps)} units" if len(order) < len(maps) else f"all {len(maps)} units"
        return Sheet(
            tiles, tuple(map(str, order)), f"{layer} · mean maps over {count:,} pictures of {label}",
            f"{which}, those first whose mean is furthest above that over all pictures; {self.record['preprocess_text']}{note}",
            columns=nearly_square(len(tiles)), scale="shared", dead_is_meaningful=self.part(layer).activated,
        )  # fmt: skip

    def class_cams(
        self: Any, layer: str, label: str | None = None, *, first: int | None = None, progress: Progress | None = None
    ) -> ClassCams:
        """Where `layer` speaks for a class in the mean over its pictures (Grad-CAM); None: for each class that the network knows.

        The network runs again over these pictures, once: what was found is kept, and goes on where it was stopped.

        first     so many pictures of each class, evenly spread; None for all
        raises    InputError for a class that the network does not know, a layer without maps, and without the network where
                  nothing is kept; Unsupported for a network without gradients
        """
        self.part(layer)
        labels = classes_with_scores(self) if label is None else (label,)
        return together(layer, {each: cam(self, layer, each, first, progress) for each in labels})

    def class_means(self: Any, layer: str) -> npt.NDArray[np.float64]:
        """(classes, units): the mean of each unit over the pictures of a class; NaN for a class without pictures."""
        return class_means(self.statistics.classes)[:, self.part(layer).place]

    def class_number(self: Any, label: str) -> int:
        if label not in self.plan.classes:
            known = ", ".join(self.plan.classes[:12]) or "none"
            raise InputError(f"This scan has no class '{label}'. It has: {known}.", received=label, expected=self.plan.classes)
        number: int = self.plan.classes.index(label)
        return number


def together(layer: str, found: Mapping[str, Found]) -> ClassCams:
    sums = [each.value for each in found.values()]
    values = np.stack([each.sums[0] / each.counts[0] for each in sums]).astype(np.float32)
    said = next(iter(found.values())).said
    return ClassCams(layer, tuple(found), tuple(each.counts[0] for each in sums), values, said)


def cam(scan: Scan, layer: str, label: str, first: int | None, progress: Progress | None) -> Found:
    """The sum of the Grad-CAMs of a class: the one that is kept, or what the network says again."""
    right = scan.plan.right[scan.class_number(label)]
    if right < 0:
        raise InputError(f"The network knows no class '{label}', so that it has no score for it.", received=label)
    numbers = numbers_of(scan, label, first)
    path = path_of(scan, layer, label, first)
    found = found_in(path)
    if found is not None and found.done == len(numbers):
        return found
    net, pictures = again(scan)
    found = class_cam(Again(net.engine, pictures, net.preprocess, numbers), path, scan.part(layer).read_at, right, progress)
    if not found.value.counts:
        raise InputError(f"None of the pictures of '{label}' can be read any longer.", received=label)
    return found


def kept(scan: Scan, layer: str) -> ClassCams | None:
    """What class_cams(layer) kept, without running anything; None where nothing is finished."""
    found = {label: found_in(path_of(scan, layer, label, None)) for label in scan.plan.classes}
    done = {label: each for label, each in found.items() if each and each.done == len(numbers_of(scan, label, None))}
    return together(layer, done) if done else None


def numbers_of(scan: Scan, label: str, first: int | None) -> list[int]:
    """The pictures of a class that were scanned, or so many of them, evenly spread. Raises InputError where there are none."""
    numbers = scan.pictures["picture"][scan.pictures["label"] == label]
    if not len(numbers):
        raise InputError(f"This scan has no pictures of '{label}'.", received=label)
    return [int(numbers[place]) for place in chosen(len(numbers), first)]


def path_of(scan: Scan, layer: str, label: str, first: int | None) -> Path:
    digest = sha256(f"{layer} {label} {first}".encode(errors="surrogatepass")).hexdigest()[:16]
    return scan.folder / CAMS / f"{digest}.npz"


def classes_with_scores(scan: Scan) -> tuple[str, ...]:
    """The classes that have pictures here and that the network knows. Raises InputError where there are none."""
    counts = np.asarray(scan.statistics.classes.counts)
    known = tuple(scan.plan.classes[number] for number, right in enumerate(scan.plan.right) if right >= 0 and counts[number])
    if not known:
        raise InputError("The network knows none of the classes of these pictures. Name them with labels.")
    return known
