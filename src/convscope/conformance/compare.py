"""What the laws compare with, and which layers they try one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..core import CONVOLUTIONS, Array, Edit, Engine, Pictures
from ..errors import Unsupported

SAME, REORDERED, SLOPE = 1e-5, 1e-4, 0.02
MOST = 12  # layers that are tried one by one, spread over the network
EDITABLE: ContextVar[dict[str, bool] | None] = ContextVar("editable", default=None)  # see asked_once


def some(engine: Engine) -> list[str]:
    """The input and up to MOST - 1 layers, spread over the network, the last one among them."""
    return spread(engine.graph.names)


def spread(names: Sequence[str]) -> list[str]:
    """Up to MOST of them, the first and the last among them."""
    return [names[index] for index in sorted({round(at) for at in np.linspace(0, len(names) - 1, MOST)})] if names else []


def editable(engine: Engine, pictures: Pictures, names: Sequence[str] | None = None) -> list[str]:
    """Those of `names`, by default `some`, that can be edited: all but the few that an engine refuses, of whole numbers say."""
    names, known = names or some(engine), EDITABLE.get()
    known = {} if known is None else known
    every = list(dict.fromkeys([*engine.graph.names, *names]))
    if not known and can_be_edited(engine, pictures, every):  # as a rule: one run, which some engines compile, instead of many
        known |= dict.fromkeys(every, True)
    for name in names:
        if name not in known:
            known[name] = can_be_edited(engine, pictures, [name])
    refused = [name for name in names if not known[name]]
    always = {
        *engine.graph.names[:1],
        "input",
        *(row.name for row in engine.graph if row.kind in CONVOLUTIONS),
    }  # a further input may be whole numbers
    require(always.isdisjoint(refused), f"cannot be edited: {refused}")
    return [name for name in names if name not in refused]


def can_be_edited(engine: Engine, pictures: Pictures, names: Sequence[str]) -> bool:
    """All of `names`, in one run."""
    try:
        engine.run(pictures, [*names, "output"], list(map(Edit, names)))
    except Unsupported as error:
        require(any(name in str(error) for name in names), f"the message does not name '{', '.join(names)}': {error}")
        return False
    return True


@contextmanager
def asked_once() -> Iterator[None]:
    """All laws of one engine in here: whether a layer can be edited is tried once for all of them, which is a third of their
    runs otherwise."""
    token = EDITABLE.set({})
    try:
        yield
    finally:
        EDITABLE.reset(token)


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
