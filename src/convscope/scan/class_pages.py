"""The classes on the page of a scan: sheets that are drawn once and lie beside it."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .classes import kept
from .finishing import put

if TYPE_CHECKING:
    from ..draw.sheet import Sheet
    from .plan import Part
    from .result import Scan
    from .store import Store

SHOWN = 36  # units on the sheet of a class
MOST = 100  # classes whose sheets are on the page


def class_sheets(scan: Scan, store: Store) -> list[dict[str, Any]]:
    """Write them as page/classes/*.png. Per layer of which something is kept: its name, `cams` or None, and `maps` of each class.

    A sheet is {src, size, words}; size (width, height) in pixels.
    """
    numbered = list(enumerate(scan.plan.parts))
    return [each for number, part in numbered if (each := of_layer(scan, store, number, part))["cams"] or each["maps"]]


def of_layer(scan: Scan, store: Store, number: int, part: Part) -> dict[str, Any]:
    cams = kept(scan, part.layer)
    drawn = None if cams is None else write(store, f"{number}-cams", cams.sheet())
    maps = []
    if part.layer in scan.plan.maps:
        counts = np.asarray(scan.statistics.classes.counts)
        for label in np.flatnonzero(counts)[:MOST]:
            name = scan.plan.classes[label]
            maps.append(
                {"label": name, **write(store, f"{number}-maps-{label}", scan.class_sheet(part.layer, name, first=SHOWN))}
            )
    return {"layer": part.layer, "cams": drawn, "maps": maps}


def write(store: Store, name: str, sheet: Sheet) -> dict[str, Any]:
    path, drawn = f"page/classes/{name}.png", sheet._repr_png_()
    store.write(path, partial(put, drawn), sync=False)
    with Image.open(io.BytesIO(drawn)) as image:
        return {"src": path, "size": image.size, "words": sheet.caption}
