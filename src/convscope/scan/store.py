"""The folder of a scan while it grows. A file is written beside its name and moved in place: it is whole or not there.

    scan.json              what is scanned: the network, the preprocessing, the pictures, the plan
    shards/000008.npz      the statistics of the first eight shards, a whole group; see merging.py
    shards/000010.part.npz those of the two shards since
    shards/000002.rows.npz what is kept per picture of shard 2: number, name, label, answer, features, mark, reason if skipped

A shard counts as done when the statistics that include it are there. They are merged in the order of the shards, always, so
that a scan that was killed and went on has the numbers of one that was not, to the bit.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ..errors import OutputError
from ..results.npz import save_npz
from .merging import GROUP, Tree
from .packing import load, pack
from .plan import Plan
from .shards import Pooled, Statistics

FORMAT = 1
LOCK = ".lock"
KEPT = ("identity", "plan")


class Store:
    """The folder of one scan.

    raises   OutputError for a folder with other files, or with a scan of something else; for a disk that is full
    """

    def __init__(self, folder: Path):
        self.folder, self.shards = folder, folder / "shards"

    def record(self) -> dict[str, Any] | None:
        """What scan.json says; None if there is no scan yet."""
        try:
            found = json.loads((self.folder / "scan.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise OutputError(
                self.folder, f"its scan.json is damaged ({error}). Delete the folder or choose another one."
            ) from error
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise OutputError(self.folder, "it holds a scan of another version. Delete the folder or choose another one.")
        return found

    def begin(self, identity: Mapping[str, Any]) -> dict[str, Any] | None:
        """The record of the scan that goes on here, None for a new one. Raises OutputError for a scan of something else."""
        self.check()
        record = self.record()
        if record is None:
            if self.folder.is_dir() and any(each.name not in ("shards", LOCK) for each in self.folder.iterdir()):
                raise OutputError(self.folder, "the folder holds other files. Choose an empty or a new one.")
            with self.writing():
                shutil.rmtree(self.shards, ignore_errors=True)  # nothing says what these are of
            return None
        for name, value in identity.items():
            if alike(record["identity"].get(name)) != alike(value):
                raise OutputError(
                    self.folder,
                    f"it holds a scan with {PHRASES[name]}, and two are not mixed. Choose another folder, or delete this one.",
                )
        return record

    def check(self) -> None:
        """Raises OutputError where there can be no folder."""
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            raise OutputError(self.folder, "there is a file or a link of that name. Choose another folder.")

    def write_record(self, record: Mapping[str, Any]) -> None:
        text = json.dumps({"format": FORMAT, **record}, indent=1, ensure_ascii=False) + "\n"
        self.write("scan.json", lambda file: file.write(text.encode()))

    def done(self) -> int:
        """How many shards are done."""
        names = (path.name.removesuffix(".npz").removesuffix(".part") for path in self.shards.glob("[0-9]*.npz"))
        return max((int(name) for name in names if name.isdigit()), default=0)

    def tree(self, done: int, plan: Plan) -> Tree:
        """The statistics of the first `done` shards."""
        tree, groups = Tree.of(plan), done - done % GROUP
        whole: Statistics = load(self.shards / whole_name(groups)) if groups else tree.whole
        part: Statistics = load(self.shards / part_name(done)) if done > groups else tree.part
        return replace(tree, whole=whole, part=part, shards=done)

    def keep(self, tree: Tree, before: int) -> None:
        """Write the statistics of all shards so far, after their rows; then the shards are done.

        before   how many were done before, whose file is needed no more
        raises   OutputError; what was there before still is
        """
        whole = not tree.shards % GROUP
        name, packed = (whole_name if whole else part_name)(tree.shards), pack(tree.whole if whole else tree.part)
        self.write(f"shards/{name}", lambda file: save_npz(file, packed))
        old = [part_name(before)] + ([whole_name(before - before % GROUP)] if whole else [])
        for each in old:
            with contextlib.suppress(OSError):
                (self.shards / each).unlink(missing_ok=True)

    def keep_rows(self, number: int, pooled: Pooled, features: Mapping[str, Any]) -> None:
        """Write what shard `number` keeps per picture. Raises OutputError."""
        rows = {
            "numbers": pooled.numbers,
            "names": np.array(pooled.names, str),
            "labels": pooled.labels,
            "answers": pooled.answers,
            "probability": pooled.probability,
            "marks": pooled.marks,
            "skipped": np.array(json.dumps(pooled.skipped)),
            **{f"features/{number}": values for number, values in enumerate(features.values())},
        }
        self.write(f"shards/{number:06d}.rows.npz", lambda file: save_npz(file, rows))

    def rows(self, done: int) -> Iterator[dict[str, Any]]:
        """What was kept per picture, shard by shard."""
        for number in range(done):
            with np.load(self.shards / f"{number:06d}.rows.npz", allow_pickle=False) as arrays:
                yield dict(arrays)

    def marks(self) -> npt.NDArray[np.int64]:
        """(n, 3): number, time and content of the files that were read, see marks.py. Earlier versions kept none: (0, 3)."""
        path, parts = self.folder / "marks.npy", [np.empty((0, 3), np.int64)]
        if path.exists():
            return np.asarray(np.load(path, allow_pickle=False))
        for part in self.rows(self.done()) if self.shards.is_dir() else ():
            if "marks" in part:
                parts.append(np.column_stack([part["numbers"], part["marks"]]))
        return np.concatenate(parts)

    def clean(self) -> None:
        """Drop what only a scan that goes on needs, and what a kill left half-written."""
        for each in self.folder.glob("**/.writing-*"):
            each.unlink(missing_ok=True)
        if self.record() and (self.folder / "units.parquet").exists():
            shutil.rmtree(self.shards, ignore_errors=True)

    def write(self, name: str, fill: Callable[[IO[bytes]], object], *, sync: bool = True) -> Path:
        """Write a file so that it is whole or not there. Raises OutputError.

        sync   wait until it is on the disk: what can be made again need not survive a power cut
        """
        path = self.folder / name
        draft = path.parent / f".writing-{path.name}"
        with self.writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            content = io.BytesIO()  # npz and parquet go back and forth in a file
            fill(content)
            with draft.open("wb") as file:
                file.write(content.getbuffer())
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(draft, path)
        return path

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other process may write into the folder meanwhile. A lock goes with its process, however that ends.

        raises   OutputError where another one does
        """
        self.check()
        path, new = self.folder / LOCK, not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a")
        except OSError as error:
            raise OutputError(self.folder, f"{error.strerror or error}. Choose another folder.") from error
        with file:
            if not lock(file):
                raise OutputError(self.folder, "another process is writing into it. Wait for that, or choose another folder.")
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
                if new:
                    with contextlib.suppress(OSError):  # unless there is something in it by now
                        self.folder.rmdir()

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = f"{error.strerror or error}. What was finished is kept: make room, and the same command goes on from there."
            raise OutputError(self.folder, why) from error


def alike(value: Any) -> Any:
    """Of settings, a list of one layer as that layer: the command line asks for lists, Python for words, and means the same."""
    if not isinstance(value, Mapping):
        return value
    return {name: each[0] if isinstance(each, list) and len(each) == 1 else each for name, each in value.items()}


def lock(file: IO[Any]) -> bool:
    """Whether the file is ours now, and still the one of its name."""
    try:
        import fcntl
    except ImportError:  # a system without it: then nobody watches
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_nlink > 0
    except OSError:
        return False


def whole_name(shards: int) -> str:
    return f"{shards:06d}.npz"


def part_name(shards: int) -> str:
    return f"{shards:06d}.part.npz"


PHRASES = {
    "network": "another network",
    "preprocess": "another preprocessing",
    "pictures": "another list of pictures",
    "labels": "other names of the classes",
    "settings": "other settings (layers, k, maps, features, correlations)",
}
