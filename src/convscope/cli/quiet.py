"""TensorFlow tells at every import what the processor can do, before any answer; on the command line that is left out."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
# What is neither a warning nor an error, and the line that announces it. No setting silences it that leaves the numbers alone.
TOLD = re.compile(rb"WARNING: All log messages before absl::InitializeLog|I\d{4} \d\d|To enable the following instructions: ")


def quiet_tensorflow() -> None:
    """Leave out what it tells when it is imported, unless the user has said how much that shall be."""
    if LEVEL not in os.environ and "tensorflow" not in sys.modules:
        os.environ[LEVEL] = "2"
        sys.meta_path.insert(0, Finder())


class Finder:
    """Finds TensorFlow as everybody else does, and holds back what it tells."""

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "tensorflow":
            return None
        place = sys.meta_path.index(self)
        sys.meta_path.pop(place)
        try:
            spec = importlib.util.find_spec(name)  # by all others
        finally:
            sys.meta_path.insert(place, self)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def quietly(module: ModuleType) -> Any:
                with held_back():
                    return run(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


@contextmanager
def held_back() -> Iterator[None]:
    """What is written to standard error meanwhile, by C++ too, comes afterwards, without what is only told."""
    sys.stderr.flush()
    own = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(own, 2)
            os.close(own)
            file.seek(0)
            for line in file:
                if not TOLD.match(line):
                    os.write(2, line)
