"""The laws of an Engine. The test of a new engine is one line: `check_engine(MyEngine(model), pictures)`.

Two arrays are the same if they have the same shape and nowhere differ by more than a tolerance, relative to the largest
absolute value in the expected one:

    SAME      1e-5   the same computation twice, with or without taps and edits
    REORDERED 1e-4   sums in another order: reducing on the device, pictures one by one, gradients added up
    SLOPE     0.02   a derivative against the difference between two runs, at the best of four step sizes
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, get_args

import numpy as np

from .core import CONVOLUTIONS, Array, Differentiable, Edit, Engine, Reduce, Tap, reduced
from .errors import ConvscopeError, InputError, UnknownLayer, WrongPictureShape

Law = Callable[[Any, Array], None]
SAME, REORDERED, SLOPE = 1e-5, 1e-4, 0.02
STEPS = (1e-1, 1e-2, 1e-3, 1e-4)  # of a derivative's check, relative to the size of what is moved
MOST = 12  # layers that are tried one by one, spread over the network


def check_engine(engine: Engine, pictures: Array) -> list[str]:
    """Run every law and return the names of those that hold. Laws on gradients are left out for engines that have none.

    pictures   (n, c, *spatial), at least two that differ, as the network takes them and of the size in its layer table
    raises     AssertionError at the first law that does not hold, with its name and what was seen; InputError
    """
    if len(pictures) < 2 or np.array_equal(pictures[0], pictures[-1]):
        raise InputError("The laws need at least two pictures, the first and last of them different.", received=pictures.shape)
    held = []
    for name, law in laws().items():
        if law.__annotations__["engine"] == "Differentiable" and not isinstance(engine, Differentiable):
            continue
        try:
            law(engine, np.array(pictures, np.float32))
        except Exception as error:
            raise AssertionError(f"{name.replace('_', ' ')}: {type(error).__name__}: {error}") from error
        held.append(name)
    return held


def laws() -> dict[str, Law]:
    """Every law by its sentence."""
    return {name.removeprefix("law_"): value for name, value in globals().items() if name.startswith("law_")}


def law_every_layer_can_be_read(engine: Engine, pictures: Array) -> None:
    for tap, values in engine.run(pictures, engine.graph.names).items():
        require(values.ndim >= 1 and len(values) == len(pictures), f"'{tap.layer}' gives {values.shape}")


def law_the_rows_are_numbered_and_named_apart(engine: Engine, _pictures: Array) -> None:
    graph = engine.graph
    require(graph.layers[0].kind == "input" and len(graph) > 1, "row 0 is the input")
    require([row.index for row in graph] == list(range(len(graph))), "rows are numbered from 0")
    require(len({*graph.names, "output"}) == len(graph) + 1, f"every row has its own name, and none is 'output': {graph.names}")
    for row in graph:
        require(set(row.inputs) <= set(graph.names[: row.index]), f"'{row.name}' is fed by rows above it, not {row.inputs}")


def law_shapes_in_the_layer_table_are_those_read(engine: Engine, pictures: Array) -> None:
    run = engine.run(pictures, engine.graph.names)
    for row in engine.graph:
        table, read = row.shape, run[row.name].shape[1:]
        fits = table is None or (len(table) == len(read) and all(map(lambda a, b: a in (None, b), table, read)))
        require(fits, f"'{row.name}' is {table} in the table, but {read} when read")


def law_parameter_counts_equal_the_weights_given(engine: Engine, _pictures: Array) -> None:
    for row in engine.graph:
        if row.kind in (*CONVOLUTIONS, "dense"):
            count = sum(value.size for value in engine.weights(row.name).values())
            require(count == row.parameters, f"'{row.name}' has {row.parameters} in the table, but its weights are {count}")


def law_reading_changes_nothing(engine: Engine, pictures: Array) -> None:
    plain = engine.run(pictures)["output"]
    for names in (engine.graph.names, *([name] for name in some(engine))):
        same(engine.run(pictures, [*names, "output"])["output"], plain, f"the output while {', '.join(names)} are read")


def law_the_same_call_twice_gives_the_same(engine: Engine, pictures: Array) -> None:
    first, second = (engine.run(pictures, engine.graph.names) for _ in range(2))
    for tap in first:
        same(second[tap], first[tap], tap.layer)


def law_stopping_early_gives_the_same_as_running_to_the_end(engine: Engine, pictures: Array) -> None:
    to_the_end = engine.run(pictures, [*engine.graph.names, "output"])
    for name in some(engine):
        same(engine.run(pictures, [name])[name], to_the_end[name], name)


def law_without_taps_the_output_is_given_and_with_taps_only_those(engine: Engine, pictures: Array) -> None:
    name = engine.graph.names[1]
    require(set(engine.run(pictures)) == {Tap("output")}, "without taps, the output and nothing else")
    run = engine.run(pictures, [name, Tap(name, "max")])
    require(set(run) == {Tap(name), Tap(name, "max")}, "with taps, only those")
    raises(InputError, lambda: run["output"])
    raises(InputError, lambda: run[Tap(name, "mean")])


def law_reducing_on_the_device_equals_reducing_here(engine: Engine, pictures: Array) -> None:
    run = engine.run(pictures, [Tap(name, reduce) for name in engine.graph.names for reduce in get_args(Reduce)])
    for tap in run:
        same(run[tap], reduced(run[tap.layer], tap.reduce), f"{tap.reduce} of '{tap.layer}'", REORDERED)


def law_a_batch_equals_its_pictures_one_by_one(engine: Engine, pictures: Array) -> None:
    names = [*engine.graph.names, "output"]
    batch, singles = engine.run(pictures, names), [engine.run(pictures[i : i + 1], names) for i in range(len(pictures))]
    for name in names:
        same(np.concatenate([single[name] for single in singles]), batch[name], name, REORDERED)


def law_an_identity_edit_changes_nothing(engine: Engine, pictures: Array) -> None:
    names = [*some(engine), "output"]
    plain = engine.run(pictures, names)
    for name in names:
        edits = [Edit(name), Edit(name, 0.0, plain[name])]  # times 1 plus 0, and replaced by what it is anyway
        for edit in edits if np.isfinite(plain[name]).all() else edits[:1]:
            same(engine.run(pictures, edits=[edit])["output"], plain["output"], f"the output after an edit of '{name}'")


def law_an_edit_is_what_is_read(engine: Engine, pictures: Array) -> None:
    for name in (*some(engine), "output"):
        before = engine.run(pictures, [name])[name]
        same(engine.run(pictures, [name], [Edit(name, -0.5, 0.25)])[name], before * -0.5 + 0.25, name)
        # To the end: an in-place layer that follows would now overwrite what was read.
        same(engine.run(pictures, [name, "output"], [Edit(name, 0.0, -0.5)])[name], np.full_like(before, -0.5), name)


def law_an_edit_of_the_input_is_another_input(engine: Engine, pictures: Array) -> None:
    other = np.ascontiguousarray(pictures[::-1])
    run = engine.run(pictures, ["input", "output"], [Edit("input", 0.0, other)])
    same(run["input"], other, "input")
    same(run["output"], engine.run(other)["output"], "output")


def law_an_edit_reaches_what_follows(engine: Engine, pictures: Array) -> None:
    plain = engine.run(pictures)["output"]
    matter = [name for name in some(engine) if engine.graph[name].kind in (*CONVOLUTIONS, "dense")] or some(engine)
    moved = (engine.run(pictures, edits=[Edit(name, -2.0, 1.0)])["output"] for name in matter)
    require(any(not np.allclose(each, plain) for each in moved), f"no edit of {', '.join(matter)} changes the output")


def law_what_is_read_is_what_the_next_layer_received(engine: Engine, pictures: Array) -> None:
    rows = [row for row in engine.graph if row.kind == "activation" and len(row.inputs) == 1]
    for row in [row for row in rows if (row.activation or row.native).lower() in ("relu", "relu6")][:MOST]:
        before = row.inputs[0]
        for edits in ([], [Edit(before, -0.5)], [Edit(before, 0.0, 0.5)]):
            run = engine.run(pictures, [before, row.name], edits)
            same(run[row.name], np.clip(run[before], 0, run[row.name].max(initial=0)), f"'{row.name}', made of '{before}',")


def law_several_edits_of_one_layer_act_in_order(engine: Engine, pictures: Array) -> None:
    for name in some(engine):
        before = engine.run(pictures, [name])[name]
        after = engine.run(pictures, [name], [Edit(name, 2.0, 1.0), Edit(name, -3.0, 0.5)])[name]
        same(after, (before * 2 + 1) * -3 + 0.5, name)


def law_an_edit_of_a_unit_leaves_the_others_alone(engine: Engine, pictures: Array) -> None:
    for name, before in [(tap.layer, each) for tap, each in engine.run(pictures, some(engine)).items() if each.ndim > 1]:
        unit, mask = before.shape[1] // 2, np.ones((before.shape[1],) + (1,) * (before.ndim - 2), np.float32)
        mask[unit] = 0
        after = engine.run(pictures, [name], [Edit(name, mask, 7 * (1 - mask))])[name]
        require(bool(np.all(after[:, unit] == 7)), f"unit {unit} of '{name}' is not what it was set to")
        same(np.delete(after, unit, 1), np.delete(before, unit, 1), f"the other units of '{name}'")


def law_nothing_is_left_behind(engine: Engine, pictures: Array) -> None:
    given, names = pictures.copy(), some(engine)
    first = engine.run(pictures, names)
    edits = [Edit(name, 0.0, 1.0) for name in names[:-1]]
    misfit = Edit(names[-1], np.ones([size + 1 for size in first[names[-1]].shape], np.float32))  # fails half-way
    engine.run(pictures, names, edits)
    raises(ConvscopeError, lambda: engine.run(pictures, names, [*edits, misfit]))
    raises(UnknownLayer, lambda: engine.run(pictures, names, [*edits, Edit(f"{names[0]}?", 0.0)]))
    if isinstance(engine, Differentiable):
        engine.trace(pictures, names, edits).pullback({"output": np.ones_like(engine.run(pictures)["output"])}, ["input"])
    again = engine.run(pictures, names)
    for name in names:
        same(again[name], first[name], f"'{name}' read again")
    require(np.array_equal(pictures, given), "the pictures were written into")


def law_arrays_are_float32_contiguous_and_the_receivers_own(engine: Engine, pictures: Array) -> None:
    names = [*engine.graph.names, "output"]
    run = engine.run(pictures, names)
    kept = {name: run[name].copy() for name in names}
    given = [(name, run[name]) for name in names]
    given += [(f"weights of {name}", value) for name in engine.graph.names for value in engine.weights(name).values()]
    for name, value in given:
        fits = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.flags.c_contiguous
        require(fits, f"'{name}' is not float32 in one piece: {type(value)}, {value.dtype}")
    engine.run(pictures[::-1] * 0.5, names)
    for name in names:
        require(np.array_equal(run[name], kept[name], equal_nan=True), f"another run overwrote '{name}'")
    for value in [value for _, value in given if value.flags.writeable]:
        value[...] = 0
    same(engine.run(pictures)["output"], kept["output"], "the output after writing into all that was given")


def law_an_unknown_layer_names_its_neighbours(engine: Engine, pictures: Array) -> None:
    name, wrong = engine.graph.names[-1], f"{engine.graph.names[-1]}?"
    edit = Edit(wrong)
    for call in (lambda: engine.run(pictures, [wrong]), lambda: engine.run(pictures, [], [edit]), lambda: engine.weights(wrong)):
        error = raises(UnknownLayer, call)
        require(error.name == wrong and name in str(error), f"the message does not offer '{name}': {error}")


def law_a_wrong_picture_shape_is_refused(engine: Engine, pictures: Array) -> None:
    raises(WrongPictureShape, lambda: engine.run(pictures[0]))
    raises(WrongPictureShape, lambda: engine.run(pictures[:, None]))
    if (engine.graph.layers[0].shape or (None,))[0] is not None:
        raises(WrongPictureShape, lambda: engine.run(np.concatenate([pictures, pictures[:, :1]], 1)))


def law_a_trace_reads_what_a_run_reads(engine: Differentiable, pictures: Array) -> None:
    names = [*engine.graph.names, "output"]
    for edits in ([], [Edit(engine.graph.names[1], -0.5, 0.25)]):
        run, trace = engine.run(pictures, names, edits), engine.trace(pictures, names, edits)
        for name in names:
            same(trace[name], run[name], name)
        same(engine.trace(pictures, [], edits)["output"], run["output"], "the output of a trace without taps")


def law_pullback_is_the_derivative(engine: Differentiable, pictures: Array) -> None:
    names = some(engine)
    for name in names:
        check_slope(engine, pictures, "output", name)
    for later in {names[len(names) // 2], names[-1]} - {"input"}:
        check_slope(engine, pictures, later, "input")


def law_pullback_is_linear_in_its_seeds(engine: Differentiable, pictures: Array) -> None:
    names = some(engine)
    trace = engine.trace(pictures, names)
    first, second = (noise(trace["output"].shape, number) for number in (1, 2))
    for earlier, later in pairwise(names):
        inner = noise(trace[later].shape, 3)
        parts = [trace.pullback(seeds, [earlier])[earlier] for seeds in ({"output": first}, {"output": second}, {later: inner})]
        whole = trace.pullback({"output": 2 * first - second, later: 3 * inner}, [earlier])[earlier]
        off = np.abs(whole - (2 * parts[0] - parts[1] + 3 * parts[2])).max()
        require(off <= 3 * REORDERED * sum(np.abs(part).max() for part in parts), f"'{earlier}', seeds also at '{later}': {off}")
        same(trace.pullback({later: inner}, [later])[later], inner, f"'{later}' with respect to itself")


def check_slope(engine: Differentiable, pictures: Array, of: str, wrt: str) -> None:
    """Move `wrt` along its gradient, so that nothing cancels; where that is zero, anywhere: `of` must not move either."""
    trace = engine.trace(pictures, [of, wrt])
    seed = noise(trace[of].shape, 0)
    gradient = trace.pullback({of: seed}, [wrt])[wrt]
    require(gradient.shape == trace[wrt].shape and gradient.dtype == np.float32, f"the gradient of '{wrt}' is {gradient.shape}")
    slope = float(np.linalg.norm(gradient.astype(np.float64)))
    way = gradient / slope if slope else noise(gradient.shape, 4) / np.sqrt(gradient.size)
    size, seen = max(float(np.linalg.norm(trace[wrt])), 1.0), []
    for step in STEPS:
        shifts = [np.asarray(way * sign * step * size, np.float32) for sign in (1, -1)]
        ahead, behind = (engine.run(pictures, [of], [Edit(wrt, 1.0, shift)])[of] for shift in shifts)
        seen.append(float((seed * (ahead.astype(np.float64) - behind)).sum()) / (2 * step * size))
    allowed = SLOPE * (slope or float(np.linalg.norm(seed)) * float(np.linalg.norm(trace[of])) / size)
    require(min(abs(each - slope) for each in seen) <= allowed, f"d '{of}' / d '{wrt}' is {slope}, differences give {seen}")


def some(engine: Engine) -> list[str]:
    """The input and up to MOST - 1 layers, spread over the network, the last one among them."""
    names = engine.graph.names
    return [names[index] for index in sorted({round(at) for at in np.linspace(0, len(names) - 1, MOST)})]


def noise(shape: tuple[int, ...], number: int) -> Array:
    return np.random.default_rng(number).normal(size=shape).astype(np.float32)


def same(actual: Array, expected: Array, what: str, tolerance: float = SAME) -> None:
    require(actual.shape == expected.shape, f"{what} has shape {actual.shape}, not {expected.shape}")
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=1e-6))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * largest, err_msg=what)


def raises(kind: type[Any], call: Callable[[], object]) -> Any:
    try:
        result = call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}, but a result: {type(result).__name__}")


def require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
