"""Signals as the network received them, and where over them the positions of a map stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..core import Array, Graph
from ..errors import InputError, Unsupported
from ..methods.centres import centres

if TYPE_CHECKING:
    from ..draw.signal import Signal


@dataclass(frozen=True, eq=False)
class Signals:
    """What a network over signals received.

    values     (n, c, samples) float32, exactly what went in
    channels   their names, as the user gives them, else their numbers
    centres    (positions,) of a layer: the sample over which each position of its maps stands, the middle of those that it
               depends on; None where that is not known
    why        why it is not known
    """

    values: Array
    channels: tuple[str, ...]
    centres: npt.NDArray[np.float64] | None = None
    why: str = "no layer is named"

    def at(self, graph: Graph, layer: str) -> Signals:
        """The same, for the maps of `layer`."""
        try:
            if len(graph.inputs) != 1:
                raise Unsupported("The network has several inputs.")
            found = centres(graph, layer)
        except Unsupported as error:
            return replace(self, centres=None, why=str(error).rstrip("."))
        if found is None:
            return replace(self, centres=None, why="its positions depend on the whole signal")
        return replace(self, centres=found[0], why="")

    def drawn(self, picture: int, channels: Sequence[str | int] | None = None) -> Signal:
        """What a sheet draws above the curves of this layer. Raises InputError for a channel that is not there."""
        from ..draw.signal import MOST, Signal

        assert self.centres is not None
        chosen = [self._number(each) for each in range(min(len(self.channels), MOST))] if channels is None else channels
        numbers = [self._number(each) for each in chosen]
        names = tuple(self.channels[each] for each in numbers)
        return Signal(self.values[picture][numbers], names, self.centres, len(self.channels))

    def _number(self, channel: str | int) -> int:
        if isinstance(channel, str) and channel in self.channels:
            return self.channels.index(channel)
        if isinstance(channel, int) and 0 <= channel < len(self.channels):
            return channel
        raise InputError(
            f"The signal has no channel {channel!r}: it has {len(self.channels)}, {', '.join(self.channels[:20])}.",
            received=channel,
            expected=self.channels,
        )


def signals_of(values: Array, names: Sequence[str] | None) -> Signals | None:
    """(n, c, samples) as Signals; None for what is no signal.

    names    of the channels; None: "channel 0", ...
    raises   InputError for names of what is no signal, for another number of names than channels, and for one twice
    """
    if values.ndim != 3:
        if names is not None:
            raise InputError(
                f"Only signals have channels with names, but this network received {values.shape[1:]}.", received=names
            )
        return None
    count = values.shape[1]
    given = tuple(f"channel {number}" for number in range(count)) if names is None else tuple(map(str, names))
    if len(given) != count or len(set(given)) != count:
        raise InputError(
            f"{count} channels need as many different names, but received {len(given)}: {', '.join(given[:20])}.",
            received=given,
            expected=count,
        )
    return Signals(np.asarray(values, np.float32), given)
