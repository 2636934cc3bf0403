"""The pictures of a network of several inputs: a source for each of them, a table with a column for each, or mappings."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from ..core import Graph, as_called
from ..errors import InputError
from ..paths import is_address, path_of
from ..pictures.several import is_picture, main_input, wrong_inputs
from ..pictures.signals import takes_pictures
from .entries import Item, Listing, indexed
from .inputs import Inputs, Shapes, shapes_of
from .remote import of_columns as columns_at
from .sources import listing, split
from .tables_of_paths import is_table, of_columns

NAMED = ("folder", "zip", "tar", "address")  # kinds of listings whose order is that of the files' names


def listing_for(source: Any, graph: Graph) -> Listing:
    """As `listing`, for the network of this graph.

    source   of several inputs {name: source}, which belong together in their order; a CSV or Parquet with a column of paths for
             each; or a list or iterable of mappings, or of (mapping, label)
    raises   InputError for an input that is missing or has another number of pictures, and for folders whose names differ
    """
    shapes = shapes_of(graph)
    source = as_called(source, graph) if isinstance(source, Mapping) else source
    if len(shapes) == 1 and isinstance(source, Mapping) and set(source) == set(shapes):
        source = source["input"]
    if len(shapes) == 1 and takes_pictures(shapes["input"]):
        return listing(source)
    if isinstance(source, Mapping):
        return of_mapping(source, shapes)
    if isinstance(source, str | os.PathLike) and is_table(name := os.fsdecode(source)):
        refuse_numbers(shapes)
        as_called(shapes, graph)
        found = columns_at(name, list(shapes)) if is_address(source) else of_columns(path_of(name), list(shapes))
        return together(found, shapes)
    if len(shapes) == 1:
        if isinstance(source, str | os.PathLike):
            refuse_numbers(shapes)
        return listing(source, lambda given, name: Inputs(name, {"input": given}, shapes))
    first = split(source[0])[0] if isinstance(source, list | tuple) and source else None
    in_turn = isinstance(source, Iterable) and not isinstance(source, str) and not hasattr(source, "__array__")
    if not in_turn or not isinstance(first, Mapping | None):
        raise wrong_inputs(type(source).__name__, shapes)
    return listing(source, lambda given, name: Inputs(name, as_called(given, graph), shapes))


def of_mapping(given: Mapping[str, Any], shapes: Shapes) -> Listing:
    if set(given) != set(shapes):
        raise wrong_inputs(", ".join(map(repr, given)), shapes)
    parts = {name: listing(given[name], lambda value, _: value) for name in shapes}
    for name, part in parts.items():
        if part.item is None:
            raise InputError(f"What goes into '{name}' comes only once. Give an iterable of mappings, one for each picture.")
        if not is_picture(shapes[name]) and (part.kind != "list" or part.root):
            refuse_numbers(shapes)
    shown = parts[main_input(shapes)]
    for name, part in parts.items():
        if part.count == shown.count and part.kind in NAMED and shown.kind in NAMED:
            same_names(name, part, shown)
    return together(parts, shapes)


def together(parts: Mapping[str, Listing], shapes: Shapes) -> Listing:
    """Names and labels are those of the input that is shown; where that has no labels, those of the first that has some."""
    shown = parts[main_input(shapes)]
    for name, part in parts.items():
        if part.count != shown.count:
            raise InputError(
                f"There are {shown.count} pictures, but {part.count} entries for '{name}'. Give as many for every input.",
                received=part.count,
                expected=shown.count,
            )
    labelled = next((part for part in (shown, *parts.values()) if part.classes), shown)
    digest = sha256("".join(f"{name} {part.digest}\n" for name, part in parts.items()).encode()).hexdigest()
    at = {name: part.item for name, part in parts.items() if part.item}

    def item(number: int) -> Item:
        name = at[main_input(shapes)](number).name
        read = partial(inputs_at, name, at, number, shapes)
        return Item(number, name, labelled.item(number).label if labelled.item else -1, read)

    ahead = max(part.ahead for part in parts.values())
    return indexed("inputs", labelled.classes, shown.count or 0, digest, item, shown.root, ahead)


def inputs_at(name: str, at: Mapping[str, Any], number: int, shapes: Shapes) -> Inputs:
    return Inputs(name, {each: item(number).read() for each, item in at.items()}, shapes)


def same_names(name: str, part: Listing, shown: Listing) -> None:
    """Folders go together by their order, which is that of their names: these have to be the same but for the ending."""
    for one, other in zip(bare_names(shown), bare_names(part), strict=True):
        if one != other:
            raise InputError(
                f"The pictures of two folders belong together by their names, but '{one}' would go with '{other}' of '{name}'. "
                "Give lists of paths, in the order in which they belong together.",
                received=other,
                expected=one,
            )


def bare_names(part: Listing) -> list[str]:
    """Without endings and without the folders that all are in."""
    names = [PurePath(item.name).with_suffix("") for item in part.items(0)]
    outer = os.path.commonpath([each.parent for each in names])
    return [each.relative_to(outer).as_posix() if outer else each.as_posix() for each in names]


def refuse_numbers(shapes: Shapes) -> None:
    """Raises InputError where an input takes no pictures."""
    for name, shape in shapes.items():
        if not is_picture(shape):
            raise InputError(
                f"'{name}' takes no pictures, but arrays of shape {shape}. Give those as one array (n, ...) or a list."
            )
