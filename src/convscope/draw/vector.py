"""SVG and PDF: the maps as one picture, every word as text that can be searched and edited."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from .png import encoded
from .text import Text

Bytes = npt.NDArray[np.uint8]
COLOURS = {"ink": (24, 28, 36), "grey": (96, 103, 116)}


def svg(pixels: Bytes, palette: Bytes | None, texts: Sequence[Text], *, title: str, about: str, dpi: int = 96) -> bytes:
    height, width = pixels.shape[:2]
    across, down = (round(each * 96 / dpi, 2) for each in (width, height))  # a CSS pixel is a 96th of an inch
    picture = base64.b64encode(encoded(pixels, palette, about={})).decode()
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:g}" height="{down:g}" viewBox="0 0 {width} {height}" '
        'font-family="Helvetica, Arial, sans-serif" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(about)}</desc>",
        f'<image width="{width}" height="{height}" style="image-rendering: pixelated" href="data:image/png;base64,{picture}"/>',
    ]
    for text in texts:
        colour = "#{:02x}{:02x}{:02x}".format(*COLOURS[text.colour])
        lines.append(
            f'<text x="{text.x:g}" y="{text.y + text.size:g}" font-size="{text.size}" fill="{colour}" '
            f'text-anchor="{text.anchor}">{escape(text.words)}</text>'
        )
    return "\n".join([*lines, "</svg>", ""]).encode()


def pdf(pixels: Bytes, palette: Bytes | None, texts: Sequence[Text], *, title: str, about: str, dpi: int = 96) -> bytes:
    """One page with the maps as an image and the words in Helvetica, which every reader has. Unknown letters become "?"."""
    height, width = pixels.shape[:2]
    points = 72 / dpi
    colours = "/DeviceRGB" if palette is None else f"[/Indexed /DeviceRGB 255 <{palette.tobytes().hex()}>]"
    image = zlib.compress(pixels.tobytes(), 6)
    page = _page_content(width, height, texts, points)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width * points:g} {height * points:g}] /Contents 4 0 R "
        "/Resources << /Font << /F 5 0 R >> /XObject << /I 6 0 R >> >> >>".encode(),
        b"<< /Length %d >>\nstream\n" % len(page) + page + b"\nendstream",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace {colours} /BitsPerComponent 8 "
        f"/Filter /FlateDecode /Interpolate false /Length {len(image)} >>\nstream\n".encode()
        + image
        + b"\nendstream",
        b"<< /Title " + _utf16(title) + b" /Subject " + _utf16(about) + b" /Producer (convscope) >>",
    ]
    return _assembled(objects)


def _page_content(width: int, height: int, texts: Sequence[Text], points: float) -> bytes:
    lines = [b"%g 0 0 %g 0 0 cm" % (points, points), b"q %d 0 0 %d 0 0 cm /I Do Q" % (width, height), b"BT"]
    for text in texts:
        red, green, blue = (value / 255 for value in COLOURS[text.colour])
        left = text.x - helvetica_width(text.words, text.size) * {"start": 0, "middle": 0.5, "end": 1}[text.anchor]
        lines.append(b"%.3g %.3g %.3g rg /F %d Tf" % (red, green, blue, text.size))
        lines.append(b"1 0 0 1 %.2f %.2f Tm " % (left, height - text.y - text.size) + _literal(text.words) + b" Tj")
    return b"\n".join([*lines, b"ET"])


def helvetica_width(words: str, size: int) -> float:
    """About as wide as Helvetica sets it, from the widths of its digits and of an average letter."""
    return sum(0.278 if letter in " .,:;il|'·/" else 0.556 for letter in words) * size


def _literal(words: str) -> bytes:
    encoded_words = words.encode("cp1252", "replace")
    for special in (b"\\", b"(", b")"):
        encoded_words = encoded_words.replace(special, b"\\" + special)
    return b"(" + encoded_words + b")"


def _utf16(words: str) -> bytes:
    return b"<FEFF" + words.encode("utf-16-be").hex().encode() + b">"


def _assembled(objects: Sequence[bytes]) -> bytes:
    """The file: numbered objects and a table of where each begins."""
    result, starts = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        starts.append(len(result))
        result += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % start for start in starts)
    count = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, len(objects), len(result))
    return result + b"xref\n0 %d\n0000000000 65535 f \n" % count + table + trailer
