"""The verbs of a network that ask why it answers so: explain and compare; without, scale, steer and patch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import ablating, explaining, intervening
from .errors import InputError
from .methods.differences import differences, paired
from .methods.interventions import Region, Units
from .methods.maps import Progress
from .methods.resume import MEMORY
from .methods.select import At, select
from .methods.targets import Scale
from .results import Comparison, Contrast, Differences, Effect, Explanation

if TYPE_CHECKING:
    from .network import Network


class Why:
    """A part of Network."""

    def explain(
        self: Any,
        pictures: Any,
        method: str = "auto",
        *,
        target: Any = None,
        at: At | None = None,
        of: str | None = None,
        scale: Scale = "logit",
        progress: Progress | None = None,
        **options: Any,
    ) -> Explanation:
        """What in `pictures` speaks for an answer.

        method    a name in `convscope.methods.explain.METHODS`: "grad-cam", "integrated-gradients", "occlusion", "rise", ...
                  "auto": grad-cam, or saliency where no layer has maps; without gradients cam where the network ends in a mean
                  and a linear layer, else score-cam
        target    None for each picture's top answer; a class by label or number; a pair, a class against another; a Unit of any
                  layer, a Region of a segmentation, a Box of a detector; or a function of the output (convscope.targets)
        at        the layer, or several, that a CAM is of; None: the last one with maps
        of        of a network with several inputs the one to explain, "input:1", while the others stay as they are; None: by
                  gradients each of them, `why["input:1"]`, and else the one that is shown
        scale     "logit", found before a softmax where there is one, or "probability"
        options   of the method: steps=50, baseline="black", samples=25, ...
        returns   `.values`, unscaled and in units of the score, `.overlay()`, `.sheet()`, `.delta` (the method's own check)
        raises    WrongOption, WrongClass, UnknownLayer, InputError; Unsupported for gradients where there are none
        """
        return explaining.explanation(self, pictures, method, target, at, of, scale, options, progress)

    def compare(
        self: Any,
        pictures: Any,
        methods: Sequence[str] | None = None,
        *,
        target: Any = None,
        of: str | None = None,
        scale: Scale = "logit",
        progress: Progress | None = None,
    ) -> Comparison:
        """One picture explained by several methods, for the same target: `.sheet()`. Without `methods`, some that work here.

        of   as in `explain`; None: the input that is shown
        """
        return explaining.comparison(self, pictures, methods, target, of, scale, progress)

    def without(
        self: Any,
        units: Mapping[str, Units],
        *,
        fill: str = "zero",
        over: Any = None,
        region: Region = None,
        seed: int = 0,
        activated: bool = True,
    ) -> Network:
        """The network with these units off, on which every verb works; this one stays as it is.

        units       by layer: {"block5_conv3": [17, 40]}; None for all units of a layer; several layers act one after the other
        fill        what stands in their place: "zero"; "mean", of the unit over the pictures `over`; "resample", their maps of
                    pictures drawn from `over`
        region      a mask (*spatial) of the layer's map, to change only there
        seed        of what is drawn
        activated   change a convolution after the activation that follows it, where that is a layer of its own
        raises      UnknownLayer; InputError for units that do not exist; WrongOption
        """
        return intervening.without(self, units, fill, over, region, seed, activated)

    def scale(self: Any, units: Mapping[str, Units], factor: float, *, region: Region = None, activated: bool = True) -> Network:
        """As `without`, with these units multiplied by `factor`."""
        return intervening.scaled(self, units, factor, region, activated)

    def steer(
        self: Any, at: str, direction: Any = None, *, toward: Any = None, away: Any = None, strength: float = 1.0
    ) -> Network:
        """The network with strength * direction added to what the layer `at` gives, at every position.

        direction      (c,) or (c, *spatial)
        toward, away   pictures instead: their mean activations, or the difference of the two
        """
        return intervening.steered(self, at, direction, toward, away, strength)

    def patch(
        self: Any,
        source: Any,
        *,
        into: Any,
        at: str,
        units: Units = None,
        region: Region = None,
        top: int = 5,
        where: tuple[int, ...] | None = None,
    ) -> Contrast:
        """What the network answers to `into` when its layer `at`, or a part of it, is as for the picture `source`.

        where     as in `predict`: of a segmentation, the place of its output, (y, x)
        returns   `.before` and `.after`, the answers; printed, side by side; `.network`, with the change in it
        """
        return intervening.patched(self, source, into, at, units, region, top, where)

    def ablate(
        self: Any,
        pictures: Any,
        at: str | int | None = None,
        *,
        target: Any = None,
        units: Sequence[int] | None = None,
        fill: str = "zero",
        over: Any = None,
        region: Region = None,
        seed: int = 0,
        truth: Any = None,
        first: int | None = None,
        activated: bool = True,
        memory: int = MEMORY,
        progress: Progress | None = None,
    ) -> Effect:
        """Every unit of a layer switched off in turn: what the score of the target loses, and what is answered then.

        at        the layer; None: the last one with maps
        target    as in `explain`; None: each picture's top answer
        units     only these
        fill      "zero"; "mean", of the unit over the pictures `over`; "resample", its map of another picture drawn from `over`
        region    a mask (*spatial) of the layer's map, to change only there
        truth     the classes of the pictures, one for all or one each: `.dropped`, how often it is right without each unit,
                  and `.accuracy()`, a table by class. Of a folder, or .zip, with a folder per class they are the folders' names
        first     of such a folder so many pictures, evenly spread
        memory    bytes that a batch may take
        returns   `.table()`, `.sheet()`, `.breaking()`, `.drop` (n, units), `.by_class` (units, classes)
        """
        off = ablating.Off(fill, over, region, seed, activated)
        return ablating.effect(self, pictures, at, target, units, off, truth, first, memory, progress)

    def contrast(self: Any, other: Network, pictures: Any, *, top: int = 5, where: tuple[int, ...] | None = None) -> Contrast:
        """The answers of this network and of `other`, a changed one, to the same pictures, side by side.

        where    as in `predict`: of a segmentation, the place of its output, (y, x)
        raises   InputError; Unsupported as `predict`
        """
        if not hasattr(other, "info"):
            raise InputError(f"A network is contrasted with another Network, but received {other!r}.", received=other)
        what = " ".join(note for note in other.info.notes if note not in self.info.notes)
        return intervening.contrasted(
            self, other, pictures, top, where, what or f"{self.info.name} before, {other.info.name} after."
        )

    def differences(
        self: Any,
        other: Network,
        pictures: Any,
        at: At = "convs",
        *,
        pairs: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Differences:
        """How far the layers of this network and of `other` are apart, over the same pictures: of a quantised file, say.

        Each network receives the pictures by its own preprocessing, and of each layer its own output is read.

        at        layers of this network, as in `maps`; each is compared with the one of the same name and shape
        pairs     {layer: the other's layer} where the names differ
        returns   printed, a table; `.worst`, `.beyond(0.05)`, `.changed`, the pictures that are answered otherwise
        raises    InputError for layers of which none has a partner, and what `maps` raises
        """
        if not hasattr(other, "info"):
            raise InputError(f"A network is compared with another Network, but received {other!r}.", received=other)
        names = select(self.graph, at)
        chosen, unmatched = paired(self.graph, other.graph, names, pairs or {})
        prepared, theirs = self._prepared(pictures), other._prepared(pictures)
        rows, changed = differences(self.engine, other.engine, prepared.inputs, theirs.inputs, chosen, progress)
        otherwise = None if changed is None else tuple(prepared.names[number] for number in changed)
        return Differences(rows, unmatched, prepared.names, (self.info.name, other.info.name), otherwise)
