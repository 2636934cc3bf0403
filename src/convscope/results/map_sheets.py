"""How feature maps are drawn: in a grid, over the picture, beside what they saw, beside those of other pictures and networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..errors import InputError, WrongOption
from ..methods.answers import Answer
from ..methods.asked import how_many

if TYPE_CHECKING:
    from ..draw import Sheet
    from ..draw.scale import Scale
    from .maps import FeatureMaps

FORMS = ("map", "curve", "bar", "strip")
LONGEST = 128  # units in a row of a strip


def grid(
    maps: FeatureMaps,
    picture: int,
    units: Sequence[int],
    how: str,
    *,
    columns: int | None,
    scale: Scale,
    colour: str,
    form: str | None,
    channels: Sequence[str | int] | None = None,
) -> Sheet:
    """The maps of some units; of a dense layer bars with their values, or all of them as a strip. `how` they are ordered."""
    from ..draw import Sheet, nearly_square

    form = form_of(maps, form)
    if form == "strip" and maps.values.ndim == 2:
        return strip(maps, picture, scale, colour)
    if form in ("curve", "strip") and maps.signals is not None and maps.signals.centres is not None:
        return over_signal(maps, picture, units, how, columns, scale, colour, form, channels)
    if form == "strip" or channels is not None:
        why = "what it received is not known" if maps.signals is None else maps.signals.why
        raise InputError(f"The maps of '{maps.layer.name}' cannot be drawn over a signal: {why}. Use form='curve' or 'map'.")
    if form == "bar":
        return bars(maps, picture, units, how, colour)
    values = maps.values[picture][list(units)]
    if scale == "map" and values[0].size == 1:  # single values have no range of their own: all would have one colour
        scale = "shared"
    tiles, note = flat(values, form)
    thick = tiles.shape[1] if form == "map" and values.ndim == 2 else 1
    names, said = labelled(maps, picture, units, how, note)
    return Sheet(
        tiles=tiles,
        labels=names,
        title=f"{maps.layer.name} · {maps.pictures[picture]}",
        subtitle=said,
        columns=columns or nearly_square(len(units)),
        form=form,
        scale=scale,
        colour=colour,
        dead_is_meaningful=maps.reading.activated,
        thick=thick,
    )


def bars(maps: FeatureMaps, picture: int, units: Sequence[int], how: str, colour: str) -> Sheet:
    """Of a dense layer a bar for each unit, with its value beside it."""
    from ..draw import Sheet
    from ..draw.words import amount

    values = maps.values[picture][list(units)]
    names, said = labelled(maps, picture, units, how, "")
    return Sheet(
        tiles=values[:, None, None],
        labels=("",) * len(units),
        title=f"{maps.layer.name} · {maps.pictures[picture]}",
        subtitle=said.replace(" maps", " units", 1),
        columns=1,
        form="bar",
        scale="shared",
        colour=colour,
        row_labels=tuple(f"{name}   {amount(value)}" for name, value in zip(names, values, strict=True)),
        dead_is_meaningful=maps.reading.activated,
    )


def labelled(maps: FeatureMaps, picture: int, units: Sequence[int], how: str, note: str) -> tuple[tuple[str, ...], str]:
    """The labels of the maps of some units, and in a line which these are and where they were read."""
    odd = maps.oddities(picture)
    names = tuple(f"{unit} saturated" if unit in odd["saturated"] else str(unit) for unit in units)
    return names, f"{chosen(units, len(maps.values[picture]), 'maps', how)}; {maps.reading}{note}{counted(odd)}"


def chosen(units: Sequence[int], count: int, what: str, how: str) -> str:
    """How many of the `count` there are: "all 3 maps", "the first 8 of 64 maps, ranked by ...". A unit may be asked for twice."""
    different = len(set(units))
    shown = f"all {count}" if different == count else f"{'the first ' if how else ''}{different} of {count}"
    return f"{shown} {what}{', some more than once' if len(units) > different else ''}{how}"


def over_signal(
    maps: FeatureMaps,
    picture: int,
    units: Sequence[int],
    how: str,
    columns: int | None,
    scale: Scale,
    colour: str,
    form: str,
    channels: Sequence[str | int] | None,
) -> Sheet:
    """Curves or heat strips of some units under the signal that the network received, along one axis."""
    from ..draw import Sheet, nearly_square
    from ..draw.signal import columns as fitting

    assert maps.signals is not None
    signal = maps.signals.drawn(picture, channels)
    names, said = labelled(maps, picture, units, how, "")
    return Sheet(
        tiles=maps.values[picture][list(units)][:, None],
        labels=names,
        title=f"{maps.layer.name} · {maps.pictures[picture]}",
        subtitle=said,
        columns=columns or fitting(signal.width(), nearly_square(len(units))),
        form="curve" if form == "curve" else "map",
        scale=scale,
        colour=colour,
        dead_is_meaningful=maps.reading.activated,
        signal=signal,
    )


def form_of(maps: FeatureMaps, form: str | None) -> str:
    """What maps are drawn as; None: a dense layer as bars, all else as maps. Raises WrongOption."""
    axes = maps.values.ndim - 2
    possible = {0: ("bar", "strip", "map"), 1: ("map", "curve", "strip")}.get(axes, ("map",))
    if form is None:
        return possible[0]
    if form not in possible:
        raise WrongOption(f"The form of maps with {axes} spatial axes", form, possible)
    return form


def flat(values: Array, form: str) -> tuple[Array, str]:
    from ..draw import as_planes

    if form == "curve":
        return values[:, None, :], ""
    return as_planes(values)


def counted(odd: dict[str, tuple[int, ...]]) -> str:
    """How many maps of the whole layer are out of the ordinary, whether they are on the sheet or not."""
    words = {"dead": "dead", "constant": "constant", "saturated": "saturated", "nonfinite": "with values that are not finite"}
    parts = [f"{len(odd[kind])} {text}" for kind, text in words.items() if odd[kind]]
    return f"; in the whole layer {', '.join(parts)}" if parts else ""


def strip(maps: FeatureMaps, picture: int, scale: Scale, colour: str) -> Sheet:
    """All units of a dense layer, in their order, in rows of one length."""
    from ..draw import Sheet

    values = maps.values[picture]
    across = max((size for size in range(16, LONGEST + 1) if len(values) % size == 0), default=len(values))
    rows, thick = values.reshape(-1, across), max(1, across // 16)
    return Sheet(
        tiles=np.repeat(rows, thick, axis=0)[None],
        thick=thick,
        labels=("",),
        title=f"{maps.layer.name} · {maps.pictures[picture]}",
        subtitle=f"all {len(values)} units as they are numbered, {len(rows)} rows of {across}; {maps.reading}",
        columns=1,
        scale=scale,
        colour=colour,
        dead_is_meaningful=maps.reading.activated,
    )


def answers(row: Sequence[Answer], picture: str, found: str) -> Sheet:
    """A bar for each of the best answers."""
    from ..draw import Sheet

    return Sheet(
        tiles=np.array([answer.probability for answer in row], np.float32)[:, None, None],
        labels=("",) * len(row),
        title=f"{picture}: what it is taken for",
        subtitle=f"the {len(row)} best answers; {found}",
        columns=1,
        form="bar",
        scale="shared",
        row_labels=tuple(f"{answer.label}   {answer.probability:.2%}" for answer in row),
    )


def several(maps: FeatureMaps, units: Sequence[int], how: str, scale: Scale, colour: str) -> Sheet:
    """A row per unit and a column per picture, which stands above it."""
    names = [f"unit {unit}" for unit in units]
    stacks = [maps.values[:, unit] for unit in units]
    title = f"{maps.layer.name} · {len(maps.pictures)} pictures"
    return table(stacks, names, list(maps.pictures), title, f"{how}; {maps.reading}", scale, colour, heads_of(maps))


def heads_of(maps: FeatureMaps) -> Sequence[npt.NDArray[np.uint8]]:
    """The pictures as the network received them, (h, w, 3) each; () where it received none, or they are not known."""
    shown = [] if maps.prepared is None else list(maps.prepared.shown)
    shapes = {np.shape(each) for each in shown}
    pictures = len(shapes) == 1 and len(shown) == len(maps.pictures) and min(shapes)[2:] == (3,)
    return tuple(shown) if pictures else ()


def frames(maps: FeatureMaps, units: Sequence[int], colour: str) -> list[Sheet]:
    """A sheet per picture of the same units, by one range."""
    from dataclasses import replace

    sheets = [
        grid(maps, number, units, "", columns=None, scale="shared", colour=colour, form=None)
        for number in range(len(maps.pictures))
    ]
    whole = [sheet.ranges.whole for sheet in sheets]
    between = min(low for low, _ in whole), max(high for _, high in whole)
    colour = "diverging" if colour == "auto" and between[0] < 0 else "viridis" if colour == "auto" else colour
    return [replace(sheet, between=between, colour=colour) for sheet in sheets]


def beside(before: FeatureMaps, after: FeatureMaps, picture: int, first: int | None, scale: Scale, colour: str) -> Sheet:
    """A row per unit, those that changed most first; before, after, and the difference. Raises InputError for other shapes."""
    from ..draw.words import amount

    changed = change(before, after)[picture]
    units = [int(unit) for unit in np.argsort(-np.nan_to_num(changed, nan=np.inf), kind="stable")[: how_many(first)]]
    pairs = ((before.values[picture, unit], after.values[picture, unit]) for unit in units)
    stacks = [np.stack([one, other, other - one]) for one, other in pairs]
    names = [f"unit {unit}   {amount(changed[unit], 3)}" for unit in units]
    layers = " and ".join(dict.fromkeys((before.layer.name, after.layer.name)))
    title = f"{layers} · {before.pictures[picture]} · before and after"
    how = f"{len(units)} of {len(changed)} units, those that changed most first (root mean square of the difference, beside each)"
    same = str(before.reading) == str(after.reading)
    read = str(before.reading) if same else f"read in two ways, before: {before.reading}; after: {after.reading}"
    return table(stacks, names, ["before", "after", "after - before"], title, f"{how}; {read}", scale, colour)


def change(before: FeatureMaps, after: FeatureMaps) -> npt.NDArray[np.float64]:
    """(n, c) root mean square of what changed in each map. Raises InputError for maps of other pictures or sizes."""
    if before.values.shape != after.values.shape or not of_same_pictures(before, after):
        others = " of other pictures" if before.pictures == after.pictures and before.values.shape == after.values.shape else ""
        raise InputError(
            f"Maps of the same pictures and sizes can be compared, but received {before!r} of {', '.join(before.pictures)} and "
            f"{after!r} of {', '.join(after.pictures)}{others and ',' + others}. Pictures are put beside each other by "
            "maps([one, other]) and side_by_side().",
            received=after.values.shape,
            expected=before.values.shape,
        )
    difference = after.values.astype(np.float64) - before.values
    result: npt.NDArray[np.float64] = np.sqrt((difference.reshape(*difference.shape[:2], -1) ** 2).mean(2))
    return result


def of_same_pictures(one: FeatureMaps, other: FeatureMaps) -> bool:
    """By their names and by what the networks received: arrays are all called 'picture 1', and so is many a file."""
    if one.pictures != other.pictures or one.prepared is None or other.prepared is None:
        return one.pictures == other.pictures
    pixels = zip(one.prepared.shown, other.prepared.shown, strict=True)
    # Networks with another preprocessing receive other values of the same pixels, or make other pixels of the same values.
    return all(np.array_equal(*pair) for pair in pixels) or np.array_equal(one.prepared.values, other.prepared.values)


def table(
    stacks: Sequence[Array],
    rows: list[str],
    columns: list[str],
    title: str,
    says: str,
    scale: Scale,
    colour: str,
    heads: Sequence[npt.NDArray[np.uint8]] = (),
) -> Sheet:
    from ..draw import Sheet, as_planes

    tiles, note = as_planes(np.concatenate(stacks))
    return Sheet(
        tiles=tiles,
        labels=("",) * len(tiles),
        title=title,
        subtitle=f"{says}{note}",
        columns=len(columns),
        scale=scale,
        colour=colour,
        row_labels=tuple(rows),
        column_labels=tuple(columns),
        heads=heads,
        dead_is_meaningful=False,
        thick=tiles.shape[1] if stacks[0].ndim == 2 else 1,
    )
