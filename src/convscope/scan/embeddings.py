"""Pictures as points: what a layer says of each picture, pooled, and what can be done with that."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array
from ..draw import write_whole
from ..errors import InputError
from ..paths import path_of
from .importing import package, umap_package
from .neighbours import Index
from .statistics import CoMoments
from .table import Table

BLOCK = 4096  # pictures at a time
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Principal:
    """Principal components: points (n, components), directions (components, units), and the share of the variance of each."""

    points: Array
    directions: Doubles
    mean: Doubles
    shares: Doubles


@dataclass(frozen=True, eq=False)
class Embedding:
    """What one layer says of every picture: values (n, units), the means of its maps.

    pictures   a row per picture: number, name, label, answer
    """

    layer: str
    values: Array
    pictures: Table
    _indexes: dict[tuple[str, str], Index] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def moments(self) -> CoMoments:
        """Means and covariances, block by block, so that any number of pictures takes the memory of one block."""
        moments = CoMoments()
        for start in range(0, len(self.values), BLOCK):
            moments = moments.update(self.values[start : start + BLOCK])
        return moments

    def pca(self, components: int = 2) -> Principal:
        """The directions in which the pictures differ most, from the exact covariance. Signs: the largest weight is positive.

        raises   InputError for more components than there are units
        """
        units = self.values.shape[1]
        if not 1 <= components <= units:
            raise InputError(f"'{self.layer}' has 1 to {units} principal components, but received {components}.")
        variances, directions = np.linalg.eigh(self.moments.covariance)
        chosen = directions[:, ::-1][:, :components].T
        chosen = chosen * np.sign(chosen[np.arange(components), np.abs(chosen).argmax(1)])[:, None]
        mean = np.asarray(self.moments.mean)
        points = np.concatenate(
            [(self.values[start : start + BLOCK] - mean) @ chosen.T for start in range(0, len(self.values), BLOCK)]
        )
        shares = np.clip(variances[::-1][:components], 0, None) / max(float(np.clip(variances, 0, None).sum()), 1e-300)
        return Principal(points.astype(np.float32), chosen, mean, shares)

    def tsne(self, *, perplexity: float = 30.0, seed: int = 0) -> Array:
        """(n, 2). Only neighbourhoods mean something, distances between groups do not. van der Maaten and Hinton 2008.

        raises   MissingExtra
        """
        manifold = package("sklearn.manifold", "scikit-learn")
        start = self.pca(min(50, self.values.shape[1], len(self.values))).points
        perplexity = min(perplexity, (len(start) - 1) / 3)
        points: Array = manifold.TSNE(2, perplexity=perplexity, random_state=seed, init="pca").fit_transform(start)
        return points

    def umap(self, *, neighbours: int = 15, seed: int = 0) -> Array:
        """(n, 2). McInnes, Healy and Melville 2018. Raises MissingExtra."""
        umap = umap_package()
        start = self.pca(min(50, self.values.shape[1], len(self.values))).points
        reducer = umap.UMAP(n_neighbors=min(neighbours, len(start) - 1), random_state=seed, n_jobs=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a fixed seed costs threads, say
            points: Array = np.asarray(reducer.fit_transform(start), np.float32)
        return points

    def nearest(self, picture: int | str | Array, k: int = 9, *, metric: str = "cosine", index: str = "scikit-learn") -> Table:
        """The k pictures that are most like one: a picture of the scan by number or name, or values (units,) of another one.

        metric    "cosine" or "euclidean"; a picture of the scan is not its own neighbour
        index     "scikit-learn", or "faiss", which is faster from some hundred thousand pictures on
        raises    InputError, WrongOption, MissingExtra
        """
        own = self._row(picture) if isinstance(picture, int | str) else None
        point = self.values[own] if own is not None else np.asarray(picture, np.float32)
        if point.shape != self.values.shape[1:]:
            raise InputError(f"'{self.layer}' has {self.values.shape[1]} units, but the values given have shape {point.shape}.")
        distances, rows = self.index(metric, index).nearest(point[None], k + (own is not None))
        kept = [(row, distance) for row, distance in zip(rows[0], distances[0], strict=True) if row != own][:k]
        table = self.pictures.take(np.array([row for row, _ in kept], int))
        return Table({**table, "distance": np.array([distance for _, distance in kept])})

    def index(self, metric: str = "cosine", by: str = "scikit-learn") -> Index:
        """Of all pictures; made once. Raises WrongOption, MissingExtra."""
        if (metric, by) not in self._indexes:
            self._indexes[metric, by] = Index(self.values, metric, by)
        return self._indexes[metric, by]

    def _row(self, picture: int | str) -> int:
        column = self.pictures["picture" if isinstance(picture, int) else "name"]
        found = np.flatnonzero(column == picture)
        if not len(found):
            raise InputError(f"There is no picture {picture!r} in this scan.", received=picture)
        return int(found[0])

    def probe(self, *, seed: int = 0, share: float = 0.8) -> float:
        """How well a linear classifier of these values tells the classes, on pictures not fitted to. Alain and Bengio 2016.

        share    of the pictures that it is fitted to, of each class as many
        raises   InputError without labels; MissingExtra
        """
        linear, pipeline, scaling = (
            package(f"sklearn.{name}", "scikit-learn") for name in ("linear_model", "pipeline", "preprocessing")
        )
        fitted, held, labels = self._parted(seed, share)
        model = pipeline.make_pipeline(scaling.StandardScaler(), linear.LogisticRegression(max_iter=500))
        return float(model.fit(self.values[fitted], labels[fitted]).score(self.values[held], labels[held]))

    def knn_accuracy(self, k: int = 5, *, seed: int = 0, share: float = 0.8) -> float:
        """As `probe`, by the majority of the k nearest pictures."""
        neighbors = package("sklearn.neighbors", "scikit-learn")
        fitted, held, labels = self._parted(seed, share)
        model = neighbors.KNeighborsClassifier(min(k, len(fitted)))
        return float(model.fit(self.values[fitted], labels[fitted]).score(self.values[held], labels[held]))

    def _parted(self, seed: int, share: float) -> tuple[Any, Any, Any]:
        selection = package("sklearn.model_selection", "scikit-learn")
        labels = self.pictures["label"]
        known = np.flatnonzero([label is not None for label in labels])
        counts = np.unique(labels[known].astype(str), return_counts=True)[1] if len(known) else np.zeros(0)
        if len(counts) < 2 or counts.min() < 2:
            raise InputError("A probe needs at least two classes with two pictures each. Scan pictures in a folder per class.")
        fitted, held = selection.train_test_split(
            known, train_size=share, test_size=max(len(counts), round((1 - share) * len(known))), random_state=seed,
            stratify=labels[known].astype(str),
        )  # fmt: skip
        return fitted, held, labels.astype(str)

    def export(self, path: str | Path, *, components: int | None = None) -> Path:
        """Write a row per picture, as the ending says: .parquet, .csv or .npz. Raises InputError, OutputError, MissingExtra.

        components   so many principal components instead of all units
        """
        path = path_of(path)
        values = np.asarray(self.values) if components is None else self.pca(components).points
        stem = "unit" if components is None else "component"
        if path.suffix not in CONTENT:
            raise InputError(f"Features are written as .parquet, .csv or .npz, but received '{path.name}'.")
        return write_whole(path, CONTENT[path.suffix](self.pictures, values, stem))


def as_parquet(pictures: Table, values: Array, stem: str) -> bytes:
    from .tables import parquet

    columns = {f"{stem}_{number}": values[:, number] for number in range(values.shape[1])}
    return parquet({**{name: pictures[name] for name in ("picture", "name", "label")}, **columns}, {})


def as_csv(pictures: Table, values: Array, stem: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["picture", "name", "label", *(f"{stem}_{number}" for number in range(values.shape[1]))])
    for row, (number, name, label) in enumerate(zip(*(pictures[each] for each in ("picture", "name", "label")), strict=True)):
        writer.writerow([number, name, label, *values[row].tolist()])
    return text.getvalue().encode()


def as_npz(pictures: Table, values: Array, _stem: str) -> bytes:
    content = io.BytesIO()
    labels = np.array(["" if each is None else each for each in pictures["label"]], str)
    np.savez(content, values=values, picture=pictures["picture"], name=pictures["name"].astype(str), label=labels)
    return content.getvalue()


CONTENT = {".parquet": as_parquet, ".csv": as_csv, ".npz": as_npz}


def cka(first: Array, second: Array) -> float:
    """How alike two sets of points are, 0..1, whatever the axes and their number: linear CKA. Kornblith et al. 2019.

    ||Y'X||^2 / (||X'X|| ||Y'Y||), of centred columns; first (n, p), second (n, q), of the same pictures in the same order
    raises   InputError where the numbers of pictures differ
    """
    if len(first) != len(second):
        raise InputError(f"CKA compares two views of the same pictures, but received {len(first)} and {len(second)} of them.")
    x, y = (np.asarray(each, np.float64) - np.asarray(each, np.float64).mean(0) for each in (first, second))
    norm = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.linalg.norm(y.T @ x) ** 2 / norm) if norm else 0.0


def curve(embeddings: Sequence[Embedding], *, seed: int = 0) -> Table:
    """A row per layer, in the order of depth: accuracy of the linear probe and of the nearest neighbours."""
    return Table(
        {
            "layer": np.array([each.layer for each in embeddings], object),
            "probe": np.array([each.probe(seed=seed) for each in embeddings]),
            "knn": np.array([each.knn_accuracy(seed=seed) for each in embeddings]),
        }
    )
