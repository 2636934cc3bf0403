"""Weights in a file, without their network: finding them in what the file holds, and putting them where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..errors import ModelError, NotAModel
from .torch_files import read

# Where training scripts keep the weights in what they save, the likeliest first.
KEYS = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params", "model_ema", "state_dict_ema")
WRAPPERS = ("module.", "_orig_mod.")  # DataParallel, torch.compile
COUNTERS = "num_batches_tracked"  # of BatchNorm in training; files from before torch 0.4.1 lack them


def fill(module: nn.Module, weights: Mapping[str, torch.Tensor], path: Path, *, of: str, partial: bool) -> tuple[str, ...]:
    """Put the weights that were in `path` into `module`, and say what was left. `of`: its name, for messages.

    raises   ModelError for weights that do not fit, by name, unless `partial`; then only if none fits
    """
    own = module.state_dict()
    state = unwrapped(weights, set(own))
    missing = [name for name in own if name not in state and not name.endswith(COUNTERS)]
    unexpected = [name for name in state if name not in own]
    other = [f"{name} {tuple(state[name].shape)}, not {tuple(own[name].shape)}" for name in own if differs(name, state, own)]
    said = [
        f"{len(names)} {what}: {listed(names)}"
        for names, what in ((missing, "missing"), (unexpected, "not expected"), (other, "of another shape"))
        if names
    ]
    fitting = {name: each for name, each in state.items() if name in own and not differs(name, state, own)}
    if said and not (partial and fitting):
        hint = "Choose the architecture that they were trained in" + (
            ", or allow it with partial=True (--partial)." if fitting else "."
        )
        raise ModelError(f"The weights in '{path}' do not fit '{of}'. {'; '.join(said)}. {hint}")
    with torch.no_grad():
        module.load_state_dict(fitting, strict=False)
    return (f"Of the weights of '{of}', {'; '.join(said)}. What is missing is random.",) if said else ()


def classes_of(module: nn.Module, weights: Mapping[str, torch.Tensor]) -> int | None:
    """For how many classes the weights are, where that alone is what does not fit in `module`; else None."""
    own = module.state_dict()
    state = unwrapped(weights, set(own))
    other = [name for name in state if differs(name, state, own)]
    sizes = {(state[name].shape[:1], own[name].shape[:1]) for name in other}
    alike = all(state[name].shape[1:] == own[name].shape[1:] and state[name].ndim for name in other)
    return next(iter(state[name].shape[0] for name in other), None) if alike and len(sizes) == 1 else None


def weights_in(path: Path, *, trust: bool = False) -> dict[str, torch.Tensor]:
    """The arrays by name, to be copied: they may lie in the file itself.

    trust    run the pickle, for what training scripts keep beside the weights
    raises   NotAModel, Untrusted, MissingExtra
    """
    content = read(path, trust=trust, copied=True)
    if isinstance(content, nn.Module):
        raise NotAModel(path, "it holds a whole network. Open it without naming an architecture.")
    for candidate in [content, *(content.get(key) for key in KEYS)] if isinstance(content, Mapping) else []:
        arrays = (
            {key: value for key, value in candidate.items() if is_weight(key, value)} if isinstance(candidate, Mapping) else {}
        )
        if arrays:
            return arrays
    keys = f", only {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, Mapping) else ""
    raise NotAModel(path, f"there are no weights in it{keys}. Save what module.state_dict() gives.")


def is_weight(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, torch.Tensor)


def unwrapped(state: Mapping[str, torch.Tensor], expected: set[str]) -> dict[str, torch.Tensor]:
    """Without the prefixes of wrappers, and without a first part that all names share if only then they are those expected."""
    names = {name: name for name in state}
    for prefix in WRAPPERS * 2:
        if all(short.startswith(prefix) for short in names.values()):
            names = {name: short.removeprefix(prefix) for name, short in names.items()}
    firsts = {short.partition(".")[0] for short in names.values()}
    if len(firsts) == 1 and expected.isdisjoint(names.values()):
        names = {name: short.partition(".")[2] for name, short in names.items()}
    return {short: state[name] for name, short in names.items()}


def differs(name: str, state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> bool:
    return name in state and state[name].shape != own[name].shape


def listed(names: Iterable[str], most: int = 6) -> str:
    first = list(names)
    return ", ".join(first[:most]) + (f" and {len(first) - most} more" if len(first) > most else "")
