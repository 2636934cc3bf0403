"""Laws on what is read."""

from __future__ import annotations

from typing import get_args

import numpy as np

from ..core import CONVOLUTIONS, Edit, Engine, Pictures, Reduce, Tap, batch, count, reduced
from ..errors import InputError
from .compare import MOST, REORDERED, editable, raises, require, same, some


def law_every_layer_can_be_read(engine: Engine, pictures: Pictures) -> None:
    for tap, values in engine.run(pictures, [*engine.graph.names, "output"]).items():
        require(values.ndim >= 1 and len(values) == count(pictures), f"'{tap.layer}' gives {values.shape}")


def law_the_rows_are_numbered_and_named_apart(engine: Engine, _pictures: Pictures) -> None:
    graph = engine.graph
    require(graph.layers[0].kind == "input" and len(graph) > 1, "row 0 is the input")
    require([row.index for row in graph] == list(range(len(graph))), "rows are numbered from 0")
    require(len({*graph.names, "output"}) == len(graph) + 1, f"every row has its own name, and none is 'output': {graph.names}")
    for row in graph:
        require(set(row.inputs) <= set(graph.names[: row.index]), f"'{row.name}' is fed by rows above it, not {row.inputs}")


def law_shapes_in_the_layer_table_are_those_read(engine: Engine, pictures: Pictures) -> None:
    run = engine.run(pictures, [*engine.graph.names, "output"])
    for row in engine.graph:
        table, read = row.shape, run[row.name].shape[1:]
        fits = table is None or (len(table) == len(read) and all(map(lambda a, b: a in (None, b), table, read)))
        require(fits, f"'{row.name}' is {table} in the table, but {read} when read")


def law_parameter_counts_equal_the_weights_given(engine: Engine, _pictures: Pictures) -> None:
    for row in engine.graph:
        if row.kind in (*CONVOLUTIONS, "dense"):
            count = sum(value.size for value in engine.weights(row.name).values())
            require(count == row.parameters, f"'{row.name}' has {row.parameters} in the table, but its weights are {count}")


def law_reading_changes_nothing(engine: Engine, pictures: Pictures) -> None:
    plain = engine.run(pictures)["output"]
    for names in (engine.graph.names, *([name] for name in some(engine))):
        same(engine.run(pictures, [*names, "output"])["output"], plain, f"the output while {', '.join(names)} are read")


def law_the_same_call_twice_gives_the_same(engine: Engine, pictures: Pictures) -> None:
    first, second = (engine.run(pictures, [*engine.graph.names, "output"]) for _ in range(2))
    for tap in first:
        same(second[tap], first[tap], tap.layer)


def law_stopping_early_gives_the_same_as_running_to_the_end(engine: Engine, pictures: Pictures) -> None:
    to_the_end = engine.run(pictures, [*engine.graph.names, "output"])
    for name in some(engine):
        same(engine.run(pictures, [name])[name], to_the_end[name], name)


def law_without_taps_the_output_is_given_and_with_taps_only_those(engine: Engine, pictures: Pictures) -> None:
    name = engine.graph.names[1]
    require(set(engine.run(pictures)) == {Tap("output")}, "without taps, the output and nothing else")
    run = engine.run(pictures, [name, Tap(name, "max")])
    require(set(run) == {Tap(name), Tap(name, "max")}, "with taps, only those")
    raises(InputError, lambda: run["output"])
    raises(InputError, lambda: run[Tap(name, "mean")])


def law_reducing_on_the_device_equals_reducing_here(engine: Engine, pictures: Pictures) -> None:
    run = engine.run(pictures, [Tap(name, reduce) for name in engine.graph.names for reduce in get_args(Reduce)])
    for tap in run:
        expected = reduced(run[tap.layer], tap.reduce)
        if tap.reduce == "argmax":  # a place is the same or another one, and of NaN there is none
            require(run[tap].dtype == np.int64, f"a position in '{tap.layer}' is {run[tap].dtype}, not int64")
            here = np.isfinite(reduced(run[tap.layer], "mean"))
            require(np.array_equal(run[tap][here], expected[here]), f"the position of the maximum of '{tap.layer}'")
        else:
            same(run[tap], expected, f"{tap.reduce} of '{tap.layer}'", REORDERED)


def law_of_equal_values_the_first_is_the_maximum(engine: Engine, pictures: Pictures) -> None:
    for name in editable(engine, pictures)[1::4]:
        run = engine.run(pictures, [Tap(name, "argmax")], [Edit(name, 0.0, 0.5)])
        require(not run[Tap(name, "argmax")].any(), f"the maximum of a map of '{name}' that is the same everywhere is not at 0")


def law_a_batch_equals_its_pictures_one_by_one(engine: Engine, pictures: Pictures) -> None:
    names = [*engine.graph.names, "output"]
    together = engine.run(pictures, names)
    singles = [engine.run(batch(pictures, slice(i, i + 1)), names) for i in range(count(pictures))]
    for name in names:
        same(np.concatenate([single[name] for single in singles]), together[name], name, REORDERED)


def law_what_is_read_is_what_the_next_layer_received(engine: Engine, pictures: Pictures) -> None:
    rows = [row for row in engine.graph if row.kind == "activation" and len(row.inputs) == 1]
    rows = [row for row in rows if (row.activation or row.native).lower() in ("relu", "relu6")][:MOST]
    can_be_edited = editable(engine, pictures, [row.inputs[0] for row in rows]) if rows else []
    for row in rows:
        before = row.inputs[0]
        for edits in ([], [Edit(before, -0.5)], [Edit(before, 0.0, 0.5)])[: 3 if before in can_be_edited else 1]:
            run = engine.run(pictures, [before, row.name], edits)
            same(run[row.name], np.clip(run[before], 0, run[row.name].max(initial=0)), f"'{row.name}', made of '{before}',")
