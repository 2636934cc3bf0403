"""Progress on the terminal, for whatever takes more than a second."""

from __future__ import annotations

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Steps:
    """A line that says what is going on. It appears after a second, on standard error, and only on a terminal."""

    def __init__(self, delay: float = 1.0):
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:g} of {task.total:g}", justify="right"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=1)
        self._timer = threading.Timer(delay, self._progress.start)
        self._timer.daemon = True

    def __enter__(self) -> Steps:
        if self._progress.console.is_terminal:
            self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        if self._progress.live.is_started:  # stopping what never began would print an empty line
            self._progress.stop()

    def begin(self, what: str) -> None:
        """Name the step that begins now."""
        self._progress.reset(self._task, total=1, description=what)

    def say(self, what: str) -> None:
        """Name the step that goes on in other words, at what pace say."""
        self._progress.update(self._task, description=what)

    def __call__(self, done: int, total: int) -> None:
        self._progress.update(self._task, completed=done, total=total)
