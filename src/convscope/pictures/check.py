"""Whether the numbers and words of a preprocessing are possible. What is wrong is named by its key."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, get_args

import numpy as np

from ..errors import InputError, WrongOption
from .resize import Fit, Margin, Resample

WORDS = {
    "fit": get_args(Fit),
    "resample": get_args(Resample),
    "margin": get_args(Margin),
    "order": ("rgb", "bgr"),
    "dtype": ("float32",),
}


def check(what: str, received: object, fine: bool, expected: str) -> None:
    """Raise InputError unless `fine`: "'std' has to be 3 positive numbers, but received [1, 0, 1]"."""
    if not fine:
        raise InputError(
            f"In the preprocessing, {what} has to be {expected}, but received {received!r}.", received=received, expected=expected
        )


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a preprocessing as plain Python, tuples for lists and arrays. Raises WrongOption, InputError."""
    plain = dict(given)
    for key, possible in WORDS.items():
        if plain[key] not in possible:
            raise WrongOption(f"'{key}' of the preprocessing", plain[key], possible)
    check("'origin'", plain["origin"], isinstance(plain["origin"], str), "a text")
    channels = plain["channels"] = _whole("channels", plain["channels"], 1, 65536)
    check("'order'", plain["order"], plain["order"] == "rgb" or channels == 3, f"'rgb' for {channels} channels")
    plain["shown"] = _shown(plain["shown"], channels)
    plain["fill"] = _whole("fill", plain["fill"], 0, 255)
    for key, possible_number in (("scale", "a finite number other than 0"), ("offset", "a finite number")):
        check(f"'{key}'", plain[key], _is_number(plain[key]) and (key == "offset" or plain[key] != 0), possible_number)
    fraction = plain["crop_fraction"]
    check("'crop_fraction'", fraction, _is_number(fraction) and 0 < fraction <= 1, "a number above 0 and at most 1")
    plain |= {key: float(plain[key]) for key in ("scale", "offset", "crop_fraction")}
    return plain | {"size": _size(plain["size"])} | {key: _per_channel(key, plain[key], channels) for key in ("mean", "std")}


def _size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    pair = _as_tuple(size)
    check("'size'", size, len(pair) == 2, "two whole numbers, height and width in pixels")
    return _whole("size", pair[0], 1, 10**6), _whole("size", pair[1], 1, 10**6)


def _shown(shown: Any, channels: int) -> tuple[int, ...] | None:
    if shown is None:
        return None
    numbers = _as_tuple(shown)
    check("'shown'", shown, len(numbers) in (1, 3), "one channel, or three for red, green and blue")
    return tuple(_whole("shown", each, 0, channels - 1) for each in numbers)


def _per_channel(key: str, value: Any, channels: int) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = _as_tuple(value)
    fine = len(numbers) == channels and all(_is_number(each) and (key == "mean" or each > 0) for each in numbers)
    kind = "finite" if key == "mean" else "finite positive"
    check(f"'{key}'", value, fine, f"{channels} {kind} number{'s' * (channels > 1)}, one per channel that the network takes")
    return tuple(float(each) for each in numbers)


def _whole(key: str, value: Any, least: int, most: int) -> int:
    fine = isinstance(value, Integral) and not isinstance(value, bool) and least <= int(value) <= most
    check(f"'{key}'", value, fine, f"whole, from {least} to {most}")
    return int(value)


def _is_number(value: Any) -> bool:
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and bool(abs(value) <= sys.float_info.max)  # neither NaN nor an int too large for a float


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
