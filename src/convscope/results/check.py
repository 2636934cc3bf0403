"""What cascading randomisation found."""

from __future__ import annotations

from dataclasses import dataclass

from ..methods.randomisation import Step
from .provenance import NetworkInfo

ALIKE = 0.5  # maps of a random network that are so alike to those of the network as it is do not depend on it
SAME = 0.9  # and so alike, they are the same


@dataclass(frozen=True)
class Check:
    """Per layer, from the last to the first, how alike a method's maps still are when all from there on is random.

    passes      whether little is left of them (under 0.5) as soon as more than the last layer is random
    says_class  whether they change (under 0.9) when the last layer alone is, which is where the classes differ
    """

    method: str
    steps: tuple[Step, ...]
    pictures: int
    network: NetworkInfo

    @property
    def passes(self) -> bool:
        return all(max(abs(step.magnitude), abs(step.correlation)) < ALIKE for step in self.steps[1:])

    @property
    def says_class(self) -> bool:
        return abs(self.steps[0].magnitude) < SAME

    def __str__(self) -> str:
        width = max(len(step.layer) for step in self.steps)
        lines = [f"{self.method} on {self.network.name}, {self.pictures} pictures: rank correlation with the maps of the network"]
        lines.append(f"  {'random from the end to':{max(width, 22)}}  values  magnitudes")
        for step in self.steps:
            lines.append(f"  {step.layer:{max(width, 22)}}  {step.correlation:+.2f}   {step.magnitude:+.2f}")
        said = "it depends on what was learned" if self.passes else "it hardly depends on what was learned: it shows the picture"
        said += "" if self.says_class else "; it stays when the last layer is random, and hardly tells one class from another"
        return "\n".join([*lines, f"  {said}"])
