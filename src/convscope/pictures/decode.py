"""From a PIL image of any mode to uint8 pixels, upright and opaque, with notes on what was done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was read: uint8 pixels (h, w, 3) in RGB or (h, w, 1) in grey, and what was done to read it.

    Of other channels (h, w, c), and float32 from 0 to 255 where the file had more than 8 bits.
    """

    name: str
    pixels: Pixels
    notes: tuple[str, ...] = ()


class Refused(Exception):
    """Why a picture cannot be used and what to do: all of the message but what it is about."""


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
GREY = ("1", "L", "LA")
PLAIN = ("L", "RGB", "LA", "RGBA", "RGBX", "RGBa", "PA")
CONVERTED = {"1": "1 bit per pixel converted to grey", "P": "palette colours converted to RGB"}
PHOTOMETRIC = 262  # TIFF's PhotometricInterpretation: 0 where white is zero


def decoded(image: Image.Image) -> tuple[Pixels, list[str]]:
    """Pixels (h, w, 3 | 1), and notes. Raises Refused, and whatever Pillow's decoders raise on damaged data."""
    if 0 in image.size:
        raise Refused(f"it has no pixels: its size is {image.width} x {image.height}. Get it again from where it comes from.")
    notes, turned, kind = list(_notes_on(image)), _orientation(image), image.format
    image.load()
    left = _orientation(image)  # Pillow turns a TIFF itself
    upright = image.transpose(TURNS[left]) if left in TURNS else image
    if turned in TURNS:
        notes.append("turned upright by its EXIF tag")
    mode = upright.mode
    if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
        inverted = getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0
        pixels, more = _from_16_bits(np.asarray(upright), image.info.get("transparency"), inverted=inverted)
    elif mode in ("I", "F"):
        raise Refused(_no_rule_for_32_bits(upright))
    else:
        pixels, more = _from_8_bits(upright)
    return pixels, notes + more


def _notes_on(image: Image.Image) -> Iterator[str]:
    if getattr(image, "is_animated", False):
        yield f"only picture {image.tell() + 1} of several in its file (an animation, or pages)"
    if image.mode in ("RGB", "RGBA", "CMYK") and any("16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        yield "16 bits per channel reduced to 8, the upper byte of each"
    profile = image.info.get("icc_profile") or b""
    # Networks are trained on pictures that were read without a look at their profiles, so none is applied here either.
    if profile and b"sRGB" not in profile and "sRGB".encode("utf-16-be") not in profile:
        yield "its colour profile, which is not sRGB, is ignored, as Keras and torchvision ignore it"
    if _orientation(image) is None:
        yield "its EXIF data is damaged, so that whether it should be turned is unknown"


def _orientation(image: Image.Image) -> Any:
    """1 to 8, or whatever a file holds there; None where the EXIF data cannot be read."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF data raises anything; the pixels may still be sound
        return None


def _no_rule_for_32_bits(image: Image.Image) -> str:
    low, high = image.getextrema()
    return (
        f"its pixels are 32-bit numbers from {low:g} to {high:g} (Pillow's mode {image.mode}), and nothing says "
        "which of them are black and white. Convert it to 8 bits first."
    )


def _from_16_bits(stored: npt.NDArray[Any], see_through: int | None, *, inverted: bool) -> tuple[Pixels, list[str]]:
    values = stored.astype(np.int64)
    notes = [f"16 bits per pixel reduced to 8, x / 257; its values are {values.min()} to {values.max()} of 0 to 65535"]
    if inverted:
        values = 65535 - values
        notes.append("zero is white in this file, so that it was inverted")
    if see_through is not None and (stored == see_through).any():
        values[stored == see_through] = 65535
        notes.append("transparency composed on white")
    return ((values + 128) // 257).astype(np.uint8)[..., None], notes


def _from_8_bits(image: Image.Image) -> tuple[Pixels, list[str]]:
    if image.mode == "La":  # grey multiplied by its opacity, from which Pillow goes to LA alone
        image = image.convert("LA")
    mode, notes = image.mode, []
    if mode not in PLAIN:
        notes.append(CONVERTED.get(mode, f"{mode} converted to RGB"))
    if image.has_transparency_data:
        image, composed = _on_white(image)
        notes += ["transparency composed on white"] * composed
    wanted = "L" if mode in GREY else "RGB"
    pixels = np.asarray(image if image.mode == wanted else image.convert(wanted))
    return pixels if pixels.ndim == 3 else pixels[..., None], notes


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """The image on a white ground, and whether that made any difference."""
    colours = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(colours)
    least = colours.getchannel("A").getextrema()[0]
    return white, bool(least != 255)
