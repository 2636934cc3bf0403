"""Numbers that tell what a kernel is: how large, how sparse, how symmetric, and which Gabor function it is most like."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..core import Array

Doubles = npt.NDArray[np.float64]
ORIENTATIONS, FREQUENCIES, WIDTHS = (
    24,
    10,
    (0.2, 0.3, 0.45),
)  # of the Gabor functions that are tried; widths as shares of the kernel
SMALLEST = 5  # a kernel of fewer pixels holds no wave


def numbers(kernels: Array, biases: Array | None) -> dict[str, npt.NDArray[np.generic]]:
    """A column per fact, with a row per filter, of kernels (out, in / groups, *kernel).

    norm         Euclidean
    mean         of its weights
    sparsity     Hoyer 2004: 0 where all weights have one magnitude, 1 where a single one is not zero; 0 for a kernel of zeros
    symmetry     cosine between the kernel and itself turned by 180 degrees: 1 the same, -1 its negative (an edge); NaN for zeros
    bias         where there are biases
    orientation  of the best-fitting Gabor function, for 2-D kernels of 5 x 5 and more: the direction in which its wave runs, in
                 degrees from the x axis towards the y axis (down), 0 up to 180
    frequency    of that wave, in cycles per pixel
    gabor        the share of the kernel's energy that it explains, 0..1; of a kernel over several channels, of all of them
    """
    flat = kernels.reshape(len(kernels), -1).astype(np.float64)
    norm = np.linalg.norm(flat, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        turned = np.flip(kernels, axis=tuple(range(2, kernels.ndim))).reshape(flat.shape)
        symmetry = (flat * turned).sum(1) / norm**2
    columns: dict[str, npt.NDArray[np.generic]] = {
        "filter": np.arange(len(kernels)),
        "norm": norm,
        "mean": flat.mean(1),
        "sparsity": sparsity(flat),
        "symmetry": symmetry,
    }
    if biases is not None:
        columns["bias"] = biases
    if kernels.ndim == 4 and min(kernels.shape[2:]) >= SMALLEST:
        columns |= gabor_fit(kernels)
    return columns


def sparsity(flat: Doubles) -> Doubles:
    """(sqrt(n) - l1 / l2) / (sqrt(n) - 1) of each row. Hoyer 2004."""
    n = flat.shape[1]
    if n == 1:
        return np.zeros(len(flat))
    two = np.linalg.norm(flat, axis=1)
    ratio = np.abs(flat).sum(1) / np.where(two > 0, two, 1)
    result: Doubles = np.where(two > 0, (np.sqrt(n) - ratio) / (np.sqrt(n) - 1), 0.0)
    return np.clip(result, 0, 1)


def gabor_fit(kernels: Array) -> dict[str, Doubles]:
    """The Gabor function, of those of a grid, that explains most of each kernel (out, in, h, w); its phase is free.

    A wave cos(2 pi f (x cos t + y sin t) + phase) under a round Gaussian in the middle or a pixel beside it. The channels
    share the function, each with its own strength, so the energy explained is that of the projection on it.
    """
    bank, parameters = gabor_bank(*kernels.shape[2:])
    flat = kernels.reshape(*kernels.shape[:2], -1).astype(np.float64)
    energy = (flat**2).sum((1, 2))
    best, share = np.zeros(len(flat), np.intp), np.zeros(len(flat))
    for number, kernel in enumerate(flat):
        explained = ((kernel @ bank.reshape(-1, flat.shape[2]).T) ** 2).sum(0).reshape(-1, 2).sum(1)
        best[number] = explained.argmax()
        share[number] = explained[best[number]] / energy[number] if energy[number] else 0
    found = parameters[best]
    nothing = energy == 0
    return {
        "orientation": np.where(nothing, np.nan, np.degrees(found[:, 0])),
        "frequency": np.where(nothing, np.nan, found[:, 1]),
        "gabor": share,
    }


@lru_cache(maxsize=8)
def gabor_bank(h: int, w: int) -> tuple[Doubles, Doubles]:
    """(g, 2, h * w) orthonormal pairs that span all phases, and (g, 2) their orientation in radians and frequency."""
    y, x = np.meshgrid(np.arange(h) - (h - 1) / 2, np.arange(w) - (w - 1) / 2, indexing="ij")
    pairs, parameters = [], []
    for angle in np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS:
        for frequency in np.linspace(1 / max(h, w), 0.5, FREQUENCIES):
            wave = 2 * np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle))
            for width in WIDTHS:
                for dy, dx in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)):
                    window = np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / (2 * (width * min(h, w)) ** 2))
                    pairs.append(_orthonormal((window * np.cos(wave)).ravel(), (window * np.sin(wave)).ravel()))
                    parameters.append((angle, frequency))
    return np.array(pairs), np.array(parameters)


def _orthonormal(one: Doubles, other: Doubles) -> Doubles:
    """Two vectors of length one (or zero, where they point the same way) that span the same plane."""
    one = one / np.linalg.norm(one)
    other = other - (other @ one) * one
    length = float(np.linalg.norm(other))
    return np.stack([one, other / length if length > 1e-6 else np.zeros_like(other)])


def duplicates(kernels: Array, threshold: float) -> tuple[tuple[int, ...], ...]:
    """Groups of filters that are nearly the same but for their size: linked by a cosine of at least `threshold`, zeros apart."""
    flat = kernels.reshape(len(kernels), -1).astype(np.float64)
    norm = np.linalg.norm(flat, axis=1)
    unit = flat / np.where(norm > 0, norm, 1)[:, None]
    alike = unit @ unit.T >= threshold
    alike[norm == 0] = alike[:, norm == 0] = False
    groups, left = [], set(np.flatnonzero(norm > 0).tolist())
    while left:
        group, new = set[int](), {min(left)}
        while new:
            group |= new
            new = {int(each) for number in new for each in np.flatnonzero(alike[number])} - group
        left -= group
        if len(group) > 1:
            groups.append(tuple(sorted(group)))
    return tuple(groups)
