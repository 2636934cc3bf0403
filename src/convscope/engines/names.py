"""How rows are named, the same in every framework, so that a name means the same wherever a network lives."""

from __future__ import annotations

RESERVED = ("input", "output")  # the network's own ends; a layer of such a name is `output#1`


def numbered(path: str, call: int) -> str:
    """`relu`, and `relu#2` when it runs for the second time."""
    return path if call == 1 and path not in RESERVED else f"{path}#{call}"


def array_names(call: str, count: int) -> list[str]:
    """`lstm`, or `lstm:0` and `lstm:1` for a call that returns several arrays."""
    return [call] if count == 1 else [f"{call}:{index}" for index in range(count)]


def is_input(end: str) -> bool:
    """Whether one of the network's own ends is where it begins: `input`, `input:1`."""
    return end.partition(":")[0] == "input"


def end_names(end: str, count: int) -> list[str]:
    """`output`, and `output:1` for the second of several."""
    return [end] + [f"{end}:{index}" for index in range(1, count)]


def output_names(count: int) -> list[str]:
    return end_names("output", count)
