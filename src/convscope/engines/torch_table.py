"""The layer table of a torch module, made of the steps that a survey saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Container, Mapping
from dataclasses import replace

from torch import nn

from ..core import Graph, Layer
from ..errors import Unsupported
from .torch_graph import kind_of, size_of
from .torch_sources import Parents
from .torch_survey import Step


class Table:
    """The rows of a layer table, made of steps: those of `kept`, with what is behind them over steps that have no row.

    folded   functions and layers without a row: what they give has another first axis, as a view with windows folded into it
    unknown  the rows of which it is not known what is behind them
    """

    def __init__(self, kept: Container[str]):
        self.rows: list[Layer] = []
        self.folded: list[Layer] = []
        self.unknown: set[str] = set()
        self._kept = kept
        self._behind: dict[str, Parents] = {}
        self._counted: set[int] = set()

    def add(self, step: Step) -> Layer | None:
        """Its row."""
        behind = self._over(step.parents)
        self._behind[step.name] = (step.name,) if step.name in self._kept else behind
        row = replace(step.row, index=len(self.rows), inputs=behind or ())
        if step.name not in self._kept:
            self.folded += [row] if step.unseen else []
            return None
        if row.kind == "network":
            row = replace(row, inputs=())
        elif behind is None:
            self.unknown.add(row.name)
        if step.call is not None and step.call in self._counted:
            row = replace(row, parameters=0, trainable=0)
        elif step.call is not None:
            self._counted.add(step.call)
        self.rows.append(row)
        return row

    def join(self, other: Table, names: Collection[str]) -> None:
        """Take over these rows of `other`, each behind the one that stands before it there."""
        if not names:
            return
        at = 0
        for row in other.rows:
            places = [index for index, own in enumerate(self.rows) if own.name == row.name]
            if row.name in names and not places:
                self.rows.insert(at, row)
                places = [at]
            at = places[0] + 1 if places else at
        self.rows = [replace(row, index=index) for index, row in enumerate(self.rows)]

    def graph(self, module: nn.Module, names: Mapping[nn.Module, str], ran: Container[nn.Module], *, wired: bool) -> Graph:
        """Raises Unsupported where two rows have one name, of which only one could ever be read."""
        called = Counter(row.name for row in self.rows)
        if twice := next((name for name, times in called.items() if times > 1), None):
            raise Unsupported(f"Two layers of this network are called '{twice}'. Rename one of the modules.")
        unused = tuple(name for each, name in names.items() if each not in ran and kind_of(each) != "network")
        return Graph(tuple(self.rows), wired, size_of(module), unused)

    def _over(self, parents: Parents) -> Parents:
        found: list[str] = []
        for each in parents or ():
            behind = self._behind.get(each)
            if behind is None:
                return None
            found += behind
        return None if parents is None else tuple(dict.fromkeys(found))
