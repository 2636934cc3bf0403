"""Of each unit the slices of its kernel that weigh most, for its page."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Engine
from .plan import Plan

STRONGEST = 8  # input channels that are kept of each unit


def strongest(engine: Engine, plan: Plan) -> dict[str, Any]:
    """Per convolution of two axes `{layer}/inputs` (units, at most 8), numbers of channels within the unit's group, and
    `{layer}/slices` (units, at most 8, kh, kw), the largest by their norm first; of RGB input all three in their order.
    """
    found: dict[str, Any] = {}
    for part in plan.parts:
        kernel = engine.weights(part.layer).get("kernel")
        if kernel is None or kernel.ndim != 4 or len(kernel) != part.units:
            continue
        norms = np.sqrt(np.square(kernel, dtype=np.float64).sum((2, 3)))
        order = np.argsort(-norms, axis=1, kind="stable")[:, :STRONGEST]
        if kernel.shape[1] == 3:
            order = np.broadcast_to(np.arange(3), (part.units, 3))
        found[f"{part.layer}/inputs"] = order.astype(np.int32)
        found[f"{part.layer}/slices"] = np.take_along_axis(kernel, order[:, :, None, None], 1)
        found[f"{part.layer}/of"] = np.array(kernel.shape[1])
    return found
