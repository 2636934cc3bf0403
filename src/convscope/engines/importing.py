"""What a user's own code has under a name: "my.module:build"."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from ..errors import ModelError


def made(name: str, kind: type[Any]) -> Any:
    """The object of that name if it is of this kind, else what it gives when it is called; the working folder is looked into.

    raises   ModelError
    """
    home, _, attribute = name.partition(":")
    sys.path.insert(0, folder := str(Path.cwd()))
    try:
        found: Any = importlib.import_module(home)
        for part in attribute.split("."):
            found = getattr(found, part)
        return found if isinstance(found, kind) else found()
    except ModuleNotFoundError as error:
        raise ModelError(f"Cannot import '{error.name}' for '{name}'. Start where it lies, or install it.") from error
    except AttributeError as error:
        raise ModelError(f"Cannot make '{name}': {error}.") from error
    except Exception as error:
        raise ModelError(f"Cannot make '{name}', it raises {type(error).__name__}: {error}.") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
