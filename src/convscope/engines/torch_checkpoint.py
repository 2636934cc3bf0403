"""What torch.utils.checkpoint would compute a second time, without what is read and edited there, is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch.utils.checkpoint

# What it does its work with, with and without reentrant autograd.
CHECKPOINTING = ("CheckpointFunction", "_checkpoint_without_reentrant_generator")


class Plainly:
    @staticmethod
    def apply(function: Callable[..., Any], _preserve: bool, *args: Any) -> Any:
        return function(*args)


def plainly(*_args: Any, **_kwargs: Any) -> Iterator[None]:
    yield


@contextmanager
def not_checkpointed() -> Iterator[None]:
    """Parts under torch.utils.checkpoint keep what their gradient needs: computed again, they would be without taps and edits."""
    module: Any = torch.utils.checkpoint
    own = {name: getattr(module, name) for name in CHECKPOINTING if hasattr(module, name)}
    try:
        for name, instead in zip(CHECKPOINTING, (Plainly, plainly), strict=True):
            if name in own:
                setattr(module, name, instead)
        yield
    finally:
        for name, each in own.items():
            setattr(module, name, each)
