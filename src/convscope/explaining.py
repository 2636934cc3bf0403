"""From a network and pictures to an Explanation: which target, which layer, what stands for nothing to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Array
from .errors import ConvscopeError, InputError, Unsupported, WrongOption
from .methods.explain import METHODS, Method, check_options, explain, joined, method_of, usual
from .methods.maps import Progress
from .methods.resize import bilinear
from .methods.select import At, select
from .methods.targets import Scale, resolve
from .pictures import Prepared, Preprocess, prepare
from .results import Comparison, Explanation, Shown

if TYPE_CHECKING:
    from .network import Network

# What stands where there is nothing to see.
FILLS = ("mean", "black", "white", "grey", "blur")
COMPARED = ("saliency", "integrated-gradients", "grad-cam", "hires-cam")
COMPARED_WITHOUT_GRADIENTS = ("eigen-cam", "score-cam", "rise")


def explanation(
    network: Network, pictures: Any, method: str, target: Any, at: At | None, scale: Scale, options: Mapping[str, Any],
    progress: Progress | None,
) -> Explanation:  # fmt: skip
    """See Network.explain."""
    if len(network.graph.inputs) > 1:
        raise Unsupported("This network takes several inputs, and explanations are of networks with one. Its layers can be read.")
    asked = Asked(usual(network.engine) if method == "auto" else method, target, at, scale, options, progress)
    check_options(asked.method, options, _own_options(method_of(asked.method)))
    return explained(network, network._prepared(pictures), asked)


def at_a_look(network: Network, prepared: Prepared, method: str) -> Explanation | None:
    """What the page of a study says of why: by `method`; with "auto" by what costs about a run, or nothing.

    That is Grad-CAM, or without gradients CAM where the network ends in a mean and a linear layer.
    """
    if method != "auto":
        return explained(network, prepared, Asked(method, None, None, "logit", {}, None))
    if prepared.values.ndim != 4 or len(network.graph.inputs) > 1:
        return None
    try:
        usual_one = usual(network.engine)
        return None if usual_one == "score-cam" else explained(network, prepared, Asked(usual_one, None, None, "logit", {}, None))
    except ConvscopeError:
        return None  # no classifier, no layer with maps, no gradient there: the page is a page without it


@dataclass(frozen=True)
class Asked:
    """What was asked of a network besides the pictures."""

    method: str
    target: Any
    at: At | None
    scale: Scale
    options: Mapping[str, Any]
    progress: Progress | None


def explained(network: Network, prepared: Prepared, asked: Asked) -> Explanation:
    """One picture after the other: each has its own target, and the variants of one pass together."""
    how = method_of(asked.method)
    layers = () if asked.at is None else select(network.graph, asked.at)
    names, notes, parts = [], [*options_in_words(how.options, asked.options)], []
    for number in range(len(prepared.values)):
        picture = prepared.values[number : number + 1]
        goal = resolve(network.engine, picture, asked.target, labels=network.labels, scale=asked.scale)
        given = resolved_options(asked.method, asked.options, picture, prepared, network.preprocess)
        parts.append(explain(network.engine, picture, goal, asked.method, layers=layers, options=given, progress=asked.progress))
        names.append(goal.name)
        notes += goal.notes
    found = {place: joined([part[place] for part in parts]) for place in parts[0]}
    return Explanation(
        name=asked.method,
        method=how,
        targets=tuple(names),
        attributions=found,
        pictures=tuple(map(Shown, prepared.names, prepared.shown, prepared.notes)),
        network=network.info,
        preprocess=prepared.preprocess,
        asked={"target": asked.target, "at": asked.at, "scale": asked.scale, **asked.options},
        notes=tuple(dict.fromkeys((*notes, *(note for each in found.values() for note in each.notes)))),
    )


def comparison(
    network: Network, pictures: Any, methods: Sequence[str] | None, target: Any, scale: Scale, progress: Progress | None
) -> Comparison:
    """See Network.compare."""
    from .core import Differentiable

    default = COMPARED if isinstance(network.engine, Differentiable) else COMPARED_WITHOUT_GRADIENTS
    names = list(default if methods is None else methods)
    if not names:
        raise InputError("No method was asked for: 'methods' is empty.", received=methods)
    for name in names:
        method_of(name)
    if len(network._prepared(pictures).names) != 1:
        raise InputError("Methods are compared on one picture. Give one at a time.", received=pictures)
    return Comparison(tuple(network.explain(pictures, name, target=target, scale=scale, progress=progress) for name in names))


def _own_options(method: Method) -> tuple[str, ...]:
    """Options under a user's name for them: `baseline` stands for one or more `baselines`."""
    return ("baseline",) if "baselines" in method.options else ()


def resolved_options(
    method: str, options: Mapping[str, Any], picture: Array, prepared: Prepared, preprocess: Preprocess
) -> dict[str, Any]:
    """What users say, as the arrays that methods take: a fill by name, a set of pictures by its folder."""
    known, given = METHODS[method].options, dict(options)
    if "baselines" in known:
        asked = given.pop("baseline", given.pop("baselines", "black"))
        several = asked if isinstance(asked, list | tuple) else [asked]
        given["baselines"] = [filling(each, picture, preprocess) for each in several]
    if "fill" in known:
        given["fill"] = filling(given.get("fill", "mean"), picture, preprocess)
    if "among" in known:
        if "among" not in given:
            raise InputError(f"{method} needs pictures to compare with. Give a folder of them: among='pictures/'.")
        given["among"] = prepare(given["among"], prepared.preprocess).values
    return given


def options_in_words(known: Sequence[str], options: Mapping[str, Any]) -> list[str]:
    said = []
    if "baselines" in known:
        asked = options.get("baseline", options.get("baselines", "black"))
        said.append(f"baseline: {asked if isinstance(asked, str | float | int) else 'as given'}")
    if "fill" in known:
        asked = options.get("fill", "mean")
        said.append(f"fill: {asked if isinstance(asked, str | float | int) else 'as given'}")
    return said


def filling(asked: Any, picture: Array, preprocess: Preprocess) -> Array:
    """(1, c, *spatial) what the network receives where there is nothing to see.

    asked    "mean" (of the picture, per channel), "black", "white", "grey" (pixels of that colour, preprocessed), "blur" (the
             picture, blurred by an eighth of its size), a number of what the network receives, or an array
    raises   WrongOption, InputError
    """
    if not isinstance(asked, str):
        array = np.asarray(asked, np.float32)
        return np.array(np.broadcast_to(array, picture.shape)) if array.ndim < picture.ndim else array
    if asked == "mean":
        axes = tuple(range(2, picture.ndim))
        return np.array(np.broadcast_to(picture.mean(axes, keepdims=True), picture.shape))
    if asked == "blur":
        small = tuple(max(1, min(8, size)) for size in picture.shape[2:])
        return bilinear(averaged(picture[0], small), picture.shape[2:])[None]
    level = {"black": 0, "grey": 127.5, "white": 255}.get(asked)
    if level is None:
        raise WrongOption("What stands for nothing to see", asked, FILLS)
    value = np.full((preprocess.channels, 1), level, np.float32) * np.float32(preprocess.scale) + np.float32(preprocess.offset)
    value -= np.zeros(1) if preprocess.mean is None else np.asarray(preprocess.mean)[:, None]
    value /= np.ones(1) if preprocess.std is None else np.asarray(preprocess.std)[:, None]
    return np.array(np.broadcast_to(value.reshape(1, -1, *[1] * (picture.ndim - 2)), picture.shape), np.float32)


def averaged(picture: Array, size: tuple[int, ...]) -> Array:
    """(c, *spatial) in so few cells, each the mean of its part."""
    result = picture
    for axis, wanted in enumerate(size, 1):
        result = np.stack([part.mean(axis) for part in np.array_split(result, wanted, axis)], axis)
    return result
