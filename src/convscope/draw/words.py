"""What a sheet says of itself: size, colours, range and scale, and what in it is out of the ordinary."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .scale import Ranges

SCALED = {
    "map": "each by its own range",
    "shared": "all by one range",
    "percentile": "each by its own 1st to 99th percentile, what lies beyond is drawn as if it lay there",
}
Limits = npt.NDArray[np.float64]


def labels(plain: tuple[str, ...], known: Ranges, *, dead_is_meaningful: bool) -> tuple[str, ...]:
    """The labels of the tiles, with what is odd about them."""
    notes = {int(number): " dead" for number in np.flatnonzero(known.dead & dead_is_meaningful)}
    notes |= {int(number): f" constant {known.low[number]:.3g}" for number in np.flatnonzero(known.constant)}
    notes |= {int(number): " not finite" for number in np.flatnonzero(known.nonfinite)}
    return tuple(label + notes.get(number, "") for number, label in enumerate(plain))


def values(known: Ranges, low: Limits, high: Limits, scale: str) -> tuple[str, ...]:
    """What stands at the right of each label: the value of the last colour, where each tile has its own."""
    if scale == "shared":
        return ("",) * len(low)
    return tuple("" if known.dead[number] or known.constant[number] else f"{top:.2g}" for number, top in enumerate(high))


def between(known: Ranges, low: Limits, high: Limits, scale: str) -> tuple[str, ...]:
    """The same of curves: the values of their lower and their upper edge."""
    plain = known.dead | known.constant
    return tuple("" if scale == "shared" or plain[at] else f"{low[at]:.2g} to {high[at]:.2g}" for at in range(len(low)))


def bar(colour: str, low: Limits, high: Limits, scale: str) -> tuple[str, str, str] | None:
    """What stands at the left end, in the middle and at the right end of the colour bar; `colour` "" for none."""
    if not colour:
        return None
    around_zero = colour == "diverging"
    if scale == "shared":
        return f"{low[0]:.4g}", "0" if around_zero else f"{(low[0] + high[0]) / 2:.4g}", f"{high[0]:.4g}"
    if scale == "percentile":
        return ("-", "0", "its 99th percentile") if around_zero else ("its 1st percentile", "", "its 99th")
    return ("-max |map|", "0", "max |map|") if around_zero else ("each map's least", "", "its greatest")


def how(drawn: str, size: tuple[int, int], count: int, known: Ranges, scale: str, *, dead_is_meaningful: bool) -> str:
    """One sentence for the caption. `drawn`: in which colours, or as curves."""
    low, high = known.whole
    parts = [
        f"{counted(count, 'tile')} of {size[0]} x {size[1]}",
        drawn,
        f"{SCALED[scale]}; over all {low:.4g} to {high:.4g}",
    ]
    if dead := int((known.dead & dead_is_meaningful).sum()):
        parts.append(f"{dead} dead (zero everywhere): hatched")
    if constant := int(known.constant.sum()):
        parts.append(f"{constant} constant")
    if broken := int(known.nonfinite.sum()):
        parts.append(f"{counted(broken, 'value')} not finite: magenta")
    return "; ".join(parts) + "."


def how_bars(known: Ranges, count: int) -> str:
    low, high = known.whole
    broken = f"; {counted(int(known.nonfinite.sum()), 'value')} not finite: magenta" if known.nonfinite.any() else ""
    return f"{counted(count, 'bar')} from zero, all on one scale; {low:.4g} to {high:.4g}{broken}."


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
