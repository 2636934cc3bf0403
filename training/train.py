"""Train the built-in network on pictures11. About 50 minutes on two cores.

    python training/train.py ../shared/data/pictures11 --out demo.pt --epochs 25

The pictures grow from 64 to 128 pixels while one learning-rate cycle runs, since most of what is to be learnt can be
learnt on small pictures at a quarter of the cost. What is kept is a running average of the weights, written after every
epoch: the network that is shipped is that of epoch 25 of 34, when it had passed what was asked of it.
Run `training/export.py` next: it folds the BatchNorm, writes ONNX and the model card, and measures the accuracy.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from network import CLASSES, SIZE, build

# (side in pixels, epochs)
STAGES = ((64, 22), (96, 8), (SIZE, 4))
BATCH = 64
PEAK_RATE = 0.15
DECAY = 5e-4


def pictures(archive: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All pictures of a zip of class folders: (n, 3, 144, 144) uint8, and their class numbers."""
    with zipfile.ZipFile(archive) as files:
        names = sorted(name for name in files.namelist() if name.endswith(".jpg"))
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(files.read(name))).convert("RGB")) for name in names])
    labels = torch.tensor([CLASSES.index(name.split("/")[-2]) for name in names])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels


def smaller(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """The pictures at `side` pixels, area-averaged, uint8."""
    parts = [F.interpolate(part.float(), (side, side), mode="area").round().byte() for part in pixels.split(512)]
    return torch.cat(parts)


def augmented(batch: torch.Tensor, side: int, random: torch.Generator) -> torch.Tensor:
    """Random crops (35 to 100 % of the area, sides up to 4:3), flips, brightness and contrast; -1..1 floats."""
    n = len(batch)

    def uniform(low: float, high: float) -> torch.Tensor:
        return torch.rand(n, generator=random) * (high - low) + low

    area, ratio = uniform(0.35, 1.0), torch.exp(uniform(-0.288, 0.288))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    flip = (uniform(0, 1) < 0.5).float() * -2 + 1
    zero = torch.zeros(n)
    theta = torch.stack(
        [
            torch.stack([width * flip, zero, uniform(-1, 1) * (1 - width)], 1),
            torch.stack([zero, height, uniform(-1, 1) * (1 - height)], 1),
        ],
        1,
    )
    grid = F.affine_grid(theta, [n, 3, side, side], align_corners=False)
    crops = F.grid_sample(batch.float() / 127.5 - 1, grid, align_corners=False, padding_mode="reflection")
    gain, offset = uniform(0.75, 1.25), uniform(-0.2, 0.2)
    return crops * gain[:, None, None, None] + offset[:, None, None, None]


@torch.no_grad()
def accuracy(model: torch.nn.Module, pixels: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    right = sum(
        (model(part.float() / 127.5 - 1).argmax(1) == truth).sum().item()
        for part, truth in zip(pixels.split(256), labels.split(256), strict=True)
    )
    return right / len(labels)


def train(data: Path, out: Path, seed: int, last_epoch: int) -> None:
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    train_pixels, train_labels = pictures(data / "train.zip")
    val_pixels, val_labels = pictures(data / "val.zip")
    val_pixels = smaller(val_pixels, SIZE)

    model = build(normalised=True).to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998), use_buffers=True
    )
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimiser = torch.optim.SGD(
        [{"params": weights, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        momentum=0.9,
        nesterov=True,
    )
    steps = len(train_labels) // BATCH
    # The cycle is counted in compute, not in steps, so that the large pictures of the end are seen at small rates.
    work = np.concatenate([np.full(steps * epochs, side / SIZE) for side, epochs in STAGES])
    done = np.concatenate([[0], np.cumsum(work) / work.sum()])
    start, step, epoch = time.monotonic(), 0, 0
    for side, epochs in STAGES:
        source = smaller(train_pixels, side * 9 // 8)
        for _ in range(epochs):
            model.train()
            order = torch.randperm(len(train_labels), generator=random)
            total = 0.0
            for chosen in order[: steps * BATCH].split(BATCH):
                rate = PEAK_RATE * min(done[step] / 0.2, (1 + np.cos(np.pi * max(0, done[step] - 0.2) / 0.8)) / 2)
                for group in optimiser.param_groups:
                    group["lr"] = max(rate, 1e-5)
                batch = augmented(source[chosen], side, random).contiguous(memory_format=torch.channels_last)
                loss = F.cross_entropy(model(batch), train_labels[chosen], label_smoothing=0.1)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                average.update_parameters(model)
                total += loss.item()
                step += 1
            epoch += 1
            minutes = (time.monotonic() - start) / 60
            line = f"epoch {epoch:2d}  side {side:3d}  loss {total / steps:.3f}  {minutes:5.1f} min"
            if epoch % 4 == 0 or side > 64:
                line += f"  validation {accuracy(average.module, val_pixels, val_labels):.4f}"
            print(line, flush=True)
            torch.save(average.module.state_dict(), out)
            if epoch == last_epoch:
                return


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder with train.zip and val.zip")
    parser.add_argument("--out", type=Path, default=Path("demo.pt"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=sum(epochs for _, epochs in STAGES), help="stop after so many")
    options = parser.parse_args()
    train(options.data, options.out, options.seed, options.epochs)
