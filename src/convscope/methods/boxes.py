"""What a detector found in a picture: boxes, their classes and their scores, each an output of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core import Array, Engine, Pictures
from ..errors import InputError, UnknownLayer
from .class_scores import Score


@dataclass(frozen=True, eq=False)
class Detections:
    """In one picture: `labels` and `scores` (found,), NaN where nothing is; `layer`, the output that the scores are."""

    labels: Array
    scores: Array
    layer: str


def detections(engine: Engine, picture: Pictures) -> Detections | None:
    """Where the outputs are (1, found, 4) boxes, and (1, found) of both scores, 0..1, and whole numbers; None for other outputs.

    torchvision's detectors give them in either order, and an engine does not say which is which.
    """
    try:
        run = engine.run(picture, ["output", "output:1", "output:2"])
    except UnknownLayer:
        return None
    boxes, pair = run["output"], {name: run[name] for name in ("output:1", "output:2")}
    if boxes.ndim != 3 or boxes.shape[2] != 4 or any(each.shape != boxes.shape[:2] for each in pair.values()):
        return None
    whole = [name for name, each in pair.items() if (each == np.rint(each))[np.isfinite(each)].all()]
    if len(whole) != 1:
        return None
    (scores,) = set(pair) - set(whole)
    return Detections(pair[whole[0]][0], pair[scores][0], scores)


def of_box(found: Detections, number: int) -> Score:
    """The score of the box `number` in each picture, 0 where so many are not found."""

    def score(values: Array) -> tuple[Array, Array]:
        seeds = np.zeros(values.shape, np.float32)
        if number >= values.shape[1]:
            return np.zeros(len(values), np.float32), seeds
        there = np.isfinite(values[:, number])
        seeds[there, number] = 1
        return np.where(there, values[:, number], 0).astype(np.float32), seeds

    if not 0 <= number < len(found.scores) or not np.isfinite(found.scores[number]):
        count = int(np.isfinite(found.scores).sum())
        raise InputError(f"There is no box {number}: {count} were found in this picture.", received=number, expected=count)
    return score
