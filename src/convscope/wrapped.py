"""An engine around another: what it does not change, and which of the other's capabilities it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .core import Array, Engine, Graph

Capabilities = Sequence[tuple[Any, type]]  # a capability, and the mixin by which a wrapped engine has it too


class Wrapped:
    """An engine's graph and weights as they are. What runs it stands in the class that derives from this one."""

    engine: Engine

    @property
    def graph(self) -> Graph:
        return self.engine.graph

    @property
    def framework(self) -> str:
        return self.engine.framework

    def weights(self, layer: str) -> Mapping[str, Array]:
        return self.engine.weights(layer)


def able_as(engine: Engine, kind: type[Wrapped], capabilities: Capabilities) -> Any:
    """The class `kind`, with the mixins of those capabilities that `engine` has: an engine has what its class has."""
    mixed = tuple(mixin for capability, mixin in capabilities if isinstance(engine, capability))
    return type(kind.__name__, (*mixed, kind), {"__doc__": kind.__doc__})
