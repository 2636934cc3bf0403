"""What a trial of a torch module need not compute: what is equal for all its pictures, and values that nobody looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from .torch_tensors import is_vmapped

Sizes = tuple[int, ...]
CONVOLUTIONS = {torch.conv1d: 1, torch.conv2d: 2, torch.conv3d: 3}  # over so many axes
PRODUCTS = frozenset({torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm})  # of two arrays
LINEAR, ATTENTION = torch.nn.functional.linear, torch.nn.functional.scaled_dot_product_attention
ATTENDING = frozenset({"attn_mask", "dropout_p", "is_causal", "scale"})  # its other arguments that are looked at
# What takes most of a run's time, and computes each entry of the first axis of what it is given by itself: with the axes that
# this has at least (of a convolution with one less, it is a picture without such an axis), and how many such arrays there are.
ENTRY_BY_ENTRY = {
    torch.conv1d: (3, 1),
    torch.conv2d: (4, 1),
    torch.conv3d: (5, 1),
    torch.nn.functional.linear: (2, 1),
    torch.matmul: (3, 2),
    torch.Tensor.matmul: (3, 2),
    torch.Tensor.__matmul__: (3, 2),
    torch.bmm: (3, 2),
}


class EqualOnce(TorchFunctionMode):
    """Convolves and multiplies with weights what is of `pictures` that are all equal, as those of a trial are, once, and gives
    that for each: the same, sooner.
    """

    def __init__(self, pictures: int):
        super().__init__()
        self._pictures = pictures

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        axes, arrays = ENTRY_BY_ENTRY.get(function, (0, 0)) if self._pictures > 1 and "out" not in kwargs else (0, 0)
        given = args[:arrays]
        if not given or len(given) < arrays or not are_repeated(given, axes, self._pictures):
            return function(*args, **kwargs)
        of_one = [each[: len(each) // self._pictures] for each in given]
        return torch.cat([function(*of_one, *args[arrays:], **kwargs)] * self._pictures)


def are_repeated(given: Sequence[Any], axes: int, pictures: int) -> bool:
    """Whether all hold the same so many times over, along their first axes; not where a gradient is taken for each."""
    if any(type(each) is not torch.Tensor or each.layout is not torch.strided or each.is_nested for each in given):
        return False
    if any(map(is_vmapped, given)):
        return False
    several = given[0].ndim >= axes and len(given[0]) > 0 and len(given[0]) % pictures == 0
    alike = all((each.ndim, len(each)) == (given[0].ndim, len(given[0])) for each in given) if several else False
    return alike and not any(each.requires_grad for each in given) and all(is_repeated(each, pictures) for each in given)


def is_repeated(array: torch.Tensor, pictures: int) -> bool:
    first, *others = torch.split(array, len(array) // pictures)
    return all(torch.equal(first, each) for each in others)


class ShapesOnly(TorchFunctionMode):
    """Gives zeros in place of what convolutions and products make of the pictures, which take most of a run's time.

    Only of float32 on a CPU, where they fail for no other shapes than those that are looked at.

    is_fed   whether a tensor is known to be made of the pictures: what is made of weights alone may be kept by the network, in
             places that nobody puts back
    """

    def __init__(self, is_fed: Callable[[torch.Tensor], bool]):
        super().__init__()
        self._is_fed = is_fed
        self._turned: dict[str, bool] = {}  # convolutions of channels that lie last, and whether what they give has them last too

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        shape = shape_made_by(function, args, kwargs)
        made = None if shape is None or not self._is_fed(args[0]) else self._zeros(function, args, shape)
        return function(*args, **kwargs) if made is None else made

    def _zeros(self, function: Any, args: Sequence[Any], shape: Sizes) -> torch.Tensor | None:
        """In the order in memory in which the function would give them; None where that is not known."""
        given, weight = args[:2]
        if function not in CONVOLUTIONS or (given.is_contiguous() and weight.is_contiguous()):
            return torch.zeros(shape, dtype=torch.float32, device="cpu")  # a default of the user's may be another
        last = torch.channels_last
        if function is not torch.conv2d or not given.is_contiguous(memory_format=last) or min(shape[1:]) < 2:
            return None
        bias = args[2] if len(args) > 2 else None
        key = str((len(given), weight.shape, weight.stride(), bias is None, args[3:]))
        if key not in self._turned:
            self._turned[key] = is_turned(*args)
        turned = self._turned[key]
        return torch.empty(shape, dtype=torch.float32, device="cpu", memory_format=last).zero_() if turned else None


def is_turned(given: torch.Tensor, weight: torch.Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, *more: Any) -> bool:
    """Whether the channels lie last in what conv2d makes of channels that do.

    Which of its ways torch takes does not depend on the size of the maps: a corner that gives two by two positions tells it.
    """
    last, dilation = torch.channels_last, more[0] if more else 1
    steps, spread = ((each,) * 2 if isinstance(each, int) else each for each in (stride, dilation))
    needed = zip(weight.shape[2:], steps, spread, strict=True)
    height, width = ((kernel - 1) * apart + 1 + step for kernel, step, apart in needed)
    corner = given[:, :, :height, :width].contiguous(memory_format=last)
    made = torch.conv2d(corner, weight, bias, stride, padding, *more)
    return min(made.shape[2:]) > 1 and not made.is_contiguous() and made.is_contiguous(memory_format=last)


def shape_made_by(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Of what the function makes of plain arrays that fit together; None for any other, which is asked itself."""
    if torch.is_autocast_enabled("cpu"):
        return None
    if function in CONVOLUTIONS or function is LINEAR:
        weighed = not kwargs and 1 < len(args) <= 7 and fits_weights(*args[:3])
        made = _of_linear if function is LINEAR else partial(_of_convolution, CONVOLUTIONS[function])
        return made(*args) if weighed else None
    if function in PRODUCTS:
        return _of_product(*args) if not kwargs and len(args) == 2 and are_plain(args) else None
    if function is ATTENTION and len(args) == 3 and are_plain(args) and kwargs.keys() <= ATTENDING:
        query, key, value = args
        return _of_attention(query, key, value, kwargs.get("attn_mask"), kwargs.get("is_causal"))
    return None


def are_plain(given: Sequence[Any]) -> bool:
    return all(
        isinstance(each, torch.Tensor)
        and each.dtype is torch.float32
        and each.layout is torch.strided
        and each.device.type == "cpu"
        and not each.is_nested
        and not is_vmapped(each)
        for each in given
    )


def fits_weights(given: Any, weight: Any, bias: Any = None) -> bool:
    """Whether they are plain, and the bias has a number for each of the units."""
    return are_plain((given, weight)) and (bias is None or (are_plain((bias,)) and bias.shape == weight.shape[:1]))


def _of_linear(given: torch.Tensor, weight: torch.Tensor, _bias: Any = None) -> tuple[int, ...] | None:
    fits = given.ndim > 1 and weight.ndim == 2 and given.shape[-1] == weight.shape[1]
    return (*given.shape[:-1], len(weight)) if fits else None


def _of_attention(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: Any, causal: Any) -> Sizes | None:
    """A mask has to fit too: the table of positions of a network that takes one size fails for any other."""
    query, key, value = (tuple(each.shape) for each in (queries, keys, values))
    alike = query[:-2] == key[:-2] == value[:-2] and query[-1:] == key[-1:] and key[-2:-1] == value[-2:-1]
    if not alike or len(query) < 3 or (mask is not None and (causal or not masks(mask, (*query[:-1], key[-2])))):
        return None
    return (*query[:-1], value[-1])


def masks(mask: Any, weights: Sizes) -> bool:
    """Whether it broadcasts to as many weights."""
    if not isinstance(mask, torch.Tensor) or not (mask.dtype is torch.bool or are_plain((mask,))):
        return False
    padded = (1,) * (len(weights) - mask.ndim) + tuple(mask.shape)
    return len(padded) == len(weights) and all(size in (1, whole) for size, whole in zip(padded, weights, strict=True))


def _of_product(one: torch.Tensor, other: torch.Tensor) -> tuple[int, ...] | None:
    fits = one.ndim == other.ndim > 2 and one.shape[:-2] == other.shape[:-2] and one.shape[-1] == other.shape[-2]
    return (*one.shape[:-1], other.shape[-1]) if fits else None


def _of_convolution(
    axes: int,
    given: torch.Tensor,
    weight: torch.Tensor,
    _bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[int, ...] | None:
    if not given.ndim == weight.ndim == axes + 2 or given.shape[1] != weight.shape[1] * groups:
        return None
    if isinstance(padding, str) or len(weight) % groups:
        return None
    steps, pads, spread = ((each,) * axes if isinstance(each, int) else tuple(each) for each in (stride, padding, dilation))
    sizes = tuple(
        (size + 2 * pad - dilated * (kernel - 1) - 1) // step + 1
        for size, kernel, step, pad, dilated in zip(given.shape[2:], weight.shape[2:], steps, pads, spread, strict=True)
    )
    return (len(given), len(weight), *sizes) if min(sizes) > 0 else None
