"""From Keras' kernels to those of the protocol, (out, in / groups, *kernel), in the orientation in which they act."""

from __future__ import annotations

from math import prod

from ..core import Array, Kind
from .keras_arrays import contiguous


def protocol_kernel(kernel: Array, name: str, kind: Kind) -> Array:
    """From the layout of Keras' layers.

    convolution, dense   (*kernel, in / groups, out)
    transposed           (*kernel, out, in)
    depthwise            (*kernel, in, multiplier), whose outputs are numbered in * multiplier + number
    """
    spatial = tuple(range(kernel.ndim - 2))
    if kind == "transposed":
        turned = kernel.transpose(-2, -1, *spatial)
    elif kind in ("depthwise", "separable") and name != "pointwise_kernel":
        turned = kernel.transpose(-2, -1, *spatial).reshape(-1, 1, *kernel.shape[:-2])
    else:
        turned = kernel.transpose(-1, -2, *spatial)
    return contiguous(turned)


def einsum_kernel(kernel: Array, equation: str) -> Array:
    """From EinsumDense's: axes that only the output has are laid flat as its units, those that only the input has as what is
    summed over; those that both have follow, a matrix for each position: "abc,bcd->abd" gives (d, c, b).
    """
    given, _, made = equation.replace(" ", "").replace("...", "").partition("->")
    received, _, axes = given.partition(",")
    units = [axis for axis in made if axis in axes and axis not in received]
    summed = [axis for axis in received if axis in axes and axis not in made]
    shared = [axis for axis in axes if axis in received and axis in made]
    turned = kernel.transpose([axes.index(axis) for axis in (*units, *summed, *shared)])
    sizes = {axis: kernel.shape[axes.index(axis)] for axis in axes}
    shape = (prod(sizes[axis] for axis in units), prod(sizes[axis] for axis in summed), *(sizes[axis] for axis in shared))
    return contiguous(turned.reshape(shape))
