"""Explanations as pictures: heat maps alone, and over what they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import Array
from ..draw.panels import Panels, alone, blended, check_full, greatest, of_one_size, peak_of, spread_by
from ..draw.words import amount
from ..errors import InputError
from ..methods.centres import over
from ..methods.explain import SAYS
from ..methods.resize import bilinear, laid_over
from ..methods.upstream import inputs_above

if TYPE_CHECKING:
    from .explanation import Explanation


def overlay(one: Explanation, picture: int, upsample: str, full: float | None) -> Panels:
    """See Explanation.overlay."""
    check_full(full)
    pixels = pixels_of(one, picture)
    if pixels is None:
        raise InputError(f"'{one.layer}' has no picture for its map to lie over. See `.sheet()` and `.values`.")
    alone_ = one[one.layer]  # of several layers this one alone is drawn, and spoken of
    tiles = [over_pixels(alone_, pixels, picture, upsample, full)]
    return _panels(alone_, tiles, [_over(alone_)], picture, upsample, full)


def sheet(explanation: Explanation, picture: int, upsample: str, full: float | None) -> Panels:
    """See Explanation.sheet."""
    check_full(full)
    tiles, labels, before = [], [], ""
    for name in _drawn(explanation, picture):
        one = explanation[name]
        pixels, heat, where = pixels_of(one, picture), flat(one, picture), _over(one)
        if pixels is not None and before != where:
            tiles.append(pixels)
            labels.append(where.removeprefix("over "))
        tiles.append(alone(heat, heat.shape if pixels is None else pixels.shape[:2], full))
        shared = f", max |{amount(greatest(heat), 3)}|" if len(explanation.attributions) > 1 else ""
        labels.append(f"{name}, {' x '.join(map(str, heat.shape))}{shared}")
        if pixels is not None:
            tiles.append(over_pixels(one, pixels, picture, upsample, full))
            labels.append(where)
        before = where
    return _panels(explanation, of_one_size(tiles), labels, picture, upsample, full)


def over_pixels(one: Explanation, pixels: Any, picture: int, upsample: str, peak: float | None) -> Any:
    """The map in colours over what it is of, uint8 (h, w, 3)."""
    heat, stands = flat(one, picture), _stands(one, pixels.shape[:2])
    return blended(pixels, heat, upsample, peak, None if stands is None else laid_over(heat, stands, upsample))


def spread_out(one: Explanation, picture: int) -> Array:
    """See Explanation.over_picture."""
    heat, pixels = one.heat(picture), pixels_of(one, picture)
    sizes = (one.network.graph.layers[0].shape or ())[1:] if pixels is None else pixels.shape[:2]
    size = tuple(side for side in sizes if side is not None)
    if not size or len(sizes) != len(size) or len(size) != heat.ndim:
        raise InputError(f"It is not known over what the map of '{one.layer}', {heat.shape}, lies. See `.values`.")
    if heat.shape == size and one.method.place != "layer":
        return heat
    stands = _stands(one, size)
    return bilinear(heat[None], size)[0] if stands is None else laid_over(heat, stands)


def in_words(explanation: Explanation, picture: int, upsample: str) -> str:
    """How maps of layers are made as large as the picture, each way once."""
    if explanation.method.place != "layer":
        return ""
    maps = [explanation[name] for name in _drawn(explanation, picture)]
    looks = [(one, pixels) for one in maps if (pixels := pixels_of(one, picture)) is not None]
    ways = dict.fromkeys(spread_by(upsample, _stands(one, pixels.shape[:2]) is not None) for one, pixels in looks)
    return "".join(f"; values are {way}" for way in ways)


def pixels_of(one: Explanation, picture: int) -> Any:
    """(h, w, 3) of what the map lies over; None where that is no picture."""
    one.heat(picture)
    source = source_of(one)
    if source == one.shown:
        return one.pictures[picture].pixels
    look = None if source is None else one.looks.get(source)
    return None if look is None else look[picture]


def source_of(one: Explanation) -> str | None:
    """The input that the map lies over: of a layer the one that is shown, if it follows from that. None: not known."""
    if len(one.network.graph.inputs) == 1:
        return one.shown
    if one.method.place != "layer":
        return one.layer
    above = inputs_above(one.network.graph, one.layer) or ()
    seen = [name for name in (one.shown, *one.looks) if name in above]
    return seen[0] if seen else None


def flat(one: Explanation, picture: int) -> Array:
    """(h, w) of a map that can be drawn over a picture. Raises InputError for another."""
    heat = one.heat(picture)
    if heat.ndim != 2:
        raise InputError(f"A heat map over a picture has two dimensions, but this has shape {heat.shape}. See `.values`.")
    return heat


def _stands(one: Explanation, size: tuple[int, ...]) -> Any:
    """For each pixel where among the places of the layer it lies; None: not known, or the map is not of a layer."""
    return over(one.network.graph, one.layer, size) if one.method.place == "layer" else None


def _over(one: Explanation) -> str:
    source = source_of(one)
    several = len(one.network.graph.inputs) > 1
    return "" if source is None else f"over '{source}'" if several else "over the picture"


def _drawn(explanation: Explanation, picture: int) -> list[str]:
    """Those that can be drawn; of several inputs numbers are left out. Raises InputError where nothing can."""
    found = [name for name in explanation.attributions if explanation[name].heat(picture).ndim == 2]
    if not found:
        flat(explanation, picture)
    return found


def _panels(
    explanation: Explanation, tiles: Sequence[Any], labels: Sequence[str], picture: int, upsample: str, full: float | None
) -> Panels:
    drawn = _drawn(explanation, picture)
    heats = [flat(explanation[name], picture) for name in drawn]
    peak = full or max(map(peak_of, heats))
    beyond = max(float(np.mean(np.abs(heat) > (full or peak_of(heat)))) for heat in heats)
    return Panels(
        tuple(tiles), tuple(labels), f"{explanation.name} · {explanation.pictures[picture].name}",
        _says(explanation, picture, drawn, shared=len(heats) == 1 or full is not None),
        "Zero is white; opacity over the picture grows with the size of the value"
        + in_words(explanation, picture, upsample)
        + (f"; the greatest {beyond:.1%} of the values are drawn like the bar's ends." if beyond else "."),
        peak=peak if len(heats) == 1 or full else None,
    )  # fmt: skip


def _says(explanation: Explanation, picture: int, drawn: Sequence[str], *, shared: bool) -> str:
    """What is explained, where, what the colours say, the method's own check, and the notes."""
    inputs = len(explanation.network.graph.inputs)
    where = "the picture" if explanation.layer == "input" and inputs == 1 else ", ".join(f"'{name}'" for name in drawn)
    if explanation.method.place == "input" and any(explanation[name].values.shape[1] > 1 for name in drawn):
        where += f", of each pixel the {'greatest' if explanation.method.sign == 'magnitude' else 'sum'} over its channels"
    ranges = "" if shared else "; each map by its own greatest value"
    left = [f"'{name}'" for name in explanation.attributions if name not in drawn]
    ranges += f"; {', '.join(left)} cannot be drawn as a map, see values" if left else ""
    score = amount(explanation.score[picture])
    lines = [f"{explanation.targets[picture]} is {score}. At {where}; {SAYS[explanation.method.sign]}{ranges}."]
    if explanation.delta is not None:
        lines.append(f"Check: {explanation.checked(picture)}.")
    return " ".join([*lines, *(f"{note[0].upper()}{note[1:]}." for note in explanation.notes)])
