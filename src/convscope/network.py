"""The object that users hold."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import numpy as np

from . import explaining, reweighing
from .core import Array, Engine, Graph, Pictures, as_called, input_names
from .errors import ModelError
from .layers import Layers
from .methods import answers as answering
from .methods import filters as kernels
from .methods import folding, ranking, receptive, silent
from .methods import maps as reading
from .methods.heaviest import groups_of, slices
from .methods.receptive import ReceptiveField
from .methods.select import At, Row, asked_one_by_one, name_of, select, written
from .methods.sizes import at_size, fits, of_no_size
from .pictures import Prepared, Preprocess, prepare_inputs
from .predicting import Answers, Predicting
from .results import FeatureMaps, Filters, MapSet, NetworkInfo, Shown
from .results.signals import signals_of
from .scan.verbs import Scanning
from .why import Why


@dataclass(frozen=True)
class How:
    """What is to be read. `evidence`: of which units it is measured how much they speak for the answer: "none", "some", "all"."""

    at: At
    activated: bool
    top: int
    evidence: str
    progress: reading.Progress | None


class Network(Predicting, Why, Scanning):
    """A network that is open: its layers, its filters, and what pictures leave in it. Made by `convscope.open`.

    engine       the level below: `engine.run(pictures, taps, edits)`
    preprocess   what is done to a picture before the network receives it, as data
    labels       names of the classes, or None
    """

    def __init__(self, engine: Engine, info: NetworkInfo, preprocess: Preprocess, labels: Sequence[str] | None = None):
        self.engine, self.info, self.preprocess = engine, info, preprocess
        self.labels = None if labels is None else tuple(labels)

    @property
    def graph(self) -> Graph:
        return self.engine.graph

    @property
    def layers(self) -> Layers:
        """The layer table; print it, or take rows by index or name; `.convolutions` has only those."""
        return Layers(self.graph)

    def filters(self, layer: Row, *, folded: bool = False) -> Filters:
        """The learned kernels of one layer: `.values` (out, in / groups, *kernel), `.biases`, `.sheet()`, `.table()`.

        folded    with the BatchNorm that follows in them, where one alone does: conv and norm together compute just this
        raises    UnknownLayer; InputError for a layer without a kernel
        """
        name = name_of(self.graph, layer)
        if name not in self.graph.names:
            raise self.graph.unknown(name, [row.name for row in self.graph if row.kernel is not None])
        norm = folding.batch_norm_after(self.graph, name) if folded else None
        weights = folding.folded(self.engine, name, norm) if norm else kernels.kernels(self.engine, name)
        kernel = next((weights[each] for each in kernels.KERNELS if each in weights), None)
        groups = 1 if kernel is None else groups_of(self.graph, name, kernel.shape[1])
        sees_picture = kernels.sees_picture(self.graph, name)
        return Filters(
            self.graph[name], weights, self.preprocess.order, silent.silent(self.engine, name), norm, groups, sees_picture
        )

    def with_filters(self, layer: Row, kernels: Any, *, units: Sequence[int] | None = None) -> Network:
        """A copy of the network with your own kernels in a convolution; this one and your model stay as they are.

        kernels   (k, h, w), which look at the mean of the input channels, as convscope.kernels has them; or (k, in, h, w).
                  Smaller ones than the layer's stand in the middle
        units     which filters they replace, by default the first k; their biases become zero. The others stay
        raises    UnknownLayer; InputError for kernels that do not fit; Unsupported for a network that cannot be copied
        """
        name = name_of(self.graph, layer)
        return reweighing.with_filters(self, name, kernels, units)

    def maps(
        self,
        pictures: Any,
        at: At = "blocks",
        *,
        activated: bool = False,
        ranked: bool = False,
        channels: Sequence[str] | None = None,
        progress: reading.Progress | None = None,
    ) -> MapSet:
        """The feature maps that `pictures` leave in the layers `at`, all in one pass, which ends at the last of them.

        pictures    a path, a folder, an array, a PIL image, or a list of these; float arrays (n, c, h, w) pass as they are. For a
                    network with several inputs {"input": pictures, "input:1": array}
        at          "blocks", "convs", "operations", "all", a name, an index, a pattern "block5_*", or a list of these
        activated   read a convolution after the activation that follows it, where that is a layer of its own
        ranked      measure how much each unit speaks for the answer, which runs the network to its end and back
        channels    names of the channels of a signal, for the curves that are drawn over it
        returns     {layer: maps}, each with .values (n, c, *spatial) float32, unscaled
        raises      UnknownLayer, InputError and its kinds, EngineError
        """
        how = How(at, activated, int(ranked), "all" if ranked else "none", progress)
        return self._look(self._prepared(pictures), how, channels)

    def look(
        self,
        pictures: Any,
        at: At = "blocks",
        *,
        activated: bool = True,
        top: int = 5,
        ranked: bool = True,
        why: str = "auto",
        channels: Sequence[str] | None = None,
        progress: reading.Progress | None = None,
    ) -> MapSet:
        """As `maps`, run to the end, with the `top` answers and the filters of the first convolution: all that a page shows.

        ranked   measure how much units speak for the answer: all of them where there are gradients, else the strongest, if that
                 takes seconds and not minutes
        why      the method that explains the first answer, as for `explain`; "auto": Grad-CAM, or CAM, where that costs about a
                 run and the network is a classifier; "none"
        channels names of the channels of a signal, for the page and for the curves that are drawn over it
        """
        prepared = self._prepared(pictures)
        found = self._look(prepared, How(at, activated, top, "some" if ranked and top else "none", progress), channels)
        if why == "none" or not top or (why == "auto" and found.answers is None):
            return found
        return replace(found, why=explaining.at_a_look(self, prepared, why))

    def receptive_field(
        self, layer: Row, position: tuple[int, ...] | None = None, *, picture_shape: tuple[int, ...] | None = None
    ) -> ReceptiveField:
        """Which rectangle of the picture a place of `layer` sees: `.start`, `.stop`, `.size`, `.stride`, `.how`.

        position        in the map, by default the middle one; (y, x)
        picture_shape   (c, h, w), needed only for a network that takes any size
        returns         derived from the graph; where that does not show it, measured, and `.how` says so
        raises          UnknownLayer; InputError for a place that is not there; Unsupported if the picture's size is not known
        """
        name = name_of(self.graph, layer)
        return receptive.receptive_field(self.engine, name, position, picture_shape)

    def effective_field(self, layer: Row, pictures: Any, position: tuple[int, ...] | None = None) -> Array:
        """How strongly each pixel acts on a place of `layer`, (h, w): mean of |gradient of all its units|. Luo et al. 2016.

        position   in the map, by default the middle one
        raises     Unsupported for an engine without gradients; UnknownLayer; InputError
        """
        name = name_of(self.graph, layer)
        return receptive.effective(receptive.differentiable(self.engine), name, position, self._prepared(pictures).inputs)

    def _prepared(self, pictures: Any) -> Prepared:
        shapes = [row.shape for row in self.graph.inputs]
        given = as_called(pictures, self.graph) if isinstance(pictures, Mapping) else pictures
        return prepare_inputs(given, self.preprocess, dict(zip(input_names(self.graph), shapes, strict=True)))

    def _look(self, prepared: Prepared, how: How, channels: Sequence[str] | None = None) -> MapSet:
        at, activated, top = how.at, how.activated, how.top
        signals = signals_of(prepared.values, channels)
        # Curves stand over a signal only where the sizes are known; a run over a signal costs little.
        graph = self._graph_for(prepared.values.shape[1:], whole=bool(top) or signals is not None)
        readings = [reading.reading(self.graph, name, activated=activated) for name in select(self.graph, at)]
        optional = reading.optional(readings, asked_one_by_one(self.graph, at))
        names = [each.read_at for each in readings] + ["output"] * bool(top)
        values, left = self._read(prepared.inputs, names, how.progress, optional | {"output"})
        left_out = {each.layer: each.without(left[each.read_at]) for each in readings if each.read_at in left}
        readings = [each for each in readings if each.read_at not in left]
        left_out |= {name: why for name, why in left.items() if name == "output"}
        answers, answers_from = self._answer(values["output"], top) if "output" in values else (None, None)
        notes = answering.noted(prepared.notes, values.get("output"))
        evidence = self._evidence(prepared.inputs, [each.read_at for each in readings], answers, how.evidence, optional)
        maps = {
            each.layer: FeatureMaps(
                graph[each.layer],
                each,
                values[each.read_at],
                prepared.names,
                evidence.get(each.read_at),
                signals and signals.at(graph, each.read_at),
                prepared,
            )
            for each in readings
        }
        return MapSet(
            maps=maps,
            network=self.info if graph is self.graph else replace(self.info, graph=graph),
            pictures=tuple(map(Shown, prepared.names, prepared.shown, notes)),
            preprocess=prepared.preprocess,
            asked={"at": written(at), "activated": activated},
            answers=answers,
            answers_from=answers_from,
            filters=self._first_filters() if top else None,
            kernels=slices(self.engine, list(maps)) if top else {},
            left_out=left_out,
        )

    def _graph_for(self, shape: tuple[int, ...], *, whole: bool) -> Graph:
        """The graph with the sizes that its rows have for pictures of `shape`; with unknown ones if that is worth no run."""
        if fits(self.graph, shape):
            return self.graph
        return at_size(self.engine, shape) if whole else of_no_size(self.graph)

    def _evidence(
        self, pictures: Pictures, names: Sequence[str], answers: Answers | None, how: str, optional: Container[str]
    ) -> dict[str, ranking.Evidence]:
        """How much the units of `names` speak for the best answer. Nothing for no classifier, and where it cannot be measured."""
        if answers is None or how == "none":
            return {}
        best = [row[0] for row in answers]
        classes = np.array([each.index for each in best], np.intp)
        try:
            names = list(dict.fromkeys(names))
            found = ranking.evidence(self.engine, pictures, names, classes, limited=how == "some", optional=optional)
        except ModelError:
            if how == "all":
                raise
            return {}  # a layer without a gradient, say: the sheets then say that they are ranked by something else
        labels = tuple(each.label for each in best)
        return {name: ranking.Evidence(each, labels, measure) for name, (each, measure) in found.items()}

    def _first_filters(self) -> Filters | None:
        convolutions = self.layers.convolutions
        if not convolutions:
            return None
        return self.filters(convolutions[0].name)

    def _read(
        self, pictures: Pictures, names: Sequence[str], progress: reading.Progress | None, optional: Container[str] = ()
    ) -> tuple[dict[str, Array], dict[str, str]]:
        """The values of `names`; of `optional` those that cannot be read are left out, and the second says why."""
        values, left = reading.readable(self.engine, pictures, names, optional, progress)
        # A sum is NaN or infinite if a value is; only then is it worth looking for the cause.
        with np.errstate(over="ignore", invalid="ignore"):
            finite = all(np.isfinite(each.sum()) for each in values.values())
        if not finite:
            self._refuse_broken_weights()
        return values, left

    def _refuse_broken_weights(self) -> None:
        for layer in self.graph:
            for name, weight in self.engine.weights(layer.name).items() if layer.parameters else ():
                if broken := int(np.count_nonzero(~np.isfinite(weight))):
                    raise ModelError(
                        f"The weights of this network are broken: '{name}' of layer '{layer.name}' holds {broken} of "
                        f"{weight.size} values that are not finite. Load the network again from a sound file; "
                        "filters() still shows what is there."
                    )

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.layers._repr_html_()}"

    def __repr__(self) -> str:
        shape = self.graph.layers[0].shape
        return (
            f"Network('{self.info.name}', {self.info.framework}: {len(self.graph)} layers, "
            f"{len(self.layers.convolutions)} convolutions, {self.layers.parameters:,} parameters, input {shape}; "
            f"pictures {self.preprocess.describe()}, {self.preprocess.origin})"
        )
