"""Which backend Keras runs on, settled before Keras is imported. No framework is imported here."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from importlib import metadata
from pathlib import Path

from ..errors import MissingExtra, Unsupported

BACKENDS = ("tensorflow", "torch", "jax")  # of those that are installed the first, where nothing is configured


def settle(what: str) -> None:
    """One process sees one backend: that which is configured, else one that is installed.

    raises   MissingExtra without Keras, and without a backend; Unsupported for Keras 2
    """
    if "keras" not in sys.modules and importlib.util.find_spec("keras") is None:
        raise MissingExtra("keras", "keras", what)
    check_version(what)
    if "keras" in sys.modules:
        return
    # Keras would take TensorFlow without asking whether it is there, whatever wrote its file of settings.
    wanted = (os.environ.get("KERAS_BACKEND"), configured(), *BACKENDS)
    there = [name for name in wanted if name in BACKENDS and importlib.util.find_spec(name)]
    if not there:
        raise MissingExtra("a backend (torch, tensorflow or jax)", "torch", what)
    os.environ["KERAS_BACKEND"] = there[0]


def check_version(what: str) -> None:
    """Raises Unsupported for Keras 2."""
    loaded = getattr(sys.modules.get("keras"), "__version__", None)
    version = loaded or metadata.version("keras")
    if version.startswith(("1.", "2.")):
        raise Unsupported(f"{what} needs Keras 3, but Keras {version} is installed. Run: pip install 'convscope[keras]'")


def configured() -> str | None:
    """The backend in Keras' file of settings; None where there is none."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        backend = json.loads((Path(home) / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return backend if isinstance(backend, str) else None
