"""The network of the engine in plain NumPy, whose numbers can be checked by hand.

    input (3, 8, 8) -> conv1 -> relu1 -> pool1 -> conv2 -> add -> relu2 -> mean -> classes (3,)
                                           `----------------^

conv1's units are red as it is, right minus left of green, the mean of 3 x 3 pixels of blue, and one that is dead for every
picture above 0. conv2 moves each map by one unit, so that relu2's units are sums of two of pool1's.

With `gated` there is a second input, a number per unit, by which pool1 is multiplied before conv2: input:1 (4,) -> gate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..core import Array, Kind, Window

PICTURE = (3, 8, 8)
GATE = (4,)
AROUND = Window((3, 3), (1, 1), (1, 1), ((1, 1), (1, 1)))
HALVES = Window((2, 2), (2, 2), (1, 1), ((0, 0), (0, 0)))
Pull = Callable[[Array], tuple[Array, ...]]  # from the gradient of a result to those of what it was made from
Weights = Mapping[str, Array]


@dataclass(frozen=True)
class Step:
    """A layer: `operator(weights, *inputs)` gives its output and how to pull a gradient back."""

    name: str
    kind: Kind
    native: str
    operator: Callable[..., tuple[Array, Pull]]
    inputs: tuple[str, ...]
    weights: Weights = field(default_factory=dict)
    window: Window | None = None


def network() -> tuple[Step, ...]:
    kernel1 = np.zeros((4, 3, 3, 3), np.float32)
    kernel1[0, 0, 1, 1] = 1
    kernel1[1, 1, 1, 0], kernel1[1, 1, 1, 2] = -1, 1
    kernel1[2, 2] = 1 / 9
    kernel1[3] = -1
    kernel2 = np.zeros((4, 4, 3, 3), np.float32)
    for unit in range(4):
        kernel2[unit, (unit + 1) % 4, 1, 1] = 1
    conv1 = {"kernel": kernel1, "bias": np.array([0, 0.5, 0, -1], np.float32)}
    classes = np.array([[1, 0, 0, 0], [0, 1, 2, 0], [-1, 0, 1, 1]], np.float32)
    dense = {"kernel": classes, "bias": np.array([0, 0, 0.25], np.float32)}
    return (
        Step("conv1", "convolution", "Conv", convolution, ("input",), conv1, AROUND),
        Step("relu1", "activation", "ReLU", relu, ("conv1",)),
        Step("pool1", "pooling", "MeanPool", mean_pool, ("relu1",), window=HALVES),
        Step("conv2", "convolution", "Conv", convolution, ("pool1",), {"kernel": kernel2}, AROUND),
        Step("add", "merge", "Add", add, ("conv2", "pool1")),
        Step("relu2", "activation", "ReLU", relu, ("add",)),
        Step("mean", "pooling", "GlobalMean", mean, ("relu2",)),
        Step("classes", "dense", "Dense", product, ("mean",), dense),
    )


def with_gate(steps: Sequence[Step]) -> list[Step]:
    changed = [replace(step, inputs=("gate",)) if step.name == "conv2" else step for step in steps]
    gate = Step("gate", "merge", "Multiply", gated, ("pool1", "input:1"))
    return [*changed[:3], gate, *changed[3:]]


def convolution(weights: Weights, values: Array) -> tuple[Array, Pull]:
    """3 x 3, stride 1, padded with zeros so that the size stays."""
    back = weights["kernel"].transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    return unpadded(weights, with_zeros(values))[0], lambda g: (correlation(with_zeros(g), back),)


def unpadded(weights: Weights, values: Array) -> tuple[Array]:
    result = correlation(values, weights["kernel"])
    return (result + weights["bias"][:, None, None] if "bias" in weights else result,)


def with_zeros(values: Array) -> Array:
    return np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))


def correlation(values: Array, kernel: Array) -> Array:
    result: Array = np.einsum("ncyxij,ocij->noyx", sliding_window_view(values, (3, 3), axis=(2, 3)), kernel)
    return result


def relu(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    return np.maximum(values, 0), lambda gradient: (gradient * (values > 0),)


def mean_pool(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    n, c, h, w = values.shape
    result = values.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return result, lambda gradient: (gradient.repeat(2, 2).repeat(2, 3) * np.float32(0.25),)


def add(_weights: Weights, left: Array, right: Array) -> tuple[Array, Pull]:
    return left + right, lambda gradient: (gradient, gradient)


def gated(_weights: Weights, values: Array, gate: Array) -> tuple[Array, Pull]:
    factors = gate[:, :, None, None]
    return values * factors, lambda gradient: (gradient * factors, (gradient * values).sum((2, 3)))


def mean(_weights: Weights, values: Array) -> tuple[Array, Pull]:
    share = np.full_like(values, 1 / np.prod(values.shape[2:]))
    return values.mean((2, 3)), lambda gradient: (gradient[:, :, None, None] * share,)


def product(weights: Weights, values: Array) -> tuple[Array, Pull]:
    return values @ weights["kernel"].T + weights["bias"], lambda gradient: (gradient @ weights["kernel"],)


LOCAL: dict[Callable[..., Any], Callable[..., Any]] = {
    convolution: unpadded,
    relu: relu,
    mean_pool: mean_pool,
    add: add,
}  # on parts
