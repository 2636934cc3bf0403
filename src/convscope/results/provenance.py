"""Where a result comes from: the network and the pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core import Graph


@dataclass(frozen=True)
class NetworkInfo:
    """Which network it was. `notes`: what had to be assumed about it, a sentence each."""

    name: str
    source: str
    framework: str
    graph: Graph
    sha256: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """A picture as the network received it: un-normalised, uint8 (h, w, 3), with what was done to it."""

    name: str
    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...] = ()
