"""Where a command prints to: what a terminal cannot write, a reader that went away, a disk that is full."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from ..errors import OutputError


def write_every_name() -> None:
    """A letter that the encoding of a stream lacks is written by its number: a name of a file may hold any."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def has_every_letter() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


@contextmanager
def written() -> Iterator[None]:
    """What was printed is written at the end of it. Raises OutputError for a full disk; a reader that went away has enough."""
    try:
        try:
            yield
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.EPIPE, errno.ENOSPC, errno.EIO):
            raise
        drop()
        if error.errno == errno.EPIPE:
            sys.exit(1)
        raise OutputError("standard output", f"{error.strerror}.") from error


def drop() -> None:
    """What is still to be written would fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
