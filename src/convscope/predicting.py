"""The verbs of a network that ask what it answers."""

from __future__ import annotations

from typing import Any

from .core import Array
from .methods import answers as answering
from .methods.answers import Answer
from .methods.maps import Progress
from .methods.scores import ends_in_sigmoid

Answers = tuple[tuple[Answer, ...], ...]


class Predicting:
    """A part of Network."""

    def predict(
        self: Any, pictures: Any, *, top: int = 5, where: tuple[int, ...] | None = None, progress: Progress | None = None
    ) -> list[list[tuple[str, float]]]:
        """Per picture the `top` classes with their probabilities, 0..1: [[("cat", 0.98), ...], ...].

        They sum to one over all classes, unless the network ends in a sigmoid: then each class has one of its own.

        where    of a network that answers at every place, a segmentation: the place of its output, (y, x)
        raises   Unsupported for a network that is no classifier, and for a segmentation without a place; EngineError for an
                 answer that is not finite; InputError and its kinds
        """
        rows = self.answers(pictures, top=top, where=where, progress=progress).values()
        return [[(each.label, each.probability) for each in row] for row in rows]

    def answers(
        self: Any, pictures: Any, *, top: int = 5, where: tuple[int, ...] | None = None, progress: Progress | None = None
    ) -> dict[str, list[Answer]]:
        """As `predict`, by the name of the picture, and with the class numbers."""
        prepared = self._prepared(pictures)
        output = answering.at_place(self._read(prepared.inputs, ["output"], progress)[0]["output"], where)
        answering.check_finite(output, prepared.names)
        rows = answering.answers(self._probabilities(output)[0], self.labels, top=top)
        return dict(zip(prepared.names, rows, strict=True))

    def _answer(self: Any, output: Array, top: int) -> tuple[Answers | None, str | None]:
        if not answering.is_classifier(output) or answering.not_finite(output):
            return None, None
        probability, how = self._probabilities(output)
        return tuple(tuple(row) for row in answering.answers(probability, self.labels, top=top)), how

    def _probabilities(self: Any, output: Array) -> tuple[Array, str]:
        return answering.probabilities(output, apart=ends_in_sigmoid(self.graph))
