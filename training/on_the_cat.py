"""How much of each method's map for "cat" lies on the cat: in a scene that is grey but for the built-in photograph of one.

    python training/on_the_cat.py                              the built-in network, in torch for its gradients
    python training/on_the_cat.py -m net.keras --labels val.zip

In that photograph itself the cat is everywhere, so that a map that lies on it says nothing. Here its box is known to the pixel.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import convscope
from convscope import demo
from convscope.demo import MODEL
from convscope.errors import Unsupported
from convscope.methods.explain import METHODS

GREY = (90, 110, 130)  # no value of it is zero where a network receives it, so that no product with it is
SHARE = 5 / 8  # of the side of the scene
CORNERS = ((0, 0), (1, 1))
HARDLY_THE_CLASS = ("eigen-cam", "deconvnet", "guided-backprop")  # what they show hardly depends on what was asked for
FEW: dict[str, dict[str, Any]] = {"rise": {"masks": 300}, "extremal": {"steps": 60}, "expected-gradients": {"samples": 40}}


def scene(size: int, corner: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """(size, size, 3) with the cat in one corner, (0, 0) being the upper left one; and (size, size), True in its box."""
    with Image.open(demo.picture()) as picture:
        wide, high = picture.size
        cat = picture.convert("RGB").crop(((wide - high) // 2, 0, (wide + high) // 2, high))
    side = round(size * SHARE)
    pixels, box = np.empty((size, size, 3), np.uint8), np.zeros((size, size), bool)
    pixels[:] = GREY
    y, x = (place * (size - side) for place in corner)
    pixels[y : y + side, x : x + side] = np.asarray(cat.resize((side, side)))
    box[y : y + side, x : x + side] = True
    return pixels, box


def share_on(heat: npt.NDArray[np.float32], box: npt.NDArray[np.bool_]) -> float:
    """How much of what a map has above zero lies in a box, 0..1."""
    positive = np.maximum(heat, 0)
    return float(positive[box].sum() / positive.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default=str(MODEL))
    parser.add_argument("--labels")
    given = parser.parse_args()
    via = "torch" if given.model.endswith(".onnx") else None
    net = convscope.open(given.model, via=via, **({"labels": given.labels} if given.labels else {}))
    scenes = [scene(net.layers[0].shape[-1], corner) for corner in CORNERS]
    print("| method | upper left | lower right |\n|---|---|---|")
    for method in METHODS:
        among = {"among": [pixels[::-1].copy() for pixels, _ in scenes]} if method == "expected-gradients" else {}
        options = {**FEW.get(method, {}), **among}
        try:
            shares = [
                share_on(net.explain(pixels, method, target="cat", **options).over_picture(), box) for pixels, box in scenes
            ]
        except Unsupported as error:
            print(f"{method}: {error}")
            continue
        print(f"| {method} | {' | '.join(f'{each:.0%}' for each in shares)} |", flush=True)
    print(f"| the box's share of the area | {' | '.join(f'{box.mean():.0%}' for _, box in scenes)} |")


if __name__ == "__main__":
    main()
