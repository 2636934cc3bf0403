"""Effective kernels: a convolution with the BatchNorm that follows it folded in."""

from __future__ import annotations

import numpy as np

from ..core import OF_THE_BATCH, Array, Edit, Engine, Graph, Layer, Pictures, input_names
from ..errors import InputError
from .filters import kernels

FAR = 256.0  # where a normalisation's slope is read off; a power of two, so that dividing by it rounds nothing
NEAR = 0.05  # how near what a normalisation makes of noise comes to scale and shift, of these, in half precision too
SIDE = 64  # of a picture where the network takes any size


class NotAffine(InputError):
    """A normalisation that is no scale and shift."""


def batch_norm_after(graph: Graph, layer: str) -> str | None:
    """The BatchNorm that alone receives `layer`'s own output; None if there is none, or the layer has an activation inside."""
    followers = [each for each in graph if layer in each.inputs]
    if not graph.wired or graph[layer].activation is not None or len(followers) != 1 or not is_batch_norm(followers[0]):
        return None
    return followers[0].name


def is_batch_norm(layer: Layer) -> bool:
    name = layer.native.replace("_", "").lower()
    if layer.native.endswith(OF_THE_BATCH):
        return False
    return layer.kind == "normalisation" and name.startswith(("batchnorm", "syncbatchnorm")) and len(layer.inputs) == 1


def folded(engine: Engine, layer: str, norm: str) -> dict[str, Array]:
    """The weights of `layer` with those of `norm` in them: kernel * scale and bias * scale + shift, per output unit.

    norm(conv(x)) = (kernel * scale) x + (bias * scale + shift). Of a separable layer the pointwise kernel is scaled.
    """
    weights = kernels(engine, layer)
    scale, shift = affine(engine, layer, norm)
    name = "pointwise_kernel" if "pointwise_kernel" in weights else "kernel"
    if name not in weights:
        raise InputError(f"'{layer}' does more than convolve with a kernel, and cannot have '{norm}' folded in.", received=layer)
    kernel = weights[name]
    weights[name] = np.asarray(kernel * scale.reshape(-1, *[1] * (kernel.ndim - 1)), np.float32)
    weights["bias"] = np.asarray(weights.get("bias", 0.0) * scale + shift, np.float32)
    return weights


def affine(engine: Engine, layer: str, norm: str) -> tuple[Array, Array]:
    """(c,) scale and shift of a BatchNorm in evaluation, read off what it makes of constants: norm(a) = a * scale + shift.

    So it needs no names of parameters, nor the epsilon, which every framework keeps elsewhere.
    raises   NotAffine where it makes something else of what is no constant: it takes its statistics from what it is given
    """
    picture = blank(engine)

    def given(value: Array | float) -> Array:
        return engine.run(picture, [norm], [Edit(layer, scale=0.0, shift=value)])[norm].astype(np.float64)

    def at(value: float) -> Array:
        values = given(value)
        return values.reshape(*values.shape[:2], -1)[0, :, 0]

    scale, shift = np.asarray((at(FAR) - at(-FAR)) / (2 * FAR)), np.asarray(at(0.0))
    noise = np.random.default_rng(0).normal(size=given(0.0).shape).astype(np.float32)
    each = (-1, *[1] * (noise.ndim - 2))
    error = np.abs(given(noise) - (noise * scale.reshape(each) + shift.reshape(each)))
    if (error > NEAR * (1 + np.abs(scale) + np.abs(shift)).reshape(each)).any():
        raise NotAffine(
            f"'{norm}' takes its statistics from what it is given, and is no scale and shift that could be folded into "
            f"'{layer}'. Look at the filters as they are.",
            received=norm,
        )
    return scale, shift


def blank(engine: Engine) -> Pictures:
    """A picture of zeros that the network takes."""
    made = {
        name: np.zeros((1, *(SIDE if size is None else size for size in row.shape or ())), np.float32)
        for name, row in zip(input_names(engine.graph), engine.graph.inputs, strict=True)
    }
    return made if len(made) > 1 else made["input"]
