"""Which units to look at first: by the size of their maps, or by how much they speak for the answer."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Array, Differentiable, Edit, Engine, Pictures, Resumable, Tap, batch, count
from ..errors import ModelError
from .costs import multiply_adds
from .resume import at_once, chunks, held
from .scores import Scores, scores

# What units can be ranked by, and how a sheet says it.
MEASURES = {
    "mean": "the mean of the map",
    "max": "the greatest value of the map",
    "active": "the share of the map that is above zero",
    "variance": "the variance of the map",
}
ORDERS = ("auto", "answer", *MEASURES, "plain")
BATCH = 8
# Multiplications that switching units off may cost where nobody asked for all of them: about a second on two cores.
BUDGET = 2e10
FEWEST = 16  # a ranking of fewer units than that says less than their means


@dataclass(frozen=True, eq=False)
class Evidence:
    """How much each unit of a layer speaks for the answer.

    values   (n, c) in units of the score; positive: for it; NaN for a unit that was not tried
    labels   per picture the answer
    how      the measure, in words
    """

    values: Array
    labels: tuple[str, ...]
    how: str


def statistics(values: Array, names: Iterable[str] = MEASURES) -> dict[str, Array]:
    """The MEASURES of (n, c, *spatial) maps, or some of them, (n, c) each. NaN where a map has one.

    Of a dense layer a map is one value.
    """
    flat = values.reshape(*values.shape[:2], -1)
    how: dict[str, Callable[[], Array]] = {
        "mean": lambda: flat.mean(2, dtype=np.float64),
        "max": lambda: flat.max(2),
        "active": lambda: (flat > 0).mean(2, dtype=np.float64),
        "variance": lambda: flat.var(2, dtype=np.float64),
    }
    with np.errstate(invalid="ignore", over="ignore"):
        return {name: how[name]().astype(np.float32) for name in names}


def ranked(measure: Array, then: Array | None = None) -> npt.NDArray[np.intp]:
    """(c,) unit numbers by a measure, the greatest first, NaN last; equal ones by `then`, and then by their number."""
    return np.lexsort((np.zeros_like(measure) if then is None else -then, -measure))


def evidence(
    engine: Engine,
    pictures: Pictures,
    layers: Sequence[str],
    classes: npt.NDArray[np.intp],
    *,
    limited: bool = True,
    optional: Container[str] = (),
) -> dict[str, tuple[Array, str]]:
    """`{layer: ((n, c), how)}`, how much each unit speaks for class `classes[n]` of picture n, and by which measure.

    Where the engine differentiates, sum over the map of gradient x activation: one forward and one backward for all layers.
    Elsewhere the drop of the score when the unit is switched off, on a network that is held at the layer where that can be.

    limited   switch off as many units of each layer as BUDGET allows, those with the greatest mean; a layer of which
              that are too few is left out, as is one that comes after the scores
    optional  of these, those without a gradient of their own (whole numbers, sparse tensors) are left out
    """
    at = scores(engine)
    layers = [name for name in layers if at.layer == "output" or engine.graph[name].index <= engine.graph[at.layer].index]
    if isinstance(engine, Differentiable):
        how = f"gradient x activation of {at.said}"
        return {name: (each, how) for name, each in with_gradients(engine, pictures, layers, classes, at, optional).items()}
    found = {}
    for name in layers:
        units = (engine.graph[name].shape or (1,))[0] or 1
        affordable = BUDGET / len(layers) / count(pictures) / max(1, cost(engine, name))
        most = units if not limited or affordable >= units else int(affordable)
        if most >= min(units, FEWEST):
            tried = f"; measured for the {most} units with the greatest mean" if most < units else ""
            drops = by_switching_off(engine, pictures, name, classes, at, most=most)
            found[name] = drops, f"the drop of {at.said}, when it is switched off{tried}"
    return found


def with_gradients(
    engine: Differentiable,
    pictures: Pictures,
    layers: Sequence[str],
    classes: npt.NDArray[np.intp],
    at: Scores,
    optional: Container[str],
) -> dict[str, Array]:
    """As `by_gradient`, without those of `optional` that have none."""
    try:
        return by_gradient(engine, pictures, layers, classes, at)
    except ModelError as error:
        rest = [name for name in layers if name not in error.rows or name not in optional]
        if not rest or len(rest) == len(layers):
            raise
    return with_gradients(engine, pictures, rest, classes, at, optional)


def by_gradient(
    engine: Differentiable, pictures: Pictures, layers: Sequence[str], classes: npt.NDArray[np.intp], at: Scores
) -> dict[str, Array]:
    """sum_x a_c(x) * d score / d a_c(x), (n, c) for each layer: the change of the score to first order if a_c were zero."""
    parts: list[dict[str, Array]] = []
    for start in range(0, count(pictures), BATCH):
        of = slice(start, start + BATCH)
        trace = engine.trace(batch(pictures, of), [Tap(name) for name in dict.fromkeys((*layers, at.layer)) if name != "output"])
        gradients = trace.pullback({at.layer: at.seeds(trace[at.layer], classes[of])}, wrt=list(layers))
        parts.append({name: summed(trace[name] * gradients[name]) for name in layers})
    return {name: np.concatenate([part[name] for part in parts]) for name in layers}


def by_switching_off(
    engine: Engine, pictures: Pictures, layer: str, classes: npt.NDArray[np.intp], at: Scores, *, most: int
) -> Array:
    """score(picture) - score(picture with a_c = 0), (n, c); NaN for all but the `most` units with the greatest mean."""
    rows = []
    for at_picture, number in enumerate(classes):
        picture = batch(pictures, slice(at_picture, at_picture + 1))
        whole = engine.run(picture, [Tap(layer), Tap(at.layer)])
        maps, score = whole[layer], at.of(whole[at.layer])[0, number]
        drops = np.full(maps.shape[1], np.nan, np.float32)
        drops[~maps.reshape(maps.shape[1], -1).any(1)] = 0  # nothing is lost with what is zero already
        alive = ranked(np.where(drops == 0, np.nan, statistics(maps, ["mean"])["mean"][0]))[: np.count_nonzero(np.isnan(drops))][
            :most
        ]
        stopped = held(engine, picture, layer)
        for part in chunks(len(alive), at_once(engine.graph, layer)):
            off = switched_off(layer, alive[part], maps.shape)
            drops[alive[part]] = score - at.of(stopped.run([at.layer], [off], repeat=len(alive[part]))[at.layer])[:, number]
        rows.append(drops)
    return np.stack(rows)


def switched_off(layer: str, units: npt.NDArray[np.intp], shape: tuple[int, ...]) -> Edit:
    """One unit less in each of len(units) copies of a picture."""
    mask = np.ones((len(units), shape[1]), np.float32)
    mask[np.arange(len(units)), units] = 0
    return Edit(layer, scale=mask.reshape(*mask.shape, *[1] * (len(shape) - 2)))


def cost(engine: Engine, layer: str) -> int:
    """About how many multiplications it takes to switch off one unit: all that lies after the layer, or the whole network."""
    graph = engine.graph
    start = graph[layer].index + 1 if isinstance(engine, Resumable) else 0
    return sum(multiply_adds(graph, each.name) or 0 for each in graph.layers[start:])


def summed(values: Array) -> Array:
    """(n, c, *spatial) to (n, c) by sums."""
    result: Array = values.reshape(*values.shape[:2], -1).sum(2)
    return result
