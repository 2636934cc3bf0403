"""What the verbs of a network return: frozen data with its provenance. Drawing and saving them never runs the network."""

from .check import Check as Check
from .comparison import Comparison as Comparison
from .contrast import Contrast as Contrast
from .differences import Differences as Differences
from .effect import Effect as Effect
from .explanation import Explanation as Explanation
from .filters import Filters as Filters
from .map_set import MapSet as MapSet
from .maps import FeatureMaps as FeatureMaps
from .provenance import NetworkInfo as NetworkInfo
from .provenance import Shown as Shown
