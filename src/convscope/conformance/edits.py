"""Laws on edits. They ask what other laws ask too where they can, with other numbers: some engines compile each question."""

from __future__ import annotations

import numpy as np

from ..core import CONVOLUTIONS, Edit, Engine, Pictures, arrays, batch, input_names
from .compare import editable, require, same, spread


def law_an_identity_edit_changes_nothing(engine: Engine, pictures: Pictures) -> None:
    plain = engine.run(pictures, [*engine.graph.names, "output"])
    for name in (*editable(engine, pictures), "output"):
        # Times 1 plus 0, and replaced by what it is anyway.
        found = [engine.run(pictures, [name, "output"], [Edit(name)])]
        if np.isfinite(plain[name]).all():
            found.append(engine.run(pictures, edits=[Edit(name, 0.0, plain[name])]))
        for run in found:
            same(run["output"], plain["output"], f"the output after an edit of '{name}'")


def law_an_edit_is_what_is_read(engine: Engine, pictures: Pictures) -> None:
    for name in (*editable(engine, pictures), "output"):
        before = engine.run(pictures, [name])[name]
        # To the end: an in-place layer that follows would now overwrite what was read.
        same(engine.run(pictures, [name, "output"], [Edit(name, -0.5, 0.25)])[name], before * -0.5 + 0.25, name)
        same(engine.run(pictures, [name, "output"], [Edit(name, 0.0, -0.5)])[name], np.full_like(before, -0.5), name)


def law_an_edit_of_the_input_is_another_input(engine: Engine, pictures: Pictures) -> None:
    other = batch(pictures, slice(None, None, -1))
    for name in editable(engine, pictures, input_names(engine.graph)):
        run = engine.run(pictures, [name, "output"], [Edit(name, 0.0, arrays(other)[name])])
        same(run[name], arrays(other)[name], name)
        same(run["output"], engine.run({**arrays(pictures), name: arrays(other)[name]})["output"], f"output of another '{name}'")


def law_an_edit_reaches_what_follows(engine: Engine, pictures: Pictures) -> None:
    plain = engine.run(pictures)["output"]
    # A layer between others may feed a second output only, or nothing; of a network's convolutions one always matters.
    matter = spread([row.name for row in engine.graph if row.kind in (*CONVOLUTIONS, "dense")]) or editable(engine, pictures)
    moved = (engine.run(pictures, [name, "output"], [Edit(name, -2.0, 1.0)])["output"] for name in matter)
    require(any(not np.allclose(each, plain) for each in moved), f"no edit of {', '.join(matter)} changes the output")


def law_several_edits_of_one_layer_act_in_order(engine: Engine, pictures: Pictures) -> None:
    for name in editable(engine, pictures):
        before = engine.run(pictures, [name])[name]
        after = engine.run(pictures, [name, "output"], [Edit(name, 2.0, 1.0), Edit(name, -3.0, 0.5)])[name]
        same(after, (before * 2 + 1) * -3 + 0.5, name)


def law_an_edit_of_a_unit_leaves_the_others_alone(engine: Engine, pictures: Pictures) -> None:
    read = engine.run(pictures, editable(engine, pictures))
    for name, before in [(tap.layer, each) for tap, each in read.items() if each.ndim > 1]:
        unit, mask = before.shape[1] // 2, np.ones((before.shape[1],) + (1,) * (before.ndim - 2), np.float32)
        mask[unit] = 0
        after = engine.run(pictures, [name], [Edit(name, mask, 7 * (1 - mask))])[name]
        require(bool(np.all(after[:, unit] == 7)), f"unit {unit} of '{name}' is not what it was set to")
        same(np.delete(after, unit, 1), np.delete(before, unit, 1), f"the other units of '{name}'")
