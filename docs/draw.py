"""The pictures of docs/tutorial.md and docs/gallery.md, made again: python docs/draw.py"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
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
    signals().sheet(form="curve", order="plain", columns=2).save(folder / "curves.png")
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


def signals() -> convscope.FeatureMaps:
    """A row of the photograph under hand-made kernels: maps of a network over signals look so."""
    found = kernels.apply(demo.picture(), kernels.gabor_bank(9, orientations=1, phases=(0.0, 90.0)))
    return convscope.FeatureMaps(found.layer, found.reading, found.values[:, :, 150], found.pictures)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images")
