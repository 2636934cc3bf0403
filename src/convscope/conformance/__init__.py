"""The laws of an Engine. The test of a new engine is one line: `check_engine(MyEngine(model), pictures)`.

Two arrays are the same if they have the same shape and nowhere differ by more than a tolerance, relative to the largest
absolute value in the expected one:

    SAME      1e-5   the same computation twice, with or without taps and edits
    REORDERED 1e-4   sums in another order: reducing on the device, pictures one by one, gradients added up
    SLOPE     0.02   a derivative against the difference between two runs, at the best of four step sizes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Differentiable, Engine, Local, Pictures, Resumable, arrays, by_input, count, each_array
from ..errors import InputError
from . import behaviour, edits, gradients, holding, parts, reads
from .compare import asked_once

Law = Callable[[Any, Pictures], None]
CAPABILITIES: dict[str, type[Any]] = {"Engine": object, "Differentiable": Differentiable, "Resumable": Resumable, "Local": Local}


def check_engine(engine: Engine, pictures: Pictures) -> list[str]:
    """Run every law and return the names of those that hold. Laws on what an engine cannot do, gradients say, are left out.

    pictures   (n, c, *spatial), or {name: array} for several inputs; at least two that differ, as the network takes them and
               of the size in its layer table
    raises     AssertionError at the first law that does not hold, with its name and what was seen; InputError
    """
    if count(pictures) < 2 or any(np.array_equal(array[0], array[-1]) for array in arrays(pictures).values()):
        raise InputError("The laws need at least two pictures, the first and last of them different.", received=count(pictures))
    pictures = by_input(pictures, engine.graph) if len(engine.graph.inputs) > 1 else pictures
    held = []
    with asked_once():
        for name, law in laws().items():
            if not isinstance(engine, CAPABILITIES[law.__annotations__["engine"]]):
                continue
            try:
                law(engine, each_array(pictures, np.array))
            except Exception as error:
                raise AssertionError(f"{name.replace('_', ' ')}: {type(error).__name__}: {error}") from error
            held.append(name)
    return held


def laws() -> dict[str, Law]:
    """Every law by its sentence."""
    return {
        name.removeprefix("law_"): value
        for part in (reads, edits, behaviour, gradients, holding, parts)
        for name, value in vars(part).items()
        if name.startswith("law_")
    }
