"""See inside any convolutional network: its layers, its filters, the feature maps that a picture leaves.

net = convscope.open("demo")
print(net.layers)
net.look("cat.png").save("study")
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # typing itself takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from .checking import check as check
    from .core import Edit as Edit
    from .core import Tap as Tap
    from .errors import ConvscopeError as ConvscopeError
    from .network import Network as Network
    from .opening import open as open
    from .pictures import Preprocess as Preprocess
    from .results import FeatureMaps as FeatureMaps
    from .results import Filters as Filters
    from .results import MapSet as MapSet

# Imported at first use: `import convscope` costs nothing, and never imports a framework, matplotlib or onnxruntime.
_HOMES = {
    "open": "opening",
    "Network": "network",
    "Preprocess": "pictures",
    "Tap": "core",
    "Edit": "core",
    "FeatureMaps": "results",
    "Filters": "results",
    "MapSet": "results",
    "ConvscopeError": "errors",
    "check": "checking",
}
__all__ = ["ConvscopeError", "Edit", "FeatureMaps", "Filters", "MapSet", "Network", "Preprocess", "Tap", "check", "open"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("convscope")
    if name not in _HOMES:
        raise AttributeError(f"module 'convscope' has no attribute '{name}'")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
