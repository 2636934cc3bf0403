"""Five 8 x 8 sheets as PNG files, against matplotlib's subplots for the same maps, as the usual tutorial draws them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from timing import compared

from convscope.draw import Sheet, save_all

SIDES = (224, 112, 56, 28, 14)


def blocks() -> list[np.ndarray]:
    """64 maps per block of VGG16's sizes, smooth where real ones are and half of them zero, as after a ReLU."""
    random = np.random.default_rng(0)
    result = []
    for side in SIDES:
        coarse = random.normal(size=(64, 14, 14)).astype(np.float32)
        maps = np.kron(coarse, np.ones((1, side // 14, side // 14), np.float32))
        result.append(np.maximum(maps + random.normal(size=maps.shape).astype(np.float32) * 0.1, 0))
    return result


def with_matplotlib(maps: list[np.ndarray], folder: Path) -> None:
    from matplotlib import pyplot

    for block, block_maps in enumerate(maps, 1):
        pyplot.figure()
        for unit in range(64):
            axes = pyplot.subplot(8, 8, unit + 1)
            axes.set_xticks([])
            axes.set_yticks([])
            pyplot.imshow(block_maps[unit], cmap="gray")
        pyplot.savefig(folder / f"block{block}.png")
        pyplot.close()


def with_sheets(maps: list[np.ndarray], folder: Path, size: tuple[int, int] | None) -> None:
    sheets = {
        folder / f"block{block}.png": Sheet(
            tiles=block_maps,
            labels=tuple(map(str, range(64))),
            title=f"block{block}",
            subtitle="64 maps",
            columns=8,
            scale="map",
            colour="gray",
        )
        for block, block_maps in enumerate(maps, 1)
    }
    save_all(sheets, size=size)


def main() -> None:
    matplotlib.use("agg")
    maps = blocks()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = compared(
            {
                "matplotlib": lambda: with_matplotlib(maps, folder),
                "small": lambda: with_sheets(maps, folder, (640, 480)),
                "full": lambda: with_sheets(maps, folder, None),
            },
            rounds=7,
        )
    for job, what, must in (
        ("small", "five sheets at 640 x 480", 100),
        ("full", "five sheets, every map at full resolution", 20),
    ):
        row = {
            "what": f"{what}: times faster than matplotlib",
            "engine": "drawing",
            "seconds": seconds[job],
            "against": seconds["matplotlib"],
            "ratio": seconds["matplotlib"] / seconds[job],
            "must": must,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
