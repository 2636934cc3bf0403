"""The whole vocabulary between a network and those who look into it. No framework is imported here.

    Layer, Graph      what the network is made of
    Window            which places of its input a place of a layer looks at
    Tap               where to read
    Edit              what to change
    Engine            runs a network with taps and edits
    Differentiable    an Engine whose runs can be pulled back
    Reweighable       an Engine that can be copied with other weights
    RuledBackward     a Differentiable Engine whose ReLUs can be given another backward rule
    Resumable         an Engine that can stop at a layer and go on from there, again and again
    Local             an Engine that can compute a layer on parts of maps
    Bulk              an Engine that is quicker on many pictures where the last digits may differ

Every array that crosses this boundary is NumPy, float32, channels first: (n, c, *spatial) for maps, (n, units) for dense
layers, (out, in, *kernel) for kernels. Engines transpose; nobody else does.
"""

from .inputs import Array as Array
from .inputs import Pictures as Pictures
from .inputs import arrays as arrays
from .inputs import as_called as as_called
from .inputs import batch as batch
from .inputs import by_input as by_input
from .inputs import by_names as by_names
from .inputs import count as count
from .inputs import each_array as each_array
from .inputs import input_names as input_names
from .protocol import RULES as RULES
from .protocol import Bulk as Bulk
from .protocol import Differentiable as Differentiable
from .protocol import Engine as Engine
from .protocol import Held as Held
from .protocol import Local as Local
from .protocol import Part as Part
from .protocol import Resumable as Resumable
from .protocol import Reweighable as Reweighable
from .protocol import Rule as Rule
from .protocol import RuledBackward as RuledBackward
from .protocol import Trace as Trace
from .reading import NOT_ALL as NOT_ALL
from .reading import Edit as Edit
from .reading import Reduce as Reduce
from .reading import Run as Run
from .reading import Tap as Tap
from .reading import as_tap as as_tap
from .reading import merged as merged
from .reading import reduced as reduced
from .reading import share as share
from .table import CONVOLUTIONS as CONVOLUTIONS
from .table import OF_THE_BATCH as OF_THE_BATCH
from .table import Graph as Graph
from .table import Kind as Kind
from .table import Layer as Layer
from .table import Window as Window
