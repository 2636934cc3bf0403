"""The page of a study: its record as HTML, one file with its style and scripts in it and links to what lies beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from ..draw.colour import DEAD, DEAD_MARK, FRAME, NAMES, NONFINITE, palette, table
from ..draw.words import amount
from .blocks import drawing
from .pages import PAGES
from .scripts import joined, static
from .tiles import embedded, text


def render(study: Mapping[str, Any], page: str = "index.html") -> str:
    """A page of PAGES from a study.json. All links are relative, so that it works from a folder and needs no server."""
    return "".join(pieces(study, page))


def pieces(study: Mapping[str, Any], page: str = "index.html", *, maps: Mapping[str, str] | None = None) -> Iterator[str]:
    """A page of PAGES, piece by piece: its maps can be megabytes, which are better not copied to be joined.

    maps   {key: payload}, to stand within the page, which then needs no file beside it; None: they lie beside it
    """
    row = PAGES[page]
    # A mark stands for each payload until it is its turn: a template would copy it twice.
    payloads = {f"\0{key}": payload for key, payload in (maps or {}).items()}
    written = (
        environment()
        .get_template(row.template)
        .generate(
            study=study,
            sections=row.of(study),
            style=Markup(static("page.css")),
            script=Markup(joined(row.script)),
            data=Markup(embedded(facts(study))),
            maps={mark[1:]: Markup(mark) for mark in payloads},
            whole=maps is not None,
            total=f"{study['network']['parameters']:,}",
        )
    )
    return (payloads.get(piece, piece) for piece in written)


@cache
def environment() -> Environment:
    """Templates with the filters that all pages share; they are compiled once."""
    result = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    result.filters |= {
        "link": link, "shape": shape, "times": times, "number": amount, "units": units, "large": large,
        "lasts": lasts, "drawing": drawing, "gradient": gradient,
    }  # fmt: skip
    return result


def facts(study: Mapping[str, Any]) -> dict[str, Any]:
    """What the scripts need to know."""
    spread = [at for at, each in enumerate(study["maps"]) if len(each["shape"]) > 1] or [0]
    return {
        "pictures": [{"name": each["name"], "image": link(each["received"])} for each in study["pictures"]],
        "preprocess_text": study["preprocess_text"],
        "maps": [
            {key: linked(each.get(key)) for key in ("layer", "reading", "activated", "shape", "note", "data", "answer",
                                                    "receptive", "receptive_note", "kernels", "centres", "apart")}
            for each in study["maps"]
        ],
        "first": spread[-1],
        "input": study["network"]["input"],
        "signal": None if study.get("signal") is None else study["signal"] | {"data": linked(study["signal"]["data"])},
        "colours": colours(),
    }  # fmt: skip


def colours() -> dict[str, Any]:
    """The colour maps and marks of the sheets, for pages that colour values themselves."""
    marks = {"nonfinite": NONFINITE, "dead": DEAD, "dead_mark": DEAD_MARK, "frame": FRAME}
    shades = palette("gray")
    return {
        "tables": {name: text(table(name).tobytes()) for name in NAMES if name != "auto"},
        "marks": {name: [int(channel) for channel in shades[at]] for name, at in marks.items()},
    }


def gradient(name: str) -> str:
    """A colour map as CSS, from the first to the last colour."""
    return f"linear-gradient(to right, {', '.join(f'rgb({r} {g} {b})' for r, g, b in table(name)[::16])})"


def link(path: str) -> str:
    """A relative path as a link, whatever letters are in it. What stands within the page (data:) is one already."""
    return path if path.startswith("data:") else quote(path)


def linked(entry: Any) -> Any:
    """{"key", "file"} of what is to be brought, or a list of these, with links: `relu#2.js` is none. All else as it is."""
    if isinstance(entry, list):
        return [linked(each) for each in entry]
    return entry | {"file": link(entry["file"])} if isinstance(entry, dict) and "file" in entry else entry


def shape(sizes: Sequence[int | None] | None) -> str:
    """(None, 64, 224) as the framework prints it."""
    if sizes is None:
        return "?"
    return f"({', '.join(str(size) for size in sizes)}{',' if len(sizes) == 1 else ''})"


def times(sizes: Sequence[int | None]) -> str:
    """[224, 224] as "224 × 224"; of single values "1"."""
    return " × ".join("any" if size is None else str(size) for size in sizes) or "1"


def large(value: int | None) -> str:
    """1,378,987 as "1.38 M"; None, for what cannot be computed, as "?"."""
    if value is None:
        return "?"
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= size:
            return f"{amount(value / size, 3)} {letter}"
    return str(value)


def lasts(blocks: Sequence[Mapping[str, Any]]) -> list[int]:
    """Which maps to show at a glance: those of the last layer with a size of each block, by their place among the maps."""
    shown = [[each["shows"] for each in block["layers"] if each["shows"] is not None and len(each["shape"] or ()) == 3]
             for block in blocks]  # fmt: skip
    return [block[-1] for block in shown if block]


def units(numbers: Sequence[int], most: int = 24) -> str:
    """Unit numbers in words, the first of them where there are many."""
    listed = ", ".join(map(str, numbers[:most]))
    return f"{listed} and {len(numbers) - most} more" if len(numbers) > most else listed


def _template(name: str) -> str:
    return (files("convscope.site") / "templates" / name).read_text(encoding="utf-8")
