"""torchvision where its compiled operators do not load: they are declared, so that its networks, which are Python, import.

Detectors then run as far as their convolutions; what needs a compiled operator fails where it is called.
"""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

LIBRARY = []  # what a library declares goes when it goes


def torchvision():
    """The package. Skips the test where it is not installed."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed: pip install torchvision")
    try:
        import torchvision
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        declare(Path(importlib.util.find_spec("torchvision").origin).parent / "_meta_registrations.py")
        import torchvision
    return torchvision


def declare(registrations: Path) -> None:
    import torch

    library = torch.library.Library("torchvision", "FRAGMENT")
    source = registrations.read_text(encoding="utf-8")
    for name in re.findall(r'@(?:register_meta|torch\.library\.register_fake)\("(?:torchvision::)?(\w+)"\)', source):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor x) -> Tensor")
    LIBRARY.append(library)
