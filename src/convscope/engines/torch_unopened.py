"""What is said of a torch module that did not run when it was opened."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from torch import nn

from ..errors import ConvscopeError, EngineError, Unsupported
from .failures import is_out_of_memory
from .torch_failures import said
from .torch_inputs import PictureShape, needed_parameters, possible_inputs, wrong_names

MISUSED = (TypeError, IndexError, KeyError, AttributeError)  # what code raises that is handed another thing than it expects


def not_opened(failed: ConvscopeError | None, module: nn.Module, given: PictureShape | None) -> ConvscopeError:
    """The error that says most, of a module that failed with every likely shape. `failed`: what it raised with the likeliest."""
    if failed is None:
        return Unsupported("No shape of pictures is likely for this network. Give picture_shape=(c, h, w).")
    cause = failed.__cause__
    if not isinstance(failed, EngineError) or cause is None or is_out_of_memory(cause):
        return failed
    if isinstance(given, Mapping) and next(possible_inputs(module, given))[0].inside:
        result: ConvscopeError = wrong_names(module, given, f" With a dict of these it fails: {said(cause)}")
    elif failed.layer is None and isinstance(cause, MISUSED):
        result = EngineError(f"{failed}{'' if str(failed).endswith('.') else '.'} {otherwise(module)}")
    else:
        return failed
    result.__cause__ = cause
    return result


def otherwise(module: nn.Module) -> str:
    """What else than one array forward may take, judged by its parameters."""
    parameters = inspect.signature(module.forward).parameters.values()
    if not needed_parameters(module) and any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return "If its forward takes several inputs, say the shape of each: picture_shape=[(3, 224, 224), (3, 224, 224)]."
    return "If its forward takes a dict, say what is in it: picture_shape={'image': (3, 224, 224)}."
