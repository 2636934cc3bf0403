"""Paths and addresses as people give them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import InputError


def path_of(given: object, what: str = "What is written") -> Path:
    """`given` as a path; "~/" is the home folder, as in a shell. Raises InputError for None, "" and what else names no file."""
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise InputError(f"{what} is named by a path, such as 'study', but received {given!r}.", received=given)
    text = os.fsdecode(given)
    if "\0" in text:
        raise InputError(f"No file can be called {text!r}: there is a null character in it.", received=given)
    return Path(os.path.expanduser(text) if text == "~" or text.startswith(("~/", f"~{os.sep}")) else text)


def is_address(given: object) -> bool:
    """Whether it is "https://host/name", "s3://bucket/name" or the like, and no path."""
    return isinstance(given, str) and re.match(r"\w{2,}://", given) is not None


def file_or_tag(weights: str | Path | None) -> str | Path | None:
    """The path of a file of weights; a tag ("imagenet") as it is. Raises InputError."""
    if weights is None:
        return None
    if is_address(weights):
        raise InputError(
            f"The weights '{weights}' are at an address, and nothing is downloaded from there. Download the file and give that.",
            received=weights,
        )
    path = path_of(weights, "A file of weights")
    return path if os.path.exists(path) else weights
