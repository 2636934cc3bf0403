"""Fitting a picture to a size, in uint8 by Pillow, as Keras' load_img and torchvision on PIL images do."""

from __future__ import annotations

from typing import Literal

from PIL import Image

from ..errors import InputError

Fit = Literal["crop", "stretch", "pad"]
Margin = Literal["round", "floor"]
Resample = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
Size = tuple[int, int]


def fit_into(
    image: Image.Image, size: Size, fit: Fit, resample: Resample, *, crop_fraction: float, fill: int, margin: Margin = "round"
) -> Image.Image:
    """`image` at `size` = (height, width). Raises InputError if it would have to become enormous on the way."""
    _check_room(image, size)
    if fit == "stretch":
        return _resized(image, size, resample)
    if fit == "pad":
        return _padded(image, size, resample, fill)
    return _cropped(_resized(image, covering(_size(image), size, crop_fraction), resample), size, margin)


def covering(picture: Size, size: Size, fraction: float) -> Size:
    """The least (height, width) of the picture's own ratio that covers size / fraction: its shorter side for a square."""
    (h, w), height, width = picture, round(size[0] / fraction), round(size[1] / fraction)
    wide = height * w // h
    return (height, wide) if wide >= width else (width * h // w, width)


def _check_room(image: Image.Image, size: Size) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and size[0] * size[1] > limit:
        raise InputError(
            f"A picture of {image.height} x {image.width} pixels would become {size[0]} x {size[1]} on the way, more than the "
            f"{limit:,} pixels that are held at once. Crop it first, or choose a smaller size or another fit.",
            received=_size(image),
        )


def _resized(image: Image.Image, size: Size, resample: Resample) -> Image.Image:
    _check_room(image, size)
    return image if size == _size(image) else image.resize((size[1], size[0]), Image.Resampling[resample.upper()])


def _cropped(image: Image.Image, size: Size, margin: Margin) -> Image.Image:
    spare = [have - want for have, want in zip(_size(image), size, strict=True)]
    top, left = (round(each / 2) if margin == "round" else each // 2 for each in spare)
    return image.crop((left, top, left + size[1], top + size[0]))


def _padded(image: Image.Image, size: Size, resample: Resample, fill: int) -> Image.Image:
    h, w = _size(image)
    factor = min(size[0] / h, size[1] / w)
    height, width = min(size[0], max(1, round(h * factor))), min(size[1], max(1, round(w * factor)))
    canvas = Image.new(image.mode, (size[1], size[0]), (fill,) * len(image.getbands()))
    canvas.paste(_resized(image, (height, width), resample), ((size[1] - width) // 2, (size[0] - height) // 2))
    return canvas


def _size(image: Image.Image) -> Size:
    return image.height, image.width
