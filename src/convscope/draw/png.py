"""PNG files of one byte a pixel, written as fast as they can be: the deflating runs outside the interpreter's lock."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


def encoded(pixels: Bytes, palette: Bytes | None, *, about: dict[str, str], dpi: int = 96) -> bytes:
    """A PNG of (h, w) palette indices, or of (h, w, 3) colours where `palette` is None. `about`: words kept in the file."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if palette is None else 3, 0, 0, 0)
    per_metre = round(dpi / 0.0254)
    # Each row begins with the number of its filter. None at all: palette indices do not differ smoothly.
    rows = np.zeros((height, 1 + pixels[0].size), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    deflate = zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_DEFAULT_STRATEGY)
    chunks = [
        _chunk(b"IHDR", header),
        _chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1)),
        b"" if palette is None else _chunk(b"PLTE", palette.tobytes()),
        *(_chunk(b"iTXt", key.encode("latin-1", "replace") + b"\0\0\0\0\0" + text.encode()) for key, text in about.items()),
        _chunk(b"IDAT", deflate.compress(rows.data) + deflate.flush()),
        _chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
