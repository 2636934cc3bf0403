"""The drawing of a network: a block for each resolution, a slab for each convolution in it, as papers draw them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log2
from typing import Any

MOST = 6  # slabs in a block; more of them say no more
SLABS = ("convolution", "depthwise", "separable", "transposed")


@dataclass(frozen=True)
class Slab:
    """A box in oblique projection: polygons as SVG writes their points."""

    front: str
    top: str
    side: str
    dense: bool


@dataclass(frozen=True)
class Drawing:
    width: float
    height: float
    slabs: tuple[Slab, ...]
    left_out: int


def drawing(layers: Sequence[Mapping[str, Any]]) -> Drawing:
    """The slabs of a block: as high as its maps are large, as thick as it has channels, both by their logarithm."""
    heavy = [layer for layer in layers if layer["kind"] in (*SLABS, "dense") and layer["shape"]]
    heavy = heavy or [layer for layer in layers if layer["shape"]][:1]
    shown = heavy if len(heavy) <= MOST else [*heavy[: MOST - 1], heavy[-1]]
    boxes = [_box(layer["shape"]) for layer in shown]
    tall = max((height + back for _, height, back in boxes), default=1.0) + 2
    slabs, x = [], 1.0
    for (thick, height, back), layer in zip(boxes, shown, strict=True):
        slabs.append(_slab(x, tall - 1, thick, height, back, dense=layer["kind"] == "dense"))
        x += thick + 7
    depth = max((back for _, _, back in boxes), default=0.0)
    return Drawing(round(x - 6 + depth, 1), round(tall, 1), tuple(slabs), len(heavy) - len(shown))


def _box(shape: Sequence[int | None]) -> tuple[float, float, float]:
    """(thickness, height, how far it reaches back)."""
    channels, *sizes = (size or 1 for size in shape)
    side = max(sizes, default=1)
    return 4 + log2(max(channels, 1)) * 1.4, 12 + 13 * log2(max(side, 1)), 4 + 4.5 * log2(max(side, 1))


def _slab(x: float, floor: float, thick: float, height: float, back: float, *, dense: bool) -> Slab:
    top, right, up = floor - height, x + thick, 0.75 * back
    return Slab(
        front=_points((x, floor), (right, floor), (right, top), (x, top)),
        top=_points((x, top), (right, top), (right + back, top - up), (x + back, top - up)),
        side=_points((right, floor), (right, top), (right + back, top - up), (right + back, floor - up)),
        dense=dense,
    )


def _points(*places: tuple[float, float]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
