"""Along which axis single functions of torch leave the pictures: see torch_axis.

Each rule is given the function; either all that this was given of which the axis is known, or, where that is its first argument
alone, the axis in this; and the shape of what it made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import nn

from .torch_arguments import MOVING, after_index, axes_named, axes_ordered, told
from .torch_functions import KINDS, Function

Placed = Sequence[tuple[torch.Tensor, int]]
Sizes = tuple[int, ...]

# They take what they are given value by value, smaller arrays repeated along the first axes, or mix the values of one array.
ARITHMETIC = """
    add sub mul div maximum minimum pow exp log sqrt rsqrt square abs neg reciprocal lerp masked_fill copy fill zero"""
ALIKE = frozenset(name for name, kind in KINDS.items() if kind in ("activation", "normalisation", "dropout"))
ALIKE = ALIKE.union(ARITHMETIC.split())
# As many axes as before, the first still that of the pictures, however they change the others.
MAPPING = frozenset(
    name for name, kind in KINDS.items() if kind == "resizing" or (kind == "pooling" and name not in ("mean", "amax"))
)
CONVOLUTIONS = frozenset(name for name, kind in KINDS.items() if kind in ("convolution", "transposed"))
JOINS = frozenset({"cat", "concat", "concatenate"})


def _matched(_function: Function, placed: Placed, shape: Sizes) -> int | None:
    """Axes are matched from the last one."""
    from_last = {each.ndim - axis for each, axis in placed}
    axis = len(shape) - from_last.pop()
    return None if from_last or axis < 0 else axis


def _alike(function: Function, placed: Placed, shape: Sizes) -> int | None:
    axis = _matched(function, placed, shape)
    if function.name not in MIXED or axis is None:
        return axis
    alone = len(placed) == 1 and bool(function.args) and placed[0][0] is function.args[0]
    return axis if alone and axis not in MIXED[function.name](function, len(shape)) else None


def _written(function: Function, placed: Placed, _shape: Sizes) -> int | None:
    """`x[:, 0] = y`"""
    (given, axis), *others = sorted(placed, key=lambda each: each[0] is not function.args[0])
    part = after_index(function.args[1], given.ndim, axis)
    fits = part is not None and all(each.ndim - along == part[1] - part[0] for each, along in others)
    return axis if fits and given is function.args[0] else None


def _joined(function: Function, placed: Placed, shape: Sizes) -> int | None:
    axis = _matched(function, placed, shape)
    return axis if told(function, 1, default=0) % len(shape) != axis else None


def _stacked(function: Function, placed: Placed, shape: Sizes) -> int | None:
    axis = _matched(function, placed, shape[1:])
    return None if axis is None else axis + (told(function, 1, default=0) % len(shape) <= axis)


def _mapped(_function: Function, placed: Placed, shape: Sizes) -> int | None:
    return 0 if all(axis == 0 and each.ndim == len(shape) > 1 for each, axis in placed) else None


def _product(function: Function, placed: Placed, shape: Sizes) -> int | None:
    """The last axis of the first is gone over with the one before the last of the second; of vectors it is another."""
    plain = len(function.args) == 2 and all(type(each) in (torch.Tensor, nn.Parameter) for each in function.args)
    if not plain or any(each.ndim < 2 for each, _ in function.given):  # of another class it may be turned round: __rmatmul__
        return None
    axis, first, second = _matched(function, placed, shape), *function.args
    from_last = [(each is first, each is second, each.ndim - along) for each, along in placed]
    crossed = any((at == 1 and of_first) or (at == 2 and of_second) for of_first, of_second, at in from_last)
    return None if crossed or (len(placed) > 1 and any(at < 3 for *_, at in from_last)) else axis


def _attended(function: Function, placed: Placed, shape: Sizes) -> int | None:
    axis = _matched(function, placed, shape)
    return axis if axis is not None and axis < len(shape) - 2 else None


def _reduced(function: Function, axis: int, shape: Sizes) -> int | None:
    axes = function.args[0].ndim
    gone = axes_named(function, axes)
    if gone is None or axis in gone:
        return None
    return axis if len(shape) == axes else axis - sum(each < axis for each in gone)


def _moved(function: Function, axis: int, shape: Sizes) -> int | None:
    order, axes = list(range(len(shape))), axes_named(function, len(shape))
    if function.name in ("t", "T", "mT"):
        axes = order[-2:] if len(order) == 2 or function.name == "mT" else None
    if function.name == "permute":
        order = axes or []
    elif axes and len(axes) == 2:
        order[axes[0]], order[axes[1]] = axes[1], axes[0]
    else:
        return None
    return order.index(axis) if axis in order else None


def _indexed(function: Function, axis: int, _shape: Sizes) -> int | None:
    part = after_index(function.args[1], function.args[0].ndim, axis) if len(function.args) > 1 else None
    return None if part is None else part[0]


def _taken(function: Function, axis: int, _shape: Sizes) -> int | None:
    """One by one along another axis, which is gone then."""
    along = told(function, 1, default=0)
    along = along % function.args[0].ndim if isinstance(along, int) else axis
    return None if along == axis else axis - (along < axis)


def _cut(function: Function, axis: int, shape: Sizes) -> int | None:
    along = told(function, 2, default=0)
    return axis if isinstance(along, int) and along % len(shape) != axis else None


def _padded(function: Function, axis: int, shape: Sizes) -> int | None:
    sides = told(function, 1, ("pad",))
    at = 2 * (len(shape) - 1 - axis)  # of the last axis first
    return axis if isinstance(sides, tuple | list) and not any(sides[at : at + 2]) else None


def _repeated(function: Function, axis: int, shape: Sizes) -> int | None:
    return axis + len(shape) - int(function.args[0].ndim)


def _dense(_function: Function, axis: int, shape: Sizes) -> int | None:
    return axis if axis < len(shape) - 1 else None


def _convolved(function: Function, axis: int, shape: Sizes) -> int | None:
    """With an axis less it takes the first one for that of the channels."""
    return 0 if axis == 0 and function.args[0].ndim == len(shape) == int(function.name[-2]) + 2 else None


def _in_order(function: Function, axis: int, _shape: Sizes) -> int | None:
    return None if axis in axes_ordered(function) else axis


def _one_axis(place: int, default: int | None) -> Callable[[Function, int], Collection[int]]:
    def along(function: Function, axes: int) -> Collection[int]:
        axis = told(function, place, default=default)
        return (axis % axes,) if isinstance(axis, int) else range(axes)

    return along


def _last_axes(function: Function, axes: int) -> Collection[int]:
    return range(axes - len(told(function, 1, ("normalized_shape",), range(axes))), axes)


def _but_the_first(_function: Function, axes: int) -> Collection[int]:
    return range(1, axes)


# Of those that take value by value: the axes along which they do not.
MIXED: Mapping[str, Callable[[Function, int], Collection[int]]] = {
    **dict.fromkeys(("softmax", "log_softmax"), _one_axis(1, None)),
    "glu": _one_axis(1, -1),
    "normalize": _one_axis(2, 1),
    **dict.fromkeys(("layer_norm", "rms_norm"), _last_axes),
    **dict.fromkeys(("batch_norm", "group_norm", "instance_norm", "local_response_norm", "prelu"), _but_the_first),
}
IN_PLACE = ALIKE | {"setitem"}
OF_SEVERAL: Mapping[str, Callable[[Function, Placed, Sizes], int | None]] = {
    **dict.fromkeys(ALIKE, _alike),
    **dict.fromkeys(JOINS, _joined),
    **dict.fromkeys(MAPPING, _mapped),
    **dict.fromkeys(("matmul", "mm", "bmm"), _product),
    "setitem": _written,
    "stack": _stacked,
    "scaled_dot_product_attention": _attended,
}
OF_ONE: Mapping[str, Callable[[Function, int, Sizes], int | None]] = {
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var", "std"), _reduced),
    **dict.fromkeys((*MOVING, "t", "T", "mT"), _moved),
    **dict.fromkeys(("unbind", "select"), _taken),
    **dict.fromkeys(("split", "chunk", "tensor_split"), _cut),
    **dict.fromkeys(("pad", "constant_pad_nd"), _padded),
    **dict.fromkeys(("expand", "repeat"), _repeated),
    **dict.fromkeys(("roll", "flip"), _in_order),
    **dict.fromkeys(CONVOLUTIONS, _convolved),
    "getitem": _indexed,
    "linear": _dense,
}
