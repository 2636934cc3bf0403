"""Arrays to pixels, with NumPy and Pillow. Drawing never runs a network, and every sheet says what it shows."""

from .sheet import Sheet as Sheet
from .sheet import save_all as save_all
