"""From options to a network that is open and pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..network import Network
from ..progress import Steps
from ..results import MapSet


@dataclass(frozen=True)
class Given:
    """What was said of the network."""

    weights: str | None
    architecture: str | None
    partial: bool
    shape: str | None
    trust: bool
    via: str | None = None


def open_network(
    steps: Steps,
    model: str,
    given: Given,
    labels: Path | None = None,
    preprocess: str | None = None,
    channels: str | None = None,
) -> Network:
    from ..opening import open

    refuse_of_no_weights(model, given)
    steps.begin(f"Opening {model}")
    network = open(
        model,
        weights=given.weights,
        architecture=given.architecture,
        partial=given.partial,
        picture_shape=_shape(given.shape),
        trust=given.trust,
        via=given.via,
        labels=labels,
        preprocess=preprocess,
        progress=steps,
    )
    if channels is not None and not takes_signals(network):
        network.preprocess = replace(network.preprocess, shown=_whole("--channels", channels, "3,2,1"))
    return network


def refuse_of_no_weights(model: str, given: Given) -> None:
    """Raises InputError for what is said of weights where none are given."""
    if given.partial and given.weights is None and given.architecture is None:
        raise InputError(
            "--partial is of --weights, or of a file of weights with --architecture, and neither was given. Leave it out."
        )
    named = model.partition(":")[0] in ("keras", "torchvision", "timm", "hf") and ":" in model
    if given.architecture is not None and (named or model == "demo"):
        raise InputError(
            f"--architecture is of a file of weights, but '{model}' says which network it is. Leave it out, or give the file as "
            f"--weights.",
            received=given.architecture,
        )


def scale_of(text: str) -> str | tuple[float, float]:
    """ "0..1" as two numbers; what is none is a word, "shared"."""
    low, dots, high = text.partition("..")
    try:
        return (float(low), float(high)) if dots else text
    except ValueError:
        return text


def takes_signals(network: Network) -> bool:
    return len(network.graph.layers[0].shape or ()) == 2


def channel_names(network: Network, channels: str | None) -> list[str] | None:
    """The names of the channels of a signal; None for a picture, where --channels are numbers."""
    return channels.split(",") if channels is not None and takes_signals(network) else None


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    return _whole("--shape", text, "3,224,224")


def _whole(option: str, text: str, example: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise InputError(f"{option} takes whole numbers such as {example}, but received '{text}'.", received=text) from None


def place_of(text: str | None) -> tuple[int, ...] | None:
    """ "3,4" as a place. Raises InputError."""
    return None if text is None else _whole("--where", text, "3,4")


def pictures_or_own(given: list[str] | None) -> list[str]:
    from .. import demo

    return given or [str(demo.picture())]


def run(
    steps: Steps, verb: Any, pictures: list[str] | None, at: list[str] | None, **options: bool | str | list[str] | None
) -> MapSet:
    steps.begin("Running the network")
    names = [name for each in at or ["blocks"] for name in each.split(",")]
    result: MapSet = verb(pictures_or_own(pictures), at=names, progress=steps, **options)
    return result
