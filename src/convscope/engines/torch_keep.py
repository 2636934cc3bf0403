"""Stopping a torch module at a layer and going on from there, again and again, whatever the code between its modules does.

The first run keeps what the modules that came to their end before the cut have given. A later run goes through the same code,
but these modules do not run: they hand back what they gave. What functions make between them is computed again from that, and
a Sequential begins at the part in which the cut lies. A module is only kept from running if nobody can tell the difference: it
wrote into nothing that it was given, what it gave shares no memory with anything else, and nobody has hooks on it. All others,
in-place ReLUs say, run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from .torch_attributes import state
from .torch_modules import Counts, Way
from .torch_tensors import flattened, is_record, memory, rebuilt, version

Key = tuple[nn.Module, int]  # a module and how often it had come to its end before: one call
PLAIN = (str, bytes, bool, int, float, complex, type(None), torch.dtype, torch.device, torch.Size)


@dataclass
class Gave:
    """What a call gave: a copy, made at once, since an in-place layer may follow. `counts`: as they were after it.

    rows       the names of its arrays
    written    whether somebody wrote into what it gave before the run stopped
    """

    key: Key
    out: Any
    counts: Counts
    rows: tuple[str, ...]
    originals: list[tuple[torch.Tensor, int]]
    written: bool = False


@dataclass
class Begin:
    """Where a Sequential goes on: at its part number `part`, with these arguments."""

    part: int
    args: Any
    counts: Counts


@dataclass
class Frame:
    """A call that is not at its end."""

    key: Key
    given: list[tuple[torch.Tensor, int]]
    plain: bool
    counts: Counts
    kept: int  # how many calls had been kept when it began
    parts: int = 0
    begin: Begin | None = None


@dataclass(frozen=True)
class Kept:
    """All that is needed to go on. `whole`: nothing can be left out, the network keeps things on itself while it runs."""

    gave: Mapping[Key, Gave]
    begins: Mapping[Key, Begin]
    whole: bool

    @property
    def rows(self) -> frozenset[str]:
        return frozenset(row for gave in self.gave.values() for row in gave.rows)

    @property
    def tensors(self) -> list[torch.Tensor]:
        return flattened([each.out for each in self.gave.values()]) + flattened([each.args for each in self.begins.values()])

    def has_pictures(self, number: int, rows: Iterable[str]) -> bool:
        """Whether all that is kept has an axis of `number` pictures: it is one of `rows`, or goes into a part of a Sequential."""
        return self.rows <= frozenset(rows) and all(each.shape[:1] == (number,) for each in self.tensors)


class Keeper:
    """Watches the calls of modules in the first run, and keeps what they give.

    module    the network
    around    the modules in which the cut may lie
    """

    def __init__(self, module: nn.Module, names: Mapping[nn.Module, str], around: Iterable[nn.Module]):
        self.counts = Counts()
        self.kept: list[Gave] = []
        self._names, self._around, self._network = names, frozenset(around), module
        self._hooked = frozenset(each for each in names if each._forward_hooks or each._forward_pre_hooks)
        self._own = {memory(each) for each in (*module.parameters(), *module.buffers())}
        self._frames: list[Frame] = []
        self._whole = False

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Stands around the run, inside of what puts back what the network keeps on itself."""
        before = state(self._network)
        try:
            yield
        finally:
            self._whole = self._whole or state(self._network) != before

    def begin(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        given = [(each, version(each)) for each in flattened((args, kwargs))]
        key = (module, self.counts.modules[module])
        self._whole = self._whole or any(frame.key[0] is module for frame in self._frames)  # it runs inside itself
        if self._frames and is_sequential(self._frames[-1].key[0]):
            self._part(self._frames[-1], module, args, kwargs)
        self._frames.append(Frame(key, given, is_plain((args, kwargs)), self.counts.copy(), len(self.kept)))

    def leave(self, module: nn.Module, args: Any, out: Any, rows: Sequence[str]) -> None:
        while (frame := self._frames.pop()).key[0] is not module:
            pass  # one that was left by an exception
        tensors = flattened(out)
        if not self._clean(frame, args, out, tensors):
            return  # what its parts gave stays
        after = self.counts.copy()
        after.modules[module] -= 1  # counted again when it gives this back
        originals = [(each, version(each)) for each in tensors]
        self.kept[frame.kept :] = [Gave(frame.key, copied(out), after, tuple(rows), originals)]

    def result(self) -> Kept:
        """After the run has stopped."""
        for gave in self.kept:
            gave.written = any(version(each) != before for each, before in gave.originals)
            gave.originals = []
        begins = {frame.key: frame.begin for frame in self._frames if frame.begin}
        changed = any(version(each) != before for frame in self._frames if frame.begin for each, before in frame.given)
        whole = self._whole or changed
        return Kept({gave.key: gave for gave in self.kept}, begins, whole)

    def _part(self, frame: Frame, module: nn.Module, args: Any, kwargs: Any) -> None:
        """The next part of a Sequential begins: if the cut may be in it, what the parts before gave is needed no more."""
        number, frame.parts = frame.parts, frame.parts + 1
        if module not in self._around or number == 0 or kwargs or not is_part(frame.key[0], number, module):
            return
        into = {memory(each) for each, _ in frame.given}
        same = all(version(each) == before for each, before in frame.given)
        free = not any(each.requires_grad for each in flattened(args))
        if frame.plain and same and free and is_plain(args) and into.isdisjoint(map(memory, flattened(args))):
            del self.kept[frame.kept :]
            frame.begin = Begin(number, copied(args), self.counts.copy())

    def _clean(self, frame: Frame, args: Any, out: Any, tensors: list[torch.Tensor]) -> bool:
        """Whether nobody can tell that the call did not happen."""
        module = frame.key[0]
        if module in self._hooked or isinstance(module, torch.jit.ScriptModule) or not (frame.plain and is_plain(out)):
            return False
        if any(each.requires_grad for each in tensors):
            return False  # what follows takes gradients, though the run is without
        now = [id(each) for each in flattened(args)]
        given = [id(each) for each, _ in frame.given]
        written = any(version(each) != before for each, before in frame.given)
        places = [memory(each) for each in tensors]
        foreign = self._own.union(memory(each) for each, _ in frame.given)
        return now == given[: len(now)] and not written and len(set(places)) == len(places) and foreign.isdisjoint(places)


class Replay:
    """Goes on from what is kept: modules give it back instead of running. `repeat`: each picture so many times in a row.

    answers  by call, what the edits put in place of a layer's output, which then need not run
    copies   of everything: where the network writes into what it gets. Else what is before the cut is only repeated as a view,
             into which torch refuses to write
    """

    def __init__(
        self,
        kept: Kept,
        layer: str,
        repeat: int,
        *,
        copies: bool,
        functions: bool,
        answers: Mapping[Key, torch.Tensor] | None = None,
    ):
        self.way = Way(self.begin, functions=functions, standing=self.standing)
        self._kept, self._layer, self._repeat, self._copies = kept, layer, repeat, copies
        self._called: Key | None = None
        self._answers = answers or {}

    def begin(self, module: nn.Module, _args: Any, _kwargs: Any) -> None:
        self._called = (module, self.way.counts.modules[module])

    @contextmanager
    def standing(self) -> Iterator[None]:
        with ExitStack() as undo:
            for module in {key[0] for key in (*self._kept.gave, *self._kept.begins, *self._answers)}:
                undo.enter_context(forward_replaced(module, self._around(module, module.forward)))
            yield

    def _around(self, module: nn.Module, forward: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **kwargs: Any) -> Any:
            key, self._called = self._called, None
            if key is None or key[0] is not module:
                return forward(*args, **kwargs)  # called without its hooks, as in the first run
            if key in self._answers:
                return self._answers[key]
            if key in self._kept.gave:
                return self._given_back(self._kept.gave[key])
            if key in self._kept.begins:
                return self._from(module, self._kept.begins[key])
            return forward(*args, **kwargs)

        return instead

    def _given_back(self, gave: Gave) -> Any:
        self.way.counts.become(gave.counts)
        return self._repeated(gave.out, copies=self._copies or gave.written or self._layer in gave.rows)

    def _from(self, module: nn.Module, begin: Begin) -> Any:
        self.way.counts.become(begin.counts)
        args = self._repeated(begin.args, copies=self._copies)
        for part in parts(module)[begin.part :]:
            args = (part(*args),)
        return args[0]

    def _repeated(self, value: Any, *, copies: bool) -> Any:
        with self.way.unseen():
            return rebuilt(value, iter([repeated(each, self._repeat, copies=copies) for each in flattened(value)]))


def repeated(tensor: torch.Tensor, repeat: int, *, copies: bool) -> torch.Tensor:
    if repeat == 1:
        return tensor.clone()
    if tensor.is_quantized:
        return tensor.repeat_interleave(repeat, 0)
    if len(tensor) > 1 or copies:
        result = tensor.new_empty((len(tensor) * repeat, *tensor.shape[1:]))
        result.view(len(tensor), repeat, *tensor.shape[1:]).copy_(tensor.unsqueeze(1))
        return result
    return tensor.expand(repeat, *tensor.shape[1:])


@contextmanager
def forward_replaced(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


def is_sequential(module: nn.Module) -> bool:
    """Whether it does what torch.nn.Sequential does, and nothing else."""
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward and "forward" not in vars(module)


def is_part(sequential: nn.Module, number: int, module: nn.Module) -> bool:
    """Whether the part of that number is `module`, or was made of it by torch.compile."""
    own = parts(sequential)
    return number < len(own) and (own[number] is module or getattr(own[number], "_orig_mod", None) is module)


def parts(sequential: nn.Module) -> list[nn.Module]:
    return list(cast(nn.Sequential, sequential))


def is_plain(value: Any) -> bool:
    """Whether it holds nothing but dense tensors, numbers and text, in tuples, lists, dicts and dataclasses."""
    if isinstance(value, torch.Tensor):
        return value.layout is torch.strided and not value.is_nested  # others cannot be repeated
    if isinstance(value, PLAIN):
        return True
    if isinstance(value, Mapping):
        value = tuple(value.values())
    elif is_record(value):
        value = tuple(vars(value).values())
    return isinstance(value, tuple | list) and all(map(is_plain, value))


def copied(value: Any) -> Any:
    return rebuilt(value, iter([each.detach().clone() for each in flattened(value)]))
