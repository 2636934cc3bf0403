"""What a sheet says of itself: size, colours, range and scale, and what in it is out of the ordinary."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .scale import Ranges, Scale

SCALED = {
    "map": "each by its own range",
    "shared": "all by one range",
    "percentile": "each by its own 1st to 99th percentile, what lies beyond is drawn as if it lay there",
}
Limits = npt.NDArray[np.float64]


def amount(value: float, digits: int = 4, *, signed: bool = False) -> str:
    """A number as every sheet, page and terminal table writes it: so many digits, with the hyphen of the keyboard for a minus.

    What is copied from there into a program is then a number. A zero has no sign, nor has one that is left of a rounding.

    signed   with a plus above zero too, where it says in which direction something goes
    """
    text = f"{value:{'+' if signed else ''}.{digits}g}"
    return "0" if text in ("-0", "+0") else text


def share(value: float, decimals: int = 1, *, signed: bool = False) -> str:
    """The same in percent: 0.123 is 12.3%."""
    text = f"{value:{'+' if signed else ''}.{decimals}%}"
    return text if text.strip("+-0.%") else text.lstrip("+-")


def one_for_all(scale: Scale) -> bool:
    return scale == "shared" or not isinstance(scale, str)


def scaled(scale: Scale, outside: int | None) -> str:
    """How the colours follow from the values. `outside`: how many values lie beyond a range that was asked for."""
    if isinstance(scale, str):
        return SCALED[scale]
    drawn = (
        f", beyond which {counted(outside, 'value')} {'is' if outside == 1 else 'are'} drawn as if at its end" if outside else ""
    )
    return f"all by the range {amount(scale[0])} to {amount(scale[1])}, as asked{drawn}"


def labels(plain: tuple[str, ...], known: Ranges, *, dead_is_meaningful: bool) -> tuple[str, ...]:
    """The labels of the tiles, with what is odd about them."""
    notes = {int(number): " dead" for number in np.flatnonzero(known.dead & dead_is_meaningful)}
    notes |= {int(number): f" constant {amount(known.low[number], 3)}" for number in np.flatnonzero(known.constant)}
    notes |= {int(number): " not finite" for number in np.flatnonzero(known.nonfinite)}
    return tuple(label + notes.get(number, "") for number, label in enumerate(plain))


def values(known: Ranges, low: Limits, high: Limits, scale: Scale) -> tuple[str, ...]:
    """What stands at the right of each label: the value of the last colour, where each tile has its own."""
    if one_for_all(scale):
        return ("",) * len(low)
    return tuple("" if known.dead[number] or known.constant[number] else amount(top, 2) for number, top in enumerate(high))


def between(known: Ranges, low: Limits, high: Limits, scale: Scale) -> tuple[str, ...]:
    """The same of curves: the values of their lower and their upper edge."""
    plain = known.dead | known.constant
    return tuple(
        "" if one_for_all(scale) or plain[at] else f"{amount(low[at], 2)} to {amount(high[at], 2)}" for at in range(len(low))
    )


def bar(colour: str, low: Limits, high: Limits, scale: Scale) -> tuple[str, str, str] | None:
    """What stands at the left end, in the middle and at the right end of the colour bar; `colour` "" for none."""
    if not colour:
        return None
    around_zero = colour == "diverging"
    if one_for_all(scale):
        return amount(low[0]), "0" if around_zero else amount((low[0] + high[0]) / 2), amount(high[0])
    if scale == "percentile":
        return ("-", "0", "its 99th percentile") if around_zero else ("its 1st percentile", "", "its 99th")
    return ("-max |map|", "0", "max |map|") if around_zero else ("each map's least", "", "its greatest")


def how(
    drawn: str,
    size: tuple[int, int] | None,
    count: int,
    known: Ranges,
    scale: Scale,
    *,
    dead_is_meaningful: bool,
    outside: int | None = None,
) -> str:
    """One sentence for the caption. `drawn`: in which colours, or as curves; `size` None: several; `outside`: see `scaled`."""
    low, high = known.whole
    parts = [
        counted(count, "tile") + ("" if size is None else f" of {size[0]} x {size[1]}"),
        drawn,
        f"{scaled(scale, outside)}; over all {amount(low)} to {amount(high)}",
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
    return f"{counted(count, 'bar')} from zero, all on one scale; {amount(low)} to {amount(high)}{broken}."


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
