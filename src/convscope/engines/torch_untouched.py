"""A torch module is left as it was: its modes, what hangs on it, the random states."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from ..errors import EngineError
from .torch_modules import not_compiled
from .torch_state import Known, State

# Hooks and modes belong to modules, which two engines may share: one run at a time in the whole process. Other threads that
# call the module meanwhile get what it gives, but in evaluation mode.
RUNNING = threading.RLock()


class Overwritten(EngineError):
    """The network wrote into its parameters, and they could not be put back."""

    def __init__(self) -> None:
        super().__init__(
            "The network wrote into its own weights in this run, as it did not when it was opened, and they are changed. "
            "Load them again; from now on they are put back."
        )


@contextmanager
def untouched(module: nn.Module, known: Known) -> Iterator[None]:
    """Evaluation mode inside; the modes, what hangs on the module and the random states are put back, whatever happens.

    raises   Overwritten where it wrote into parameters of which that was not known
    """
    state = State(module, known)
    training = [each for each in state.parts if each.training]
    try:
        with randomness(state.devices), not_compiled():
            for each in training:  # not .eval(): that may be code of the user's that does more
                each.training = False
            yield
    finally:
        for each in training:
            each.training = True
        if not state.put_back():
            raise Overwritten


@contextmanager
def randomness(devices: Iterable[torch.device]) -> Iterator[None]:
    """The random states of Python, NumPy and torch are put back."""
    python, numpy, own = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cards = {each: torch.cuda.get_rng_state(each) for each in devices if each.type == "cuda"}
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(own)
        for each, state in cards.items():
            torch.cuda.set_rng_state(state, each)
