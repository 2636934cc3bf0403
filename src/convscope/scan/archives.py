"""Pictures in zip and tar files, read where they lie."""

from __future__ import annotations

import tarfile
import threading
import weakref
import zipfile
from pathlib import Path

from ..errors import InputError
from ..pictures.sources import Source
from .entries import Entry, Listing, of_entries
from .folders import labelled


def of_zip(path: Path) -> Listing:
    """Raises InputError for a file that is damaged."""
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"Cannot read '{path}' as a zip file: {error}. Get it again from where it comes from.") from error
    members = [each for each in archive.infolist() if not each.is_dir() and not hidden(each.filename)]
    entries = labelled((each.filename, f"{each.file_size} {each.CRC:08x}") for each in members)

    def get(entry: Entry) -> Source:
        try:
            return Source(entry.name, archive.read(entry.name))
        except (OSError, zipfile.BadZipFile, zipfile.zlib.error, RuntimeError, NotImplementedError) as error:  # type: ignore[attr-defined]
            raise InputError(f"'{entry.name}' cannot be read from '{path}': {error}") from error

    return of_entries("zip", entries, path, get)


def of_tar(path: Path) -> Listing:
    """Also compressed; then it is read in order, and a look back costs reading it from its beginning."""
    try:
        archive = tarfile.open(path)  # noqa: SIM115 - stays open as long as its pictures are read
        members = {each.name: each for each in archive.getmembers() if each.isfile() and not hidden(each.name)}
    except (OSError, tarfile.TarError, EOFError) as error:
        raise InputError(f"Cannot read '{path}' as a tar file: {error}. Get it again from where it comes from.") from error
    entries = labelled((name.removeprefix("./"), str(each.size)) for name, each in members.items())
    by_name = {name.removeprefix("./"): each for name, each in members.items()}
    one_at_a_time = threading.Lock()

    def get(entry: Entry) -> Source:
        try:
            with one_at_a_time:
                file = archive.extractfile(by_name[entry.name])
                return Source(entry.name, b"" if file is None else file.read())
        except (OSError, tarfile.TarError, EOFError) as error:
            raise InputError(f"'{entry.name}' cannot be read from '{path}': {error}") from error

    weakref.finalize(get, archive.close)
    return of_entries("tar", entries, path, get)


def hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.removeprefix("./").split("/"))
