"""What an ONNX file says of the pictures that it expects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# The words of ONNX' own image metadata.
RANGES: dict[str, dict[str, float]] = {
    "NominalRange_0_255": {"scale": 1.0},
    "Normalized_0_1": {"scale": 1 / 255},
    "Normalized_1_1": {"scale": 1 / 127.5, "offset": -1.0},
}
FORMATS = {"Bgr8": "bgr", "Rgb8": "rgb"}


def card(metadata: Mapping[str, str], *, whole: bool) -> dict[str, Any]:
    """Its "preprocess" and "labels", as far as they are known.

    metadata   what the file says of itself: this project's own note, or ONNX' own words, "Image.NominalPixelRange"
    whole      whether it takes whole numbers, which are pixels as they are
    """
    own = {key: json.loads(metadata[f"convscope.{key}"]) for key in ("preprocess", "labels") if f"convscope.{key}" in metadata}
    if "preprocess" in own:
        return own
    if values := RANGES.get(metadata.get("Image.NominalPixelRange", "")):
        order = FORMATS.get(metadata.get("Image.BitmapPixelFormat", ""), "rgb")
        return own | {"preprocess": {**values, "order": order, "origin": "the file's image metadata"}}
    return own | ({"preprocess": {"scale": 1.0, "origin": "the file takes whole numbers"}} if whole else {})
