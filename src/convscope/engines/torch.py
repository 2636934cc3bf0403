"""torch.nn.Module -> Engine, by forward hooks that live for one call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from ..core import (
    Array,
    Edit,
    Graph,
    Held,
    Part,
    Pictures,
    Rule,
    Run,
    Tap,
    Trace,
    as_tap,
    by_input,
    each_array,
    input_names,
    merged,
)
from ..errors import ConvscopeError, Shape, Unsupported, WrongPictureShape, not_read
from .cuts import Cut
from .failures import is_out_of_memory
from .memory import Pool
from .names import end_names
from .torch_apart import HeldApart, Picture, TraceApart, joined, one_by_one
from .torch_checkpoint import not_checkpointed
from .torch_constants import Constants
from .torch_failures import failure, raised_in, said
from .torch_functions import Functions
from .torch_graph import is_looked_into, weights_of
from .torch_habits import Habits
from .torch_held import TorchHeld
from .torch_inputs import Input, PictureShape, arguments, check_whole, tensor_of
from .torch_kernels import acting_in, notes_on_kernels, weights_as, written_into
from .torch_layout import Layout
from .torch_local import Locals
from .torch_modules import Visit, Way, frozen, names_of, notes_on, unwrapped, visiting
from .torch_opening import opened, way_of_zeros
from .torch_outputs import outputs_of
from .torch_reweighed import reweighed
from .torch_rules import ReluRule, refuse_scripts
from .torch_state import Known
from .torch_survey import Step, Survey
from .torch_trace import TorchTrace
from .torch_trials import Followed
from .torch_untouched import RUNNING, Overwritten, untouched
from .torch_watchers import Enough, Reader, Recorder, Saved, Watcher


class TorchEngine:
    """Runs a torch.nn.Module in evaluation mode, on its own device, and leaves it as it was.

    module          what torch.compile and DataParallel wrap is unwrapped, and `notes` say so
    picture_shape   (c, *spatial); where it is not given, the first likely one that works, and `assumed` says which. For
                    several inputs a list of such, in the order of forward's parameters, or {parameter: shape}; whether one of
                    the further ones takes whole numbers is found by trying
    raises          Unsupported for what cannot be watched; EngineError if it does not run; InputError

    Rows are the calls of layers in the order in which they run, `relu` and `relu#2`, and after them those of the containers
    they are in (kind "network"), so that a residual block can be read by its name. Between them stands what functions make
    (`x + y`, `F.relu`), called after the code that calls them: `layer1.0.add` (`Layer.function`). Reading one costs a look at
    every function that runs. An edit replaces what a layer or a function returns.
    """

    def __init__(self, module: nn.Module, *, picture_shape: PictureShape | None = None):
        self.module = unwrapped(module)
        self._names = names_of(self.module)
        self._paths = {each: self._names.get(each, "") for each in (self.module, *self._names) if is_looked_into(each)}
        self._writes = False  # whether the network writes into what a gradient needs
        self._habits, self._odd = Habits(self.module), set[str]()
        self.alone: str | None = None  # the note of a network that takes one picture at a time
        self._pool = Pool()
        tensors = chain(self.module.parameters(), self.module.buffers(), [torch.empty(0)])
        self._like = next(each for each in tensors if each.is_floating_point())
        self._inputs: tuple[Input, ...]  # of the run that worked
        survey, found, note = opened(self, picture_shape)
        self._habits.settle()
        self._odd &= found.kept  # rows whose kernels may not be the weights that they keep
        self.graph: Graph = found.table.graph(self.module, self._names, survey.ran, wired=found.wired)
        self._modules = {name: each for name, each in survey.modules.items() if name in found.kept}
        self._odd |= written_into(self._modules, self._habits.known.written)
        self._functions = {row.name for row in self.graph if row.function}
        self._whole: dict[Any, Tap] = {name: Tap(name) for name in (*self.graph.names, *survey.ends)}  # of all that can be read
        self._folded, self._outputs, self._unlike = found.table.folded, tuple(survey.ends), found.unlike
        self.looks = found.looks  # whether its code looks at values, and may go another way for other pictures
        self._ways: dict[tuple[tuple[int, ...], ...], list[Step]] = {}  # of such a network, by the shapes of what it was given
        size = " x ".join(map(str, self._inputs[0].shape))
        self.assumed = None if picture_shape else f"The network does not say what it takes; pictures of {size} were assumed."
        self._locals, self._layout = Locals(self), Layout(self)
        kernels = notes_on_kernels(acting_in(self, self._odd), self._modules) if self._odd else ()
        self.notes = (
            *notes_on(module),
            *kernels,
            *self._habits.notes(self),
            *([self.alone] if self.alone else []),
            *([note] if note else found.notes),
        )
        self.graph = replace(self.graph, mixed=found.mixed or self._habits.mixes)

    @property
    def framework(self) -> str:
        return f"torch {torch.__version__}"

    def weights(self, layer: str) -> Mapping[str, Array]:
        """`kernel` (out, in / groups, *kernel) and `bias`, or parameters and buffers by torch's names. Raises UnknownLayer.

        Where the kernel is no Parameter of a layer that does nothing else it is looked up in a run, and called by its Role.
        """
        row = self.graph[layer]
        if row.name not in self._modules:
            return {}
        module = self._modules[row.name]
        if row.name in self._odd:
            return weights_as(module, acting_in(self, [row.name])[row.name])
        with RUNNING, untouched(module, Known()):  # a spectral norm in training would go a step on
            return weights_of(module)

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> TorchEngine:
        """See Reweighable.with_weights."""
        return reweighed(self, weights)

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        asked, changes = self._asked(taps, edits)
        if several := self._several(pictures):
            return joined([self.run(each.array, asked, each.edits(changes.values())) for each in several])
        reader = Reader(asked or (Tap("output"),), changes, self._pool)
        with torch.no_grad():
            self._forward(pictures, reader)
        self._pool.trim()
        return Run(reader.values)

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """See Differentiable.trace. The input costs a second run, once it is asked for, unless it is tapped."""
        asked, changes = self._asked(taps, edits)
        if several := self._several(pictures):
            return TraceApart([self.trace(each.array, asked, each.edits(changes.values())) for each in several])
        asked, inputs = (*asked, Tap("output")), tuple(map(Tap, input_names(self.graph)))
        given = each_array(pictures, np.array)
        again = partial(self._recorded, given, {*asked, *inputs}, changes)
        return TorchTrace(self._recorded(given, asked, changes), {*asked, *inputs}, again, self._going_back)

    def _recorded(self, pictures: Pictures, taps: Iterable[Tap], edits: Mapping[str, Edit]) -> dict[str, torch.Tensor]:
        """What was tapped, as part of a computation that begins there: what lies before is computed without gradients."""
        recorder, saved = Recorder(taps, edits), Saved(copies=self._writes, parameters=bool(self._habits.known.written))
        keeping = torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda tensor: tensor)
        with torch.enable_grad(), keeping:
            self._forward(pictures, recorder, Way(standing=lambda: frozen(self.module)))
        if saved.overwritten:
            self._writes = True
            return self._recorded(pictures, taps, edits)
        return recorder.handles

    @contextmanager
    def _going_back(self) -> Iterator[None]:
        """What computes again what it did not keep for its gradient does so as in the run itself."""
        with RUNNING, torch.inference_mode(False), untouched(self.module, self._habits.known), frozen(self.module):
            yield

    def trace_by(self, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """See RuledBackward.trace_by."""
        refuse_scripts(rule, self._names)
        with ReluRule(rule) as standing:
            trace = self.trace(pictures, (*taps, *input_names(self.graph)), edits)
        standing.check()
        return trace

    def trace_relevance(self, composite: str, pictures: Pictures, taps: Iterable[Tap | str] = ()) -> Trace:
        """See Relevant in methods/backward_rules.py."""
        from .torch_relevance import trace_relevance  # which knows this class

        return trace_relevance(self, composite, pictures, taps)

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> Held:
        """See Resumable.hold."""
        cut = Cut.at(layer, self.graph, self._outputs)
        if not self.alone:
            return TorchHeld(self, pictures, cut, edits)
        changes = self._asked((), edits)[1].values()
        each = one_by_one(pictures, self.graph)
        return HeldApart([TorchHeld(self, one.array, cut, one.edits(changes)) for one in each], layer, self.graph)

    def _several(self, pictures: Pictures) -> list[Picture]:
        """Of a network that takes one picture at a time, those of several."""
        given = one_by_one(pictures, self.graph) if self.alone else []
        return given if len(given) > 1 else []

    def bulk(self, pictures: Pictures, layer: str) -> Array:
        """See Bulk.bulk."""
        asked, _ = self._asked([layer], ())
        if self.alone:
            return self.run(pictures, asked)[asked[0]]
        return self._layout.read(pictures, asked[0])

    def local(self, layer: str) -> Part | None:
        """See Local.local."""
        return self._locals.of(self.graph[layer])

    def _asked(self, taps: Iterable[Tap | str], edits: Iterable[Edit]) -> tuple[tuple[Tap, ...], dict[str, Edit]]:
        asked, changes = tuple(self._whole.get(tap) or as_tap(tap) for tap in taps), merged(edits)
        for name in (*(tap.layer for tap in asked), *changes):
            if name not in self._whole:
                raise self.graph.unknown(name, tuple(self._whole))
        return asked, changes

    def _forward(self, pictures: Pictures, watcher: Watcher, way: Way | None = None, visit: Visit | None = None) -> None:
        """Run the network under `watcher`, until that has seen enough.

        visit   what stands between the network and the watcher's own
        """
        given, way = by_input(pictures, self.graph), way or Way()
        received = {name: np.shape(array) for name, array in given.items()}
        for name, each in zip(given, self._inputs, strict=True):
            check_whole(name, given[name], each)
            if received[name][1:2] != each.shape[:1]:
                self._wrong_shape(name, received[name], (*each.shape[:1], *[None] * len(each.shape[1:])))
        rows = (*watcher.taps, *watcher.edits)
        if self.looks and self.graph.wired and visit is None:
            survey = Survey(self.module)
            way.constants = survey.constants
            followed = Followed(survey, way_of_zeros(self, given), self.graph, watcher, way.enter)
            way.enter, way.functions, visit = followed.enter, True, followed.visit
        way.functions = way.functions or not self._functions.isdisjoint(rows)
        if not (way.functions or way.enter or way.leave or visit):
            way.wanted = frozenset(self._modules[name] for name in rows if name in self._modules)
        try:
            self._call(given, visit or watcher.visit, way)
        except Enough:
            watcher.edits.clear()  # those of layers further on
        except Overwritten:
            self._habits.known.written.update(map(id, self.module.parameters()))
            raise
        except ConvscopeError:
            raise
        except Exception as error:
            if watcher.taps and not (watcher.refused or watcher.unread):
                for name, each in zip(given, self._inputs, strict=True):
                    if received[name][1:] != each.shape:
                        self._wrong_shape(name, received[name], each.shape, error)
                last = watcher.last if way.wanted is None else self._last(given, watcher, error)
                raise failure(error, last, list(received.values()), raised_in(error, self._names)) from error
        watcher.check()
        if (unlike := [name for name in rows if name in self._unlike]) and len(next(iter(given.values()))) > 1:
            says = "The first axis of '{}' is not that of the pictures. Take a layer, or one picture."
            raise not_read({name: Unsupported(says.format(name)) for name in unlike})

    def _last(self, pictures: Mapping[str, Array], watcher: Watcher, error: Exception) -> str | None:
        """The layer that was reached before the network failed: it runs again, and all layers are looked at."""
        if is_out_of_memory(error):
            return watcher.last
        again = watcher.again()
        with contextlib.suppress(Exception, Enough):
            self._call(pictures, again.visit, Way())
        return again.last

    def _wrong_shape(self, name: str, received: tuple[int, ...], takes: Shape, cause: Exception | None = None) -> NoReturn:
        why = None if cause is None else said(cause)
        raise WrongPictureShape(received, (None, *takes), name if len(self._inputs) > 1 else None, why) from cause

    def _call(self, pictures: Mapping[str, Array], visit: Visit, way: Way) -> Any:
        """What the module returns."""
        watched, grad = visiting(self._names, visit, way), torch.is_grad_enabled()
        # Leaving a caller's inference mode switches gradients on, and all that they need would be kept.
        mode = torch.inference_mode(False)
        alone = untouched(self.module, self._habits.known)
        with RUNNING, mode, torch.set_grad_enabled(grad), alone, not_checkpointed(), way.standing(), watched:
            tensors = [
                visit(name, tensor_of(pictures[name], each, self._like, way.channels_last), None, False)
                for name, each in zip(pictures, self._inputs, strict=True)
            ]
            way.running.append(self.module)
            with self._functions_of(visit, way) if way.functions else nullcontext():
                by_place, by_name = arguments(tensors, self._inputs)
                if way.enter and self.module not in self._names:
                    with way.unseen():
                        way.enter(self.module, tuple(by_place), by_name)
                result = self.module(*by_place, **by_name)
            outputs = outputs_of(result, len(tensors[0]))
            for name, each in zip(end_names("output", len(outputs)), outputs, strict=True):
                visit(name, each, None, False)
        return result

    def _functions_of(self, visit: Visit, way: Way) -> Functions:
        paths: Mapping[Any, str] = self._paths
        path, constants = lambda: paths.get(way.running[-1]), way.constants or Constants(self.module)
        return Functions(path, self._names.values(), visit, way.counts.functions, constants, way.look)
