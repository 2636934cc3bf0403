"""What functions make between the layers of a torch module: `x + y`, `F.relu(x)`, `torch.cat`, slices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..core import OF_THE_BATCH, Kind
from .names import array_names, numbered
from .torch_constants import Constants
from .torch_modules import Look, Unwatched, Visit
from .torch_tensors import flattened, is_alias, rebuilt, version

NAMES: dict[Kind, str] = {
    "activation": """
        relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish glu hardswish hardsigmoid hardtanh hardshrink softshrink
        tanhshrink sigmoid logsigmoid tanh softplus softsign softmax log_softmax threshold clamp clip""",
    "merge": "add sub mul div cat concat concatenate stack matmul bmm maximum minimum",
    "reshape": """
        view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze getitem chunk split unbind narrow roll
        flip pixel_shuffle pixel_unshuffle channel_shuffle expand repeat unfold fold T mT""",
    "padding": "pad constant_pad_nd",
    "normalisation": "batch_norm layer_norm group_norm instance_norm local_response_norm normalize rms_norm",
    "dropout": "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout",
    "convolution": "conv1d conv2d conv3d",
    "transposed": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "dense": "linear",
    "resizing": "interpolate upsample upsample_nearest upsample_bilinear grid_sample",
    "pooling": """
        mean amax max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d""",
}
KINDS: dict[str, Kind] = {name: kind for kind, names in NAMES.items() for name in names.split()}
# They change how a tensor is kept, not what it holds; empty ones hold nothing.
KEEPING = frozenset(
    """bfloat16 clone contiguous cpu cuda data detach double empty_like float half requires_grad to type
    type_as""".split()  # noqa: SIM905
)
# Functions by which values become Python's own, on which code can decide what to do next.
DECIDING = frozenset(
    ("__bool__", "__int__", "__float__", "__index__", "__complex__", "__array__", "__contains__", "__dlpack__", "item", "tolist",
     "numpy", "equal", "allclose", "is_nonzero", "cond", "while_loop")
)  # fmt: skip
# Functions that tell how many there are, of pictures too.
MEASURING = frozenset({"shape", "size", "len"})
# What leaves is more than yes and no.
LEAVING = DECIDING - {"__bool__", "__contains__", "equal", "allclose", "is_nonzero", "cond", "while_loop"}
# Functions that find as many things as the values say.
FINDING = frozenset("nonzero argwhere masked_select unique unique_consecutive bincount nms".split())  # noqa: SIM905
EMPTY = frozenset({"empty", "empty_like", "new_empty"})
MEASURES = frozenset("size stride numel dim storage_offset".split())  # noqa: SIM905
OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "matmul", "pow", "mod")


@dataclass(frozen=True)
class Function:
    """A function that made an array.

    given      what it was called with, and how often that had been written into before
    in_place   whether it wrote into that
    args       all that it was called with, as it was written
    """

    name: str
    given: Sequence[tuple[torch.Tensor, int]]
    in_place: bool
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Adding a number to a map merges nothing."""
        kind = KINDS.get(self.name, "other")
        return "other" if kind == "merge" and len(self.given) < 2 else kind

    @property
    def native(self) -> str:
        return self.name + OF_THE_BATCH if takes_statistics(self.name, self.args, self.kwargs) else self.name

    @property
    def counted(self) -> list[tuple[torch.Tensor, int]]:
        """Of `given`, what decides by its values how much the function gives: `mask` of `x[mask]`."""
        if self.name == "getitem":
            return [(each, used) for each, used in self.given[1:] if each.dtype in (torch.bool, torch.uint8)]
        if self.name == "repeat_interleave":
            return list(self.given[1:])
        alone = self.name == "where" and len(self.args) + len(self.kwargs) == 1
        return list(self.given) if alone or self.name in FINDING else []


class Functions(TorchFunctionMode):
    """Shows what every function returns, as `layer1.0.add`, and hands on what it is given for it.

    path    where the code runs that calls it: "layer1.0", "" in the network itself, None where nobody looks
    taken   the names of layers: a function of such a name is `layer1.0.torch.add`
    calls   kept up to date: how often each was called, which numbers the rows
    constants   kept up to date
    look    is shown by which function code looks at what, that may then go another way: tensors, and how often each had been
            written into

    Functions that give back the very tensor that they were given (a dropout in evaluation) are none, nor are those of constants:
    a network may keep what they gave for its next run.
    """

    def __init__(
        self,
        path: Callable[[], str | None],
        taken: Container[str],
        visit: Visit,
        calls: Counter[str],
        constants: Constants,
        look: Look | None = None,
    ):
        super().__init__()
        self._path, self._taken, self._visit, self._calls = path, taken, visit, calls
        self._constants, self._look = constants, look

    def __torch_function__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        path, kwargs = self._path(), kwargs or {}
        if path is None:
            return function(*args, **kwargs)
        with Unwatched():
            given = [(each, version(each)) for each in flattened((args, kwargs))]
            constant = self._constants.are_all(each for each, _ in given)
        out = function(*args, **kwargs)
        if getattr(function, "__name__", "") in EMPTY:
            clean(flattened(out))
        if constant:
            self._constants.add(flattened(out))
            return out
        self._looked_at(function, given, out)
        with Unwatched():
            written = [each for each, before in given if version(each) != before]
            made = flattened(out) or written[:1]  # `x[:, 0] = y` returns nothing
            aliases = [is_alias(each, [one for one, _ in given]) for each in made]
        self._constants.discard(written)
        unchanged = {id(each) for each, _ in given} - {id(each) for each in written}
        if all(id(each) in unchanged for each in made):
            return out
        called = Function(name_of(function), given, bool(written), args, kwargs)
        rows = array_names(self._numbered(path, called.name), len(made))
        handed = [self._visit(row, each, called, alias) for row, each, alias in zip(rows, made, aliases, strict=True)]
        if all(new is old for new, old in zip(handed, made, strict=True)):
            return out
        return None if out is None else rebuilt(out, iter(handed))

    def _looked_at(self, function: Any, given: Sequence[tuple[torch.Tensor, int]], out: Any) -> None:
        name = getattr(function, "__name__", "")
        number = isinstance(out, bool | int | float) and is_extension(function)
        self._constants.left = self._constants.left or name in LEAVING or number
        if self._look and (name in DECIDING or number):
            self._look("item", given)
        elif self._look and (name == "__get__" or name.strip("_") in MEASURING) and name_of(function) in MEASURING:
            self._look(name_of(function), given)

    def _numbered(self, path: str, name: str) -> str:
        full = f"{path}.{name}" if path else name
        if full in self._taken:
            full = f"{path}.torch.{name}" if path else f"torch.{name}"
        self._calls[full] += 1
        return numbered(full, self._calls[full])


def takes_statistics(name: str, args: Any, kwargs: Any) -> bool:
    """Whether it is a BatchNorm that takes those of what runs."""
    return name == "batch_norm" and bool(kwargs.get("training", args[5] if len(args) > 5 else False))


def clean(tensors: Sequence[torch.Tensor]) -> None:
    """Zeros where there is nothing: what lies in such memory is of nobody, and other at every run."""
    with Unwatched(), torch.no_grad():
        for each in tensors:
            each.zero_()


def is_extension(function: Any) -> bool:
    """Whether it may do anything: torch.ops.library.operator, but for torch's own that tell a size."""
    name = getattr(function, "__name__", "").removeprefix("sym_")
    return type(function).__module__ == "torch._ops" and name not in MEASURES


def name_of(function: Any) -> str:
    """`add` for `+`, `+=`, `torch.add`, `x.add_`: what it computes, however it is written."""
    name: str = getattr(function, "__name__", type(function).__name__)
    if name == "__get__":  # x.T
        name = getattr(function.__self__, "__name__", name)
    name = name.strip("_")
    if name[:1] in "ir" and name[1:] in OPERATORS:
        name = name[1:]
    return {"truediv": "div", "floordiv": "floor_divide"}.get(name, name)
