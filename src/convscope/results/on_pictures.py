"""Feature maps beside what they are of: over the picture, and next to the part of it that a unit sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..core import Array, Graph, input_names
from ..errors import InputError, Unsupported
from ..methods.centres import cell, centres, over
from ..methods.receptive import edges
from ..methods.resize import laid_over
from ..methods.upstream import inputs_above
from ..pictures.several import main_input
from .map_sheets import chosen
from .provenance import Shown

if TYPE_CHECKING:
    from ..draw import Panels
    from ..draw.crops import Box, CropSheet
    from .maps import FeatureMaps


def overlay(
    maps: FeatureMaps, shown: Shown, graph: Graph | None, picture: int, units: Sequence[int], how: str, upsample: str
) -> Panels:
    """The maps of some units over their picture, each by its own range; without a graph stretched.

    raises   InputError for signals and volumes; Unsupported for maps that follow from another input than is shown
    """
    from ..draw import Panels
    from ..draw.panels import blended, greatest, spread_by
    from ..draw.words import amount

    if maps.values.ndim != 4:
        raise InputError(
            f"'{maps.layer.name}' has maps of shape {maps.values.shape[2:]}, which lie over no picture. Use sheet()."
        )
    seen_row(graph, maps)
    peaks = [greatest(maps.values[picture, unit]) for unit in units]
    stands = None if graph is None else over(graph, maps.reading.read_at, shown.pixels.shape[:2])
    large = [None if stands is None else laid_over(maps.values[picture, unit], stands, upsample) for unit in units]
    return Panels(
        tiles=tuple(
            blended(shown.pixels, maps.values[picture, unit], upsample, peak, spread)
            for unit, peak, spread in zip(units, peaks, large, strict=True)
        ),
        labels=tuple(f"unit {unit}, max |{amount(peak, 3)}|" for unit, peak in zip(units, peaks, strict=True)),
        columns=2 if len(units) == 4 else None,
        title=f"{maps.layer.name} over {maps.pictures[picture]}",
        subtitle=f"{chosen(units, maps.values.shape[1], 'maps', how)}; {maps.reading}",
        caption="Each by its own range around zero, its greatest magnitude beside its number; the map's "
        f"{maps.values.shape[2]} x {maps.values.shape[3]} values are {spread_by(upsample, stands is not None)}.",
    )


def crops(maps: FeatureMaps, shown: Shown, graph: Graph, picture: int, units: Sequence[int], how: str) -> CropSheet:
    """What each unit saw where it was strongest, next to its map. Raises Unsupported where the graph does not show that."""
    from ..draw import Sheet
    from ..draw.crops import CropSheet
    from ..draw.words import amount

    if maps.values.ndim != 4:
        raise InputError(f"'{maps.layer.name}' has maps of size {maps.values.shape[2:]}: no part of a picture. Use sheet().")
    row = seen_row(graph, maps)
    found, middles = edges(graph, maps.reading.read_at, of=row), centres(graph, maps.reading.read_at, of=row)
    pictures, labels = [], []
    marks: list[Box | None] = []
    for unit in units:
        values = maps.values[picture, unit]
        single = Sheet(tiles=values[None], labels=("",), title="", dead_is_meaningful=maps.reading.activated)
        place = strongest(values, activated=maps.reading.activated)
        if place is None:
            pictures += [None, single.tile(0)]
            labels += [f"{unit} has no strongest place", f"{unit}, {_flat_in_words(values, maps.reading.activated)}"]
            marks += [None, None]
            continue
        (top, left), (bottom, right) = found.of(place)
        pictures.append(shown.pixels[top:bottom, left:right] if bottom > top else None)
        pictures.append(single.tile(0))
        sees = "sees" if bottom > top else "sees padding only"
        labels += [f"{unit} {sees}, at {place}", f"{unit}, up to {amount(values[place], 3)}"]
        marks += [None if middles is None else strongest_in(((top, left), (bottom, right)), cell(middles, place)), None]
    return CropSheet(
        crops=pictures,
        labels=labels,
        title=f"{maps.layer.name} · {maps.pictures[picture]}: what units see where they are strongest",
        subtitle=f"{chosen(units, maps.values.shape[1], 'units', how)}; left the part of the picture that the strongest place "
        f"depends on, derived from the graph and cut off at the edges; a box marks that place where it is not the middle; "
        f"right the map, {maps.reading}, by its own range.",
        columns=6,
        marks=marks,
    )


def seen_row(graph: Graph | None, maps: FeatureMaps) -> str | None:
    """The row of the input whose pictures are shown; None for the only one there is, and without a graph.

    raises   Unsupported for maps that do not follow from it
    """
    if graph is None or len(graph.inputs) == 1:
        return None
    rows = dict(zip(input_names(graph), graph.inputs, strict=True))
    shown, above = main_input({name: row.shape for name, row in rows.items()}), inputs_above(graph, maps.reading.read_at)
    if above is not None and shown not in above:
        raise Unsupported(
            f"The maps of '{maps.layer.name}' follow from {' and '.join(map(repr, above)) or 'no input'}, and not from the "
            f"pictures of '{shown}', which are those that are shown. Use sheet()."
        )
    return rows[shown].name


def strongest(values: Array, *, activated: bool) -> tuple[int, ...] | None:
    """The place of the greatest finite value of a map; None where all are the same, so that none stands out."""
    from ..draw.scale import NOISE

    finite = values[np.isfinite(values)]
    if not finite.size or (activated and not values.any()):
        return None
    if values.size > 1 and finite.max() - finite.min() <= NOISE * np.abs(finite).max():
        return None
    best = int(np.where(np.isfinite(values), values, -np.inf).argmax())
    return tuple(int(at) for at in np.unravel_index(best, values.shape))


def _flat_in_words(values: Array, activated: bool) -> str:
    from ..draw.words import amount

    if not np.isfinite(values).any():
        return "not finite"
    level = float(values[np.isfinite(values)][0])
    return "dead" if activated and not values.any() else f"{amount(level, 3)} everywhere"


def strongest_in(
    field: tuple[tuple[int, ...], tuple[int, ...]], place: tuple[tuple[float, float], ...]
) -> tuple[float, float, float, float] | None:
    """Where in what is cut out the place itself stands, (top, left, bottom, right); None where it is the middle."""
    (top, left), (bottom, right) = field
    rows, columns = place
    if max(abs(sum(rows) - top - bottom), abs(sum(columns) - left - right)) <= 2:  # twice a pixel
        return None
    return (
        max(rows[0], top) - top,
        max(columns[0], left) - left,
        min(rows[1], bottom) - top,
        min(columns[1], right) - left,
    )
