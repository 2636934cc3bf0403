"""What a network takes: one array of pictures, or one for each of its inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, WrongPictureShape
from .table import Graph

Array = npt.NDArray[np.float32]
# (n, c, *spatial), or for a network with several inputs such an array for each, by the names of their rows.
Pictures = Array | Mapping[str, Array]


def arrays(pictures: Pictures) -> dict[str, Array]:
    """By the rows that they go into: a single array into "input"."""
    return dict(pictures) if isinstance(pictures, Mapping) else {"input": pictures}


def each_array(pictures: Pictures, change: Callable[[Array], Array]) -> Pictures:
    """`change` of every array, whether there is one or several: `each_array(pictures, lambda array: array[::-1])`."""
    return {name: change(array) for name, array in pictures.items()} if isinstance(pictures, Mapping) else change(pictures)


def batch(pictures: Pictures, part: slice) -> Pictures:
    """Some of the pictures, of every input the same ones."""
    return each_array(pictures, lambda array: array[part])


def count(pictures: Pictures) -> int:
    """How many pictures there are. Raises InputError where the inputs differ in that."""
    lengths = {name: (np.shape(array) or (0,))[0] for name, array in arrays(pictures).items()}
    if len(set(lengths.values())) > 1:
        counted = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        raise InputError(f"Every input takes as many entries as there are pictures, but {counted}.", received=lengths)
    return next(iter(lengths.values()), 0)


def input_names(graph: Graph) -> list[str]:
    """ "input", and "input:1" for the second of several, however the rows are called."""
    return ["input"] + [f"input:{index}" for index in range(1, len(graph.inputs))]


def as_called(given: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """As `by_names`, of what a user gives.

    raises   InputError, also where the network's own names, `x` of a row `x#2`, would say it otherwise: of the inputs `input:1`
             and `input`, in this order, each is called as the other is by its place
    """
    names, rows = input_names(graph), [row.name for row in graph.inputs]
    own = {row.partition("#")[0]: name for row, name in zip(rows, names, strict=True)}
    of_rows = dict(zip(rows, names, strict=True))
    if set(given) == set(own) and any(of_rows.get(each, each) != name for each, name in own.items()):
        mapping = ", ".join(f"'{row}': ..." for row in rows)
        raise InputError(
            f"{' and '.join(map(repr, given))} can be read in two ways: as the network's own names, or by place, 'input' for the "
            f"first input and 'input:1' for the second. Give them by their rows in the table: {{{mapping}}}.",
            received=tuple(given),
            expected=tuple(rows),
        )
    return by_names(given, graph)


def by_names(given: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """What is given by the names of rows, or by `input_names`, by these. Raises InputError for an input that is given by both."""
    known = {row.name: name for name, row in zip(input_names(graph), graph.inputs, strict=True)}
    found = {known.get(name, name): each for name, each in given.items()}
    if len(found) < len(given):
        twice = next(row for row, name in known.items() if row != name and row in given and name in given)
        raise InputError(
            f"The input '{twice}' is given twice, since '{known[twice]}' is its name too. Give it once.", received=tuple(given)
        )
    return found


def by_input(pictures: Pictures, graph: Graph) -> dict[str, Array]:
    """The arrays by `input_names`, in that order, whether they were given by these or by the names of the rows.

    raises   InputError for one that is missing, unknown or of another length; WrongPictureShape for one of other axes
    """
    names, given = input_names(graph), by_names(arrays(pictures), graph)
    if set(given) != set(names):
        wanted, received = (", ".join(map(repr, each)) for each in (names, given))
        raise InputError(
            f"This network takes {wanted}, but received {received or 'nothing'}. Give each an array: {{'{names[0]}': array}}.",
            received=tuple(given),
            expected=tuple(names),
        )
    for name, row in zip(names, graph.inputs, strict=True):
        if row.shape is not None and np.ndim(given[name]) != len(row.shape) + 1:
            raise WrongPictureShape(np.shape(given[name]), (None, *row.shape), name if len(names) > 1 else None)
    count(given)
    return {name: given[name] for name in names}
