"""Objects pasted at known places, a network that learns to name them, and how well each method finds where they are.

python training/planted.py                  # the table of docs/attribution.md, in some minutes

A picture has two of five objects before a background of coarse noise. The network says of each whether it is there, so that
a method has to find one object and not the other. The places are known exactly.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np

import convscope
from convscope.methods.explain import METHODS
from convscope.methods.faithfulness import deletion, drop_and_increase, insertion, points_at
from convscope.methods.targets import resolve
from convscope.network import Network
from convscope.pictures import prepare

OBJECTS = ("disc", "square", "cross", "ring", "triangle")
SIZE, RADIUS = 48, 7
FAST = {"smooth-grad": {"samples": 15}, "var-grad": {"samples": 15}, "integrated-gradients": {"steps": 16, "baseline": "mean"},
        "rise": {"masks": 400, "cells": 6}, "extremal": {"steps": 60, "area": 0.08}, "occlusion": {"window": 9, "stride": 3},
        "expected-gradients": {"samples": 30}}  # fmt: skip


def shape(name: str, centre: tuple[int, int]) -> np.ndarray:
    """(SIZE, SIZE) bool, where the object is."""
    y, x = np.mgrid[:SIZE, :SIZE] - np.array(centre)[:, None, None]
    far = np.hypot(y, x)
    return {
        "disc": far <= RADIUS - 1,
        "square": np.maximum(abs(y), abs(x)) <= RADIUS - 2,
        "cross": (np.minimum(abs(y), abs(x)) <= 1) & (np.maximum(abs(y), abs(x)) <= RADIUS),
        "ring": (far <= RADIUS) & (far >= RADIUS - 3),
        "triangle": (y <= RADIUS - 2) & (y >= 2 * abs(x) - RADIUS),
    }[name]


def picture(random: np.random.Generator) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """(SIZE, SIZE, 3) uint8, and by the number of each object in it the box that it lies in."""
    coarse = random.uniform(60, 160, (SIZE // 6, SIZE // 6, 3)).repeat(6, 0).repeat(6, 1)
    pixels = coarse + random.normal(0, 12, (SIZE, SIZE, 3))
    chosen = random.choice(len(OBJECTS), 2, replace=False)
    places: list[tuple[int, int]] = []
    while len(places) < 2:
        place = tuple(int(each) for each in random.integers(RADIUS, SIZE - RADIUS, 2))
        if not places or np.abs(np.subtract(places[0], place)).max() > 2 * RADIUS:
            places.append(place)
    boxes = {}
    for number, place in zip(chosen, places, strict=True):
        where = shape(OBJECTS[number], place)
        pixels[where] = random.uniform(0, 255, 3) * 0.8 + random.normal(0, 8, (int(where.sum()), 3))
        box = np.zeros((SIZE, SIZE), bool)
        box[place[0] - RADIUS : place[0] + RADIUS + 1, place[1] - RADIUS : place[1] + RADIUS + 1] = True
        boxes[int(number)] = box
    return np.clip(pixels, 0, 255).astype(np.uint8), boxes


def pictures(count: int, seed: int) -> tuple[list[np.ndarray], list[dict[int, np.ndarray]]]:
    random = np.random.default_rng(seed)
    made = [picture(random) for _ in range(count)]
    return [each[0] for each in made], [each[1] for each in made]


def trained(count: int = 3000, epochs: int = 10):
    """The network, trained from a seed: four convolutions, global average pooling, a linear layer."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for wide, (units, pool) in zip((3, 16, 32, 48), ((16, 2), (32, 2), (48, 1), (64, 1)), strict=True):
        layers += [nn.Conv2d(wide, units, 3, padding=1), nn.BatchNorm2d(units), nn.ReLU()] + [nn.MaxPool2d(pool)] * (pool > 1)
    module = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, len(OBJECTS)))
    shown, boxes = pictures(count, seed=1)
    inputs = torch.from_numpy(np.stack(shown).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
    truth = torch.zeros(count, len(OBJECTS))
    for row, each in zip(truth, boxes, strict=True):
        row[list(each)] = 1
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, epochs * (count // 64))
    for _ in range(epochs):
        for some in torch.randperm(count).split(64)[: count // 64]:
            optimiser.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(module(inputs[some]), truth[some]).backward()
            optimiser.step()
            schedule.step()
    return module.eval()


def measured(bench: Bench, name: str) -> dict[str, float]:
    """Means over all objects of all pictures."""
    found: dict[str, list[float]] = {key: [] for key in ("points", "deletion", "insertion", "drop", "increase")}
    for pixels, each in zip(bench.shown, bench.boxes, strict=True):
        values = prepare(pixels, bench.net.preprocess).values
        gone = values.mean((2, 3), keepdims=True)
        for number, box in each.items():
            heat, goal = bench.heat(name, pixels, number), resolve(bench.net.engine, values, probability_of(number))
            found["points"].append(points_at(heat, box))
            found["deletion"].append(deletion(bench.net.engine, values, goal, heat, fill=gone).area)
            found["insertion"].append(insertion(bench.net.engine, values, goal, heat, fill=gone).area)
            lost, more = drop_and_increase(bench.net.engine, values, goal, heat)
            found["drop"].append(lost)
            found["increase"].append(more)
    return {key: float(np.mean(each)) for key, each in found.items()}


@dataclass(frozen=True)
class Bench:
    """The network, pictures that it was not trained on, and the places of their objects."""

    net: Network
    shown: list[np.ndarray]
    boxes: list[dict[int, np.ndarray]]

    def options(self, name: str) -> dict[str, object]:
        return FAST.get(name, {}) | ({"among": self.shown[:10]} if name == "expected-gradients" else {})

    def heat(self, name: str, pixels: np.ndarray, number: int) -> np.ndarray:
        if name == "centre":
            y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
            return np.exp(-(y**2 + x**2) / SIZE).astype(np.float32)
        if name == "random":
            return np.random.default_rng(int(pixels.sum()) + number).random((SIZE, SIZE), np.float32)
        return self.net.explain(pixels, name, target=number, **self.options(name)).over_picture()

    def named(self) -> float:
        """0..1, of how many pictures the two greatest scores are those of the two objects."""
        outputs = self.net.engine.run(prepare(self.shown, self.net.preprocess).values)["output"]
        return float(np.mean([set(np.argsort(row)[-2:]) == set(each) for row, each in zip(outputs, self.boxes, strict=True)]))

    def alike(self, name: str) -> str:
        """How alike its maps still are when the later half of the layers is random."""
        if name not in METHODS:
            return ""
        first = min(self.boxes[0])
        found = convscope.check(name, self.net, self.shown[:6], layers=3, target=OBJECTS[first], **self.options(name))
        return f"{found.steps[1].magnitude:+.2f}"


def probability_of(number: int):
    """The probability that an object is there, a sigmoid of its score, with its gradient."""

    def probability(output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        share = np.exp(-np.logaddexp(0, -output[:, number]))  # the sigmoid, which does not overflow
        seeds = np.zeros_like(output)
        seeds[:, number] = share * (1 - share)
        return share, seeds

    return probability


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--methods", default=",".join(METHODS))
    arguments = parser.parse_args()
    net = convscope.open(trained(), picture_shape=(3, SIZE, SIZE), preprocess="-1..1", labels=OBJECTS)
    bench = Bench(net, *pictures(arguments.pictures, seed=2))
    print(f"both objects named in {bench.named():.0%} of {len(bench.shown)} pictures\n")
    print("| method | points at it | deletion | insertion | average drop | increase | alike when half is random |")
    print("|---|---|---|---|---|---|---|")
    for name in [*arguments.methods.split(","), "centre", "random"]:
        row = measured(bench, name)
        print(
            f"| {name} | {row['points']:.0%} | {row['deletion']:.2f} | {row['insertion']:.2f} | {row['drop']:.0%} "
            f"| {row['increase']:.0%} | {bench.alike(name)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
