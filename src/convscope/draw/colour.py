"""Colour maps as tables of colours, and the palette of a sheet: everything that a sheet can show, in one byte a pixel."""

from __future__ import annotations

import base64
import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import WrongOption

Bytes = npt.NDArray[np.uint8]
# 256 x 3 bytes each, deflated. Viridis and magma by Nathaniel Smith and Stefan van der Walt (CC0).
_TABLES = {
    "viridis": (
        "eNoBAAP//EQBVEQCVkUEV0UFWUYHWkYIXEYKXUYLXkcNYEcOYUcQY0cRZEcTZUgUZ0gWaEgXaUgYakgabEgbbUgcbkgdb0gfcEggcUghc0gjdEgkdUgl"
        "dkgmd0goeEgpeUcqekcsekcte0cufEcvfUYwfkYyfkYzf0Y0gEU1gUU3gUU4gkQ5g0Q6g0Q7hEM9hEM+hUI/hUJAhkJBhkFCh0FEh0BFiEBGiD9HiD9I"
        "iT5JiT5KiT5Mij1Nij1OijxPijxQiztRiztSizpTizpUjDlVjDlWjDhYjDhZjDdajDdbjTZcjTZdjTVejTVfjTRgjTRhjTNijTNjjTJkjjJljjFmjjFn"
        "jjFojjBpjjBqji9rji9sji5tji5uji5vji1wji1xjixxjixyjixzjit0jit1jip2jip3jip4jil5jil6jil7jih8jih9jid+jid/jieAjiaBjiaCjiaC"
        "jiWDjiWEjiWFjiSGjiSHjiOIjiOJjiOKjSKLjSKMjSKNjSGOjSGPjSGQjSGRjCCSjCCSjCCTjB+UjB+Vix+Wix+Xix+Yix+Zih+aih6bih6ciR6diR+e"
        "iR+fiB+giB+hiB+hhx+ihyCjhiCkhiGlhSGmhSKnhSKohCOpgySqgyWrgiWsgiatgSetgSiugCmvfyqwfyyxfi2yfS6zfC+0fDG1ezK2ejS2eTW3eTe4"
        "eDi5dzq6dju7dT28dD+8c0C9ckK+cUS/cEbAb0jBbkrBbUzCbE7Da1DEalLFaVTFaFbGZ1jHZVrIZFzIY17JYmDKYGPLX2XLXmfMXGnNW2zNWm7OWHDP"
        "V3PQVnXQVHfRU3rRUXzSUH/TToHTTYTUS4bVSYnVSIvWRo7WRZDXQ5PXQZXYQJjYPpvZPJ3ZO6DaOaLaN6XbNqjbNKrcMq3cMLDdL7LdLbXeK7jeKbre"
        "KL3fJsDfJcLfI8XgIcjgIMrhH83hHdDhHNLiG9XiGtjiGdrjGd3jGN/jGOLkGOXkGefkGerlGuzlG+/lHPHlHfTmHvbmIPjmIfvnI/3nJRfoSno="
    ),
    "magma": (
        "eNoBAAP//AAABAEABQEBBgEBCAIBCQICCwICDQMDDwMDEgQEFAUEFgYFGAYFGgcGHAgHHgkHIAoIIgsJJAwJJg0KKQ4LKxALLREMLxINMRMNNBQONhUO"
        "OBYPOxgPPRkQPxoQQhwQRB0RRx4RSSARSyERTiIRUCQSUyUSVScSWCkRWioRXCwRXy0RYS8RYzERZTMQZzQQaTYQazgQbDkPbjsPcD0PcT8PckAPdEIP"
        "dUQPdkUQd0cQeEkQeEoQeUwRek4Re08Se1ESfFITfFQTfVYUfVcVflkVfloWflwWf10Xf18Yf2AYgGIZgGQagGUagGcbgGgcgWocgWsdgW0dgW4egXAf"
        "gXIfgXMggXUhgXYhgXgigXkignsjgnwjgn4kgoAlgoElgYMmgYQmgYYngYgngYkogYspgYwpgY4qgZAqgZErgZMrgJQsgJYsgJgtgJktgJsuf5wuf54v"
        "f6Avf6EwfqMwfqUxfqYxfagyfaozfaszfK00fK40e7A1e7I1e7M2erU2erc3ebg3ebo4eLw5eL05d786d8A6dsI7dcQ8dcU8dMc9c8g+c8o+csw/cc1A"
        "cc9AcNBBb9JCb9NDbtVEbdZFbNhFbNlGa9tHatxIad5JaN9KaOBMZ+JNZuNOZeRPZOVQZOdSY+hTYulUYupWYetXYOxYYO1aX+5bXu9dXvBfXvFgXfJi"
        "XfJkXPNlXPRnXPRpXPVrXPZsXPZuXPdwXPdyXPh0XPh2XPl4Xfl5Xfl7Xfp9Xvp/XvqBX/uDX/uFYPuHYfyJYfyKYvyMY/yOZPyQZf2SZv2UZ/2WaP2Y"
        "af2aav2ba/6dbP6fbf6hbv6jb/6lcf6ncv6pc/6qdP6sdv6ud/6weP6yev60e/62fP63fv65f/67gf69gv6/hP7Bhf7Ch/7EiP7Giv7IjP7Kjf7Mj/7N"
        "kP7Pkv7RlP7Tlf7Vl/7Xmf7Ymv3anP3cnv3eoP3gof3io/3jpf3lp/3nqf3pqv3rrPzsrvzusPzwsvzytPz0tvz2uPz3ufz5u/z7vfz9v2XKYBc="
    ),
}
# Blue for negative, white for zero, red for positive: told apart by every kind of colour-blindness.
_DIVERGING = ((5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (247, 247, 247), (244, 165, 130), (214, 96, 77),
              (178, 24, 43), (103, 0, 31))  # fmt: skip
NAMES = ("auto", "gray", "viridis", "magma", "diverging")

# A palette index is a level of the colour map, or one of the marks after them. An odd number of levels has one in the middle.
LEVELS = 225
MIDDLE = LEVELS // 2
NONFINITE, DEAD, DEAD_MARK, FRAME, PAPER = range(LEVELS, LEVELS + 5)
INK, GREY = PAPER + 1, PAPER + 14  # 13 shades of each text colour, from faint to full
SHADES = 13
_MARKS = ((255, 0, 220), (226, 228, 232), (176, 180, 188), (205, 208, 214), (255, 255, 255))
_INK, _GREY = (24, 28, 36), (96, 103, 116)


@lru_cache
def table(name: str) -> Bytes:
    """(LEVELS, 3) the colours of a map, from the least value to the greatest. Raises WrongOption."""
    if name == "gray":
        return np.repeat(np.linspace(0, 255, LEVELS).round().astype(np.uint8)[:, None], 3, axis=1)
    if name == "diverging":
        anchors = np.array(_DIVERGING, float)
        return _resampled(anchors)
    if name in _TABLES:
        stored = np.frombuffer(zlib.decompress(base64.b64decode(_TABLES[name])), np.uint8)
        return _resampled(stored.reshape(256, 3).astype(float))
    raise WrongOption("The colour map", name, NAMES)


@lru_cache
def palette(name: str) -> Bytes:
    """(256, 3) the colours of all that a sheet in this colour map can show."""
    colours = np.full((256, 3), 255, np.uint8)
    colours[:LEVELS] = table(name)
    colours[LEVELS : LEVELS + len(_MARKS)] = _MARKS
    strength = np.arange(1, SHADES + 1)[:, None] / SHADES
    for start, ink in ((INK, _INK), (GREY, _GREY)):
        colours[start : start + SHADES] = (255 + (np.array(ink) - 255) * strength).round()
    return colours


def _resampled(colours: npt.NDArray[np.float64]) -> Bytes:
    at, known = np.linspace(0, 1, LEVELS), np.linspace(0, 1, len(colours))
    channels = [np.interp(at, known, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
