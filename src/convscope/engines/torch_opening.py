"""Runs of a torch module that find its layers: with each likely shape until one works, and once more where that tells more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..core import Array
from ..errors import ConvscopeError, EngineError
from .failures import is_out_of_memory
from .names import end_names
from .torch_attributes import is_of_torch
from .torch_failures import failure, raised_in, said
from .torch_graph import is_quantised_by_values
from .torch_inputs import Input, PictureShape, possible_inputs
from .torch_inside import Inside
from .torch_kernels import Kernels
from .torch_modules import Way, both, compiler_is_loaded
from .torch_outputs import note_on
from .torch_quickly import EqualOnce, ShapesOnly
from .torch_scripts import Scripts
from .torch_survey import Step, Survey
from .torch_trials import ALONE, SECOND, TRIAL, Found, needs_second, one_at_a_time, together
from .torch_unopened import not_opened

if TYPE_CHECKING:
    from .torch import TorchEngine


def opened(engine: TorchEngine, picture_shape: PictureShape | None) -> tuple[Survey, Found, str | None]:
    """What ran, what that says, and a note on the outputs; `engine` takes inputs of the shape that worked from then on.

    Once more where the code itself is the first to load torch's compiler, as torch.cond is: what goes through that is not seen,
    and only once it is loaded can it be kept from compiling.
    """
    loaded = compiler_is_loaded()
    try:
        found = opened_at_once(engine, picture_shape)
    except ConvscopeError:
        if loaded == compiler_is_loaded():
            raise
    else:
        if loaded == compiler_is_loaded():
            return found
    engine.alone = None
    return opened_at_once(engine, picture_shape)


def opened_at_once(engine: TorchEngine, picture_shape: PictureShape | None) -> tuple[Survey, Found, str | None]:
    failed: ConvscopeError | None = None
    for inputs in possible_inputs(engine.module, picture_shape):
        engine._inputs = inputs
        survey, result = shapes_alone(engine, TRIAL)
        try:
            note = note_on(tried(engine, survey, TRIAL) if result is None else result, TRIAL)
            alone = one_of(engine) if survey.measures else None
            second = second_of(engine, SECOND) if needs_second(survey, alone) else None
            check_list(inputs, survey, second)
        except Exception as error:
            shapes = [(TRIAL, *each.shape) for each in inputs]
            failed = failed or failure(error, survey.last, shapes, raised_in(error, engine._names))
        else:
            return survey, known(survey, second, alone), note
    return opened_alone(engine, picture_shape, failed)


def opened_alone(
    engine: TorchEngine, picture_shape: PictureShape | None, failed: ConvscopeError | None
) -> tuple[Survey, Found, str | None]:
    """As `opened`, of a network that failed with two pictures, but runs with one. Raises what says most if it does not."""
    cause = failed.__cause__ if isinstance(failed, EngineError) else None
    possible = cause is not None and not is_out_of_memory(cause)
    for inputs in possible_inputs(engine.module, picture_shape) if possible else ():
        engine._inputs = inputs
        survey = Survey(engine.module)
        with contextlib.suppress(Exception):
            note = note_on(tried(engine, survey, ALONE), ALONE)
            check_list(inputs, survey, None)
            second = second_of(engine, [(ALONE, True)]) if survey.looks else None
            engine.alone = one_at_a_time(said(cause)) if cause else None
            return survey, known(survey, second, None), note
    raise not_opened(failed, engine.module, picture_shape)


def check_list(inputs: tuple[Input, ...], survey: Survey, second: Survey | None) -> None:
    """Raises EngineError where it is not seen that a list is one of pictures: of two inputs in a list the same would run.

    Of one picture it is seen where the network gives it the axis that it has not in a list, and what it returns has that.
    """
    if second is None:
        several = survey.pictures == ALONE and any(known for _, known in survey.ends.values())
    else:
        several = any(survey.ends[name][0] and end for name, (end, _) in second.ends.items() if name in survey.ends)
    if inputs[0].listed and not several:
        raise EngineError("What the network makes of a list has no entry for each picture.")


def known(survey: Survey, second: Survey | None, alone: Survey | None) -> Found:
    """What they say together. `survey` has what ran in the second trial too."""
    if second:
        survey.modules = second.modules | survey.modules
        survey.ran |= second.ran
    return together(survey, second, alone)


def shapes_alone(engine: TorchEngine, pictures: int) -> tuple[Survey, Any]:
    """A trial without the values, and what it returned. Of code that looks at values, and of what fails: a survey that has seen
    nothing yet, and None.
    """
    survey = Survey(engine.module)
    with contextlib.suppress(Exception):
        result = tried(engine, survey, pictures, values=False)
        if not survey.looks:
            return survey, result
    return Survey(engine.module), None


def tried(engine: TorchEngine, survey: Survey, pictures: int, *, noise: bool = False, values: bool = True) -> Any:
    """What the module returns for so many pictures of zeros, or of the same noise, 0..1, seen by `survey`.

    values   whether they are computed; if not, only shapes are as they would be
    """
    random = np.random.default_rng(0)
    ones = [random.random((1, *each.shape), np.float32) * (noise and not each.whole) for each in engine._inputs]
    names = end_names("input", len(engine._inputs))
    trial = {name: one.repeat(pictures, 0) for name, one in zip(names, ones, strict=True)}
    with torch.no_grad():
        scripts = Scripts(survey.look)
        way = Way(scripts.entering(survey.enter), functions=True, constants=survey.constants, look=survey.look)
        kernels = Kernels(engine.module, way)
        watching = both(engine._habits.watching(), both(kernels, scripts.watching()))
        layers = foreign_layers(engine)
        inside = Inside(layers, way.running, survey.follow) if layers else nullcontext()
        saving = EqualOnce(pictures) if values else ShapesOnly(survey.is_fed)
        way.standing = lambda: both(saving, both(inside, watching))
        result = engine._call(trial, kernels.catching(survey.visit, survey.catch), way)
    engine._odd |= kernels.odd
    # Scripts may look at what all the pictures have in common, and these layers scale by the largest value in all of them.
    scaled = any(map(is_quantised_by_values, survey.modules.values()))
    engine._habits.mixes = engine._habits.mixes or scripts.looked or survey.reorders or scaled
    return result


def foreign_layers(engine: TorchEngine) -> frozenset[nn.Module]:
    """Layers that are none of torch's own, inside which no function has a row."""
    return frozenset(each for each in engine._names if each not in engine._paths and not is_of_torch(type(each)))


def second_of(engine: TorchEngine, trials: Iterable[tuple[int, bool]]) -> Survey | None:
    """The first of these trials that the network takes, of so many pictures, noise or zeros; None if it takes none."""
    for pictures, noise in trials:
        survey = Survey(engine.module, compare=True)
        with contextlib.suppress(Exception):
            tried(engine, survey, pictures, noise=noise)
            return survey
    return None


def one_of(engine: TorchEngine) -> Survey | None:
    """A trial of one picture; None if the network does not take one."""
    survey, result = shapes_alone(engine, 1)
    with contextlib.suppress(Exception):
        if result is None:
            tried(engine, survey, 1)
        return survey
    return None


def way_of_zeros(engine: TorchEngine, given: Mapping[str, Array]) -> list[Step]:
    """What runs for zeros of the same shapes; looked up once for each such."""
    shapes = tuple(map(np.shape, given.values()))
    if shapes not in engine._ways:
        survey = Survey(engine.module)
        zeros = {name: np.zeros(shape, np.float32) for name, shape in zip(given, shapes, strict=True)}
        once = EqualOnce(shapes[0][0])
        way = Way(survey.enter, functions=True, constants=survey.constants, standing=lambda: once)
        with torch.no_grad(), contextlib.suppress(Exception):  # what fails is followed as far as it ran
            engine._call(zeros, survey.visit, way)
        engine._ways[shapes] = survey.steps
    return engine._ways[shapes]
