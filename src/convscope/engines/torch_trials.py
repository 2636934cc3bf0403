"""What two trials of a torch module say together: which arrays are of pictures, what feeds what, whether that is always so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ..core import Graph, Layer
from ..errors import EngineError
from .torch_functions import Function
from .torch_modules import Enter
from .torch_survey import Step, Survey
from .torch_table import Table
from .torch_watchers import Watcher

TRIAL = 2  # pictures in the first trial, all of them zeros
ALONE = 1  # in both, of a network that takes one at a time
# Of the second, the first of these that works: how many, and whether they are noise, which all see alike.
SECOND = ((3, True), (4, True), (3, False))


@dataclass(frozen=True)
class Found:
    """What is known of a network.

    kept     the names of its rows
    wired    whether it is known what is behind each, for whatever pictures
    unlike   outputs whose first axis is not that of the pictures
    looks    whether its code looks at values, and may go another way for other pictures
    mixed    whether pictures were seen to depend on those beside them
    """

    table: Table
    kept: frozenset[str]
    wired: bool
    unlike: frozenset[str]
    looks: bool
    notes: tuple[str, ...] = ()
    mixed: bool = False


def needs_second(first: Survey, alone: Survey | None) -> bool:
    """Whether something could be otherwise for other pictures, or for more of them."""
    return first.doubtful or first.looks or (alone is not None and differs_in(first, alone))


def differs_in(first: Survey, other: Survey) -> bool:
    """Whether something else ran, or was made of something else."""
    ways = [[(step.name, step.parents) for step in survey.steps] for survey in (first, other)]
    return ways[0] != ways[1]


def together(first: Survey, second: Survey | None, alone: Survey | None = None) -> Found:
    """
    second   of another number of pictures; None if there was none, or none worked
    alone    of one picture, likewise: code that knows how many there are may go another way for it
    """
    strange = set[str]() if alone is None else {step.name for step in alone.steps} - same_in(first, alone)
    found = of_one(first, strange) if second is None else of_two(first, second, strange)
    if alone is None or not found.wired:
        return found
    other = table_of(alone, found.kept)
    changed = next(differing(found.table, other), None) or next((step.name for step in alone.steps if step.name in strange), None)
    return replace(found, wired=False, notes=(*found.notes, other_number(changed))) if changed else found


def of_one(first: Survey, strange: set[str]) -> Found:
    maybe = {step.name for step in first.steps if first.of_pictures(step)}
    kept = frozenset(({step.name for step in first.steps if step.known} if first.doubtful else maybe) - strange)
    table = table_of(first, kept)
    told = (only_one_number(first.pictures),) if first.doubtful and kept < maybe else ()
    unlike = frozenset(name for name, (each, _) in first.ends.items() if not each)
    return Found(table, kept, not table.unknown, unlike, first.looks, told)


def of_two(first: Survey, second: Survey, strange: set[str]) -> Found:
    maybe = {step.name for step in first.steps if first.of_pictures(step)}
    looks = first.looks or second.looks
    new = only_in(first, second) if looks else set()
    kept = frozenset((agreed(first, second, looks=looks) | new) - strange)
    table, other = table_of(first, kept), table_of(second, kept)
    changed = next(differing(table, other), None)
    added = next((step.name for step in second.steps if looks and step.known and step.name not in maybe), None)
    mixed = next((step.name for step in second.steps if step.name in kept and not step.alike), None)
    wired = not (table.unknown or changed or added or (looks and other.unknown))
    notes = [another_way(changed or added)] if looks and (changed or added) else []
    crossed = crossed_in(first, second) if first.pictures > 1 else None
    notes += [mixing(mixed)] if mixed else [crossing(crossed)] if crossed else []
    unlike = {name for name, (each, _) in first.ends.items() if not (each and second.ends.get(name, (False, False))[0])}
    table.join(other, new)
    return Found(table, kept, wired, frozenset(unlike), looks, tuple(notes), bool(mixed or crossed))


def only_in(first: Survey, second: Survey) -> set[str]:
    """Steps of the second trial alone, since code looks at values: of pictures, and calls of what never ran in the first."""
    ran = {base(step.name) for step in first.steps}
    return {step.name for step in second.steps if step.known and base(step.name) not in ran}


def differing(table: Table, other: Table) -> Iterator[str]:
    """Rows of the one that the other has not, or with something else behind them. What is not known there contradicts nothing:
    what a network keeps for its next run is known in the first only.
    """
    inputs = {row.name: row.inputs for row in other.rows}
    for row in table.rows:
        if row.name not in inputs or (row.name not in other.unknown and inputs[row.name] != row.inputs):
            yield row.name


def agreed(first: Survey, second: Survey, *, looks: bool) -> set[str]:
    """The steps that are rows: of pictures, and the same thing in both trials.

    What ran in the first trial only, since its code looks at values, is a row if it is known to be of pictures.
    """
    twins, same = {step.name: step for step in second.steps}, same_in(first, second)
    found = set[str]()
    for step in first.steps:
        twin = twins.get(step.name)
        if twin is None:
            found |= {step.name} if looks and step.known else set()
        elif first.pictures == 1 and not step.known:
            continue  # of one picture any axis may be 1 long, in both trials
        elif step.name in same and first.of_pictures(step) and second.of_pictures(twin) and alike(step, twin):
            found.add(step.name)
    return found


def same_in(first: Survey, second: Survey) -> set[str]:
    """The names that stand for the same thing in both.

    A name such as `relu#3` may stand for another call where another one ran before. It stands for the same if all that is
    behind it is the same; if it was called as often; or if it comes right after, and is made of, what stands for the same: it is
    called for each picture, but only later on.
    """
    places = {step.name: place for place, step in enumerate(second.steps)}
    calls = [Counter(base(step.name) for step in survey.steps) for survey in (first, second)]
    same, found = set[str](), set[str]()
    for place, step in enumerate(first.steps):
        other = places.get(step.name)
        if other is None:
            continue
        twin, last = second.steps[other], first.steps[place - 1].name
        behind = step.parents if (step.parents, step.row.native) == (twin.parents, twin.row.native) else None
        after = place > 0 and last == second.steps[other - 1].name and last in found
        if behind is not None and same.issuperset(behind):
            same.add(step.name)
        often = calls[0][base(step.name)] == calls[1][base(step.name)]
        if step.name in same or often or (after and behind is not None and found.issuperset(behind)):
            found.add(step.name)
    return found


def alike(step: Step, twin: Step) -> bool:
    """Arrays of what was found may be as long as there are pictures twice over: then what they hold differs."""
    one, other = step.row, twin.row
    return (one.native, one.shape) == (other.native, other.shape) and (twin.alike or not (step.counted or twin.counted))


def crossed_in(first: Survey, second: Survey) -> str | None:
    """The first step with an axis of pictures beside that of the pictures: q @ k.T of vectors, a picture each."""
    in_both = [
        {step.name for step in survey.steps if survey.of_pictures(step) and (step.row.shape or ())[:1] == (survey.pictures,)}
        for survey in (first, second)
    ]
    return next((step.name for step in first.steps if all(step.name in each for each in in_both)), None)


def base(name: str) -> str:
    return name.partition("#")[0].partition(":")[0]


def table_of(survey: Survey, kept: frozenset[str]) -> Table:
    table = Table(kept)
    for step in survey.steps:
        table.add(step)
    return table


def only_one_number(pictures: int) -> str:
    return (
        f"It takes {pictures} picture{'s' * (pictures > 1)}, but no other number was found that it takes. The table has only "
        "those layers whose first axis is known to be that of the pictures."
    )


def another_way(name: str | None) -> str:
    return (
        f"Its code looks at values, and what runs depends on the picture, from '{name}' on. What feeds what is not told, and "
        "a layer of the table may not run for your picture."
    )


def one_at_a_time(said: str) -> str:
    return f"It takes one picture at a time: with two it fails ({said}). Several are run one after the other."


def other_number(name: str) -> str:
    return (
        f"What runs for one picture is not what runs for two, from '{name}' on. What feeds what is not told, and a layer of the "
        "table may not run for your pictures."
    )


def mixing(name: str) -> str:
    return (
        f"In '{name}' equal pictures do not give equal values: it mixes the pictures that it is given together, or draws at "
        "random. To see a picture alone, give it alone."
    )


def crossing(name: str) -> str:
    return (
        f"'{name}' has a value for each two of the pictures that it is given together: what follows may depend on the others. "
        "To see a picture alone, give it alone."
    )


class Followed:
    """Whether a run of a network whose code looks at values goes the way of its table: refuses to read a row after it has not.

    trial   what ran for as many zeros of this size: it has to run now, made of the same
    """

    def __init__(self, survey: Survey, trial: Sequence[Step], graph: Graph, watcher: Watcher, enter: Enter | None):
        self._survey, self._watcher, self._enter = survey, watcher, enter
        self._steps, self._rows, self._table = trial, graph.layers, Table(frozenset(graph.names))
        self._followed = 0
        self._astray: str | None = None

    def enter(self, module: nn.Module, args: object, kwargs: object) -> None:
        self._survey.enter(module, args, kwargs)
        if self._enter:
            self._enter(module, args, kwargs)

    def visit(self, name: str, tensor: torch.Tensor, maker: nn.Module | Function | None, alias: bool) -> torch.Tensor:
        self._survey.visit(name, tensor, maker, alias)
        for step in self._survey.steps[self._followed :]:
            self._astray = self._astray or self._where(step, self._table.add(step))
            self._followed += 1
        if self._astray and maker is not None and (name in self._watcher.taps or name in self._watcher.edits):
            self._watcher.leave_out(name, EngineError(f"'{name}' was not read: {self._astray}", self._watcher.last))
        given = self._watcher.visit(name, tensor, maker, alias)
        self._survey.hand_on(tensor, given)
        return given

    def _where(self, step: Step, row: Layer | None) -> str | None:
        """Where the way of this run leaves that of the trial, or of the table, which is of another number of pictures."""
        before = self._steps[self._followed] if self._followed < len(self._steps) else None
        same = before is not None and (before.name, before.parents) == (step.name, step.parents)
        expected = self._rows[row.index] if row and row.index < len(self._rows) else None
        if same and (row is None or (expected and (expected.name, expected.inputs) == (row.name, row.inputs))):
            return None
        return (
            "the code of this network looks at values, and for these pictures it took another way than the layer table shows, "
            f"from '{step.name}' on. Take a layer before that, or the output."
        )
