"""Laws on stopping at a layer and going on from there."""

from __future__ import annotations

import numpy as np

from ..core import Edit, Pictures, Resumable, Run, Tap, arrays, batch, count, each_array
from ..errors import InputError, UnknownLayer
from .compare import REORDERED, SAME, editable, noise, raises, require, same

REPEAT = 3
CUTS = 3  # layers to hold at, besides the last


def law_holding_changes_nothing(engine: Resumable, pictures: Pictures) -> None:
    found = cuts(engine, pictures)
    for _, layer, after in found:
        taps: list[Tap | str] = [layer, after, Tap(after, "mean"), "output"]
        changes = [Edit(layer, 0.5, 0.1), Edit(after, -1.0, 0.5)]
        plain, held = engine.run(pictures, taps), engine.hold(pictures, layer)
        require(held.layer == layer, f"what is held at '{layer}' says that it is '{held.layer}'")
        same(held.value, plain[layer], f"what is held at '{layer}'")
        check(held.run(taps, changes), engine.run(pictures, taps, changes), f"held at '{layer}' and edited")
        check(held.run(taps), plain, f"held at '{layer}'")  # after another run, which may have written into what is held
    before, layer, after = found[-2]
    taps, changes = [layer, after, "output"], [Edit(layer, 0.5, 0.1), Edit(after, -1.0, 0.5)]
    made = [Edit(each, -0.5, 0.25) for each in dict.fromkeys([before, layer, after]) if each != "output"]
    held = engine.hold(pictures, layer, made)
    same(held.value, engine.run(pictures, [layer], made)[layer], f"what is held at '{layer}' after edits")
    check(held.run(taps, changes), engine.run(pictures, taps, [*made, *changes]), f"held at '{layer}' with edits, and edited")


def law_repeating_what_is_held_equals_repeating_the_pictures(engine: Resumable, pictures: Pictures) -> None:
    *_, (first, layer, after), _ = cuts(engine, pictures)
    for chosen in (pictures, batch(pictures, slice(1))):
        read, taps = engine.run(chosen, [first, layer, after]), [layer, after, "output"]
        wide = [(name, (REPEAT * count(chosen), *read[name].shape[1:])) for name in dict.fromkeys([layer, after])]
        edits = [Edit(name, noise(shape, 1), noise(shape, 2)) for name, shape in wide]  # each picture its own
        made = [noise(read[first].shape, 3)] if first != layer else []
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
    given, (_, layer, after) = each_array(pictures, np.copy), cuts(engine, pictures)[0]
    plain, held = engine.run(pictures, [layer, "output"]), engine.hold(pictures, layer, [Edit(layer, -1.0, 0.5)])
    first = held.run([after, "output"])
    held.run([after], [Edit(layer, 0.0), Edit(after, 0.0)], repeat=2)
    raises(InputError, lambda: held.run([], [Edit(layer, np.ones([size + 1 for size in held.value.shape], np.float32))]))
    held.value[...] = 7
    check(engine.run(pictures, [layer, "output"]), plain, f"after holding '{layer}'")
    check(held.run([after, "output"]), first, f"what is held at '{layer}', run again")
    for name, array in arrays(pictures).items():
        require(np.array_equal(array, arrays(given)[name]), f"the pictures for '{name}' were written into")


def cuts(engine: Resumable, pictures: Pictures) -> list[tuple[str, str, str]]:
    """A layer before, one to hold at, and one after it: up to CUTS that can be edited, spread over the network, and the last.

    Always two or more of them.
    """
    names = engine.graph.names
    spread = np.linspace(1, max(len(names) - 2, 0), CUTS) if CUTS > 1 else [len(names) // 2]
    inner = sorted({round(at) for at in spread})
    first, *few, last = editable(engine, pictures, list(dict.fromkeys([names[0], *(names[at] for at in inner), names[-1]])))
    return [(first, name, last) for name in few or [first]] + [(first, last, "output")]


def check(found: Run, expected: Run, what: str, tolerance: float = SAME) -> None:
    require(set(found) == set(expected), f"{what}: other things were read than asked for")
    for tap in expected:
        same(found[tap], expected[tap], f"'{tap.layer}', {what}", tolerance)
