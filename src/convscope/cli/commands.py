"""All commands, a module per group of them: parse, call, say where the result is."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import ConvscopeError, ConvscopeWarning
from . import ablate, explain, look, network, overlay, scan  # noqa: F401 - each adds its commands, as the help lists them
from .app import app
from .quiet import quiet_tensorflow


def run() -> None:
    """What a user did wrong is one sentence and exit 2; a defect of ours is a traceback and exit 1."""
    quiet_tensorflow()
    try:
        with warnings_as_notes():
            app()
    except ConvscopeError as error:
        print(f"convscope: {error}", file=sys.stderr)
        sys.exit(2)


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Our own warnings without the line of code that they come from."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", ConvscopeWarning)
        show = warnings.showwarning

        def note(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, ConvscopeWarning):
                print(f"Note: {message}", file=sys.stderr)
            else:
                show(message, category, *where, **more)

        warnings.showwarning = note
        yield
