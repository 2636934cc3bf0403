"""Whether a rule that was read off a library's settings does to a picture what the library itself does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import Shape
from .decode import Picture
from .preprocess import Array, Preprocess

SIZES = ((97, 150), (251, 202))  # height and width: odd margins, wide and tall
CLOSE = 1e-5  # after subtracting the mean and dividing; a level of a pixel is above 0.01


def from_card(card: Mapping[str, Any], shape: Shape) -> Preprocess:
    """What a network's library says is done to pictures, if it does just that itself; else what is assumed.

    card    its "preprocess", and where it can be asked its "reference", see `agrees`
    shape   (c, h, w) that the network takes
    """
    if not card.get("preprocess"):
        return Preprocess(origin="assumed")
    said = Preprocess.from_dict(card["preprocess"])
    if "reference" in card and not agrees(said.fitted(shape), card["reference"]):
        return Preprocess(size=said.size, origin="assumed")
    return said


def agrees(preprocess: Preprocess, reference: Callable[[Any], Array]) -> bool:
    """Tried on pictures of noise. `reference` makes (c, h, w) of uint8 (h, w, 3)."""
    random = np.random.default_rng(0)
    for size in SIZES:
        pixels = random.integers(0, 256, (*size, 3), np.uint8)
        mine, own = preprocess.apply(Picture("noise", pixels)), reference(pixels)
        if mine.shape != own.shape or not np.allclose(mine, own, rtol=0, atol=CLOSE):
            return False
    return True
