"""Maps that are out of the ordinary, and what that means."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core import Array

# The ends of activations that level off. A map is saturated if nearly all of its values lie at one. torch's hardtanh is not
# among them: it is written without an underscore, and its ends are the user's. Keras' hard_tanh always ends at -1 and 1.
BOUNDS = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
}
NEAR, NEARLY_ALL = 0.01, 0.9
MEANING = {
    "dead": "zero everywhere for this picture; another picture may wake it, and a filter that none wakes is of no use",
    "constant": "one value everywhere, so that it says nothing about where in the picture anything is",
    "saturated": "at least 90 % of it lies within 1 % of where its activation levels off, so that it hardly tells more from less",
    "nonfinite": "NaN or infinity in it, so that what the network makes of it means nothing; its sheet shows them in magenta",
}


def oddities(values: Array, *, activated: bool, activation: str | None) -> dict[str, tuple[int, ...]]:
    """Unit numbers by what is odd about their maps (c, *spatial): "dead", "constant", "saturated", "nonfinite".

    Dead only after an activation, where zero means that nothing was found; constant only where a map has several values.
    """
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat).all(1)
    zero = ~flat.any(1)
    same = (flat[:, :1] == flat).all(1) & (flat.shape[1] > 1)
    return {
        "dead": _units(zero & finite) if activated else (),
        "constant": _units(same & finite & ~zero),
        "saturated": _units(_saturated(flat, activation) & ~zero),
        "nonfinite": _units(~finite),
    }


def _saturated(flat: Array, activation: str | None) -> npt.NDArray[np.bool_]:
    ends = BOUNDS.get((activation or "").lower())
    if ends is None:
        return np.zeros(len(flat), bool)
    margin = NEAR * (ends[1] - ends[0])
    with np.errstate(invalid="ignore"):
        at_end = (flat <= ends[0] + margin) | (flat >= ends[1] - margin)
    result: npt.NDArray[np.bool_] = at_end.mean(1) >= NEARLY_ALL
    return result


def sentences(odd: dict[str, tuple[int, ...]], most: int = 12) -> tuple[str, ...]:
    """A sentence per kind that there is: how many, which, and what it means."""
    found = []
    for kind, units in odd.items():
        if units:
            listed = ", ".join(map(str, units[:most])) + (f" and {len(units) - most} more" if len(units) > most else "")
            name = "with values that are not finite" if kind == "nonfinite" else kind
            found.append(f"{len(units)} {'map is' if len(units) == 1 else 'maps are'} {name} ({listed}): {MEANING[kind]}.")
    return tuple(found)


def _units(mask: npt.NDArray[np.bool_] | np.bool_) -> tuple[int, ...]:
    return tuple(int(unit) for unit in np.flatnonzero(mask))
