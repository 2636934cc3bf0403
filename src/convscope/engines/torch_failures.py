"""What is said when a torch module fails while it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import nn

from ..errors import ConvscopeError, EngineError
from .failures import first_line, is_out_of_memory, too_little

TOO_SMALL = re.compile(
    "can't be greater than actual input size|Output size is too small|Padding size should be less than|non-empty 3D or 4D|"
    "greater than the actual input size|expected a non-empty|should be greater than zero"
)
LARGER = " They may be too small for it: try larger ones (picture_shape=(3, 224, 224), --shape 3,224,224)."


def failure(error: Exception, last: str | None, shapes: Sequence[Sequence[int]], inside: str | None = None) -> ConvscopeError:
    """What is raised instead of `error`; itself, if it is one of ours.

    last     the layer that was reached
    shapes   of what the network received
    inside   the layer whose code raised
    """
    if isinstance(error, ConvscopeError):
        return error
    shape, received = shapes[0], " and ".join(str(tuple(each)) for each in shapes)
    if is_out_of_memory(error):
        result = EngineError(too_little(error, f"pictures of shape {received}"), last)
    else:
        after = f"after '{last}'" if last else "in its first layer"
        where = f"in '{inside}', {after}" if inside and last else after
        hint = " Shapes are channels first: (3, 64, 64)." if len(shape) == 4 and shape[-1] in (1, 3) and shape[1] > 4 else ""
        hint = hint or (LARGER if TOO_SMALL.search(str(error)) else "")
        result = EngineError(f"The network failed {where}, on pictures of shape {received}.{hint} {said(error)}", last)
    result.__cause__ = error
    return result


def said(error: BaseException) -> str:
    """What torch said, and as what."""
    return f"{type(error).__name__}: {first_line(error)}" if str(error) else type(error).__name__


def raised_in(error: BaseException, names: Mapping[nn.Module, str]) -> str | None:
    """The innermost layer whose code raised the error, or called what did."""
    found, traceback = None, error.__traceback__
    while traceback:
        owner = traceback.tb_frame.f_locals.get("self")
        found = names.get(owner, found) if isinstance(owner, nn.Module) else found
        traceback = traceback.tb_next
    return found
