"""What `make zoo` found, in docs/networks.json: per source the sums, the networks that did not open, and the versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from matrix import Line

FILE = Path(__file__).parent.parent / "docs" / "networks.json"
PACKAGES = ("torch", "torchvision", "timm", "transformers", "keras", "onnx", "onnxruntime")


def keep(source: str, lines: Sequence[Line]) -> None:
    """Replace what was known of a source."""
    opened = [line for line in lines if line.compared]
    found = {
        "networks": len(opened),
        "compared": sum(line.compared for line in opened),
        "wrong": sum(line.wrong for line in opened),
        "missing": sum(line.missing for line in opened),
        "not opened": {line.network: line.note for line in lines if not line.compared},
        "versions": versions(),
    }
    content = json.dumps(known() | {source: found}, indent=1, sort_keys=True)
    FILE.write_text(f"{content}\n", encoding="utf-8")


def known() -> dict[str, Any]:
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package).partition("+")[0]
        except PackageNotFoundError:
            continue
    return found
