"""Concepts of a layer: a few directions whose non-negative sums make its maps, each with the crops in which it is strongest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core import Array, Engine, each_array
from ..errors import ConvscopeError, InputError
from ..pictures import Preprocess
from .crops import Field
from .decoding import decode
from .entries import Listing
from .finishing import thumbnails
from .importing import package
from .plan import Part
from .store import Store
from .table import Table
from .top import TopPictures
from .worth import chosen

ROUNDS = 400  # of the factorisation


@dataclass(frozen=True, eq=False)
class Concepts:
    """Maps (positions, units) as weights (positions, concepts) times directions (concepts, units). Fel et al. 2023 (CRAFT).

    directions   (concepts, units), not negative, each of length 1, the one that explains most first
    explained    the share of the sum of squares that the concepts make up together, 0..1
    tops         per concept the pictures where it is strongest
    """

    layer: str
    directions: Array
    explained: float
    tops: tuple[TopPictures, ...]

    def top(self, concept: int) -> TopPictures:
        """Raises InputError for a concept that does not exist."""
        if not 0 <= concept < len(self.tops):
            raise InputError(f"There is no concept {concept}: there are 0 to {len(self.tops) - 1}.", received=concept)
        return self.tops[concept]

    def units(self, concept: int, k: int = 5) -> list[tuple[int, float]]:
        """The units that make up a concept, and their weights."""
        row = self.directions[concept]
        return [(int(unit), float(row[unit])) for unit in np.argsort(-row, kind="stable")[:k]]


def concepts(
    engine: Engine,
    listing: Listing,
    preprocess: Preprocess,
    part: Part,
    store: Store,
    field: Field | None,
    names: Any,
    *,
    count: int,
    first: int,
    k: int,
    seed: int,
) -> Concepts:
    """By non-negative matrix factorisation of the maps of `first` pictures, evenly spread over the list.

    raises   InputError for a layer whose values may be negative, or whose maps have no rows and columns; MissingExtra
    """
    if not part.activated or len(part.spatial) != 2:
        raise InputError(
            f"Concepts are of maps that are not negative, and those of '{part.layer}' may be. Take one after a ReLU."
        )
    if listing.item is None:
        raise InputError("Pictures that come only once cannot be looked at again. Give a list or a folder.")
    numbers, maps = maps_of(engine, listing, preprocess, part, chosen(listing.count or 0, first))
    if maps.min() < 0:
        raise InputError(f"Concepts are of maps that are not negative, but those of '{part.layer}' are. Take one after a ReLU.")
    positions = maps.transpose(0, 2, 3, 1).reshape(-1, part.units)
    decomposition = package("sklearn.decomposition", "scikit-learn")
    model = decomposition.NMF(count, init="nndsvda", max_iter=ROUNDS, tol=1e-3, random_state=seed)
    weights = quietly(model, positions)
    sizes = np.linalg.norm(model.components_, axis=1)
    strengths = weights * sizes
    order = np.argsort(-np.square(strengths).sum(0), kind="stable")
    directions = (model.components_ / np.maximum(sizes, 1e-30)[:, None])[order].astype(np.float32)
    left = np.square(positions - weights @ model.components_).sum()
    by_picture = strengths[:, order].reshape(len(numbers), -1, count)
    tables = [strongest(by_picture[:, :, each], numbers, part, names, k) for each in range(count)]
    thumbnails(store, listing, preprocess, sorted({int(n) for table in tables for n in table["picture"]}), None)
    words = preprocess.describe()
    tops = tuple(
        TopPictures(store.folder, part.layer, each, table, field, words, what="concept") for each, table in enumerate(tables)
    )
    return Concepts(part.layer, directions, float(1 - left / max(float(np.square(positions).sum()), 1e-30)), tops)


def maps_of(
    engine: Engine, listing: Listing, preprocess: Preprocess, part: Part, numbers: list[int]
) -> tuple[list[int], npt.NDArray[np.float32]]:
    kept, maps = [], []
    for number in numbers:
        assert listing.item is not None
        try:
            values = decode(listing.item(number), preprocess)
        except ConvscopeError:  # in skipped.csv
            continue
        kept.append(number)
        maps.append(engine.run(each_array(values, lambda array: array[None]), [part.read_at])[part.read_at][0])
    if not kept:
        raise InputError("None of these pictures can be read.")
    return kept, np.stack(maps)


def quietly(model: Any, positions: Array) -> Any:
    """(positions, concepts). That it has not settled to the last digit is no news: `explained` says how good it is."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit_transform(positions.astype(np.float64))


def strongest(weights: Any, numbers: list[int], part: Part, names: Any, k: int) -> Table:
    """weights (pictures, positions) -> the k pictures with the greatest, and where."""
    peaks, places = weights.max(1), weights.argmax(1)
    rows = np.lexsort((numbers, -peaks))[:k]
    y, x = np.unravel_index(places[rows], part.spatial)
    known = {int(number): (name, label) for number, name, label in names}
    pairs = [known.get(numbers[row], (f"picture {numbers[row]}", None)) for row in rows]
    return Table(
        {
            "picture": np.array(numbers)[rows],
            "name": np.array([name for name, _ in pairs], object),
            "label": np.array([label for _, label in pairs], object),
            "value": peaks[rows],
            "y": y,
            "x": x,
        }
    )
