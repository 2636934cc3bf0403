"""Weights in a file of their own, and the Keras network that they are of."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import keras

from ..errors import ModelError, NotAModel
from .failures import first_line
from .importing import made, title

NAMES = re.compile(r"<\w+ name=([^,>]+)")


def built(architecture: Any) -> keras.Model:
    """From "my.module:build", a function or class, or a model. Raises ModelError for what gives no keras.Model with weights."""
    model = made(architecture, keras.Model)
    if not isinstance(model, keras.Model):
        what = f"'{title(architecture)}' gives a {type(model).__name__}"
        raise ModelError(f"{what}, but weights in a file of Keras need a keras.Model.")
    if not model.built:
        raise ModelError(f"'{model.name}' has no weights yet. Call it once on a batch of pictures, where it is built.")
    return model


def fill(model: keras.Model, path: Path, *, of: str, partial: bool = False) -> tuple[str, ...]:
    """Load the weights in a .weights.h5, .keras or older .h5 file, and say what was missing or left over.

    raises   NotAModel for weights that do not fit, or are missing or left over unless `partial`, with their names
    """
    check_name(path)
    older = {"by_name": True} if partial and not path.name.endswith((".weights.h5", ".keras")) else {}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            model.load_weights(path, skip_mismatch=partial, **older)
        except Exception as error:
            reason = first_line(error).partition(" Target variable:")[0]  # which goes on with all its numbers
            why = f"these are no weights of '{of}'. {reason}"
            raise NotAModel(path, f"{why.rstrip('.')}. Choose the architecture that they were trained in.") from error
    missing = [name for each in said for name in NAMES.findall(str(each.message).partition("List of objects")[2])]
    extra = left_over(model, path)
    if extra and not partial:
        raise NotAModel(
            path,
            f"it holds {len(extra)} arrays that '{of}' has no place for: {some(extra)}. Open it with partial=True if that is "
            "as it should be.",
        )
    notes = (("of the file's weights {} were not used: {}", extra), ("{} layers kept their own weights: {}", missing))
    return tuple(text.format(len(names), some(names)) for text, names in notes if names)


def check_name(path: Path) -> None:
    """Keras tells its two layouts apart by the name of the file only."""
    if path.suffix in (".h5", ".hdf5") and not path.name.endswith(".weights.h5"):
        with h5py.File(path, "r") as file:
            if "layers" in file and "layer_names" not in file.attrs:
                raise NotAModel(path, "it holds weights in the layout of Keras 3. Rename it to end in .weights.h5.")


def left_over(model: keras.Model, path: Path) -> list[str]:
    """The arrays of a .weights.h5 that no variable can have taken: Keras reads what it looks for, and passes by the rest.

    SpectralNormalization writes the kernel of the layer in it once more.
    """
    if not path.name.endswith(".weights.h5"):
        return []
    with h5py.File(path, "r") as file:
        arrays = [(name, shape) for name, shape in datasets(file) if not name.startswith(("optimizer", "metrics", "_"))]
    taken = Counter(tuple(each.shape) for each in (*model.variables, *written_twice(model)))
    extra = []
    for name, shape in arrays:
        if taken[shape]:
            taken[shape] -= 1
        else:
            extra.append(name)
    return extra


def written_twice(model: keras.Model) -> list[Any]:
    layers = [each for each in model._flatten_layers() if isinstance(each, keras.layers.SpectralNormalization)]
    return [each.kernel for each in layers]


def datasets(group: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    found: list[tuple[str, tuple[int, ...]]] = []
    group.visititems(lambda name, each: found.append((name, each.shape)) if isinstance(each, h5py.Dataset) else None)
    yield from found


def some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
