"""What a scan reads: the layers, where their units stand on the one axis of all units, and what else decides its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

import numpy as np

from ..core import Engine, Graph, Pictures, Tap, arrays, each_array
from ..errors import InputError, Unsupported
from ..methods.asked import check_labels
from ..methods.blocks import block_ends
from ..methods.maps import Reading, optional, readable, reading
from ..methods.select import At, asked_one_by_one, select
from ..pictures.several import main_input
from .inputs import shapes_of

MEMORY = 1 << 30  # bytes that the maps of a batch may take
MOST = 32  # pictures in a batch: more makes no engine faster
SHARD = 256  # pictures after which results are written
PER_CLASS = 1 << 26  # bytes that the top lists of every class may take: 20 for a unit, a class and a place in its list
HEAVY = 1 << 26  # bytes of results from which on a shard is made longer, so that writing them stays a small part of the time


@dataclass(frozen=True)
class Part:
    """A layer's units on the axis of all units: `start` to `start + units`. spatial: the shape of its maps."""

    layer: str
    read_at: str
    activated: bool
    start: int
    units: int
    spatial: tuple[int, ...]

    @property
    def place(self) -> slice:
        return slice(self.start, self.start + self.units)


@dataclass(frozen=True)
class Plan:
    """parts      the layers
    classes    names of the classes of the pictures
    outputs    how many classes the network answers with; 0 for one that is no classifier
    right      per class of the pictures, the output that is right; -1 where the network does not know it
    k          how long the top lists are
    pairs      whether the correlations between the units of a layer are kept
    maps       layers whose mean maps per class are kept
    features   layers whose pooled values are kept for every picture
    batch      pictures that go through the network at once
    shard      pictures after which results are written
    size       (height, width) of what the network receives; of several inputs in the one that is shown
    per_class  whether a top list of every class is kept
    left_out   why layers are not scanned that a word or a pattern asked for: {layer: sentence}
    """

    parts: tuple[Part, ...]
    classes: tuple[str, ...]
    outputs: int
    right: tuple[int, ...]
    k: int
    pairs: bool
    maps: tuple[str, ...]
    features: tuple[str, ...]
    batch: int
    shard: int
    size: tuple[int, ...]
    per_class: bool = False
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def units(self) -> int:
        return sum(part.units for part in self.parts)

    def __getitem__(self, layer: str) -> Part:
        return next(part for part in self.parts if part.layer == layer)

    def taps(self) -> list[Tap]:
        """What is read of every batch."""
        pooled = [Tap(part.read_at, reduce) for part in self.parts for reduce in ("mean", "max", "argmax", "active")]
        whole = [Tap(self[name].read_at) for name in self.maps]
        return list(dict.fromkeys([*pooled, *whole, *([Tap("output")] if self.outputs else [])]))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Plan:
        fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
        fields["parts"] = tuple(Part(**{**each, "spatial": tuple(each["spatial"])}) for each in data["parts"])
        return cls(**fields)


@dataclass(frozen=True)
class Wishes:
    """What was asked for, before it is known what the network gives."""

    at: At = "convs"
    activated: bool = True
    k: int = 9
    pairs: bool = True
    maps: At | None = "last"
    features: At | None = "blocks"
    batch: int | None = None
    memory: int = MEMORY
    shard: int | None = None

    def __post_init__(self) -> None:
        for name in ("k", "batch", "shard"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise InputError(f"'{name}' of a scan is a whole number from 1 on, but received {value!r}.", received=value)


def plan(
    engine: Engine,
    wishes: Wishes,
    picture: Pictures,
    classes: Sequence[str],
    known: Sequence[str] | None,
    *,
    numbered: bool = False,
) -> Plan:
    """The plan for pictures like `picture` (c, h, w), of several inputs {name: array}, by one run that looks at the shapes.

    known      the names of the network's classes, if it names them
    numbered   whether the pictures may come with numbers of the network's classes as labels
    raises   UnknownLayer, InputError, EngineError
    """
    graph = engine.graph
    size = batch_size(graph, wishes)
    readings, shapes, left = tried(engine, wishes, picture)
    parts = tuple(side_by_side(readings, [shapes[each.read_at] for each in readings]))
    answer = shapes["output"]
    outputs = answer[0] if answer and math.prod(answer) == answer[0] > 1 else 0
    check_labels(known, outputs or None)
    units, names = sum(part.units for part in parts), [part.layer for part in parts]
    pairs = sum(part.units**2 for part in parts) * 8 if wishes.pairs else 0
    named = tuple(classes) or (tuple(known or map(str, range(outputs))) if numbered else ())
    lists = per_class_bytes(len(named), wishes.k, units)
    heavy = pairs + units * 8 * (520 + 2 * len(named)) + (lists if lists <= PER_CLASS else 0)
    return Plan(
        parts=parts,
        classes=named,
        outputs=outputs,
        right=right_outputs(classes, known, outputs) if classes else tuple(range(len(named))),
        k=wishes.k,
        pairs=wishes.pairs,
        maps=chosen(graph, wishes.maps, names, left),
        features=chosen(graph, wishes.features, names, left),
        batch=size,
        shard=wishes.shard or max(1, math.ceil(heavy / HEAVY)) * max(size, SHARD // size * size),
        size=arrays(picture)[main_input(shapes_of(graph))].shape[1:],
        per_class=0 < lists <= PER_CLASS,
        left_out=left,
    )


def tried(engine: Engine, wishes: Wishes, picture: Pictures) -> tuple[list[Reading], dict[str, tuple[int, ...]], dict[str, str]]:
    """What can be read of one picture, the shapes of that and of "output", and why the rest is left out.

    raises   as the engine does, for a layer that was named, and where nothing is left
    """
    graph = engine.graph
    readings = [reading(graph, name, activated=wishes.activated) for name in select(graph, wishes.at)]
    may_lack = optional(readings, asked_one_by_one(graph, wishes.at))
    number = fixed_batch(graph) or 1
    given = each_array(picture, lambda array: np.repeat(array[None], number, 0))
    values, lacks = readable(engine, given, [*(each.read_at for each in readings), "output"], may_lack, size=number)
    shapes = {name: each.shape[1:] for name, each in values.items()}
    left = {each.layer: each.without(lacks[each.read_at]) for each in readings if each.read_at in lacks}
    left |= {each.layer: single(each) for each in readings if shapes.get(each.read_at) == () and each.read_at in may_lack}
    found = [each for each in readings if each.layer not in left]
    if not found:
        raise Unsupported(next(iter(left.values())))
    return found, shapes, left


def single(each: Reading) -> str:
    return f"'{each.layer}' gives one number for a picture, which is no unit to scan."


def per_class_bytes(classes: int, k: int, units: int) -> int:
    """What top lists of every class take: value, mean and position of 4 bytes each and a picture's number of 8."""
    return 20 * classes * k * units


def side_by_side(readings: Sequence[Reading], shapes: Sequence[tuple[int, ...]]) -> Iterator[Part]:
    start = 0
    for each, shape in zip(readings, shapes, strict=True):
        if not shape:
            raise Unsupported(f"{single(each)} Leave it out of 'at'.")
        yield Part(each.layer, each.read_at, each.activated, start, shape[0], tuple(shape[1:]))
        start += shape[0]


def chosen(graph: Graph, at: At | None, among: Sequence[str], left: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the scanned layers that `at` means; "last" is the last convolution, or the last layer where there is none.

    left     those that are left out of the scan, and why
    raises   Unsupported for one of these that is named; InputError for a layer that is not among those of the scan
    """
    if at is None:
        return ()
    ends = [name for name in block_ends(graph) if name in among] if any(row.is_convolution for row in graph) else []
    if at == "last":
        return tuple((ends or list(among))[-1:])
    if at == "blocks":
        return tuple(ends or list(among)[-1:])
    if unreadable := [name for name in left if name in asked_one_by_one(graph, at)]:
        raise Unsupported(left[unreadable[0]])
    names = tuple(name for name in select(graph, at) if name not in left)
    if missing := [name for name in names if name not in among]:
        raise InputError(f"'{missing[0]}' is not among the layers of this scan. Add it to 'at'.", received=missing[0])
    return names


def right_outputs(classes: Sequence[str], known: Sequence[str] | None, outputs: int) -> tuple[int, ...]:
    """For each class of the pictures the output that is right; -1 where the network does not know it.

    The output of that name, or with that among its names ("tabby, tabby cat"), if there is only one. A number is the output of
    that number. Of a network without names, as many classes as outputs are these in their order.
    """
    numbers = tuple(int(name) if name.isdecimal() and int(name) < outputs else -1 for name in classes)
    if known:
        places = places_by_name(known)
        named = [places.get(name) or places.get(spoken(name)) or () for name in classes]
        return tuple(
            found[0] if len(found) == 1 else number if not found else -1 for found, number in zip(named, numbers, strict=True)
        )
    if all(number >= 0 for number in numbers):
        return numbers
    return tuple(range(outputs)) if len(classes) == outputs else numbers


def places_by_name(known: Sequence[str]) -> dict[str, list[int]]:
    """The outputs of each name: as it is written, else however it is written, else as one of several names."""
    ways = [
        [(name, number) for number, name in enumerate(known)],
        [(spoken(name), number) for number, name in enumerate(known)],
        [(spoken(part), number) for number, name in enumerate(known) for part in name.split(",")],
    ]
    found: dict[str, list[int]] = {}
    for way in ways:
        added: dict[str, list[int]] = {}
        for name, number in way:
            added.setdefault(name, []).append(number)
        found = added | found
    return found


def spoken(name: str) -> str:
    """ "Cassette_player" and "cassette player" are the same class: folders have no blanks in their names."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())


def fixed_batch(graph: Graph) -> int | None:
    """How many pictures a file insists on; None if it takes any number."""
    shape = graph.layers[0].native_shape
    return shape[0] if shape else None


def batch_size(graph: Graph, wishes: Wishes) -> int:
    """As many pictures as fit with all their maps into the memory; what a file insists on comes first.

    One where pictures that run together change each other, unless it was said how many.
    """
    fixed = fixed_batch(graph) or 1
    values = sum(math.prod(size or 224 for size in layer.shape) for layer in graph if layer.shape)
    fits = wishes.batch or max(1, min(MOST, wishes.memory // max(values * 4, 1)))
    size = fits if wishes.batch else 1 if graph.mixed else 1 << (fits.bit_length() - 1)
    return max(fixed, size // fixed * fixed)


def fingerprint(engine: Engine) -> str:
    """What tells this network from any other: its layers and the bits of its weights."""
    digest = sha256()
    for row in engine.graph:
        digest.update(f"{row.name} {row.kind} {row.native} {row.shape}\n".encode())
        for name, values in engine.weights(row.name).items() if row.parameters else ():
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    for edit in getattr(engine, "edits", ()):  # those that stay: a network without some units is another one
        digest.update(edit.layer.encode() + np.asarray(edit.scale).tobytes() + np.asarray(edit.shift).tobytes())
    return digest.hexdigest()
