"""What a torch module does while it runs besides computing, which has to be known to put things back, or to be said."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ..core import Array, Pictures, Tap, each_array, input_names
from ..errors import ConvscopeError
from .torch_attributes import Found, is_torchs_own, parts_of, registered_in
from .torch_functions import takes_statistics
from .torch_modules import Unwatched
from .torch_state import Known, equal
from .torch_tensors import flattened, memory, version
from .torch_untouched import Overwritten

if TYPE_CHECKING:
    from .torch import TorchEngine

ALIKE = 1e-3  # of the largest value: two pictures may be computed in another order than one
EXPOSING = frozenset({"numpy", "__array__", "__dlpack__", "data_ptr"})  # after these, nobody sees what is written
REDUCING = frozenset(
    """mean var std var_mean std_mean sum amax amin max min aminmax median norm vector_norm linalg_norm linalg_vector_norm prod
    logsumexp quantile nanquantile nanmean nansum nanmedian count_nonzero any all""".split()  # noqa: SIM905
)
# They leave the axes as they are, and mix along the one that they are told, or all of the last ones.
ALONG = frozenset("softmax log_softmax softmin normalize cumsum cumprod cummax cummin logcumsumexp".split())  # noqa: SIM905
OVER_LAST = frozenset({"layer_norm", "rms_norm"})
MIXING = REDUCING | ALONG | OVER_LAST | {"batch_norm"}
WRITING = frozenset(
    f"__i{name}__"
    for name in "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()  # noqa: SIM905
) | {"__setitem__", "embedding", "embedding_bag"}  # the last with a largest norm


class Habits(TorchFunctionMode):
    """Seen while the network runs to find its layers: what has to be known to leave it as it was, and to be said.

    known    is filled
    draws    whether it draws random numbers
    mixes    whether it may compute something of one picture from the others; once `notes` were asked for, whether it does
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.known, self.draws, self.mixes = Known(), False, False
        self._uncounted = self._everywhere = False
        parts = parts_of(module)
        found = Found(parts)
        self._sharing: dict[int, list[nn.Parameter]] = {}
        for each in registered_in(parts, "_parameters"):
            self._sharing.setdefault(memory(each), []).append(each)
        self._others = {memory(each): each for each in (*registered_in(parts, "_buffers"), *found.tensors)}
        self._copies: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._plain, self._hidden = [each for each in parts if is_torchs_own(each)], found.hidden
        self._switching = [type(each).__name__ for each in parts if each.training and has_own_switch(each)]

    def settle(self) -> None:
        """All has been seen."""
        self.known.uncounted, self.known.everywhere = self._uncounted, self._everywhere

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with Unwatched():
            places = ((each, memory(each)) for each in flattened((args, kwargs)))
            given = [(each, version(each), at) for each, at in places if at in self._sharing or at in self._others]
            sharing = [each for *_, place in given for each in self._sharing.get(place, ())]
            if sharing and may_write(function, kwargs):
                self._copies |= {id(each): (each.data, each.data.clone()) for each in sharing if id(each) not in self._copies}
        out = function(*args, **kwargs)
        if not given and name_of(function) not in MIXING:
            return out
        with Unwatched():
            self._seen(function, args, kwargs, out, given, sharing)
        return out

    def _seen(self, function: Any, args: Any, kwargs: Any, out: Any, given: Any, sharing: Any) -> None:
        """After a function ran. `given`: tensors, how often each had been written into before, and where it lies."""
        self.mixes = self.mixes or may_mix(function, args, kwargs, out)
        exposed, name = name_of(function) in EXPOSING, name_of(function)
        if sharing and (exposed or any(version(each) != before for each, before, place in given if place in self._sharing)):
            self.known.written.update(map(id, sharing))
        for each, before, place in given:
            if place in self._others:
                aside = each is not self._others[place] and version(each) != before  # through `.data`
                self._uncounted = self._uncounted or exposed or aside or writes_uncounted(function, name, args, kwargs)

    @contextmanager
    def watching(self) -> Iterator[None]:
        before, kept = drawn(), [dict(vars(each)) for each in self._plain]
        try:
            with self:
                yield
        finally:
            self.draws = self.draws or drawn() != before
            self._everywhere = self._everywhere or not equal([vars(each) for each in self._plain], kept)
            with torch.no_grad():
                for data, copy in self._copies.values():
                    data.copy_(copy)
            if not self.known.written <= set(self._copies):
                raise Overwritten

    def notes(self, engine: TorchEngine) -> Iterator[str]:
        row = mixed(engine) if self.mixes else None
        self.mixes = row is not None
        if row:
            yield (
                f"What '{row}' makes of a picture depends on the others that run with it: it is computed from all of them, "
                "or has them in another order. Give one picture at a time for what it makes of each alone."
            )
        if self.known.written:
            yield "It writes into its own weights while it runs. Every run begins with those that it had, and puts them back."
        if self.draws:
            yield (
                "It draws random numbers while it runs, in evaluation mode too: what is read depends on the random state, which "
                "torch.manual_seed sets."
            )
        if self._hidden:
            kinds = ", ".join(dict.fromkeys(type(each).__name__ for each in self._hidden))
            yield (
                f"{len(self._hidden)} of its modules ({kinds}) are in a list or the like, where torch does not find them: they "
                "have no rows, and eval() does not reach them. Keep them in a ModuleList."
            )
        if self._switching:
            kinds = ", ".join(dict.fromkeys(self._switching))
            yield (
                f"It is in training mode, and is read in evaluation mode without calling the train() that {kinds} has. "
                "If that does more than switch, call eval() before opening."
            )


def may_write(function: Any, kwargs: Any) -> bool:
    """Whether it may write into what it is given: by its name, or because it is none of torch's own."""
    name = name_of(function)
    by_name = name in WRITING | EXPOSING or (name.endswith("_") and not name.startswith("_"))
    return by_name or kwargs.get("out") is not None or type(function).__module__ == "torch._ops"


def may_mix(function: Any, args: Any, kwargs: Any, out: Any) -> bool:
    """Whether it takes statistics of the batch, mixes along the first axis, or leaves nothing of that of two or more."""
    name, given = name_of(function), args[0] if args else None
    if name in ALONG and isinstance(given, torch.Tensor):
        place = 2 if name == "normalize" else 1
        told = kwargs.get("dim", kwargs.get("axis", args[place] if len(args) > place else None))
        return isinstance(told, int) and told in (0, -given.ndim)
    if name in OVER_LAST and isinstance(given, torch.Tensor):
        return len(kwargs.get("normalized_shape", args[1] if len(args) > 1 else ())) == given.ndim
    if name not in REDUCING:
        return takes_statistics(name, args, kwargs)
    made = flattened(out)
    return isinstance(given, torch.Tensor) and given.ndim > 1 and bool(made) and made[0].shape[:1] != given.shape[:1]


def writes_uncounted(function: Any, name: str, args: Any, kwargs: Any) -> bool:
    training = takes_statistics(name, args, kwargs)
    return training or name.strip("_").startswith(("fused", "fake_quantize")) or type(function).__module__ == "torch._ops"


def name_of(function: Any) -> str:
    return str(getattr(function, "__name__", ""))


def has_own_switch(module: nn.Module) -> bool:
    return type(module).train is not nn.Module.train or type(module).eval is not nn.Module.eval


def drawn() -> tuple[object, ...]:
    """What changes when a random number is drawn."""
    numpy: Any = np.random.get_state()
    return torch.get_rng_state().numpy().tobytes(), random.getstate(), numpy[1].tobytes(), numpy[2]


def mixed(engine: TorchEngine) -> str | None:
    """The first row that is another for a picture alone than beside another, before it or behind it; None where there is none,
    or it cannot be tried.
    """
    random = np.random.default_rng(0)
    shapes = zip(input_names(engine.graph), engine._inputs, strict=True)
    two = {name: random.random((2, *each.shape), np.float32) * (not each.whole) for name, each in shapes}
    turned, one = (each_array(two, change) for change in (lambda array: array[::-1], lambda array: array[:1]))
    both, other, alone = (every(engine, pictures) for pictures in (two, turned, one))
    for tap in alone:
        for beside in (both[tap][:1], other[tap][1:]) if tap in both and tap in other else ():
            if alone[tap].shape != beside.shape or np.abs(alone[tap] - beside).max(initial=0) > ALIKE * np.abs(beside).max(
                initial=0
            ):
                return tap.layer
    return None


def every(engine: TorchEngine, pictures: Pictures) -> Mapping[Tap, Array]:
    """All rows that can be read."""
    names = list(engine.graph.names)
    for _ in range(2):
        try:
            return engine.run(pictures, names)
        except ConvscopeError as error:
            names = [name for name in names if name not in getattr(error, "rows", names)]
            if not names:
                break
    return {}
