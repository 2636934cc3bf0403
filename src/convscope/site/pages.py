"""The table of pages: what each is made of. A new section is a row here and a template in templates/sections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of a page, templates/sections/`name`.html.j2. `there`: whether a study has it. Its anchor is its name."""

    name: str
    title: str  # in the navigation
    there: Callable[[Record], bool] = lambda _study: True


@dataclass(frozen=True)
class Page:
    """One page: its template, its script (an ES module of static/, with all that it imports), its sections in order."""

    template: str
    script: str
    sections: tuple[Section, ...] = ()

    def of(self, study: Record) -> list[Section]:
        """The sections that this study has."""
        return [section for section in self.sections if section.there(study)]


PAGES: dict[str, Page] = {
    "index.html": Page(
        template="study.html.j2",
        script="study.js",
        sections=(
            Section("pictures", "Picture"),
            Section("why", "Why", lambda study: bool(study.get("why"))),
            Section("network", "Network", lambda study: bool(study["blocks"])),
            Section("glance", "At a glance", lambda study: any(len(each["shape"]) == 3 for each in study["maps"])),
            Section("maps", "Feature maps"),
            Section("filters", "Filters", lambda study: bool(study["filters"])),
            Section("layers", "Layers"),
            Section("words", "Words"),
        ),
    ),
}
