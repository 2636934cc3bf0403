"""Arrays to pixels, with NumPy and Pillow. Drawing never runs a network, and every sheet says what it shows."""

from .files import save_all as save_all
from .files import write_whole as write_whole
from .film import save_gif as save_gif
from .panels import Panels as Panels
from .planes import as_planes as as_planes
from .planes import nearly_square as nearly_square
from .sheet import Sheet as Sheet
