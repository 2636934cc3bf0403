"""What is built in: a small network, and a photograph that comes with scikit-image. See CARD.md for what the network is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import MissingExtra

MODEL = Path(__file__).parent / "demo.onnx"
CARD = Path(__file__).parent / "CARD.md"


def picture() -> Path:
    """The file of `chelsea`, a photograph of a cat by Stefan van der Walt (CC0). Raises MissingExtra."""
    # Found without importing scikit-image, which costs a second and nothing here needs.
    found = importlib.util.find_spec("skimage")
    file = Path(found.origin).parent / "data" / "chelsea.png" if found and found.origin else None
    if file is None or not file.is_file():
        raise MissingExtra("scikit-image", "demo", "The built-in photograph")
    return file
