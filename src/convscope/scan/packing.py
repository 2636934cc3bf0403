"""Statistics as an .npz file and back: arrays, and a tree that says what they are. No pickle, which could run code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import statistics
from .histogram import Histogram
from .shards import Statistics

KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        Statistics,
        Histogram,
        statistics.Moments,
        statistics.Firing,
        statistics.Top,
        statistics.ClassSums,
        statistics.CoMoments,
        statistics.Confusion,
        statistics.MapSums,
    )
}


def pack(value: Any) -> dict[str, Any]:
    """Arrays by number, and under "tree" how they belong together."""
    arrays: dict[str, Any] = {}

    def node(each: Any) -> Any:
        if is_dataclass(each):
            return {
                "kind": type(each).__name__,
                "fields": {name: node(getattr(each, name)) for name in each.__dataclass_fields__},
            }
        if isinstance(each, Mapping):
            return {"map": [[key, node(value)] for key, value in each.items()]}
        if isinstance(each, bool | int | float):
            return {"number": each}
        name = f"a{len(arrays)}"
        arrays[name] = np.asarray(each)
        return {"array": name}

    tree = node(value)
    return {**arrays, "tree": np.array(json.dumps(tree))}


def unpack(arrays: Mapping[str, Any]) -> Any:
    """What `pack` was given."""

    def made(node: Any) -> Any:
        if "kind" in node:
            return KINDS[node["kind"]](**{name: made(each) for name, each in node["fields"].items()})
        if "map" in node:
            return {key: made(each) for key, each in node["map"]}
        return node["number"] if "number" in node else arrays[node["array"]]

    return made(json.loads(str(arrays["tree"])))


def load(path: Path) -> Any:
    """What an .npz of `pack` holds. Raises OSError, ValueError or KeyError for a damaged one."""
    with np.load(path, allow_pickle=False) as arrays:
        return unpack(arrays)
