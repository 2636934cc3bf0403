"""The page of a scan: what it says at once as HTML, the numbers of each layer in files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from .page import environment
from .scripts import joined, static
from .tiles import embedded


def render(scan: Mapping[str, Any]) -> str:
    """index.html of a scan, from scan/pages.py's facts."""
    return (
        environment()
        .get_template("scan.html.j2")
        .render(
            study=scan,
            style=Markup(static("page.css") + static("scan.css")),
            script=Markup(joined("scan.js")),
            data=Markup(embedded(scan)),
            maps={},
        )
    )
