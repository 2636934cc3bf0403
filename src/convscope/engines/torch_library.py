"""What a name of a network stands for, and the library that it is in."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..downloads import Progress
from ..errors import MissingExtra, ModelError
from .torch_weights import classes_of, fill, weights_in


@dataclass(frozen=True)
class Named:
    """A network that has a name.

    card      what its library says of pictures and classes
    notes     what was done to it
    trained   whether it has weights without being given any
    """

    module: nn.Module
    source: str
    card: Mapping[str, Any] = field(default_factory=dict)
    picture_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    trained: bool = False


@dataclass(frozen=True)
class Filling:
    """What goes into a network: nothing, what its library has ("imagenet" or a tag), or the weights in a file.

    partial, trust   as in torch_weights
    progress         of a download
    """

    weights: str | None = None
    partial: bool = False
    trust: bool = False
    progress: Progress | None = None

    @property
    def file(self) -> Path | None:
        return Path(self.weights) if self.weights is not None and Path(self.weights).is_file() else None

    @property
    def tag(self) -> str | None:
        return None if self.file else self.weights

    def into(self, found: Named, remake: Callable[[int], nn.Module] | None = None) -> Named:
        """`found` with the weights in the file, if there is one. Raises what `fill` and `weights_in` raise.

        remake   the network for so many classes, where its library can make it: weights that were fine-tuned often have
                 another number of them than the name stands for
        """
        if self.file is None:
            return found
        weights = weights_in(self.file, trust=self.trust)
        if remake and (classes := classes_of(found.module, weights)):
            found = replace(found, module=remake(classes), source=f"{found.source} for {classes} classes")
        notes = fill(found.module, weights, self.file, of=found.source, partial=self.partial)
        return replace(found, source=f"{found.source}, weights: {self.file.name}", notes=notes)


def library(package: str, what: str, extra: str = "torch") -> Any:
    """The package, imported. Raises MissingExtra; ModelError for one that cannot be imported."""
    top = package.partition(".")[0]
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        raise MissingExtra(top, extra, what)
    try:
        return importlib.import_module(package)
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"{top} cannot be imported: {first}. Is it built for torch {torch.__version__}?") from error
