"""Several explanations of the same picture and target, on one sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InputError
from ..methods.explain import SAYS
from .explanation import Explanation

if TYPE_CHECKING:
    from ..draw import Panels


@dataclass(frozen=True, eq=False)
class Comparison(Sequence[Explanation]):
    """Explanations by different methods, of one picture and one target. `comparison["grad-cam"]`, or by number."""

    explanations: tuple[Explanation, ...]

    def __getitem__(self, key: int | str) -> Explanation:  # type: ignore[override]
        if isinstance(key, int):
            return self.explanations[key]
        for each in self.explanations:
            if each.name == key:
                return each
        raise InputError(f"'{key}' was not compared. Compared were: {', '.join(self.names)}.", received=key)

    def __len__(self) -> int:
        return len(self.explanations)

    def __iter__(self) -> Iterator[Explanation]:
        return iter(self.explanations)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.explanations)

    def sheet(self, *, upsample: str = "bilinear", columns: int | None = None) -> Panels:
        """The picture, and over it the heat map of each method, each by its own greatest value, which stands beside its name.

        Below stands of each what its colours say, its own check, and what has to be said about it.
        """
        from ..draw.panels import Panels, alone, greatest
        from ..draw.words import amount
        from .explanation_sheets import flat, in_words, over_pixels, pixels_of, source_of

        first = self.explanations[0]
        picture = pixels_of(first, 0)
        if picture is None:
            raise InputError(f"'{first.layer}' has no picture for maps to lie over. See the explanations' `.values`.")
        several = len(first.network.graph.inputs) > 1
        tiles, labels = [picture], [f"the input '{source_of(first)}'" if several else "the picture"]
        lines = [f"{first.targets[0]} is {amount(first.score[0])}."]
        for each in self.explanations:
            heat = flat(each, 0)
            over = each.follows(source_of(first))  # of several inputs, a layer may follow from another one only
            peak = greatest(heat)
            tiles.append(over_pixels(each, picture, 0, upsample, peak) if over else alone(heat, picture.shape[:2], peak))
            labels.append(f"{each.name}, max |{amount(peak, 3)}|" + ("" if over else ", of another input"))
            where = "" if each.layer == "input" else f" at '{each.layer}'"
            checked = f"check, {each.checked()}" if each.delta is not None else ""
            lines.append("; ".join(filter(None, [f"{each.name}{where}: {SAYS[each.method.sign]}", checked, *each.notes])) + ".")
        spread = "".join(dict.fromkeys(in_words(each, 0, upsample) for each in self.explanations))
        return Panels(
            tuple(tiles), tuple(labels), f"{len(self)} methods · {first.pictures[0].name}", "\n".join(lines),
            f"Zero is white; opacity over the picture grows with the size of the value{spread}.", columns=columns,
        )  # fmt: skip

    def _repr_html_(self) -> str:
        from ..show.html import sheets

        return sheets([self.sheet()])

    def _repr_png_(self) -> bytes:
        return self.sheet()._repr_png_()

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.names)} of {self.explanations[0].target})"
