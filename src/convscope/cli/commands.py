"""All commands, a module per group of them: parse, call, say where the result is."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from typer.main import get_command

from ..errors import ConvscopeError, ConvscopeWarning, InputError
from . import ablate, diff, explain, look, network, overlay, scan  # noqa: F401 - each adds its commands, as the help lists them
from .app import USAGE, app
from .quiet import quiet_tensorflow
from .streams import write_every_name, written

COMMAND = get_command(app)  # once: an app builds it anew in each call


def run() -> None:
    """What a user did wrong is one sentence and exit 2; a defect of ours is a traceback and exit 1."""
    quiet_tensorflow()
    write_every_name()
    try:
        refuse_empty(sys.argv[1:])
        with warnings_as_notes(), written():
            sys.exit(COMMAND(standalone_mode=False, prog_name="convscope") or 0)
    except USAGE as error:
        print(misused(error, sys.argv[1:]), file=sys.stderr)
        sys.exit(2)
    except ConvscopeError as error:
        print(f"convscope: {error}", file=sys.stderr)
        sys.exit(2)


def misused(error: Any, arguments: Sequence[str]) -> str:
    """What the parser did not understand, in the form of our other errors; the help, where nothing was asked for."""
    says, context = error.format_message().strip(), getattr(error, "ctx", None)
    if "\n" in says:
        return str(says)
    names = tuple(getattr(getattr(error, "param", None), "opts", ()))
    value = next((each for before, each in zip(arguments, arguments[1:], strict=False) if before in names), None)
    received = "" if value is None or value in says else f", but received '{value}'"
    command = context.command_path if context else f"convscope {arguments[0]}"
    return f"convscope: {says.rstrip('.')}{received}. '{command} --help' lists what there is."


def refuse_empty(arguments: Sequence[str]) -> None:
    """Raises InputError. As a path "" would be the folder that we are in, with all that is there."""
    for before, each in zip(("convscope", *arguments), arguments, strict=False):
        if not each or re.fullmatch(r"--[\w-]+=", each):
            after = f"What follows '{before}'" if not each else f"The value of '{each[:-1]}'"
            raise InputError(f"{after} is empty. If it stands for a variable of the shell, that is not set.", received=each)


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
