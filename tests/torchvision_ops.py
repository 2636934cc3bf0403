"""torchvision where its compiled operators are missing: they are declared, so that its networks, which are Python, import.

Detectors then run as far as their convolutions; what needs a compiled operator fails where it is called.
"""

import importlib.util
import re
from pathlib import Path

import pytest


def torchvision():
    """The package. Skips the test where it is not installed."""
    found = importlib.util.find_spec("torchvision")
    if found is None:
        pytest.skip("torchvision is not installed: pip install torchvision")
    import torch

    if not (Path(found.origin).parent / "_C.so").exists() and not LIBRARY:
        library = torch.library.Library("torchvision", "FRAGMENT")
        source = (Path(found.origin).parent / "_meta_registrations.py").read_text(encoding="utf-8")
        for name in re.findall(r'@(?:register_meta|torch\.library\.register_fake)\("(?:torchvision::)?(\w+)"\)', source):
            library.define(f"{name}(Tensor x) -> Tensor")
        LIBRARY.append(library)  # what it declares goes when it goes
    import torchvision

    return torchvision


LIBRARY = []
