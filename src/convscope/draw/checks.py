"""Whether what is asked of a sheet can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InputError, WrongOption
from . import colour as colours
from .scale import SCALES

if TYPE_CHECKING:
    from .sheet import Sheet

FORMS = ("map", "curve", "bar")
ENDINGS = (".png", ".pdf", ".svg", ".jpg", ".webp")


def check(sheet: Sheet) -> None:
    """Raises InputError, WrongOption."""
    if sheet.tiles.size == 0 or sheet.tiles.ndim not in (3, 4):
        raise InputError(f"There is nothing to draw: the maps have shape {sheet.tiles.shape}.", received=sheet.tiles.shape)
    if len(sheet.labels) != len(sheet.tiles):
        raise InputError(f"{len(sheet.tiles)} maps need as many labels, but received {len(sheet.labels)}.")
    if not isinstance(sheet.columns, int) or sheet.columns < 1:
        message = f"The columns of a sheet are a number from 1 on, but received {sheet.columns!r}."
        raise InputError(message, received=sheet.columns)
    if sheet.signal is not None and sheet.tiles.shape[1:] != (1, len(sheet.signal.centres)):
        raise InputError(
            f"Maps over this signal have {len(sheet.signal.centres)} positions, but received {sheet.tiles.shape}.",
            received=sheet.tiles.shape,
        )
    fits = {"map": True, "curve": sheet.tiles.shape[1:-1] == (1,), "bar": sheet.tiles.shape[1:] == (1, 1)}
    if not fits.get(sheet.form, False):
        raise WrongOption("The form of this sheet", sheet.form, tuple(form for form in FORMS if fits[form]))
    if isinstance(sheet.scale, tuple | list):
        if sheet.form != "map":
            raise InputError(
                f"A range for all sheets, {sheet.scale}, is one of maps, but this sheet has {sheet.form}s. Leave it away."
            )
    elif sheet.scale not in SCALES:
        raise WrongOption("The scale", sheet.scale, (*SCALES, "two numbers"))
    if sheet.colour not in (*colours.NAMES, "rgb"):
        raise WrongOption("The colour map", sheet.colour, colours.NAMES)
