"""Laws on how an engine behaves: what it leaves behind, what it gives away, what it refuses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..core import Differentiable, Edit, Engine, Pictures, arrays, batch, each_array, input_names
from ..errors import ConvscopeError, UnknownLayer, WrongPictureShape
from .compare import editable, raises, require, same


def law_nothing_is_left_behind(engine: Engine, pictures: Pictures) -> None:
    given, names = each_array(pictures, np.copy), editable(engine, pictures)
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
    for name, array in arrays(pictures).items():
        require(np.array_equal(array, arrays(given)[name]), f"the pictures for '{name}' were written into")


def law_arrays_are_float32_contiguous_and_the_receivers_own(engine: Engine, pictures: Pictures) -> None:
    names = [*engine.graph.names, "output"]
    run = engine.run(pictures, names)
    kept = {name: run[name].copy() for name in names}
    given = [(name, run[name]) for name in names]
    given += [(f"weights of {name}", value) for name in engine.graph.names for value in engine.weights(name).values()]
    for name, value in given:
        fits = isinstance(value, np.ndarray) and value.dtype == np.float32 and value.flags.c_contiguous
        require(fits, f"'{name}' is not float32 in one piece: {type(value)}, {value.dtype}")
    engine.run(batch(pictures, slice(None, None, -1)), names)
    for name in names:
        require(np.array_equal(run[name], kept[name], equal_nan=True), f"another run overwrote '{name}'")
    for value in [value for _, value in given if value.flags.writeable]:
        value[...] = 0
    same(engine.run(pictures)["output"], kept["output"], "the output after writing into all that was given")


def law_an_unknown_layer_names_its_neighbours(engine: Engine, pictures: Pictures) -> None:
    name, wrong = engine.graph.names[-1], f"{engine.graph.names[-1]}?"
    edit = Edit(wrong)
    for call in (lambda: engine.run(pictures, [wrong]), lambda: engine.run(pictures, [], [edit]), lambda: engine.weights(wrong)):
        error = raises(UnknownLayer, call)
        require(error.name == wrong and name in str(error), f"the message does not offer '{name}': {error}")


def law_a_wrong_picture_shape_is_refused(engine: Engine, pictures: Pictures) -> None:
    for name, row in zip(input_names(engine.graph), engine.graph.inputs, strict=True):
        array = arrays(pictures)[name]
        wrong = [array[0], array[:, None]]
        if (row.shape or (None,))[0] is not None:
            wrong.append(np.concatenate([array, array[:, :1]], 1))
        for each in wrong:
            # Without a mapping where there is one input, as most callers have it.
            given = {**pictures, name: each} if isinstance(pictures, Mapping) else each
            error = raises(WrongPictureShape, lambda: engine.run(given))  # noqa: B023 - called at once
            several = len(engine.graph.inputs) > 1
            require(not several or f"'{name}'" in str(error), f"the message does not name '{name}': {error}")
