"""What an image processor of transformers does to a picture, as data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core import Array

FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}  # Pillow's numbers
UNCROPPED = 384  # from so many pixels on ConvNext's processor stretches a picture instead of cropping it


def preprocess_of(processor: Any) -> dict[str, Any]:
    """The keys of a Preprocess. A processor may do more than they can say: whether they are right shows only on a picture."""
    size, cropped = geometry(processor)
    rescaled, offset = flag(processor, "do_rescale"), flag(processor, "rescale_offset")
    found: dict[str, Any] = {
        "size": size,
        "fit": "crop" if cropped else "stretch",
        "crop_fraction": cropped or 1.0,
        "margin": "floor",
        "resample": FILTERS.get(int(getattr(processor, "resample", None) or 2), "bilinear"),
        "scale": float(processor.rescale_factor) if rescaled else 1.0,
        "offset": -1.0 if rescaled and offset else 0.0,
        "order": "bgr" if flag(processor, "do_flip_channel_order") else "rgb",
        "origin": f"transformers, its {type(processor).__name__.removesuffix('Pil')}",
    }
    twice = flag(processor, "include_top")  # EfficientNet's divides by the deviation once more
    if flag(processor, "do_normalize"):
        mean, std = (np.broadcast_to(np.asarray(each, float), (3,)) for each in (processor.image_mean, processor.image_std))
        found |= {"mean": tuple(map(float, mean)), "std": tuple(map(float, std * std if twice else std))}
    return found


def geometry(processor: Any) -> tuple[tuple[int, int] | None, float | None]:
    """The size (height, width), and which part of the shorter side is kept; None: both sides are stretched to it."""
    size, crop = sizes(processor, "size"), sizes(processor, "crop_size")
    if not flag(processor, "do_resize"):
        return None, None
    short, part = size.get("shortest_edge"), getattr(processor, "crop_pct", None)
    if not short:
        whole = (size["height"], size["width"]) if size.get("height") and size.get("width") else None
        return whole, None
    family = type(processor).__name__
    if family.startswith("ConvNext"):
        return (short, short), short / int(short / (part or 1)) if short < UNCROPPED else None
    resized = int(256 / 224 * short) if family.startswith("Levit") else int(short / (part or 1))
    if not flag(processor, "do_center_crop") or not crop.get("height"):
        return None, None
    return (crop["height"], crop["width"]), min(1.0, crop["height"] / resized)


def sizes(processor: Any, name: str) -> dict[str, int]:
    size = getattr(processor, name, None)
    return {key: value for key, value in dict(size).items() if value} if size else {}


def flag(processor: Any, name: str) -> bool:
    return bool(getattr(processor, name, None))


def reference_of(processor: Any) -> Callable[[Any], Array]:
    """What the processor itself makes of uint8 (h, w, 3): (c, h, w) float32, to compare with."""

    def reference(pixels: Any) -> Array:
        from PIL import Image

        made = processor(images=Image.fromarray(pixels), return_tensors="np")["pixel_values"]
        return np.asarray(made[0], np.float32)

    return reference
