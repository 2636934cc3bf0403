"""What cascading randomisation found."""

from __future__ import annotations

from dataclasses import dataclass

from ..methods.randomisation import Step
from .provenance import NetworkInfo

ALIKE = 0.5  # maps of a random network that are so alike to those of the network as it is do not depend on it


@dataclass(frozen=True)
class Check:
    """Per layer, from the last to the first, how alike a method's maps still are when all from there on is random.

    passes   whether little is left of them (magnitudes under 0.5) when everything is
    """

    method: str
    steps: tuple[Step, ...]
    pictures: int
    network: NetworkInfo

    @property
    def passes(self) -> bool:
        return abs(self.steps[-1].magnitude) < ALIKE

    def __str__(self) -> str:
        width = max(len(step.layer) for step in self.steps)
        lines = [f"{self.method} on {self.network.name}, {self.pictures} pictures: rank correlation with the maps of the network"]
        lines.append(f"  {'random from the end to':{max(width, 22)}}  values  magnitudes")
        for step in self.steps:
            lines.append(f"  {step.layer:{max(width, 22)}}  {step.correlation:+.2f}   {step.magnitude:+.2f}")
        said = "it depends on the weights" if self.passes else "it hardly depends on the weights, and shows the picture"
        return "\n".join([*lines, f"  {said}"])
