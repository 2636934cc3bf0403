"""The page of a study: its record as HTML, one file with its style in it and links to the pictures beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup


def render(study: Mapping[str, Any]) -> str:
    """The page of a study.json. All links are relative, so that it works from a folder and needs no server."""
    environment = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"link": link, "shape": shape, "times": times, "number": number, "units": units}
    style = Markup(_static("page.css"))
    return environment.get_template("index.html.j2").render(study=study, style=style, total=_total(study))


def link(path: str) -> str:
    """A relative path as a link, whatever letters are in it."""
    return quote(path)


def shape(sizes: Sequence[int | None] | None) -> str:
    """(None, 64, 224) as the framework prints it."""
    if sizes is None:
        return "?"
    return f"({', '.join(str(size) for size in sizes)}{',' if len(sizes) == 1 else ''})"


def times(sizes: Sequence[int | None]) -> str:
    """[224, 224] as "224 × 224"; of single values "1"."""
    return " × ".join("any" if size is None else str(size) for size in sizes) or "1"


def number(value: float) -> str:
    return f"{value:.4g}"


def units(numbers: Sequence[int], most: int = 24) -> str:
    """Unit numbers in words, the first of them where there are many."""
    listed = ", ".join(map(str, numbers[:most]))
    return f"{listed} and {len(numbers) - most} more" if len(numbers) > most else listed


def _total(study: Mapping[str, Any]) -> str:
    return f"{study['network']['parameters']:,}"


def _template(name: str) -> str:
    return (files("convscope.site") / "templates" / name).read_text(encoding="utf-8")


def _static(name: str) -> str:
    return (files("convscope.site") / "static" / name).read_text(encoding="utf-8")
