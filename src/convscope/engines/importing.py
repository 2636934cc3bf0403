"""What a user's own code makes: "my.module:build", or the function, the class or the object itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ModelError


def title(given: Any) -> str:
    """What to call it."""
    return given if isinstance(given, str) else str(getattr(given, "__name__", type(given).__name__))


def made(given: Any, kind: type[Any]) -> Any:
    """What was given, by "my.module:build" or itself, if it is of this kind, else what it gives when it is called.

    raises   ModelError
    """
    found, name = imported(given) if isinstance(given, str) else given, title(given)
    try:
        return found() if callable(found) and not isinstance(found, kind) else found
    except Exception as error:
        first = str(error).partition("\n")[0].rstrip(".")
        raise ModelError(
            f"Cannot make '{name}', it raises {type(error).__name__}: {first}. It is called without arguments: give a function "
            "that needs none."
        ) from error


def imported(name: str) -> Any:
    """The object of that name; the working folder is looked into. Raises ModelError."""
    home, _, attribute = name.partition(":")
    try:
        with working_folder():
            found: Any = importlib.import_module(home)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found
    except ModuleNotFoundError as error:
        raise ModelError(f"Cannot import '{error.name}' for '{name}'. Start where it lies, or install it.") from error
    except AttributeError as error:
        raise ModelError(f"Cannot make '{name}': {error}. Name a function or class that is there: 'my.module:build'.") from error
    except Exception as error:
        raise ModelError(f"Cannot make '{name}', it raises {type(error).__name__}: {error}.") from error


@contextmanager
def working_folder() -> Iterator[None]:
    """What lies in it can be imported, as by the `python` that is started there."""
    sys.path.insert(0, folder := str(Path.cwd()))
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
