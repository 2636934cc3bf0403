"""The first maps of every layer on one sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..draw.scale import Scale
    from .maps import FeatureMaps


def all_layers(maps: Mapping[str, FeatureMaps], picture: int, first: int | None, order: str, scale: Scale, colour: str) -> Sheet:
    """A row or more for each layer, under its name. Maps of smaller layers are enlarged by picking values, never by mixing them.

    raises   InputError where no layer has maps of two dimensions
    """
    from ..draw import Sheet
    from ..draw.layout import resized

    drawn = {name: each for name, each in maps.items() if each.values.ndim == 4}
    if not drawn:
        raise InputError("None of these layers has maps of rows and columns. Draw each by itself: maps[layer].sheet().")
    size = max(each.values.shape[2] for each in drawn.values()), max(each.values.shape[3] for each in drawn.values())
    # A map of zeros is a dead one only after an activation. A layer before one takes the hatching from all, not the word.
    marked = all(each.reading.activated for each in drawn.values())
    tiles, labels, groups, orders = [], [], [], []
    for name, each in drawn.items():
        number = each._picture(picture)
        units, how = each._chosen(number, first, None, order)
        odd = dict.fromkeys(each.oddities(number)["saturated"], " saturated")
        odd |= {} if marked else dict.fromkeys(each.dead(number) or (), " dead")
        tiles.append(resized(each.values[number][list(units)], size))
        labels += [f"{unit}{odd.get(unit, '')}" for unit in units]
        h, w = each.values.shape[2:]
        groups.append((f"{name}: {len(units)} of {each.values.shape[1]} maps of {h} x {w}; {each.reading}", len(units)))
        orders.append(how)
    several = len({each.values.shape[2:] for each in drawn.values()}) > 1
    return Sheet(
        tiles=np.concatenate(tiles),
        labels=tuple(labels),
        title=f"{len(drawn)} layers · {next(iter(drawn.values())).pictures[picture]}",
        subtitle=said_of(orders, [name for name in maps if name not in drawn], enlarged=several),
        columns=max(count for _, count in groups) if first is None else min(first, max(count for _, count in groups)),
        scale=scale,
        colour=colour,
        groups=groups,
        dead_is_meaningful=marked,
        enlarged=several,
    )


def said_of(orders: list[str], left: list[str], *, enlarged: bool) -> str:
    """Of how many layers the first maps are there, by which order each, and without which layers."""
    parts = [
        f"the first maps of {len(orders)} layers{orders[-1]}" + (" where that was measured" if len(set(orders)) > 1 else ""),
        *(["smaller maps are enlarged, a value a square"] if enlarged else []),
        *([f"without {', '.join(left)}, which {'has' if len(left) == 1 else 'have'} none"] if left else []),
    ]
    return "; ".join(parts)
