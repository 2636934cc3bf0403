"""Pictures: read from anywhere, preprocessed by a rule that is data, shown as the network receives them.

read_pictures(source)         -> [Picture]   uint8 pixels, with notes on what was done to read them
Preprocess                    the rule from a picture to what the network receives: apply, undo, describe
prepare(source, preprocess)   -> Prepared    what goes into a network, and how it looks
prepare_inputs(...)           -> Prepared    the same for a network with several inputs
"""

from __future__ import annotations

from .agree import from_card as from_card
from .decode import Picture as Picture
from .prepare import Prepared as Prepared
from .prepare import prepare as prepare
from .preprocess import PRESETS as PRESETS
from .preprocess import Preprocess as Preprocess
from .several import is_picture as is_picture
from .several import prepare_inputs as prepare_inputs
from .sources import read_pictures as read_pictures
