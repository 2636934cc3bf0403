"""What a layer speaks for the answers over many pictures: where for a class (Grad-CAM), and each unit in which pictures most."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable, Engine, Pictures, Tap
from ..errors import InputError
from ..methods.attribution import differentiable, pulled
from ..methods.cam import grad_cam, with_maps
from ..methods.class_scores import verified_scores
from ..methods.ranking import by_switching_off
from ..methods.scores import Scores
from ..methods.targets import Target
from .decoding import Batch
from .looking_again import Again, Found, Progress, go_on
from .statistics import MapSums, Top

Choose = Callable[[Array], npt.NDArray[np.intp]]  # from the scores (n, classes) to a class for each picture


def class_cam(again: Again, path: Path, layer: str, right: int, progress: Progress | None) -> Found:
    """The sum over pictures of Grad-CAM for the score of output `right`, whatever they were answered: MapSums of one class.

    raises   Unsupported for a network without gradients; InputError for a layer without maps, or after the scores
    """
    engine = differentiable(again.engine, "The mean Grad-CAM of a class")
    at = scores_after(again, layer)

    def update(found: MapSums, batch: Batch) -> MapSums:
        n = len(batch.items)
        activations, slope = slopes(engine, batch.values, at, lambda scores: np.full(len(scores), right), layer)
        return found.update(np.zeros(n, np.int64), grad_cam(with_maps(engine, layer, activations), slope)[:n])

    return go_on(again, path, Found(MapSums(), 0, at.said), update, progress)


def relevance(again: Again, path: Path, layer: str, k: int, progress: Progress | None) -> Found:
    """The k pictures in which each unit speaks most for the answer, right or wrong, and where: Top.

    By gradient x activation, summed over the map, to first order what the score loses if the unit were zero; of a network without
    gradients that loss itself, unit by unit.

    raises   InputError for a layer after the scores
    """
    at = scores_after(again, layer)
    with_gradients = isinstance(again.engine, Differentiable)
    speak = by_products if with_gradients else by_drops
    measure = "gradient x activation" if with_gradients else "the drop when the unit is switched off"

    def update(found: Top, batch: Batch) -> Top:
        n = len(batch.items)
        values, places = speak(again.engine, batch.values, at, layer)
        numbers = np.array([item.number for item in batch.items], np.int64)
        return found.update(values[:n], np.zeros_like(values[:n]), numbers, places[:n])

    return go_on(again, path, Found(Top(k), 0, f"{measure} of {at.said}"), update, progress)


def scores_after(again: Again, layer: str) -> Scores:
    """Where the scores are, if `layer` lies before them: to one after them nothing flows, and zeros would look like numbers."""
    graph, (at, output) = again.engine.graph, verified_scores(again.engine, again.first())
    if output[0].size != output.shape[1] or output[0].size < 2:
        raise InputError(f"This network's output has shape {output.shape}, so that it has no score per class.")
    if at.layer != "output" and graph[layer].index > graph[at.layer].index:
        raise InputError(f"'{layer}' lies after the scores of the classes ('{at.layer}'), for which it can speak no more.")
    return at


def by_products(engine: Any, values: Pictures, at: Scores, layer: str) -> tuple[Array, Any]:
    """(n, units) sum over positions of dy/da * a, y the score of the answer, and the position that gives most of it."""
    activations, slope = slopes(engine, values, at, lambda scores: scores.argmax(1), layer)
    products = (activations * slope).reshape(*slope.shape[:2], -1)
    return products.sum(2), products.argmax(2)


def by_drops(engine: Engine, values: Pictures, at: Scores, layer: str) -> tuple[Array, Any]:
    """(n, units) the score of the answer less that without the unit, and where the unit's map is greatest."""
    run = engine.run(values, [layer, at.layer])
    maps = run[layer].reshape(*run[layer].shape[:2], -1)
    classes = at.of(run[at.layer]).argmax(1)
    return by_switching_off(engine, values, layer, classes, at, most=maps.shape[1]), maps.argmax(2)


def slopes(engine: Differentiable, values: Pictures, at: Scores, choose: Choose, layer: str) -> tuple[Array, Array]:
    """A layer's activations and the gradient there of the chosen class's score. Raises EngineError where it is not finite."""

    def score(read: Array) -> tuple[Array, Array]:
        scores = at.of(read)
        classes = choose(scores)
        return scores[np.arange(len(scores)), classes], at.seeds(read, classes)

    trace = engine.trace(values, [Tap(name) for name in dict.fromkeys((layer, at.layer)) if name != "output"])
    return trace[layer], pulled(trace, Target(at.said, at.layer, score), [layer])[1][layer]
