"""What is said when a torch module fails while it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ..errors import EngineError

ASKED = re.compile(r"(?:tried to allocate|Unable to allocate) ([\d.]+) ?(\w+)", re.IGNORECASE)  # torch, NumPy
UNITS = {"bytes": 1} | {f"{letter}iB": 2 ** (10 * power) for power, letter in enumerate("KMGTPE", 1)}


def failure(error: Exception, last: str | None, shapes: Sequence[Sequence[int]], inside: str | None = None) -> EngineError:
    """What is raised instead of `error`.

    last     the layer that was reached
    shapes   of what the network received
    inside   the layer whose code raised
    """
    shape, received = shapes[0], " and ".join(str(tuple(each)) for each in shapes)
    if is_out_of_memory(error):
        result = EngineError(
            f"There is not enough memory for pictures of shape {received}{asked(error)}. Give fewer pictures at a time, smaller "
            "ones (preprocess='0..1 128', --preprocess), or ask for fewer layers (at=, --at).",
            last,
        )
    else:
        after = f"after '{last}'" if last else "in its first layer"
        where = f"in '{inside}', {after}" if inside and last else after
        hint = " Shapes are channels first: (3, 64, 64)." if len(shape) == 4 and shape[-1] in (1, 3) and shape[1] > 4 else ""
        said = f"{type(error).__name__}: {error}"
        result = EngineError(f"The network failed {where}, on pictures of shape {received}.{hint} {said}", last)
    result.__cause__ = error
    return result


def raised_in(error: BaseException, names: Mapping[nn.Module, str]) -> str | None:
    """The innermost layer whose code raised the error, or called what did."""
    found, traceback = None, error.__traceback__
    while traceback:
        owner = traceback.tb_frame.f_locals.get("self")
        found = names.get(owner, found) if isinstance(owner, nn.Module) else found
        traceback = traceback.tb_next
    return found


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in an error of its own on a GPU, and in words on a CPU."""
    return isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


def asked(error: BaseException) -> str:
    """How much more was wanted, in GB or MB."""
    found = ASKED.search(str(error))
    if not found:
        return ""
    size = float(found[1].rstrip(".")) * UNITS.get(found[2], 1)
    return f": {size / 1e9:,.1f} GB more were asked for" if size >= 1e9 else f": {size / 1e6:,.1f} MB more were asked for"
