"""The layer table: what `net.layers` is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from .core import Graph, Layer
from .errors import Shape, UnknownRow


class Layers(Sequence[Layer]):
    """The rows of a network's layer table, by index, name or slice; printing it prints the table with its totals."""

    def __init__(self, graph: Graph, rows: Sequence[Layer] | None = None):
        self._graph = graph
        self._rows = tuple(graph.layers if rows is None else rows)

    def __getitem__(self, key: Any) -> Any:
        """A row by index or name; rows by slice. Raises UnknownLayer, also for an index that is too large."""
        if isinstance(key, slice):
            return Layers(self._graph, self._rows[key])
        if isinstance(key, str):
            return self._graph[key]
        try:
            return self._rows[key]
        except IndexError:
            raise UnknownRow(key, self.names) from None

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self._rows)

    @property
    def convolutions(self) -> Layers:
        """Only the convolutions, of every kind: plain, depthwise, separable, transposed."""
        return Layers(self._graph, [layer for layer in self._rows if layer.is_convolution])

    @property
    def names(self) -> list[str]:
        return [layer.name for layer in self._rows]

    @property
    def parameters(self) -> int:
        """Of the whole network, shared ones counted once; of a part of the table, the sum of its rows."""
        if len(self._rows) == len(self._graph) and self._graph.parameters is not None:
            return self._graph.parameters
        return sum(layer.parameters for layer in self._rows)

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows as plain data, for JSON."""
        return [asdict(layer) for layer in self._rows]

    def cells(self) -> list[tuple[str, ...]]:
        """The rows as text: index, name, kind, native, output shape, kernel, parameters."""
        return [
            (
                str(layer.index),
                layer.name,
                layer.kind,
                layer.native,
                shape_text(layer.native_shape),
                "" if layer.kernel is None else shape_text(layer.kernel),
                f"{layer.parameters:,}",
            )
            for layer in self._rows
        ]

    def __str__(self) -> str:
        table = [HEADINGS, *self.cells()]
        widths = [max(len(row[column]) for row in table) for column in range(len(HEADINGS))]
        lines = [
            "  ".join(
                cell.rjust(width) if heading in ("index", "parameters") else cell.ljust(width)
                for cell, width, heading in zip(row, widths, HEADINGS, strict=True)
            ).rstrip()
            for row in table
        ]
        lines.insert(1, "-" * max(map(len, lines)))
        return "\n".join([*lines, lines[1], f"{len(self)} layers, {self.parameters:,} parameters"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from .show.html import table

        return table(HEADINGS, self.cells(), f"{len(self)} layers, {self.parameters:,} parameters")


HEADINGS = ("index", "name", "kind", "native", "output shape", "kernel", "parameters")


def shape_text(shape: Shape | None) -> str:
    """(None, 224, 224, 64) as "(None, 224, 224, 64)"; an unknown shape as "?"."""
    return "?" if shape is None else str(tuple(shape))
