"""What goes into a network of several inputs for one picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import Graph, Pictures, each_array, input_names
from ..errors import InputError, Shape
from ..paths import path_of
from ..pictures import Prepared, Preprocess, prepare_inputs
from ..pictures.sources import Source

Shapes = Mapping[str, Shape | None]


@dataclass(frozen=True, eq=False)
class Inputs:
    """One picture with all that goes in beside it, not read yet.

    given    {input: what goes in}
    shapes   of the network's inputs
    """

    name: str
    given: Mapping[str, Any]
    shapes: Shapes

    def prepared(self, preprocess: Preprocess) -> Prepared:
        """Raises InputError and its kinds, also for several pictures."""
        found = prepare_inputs(self.given, preprocess, self.shapes)
        if len(found.names) != 1:
            count = len(found.names)
            raise InputError(f"'{self.name}' holds {count} pictures. A scan takes one picture at a time.", received=count)
        return found

    def received(self, preprocess: Preprocess) -> Pictures:
        """What the network receives, without the axis of pictures. Raises as `prepared`."""
        return each_array(self.prepared(preprocess).inputs, lambda array: array[0])

    def paths(self) -> list[Path]:
        """The files that are read for it."""
        raws = [each.raw if isinstance(each, Source) else each for each in self.given.values()]
        return [path_of(os.fsdecode(raw)) for raw in raws if isinstance(raw, str | os.PathLike)]


def shapes_of(graph: Graph) -> dict[str, Shape | None]:
    """Of each input, by its name, without the axis of pictures."""
    return {name: row.shape for name, row in zip(input_names(graph), graph.inputs, strict=True)}
