"""Laws on stopping at a layer and going on from there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core import Edit, Pictures, Resumable, Run, Tap, arrays, batch, count, each_array
from ..errors import InputError, UnknownLayer
from .compare import MOST, REORDERED, SAME, editable, noise, raises, require, same

REPEAT = 3


def law_holding_changes_nothing(engine: Resumable, pictures: Pictures) -> None:
    for before, layer, after in cuts(engine, pictures):
        first = [Edit(each, -0.5, 0.25) for each in {before, after} - {layer, "output"}]
        taps: list[Tap | str] = [layer, after, Tap(after, "mean"), "output"]
        changes = [Edit(layer, 0.5, 0.1), Edit(after, -1.0, 0.5)]
        for made in ([], first):
            held = engine.hold(pictures, layer, made)
            require(held.layer == layer, f"what is held at '{layer}' says that it is '{held.layer}'")
            plain = engine.run(pictures, taps, made)
            same(held.value, plain[layer], f"what is held at '{layer}'")
            check(held.run(taps), plain, f"held at '{layer}'")
            check(held.run(taps, changes), engine.run(pictures, taps, [*made, *changes]), f"held at '{layer}' and edited")
            # Again, since a run may have written into what is held.
            same(held.run()["output"], plain["output"], f"the output, held at '{layer}'")


def law_repeating_what_is_held_equals_repeating_the_pictures(engine: Resumable, pictures: Pictures) -> None:
    for first, layer, after in cuts(engine, pictures):
        for chosen in (pictures, batch(pictures, slice(1))):
            read, taps = engine.run(chosen, [first, layer, after]), [layer, after, "output"]
            wide = [(name, (REPEAT * count(chosen), *read[name].shape[1:])) for name in dict.fromkeys([layer, after])]
            edits = [Edit(name, noise(shape, 1), noise(shape, 2)) for name, shape in wide]  # each picture its own
            shift = noise(read[first].shape, 3)
            for made in ([], [shift] if first != layer else []):
                many = each_array(chosen, lambda array: array.repeat(REPEAT, 0))
                expected = engine.run(many, taps, [*(Edit(first, 1.0, each.repeat(REPEAT, 0)) for each in made), *edits])
                held = engine.hold(chosen, layer, [Edit(first, 1.0, each) for each in made])
                check(held.run(taps, edits, repeat=REPEAT), expected, f"repeated, held at '{layer}'", REORDERED)


def law_what_is_held_refuses_what_lies_before_it(engine: Resumable, pictures: Pictures) -> None:
    names = engine.graph.names
    held = engine.hold(pictures, names[-1])
    for call in (lambda: held.run([names[0]]), lambda: held.run([], [Edit(names[0])]), lambda: held.run([], repeat=0)):
        raises(InputError, call)
    raises(UnknownLayer, lambda: held.run([f"{names[-1]}?"]))
    raises(UnknownLayer, lambda: engine.hold(pictures, f"{names[-1]}?"))


def law_holding_leaves_nothing_behind(engine: Resumable, pictures: Pictures) -> None:
    given, (_, layer, after) = each_array(pictures, np.copy), next(cuts(engine, pictures))
    plain, held = engine.run(pictures, [layer, "output"]), engine.hold(pictures, layer, [Edit(layer, -1.0, 0.5)])
    first = held.run([after, "output"])
    held.run([after], [Edit(layer, 0.0), Edit(after, 0.0)], repeat=2)
    raises(InputError, lambda: held.run([], [Edit(layer, np.ones([size + 1 for size in held.value.shape], np.float32))]))
    held.value[...] = 7
    check(engine.run(pictures, [layer, "output"]), plain, f"after holding '{layer}'")
    check(held.run([after, "output"]), first, f"what is held at '{layer}', run again")
    for name, array in arrays(pictures).items():
        require(np.array_equal(array, arrays(given)[name]), f"the pictures for '{name}' were written into")


def cuts(engine: Resumable, pictures: Pictures) -> Iterator[tuple[str, str, str]]:
    """A layer before, one to hold at, and one after it: a few of those that can be edited, the first and the last among them."""
    names = engine.graph.names
    few = {round(at) for at in np.linspace(1, len(names) - 2, min(3, MOST))} if len(names) > 2 else set()
    names = tuple(editable(engine, pictures, [names[index] for index in sorted({0, *few, len(names) - 1})]))
    yield from ((names[0], name, names[-1]) for name in names[1:-1])
    yield names[0], names[-1], "output"


def check(found: Run, expected: Run, what: str, tolerance: float = SAME) -> None:
    require(set(found) == set(expected), f"{what}: other things were read than asked for")
    for tap in expected:
        same(found[tap], expected[tap], f"'{tap.layer}', {what}", tolerance)
