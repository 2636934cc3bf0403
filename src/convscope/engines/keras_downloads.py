"""The downloads of keras.applications, made so that they go on where they broke off. They land where Keras looks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from keras.src.utils import file_utils

from ..downloads import Progress, fetch, matches

DIGESTS = {32: "md5", 64: "sha256"}  # by the number of hexadecimal digits


@contextmanager
def resumable(progress: Progress | None = None) -> Iterator[None]:
    """Inside, what Keras fetches by `get_file` goes through `downloads.fetch`, which raises DownloadError."""

    def get_file(fname: str, origin: str, *, file_hash: str | None = None, cache_subdir: str = "datasets", **other: Any) -> str:
        digest = file_hash or other.get("md5_hash")
        if other.get("extract") or other.get("untar") or other.get("cache_dir") or (digest and len(digest) not in DIGESTS):
            return str(keras_own(fname, origin, file_hash=file_hash, cache_subdir=cache_subdir, **other))
        path, said = cache() / cache_subdir / fname, digest and f"{DIGESTS[len(digest)]}:{digest}"
        if path.exists() and (not said or matches(path, said)):
            return str(path)
        return str(fetch(origin, path, digest=said, progress=progress))

    keras_own, file_utils.get_file = file_utils.get_file, get_file
    try:
        yield
    finally:
        file_utils.get_file = keras_own


def cache() -> Path:
    """Where Keras keeps what it fetched."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
