"""What a torch module takes: how many arrays, of which shapes, and whether of floats or of whole numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isqrt
from typing import Any

import numpy as np
import torch
from torch import nn

from ..core import Array
from ..errors import InputError, Shape, Unsupported

# One picture's (c, *spatial); a list of such, in the order of forward's parameters; or by the names of these.
PictureShape = Shape | Sequence[Shape] | Mapping[str, Shape]

SIZES = (224, 32, 64, 96, 128, 28, 256, 299, 512)
VOLUMES = (32, 64, 16, 112, 128)  # 224 cubed would be half a gigabyte per map
MOST = 4  # inputs of which it is tried out which are whole numbers: 2 ** 3 runs


@dataclass(frozen=True)
class Input:
    """One array that a network takes, of `shape` without the axis of pictures.

    keyword   the parameter of forward; None if it is given by its place
    whole     whether it is whole numbers, such as an index of an embedding
    inside    whether `keyword` is no parameter, but a key of the dict that is forward's only argument
    listed    whether it is a list of arrays (c, *spatial), one for each picture, as some detectors take it
    """

    shape: tuple[int, ...]
    keyword: str | None = None
    whole: bool = False
    inside: bool = False
    listed: bool = False


def possible_inputs(module: nn.Module, given: PictureShape | None) -> Iterator[tuple[Input, ...]]:
    """What the module may take, the likeliest first; to be tried out one after the other. A list, where no array will do.

    raises   Unsupported for several inputs of which the shapes were not given; InputError for shapes that are none
    """
    tried = list[Input]()
    for inputs in arrays_of(module, given):
        yield inputs
        tried += inputs if len(inputs) == 1 and not inputs[0].inside else ()
    yield from ((replace(each, listed=True),) for each in tried)


def arrays_of(module: nn.Module, given: PictureShape | None) -> Iterator[tuple[Input, ...]]:
    needed = needed_parameters(module)
    if given is None or is_shape(given):
        if len(needed) > 1:
            raise Unsupported(
                f"This network takes several inputs ({', '.join(needed)}). Say the shape of each without the axis of pictures, "
                f"in that order or by name: picture_shape=[(3, 224, 224), (4,)], or {{'{needed[0]}': (3, 224, 224), ...}}."
            )
        keyword = only_by_name(module, given)
        yield from ((Input(shape, keyword),) for shape in (picture_shapes(module) if given is None else [checked(given)]))
        return
    first, *others = named(module, given, needed) if isinstance(given, Mapping) else in_order(given)
    for whole in product((False, True), repeat=len(others) if len(others) < MOST else 0):
        kinds = whole or (False,) * len(others)
        yield (first, *(replace(each, whole=kind) for each, kind in zip(others, kinds, strict=True)))


def arguments(tensors: Sequence[Any], inputs: Sequence[Input]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """How forward is called with them: by place, and by name."""
    pairs = [(parts_of(tensor) if each.listed else tensor, each) for tensor, each in zip(tensors, inputs, strict=True)]
    named = {each.keyword: tensor for tensor, each in pairs if each.keyword is not None}
    if any(each.inside for each in inputs):
        return (named,), {}
    return tuple(tensor for tensor, each in pairs if each.keyword is None), named


def parts_of(pictures: torch.Tensor) -> list[torch.Tensor]:
    """Each picture, in memory of its own: the network may write into it."""
    return [each.clone() for each in pictures.unbind(0)]


def shapes_of(inputs: Sequence[Input]) -> PictureShape:
    """As `picture_shape` has it."""
    if any(each.keyword is not None for each in inputs):
        return {each.keyword: each.shape for each in inputs if each.keyword is not None}
    return [each.shape for each in inputs]


def needed_parameters(module: nn.Module) -> list[str]:
    """The names of forward's parameters that have no default."""
    return [
        parameter.name
        for parameter in inspect.signature(module.forward).parameters.values()
        if parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def only_by_name(module: nn.Module, given: PictureShape | None) -> str | None:
    """The parameter of forward that cannot be given by its place; None if there is one that can.

    raises   Unsupported for a forward that says no names, `forward(self, **inputs)`, and for one without parameters
    """
    parameters = list(inspect.signature(module.forward).parameters.values())
    if any(each.kind not in (each.KEYWORD_ONLY, each.VAR_KEYWORD) for each in parameters):
        return None
    if names := needed_parameters(module) or [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]:
        return names[0]
    if not parameters:
        raise Unsupported("This network's forward takes no argument, so that no picture can go in. Let it take the pictures.")
    shape = (3, 224, 224) if given is None else given
    raise Unsupported(
        f"This network's forward takes what it gets by name only (**{parameters[0].name}). Say the name and the shape: "
        f"picture_shape={{'image': {shape}}}."
    )


def in_order(given: Sequence[Any]) -> list[Input]:
    return [Input(checked(shape, first=at == 0)) for at, shape in enumerate(given)]


def named(module: nn.Module, given: Mapping[str, Any], needed: Sequence[str]) -> list[Input]:
    """In the order of forward's parameters; if none is one of these, and forward takes one argument, they may be keys of that.

    raises   InputError for a name that is no parameter, and for one that is missing
    """
    parameters = inspect.signature(module.forward).parameters
    free = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    unknown = [name for name in given if name not in parameters and not free]
    missing = [name for name in needed if name not in given]
    if given and len(unknown) == len(given) and len(needed) == 1:
        return [Input(checked(shape, first=at == 0), name, inside=True) for at, (name, shape) in enumerate(given.items())]
    if unknown or missing or not given:
        raise wrong_names(module, given)
    order = [name for name in parameters if name in given] + [name for name in given if name not in parameters]
    return [Input(checked(given[name], first=at == 0), name) for at, name in enumerate(order)]


def wrong_names(module: nn.Module, given: Mapping[str, Any], more: str = "") -> InputError:
    parameters = tuple(inspect.signature(module.forward).parameters)
    said = ", ".join(f"'{name}'" for name in given) or "nothing"
    return InputError(
        f"This network's forward takes ({', '.join(parameters)}), but shapes were given for {said}. Give one for each that is "
        f"needed.{more}",
        received=tuple(given),
        expected=parameters,
    )


def is_shape(given: Any) -> bool:
    """Whether it is one shape, and not several."""
    several = isinstance(given, Sequence) and len(given) > 0 and all(isinstance(each, Sequence) for each in given)
    return not (several or isinstance(given, Mapping))


def checked(shape: Any, *, first: bool = True) -> tuple[int, ...]:
    """A shape of numbers. Raises InputError. Only a further input may be a single number per picture: ()."""
    numbers = isinstance(shape, Sequence) and all(isinstance(size, int) and size > 0 for size in shape)
    if not numbers or (first and not shape):
        raise InputError(f"A picture shape is (channels, height, width), but received {shape}.", received=shape)
    return tuple(shape)


def check_whole(name: str, array: Any, takes: Input) -> None:
    """Raises InputError for fractions where whole numbers are taken."""
    if takes.whole and not np.array_equal(array, np.asarray(array, np.int64)):
        raise InputError(f"The input '{name}' takes whole numbers, but received others. Give it numbers of classes or the like.")


def picture_shapes(module: nn.Module) -> Iterator[tuple[int, ...]]:
    """Shapes (c, *spatial) that the module may take, the likeliest first, judged by its first convolution or dense layer."""
    layers = [each for each in module.modules() if isinstance(each, nn.modules.conv._ConvNd)]
    if layers:
        axes = len(layers[0].kernel_size)
        for channels in dict.fromkeys((layers[0].in_channels, 3, 1)):
            yield from ((channels, *[size] * axes) for size in (VOLUMES if axes == 3 else SIZES))
        return
    for dense in (each for each in module.modules() if isinstance(each, nn.Linear)):
        for channels in (3, 1):  # pictures that are flattened first
            side = isqrt(dense.in_features // channels)
            if side > 1 and channels * side * side == dense.in_features:
                yield (channels, side, side)
        yield (dense.in_features,)
        break
    yield from ((channels, size, size) for channels in (3, 1) for size in SIZES)


def tensor_of(array: Array, of: Input, like: torch.Tensor, channels_last: bool) -> torch.Tensor:
    """A copy on the network's device, since the network may write into what it is given."""
    if of.whole:
        return torch.from_numpy(np.array(array, np.int64, order="C")).to(like.device)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    tensor = torch.from_numpy(np.array(array, np.float32, order="C")).to(like.device, like.dtype)
    return tensor.contiguous(memory_format=layout)
