"""Runs of a torch module that find its layers: with each likely shape until one works, and once more where that tells more."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..errors import ConvscopeError
from .names import end_names
from .torch_failures import failure, raised_in
from .torch_functions import EqualOnce
from .torch_inputs import Input, PictureShape, possible_inputs
from .torch_kernels import Kernels
from .torch_modules import Way, both
from .torch_outputs import note_on
from .torch_scripts import Scripts
from .torch_survey import Survey
from .torch_trials import SECOND, TRIAL, Found, needs_second, together
from .torch_unopened import not_opened

if TYPE_CHECKING:
    from .torch import TorchEngine


def opened(engine: TorchEngine, picture_shape: PictureShape | None) -> tuple[Survey, Found, str | None]:
    """What ran, what that says, and a note on the outputs; `engine` takes inputs of the shape that worked from then on."""
    failed: ConvscopeError | None = None
    for inputs in possible_inputs(engine.module, picture_shape):
        engine._inputs = inputs
        survey = Survey(engine.module)
        try:
            note = note_on(tried(engine, survey, TRIAL), TRIAL)
            alone = one_of(engine) if survey.measures else None
            second = second_of(engine) if needs_second(survey, alone) else None
        except Exception as error:
            shapes = [(TRIAL, *each.shape) for each in inputs]
            failed = failed or failure(error, survey.last, shapes, raised_in(error, engine._names))
        else:
            if second:
                survey.modules = second.modules | survey.modules
                survey.ran |= second.ran
            return survey, together(survey, second, alone), note
    raise not_opened(failed, engine.module, picture_shape, lambda inputs: runs_alone(engine, inputs))


def tried(engine: TorchEngine, survey: Survey, pictures: int, *, noise: bool = False) -> Any:
    """What the module returns for so many pictures of zeros, or of the same noise, 0..1, seen by `survey`."""
    random = np.random.default_rng(0)
    ones = [random.random((1, *each.shape), np.float32) * (noise and not each.whole) for each in engine._inputs]
    names = end_names("input", len(engine._inputs))
    trial = {name: one.repeat(pictures, 0) for name, one in zip(names, ones, strict=True)}
    with torch.no_grad(), EqualOnce():
        scripts = Scripts(survey.look)
        way = Way(scripts.entering(survey.enter), functions=True, constants=survey.constants, look=survey.look)
        kernels = Kernels(engine.module, way)
        way.standing = lambda: both(engine._habits.watching(), both(kernels, scripts.watching()))
        result = engine._call(trial, kernels.catching(survey.visit), way)
    engine._odd |= kernels.odd
    engine._habits.mixes = engine._habits.mixes or scripts.looked  # at what all the pictures have in common, it may be
    return result


def second_of(engine: TorchEngine) -> Survey | None:
    """A trial of another number of pictures; None if the network takes none of those that are tried."""
    for pictures, noise in SECOND:
        survey = Survey(engine.module, compare=True)
        with contextlib.suppress(Exception):
            tried(engine, survey, pictures, noise=noise)
            return survey
    return None


def one_of(engine: TorchEngine) -> Survey | None:
    """A trial of one picture; None if the network does not take one."""
    survey = Survey(engine.module)
    with contextlib.suppress(Exception):
        tried(engine, survey, 1)
        return survey
    return None


def runs_alone(engine: TorchEngine, inputs: tuple[Input, ...]) -> bool:
    """Whether it runs with one picture."""
    engine._inputs = inputs
    with contextlib.suppress(Exception):
        tried(engine, Survey(engine.module), 1)
        return True
    return False
