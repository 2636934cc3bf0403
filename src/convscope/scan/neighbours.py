"""An index of points that finds the nearest ones: scikit-learn's, or faiss for very many. Both are exact and agree."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..errors import InputError, WrongOption
from .importing import package

METRICS, INDEXES = ("cosine", "euclidean"), ("scikit-learn", "faiss")


class Index:
    """Of values (n, units). raises WrongOption, MissingExtra"""

    def __init__(self, values: Array, metric: str = "cosine", by: str = "scikit-learn"):
        if metric not in METRICS:
            raise WrongOption("How far pictures are apart", metric, METRICS)
        if by not in INDEXES:
            raise WrongOption("The index of neighbours", by, INDEXES)
        self.count, self.units = values.shape
        self._find = of_faiss(values, metric) if by == "faiss" else of_scikit_learn(values, metric)

    def nearest(self, points: Array, k: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]]:
        """(m, k) distances and rows, the nearest first, of points (m, units); as many as there are if there are fewer."""
        if points.ndim != 2 or points.shape[1] != self.units:
            raise InputError(f"Points of {self.units} values were indexed, but received an array of shape {points.shape}.")
        distances, rows = self._find(np.ascontiguousarray(points, np.float32), min(k, self.count))
        return np.asarray(distances, np.float64), np.asarray(rows, np.intp)


def of_scikit_learn(values: Array, metric: str) -> Any:
    index = package("sklearn.neighbors", "scikit-learn").NearestNeighbors(metric=metric).fit(values)
    return lambda points, k: index.kneighbors(points, k)


def of_faiss(values: Array, metric: str) -> Any:
    """Inner products of unit vectors are 1 - the cosine distance; faiss gives squares of Euclidean distances."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of how faiss was made, on import
        faiss = package("faiss", "faiss-cpu", extra="faiss")
    cosine = metric == "cosine"
    index = (faiss.IndexFlatIP if cosine else faiss.IndexFlatL2)(values.shape[1])
    index.add(scaled(values) if cosine else np.ascontiguousarray(values, np.float32))
    return partial(found_by_faiss, index, cosine)


def found_by_faiss(index: Any, cosine: bool, points: Array, k: int) -> tuple[Any, Any]:
    distances, rows = index.search(scaled(points) if cosine else points, k)
    return (1 - distances if cosine else np.sqrt(np.maximum(distances, 0))), rows


def scaled(values: Array) -> Array:
    """Each row of length 1; zero stays zero, at right angles to all."""
    values = np.asarray(values, np.float32)
    return np.ascontiguousarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-30))
