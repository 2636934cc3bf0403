"""Results as HTML for notebooks: Jupyter, VS Code and Colab show what `_repr_html_` gives, and it needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..draw import Panels, Sheet
    from ..results import MapSet

HEIGHT = 860  # of a page within a notebook, in CSS pixels
ROWS = 60  # of a table that does not scroll: what is scrolled away is not printed, and nothing shows that it is there
COLUMNS = 12  # about as many fit beside each other
MOST = 6_000_000  # values of maps that a page within a notebook may hold: a notebook that is saved holds it too


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], below: str = "") -> str:
    """A table with a line of text below it; long ones scroll, and say so."""
    rows = list(rows)
    head = "".join(f"<th>{escape(each)}</th>" for each in headings)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    window = "max-height:40em;overflow:auto" if len(rows) > ROWS else "overflow-x:auto"
    below = f"{len(rows)} rows, which scroll. {below}" if len(rows) > ROWS else below
    below += f"; {len(headings)} columns, which scroll to the right: {', '.join(headings)}" if len(headings) > COLUMNS else ""
    return (
        f'<div style="{window}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        f"<div>{escape(below)}</div>"
    )


def sheets(drawn: Iterable[Sheet | Panels]) -> str:
    """Sheets as pictures; what each shows is beside it as text too, for those who cannot see it."""
    return "".join(_picture(sheet) for sheet in drawn)


def _picture(sheet: Sheet | Panels) -> str:
    content = b64encode(sheet._repr_png_()).decode("ascii")
    words = sheet.caption if sheet.caption.startswith(sheet.title) else f"{sheet.title}: {sheet.subtitle} {sheet.caption}"
    return f'<img src="data:image/png;base64,{content}" alt="{escape(words)}" style="max-width:100%">'


def maps(found: MapSet) -> str:
    """The page of a study in a frame of its own, so that its style stays its own; a table where that would be too much."""
    count = sum(each.values.size for each in found.values())
    if count > MOST:
        rows = [(name, str(each.values.shape[1]), " x ".join(map(str, each.values.shape[2:]))) for name, each in found.items()]
        below = (
            f"{count:,} values are too many for a page within a notebook. maps.save('study') writes the page to a folder; "
            f"maps['{next(iter(found))}'] shows one layer."
        )
        below += "".join(f" Left out: {why}" for why in found.left_out.values())
        return table(("layer", "maps", "size"), rows, below)
    return frame(found)


def frame(found: MapSet) -> str:
    """The page as an iframe that holds it."""
    from ..studies.single import page_of

    page = page_of(found).replace("&", "&amp;").replace('"', "&quot;")
    title = escape(f"What {found.network.name} sees")
    # What shows no frames (a notebook that is not trusted, a site that prints it) keeps the line.
    below = f"{title}. Without a page above this line: trust the notebook, or write maps.save('study') and open its index.html."
    return (
        f'<iframe srcdoc="{page}" title="{title}" style="width:100%;height:{HEIGHT}px;border:0"></iframe>'
        f'<div style="font-size:smaller;opacity:0.7">{below}</div>'
    )
