"""What can be explained besides a class: `net.explain(picture, target=Unit("conv5", 17))`. See methods/targets.py."""

from .methods.targets import Box as Box
from .methods.targets import Region as Region
from .methods.targets import Target as Target
from .methods.targets import Unit as Unit
