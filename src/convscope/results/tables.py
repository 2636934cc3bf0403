"""Columns of numbers as files that other programs read: CSV, Parquet, NumPy, Zarr."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..errors import InputError, MissingExtra, WrongOption
from .npz import save_npz

ENDINGS = (".csv", ".npz", ".parquet", ".zarr", ".npy")
PICTURES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")
Columns = Mapping[str, npt.NDArray[Any]]


def save_table(path: Path, columns: Columns, *, values: Array | None, arrays: Mapping[str, Array]) -> Path:
    """Write what the ending of `path` asks for: `columns` (.csv, .parquet), `values` (.npy), or `arrays` by name (.npz, .zarr).

    raises   WrongOption for another ending; MissingExtra; OutputError; then nothing is half-written
    """
    from ..draw import write_whole

    ending, content = path.suffix.lower(), io.BytesIO()
    if ending == ".zarr":
        return save_zarr(path, arrays)
    if ending == ".npy" and values is not None:
        np.save(content, values)
    elif ending == ".npz":
        save_npz(content, arrays)
    elif ending == ".csv":
        content.write(as_csv(columns).encode())
    elif ending == ".parquet":
        content.write(as_parquet(columns))
    elif ending in PICTURES:
        message = f"'{path.name}' is a picture, and here numbers are written. Draw them first: .sheet().save('{path.name}')."
        raise InputError(message, received=ending, expected=ENDINGS)
    else:
        raise WrongOption(f"The ending of '{path.name}'", ending, ENDINGS if values is not None else ENDINGS[:-1])
    return write_whole(path, content.getvalue())


def as_csv(columns: Columns) -> str:
    """A line of names, then a line per row; what is not a number is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in zip(*(column.tolist() for column in columns.values()), strict=True):
        writer.writerow("" if isinstance(cell, float) and np.isnan(cell) else cell for cell in row)
    return text.getvalue()


def as_parquet(columns: Columns) -> bytes:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("pyarrow", "arrays", "Parquet") from None
    content = arrow.BufferOutputStream()
    parquet.write_table(arrow.table({name: np.ascontiguousarray(column) for name, column in columns.items()}), content)
    result: bytes = content.getvalue().to_pybytes()
    return result


def save_zarr(path: Path, arrays: Mapping[str, Array]) -> Path:
    """A Zarr group with an array per name, slashes in names as groups in groups. An earlier one there is replaced."""
    from ..studies.files import replacing

    try:
        import zarr
    except ImportError:
        raise MissingExtra("zarr", "arrays", "Zarr") from None
    with replacing(path, mark="zarr.json") as draft:
        group = zarr.open_group(draft, mode="w")
        for name, values in arrays.items():
            group.create_array(name, data=np.ascontiguousarray(values))
    return path
