"""The command line. Here is only its entry, which imports nothing that takes time: Ctrl-C is met from the first moment on."""

from __future__ import annotations

import signal
import threading
from types import FrameType

STOPPED = 130  # what shells say of a program that Ctrl-C ended


def main() -> None:
    """The entry point. A user's mistake is one sentence and exit 2, Ctrl-C is exit 130; a defect of ours is a traceback."""
    stopping = Stopping()
    try:
        with stopping:
            from .commands import run

            run()
    except BaseException as error:
        if stopping.stopped or isinstance(error, KeyboardInterrupt):
            raise SystemExit(STOPPED) from None
        raise


class Stopping:
    """Remembers that Ctrl-C was pressed: where it meets the import of a library, that may raise an error of its own instead."""

    stopped = False

    def __enter__(self) -> None:
        self._own = threading.current_thread() is threading.main_thread() and (
            signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else a program that calls us has its own
        )
        if self._own:
            signal.signal(signal.SIGINT, self._stop)

    def __exit__(self, *_: object) -> None:
        if self._own:
            # What is left of a program that was stopped is its end, and a second Ctrl-C then ends it with no traceback.
            signal.signal(signal.SIGINT, signal.SIG_DFL if self.stopped else signal.default_int_handler)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopped = True
        raise KeyboardInterrupt
