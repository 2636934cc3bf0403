"""Packages that are asked for only when they are needed."""

from __future__ import annotations

import importlib
import sys
import warnings
from typing import Any

from ..errors import MissingExtra


def package(name: str, distribution: str, *, extra: str = "embed") -> Any:
    """The module, or MissingExtra with how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(distribution, extra, "This view of an embedding") from error


def umap_package() -> Any:
    """Without its part for TensorFlow, which is not used here and whose import takes a minute and several frameworks."""
    sys.modules.setdefault("umap.parametric_umap", None)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            return package("umap", "umap-learn")
    finally:
        if sys.modules.get("umap.parametric_umap") is None:
            sys.modules.pop("umap.parametric_umap", None)
