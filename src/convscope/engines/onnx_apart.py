"""Whether what an ONNX network makes of a picture depends on that picture alone, so that pictures may go through in parts.

Cores that share out every layer wait for each other after each of them. Where each core has pictures of its own they do not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from onnx import ModelProto, NodeProto

from .onnx_graph import Read, needed
from .onnx_wiring import Wiring, attribute, operator


def threads_said() -> int:
    """By OMP_NUM_THREADS; 0 where that says nothing. More of them would wait, spinning, for cores that were given to others."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdecimal() else 0


CORES = threads_said() or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
# What these make for a picture depends on what they receive for that picture, as long as both have an entry for each.
APART = frozenset(
    {
        "Conv", "FusedConv", "ConvTranspose", "Gemm", "MatMul", "MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool",
        "ReduceMean", "InstanceNormalization", "LRN", "Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "Sum", "Relu", "LeakyRelu",
        "PRelu", "Elu", "Selu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Gelu", "Erf",
        "Exp", "Log", "Sqrt", "Neg", "Abs", "Concat", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Pad", "Identity",
        "Dropout", "Cast", "QuantizeLinear", "DequantizeLinear",
    }
)  # fmt: skip


# Along which axes these work if they do not say; no number: along all of them.
OVER: dict[str, tuple[int, ...]] = {
    "Softmax": (-1,), "LogSoftmax": (-1,), "Hardmax": (-1,), "LpNormalization": (-1,), "LayerNormalization": (-1,),
    "RMSNormalization": (-1,), "TopK": (-1,), "MeanVarianceNormalization": (0, 2, 3),
    **dict.fromkeys(("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum",
                     "ReduceLogSumExp", "ReduceSumSquare", "CumSum"), ()),
}  # fmt: skip
ROUNDING = frozenset(
    {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM"}
)  # by the largest of all values that they are given
Part = TypeVar("Part")


def each(compute: Callable[[int], Part], starts: Iterable[int], beside: int) -> list[Part]:
    """What `compute` makes from each of `starts` on, by so many threads at a time."""
    if beside == 1:
        return list(map(compute, starts))
    with ThreadPoolExecutor(beside) as pool:
        return list(pool.map(compute, starts))


def parts(model: ModelProto, wiring: Wiring, proven: Container[str], reads: Sequence[Read]) -> int:
    """Into how many parts pictures are best split, each for one core: 1 where it is not sure that they may be.

    Whole maps would have to be put together again, which takes longer than is gained: only runs that collapse maps are split.

    proven   tensors with an entry for each picture
    """
    if not any(read.axes for read in reads) or not all(read.tensor in proven for read in reads):
        return 1
    _, nodes = needed(model.graph.node, (read.tensor for read in reads))
    known = (node for node in nodes if not wiring.constant.issuperset(node.output))
    return CORES if all(apart(node, wiring, proven) for node in known) else 1


def apart(node: NodeProto, wiring: Wiring, proven: Container[str]) -> bool:
    """Whether a picture's entry of what `node` makes depends on that picture alone."""
    kind, flowing = operator(node), [name for name in node.input if name in wiring.flowing]
    ranks = {wiring.rank(name) for name in flowing}
    if len(ranks) != 1 or not ranks.isdisjoint({None, 0, 1}):  # (n, 1) + (n,) has every picture with every other
        return False
    if kind == "BatchNormalization":
        sure = len([name for name in node.output if name]) == 1 and not attribute(node, "training_mode", 0)
    elif kind in ("Softmax", "LogSoftmax"):
        sure = attribute(node, "axis", -1) in (-1, 1)
    elif kind == "Reshape":
        return node.input[0] in proven and node.output[0] in proven
    else:
        sure = kind in APART
    return sure and all(name in proven or name in wiring.constant for name in node.input if name)


def mixes(node: NodeProto, wiring: Wiring) -> bool:
    """Whether it makes one number of several pictures, of an array that has an entry for each."""
    kind, given = operator(node), node.input[0] if node.input else ""
    if given not in wiring.flowing or given in wiring.foreign or (wiring.shape(given) or (None,))[0] == 1:
        return False
    if kind in ROUNDING or (kind == "BatchNormalization" and attribute(node, "training_mode", 0)):
        return True
    return kind in OVER and not {0, -(wiring.rank(given) or 99)}.isdisjoint(axes_of(node, wiring))


def axes_of(node: NodeProto, wiring: Wiring) -> Sequence[int]:
    """Along which a node of OVER works; none where that is computed."""
    said = attribute(node, "axes", attribute(node, "axis", None))
    if said is not None:
        return [said] if isinstance(said, int) else list(said)
    over = OVER[operator(node)]
    if over or operator(node) == "TopK":
        return over
    if len(node.input) > 1 and node.input[1]:
        return list(wiring.constants.array(node.input[1]).flat) if node.input[1] in wiring.constants else []
    return [] if attribute(node, "noop_with_empty_axes", 0) else [0]
