"""From a network and pictures to an Explanation: which target, which layer, what stands for nothing to see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Array, Differentiable, arrays, batch, count, input_names
from .errors import ConvscopeError, InputError, Unsupported, WrongOption
from .filling import options_in_words, resolved_options, users_names
from .methods.attribution import Attribution
from .methods.cam import any_maps
from .methods.explain import METHODS, Method, check_axes, check_options, explain, joined, method_of, usual
from .methods.maps import Progress
from .methods.select import At, select, written
from .methods.targets import Box, Region, Scale, Unit, of_one, resolve
from .methods.upstream import inputs_above
from .one_input import one_input
from .pictures import Prepared, Preprocess, is_picture
from .results import Comparison, Explanation, Shown

if TYPE_CHECKING:
    from .network import Network
    from .results import NetworkInfo

COMPARED = ("saliency", "integrated-gradients", "grad-cam", "hires-cam")
COMPARED_WITHOUT_GRADIENTS = ("eigen-cam", "score-cam", "rise")
WITHOUT_MAPS = "no layer has maps that a CAM could be of, so that it is by the gradient at the picture itself"


def explanation(
    network: Network, pictures: Any, method: str, target: Any, at: At | None, of: str | None, scale: Scale,
    options: Mapping[str, Any], progress: Progress | None,
) -> Explanation:  # fmt: skip
    """See Network.explain."""
    prepared = network._prepared(pictures) if method == "auto" else None
    name = method if prepared is None else usual(network.engine, batch(prepared.inputs, slice(0, 1)), end_of(target))
    notes = (WITHOUT_MAPS,) if method == "auto" and name == "saliency" else ()
    asked = Asked(name, target, at, scale, options, progress, of, notes)
    check_options(asked.method, options, users_names(method_of(asked.method)))
    prepared = prepared or network._prepared(pictures)
    try:
        return explained(network, prepared, asked)
    except Unsupported:
        if (method, name) != ("auto", "cam"):
            raise
    return explained(network, prepared, replace(asked, method="score-cam"))  # of another target, or another layer


def end_of(target: Any) -> str:
    """The row or the output that a target is of."""
    first = target[0] if isinstance(target, list) and target else target
    if isinstance(first, Unit):
        return first.layer
    return first.output if isinstance(first, Region | Box) else "output"


def at_a_look(network: Network, prepared: Prepared, method: str) -> Explanation | None:
    """What the page of a study says of why: by `method`; with "auto" by what costs about a run, or nothing.

    That is Grad-CAM, or without gradients CAM where the network ends in a mean and a linear layer.
    """
    if method != "auto":
        return explained(network, prepared, Asked(method, None, None, "logit", {}, None))
    if prepared.values.ndim != 4:
        return None
    try:
        usual_one = usual(network.engine, batch(prepared.inputs, slice(0, 1)))
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
    of: str | None = None
    notes: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As it is kept beside the result."""
        at = None if self.at is None else written(self.at)
        return {"target": self.target, "at": at, "of": self.of, "scale": self.scale, **self.options}


def explained(network: Network, prepared: Prepared, asked: Asked) -> Explanation:
    """One picture after the other: each has its own target, and the variants of one pass together."""
    how = method_of(asked.method)
    layers = () if asked.at is None else select(network.graph, asked.at)
    inputs = inputs_of(prepared, asked.method, asked.of)
    names, parts = [], []
    notes = [
        *asked.notes,
        *options_in_words(how.options, asked.options, [arrays(prepared.inputs)[name] for name in inputs]),
        *inputs_in_words(how, inputs, prepared),
    ]
    for number in range(count(prepared.inputs)):
        given = batch(prepared.inputs, slice(number, number + 1))
        target = of_one(asked.target, number, count(prepared.inputs))
        goal = resolve(network.engine, given, target, labels=network.labels, scale=asked.scale)
        part: dict[str, Attribution] = {}
        for name in inputs:
            engine, picture = one_input(network.engine, given, name)
            check_axes(asked.method, picture)
            options = resolved_options(asked.method, asked.options, picture, preprocess_of(network, prepared, name))
            found = explain(engine, picture, goal, asked.method, layers=layers, options=options, progress=asked.progress)
            part |= {name if place == "input" else place: each for place, each in found.items()}
        parts.append(part)
        names.append(goal.name)
        notes += goal.notes
    found = {place: joined([part[place] for part in parts]) for place in parts[0]}
    return Explanation(
        name=asked.method,
        method=how,
        targets=tuple(names),
        attributions=found,
        pictures=tuple(map(Shown, prepared.names, prepared.shown, prepared.notes)),
        network=info_for(network, prepared.values, how),
        preprocess=prepared.preprocess,
        asked=asked.plain(),
        notes=tuple(dict.fromkeys((*notes, *follows(network, how, found), *said_of(found)))),
        shown=shown_input(prepared),
        looks=prepared.looks,
    )


def info_for(network: Network, pictures: Array, how: Method) -> NetworkInfo:
    """With the sizes that its rows have for these pictures, where maps of layers stand, whichever it was opened for."""
    graph = network._graph_for(pictures.shape[1:], whole=how.place == "layer" or pictures.ndim != 4)
    return network.info if graph is network.graph else replace(network.info, graph=graph)


def comparison(
    network: Network, pictures: Any, methods: Sequence[str] | None, target: Any, of: str | None, scale: Scale,
    progress: Progress | None,
) -> Comparison:  # fmt: skip
    """See Network.compare."""
    default = COMPARED if isinstance(network.engine, Differentiable) else COMPARED_WITHOUT_GRADIENTS
    mapped = any_maps(network.graph)
    usual_ones = [name for name in default if mapped or METHODS[name].place != "layer"]
    names = usual_ones if methods is None else [methods] if isinstance(methods, str) else list(methods)
    if not names:
        raise InputError("No method was asked for: 'methods' is empty.", received=methods)
    for name in names:
        method_of(name)
    prepared = network._prepared(pictures)
    if len(prepared.names) != 1:
        raise InputError("Methods are compared on one picture. Give one at a time.", received=pictures)
    one = shown_input(prepared) if of is None else of
    found = [
        network.explain(
            pictures, name, target=target, of=one if method_of(name).of_input else None, scale=scale, progress=progress
        )
        for name in names
    ]
    return Comparison(tuple(found))


def said_of(found: Mapping[str, Attribution]) -> Iterator[str]:
    """What is noteworthy of what was found. A map of zeros has two reasons, which look the same."""
    for place, each in found.items():
        yield from each.notes
        zero = [number for number, values in enumerate(each.values) if not values.any()]
        if zero:
            of = "" if len(zero) == len(each.values) else f" of pictures {', '.join(map(str, zero))}"
            yield f"every value at '{place}'{of} is zero: nothing there moves this score, or no gradient flows back from it"


def shown_input(prepared: Prepared) -> str:
    """The input whose pictures are shown."""
    return next((name for name, array in arrays(prepared.inputs).items() if array is prepared.values), "input")


def inputs_of(prepared: Prepared, method: str, of: str | None) -> list[str]:
    """Which inputs a method explains, each while the others stay as they are; the one that is shown comes last.

    That is all of them by gradients, which cost little each, and else the one that is shown.
    raises   InputError for one that does not exist or takes whole numbers, and for a method that explains none
    """
    how, given, shown = method_of(method), arrays(prepared.inputs), shown_input(prepared)
    if of is not None and not how.of_input:
        raise InputError(
            f"{method} explains by a layer, whatever inputs it follows from. Leave 'of' away, and name the layer with 'at'.",
            received=of,
        )
    if of is not None and of not in given:
        raise WrongOption("The input to explain", of, list(given))
    if not how.of_input:
        return [shown]
    every = [*(name for name in given if name != shown), shown]
    asked = [of] if of is not None else every if how.place == "input" else [shown]
    if found := [name for name in asked if np.issubdtype(given[name].dtype, np.floating)]:
        return found
    raise InputError(
        f"'{asked[-1]}' takes whole numbers, between which nothing can be. Explain another input, or a layer.", received=of
    )


def inputs_in_words(how: Method, inputs: Sequence[str], prepared: Prepared) -> list[str]:
    if not isinstance(prepared.inputs, Mapping) or not how.of_input:
        return []
    if len(inputs) == 1:
        return [f"of the input '{inputs[0]}', while the other inputs stay as they are"]
    each = " and ".join([", ".join(map(repr, inputs[:-1])), repr(inputs[-1])])
    return [f"of the inputs {each}, each while the others stay as they are"]


def follows(network: Network, how: Method, layers: Iterable[str]) -> Iterator[str]:
    """Which inputs the map of each layer is of, where there are several."""
    for layer in layers if how.place == "layer" and len(network.graph.inputs) > 1 else ():
        above = inputs_above(network.graph, layer)
        yield (
            f"which inputs '{layer}' follows from is not known"
            if above is None
            else (f"the maps of '{layer}' follow from {' and '.join(map(repr, above)) or 'no input'}")
        )


def preprocess_of(network: Network, prepared: Prepared, name: str) -> Preprocess:
    shape = dict(zip(input_names(network.graph), (row.shape for row in network.graph.inputs), strict=True)).get(name)
    return (
        prepared.preprocess if name == shown_input(prepared) or not is_picture(shape) else network.preprocess.fitted(shape or ())
    )
