"""Explanations: what in a picture, or in a layer, speaks for an answer."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import Array
from ..errors import InputError, UnknownLayer
from ..methods.asked import picture_number
from ..methods.attribution import Attribution
from ..methods.explain import Method
from ..methods.upstream import inputs_above
from ..paths import path_of
from .npz import save_npz
from .provenance import NetworkInfo, Shown

if TYPE_CHECKING:
    from ..draw import Panels
    from ..pictures import Preprocess


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one method says of some pictures, for one target.

    name           the method's name: "grad-cam"
    targets        per picture what is explained, in words
    attributions   by the layer it is of; "input" for a value per value of the picture
    shown          the input that `pictures` are of
    looks          of other inputs that take pictures, by their names: per picture uint8 (h, w, 3)
    """

    name: str
    method: Method
    targets: tuple[str, ...]
    attributions: Mapping[str, Attribution]
    pictures: tuple[Shown, ...]
    network: NetworkInfo
    preprocess: Preprocess
    asked: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    shown: str = "input"
    looks: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def layer(self) -> str:
        """The layer that it is of, the last one of several; "input" for the picture itself."""
        return list(self.attributions)[-1]

    @property
    def values(self) -> Array:
        """(n, c, *spatial) at the pictures, or (n, *spatial) at the layer; unscaled, see `method.paper` for the unit."""
        return self.attributions[self.layer].values

    @property
    def score(self) -> Array:
        """(n,) the target's value."""
        return self.attributions[self.layer].score

    @property
    def delta(self) -> Array | None:
        """(n,) the method's own check, which `check` puts in words; None where it has none."""
        return self.attributions[self.layer].delta

    @property
    def check(self) -> str:
        return self.attributions[self.layer].check

    def checked(self, picture: int = 0) -> str:
        """The method's own check of one picture, in words; empty where it has none."""
        from ..draw.words import amount

        return "" if self.delta is None else f"{self.check}: {amount(self.delta[picture], 3)}"

    @property
    def units(self) -> Array | None:
        """(n, units) what each unit of the layer speaks for the target, where the method tells."""
        return self.attributions[self.layer].units

    @property
    def target(self) -> str:
        return "; ".join(dict.fromkeys(self.targets))

    def __getitem__(self, layer: str) -> Explanation:
        """The same of one layer. Raises UnknownLayer."""
        if layer not in self.attributions:
            raise UnknownLayer(layer, list(self.attributions))
        return replace(self, attributions={layer: self.attributions[layer]})

    def heat(self, picture: int = 0) -> Array:
        """(*spatial) one value per position: the sum over channels of a signed method, the greatest of one without a sign.

        Of features, which have no positions, (features,) as they are.
        """
        values: Array = self.values[picture_number(picture, len(self.pictures), "explained")]
        if self.method.place != "input" or values.ndim == 1:
            return values
        result: Array = values.max(0) if self.method.sign == "magnitude" else values.sum(0)
        return result

    def over_picture(self, picture: int = 0) -> Array:
        """`heat` as large as what the network received, (*spatial), each value where overlays draw it: what deletion,
        insertion and the pointing game take. 0 at pixels that no place of the layer sees; stretched where it is not known
        where places stand, as in a network of several inputs.

        raises   InputError for a layer that has no places, and where the size of the picture is not known
        """
        from .explanation_sheets import spread_out

        return spread_out(self, picture)

    def overlay(self, *, picture: int = 0, upsample: str = "bilinear", full: float | None = None) -> Panels:
        """The heat map over the picture, with its colour bar.

        full       the magnitude of the last colours, the same on every figure that is drawn so; None: the map's own greatest
        upsample   "bilinear" or "nearest", how a layer's map is made as large as the picture; it is written on it
        raises     InputError for pictures that are no 2-D pictures; WrongOption
        """
        from .explanation_sheets import overlay

        return overlay(self, picture, upsample, full)

    def sheet(self, *, picture: int = 0, upsample: str = "bilinear", full: float | None = None) -> Panels:
        """The picture; and for each layer the map at its own resolution, without the picture, and over it. `full` as in overlay.

        Of several inputs each that is a picture is drawn, and its map over itself; a map that follows from none stands alone.
        """
        from .explanation_sheets import sheet

        return sheet(self, picture, upsample, full)

    def best(self, picture: int = 0, *, most: int = 5) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """The units of the layer that speak most for the target, and most against it, with how much: ([(unit, value)], [...])."""
        if self.units is None:
            raise InputError(
                f"{self.name} does not tell what each unit speaks for. Use grad-cam, or ablate().", received=self.name
            )
        row = self.units[picture_number(picture, len(self.pictures), "explained")]
        order = np.argsort(row, kind="stable")
        up = [(int(unit), float(row[unit])) for unit in order[::-1][:most] if row[unit] > 0]
        return up, [(int(unit), float(row[unit])) for unit in order[:most] if row[unit] < 0]

    def about(self) -> dict[str, Any]:
        """Where it comes from, as plain data."""
        return {
            "convscope": version("convscope"),
            "method": self.name,
            "paper": self.method.paper,
            "sign": self.method.sign,
            "targets": list(self.targets),
            "layers": list(self.attributions),
            "pictures": [each.name for each in self.pictures],
            "network": {"name": self.network.name, "source": self.network.source, "framework": self.network.framework,
                        "sha256": self.network.sha256, "notes": list(self.network.notes)},
            "preprocess": self.preprocess.to_dict(),
            "asked": {key: each if isinstance(each, str | int | float | None) else str(each) for key, each in self.asked.items()},
            "check": self.check,
            "notes": list(self.notes),
        }  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write the values as `.npz`: by layer, with scores, checks, and `about` as JSON. Raises OutputError, InputError."""
        from ..draw import write_whole

        if path_of(path).suffix != ".npz":
            raise InputError(
                f"The values of an explanation are written as .npz, but received '{path}'. Write a picture by sheet().save().",
                received=str(path),
            )
        arrays: dict[str, Any] = {f"values/{name}": each.values for name, each in self.attributions.items()}
        arrays |= {f"units/{name}": each.units for name, each in self.attributions.items() if each.units is not None}
        arrays |= {"score": self.score} | ({} if self.delta is None else {"delta": self.delta})
        buffer = io.BytesIO()
        save_npz(buffer, {"about": json.dumps(self.about(), ensure_ascii=False), **arrays}, smaller=True)
        return write_whole(path_of(path), buffer.getvalue())

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        if self.heat().ndim != 2:  # of signals and volumes there is no map to lay over a picture
            return f"<code>{escape(repr(self))}</code>"
        return sheets(self.sheet(picture=number) for number in range(min(len(self.pictures), 4)))

    def _repr_png_(self) -> bytes | None:
        return self.sheet()._repr_png_() if self.heat().ndim == 2 else None

    def __repr__(self) -> str:
        delta = "" if self.delta is None else f", delta {np.array2string(self.delta, precision=3)} ({self.check})"
        shapes = ", ".join(f"'{name}' {each.values.shape}" for name, each in self.attributions.items())
        return f"Explanation({self.name} of {self.target}: {shapes}{delta})"

    def follows(self, source: str | None) -> bool:
        """Whether the map is of the input `source`, or of a layer that follows from it."""
        if self.method.place != "layer":
            return self.layer == source
        return len(self.network.graph.inputs) == 1 or source in (inputs_above(self.network.graph, self.layer) or ())
