"""What is said when a network of Keras fails while it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import keras

from ..errors import EngineError
from .failures import first_line, is_out_of_memory, too_little

NODE = re.compile(r"(?:^|\n)([^\n]+)\n\s*\[\[\{\{node ([^}]+)\}\}\]\]")  # TensorFlow's reason, and where; the code stands before
# A value of a graph within the graph, as TensorFlow and JAX see that it has left it.
LEAKED = re.compile(
    r"is out of scope and cannot be used here|^UnexpectedTracerError|Computation compiled for \d+ inputs but called"
)


def failure(error: Exception, reached: str | None, inside: Exception | None, shapes: Sequence[Sequence[int]]) -> EngineError:
    """What is raised instead of `error`.

    reached   the last layer that came to its end while Python went through the network
    inside    what a layer raised then; None where none did: what was compiled failed as it ran, at a place that is not known
    """
    received, cause = ", ".join(str(tuple(each)) for each in shapes), inside or error
    known = inside is not None or keras.backend.backend() == "torch"
    if LEAKED.search(f"{type(cause).__name__}: {cause}"):
        return cannot_be_reached()
    if is_out_of_memory(cause):
        return EngineError(too_little(cause, f"pictures of shape {received}"), reached if known else None)
    found = NODE.search(str(cause))
    said = found[1].strip() if found else first_line(cause)
    if not known:
        where = f"in its node '{found[2]}'" if found else "as it ran compiled"
        return EngineError(f"The network failed {where}, on pictures of shape {received}. {said}", None)
    where = f"after '{reached}'" if reached else "in its first layer"
    return EngineError(f"The network failed {where}, on pictures of shape {received}. {said}", reached)


def cannot_be_reached() -> EngineError:
    """Of what runs in a graph within the graph, or is computed again for a gradient."""
    return EngineError(
        "What runs in a loop or branch of the backend's own (ops.while_loop, ops.cond, a function compiled by itself, "
        f"keras.remat) cannot be read on {keras.backend.backend()}. Read layers before or after it, or use Keras on torch.",
        None,
    )
