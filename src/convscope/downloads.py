"""Fetching a file so that it is there whole and right, or not at all; a download that breaks off goes on where it stopped."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from .errors import DownloadError

Progress = Callable[[int, int], None]
CHUNK = 1 << 20
WAIT = 30.0  # seconds without a byte after which a connection counts as broken
PAUSE = 0.5  # seconds before the second attempt; twice as many before each further one


class Broken(Exception):
    """The connection ended too early; another attempt may go on from there."""


def fetch(url: str, path: Path, *, digest: str | None = None, progress: Progress | None = None, attempts: int = 5) -> Path:
    """Download `url` to `path`, which appears when all of it is there and its digest is right. Returns `path`.

    What has arrived is kept in `path.part`, and the next attempt, in this call or a later one, asks for the rest. It is used
    only if the server says that the file is still the same (If-Range), or if `digest` will tell.

    digest     "sha256:..." or "md5:...", of which the beginning is enough
    progress   called with (bytes done, bytes in all)
    attempts   how many may end without a single new byte before it is given up
    raises     DownloadError; an earlier file at `path` is untouched then
    """
    part = path.with_name(path.name + ".part")
    failed, most, why = 0, 0, ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while failed < attempts:
            most = max(most, size_of(part))
            try:
                receive(url, part, known=digest is not None, progress=progress)
                break
            except Broken as error:
                why = str(error)
                failed = 0 if size_of(part) > most else failed + 1
                time.sleep(PAUSE * 2**failed if failed < attempts else 0)
        else:
            raise DownloadError(url, path, f"{why} What has arrived is kept, and the same command goes on from there.")
        if digest and not matches(part, digest):
            forget(part)
            raise DownloadError(url, path, f"what arrived is another file than the one expected, whose digest begins {digest}.")
        os.replace(part, path)
    except urllib.error.HTTPError as error:
        raise DownloadError(url, path, f"the server answers {error.code} {error.reason}.") from error
    except OSError as error:
        raise DownloadError(url, path, f"{error.strerror or error}.") from error
    forget(part)
    return path


def receive(url: str, part: Path, *, known: bool, progress: Progress | None) -> None:
    """Append what `part` lacks, or begin anew where the server cannot go on. Raises Broken, HTTPError, OSError."""
    have, tag = size_of(part), tag_of(part)
    headers = {"User-Agent": "convscope", "Accept-Encoding": "identity"}
    if have and (tag or known):
        headers |= {"Range": f"bytes={have}-"} | ({"If-Range": tag} if tag else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=WAIT) as answer:
            start = resumed_at(answer, have) if "Range" in headers else 0
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length and length.isdigit() else 0
            remember(part, answer.headers.get("ETag") or answer.headers.get("Last-Modified"))
            with part.open("r+b" if start else "wb") as file:
                file.seek(start)
                done = start
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    done += len(chunk)
                    if progress:
                        progress(done, total or done)
                file.truncate()
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing after what there is: it was whole, or of another file
            if known:
                return
            forget(part)
            raise Broken("The server has less of it than has arrived already.") from error
        if error.code in (408, 429) or error.code >= 500:
            raise Broken(f"The server answers {error.code} {error.reason}.") from error
        raise
    except http.client.IncompleteRead as error:
        raise Broken("The connection broke off.") from error
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise Broken(f"There is no connection ({getattr(error, 'reason', None) or error}).") from error
    if total and done < total:
        raise Broken(f"The connection broke off after {done:,} of {total:,} bytes.")


def resumed_at(answer: http.client.HTTPResponse, have: int) -> int:
    """Where the answer begins: `have` if the server goes on from there, 0 if it sends everything."""
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return have if answer.status == 206 and found and int(found[1]) == have else 0


def matches(path: Path, digest: str) -> bool:
    kind, _, expected = digest.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest().startswith(expected.lower())


def size_of(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def remember(part: Path, tag: str | None) -> None:
    """Which version of the file the server said it sends. A weak tag promises nothing about bytes."""
    if tag and not tag.startswith("W/"):
        _tag_file(part).write_text(tag, encoding="utf-8")
    else:
        _tag_file(part).unlink(missing_ok=True)


def tag_of(part: Path) -> str | None:
    return _tag_file(part).read_text(encoding="utf-8") if _tag_file(part).exists() else None


def forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _tag_file(part).unlink(missing_ok=True)


def _tag_file(part: Path) -> Path:
    return part.with_name(part.name + ".tag")
