"""The pictures of docs/tutorial.md and docs/gallery.md, made again: python docs/draw.py"""

from __future__ import annotations

import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import convscope
from convscope import demo, kernels

SMALL = {"magnify": 2}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    net, picture = convscope.open("demo"), demo.picture()
    maps = net.look(picture)
    dense = net.look(picture, at=["flatten", "predictions"], ranked=False)
    maps["block1_conv2"].sheet(first=8, columns=8).save(folder / "maps-block1.png", magnify=1)
    maps["block3_conv3"].sheet(first=16, columns=8).save(folder / "maps-block3.png", **SMALL)
    maps["block5_conv3"].sheet(first=16, columns=8).save(folder / "maps-block5.png", magnify=8)
    maps["block5_conv3"].sheet(units=[49, 5, 32]).save(folder / "dead.png", magnify=10)
    maps["block4_conv3"].sheet(units=[16]).save(folder / "one-unit.png", magnify=16)
    maps["block3_conv3"].sheet(first=8, columns=8, scale="shared", colour="gray").save(folder / "shared.png", **SMALL)
    maps.overlay("block4_conv3", first=3).save(folder / "overlay.png")
    maps.crops("block4_conv3", first=6).save(folder / "crops.png")
    maps.answers_sheet().save(folder / "answers.png")
    dense["flatten"].sheet(first=8).save(folder / "dense.png")
    net.filters("block1_conv1").rgb_sheet(columns=8).save(folder / "filters-colour.png", magnify=16)
    net.filters("block3_conv2").sheet(first=4, channels=8).save(folder / "filters-deep.png")
    net.filters("predictions").sheet().save(folder / "filters-matrix.png", magnify=3)
    kernels.apply(picture, kernels.sobel()).sheet(order="plain").save(folder / "sobel.png", magnify=1)
    signal()["edges"].sheet(form="curve", order="plain", columns=1).save(folder / "curves.png")
    before_and_after(net).save(folder / "before-after.png")
    several(net).save(folder / "several.png")


def before_and_after(net: convscope.Network) -> convscope.draw.Sheet:
    """The built-in network, and a copy with two kernels of its first convolution exchanged."""
    other = net.with_filters("block1_conv1", kernels.sobel(), units=[3, 7])
    one, two = (each.maps(demo.picture(), at="block2_conv2", activated=True)["block2_conv2"] for each in (net, other))
    return one.beside(two, first=3)


def several(net: convscope.Network) -> convscope.draw.Sheet:
    """The cat as it is, mirrored, and upside down."""
    with Image.open(demo.picture()) as image:
        pixels = np.asarray(image.convert("RGB").resize((128, 128)))
    three = np.stack([pixels, pixels[:, ::-1], pixels[::-1]])
    return net.maps(three, at="block3_conv3", activated=True)["block3_conv3"].side_by_side(first=3)


def signal() -> convscope.MapSet:
    """A row of the photograph as a signal of three channels, under kernels that look for edges and for stripes."""
    with Image.open(convscope.demo.picture()) as image:
        row = np.asarray(image.convert("RGB"), np.float32)[110] / 255
    conv = torch.nn.Conv1d(3, 4, 15, stride=2)
    at = torch.arange(-7, 8) / 7
    shapes = [at.sign(), torch.cos(9 * at) * torch.exp(-3 * at**2), torch.exp(-9 * at**2), torch.sin(5 * at)]
    with torch.no_grad():
        conv.weight[:] = torch.stack([each - each.mean() for each in shapes])[:, None] / 9
        conv.bias[:] = 0
    net = torch.nn.Sequential(OrderedDict(edges=conv, relu=torch.nn.ReLU(), pool=torch.nn.AdaptiveAvgPool1d(1)))
    opened = convscope.open(net, picture_shape=(3, row.shape[0]))
    return opened.look(np.ascontiguousarray(row.T), at="edges", channels=["red", "green", "blue"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
