"""How much a unit is for one class: three measures from what a scan has counted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .statistics import ClassSums

Doubles = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


def class_means(sums: ClassSums) -> Doubles:
    """(classes, units): the mean over pictures of a class; NaN for a class without pictures."""
    counts = np.asarray(sums.counts)[:, None]
    return np.where(counts, np.asarray(sums.means) / np.maximum(counts, 1), np.nan)


def class_selectivity(means: Doubles) -> tuple[Doubles, Whole]:
    """(best - others) / (best + others) per unit, 0..1, and the best class. Morcos et al. 2018.

    means     (classes, units): of activations that are not negative, else the index means nothing
    returns   0 for a unit that is the same for all, 1 for one that fires for one class only; NaN with fewer than two classes
              and for a unit that never fires or whose mean is negative in a class; the best class is -1 where there is none
    """
    seen = ~np.isnan(means[:, 0]) if means.size else np.zeros(len(means), bool)
    if seen.sum() < 2:
        best = np.full(means.shape[1], int(np.flatnonzero(seen)[0]) if seen.any() else -1)
        return np.full(means.shape[1], np.nan), best
    best = np.nanargmax(means, axis=0)
    highest = np.nanmax(means, axis=0)
    others = (np.nansum(means, axis=0) - highest) / (seen.sum() - 1)
    total = highest + others
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.where((total > 0) & (np.nanmin(means, axis=0) >= 0), (highest - others) / total, np.nan)
    return index, np.where(total > 0, best, -1)


def top_precision(labels: Whole) -> tuple[Doubles, Whole]:
    """The share of the most frequent class among a unit's top pictures, and that class; of equals the lower number.

    labels    (k, units), of the pictures in the top list; -1 for none, or where it does not fire, which counts for no class
    returns   (units,), (units,): NaN and -1 where no picture has a label
    """
    classes = int(labels.max(initial=-1)) + 1
    counts = np.stack([(labels == each).sum(0) for each in range(classes)]) if classes else np.zeros((1, labels.shape[1]), int)
    best = counts.argmax(0)
    share = np.where(counts.max(0) > 0, counts.max(0) / max(len(labels), 1), np.nan)
    return share, np.where(counts.max(0) > 0, best, -1)


def mutual_information(sums: ClassSums) -> Doubles:
    """(units,), in bits: between the class of a picture and whether the unit fires anywhere in it.

    sum over classes c and f in {fires, does not} of p(c, f) log2(p(c, f) / (p(c) p(f))). At most the entropy of either.
    """
    counts = np.asarray(sums.counts, np.float64)
    fired = np.asarray(sums.fired, np.float64)
    total = counts.sum()
    if not total:
        return np.full(fired.shape[-1], np.nan)
    result = np.zeros(fired.shape[1])
    of_class = (counts / total)[:, None]
    for joint in (fired / total, (counts[:, None] - fired) / total):
        of_event = joint.sum(0)
        expected = np.maximum(of_class * of_event, 1e-300)
        result += np.where(joint > 0, joint * np.log2(np.maximum(joint, 1e-300) / expected), 0.0).sum(0)
    return np.maximum(result, 0.0)
