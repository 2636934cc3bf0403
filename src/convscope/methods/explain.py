"""The methods that explain, by name: what each needs, where its map lies, and what its sign says."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, wraps
from numbers import Real
from typing import Any, Literal

import numpy as np

from ..core import Array, Differentiable, Engine, Pictures
from ..errors import InputError, WrongOption
from . import backward_rules, cam, extremal, gradients, perturbation
from .asked import is_whole
from .attribution import Attribution, differentiable
from .maps import Progress
from .targets import Target
from .upstream import rows_behind

Sign = Literal["signed", "slope", "positive", "magnitude", "of a changed rule", "of no answer"]
SAYS: dict[Sign, str] = {
    "signed": "red speaks for it, blue against",
    "slope": "red where greater values raise it, blue where they lower it",
    "positive": "red speaks for it; what speaks against is left out",
    "magnitude": "how much, without a sign",
    "of a changed rule": "red and blue are the signs of what the changed rule lets flow back, neither for it nor against",
    "of no answer": "red and blue are two sides of what is strongest there, whatever the answer",
}


# As annotations have them: in words, and whether a value is of the kind.
NUMBERS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "int": ("a whole number", is_whole),
    "float": ("a number", lambda value: isinstance(value, Real) and not isinstance(value, bool)),
    "Sequence[int]": ("one for each axis", lambda value: isinstance(value, list | tuple) and all(map(is_whole, value))),
    "None": ("None", lambda value: value is None),
}


@dataclass(frozen=True)
class Method:
    """A way to explain.

    call        (engine, pictures, target, options) -> {place: Attribution}; the layers before the options, where it is of layers
    place       "input": a value per value of the picture; "picture": one per position; "layer": a map of one or more layers
    sign        what the sign of a value says
    paper       where it is from
    gradients   whether it needs them
    covers      whether it covers parts of the picture to find the map of a layer
    """

    call: Callable[..., Mapping[str, Attribution]] = field(repr=False)
    place: Literal["input", "picture", "layer"]
    sign: Sign
    paper: str
    gradients: bool = True
    covers: bool = False

    @property
    def of_input(self) -> bool:
        """Whether it changes or weighs the picture itself: of a network with several inputs it explains one at a time."""
        return self.covers or self.place != "layer"

    @property
    def formula(self) -> str:
        """How it is computed, what it gives in which unit, and where it is from, in words."""
        function = self.call.keywords["weigh"] if isinstance(self.call, partial) else self.call
        return inspect.getdoc(function) or ""

    @property
    def options(self) -> tuple[str, ...]:
        """What may be said besides picture, target and layer."""
        return tuple(name for name in self._keywords if name not in ("progress", "weigh"))

    def takes(self, option: str) -> tuple[str, ...]:
        """Which kinds of number an option takes, see NUMBERS; none: something else too, or it is not the method's own."""
        parameter = inspect.signature(self.call).parameters.get(option)
        kinds = () if parameter is None else tuple(kind.strip() for kind in str(parameter.annotation).split("|"))
        return kinds if set(kinds) <= set(NUMBERS) else ()

    @property
    def reports(self) -> bool:
        """Whether it takes long enough to tell how far it is."""
        return "progress" in self._keywords

    @property
    def _keywords(self) -> tuple[str, ...]:
        parameters = inspect.signature(self.call).parameters.values()
        return tuple(each.name for each in parameters if each.kind is each.KEYWORD_ONLY)


def at_input(function: Callable[..., Attribution]) -> Callable[..., Mapping[str, Attribution]]:
    @wraps(function)
    def call(engine: Engine, pictures: Array, target: Target, **options: Any) -> Mapping[str, Attribution]:
        return {"input": function(engine, pictures, target, **options)}

    return call


def at_each(function: Callable[..., Attribution]) -> Callable[..., Mapping[str, Attribution]]:
    @wraps(function)
    def call(engine: Engine, pictures: Array, target: Target, layers: Sequence[str], **options: Any) -> Mapping[str, Attribution]:
        return {layer: function(engine, pictures, target, layer, **options) for layer in layers}

    return call


def weighed(weigh: cam.Weigh) -> Callable[..., Mapping[str, Attribution]]:
    return partial(cam.by_gradients, weigh=weigh)


METHODS: dict[str, Method] = {
    "saliency": Method(at_input(gradients.saliency), "input", "magnitude", "Simonyan et al. 2013"),
    "input-x-gradient": Method(at_input(gradients.input_x_gradient), "input", "signed", "Shrikumar et al. 2016"),
    "smooth-grad": Method(at_input(gradients.smooth_grad), "input", "slope", "Smilkov et al. 2017"),
    "var-grad": Method(at_input(gradients.var_grad), "input", "magnitude", "Adebayo et al. 2018"),
    "integrated-gradients": Method(at_input(gradients.integrated_gradients), "input", "signed", "Sundararajan et al. 2017"),
    "expected-gradients": Method(at_input(gradients.expected_gradients), "input", "signed", "Erion et al. 2021"),
    "cam": Method(at_each(cam.cam), "layer", "signed", "Zhou et al. 2016", gradients=False),
    "grad-cam": Method(weighed(cam.grad_cam), "layer", "positive", "Selvaraju et al. 2017"),
    "grad-cam++": Method(weighed(cam.grad_cam_plus_plus), "layer", "positive", "Chattopadhay et al. 2018"),
    "hires-cam": Method(weighed(cam.hires_cam), "layer", "signed", "Draelos and Carin 2020"),
    "layer-cam": Method(weighed(cam.layer_cam), "layer", "positive", "Jiang et al. 2021"),
    "eigen-cam": Method(at_each(cam.eigen_cam), "layer", "of no answer", "Muhammad and Yeasin 2020", gradients=False),
    "score-cam": Method(at_each(perturbation.score_cam), "layer", "positive", "Wang et al. 2020", gradients=False, covers=True),
    "deconvnet": Method(at_input(backward_rules.deconvnet), "input", "of a changed rule", "Zeiler and Fergus 2013"),
    "guided-backprop": Method(
        at_input(backward_rules.guided_backpropagation), "input", "of a changed rule", "Springenberg et al. 2014"
    ),
    "lrp": Method(at_input(backward_rules.lrp), "input", "signed", "Bach et al. 2015"),
    "ablation-cam": Method(at_each(perturbation.ablation_cam), "layer", "positive", "Desai and Ramaswamy 2020", gradients=False),
    "occlusion": Method(at_input(perturbation.occlusion_map), "picture", "signed", "Zeiler and Fergus 2014", gradients=False),
    "rise": Method(at_input(perturbation.rise), "picture", "signed", "Petsiuk et al. 2018", gradients=False),
    "extremal": Method(at_input(extremal.extremal_perturbation), "picture", "magnitude", "Fong et al. 2019"),
}


def usual(engine: Engine, pictures: Pictures, end: str = "output") -> str:
    """The method for who names none: Grad-CAM; without gradients CAM, which is the same where it can be, else Score-CAM.

    With gradients, but no layer that a CAM could be of, it is saliency, which explains by the picture itself.

    end    the row, or output, that is explained: of several heads the layer before its own is asked for
    """
    if isinstance(engine, Differentiable):
        return "grad-cam" if cam.any_maps(engine.graph) else "saliency"
    last = cam.last_with_maps(engine.graph, end, rows_behind(engine, pictures, end))
    return "cam" if cam.linear_after(engine.graph, last) else "score-cam"


def method_of(name: str) -> Method:
    """Raises WrongOption."""
    if name not in METHODS:
        raise WrongOption("The method", name, ["auto", *METHODS])
    return METHODS[name]


def check_options(name: str, options: Mapping[str, Any], also: Sequence[str] = ()) -> None:
    """Raises WrongOption for an option that the method does not have, InputError for a value of another kind than it takes.

    also   what the caller makes options of
    """
    method = method_of(name)
    known = [*method.options, *also]
    for key, value in options.items():
        if key not in known:
            raise WrongOption(f"An option of {name}", key, known or ["none: it has no options"])
        takes = method.takes(key)
        if takes and not any(NUMBERS[kind][1](value) for kind in takes):
            what = " or ".join(NUMBERS[kind][0] for kind in takes if kind != "None")
            raise InputError(f"The option '{key}' of {name} takes {what}, but received {value!r}.", received=value)


def check_axes(name: str, picture: Array) -> None:
    """Raises InputError for a method that covers parts of a picture, and what has none."""
    if picture.ndim < 3 and (METHODS[name].covers or METHODS[name].place == "picture"):
        raise InputError(
            f"{name} covers parts of a picture, but {picture.shape[1:]} has no axes to cover along. "
            "Use input-x-gradient or integrated-gradients.",
            received=picture.shape[1:],
        )


def explain(
    engine: Engine,
    picture: Array,
    target: Target,
    name: str,
    *,
    layers: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Mapping[str, Attribution]:
    """What the method `name` says of one picture (1, c, *spatial), by the layer it is of: "input" for the picture itself.

    layers   where, for a method that maps a layer; none: the last one with maps that the target follows from
    raises   WrongOption; Unsupported for a method that needs gradients on an engine without; InputError; UnknownLayer
    """
    method = method_of(name)
    given = {**(options or {}), **({"progress": progress} if method.reports and progress else {})}
    if method.gradients:
        differentiable(engine, name)
    check_axes(name, picture)
    if method.place != "layer":
        if layers:
            raise InputError(
                f"{name} explains by the picture itself, so that it takes no layer. Leave 'at' away.", received=layers
            )
        return method.call(engine, picture, target, **given)
    return method.call(engine, picture, target, list(layers) or [last_layer(engine, picture, target)], **given)


def last_layer(engine: Engine, pictures: Pictures, target: Target) -> str:
    """The last layer with maps that the target follows from. Raises InputError if there is none."""
    return cam.last_with_maps(engine.graph, target.layer, rows_behind(engine, pictures, target.layer))


def joined(parts: Sequence[Attribution]) -> Attribution:
    """Attributions of one picture each, as one of all of them."""
    first = parts[0]
    arrays: dict[str, Any] = {
        name: None if getattr(first, name) is None else np.concatenate([getattr(part, name) for part in parts])
        for name in ("values", "score", "delta", "units")
    }
    return Attribution(**arrays, check=first.check, notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)))
