"""The sha256 of a file, which says which network a result came from."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path


class Digest:
    """Reads the file in a thread of its own, beside whoever loads it: hashing holds no lock, and takes as long as loading."""

    def __init__(self, path: Path):
        self._path, self._found = path, ""
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._read, daemon=True)  # if loading fails, nobody waits for it
        self._thread.start()

    def value(self) -> str:
        """In hexadecimal. Raises OSError."""
        self._thread.join()
        if self._error:
            raise self._error
        return self._found

    def _read(self) -> None:
        try:
            with self._path.open("rb") as file:
                self._found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            self._error = error
