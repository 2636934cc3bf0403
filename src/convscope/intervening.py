"""From a network to one with edits that stay, and its answers before and after."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .core import Array, Edit, count
from .edited import edited
from .errors import InputError, WrongOption
from .methods import interventions
from .methods.interventions import FILLS, Region, Units, place, selection, shape_of
from .results import Contrast, NetworkInfo

if TYPE_CHECKING:
    from .network import Network


def with_edits(network: Network, edits: list[Edit], notes: list[str]) -> Network:
    """The same network with edits that stay, which its notes tell."""
    from .network import Network

    info: NetworkInfo = dataclasses.replace(network.info, notes=(*network.info.notes, *notes))
    return Network(edited(network.engine, edits), info, network.preprocess, network.labels)


def without(
    network: Network, units: Mapping[str, Units], fill: str, over: Any, region: Region, seed: int, activated: bool
) -> Network:
    """See Network.without."""
    if fill not in FILLS:
        raise WrongOption("What stands for a unit that is off", fill, FILLS)
    _check_layers(units)
    if fill != "zero" and over is None:
        raise InputError(f"fill='{fill}' is taken from pictures. Give some: over='pictures/'.", received=over)
    pictures = None if over is None else network._prepared(over).inputs
    edits, notes = [], []
    for layer, numbers in units.items():
        at = place(network.engine, layer, activated=activated)
        chosen = selection(shape_of(network.engine, at, pictures), numbers, region, layer)
        if fill == "zero" or pictures is None:
            edits.append(interventions.zeroed(at, chosen))
            said = "zero"
        elif fill == "mean":
            edits.append(interventions.replaced(at, chosen, interventions.means(network.engine, pictures, at)))
            said = f"their mean over {count(pictures)} pictures"
        else:
            maps = interventions.every_map(network.engine, pictures, at)
            edits.append(interventions.replaced(at, chosen, interventions.sampled(maps, seed=seed)))
            said = f"those of pictures drawn from {len(maps)} (seed {seed})"
        notes.append(f"{_which(numbers)} of {_where(layer, at)}{_part(region)} are {said}.")
    return with_edits(network, edits, notes)


def scaled(network: Network, units: Mapping[str, Units], factor: float, region: Region, activated: bool) -> Network:
    """See Network.scale."""
    _check_layers(units)
    edits, notes = [], []
    for layer, numbers in units.items():
        at = place(network.engine, layer, activated=activated)
        chosen = selection(shape_of(network.engine, at), numbers, region, layer)
        edits.append(interventions.scaled(at, chosen, factor))
        notes.append(f"{_which(numbers)} of {_where(layer, at)}{_part(region)} are {factor:g} times as large.")
    return with_edits(network, edits, notes)


def patched(
    network: Network, source: Any, into: Any, at: str, units: Units, region: Region, top: int, where: tuple[int, ...] | None
) -> Contrast:
    """See Network.patch."""
    given = network._prepared(source)
    if len(given.names) != 1:
        raise InputError(f"Activations are taken from one picture, but received {len(given.names)}.", received=len(given.names))
    values = network.engine.run(given.inputs, [at])[at]
    chosen = selection(values.shape[1:], units, region, at)
    what = f"{_which(units)} of '{at}'{_part(region)} are those of '{given.names[0]}'."
    return contrasted(
        network, with_edits(network, [interventions.replaced(at, chosen, values[0])], [what]), into, top, where, what
    )


def steered(network: Network, at: str, direction: Any, toward: Any, away: Any, strength: float) -> Network:
    """See Network.steer."""
    if (direction is None) == (toward is None):
        raise InputError("Give a direction, or pictures to steer toward (and away from), one of the two.", received=direction)
    shape = shape_of(network.engine, at)
    if direction is None:
        way = interventions.means(network.engine, network._prepared(toward).inputs, at)
        if away is not None:
            way = way - interventions.means(network.engine, network._prepared(away).inputs, at)
        said = "toward the mean of some pictures" + (" and away from that of others" if away is not None else "")
    else:
        way, said = as_direction(direction, shape, at), "in a direction that was given"
    note = f"'{at}' is steered {said}, {strength:g} times its length of {float(np.sqrt((way**2).sum())):.4g}."
    return with_edits(network, [interventions.steered(at, way, strength)], [note])


def as_direction(direction: Any, shape: tuple[int, ...], at: str) -> Array:
    """(c, 1, 1) of (c,), or (c, *spatial) as it is. Raises InputError."""
    way = np.asarray(direction, np.float32)
    if way.shape == shape[:1]:
        way = way.reshape(-1, *[1] * (len(shape) - 1))
    if way.shape[:1] != shape[:1] or way.ndim != len(shape):
        message = f"A direction in '{at}' has shape {shape[:1]} or {shape}, but received {way.shape}."
        raise InputError(message, received=way.shape, expected=shape)
    return way


def contrasted(network: Network, other: Network, pictures: Any, top: int, where: tuple[int, ...] | None, what: str) -> Contrast:
    """See Network.contrast."""
    before, after = (each.answers(pictures, top=top, where=where) for each in (network, other))
    return Contrast(before, after, what, other)


def _check_layers(units: Any) -> None:
    if not isinstance(units, Mapping) or not units:
        message = f"Units are named by layer, as {{'conv5': [17, 40]}}, None for all of a layer, but received {units!r}."
        raise InputError(message, received=units)


def _which(units: Units) -> str:
    if units is None:
        return "All units"
    if isinstance(units, int | np.integer):
        return f"Unit {units}"
    listed = list(map(int, units))
    return ("Units " if len(listed) > 1 else "Unit ") + ", ".join(map(str, listed[:12])) + (" ..." if len(listed) > 12 else "")


def _where(layer: str, at: str) -> str:
    return f"'{layer}'" if layer == at else f"'{layer}', after its activation ('{at}'),"


def _part(region: Region) -> str:
    return "" if region is None else f" at {int(np.count_nonzero(region))} positions"
