"""Arrays by name in one .npz file, whatever their names are."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from typing import IO, Any

import numpy as np


def save_npz(file: str | os.PathLike[str] | IO[bytes], arrays: Mapping[str, Any], *, smaller: bool = False) -> None:
    """As numpy.savez, or with `smaller` savez_compressed, which take names as arguments: they cannot write a layer that is called
    'file', and leave out one that is called 'allow_pickle'.
    """
    how = zipfile.ZIP_DEFLATED if smaller else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", how, allowZip64=True) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, np.asanyarray(values), allow_pickle=False)
