"""Maps as data for other programs: named dimensions, and a table with a row per unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra

if TYPE_CHECKING:
    from .maps import FeatureMaps

SPATIAL = {0: (), 1: ("x",), 2: ("y", "x"), 3: ("z", "y", "x")}


def table(maps: Mapping[str, FeatureMaps]) -> dict[str, npt.NDArray[Any]]:
    """Columns with a row per picture, layer and unit; of a measure that a layer lacks, NaN."""
    parts = []
    for name, each in maps.items():
        for number, picture in enumerate(each.pictures):
            columns: dict[str, npt.NDArray[Any]] = dict(each.statistics(number))
            count = len(columns["unit"])
            parts.append({"picture": np.full(count, picture), "layer": np.full(count, name), **columns})
    names = list(dict.fromkeys(name for part in parts for name in part))
    for part in parts:
        for name in names:
            part.setdefault(name, np.full(len(part["unit"]), np.nan, np.float32))
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def to_xarray(maps: FeatureMaps) -> Any:
    try:
        import xarray
    except ImportError:
        raise MissingExtra("xarray", "arrays", "An xarray object") from None
    spatial = SPATIAL.get(maps.values.ndim - 2) or tuple(f"axis{axis}" for axis in range(maps.values.ndim - 2))
    about = {"layer": maps.layer.name, "read": str(maps.reading)}
    coordinates: dict[str, Any] = {"picture": list(maps.pictures), "unit": np.arange(maps.values.shape[1])}
    if maps.signals is not None and maps.signals.centres is not None:
        coordinates["sample"] = ("x", maps.signals.centres)
    return xarray.DataArray(maps.values, coordinates, ("picture", "unit", *spatial), maps.layer.name, about)
