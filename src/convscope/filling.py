"""What users say as options of a method, as the arrays that methods take: what stands where there is nothing to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .core import Array
from .errors import InputError, WrongOption
from .methods.explain import METHODS, Method
from .methods.resize import bilinear
from .pictures import Preprocess, prepare_inputs

FILLS = ("mean", "black", "white", "grey", "blur")
COLOURS = {"black": 0, "grey": 127.5, "white": 255}


def users_names(method: Method) -> tuple[str, ...]:
    """Options under a user's name for them: `baseline` stands for one or more `baselines`."""
    return ("baseline",) if "baselines" in method.options else ()


def resolved_options(method: str, options: Mapping[str, Any], picture: Array, preprocess: Preprocess) -> dict[str, Any]:
    """What users say, as the arrays that methods take: a fill by name, a set of pictures by its folder."""
    known, given = METHODS[method].options, dict(options)
    if "baselines" in known:
        usual = "black" if is_picture(picture) else 0.0
        asked = given.pop("baseline", given.pop("baselines", usual))
        several = asked if isinstance(asked, list | tuple) else [asked]
        given["baselines"] = [filling(each, picture, preprocess) for each in several]
    if "fill" in known:
        given["fill"] = filling(given.get("fill", "mean"), picture, preprocess)
    if "among" in known:
        if "among" not in given:
            raise InputError(f"{method} needs pictures to compare with. Give a folder of them: among='pictures/'.")
        given["among"] = prepare_inputs(given["among"], preprocess, {"input": picture.shape[1:]}).values
    return given


def options_in_words(known: Sequence[str], options: Mapping[str, Any], explained: Sequence[Array]) -> list[str]:
    """What was said, or is usual, for the inputs that are explained."""
    said = []
    if "baselines" in known:
        usual = " and ".join(dict.fromkeys("black" if is_picture(each) else "0" for each in explained))
        asked = options.get("baseline", options.get("baselines", usual))
        said.append(f"baseline: {asked if isinstance(asked, str | float | int) else 'as given'}")
    if "fill" in known:
        asked = options.get("fill", "mean")
        said.append(f"fill: {asked if isinstance(asked, str | float | int) else 'as given'}")
    return said


def filling(asked: Any, picture: Array, preprocess: Preprocess) -> Array:
    """(1, c, *spatial) what the network receives where there is nothing to see.

    asked    "mean" (of the picture, per channel), "black", "white", "grey" (pixels of that colour, preprocessed), "blur" (the
             picture, blurred by an eighth of its size), a number of what the network receives, or an array
    raises   WrongOption; InputError for a colour of what is no picture, and for the mean of what has no positions
    """
    if not isinstance(asked, str):
        array = np.asarray(asked, np.float32)
        return np.array(np.broadcast_to(array, picture.shape)) if array.ndim < picture.ndim else array
    if asked not in FILLS:
        raise WrongOption("What stands for nothing to see", asked, FILLS)
    if (asked in COLOURS and not is_picture(picture)) or picture.ndim < 3:  # the mean of one number would be that number
        raise InputError(
            f"'{asked}' says nothing of what has the shape {picture.shape[1:]}. Give a number, or an array of that shape.",
            received=asked,
        )
    if asked == "mean":
        axes = tuple(range(2, picture.ndim))
        return np.array(np.broadcast_to(picture.mean(axes, keepdims=True), picture.shape))
    if asked == "blur":
        small = tuple(max(1, min(8, size)) for size in picture.shape[2:])
        return bilinear(averaged(picture[0], small), picture.shape[2:])[None]
    value = np.full((preprocess.channels, 1), COLOURS[asked], np.float32) * np.float32(preprocess.scale) + np.float32(
        preprocess.offset
    )
    value -= np.zeros(1) if preprocess.mean is None else np.asarray(preprocess.mean)[:, None]
    value /= np.ones(1) if preprocess.std is None else np.asarray(preprocess.std)[:, None]
    return np.array(np.broadcast_to(value.reshape(1, -1, *[1] * (picture.ndim - 2)), picture.shape), np.float32)


def is_picture(values: Array) -> bool:
    """Whether (n, c, *spatial) has the axes of pictures."""
    return values.ndim == 4


def averaged(picture: Array, size: tuple[int, ...]) -> Array:
    """(c, *spatial) in so few cells, each the mean of its part."""
    result = picture
    for axis, wanted in enumerate(size, 1):
        result = np.stack([part.mean(axis) for part in np.array_split(result, wanted, axis)], axis)
    return result
