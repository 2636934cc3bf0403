"""From whatever was given to what the network receives, and how that looks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ConvscopeWarning, InputError
from .arrays import Ready, wrong_channels
from .decode import Picture, Pixels
from .preprocess import Array, Preprocess
from .sources import Source, sources

MOSTLY = 0.9  # the share of an array's values beyond what pixels become from which on it is hardly preprocessed


@dataclass(frozen=True, eq=False)
class Prepared:
    """Pictures as the network receives them.

    names        of each picture, all different
    notes        per picture what was done to it, besides what `preprocess` says
    values       (n, c, h, w) float32, contiguous
    shown        per picture uint8 (h, w, 3): `values`, with the preprocessing undone
    inputs       what the network takes: `values`, or of several inputs {name: array}, `values` being one of them
    looks        of other inputs that take pictures, by their names: per picture uint8 (h, w, 3), as `shown`
    """

    names: tuple[str, ...]
    notes: tuple[tuple[str, ...], ...]
    values: Array
    shown: list[Pixels]
    preprocess: Preprocess
    inputs: Array | Mapping[str, Array]
    looks: Mapping[str, list[Pixels]] = field(default_factory=dict)


def prepare(source: Any, preprocess: Preprocess) -> Prepared:
    """Read every picture of `source` and preprocess it.

    source   what `read_pictures` takes; besides, float arrays (n, c, h, w) or (c, h, w), which are taken as already
             preprocessed and pass untouched
    raises   NotAPicture, WrongPictureShape, InputError; also where pictures differ in size and `preprocess.size` is None
    """
    found = sources(source, channels=preprocess.channels)
    notes: list[tuple[str, ...]] = []
    shown: list[Pixels] = []
    values: Array | None = None
    for number, each in enumerate(found):
        taken, said = received(each, preprocess)
        if values is None:
            values = np.empty((len(found), *taken.shape), np.float32)
        elif taken.shape != values.shape[1:]:
            raise _different_sizes(found[0].name, values.shape[2:], each.name, taken.shape[1:])
        values[number] = taken
        notes.append(said)
        shown.append(preprocess.undo(taken))
    assert values is not None  # there is at least one source
    return Prepared(tuple(each.name for each in found), tuple(notes), values, shown, preprocess, values)


def received(source: Source, preprocess: Preprocess) -> tuple[Array, tuple[str, ...]]:
    """What the network receives of one picture, (c, h, w) float32, and notes. Raises as `prepare` does."""
    picture = source.taken(preprocess.channels)
    if isinstance(picture, Ready):
        if len(picture.values) != preprocess.channels:
            raise wrong_channels(picture, preprocess.channels)
        return picture.values, tuple(_notes_on_array(picture.values, preprocess))
    return preprocess.apply(picture), (*picture.notes, *_notes_on_colour(picture, preprocess))


def _notes_on_array(values: Array, preprocess: Preprocess) -> Iterator[str]:
    yield "an array, taken as already preprocessed"
    if outside := preprocess.outside(values):
        yield f"{outside:.2%} of its values lie beyond what pixels become, and are shown clipped"
    if outside > MOSTLY:
        warnings.warn(
            f"{outside:.0%} of the values of a float array lie beyond what pixels become in this network's preprocessing. "
            "Float arrays pass as they are: if these are pixels, pass them as uint8, 0 to 255.",
            category=ConvscopeWarning,
            stacklevel=2,
        )
    yield from _notes_on_channels(preprocess)


def _notes_on_channels(preprocess: Preprocess) -> Iterator[str]:
    if preprocess.channels not in (1, 3) or preprocess.shown:
        yield f"of its {preprocess.channels} channels {preprocess.describe_shown()}"


def _notes_on_colour(picture: Picture, preprocess: Preprocess) -> Iterator[str]:
    if picture.pixels.shape[2] == 1 and preprocess.channels == 3:
        yield "a grey picture, repeated in three channels for a colour network"
    if picture.pixels.shape[2] == 3 and preprocess.channels == 1:
        yield "a colour picture, converted to grey by its luma (ITU-R 601) for a grey network"
    yield from _notes_on_channels(preprocess)


def _different_sizes(first: str, size: tuple[int, ...], other: str, other_size: tuple[int, ...]) -> InputError:
    return InputError(
        f"Pictures that go through together have one size, but '{first}' is {size[0]} x {size[1]} pixels and '{other}' "
        f"{other_size[0]} x {other_size[1]} (height x width). Give the preprocessing a size, as in '0..1 224', "
        "or give one picture at a time.",
        received=other_size,
        expected=size,
    )
