"""The score of pictures that differ from one in a rectangle, computing again only what that can reach.

Nakandala, Kumar and Papakonstantinou 2019 (Krypton). Each layer's changed rectangle follows from the one before and the layer's
window. It is cut out of what the layer received for the plain picture, with what has changed put in, and the layer runs on that
alone. Where most of the map has changed, or a layer is not known to be local, the network goes on with whole maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..core import Array, Edit, Engine, Graph, Layer, Local, Part, Resumable
from .patches import Patches, Places, Rectangles, cut_out, looked_at, put_in, reached, with_edges
from .reach import Axis, along
from .resume import LIVE, MEMORY, Scored, at_once, held, size_of

MOST = 0.9  # of a map: where more has changed, whole maps are as quick
AGREES = 1e-5  # of the largest value: how near the places that are tried both ways must come
ROUNDING = 1e-6  # of the largest value: nearer they need not come, however small the change is


@dataclass(frozen=True, eq=False)
class Changes:
    """One picture (1, c, *spatial), and in each variant a rectangle of it, all of one size, as it is in `cover`."""

    picture: Array
    cover: Array
    spans: Rectangles

    def patches(self, some: slice) -> Patches:
        starts, size = self.spans[some].evened(self.picture.shape[2:])
        return Patches(starts, cut_out(self.cover, starts, size))

    def variant(self, number: int) -> Array:
        """(1, c, *spatial), the whole picture."""
        result = self.picture.copy()
        put_in(result, np.zeros_like(self.spans.low[:1]), self.patches(slice(number, number + 1)))
        return result

    def largest(self) -> int:
        """The variant in which most has changed."""
        changed = np.abs(self.cover - self.picture)
        every = zip(self.spans.low, self.spans.high, strict=True)
        return int(np.argmax([changed[(..., *map(slice, low, high))].sum() for low, high in every]))


@dataclass(frozen=True)
class Step:
    """A layer that is computed on parts.

    axes    its window along each axis; None where each value is made of those at its place
    whole   the size of its map
    """

    row: Layer
    part: Part
    axes: tuple[Axis, ...] | None
    whole: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """The steps to the row `cut`, from which whole maps go on, and what of each row can have changed."""

    steps: tuple[Step, ...]
    spans: Mapping[str, Rectangles]
    cut: Step

    def needed(self, number: int) -> set[str]:
        """The rows whose patches are needed after so many steps."""
        return {self.cut.row.name, *(name for step in self.steps[number:] for name in step.row.inputs)}

    def memory(self, graph: Graph) -> int:
        """Bytes that one variant takes: the patches that are needed later, and twice what a layer takes and gives."""
        sizes = {
            name: size_of(((graph[name].shape or (1,))[0], *(spans.high - spans.low).max(0)))
            for name, spans in self.spans.items()
        }
        most = 0
        for number, step in enumerate(self.steps):
            size = self.spans[step.row.name].evened(step.whole)[1]
            looked = size if step.axes is None else looked_at(np.zeros((1, len(size)), np.int64), size, step.axes)[1]
            given = sum(size_of(((graph[name].shape or (1,))[0], *looked)) for name in step.row.inputs)
            later = sum(sizes.get(name, 0) for name in self.needed(number + 1))
            most = max(most, later + 2 * (given + sizes[step.row.name]))
        return 4 * most


class Incremental:
    """Gives what a full run for each of `changes` would; see `incremental`, which makes it."""

    def __init__(self, engine: Engine, changes: Changes, plan: Plan, target: Scored):
        self._changes, self._plan, self._target = changes, plan, target
        self.cut = plan.cut.row.name
        read = {name for step in plan.steps if _is_cut(step) for name in step.row.inputs}
        plain = engine.run(changes.picture, [*read, self.cut, target.layer])
        self._plain, self.read = plain[self.cut], plain[target.layer]
        self._maps = {
            (step.row.name, name): plain[name]
            if step.axes is None
            else with_edges(plain[name], step.axes, step.whole, step.part.edge)
            for step in plan.steps
            if _is_cut(step)
            for name in step.row.inputs
        }
        self._held = held(engine, changes.picture, self.cut)

    def read_of(self, some: slice) -> Array:
        """(n, ...) what is read where the target is, of some of the variants."""
        maps = self.maps_of(some)
        return self._held.run([self._target.layer], [Edit(self.cut, 0.0, maps)], repeat=len(maps))[self._target.layer]

    def maps_of(self, some: slice) -> Array:
        """(n, c, *spatial) of the row `cut`."""
        live = {self._plan.steps[0].row.inputs[0]: self._changes.patches(some)}
        for number, step in enumerate(self._plan.steps, 1):
            starts, size = self._plan.spans[step.row.name][some].evened(step.whole)
            names = step.row.inputs
            given = [self._given(step, name, live, starts, size) for name in names] if _is_cut(step) else [live[names[0]].values]
            live[step.row.name] = Patches(starts, step.part.call(given))
            live = {name: live[name] for name in live.keys() & self._plan.needed(number)}
        found = live[self.cut]
        result = np.repeat(self._plain, len(found.starts), 0)
        put_in(result, np.zeros_like(found.starts), found)
        return result

    def _given(self, step: Step, name: str, live: Mapping[str, Patches], starts: Places, size: tuple[int, ...]) -> Array:
        """What the layer receives from the row `name` where it looks for these places of its own."""
        offset = np.zeros(len(size), np.int64)
        if step.axes is not None:
            starts, size = looked_at(starts, size, step.axes)
            offset = np.array([max(axis.before, 0) for axis in step.axes])
        result = cut_out(self._maps[step.row.name, name], starts, size)
        if name in live:
            put_in(result, starts - offset, live[name])
        return result

    def agrees(self, engine: Engine) -> bool:
        """Whether the first variant and the one in which most has changed come out as in full runs, maps and answers."""
        for number in {0, self._changes.largest()}:
            slow = engine.run(self._changes.variant(number), [self.cut, self._target.layer])
            some = slice(number, number + 1)
            if not near(self.maps_of(some), slow[self.cut], self._plain):
                return False
            if not near(self.read_of(some), slow[self._target.layer], self.read):
                return False
        return True


def incremental(engine: Engine, changes: Changes, target: Scored, *, memory: int = MEMORY) -> tuple[Incremental, int] | None:
    """What computes the variants of a picture, and how many at a time. None where only full runs are known to be right.

    That is where the graph does not show what feeds what, where the first layers are not local (see core.Local), where the plain
    picture's maps take more than half of `memory`, and where the variants that are tried both ways come out differently.
    """
    graph = engine.graph
    if not (isinstance(engine, Local) and isinstance(engine, Resumable)) or changes.picture.shape[1:] != graph.layers[0].shape:
        return None
    plan = planned(engine, changes.spans, target.layer)
    if plan is None:
        return None
    kept = 8 * sum(size_of(graph[name].shape) for step in plan.steps if _is_cut(step) for name in step.row.inputs)
    after = 4 * max(size_of(row.shape) for row in graph.layers[plan.cut.row.index :])
    each = plan.memory(graph)
    if kept > memory // 2 or memory - kept < max(LIVE * after, each):
        return None
    most = min((memory - kept) // each, at_once(graph, plan.cut.row.name, memory=memory - kept))
    found = Incremental(engine, changes, plan, target)
    return (found, max(1, most)) if np.isfinite(found._plain).all() and found.agrees(engine) else None


def planned(engine: Local, spans: Rectangles, end: str) -> Plan | None:
    """As far towards the row `end` as layers are local, most of the map is as it was, and all that has changed is known."""
    graph = engine.graph
    fed = {name for row in graph for name in row.inputs}
    shown = graph.wired and all(row.inputs or row.kind == "input" or row.name not in fed for row in graph)
    if not shown or len(graph.inputs) != 1:
        return None
    found, steps, plan = {graph.layers[0].name: spans}, list[Step](), None
    for row in graph.layers[1 : graph[end].index + 1 if end in graph.names else None]:
        changed = [found[name] for name in row.inputs if name in found]
        if not changed:
            continue
        step = step_of(engine, row, spans.low.shape[1])
        if step is None:
            break
        joined = changed[0]
        for other in changed[1:]:
            joined = joined.joined(other)
        found[row.name] = joined if step.axes is None else reached(joined, step.axes, step.whole)
        if found[row.name].share(step.whole) > MOST:
            break
        steps.append(step)
        if is_alone(graph, row, found):
            plan = Plan(tuple(steps), found, step)
    return plan


def step_of(engine: Local, row: Layer, axes: int) -> Step | None:
    """None where the row is not local, or the sizes of what feeds it do not show where it looks."""
    shapes = [engine.graph[name].shape for name in row.inputs]
    if any(shape is None or None in shape or len(shape) != axes + 1 for shape in (row.shape, *shapes)):
        return None
    sizes = [tuple(size or 0 for size in (shape or ())[1:]) for shape in (row.shape, *shapes)]
    part, window = engine.local(row.name), row.window
    if part is None or (window is None and len(set(sizes)) > 1):
        return None
    if window is None:
        return Step(row, part, None, sizes[0])
    if window.transposed or window.fill != "zeros" or len(row.inputs) != 1 or len(window.kernel) != axes:
        return None
    return Step(row, part, tuple(along(window, axis, size) for axis, size in enumerate(sizes[1])), sizes[0])


def is_alone(graph: Graph, cut: Layer, changed: Mapping[str, Rectangles]) -> bool:
    """Whether nothing but `cut` brings a change to what follows: all else that has changed is used, and only before it."""
    used: dict[str, int] = {}
    for row in graph:
        used |= dict.fromkeys(row.inputs, row.index)
    return all(name == cut.name or used.get(name, len(graph)) <= cut.index for name in changed)


def near(quick: Array, slow: Array, plain: Array) -> bool:
    """Whether they are the same but for rounding, and it is not the change that is lost in that."""
    error, change, largest = (float(np.abs(each).max()) for each in (quick - slow, slow - plain, slow))
    return error <= AGREES * largest and error <= max(change / 10, ROUNDING * largest)


def _is_cut(step: Step) -> bool:
    """Whether what the layer receives is cut out of a whole map; else it is what the one before gave, as it is."""
    return step.axes is not None or len(step.row.inputs) > 1
