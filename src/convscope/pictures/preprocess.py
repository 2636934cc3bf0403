"""What is done to a picture before the network receives it, as data: it can be read, written, applied and undone."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import InputError, Shape, WrongOption
from ..paths import path_of
from .check import check, checked
from .decode import Picture, Pixels
from .resize import Fit, Margin, Resample, fit_into
from .stacks import fits

Array = npt.NDArray[np.float32]
Order = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class Preprocess:
    """From a picture to what the network receives: ((x * scale + offset) - mean) / std in float32.

    The picture is resized first, in uint8 by Pillow, as Keras' load_img and torchvision on PIL images do.

    size            (height, width) in pixels; None leaves a picture as large as it is
    fit             "crop": the shorter side to the size, then the centre; "stretch": both sides to the size, whatever the
                    ratio; "pad": the longer side to the size, the rest filled with `fill`
    resample        Pillow's name of the filter: nearest, box, bilinear, hamming, bicubic, lanczos
    scale, offset   for x in 0..255
    mean, std       a number per channel, in the order in which the network receives the channels: with order="bgr" blue first
    order           "rgb" or "bgr"
    channels        3 for colour, 1 for grey; any other number for arrays, and for a TIFF with a page per channel
    shown           which channels are drawn as red, green and blue, counted from 0: (3, 2, 1); or one, in grey; None: colour as
                    it is, and of other than 1 or 3 channels the first
    crop_fraction   how much of the shorter side "crop" keeps: 224 / 256 resizes it to 256 and keeps 224
    margin          of a crop that leaves an odd number of pixels over: "round" halves it to an even number, as torchvision and
                    timm do, "floor" downwards, as transformers does
    fill            what "pad" puts around a picture, a grey level 0..255
    origin          where this is from: "given", "assumed", "keras.applications.vgg16", "the network's card"
    raises          WrongOption or InputError for a value that is not possible, or with which pixels could not be told apart
    """

    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    resample: Resample = "bilinear"
    scale: float = 1 / 255
    offset: float = 0.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    order: Order = "rgb"
    channels: int = 3
    shown: tuple[int, ...] | None = None
    crop_fraction: float = 1.0
    margin: Margin = "round"
    fill: int = 0
    dtype: Literal["float32"] = "float32"
    origin: str = "given"

    def __post_init__(self) -> None:
        for key, value in checked(dataclasses.asdict(self)).items():
            object.__setattr__(self, key, value)
        with np.errstate(all="ignore"):
            levels = self._levels(self._table())
        if not np.array_equal(levels, np.broadcast_to(np.arange(256), levels.shape)):
            numbers = f"scale {self.scale:g}, offset {self.offset:g}, mean {self.mean} and std {self.std}"
            raise InputError(
                f"With {numbers}, float32 cannot keep the 256 levels of a pixel apart. Choose numbers of a like magnitude.",
                received=numbers,
            )

    def apply(self, picture: Picture) -> Array:
        """What the network receives: (c, h, w) float32. Raises InputError for a picture that cannot be fitted."""
        pixels: npt.NDArray[Any] = self.pixels(picture)
        if self.order == "bgr":
            pixels = pixels[..., ::-1]
        if pixels.dtype == np.float32:
            return self._values(pixels.reshape(-1, self.channels).T).reshape(self.channels, *pixels.shape[:2])
        table, values = self._table(), np.empty((self.channels, *pixels.shape[:2]), np.float32)
        for channel in range(self.channels):  # five times as fast as an index, and others may compute meanwhile
            np.take(table[channel], pixels[..., channel], out=values[channel], mode="clip")
        return values

    def pixels(self, picture: Picture) -> Pixels:
        """The picture fitted, in as many channels as the network takes and before any arithmetic: (h, w, c), RGB or grey."""
        if self.channels not in (1, 3) or picture.pixels.shape[2] not in (1, 3):
            fits(picture.pixels, self.channels, picture.name)
            planes = [self._sized(Image.fromarray(picture.pixels[..., channel])) for channel in range(self.channels)]
            return np.stack([np.asarray(plane) for plane in planes], axis=-1)
        image = Image.fromarray(picture.pixels[..., 0] if picture.pixels.shape[2] == 1 else picture.pixels)
        if self.channels == 1:
            image = image.convert("L")  # ITU-R 601: 0.299 R + 0.587 G + 0.114 B
        fitted = np.asarray(self._sized(image))
        return fitted if fitted.ndim == 3 else np.repeat(fitted[..., None], self.channels, axis=2)

    def _sized(self, image: Image.Image) -> Image.Image:
        if self.size is None:
            return image
        fraction, fill, margin = self.crop_fraction, self.fill, self.margin
        return fit_into(image, self.size, self.fit, self.resample, crop_fraction=fraction, fill=fill, margin=margin)

    def undo(self, values: Array) -> Pixels:
        """What the network received, as pixels to look at: (c, h, w) -> uint8 (h, w, 3), RGB. Undoes `apply` to the pixel.

        Values that no pixel becomes are clipped; of other than 1 or 3 channels those that `shown` says, else the first, in grey.
        raises   InputError if the channels are not as many as the network takes
        """
        if values.ndim != 3 or len(values) != self.channels:
            raise InputError(
                f"What the network received has shape ({self.channels}, h, w), but this is {values.shape}. Give one picture.",
                received=values.shape,
                expected=(self.channels, None, None),
            )
        levels = self._levels(values.reshape(self.channels, -1)).reshape(values.shape)
        if self.shown is not None or self.channels != 3:
            chosen = list(self.shown or (0,))
            return np.ascontiguousarray(levels[chosen * 3 if len(chosen) == 1 else chosen].transpose(1, 2, 0))
        return np.ascontiguousarray((levels[::-1] if self.order == "bgr" else levels).transpose(1, 2, 0))

    def outside(self, values: Array) -> float:
        """The share, 0..1, of the values (c, h, w) that are beyond what pixels become, so that `undo` clips them."""
        ends = np.sort(self._table()[:, [0, -1]], axis=1)[..., None, None]
        half_a_level = (ends[:, 1] - ends[:, 0]) / 510
        return float(np.mean((values < ends[:, 0] - half_a_level) | (values > ends[:, 1] + half_a_level)))

    def fitted(self, shape: Shape) -> Preprocess:
        """With what was not said taken from the network's input (c, h, w): its size where that is fixed, and its channels.

        raises   InputError where mean, std or order are for another number of channels
        """
        size = shape[1:] if len(shape) == 3 and None not in shape[1:] else None
        channels = shape[0] if shape and shape[0] else self.channels
        return dataclasses.replace(self, size=self.size or size, channels=channels)  # type: ignore[arg-type]

    def describe(self) -> str:
        """One line: "resized to 224 x 224 (cropped, bilinear), RGB, x / 127.5 - 1"."""
        colours = {1: "grey", 3: self.order.upper()}.get(self.channels, f"{self.channels} channels")
        shown = f" ({self.describe_shown()})" if self.shown else ""
        return f"{self._describe_size()}, {colours}{shown}, {self._describe_values()}"

    def describe_shown(self) -> str:
        """Which channels a picture is drawn with: "3, 2 and 1 are shown as red, green and blue"."""
        if self.shown is None:
            return "the first is shown, in grey"
        if len(self.shown) == 1:
            return f"{self.shown[0]} is shown, in grey"
        return "{}, {} and {} are shown as red, green and blue".format(*self.shown)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as JSON has it; `from_dict` reads it back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocess:
        """What `to_dict` wrote, or some of its keys. Raises WrongOption or InputError, naming the key."""
        check("a preprocessing", data, isinstance(data, Mapping), "an object with keys such as 'size' and 'scale'")
        known = [field.name for field in dataclasses.fields(cls)]
        for key in data:
            if key not in known:
                raise WrongOption("A key of the preprocessing", key, known)
        return cls(**data)

    @classmethod
    def parse(cls, text: str) -> Preprocess:
        """From the command line: a name in PRESETS, with a size or without ("caffe", "0..1 224", "torch 192x256", height
        before width), or a JSON file of some of the keys. Raises WrongOption, InputError.
        """
        name, _, size = text.strip().partition(" ")
        if name in PRESETS:
            return dataclasses.replace(PRESETS[name], size=_parsed_size(size.strip(), text) if size else None)
        if text.endswith(".json") or os.path.isfile(text):
            return cls.from_dict(_read_json(path_of(text)))
        raise WrongOption("The preprocessing", text, [*PRESETS, "the name of a JSON file"])

    def _table(self) -> Array:
        """What each level 0..255 becomes, in the order in which the network receives the channels: (c, 256)."""
        return self._values(np.tile(np.arange(256, dtype=np.float32), (self.channels, 1)))

    def _values(self, levels: Array) -> Array:
        """What levels (c, any) become."""
        # As the frameworks have it, in float32 and in this order, so that the results are the same to the bit.
        values = levels / np.float32(self._divisor) if self._divisor else levels * np.float32(self.scale)
        values = values + np.float32(self.offset)
        if self.mean is not None:
            values -= np.array(self.mean, np.float32)[:, None]
        if self.std is not None:
            values /= np.array(self.std, np.float32)[:, None]
        return values

    def _levels(self, values: Array) -> Pixels:
        """The levels 0..255 nearest to what `values` (c, any) were made of."""
        std, mean = self.std or (1.0,), self.mean or (0.0,)
        exact = values * (np.array(std) / self.scale)[:, None]  # in float64
        exact += ((np.array(mean) - self.offset) / self.scale)[:, None]
        np.rint(exact, out=exact)
        return np.fmin(np.fmax(exact, 0, out=exact), 255, out=exact).astype(np.uint8)  # NaN becomes 0

    @property
    def _divisor(self) -> float | None:
        """255 for a scale of 1 / 255: frameworks divide by it, which is not the same as multiplying in the last bit."""
        divisor = round(1 / self.scale, 6)
        return divisor if divisor and abs(divisor * self.scale - 1) < 1e-12 else None

    def _describe_size(self) -> str:
        if self.size is None:
            return "in its own size"
        part = "" if self.crop_fraction == 1 else f" to the central {self.crop_fraction:.4g} of the shorter side"
        how = {"crop": f"cropped{part}", "stretch": "stretched", "pad": f"padded with grey level {self.fill}"}[self.fit]
        return f"resized to {self.size[0]} x {self.size[1]} ({how}, {self.resample})"

    def _describe_values(self) -> str:
        divisor = self._divisor
        formula = "x" if self.scale == 1 else f"x / {divisor:g}" if divisor else f"x * {self.scale:g}"
        formula += f" {'-' if self.offset < 0 else '+'} {abs(self.offset):g}" if self.offset else ""
        if self.mean is not None:
            formula += f" - {_numbers(self.mean)}"
        if self.std is not None:
            formula = f"{f'({formula})' if ' ' in formula else formula} / {_numbers(self.std)}"
        return "x from 0 to 255 as it is" if formula == "x" else formula


PRESETS: dict[str, Preprocess] = {
    "caffe": Preprocess(scale=1.0, mean=(103.939, 116.779, 123.68), order="bgr"),
    "tf": Preprocess(scale=1 / 127.5, offset=-1.0),
    "torch": Preprocess(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "0..1": Preprocess(scale=1 / 255),
    "0..255": Preprocess(scale=1.0),
    "-1..1": Preprocess(scale=1 / 127.5, offset=-1.0),
}


def _parsed_size(size: str, text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", size)
    check("the size", text, found is not None, "a number of pixels after the name, as in '0..1 224' or '0..1 192x256'")
    assert found
    return int(found[1]), int(found[2] or found[1])


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"Cannot read a preprocessing from '{path}': {why}. Give a JSON file of its keys.") from error


def _numbers(numbers: tuple[float, ...]) -> str:
    return f"({', '.join(f'{number:g}' for number in numbers)})" if len(numbers) > 1 else f"{numbers[0]:g}"
