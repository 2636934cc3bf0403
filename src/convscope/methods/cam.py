"""Class activation maps: where a layer speaks for the target, at the layer's own resolution."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np

from ..core import Array, Differentiable, Engine, Graph, Layer, Tap
from ..errors import InputError, UnknownLayer, Unsupported
from .attribution import Attribution, check_memory, pulled, total, traced_bytes
from .class_scores import repeated
from .resume import MEMORY
from .targets import Target

Weigh = Callable[[Array, Array], Array]  # activations a and gradients g, both (n, c, *spatial), to a map (n, *spatial)
# What only passes on a map that was there before.
FLAT = ("pooling", "resizing", "reshape", "dropout", "padding", "network", "input")


def grad_cam(activations: Array, slope: Array) -> Array:
    """relu(sum_c mean(dy/da_c) a_c). Selvaraju et al. 2017. Never negative, in units of score."""
    return rectified((mean(slope) * activations).sum(1))


def grad_cam_plus_plus(activations: Array, slope: Array) -> Array:
    """relu(sum_c w_c a_c), w_c = sum(alpha_c relu(g_c)), alpha = g^2 / (2 g^2 + sum(a_c) g^3). Chattopadhay et al. 2018.

    The authors' program, and tf-keras-vis, divide alpha by its sum over the map besides; the paper does not.

    With y as the exponent of the score in the paper's derivation; the factor exp(y), the same for all units, is left out.
    """
    squared = slope**2
    below = 2 * squared + activations.reshape(*activations.shape[:2], -1).sum(2).reshape(spread(activations)) * slope**3
    alpha = np.divide(squared, below, out=np.zeros_like(squared), where=(squared > 0) & (below != 0))
    axes = tuple(range(2, slope.ndim))
    weights = (alpha * np.maximum(slope, 0)).sum(axes, keepdims=True)
    return rectified((weights * activations).sum(1))


def hires_cam(activations: Array, slope: Array) -> Array:
    """sum_c dy/da_c * a_c, position by position. Draelos and Carin 2020. Signed, in units of score."""
    result: Array = (slope * activations).sum(1)
    return result


def layer_cam(activations: Array, slope: Array) -> Array:
    """relu(sum_c relu(dy/da_c) * a_c), position by position. Jiang et al. 2021. Never negative, in units of score."""
    return rectified((np.maximum(slope, 0) * activations).sum(1))


WEIGHED: dict[str, Weigh] = {
    "grad-cam": grad_cam,
    "grad-cam++": grad_cam_plus_plus,
    "hires-cam": hires_cam,
    "layer-cam": layer_cam,
}


def by_gradients(
    engine: Differentiable,
    pictures: Array,
    target: Target,
    layers: Sequence[str],
    weigh: Weigh,
    *,
    memory: int = MEMORY,
) -> dict[str, Attribution]:
    """One of the maps above for each of `layers`, all from one pass, or from as few as stay under `memory` bytes.

    returns   {layer: (n, *spatial) at the layer's own resolution}; `units` is the sum over positions of dy/da_c * a_c, what
              each unit speaks for the target to first order; of HiResCAM `delta` is the sum of the map minus the score
    raises    InputError for a layer without maps, and for a limit below what one layer takes; UnknownLayer
    """
    found = {}
    for together in fitting(engine.graph, pictures, layers, memory):
        trace = engine.trace(pictures, [*map(Tap, together), Tap(target.layer)])
        score, slopes = pulled(trace, target, together)
        for name in together:
            activations, slope = with_maps(engine, name, trace[name]), slopes[name]
            values = weigh(activations, slope)
            units = (activations * slope).reshape(*slope.shape[:2], -1).sum(2)
            check = "sum of the map minus the score" if weigh is hires_cam else ""
            found[name] = Attribution(values, score, total(values) - score if check else None, check, units)
    return {name: found[name] for name in layers}


def fitting(graph: Graph, pictures: Array, layers: Sequence[str], memory: int) -> list[list[str]]:
    """The layers in groups of which one trace stays under `memory` bytes: the last ones first, since a trace keeps what follows.

    raises   InputError for a limit below what one layer takes; UnknownLayer
    """
    groups: list[list[str]] = []
    for name in sorted(dict.fromkeys(layers), key=lambda name: graph[name].index, reverse=True):
        check_memory(traced_bytes(graph, pictures, [name]), memory, pictures)
        if groups and traced_bytes(graph, pictures, [*groups[-1], name]) <= memory:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def cam(engine: Engine, pictures: Array, target: Target, layer: str) -> Attribution:
    """sum_c W[class, c] a_c, of a layer whose mean over positions goes straight into a linear one. Zhou et al. 2016. Signed.

    returns   (n, *spatial) in units of score; `delta` is the mean of the map + bias - score, zero but for rounding
    raises    Unsupported where between the layer and the classes there is more than a mean and a linear layer
    """
    dense = linear_after(engine.graph, layer)
    if target.classes is None:
        raise Unsupported(f"CAM explains a class, and not {target.name}. Use grad-cam, or score-cam, which needs no gradients.")
    if dense is None:
        raise Unsupported(
            f"CAM needs a layer whose mean over positions goes straight into the classes, which '{layer}' is not. Use grad-cam, "
            "or score-cam, which needs no gradients."
        )
    run = engine.run(pictures, [layer, target.layer])
    activations, score = with_maps(engine, layer, run[layer]), target.values(run[target.layer])
    weights = engine.weights(dense)
    if "kernel" not in weights:
        raise Unsupported(f"It is not known how '{dense}' acts, which CAM needs. Use grad-cam.")
    chosen = repeated(np.asarray(target.classes if target.each else target.classes[:1]), len(pictures))
    kernel = weights["kernel"].reshape(len(weights["kernel"]), -1)[chosen]
    bias = weights["bias"][chosen] if "bias" in weights else 0
    contributions = kernel.reshape(*kernel.shape, *[1] * (activations.ndim - 2)) * activations
    values = contributions.sum(1)
    flat = values.reshape(len(values), -1).mean(1)
    units = contributions.reshape(*contributions.shape[:2], -1).mean(2)
    if not np.allclose(flat + bias, score, rtol=1e-3, atol=1e-3):  # a probability, or something in between that was not seen
        raise Unsupported(f"CAM explains a logit, but {target.name} is not the mean of '{layer}' times weights. Use grad-cam.")
    return Attribution(values, score, flat + bias - score, "mean of the map plus the bias minus the score", units)


def eigen_cam(engine: Engine, pictures: Array, target: Target, layer: str) -> Attribution:
    """The layer's maps along their first principal direction, A v1 of A = U S V^T (positions x units). Muhammad and Yeasin 2020.

    It does not depend on the target. The sign, which a singular vector does not have, is such that the sum is positive.
    returns   (n, *spatial) signed, in units of activation; `delta` is the share of the maps' energy that this direction has
    """
    run = engine.run(pictures, [layer, target.layer])
    activations = with_maps(engine, layer, run[layer])
    table = activations.reshape(*activations.shape[:2], -1).transpose(0, 2, 1).astype(np.float64)
    maps, share = [], []
    for each in table:
        _, strengths, directions = np.linalg.svd(each, full_matrices=False)
        along = each @ directions[0]
        maps.append(along if along.sum() >= 0 else -along)
        share.append(strengths[0] ** 2 / max(float((strengths**2).sum()), 1e-30))
    values = np.asarray(maps, np.float32).reshape(len(activations), *activations.shape[2:])
    note = "Eigen-CAM does not look at the target: it shows what is strongest in the layer"
    said = "share of the maps' energy that lies along the first direction"
    return Attribution(values, target.values(run[target.layer]), np.asarray(share, np.float32), said, notes=(note,))


def last_with_maps(graph: Graph, before: str = "output", among: Collection[str] | None = None) -> str:
    """The last layer before `before` that makes a map of more than one position. Raises InputError if there is none.

    among   the rows that `before` follows from, where that is known. Another one says nothing of it: in a network with two
            heads the last row is often one of the other head, and its map is zero everywhere
    """
    end = len(graph) if before.partition(":")[0] == "output" else graph[before].index
    mapped = [layer.name for layer in graph.layers[:end] if is_mapped(layer)]
    if found := [name for name in mapped if among is None or name in among] or mapped:
        return found[-1]
    raise InputError("No layer of this network has maps, so that there is none for a CAM. Use occlusion or a gradient.")


def any_maps(graph: Graph) -> bool:
    """Whether there is a layer that a CAM can be of."""
    return any(map(is_mapped, graph))


def is_mapped(layer: Layer) -> bool:
    """Whether it makes maps, and does not only pass on what was there before."""
    return has_maps(layer) and layer.kind not in FLAT


def has_maps(layer: Layer) -> bool:
    """More than one position; where a size is not known, it is taken for a map."""
    return layer.shape is not None and any(size != 1 for size in layer.shape[1:])


def with_maps(engine: Engine, layer: str, values: Array) -> Array:
    """(n, c, *spatial) as it is. Raises InputError if there are no positions in it."""
    if values.ndim > 2 and np.prod(values.shape[2:]) > 1:
        return values
    others = [each.name for each in engine.graph if is_mapped(each)]
    hint = f" The last one with maps is '{others[-1]}'." if others else ""
    raise InputError(f"'{layer}' has no maps: its output has shape {values.shape}.{hint}", received=values.shape)


def linear_after(graph: Graph, layer: str) -> str | None:
    """The dense layer that the mean over `layer`'s positions goes straight into; None if something else follows."""
    if layer not in graph.names:
        raise UnknownLayer(layer, graph.names)
    at, pooled = layer, False
    while True:
        followers = [each for each in graph if at in each.inputs]
        if len(followers) != 1:
            return None
        (after,) = followers
        if after.kind in ("dense", "convolution") and pooled and after.kernel is not None:
            return after.name
        is_mean = after.kind == "pooling" and "max" not in after.native.lower() and not has_maps(after)
        if not is_mean and after.kind not in ("reshape", "dropout"):
            return None
        at, pooled = after.name, pooled or is_mean


def mean(values: Array) -> Array:
    """Over positions, (n, c, 1, 1) for maps (n, c, h, w)."""
    result: Array = values.mean(tuple(range(2, values.ndim)), keepdims=True)
    return result


def spread(values: Array) -> tuple[int, ...]:
    return (*values.shape[:2], *[1] * (values.ndim - 2))


def rectified(values: Array) -> Array:
    result: Array = np.maximum(values, 0)
    return result
