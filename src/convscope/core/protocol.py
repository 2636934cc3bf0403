"""What an engine can be asked: to run, and where it has more to give, to go back, to stop and go on, to compute in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from .inputs import Array, Pictures
from .reading import Edit, Run, Tap
from .table import Graph


class Trace(Protocol):
    """A run that remembers how it was computed."""

    def __getitem__(self, tap: Tap | str) -> Array: ...

    def pullback(self, seeds: Mapping[str, Array], wrt: Sequence[str]) -> dict[str, Array]:
        """Vector-Jacobian product: for each name in `wrt`, the gradient of sum_k <seeds[k], value of k>.

        `seeds` may stand at "output" and at tapped layers; `wrt` may name inputs and tapped layers. Zero where nothing flows.
        Gradients begin at the first tapped layer; of an input that was not tapped they can cost a second run.
        """
        ...


class Engine(Protocol):
    """Runs one network. "input" and "output" are names too; of several, "input:1" and "output:1" are the second."""

    @property
    def graph(self) -> Graph: ...

    @property
    def framework(self) -> str:
        """Name and version, for the provenance: "onnxruntime 1.32.0"."""
        ...

    def weights(self, layer: str) -> Mapping[str, Array]:
        """`kernel` (out, in / groups, *kernel) and `bias` (out,) where there are such; else by the framework's names.

        Raises UnknownLayer.
        """
        ...

    def run(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Run:
        """Read `taps` while `pictures` pass: (n, c, *spatial), or of several inputs {name: array}. Without taps, the output.

        What is read is what the next layer received, after any edit. Stops as soon as the last tap is known.
        Raises UnknownLayer, UnusedLayer, WrongPictureShape, EngineError. Where only some of the taps cannot be read, the error's
        `rows` says which and why: without them the run succeeds.
        """
        ...


@runtime_checkable
class Differentiable(Engine, Protocol):
    """An Engine with gradients."""

    def trace(self, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """As `run`, always to the output, remembering how it was computed."""
        ...


@runtime_checkable
class Reweighable(Engine, Protocol):
    """An Engine that can be copied with other weights."""

    def with_weights(self, weights: Mapping[str, Mapping[str, Array]]) -> Engine:
        """A copy in which these layers have these weights, named and laid out as `weights` gives them; this one stays as it is.

        raises   UnknownLayer; InputError for weights of another name or shape; Unsupported for what cannot be copied
        """
        ...


Rule = Literal["guided", "deconvnet"]
RULES: tuple[Rule, ...] = ("guided", "deconvnet")


@runtime_checkable
class RuledBackward(Differentiable, Protocol):
    """An Engine whose gradients can flow back by another rule."""

    def trace_by(self, rule: Rule, pictures: Pictures, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = ()) -> Trace:
        """As `trace`, with another backward rule at every ReLU, whatever makes it. Raises Unsupported where there is none.

        guided      relu(g) where the ReLU let something through
        deconvnet   relu(g) everywhere
        """
        ...


class Held(Protocol):
    """Pictures on their way through a network, stopped after one layer.

    layer   where they stopped
    value   (n, c, *spatial), what the next layer is about to receive; the receiver's own copy
    """

    layer: str
    value: Array

    def run(self, taps: Iterable[Tap | str] = (), edits: Iterable[Edit] = (), *, repeat: int = 1) -> Run:
        """As `Engine.run` on the same pictures, but computing only what lies after `layer`. Without taps, the output.

        taps, edits   at `layer` or at rows below it in the layer table
        repeat        each picture so many times in a row: (n * repeat, ...), so that edits with a batch axis try as many things
        raises        InputError for a row above the held one
        """
        ...


@runtime_checkable
class Resumable(Engine, Protocol):
    """An Engine that need not compute the same thing twice."""

    def hold(self, pictures: Pictures, layer: str, edits: Iterable[Edit] = ()) -> Held:
        """Run `pictures` up to `layer`. `edits` stay: those of rows above it are made once, those of rows below in every run.

        Law: `hold(x, L, first).run(taps, then)` equals `run(x, taps, [*first, *then])` for taps and `then` at or after L.
        """
        ...


@dataclass(frozen=True)
class Part:
    """What one layer makes of parts of the maps that feed it.

    call   from an array (n, c, *spatial) for each of the layer's inputs, which it does not write into, to (n, c', *spatial'):
           the places whose windows lie inside, since nothing is padded
    edge   what stands beyond the edges of the whole maps: 0 around a convolution, -inf around a maximum
    """

    call: Callable[[Sequence[Array]], Array]
    edge: float = 0.0


@runtime_checkable
class Local(Engine, Protocol):
    """An Engine that can compute a layer on parts of maps."""

    def local(self, layer: str) -> Part | None:
        """How a row is computed on parts; None where a place may depend on more than the row's window shows.

        A row without a window makes each place of those at the same place, of maps of its own size.
        Law: of the maps that feed `layer`, with their edges, `call` makes what `run` reads there.
        """
        ...


@runtime_checkable
class Bulk(Engine, Protocol):
    """An Engine that has a quicker way for many pictures."""

    def bulk(self, pictures: Pictures, layer: str) -> Array:
        """What `run` reads of `layer`, to 1e-5 of the largest value: the network may compute it in another order."""
        ...
