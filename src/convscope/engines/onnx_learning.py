"""What inference leaves open of the shapes in an ONNX file, from runs on small pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, TensorProto

from ..core import Array
from ..errors import EngineError
from .onnx_graph import Read
from .onnx_pictures import NUMBERS, turned
from .onnx_sessions import Session
from .onnx_sizes import learnt
from .onnx_wiring import Type, Wiring, attribute

if TYPE_CHECKING:
    from .onnx import OnnxEngine

CHANNELS = (3, 1, 4)  # where the file does not say how many
SIDES = (32, 64, 96, 128, 224)  # in pixels, of pictures to learn shapes with
Trial = tuple[dict[str, Array], dict[Read, Array]]  # what went in, and what came out


def open_questions(engine: OnnxEngine) -> bool:
    """Whether inference left out more than the sizes that depend on the picture's, or which axis is that of the pictures."""
    known = engine.inputs.shapes.values()
    fixed = all(shape is not None and None not in shape[1:] for shape in known)
    shapes = [layer.shape for layer in engine.graph]
    lacking = any(shape is None or (fixed and None in shape) for shape in shapes)
    overhanging = any(overhangs(node, engine._wiring) for node in engine._model.graph.node)
    return None not in known and (lacking or overhanging or bool(doubtful(engine)))


def overhangs(node: NodeProto, wiring: Wiring) -> bool:
    """Whether the last window of a pooling that rounds up lies in the padding only: inference counts it, and ONNX Runtime not."""
    shape = wiring.shape(node.input[0]) if attribute(node, "ceil_mode", 0) else None
    kernel = list(attribute(node, "kernel_shape", ()))
    axes = len(kernel)
    strides, dilations = (attribute(node, key, [1] * axes) for key in ("strides", "dilations"))
    pads = attribute(node, "pads", [0] * 2 * axes)
    for axis, size in enumerate((shape or ())[2:]):
        before, after, reach = pads[axis], pads[axes + axis], (kernel[axis] - 1) * dilations[axis] + 1
        last = -(-((size or 0) + before + after - reach) // strides[axis])
        if size is not None and last * strides[axis] >= size + before:
            return True
    return False


def doubtful(engine: OnnxEngine) -> list[str]:
    """The tensors of rows and outputs of which it is not known whether they have an entry for each picture."""
    wiring, outputs = engine._wiring, (each.name for each in engine._model.graph.output)
    numbers = [name for name in outputs if name in wiring.flowing and wiring.element(name) in NUMBERS | {None}]
    names = dict.fromkeys([*(engine.tensor(layer.name) for layer in engine.graph), *numbers])
    return [name for name in names if name not in engine.axes.proven | engine.axes.foreign]


def learn(engine: OnnxEngine) -> bool:
    """Complete what is known of the types and first axes. False if the network takes a picture, but no two.

    Where it takes any size, a size that two runs agree on is a fixed one.
    """
    batch, free = engine.inputs.batch, any(None in (shape or ())[1:] for shape in engine.inputs.shapes.values())
    numbers = (2, 3) if batch is None else (batch,) * (1 + free)
    unsure = doubtful(engine)
    wrong = any(overhangs(node, engine._wiring) for node in engine._model.graph.node)
    lacking = (layer.name for layer in engine.graph if wrong or layer.shape is None or None in layer.shape)
    rows = (engine.tensor(name) for name in lacking if name not in {row.name for row in engine.graph.inputs})
    reads = tuple(Read(name) for name in dict.fromkeys([*rows, *unsure]))
    if not reads:
        return True
    session = engine._sessions.build(reads)
    trials = tried(engine, session, numbers, SIDES if free else SIDES[:1] * len(numbers))
    of_any_size = len(trials) == len(numbers) and not alike(engine, trials)
    for side in () if of_any_size or not free else SIDES:  # perhaps it takes one size only, which the file does not say
        if len(trials) < len(numbers):
            trials = tried(engine, session, numbers, [side] * len(numbers))
    if len(trials) < len(numbers):
        return batch is not None or not tried(engine, session, (1,), SIDES)
    runs = [values for _, values in trials]
    if unsure and batch is not None and batch > 1:  # which first axes are of their length, and turn as the pictures do
        runs.append(passed(engine, session, {name: np.roll(array, -1, 0) for name, array in trials[0][0].items()}))
    for read in session.reads:
        values = [run[read] for run in runs]
        if read.tensor in unsure:
            engine.axes.learn(read.tensor, values, [len(next(iter(given.values()))) for given, _ in trials])
        if of_any_size:
            first = (batch,) if read.tensor in engine.axes.proven else None
            inferred = engine.types.get(read.tensor, Type(TensorProto.FLOAT, None))
            engine.types[read.tensor] = learnt(inferred, [value.shape for value in values], first)
    return True


def tried(engine: OnnxEngine, session: Session, numbers: Sequence[int], sides: Sequence[int]) -> list[Trial]:
    """A run for each of these numbers of pictures, each of the next of the `sides` that works; fewer where the network fails.

    Where the number of channels is not said either, the second run has another than the first, if the network takes any.
    """
    found: list[Trial] = []
    said = all((shape or (0, 3))[1:2] != (None,) for shape in engine.inputs.shapes.values())
    channels = list(CHANNELS[:1] if said else CHANNELS)
    for side in sides:
        for some in channels:
            pictures = {name: made(engine, name, numbers[len(found)], side, some) for name in engine.inputs.names}
            with contextlib.suppress(EngineError):  # too small for this network, or of too many channels
                found.append((pictures, passed(engine, session, pictures)))
                channels = [*(each for each in channels if each != some), some]
                break
        if len(found) == len(numbers):
            break
    return found


def alike(engine: OnnxEngine, trials: Sequence[Trial]) -> bool:
    """Whether all had the same number of channels though the file does not say how many: that says nothing of a fixed size."""
    unsaid = [name for name, shape in engine.inputs.shapes.items() if (shape or (0, 3))[1:2] == (None,)]
    return any(len({given[name].shape[1] for given, _ in trials}) == 1 for name in unsaid)


def passed(engine: OnnxEngine, session: Session, pictures: Mapping[str, Array]) -> dict[Read, Array]:
    return engine.ran(session, engine.inputs.received(pictures, []), pictures)


def made(engine: OnnxEngine, name: str, number: int, side: int, channels: int) -> Array:
    """Pictures to try with: `side` and `channels` for what is not said."""
    sizes = (size or (side if axis else channels) for axis, size in enumerate((engine.inputs.shapes[name] or ())[1:]))
    return drawn(engine, name, (number, *sizes))


def prove(engine: OnnxEngine, reads: Sequence[Read], shapes: Mapping[str, Sequence[int]]) -> None:
    """Try what is not known to have an entry for each picture, as where the file does not say how many axes its input has.
    Raises EngineError where it has not.

    shapes   of the arrays that are given, which say how many axes these have
    """
    doubted = [read.tensor for read in reads if read.tensor not in engine.axes.proven]
    if not doubted or engine.axes.batch is not None:
        return
    ranks = tuple(map(len, shapes.values()))
    unsure = tuple(Read(name, native=True) for name in dict.fromkeys(doubted) if (name, ranks) not in engine.axes.tried)
    if not unsure:
        return
    session = engine._sessions.build(unsure)
    for read in unsure:
        if not of_pictures(engine, session, read, shapes):
            raise EngineError(
                f"What the network makes in '{read.tensor}' has no entry for each picture, and is not shown as if it had. Read "
                "another layer."
            )
    engine.axes.tried |= {(read.tensor, ranks) for read in unsure}


def of_pictures(engine: OnnxEngine, session: Session, read: Read, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether it is as long as there are pictures, for one and for two more of them than are given. Where the network takes no
    other number: whether entries change places as the pictures do.
    """
    number = next(iter(shapes.values()))[0]
    try:
        for more in (number + 1, number + 2):
            longer = {name: drawn(engine, name, (more, *shape[1:])) for name, shape in shapes.items()}
            value = passed(engine, session, longer)[read]
            if not value.ndim or len(value) != more:
                return False
    except EngineError:
        given = {name: drawn(engine, name, shape) for name, shape in shapes.items()}
        first = passed(engine, session, given)[read]
        second = passed(engine, session, {name: np.roll(array, -1, 0) for name, array in given.items()})[read]
        return bool(first.ndim) and turned(first, second)
    return True


def drawn(engine: OnnxEngine, name: str, shape: Sequence[int]) -> Array:
    random = np.random.default_rng(0)
    values = random.integers(0, 2, shape) if engine.inputs.whole(name) else random.normal(size=shape)
    return np.asarray(values, np.float32)
