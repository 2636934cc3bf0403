"""What frameworks say when they fail, each in its own words. Of too little memory: how much was asked for, and what lowers it."""

from __future__ import annotations

import re
from math import prod

from ..errors import EngineError

ASKED = re.compile(r"(?:allocate|allocating) ([\d.]+) ?(\w+)", re.IGNORECASE)  # torch, NumPy, JAX
TENSOR = re.compile(r"tensor with shape\[([\d,]*)\] and type (\w+)")  # TensorFlow
WORDS = ("allocate memory", "out of memory", "resource_exhausted", "oom when allocating")
KINDS = (MemoryError.__name__, "OutOfMemoryError", "ResourceExhaustedError")
UNITS = {"bytes": 1} | {f"{letter}iB": 2 ** (10 * power) for power, letter in enumerate("KMGTPE", 1)}
BYTES = {"double": 8, "int64": 8, "half": 2, "bfloat16": 2, "bool": 1, "uint8": 1, "int8": 1}  # of a number; 4 of all others
LOWER = "Give fewer pictures at a time, smaller ones (preprocess='0..1 128', --preprocess), or ask for fewer layers (at=, --at)."


def first_line(error: BaseException) -> str:
    """And the second, where the first only announces it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]


def is_out_of_memory(error: BaseException) -> bool:
    kinds = {each.__name__ for each in type(error).__mro__}
    return not kinds.isdisjoint(KINDS) or any(word in str(error).lower() for word in WORDS)


def asked(error: BaseException) -> str:
    """How much more was wanted, in GB or MB."""
    if found := ASKED.search(str(error)):
        size = float(found[1].rstrip(".")) * UNITS.get(found[2], 1)
    elif found := TENSOR.search(str(error)):
        size = prod(int(each) for each in found[1].split(",") if each) * BYTES.get(found[2], 4)
    else:
        return ""
    return f": {size / 1e9:,.1f} GB more were asked for" if size >= 1e9 else f": {size / 1e6:,.1f} MB more were asked for"


def too_little(error: BaseException, what: str) -> str:
    """What is said of it. what: what there is not enough for."""
    return f"There is not enough memory for {what}{asked(error)}. {LOWER}"


def no_gradient(error: BaseException, framework: str) -> EngineError:
    if is_out_of_memory(error):
        return EngineError(too_little(error, "this gradient"))
    return EngineError(f"{framework} cannot take this gradient. {first_line(error)}")
