"""PyTorch networks by name: "torchvision:resnet18", "timm:resnet50", "my.module:build"."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..downloads import fetch
from ..errors import ModelError, UnknownName
from .importing import made, title
from .torch_hub import from_hub
from .torch_library import Filling, Named, library
from .torch_weights import fill, weights_in

RESAMPLE = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}


def named(name: Any, filling: Filling) -> Named:
    """The network `name`, filled: as `convscope.open` takes an architecture.

    raises   ModelError for a name or a tag that is not there, and for weights that do not fit; MissingExtra; DownloadError
    """
    if not isinstance(name, str):
        return filling.into(built(name))
    home, _, architecture = name.partition(":")
    makers = {"torchvision": _torchvision, "timm": _timm, "hf": from_hub}
    if home in makers:
        return makers[home](architecture, filling)
    if filling.tag:
        raise ModelError(f"The weights of '{name}' can only be in a file, but there is no file '{filling.tag}'.")
    return filling.into(built(name))


def built(architecture: Any) -> Named:
    """From "my.module:build", a function or class, or a module. Raises ModelError for what gives none."""
    module, name = made(architecture, nn.Module), title(architecture)
    if not isinstance(module, nn.Module):
        raise ModelError(f"'{name}' gives a {type(module).__name__}, but a torch.nn.Module is needed.")
    return Named(module, name)


def _torchvision(name: str, filling: Filling) -> Named:
    models = library("torchvision.models", f"'torchvision:{name}'")
    if name not in models.list_models():
        raise UnknownName("torchvision", name, models.list_models())
    tags, source = models.get_model_weights(name), f"torchvision:{name}"
    tag = _tag(tags, filling.tag, source) if filling.tag else next(iter(tags), None)
    parameters = inspect.signature(models.get_model_builder(name)).parameters
    options = {key: value for key, value in (("weights_backbone", None), ("init_weights", False)) if key in parameters}

    def made_for(**classes: int) -> nn.Module:
        module: nn.Module = models.get_model(name, weights=None, **options, **classes)
        return module

    found = Named(made_for(), source)
    if tag is not None:
        preprocess = _preprocess_of_torchvision(tag)
        found = replace(found, card={"preprocess": preprocess}, picture_shape=(3, *preprocess.get("size", (224, 224))))
    if not filling.tag:
        return filling.into(found, lambda classes: made_for(num_classes=classes))
    assert tag is not None
    file = Path(torch.hub.get_dir()) / "checkpoints" / tag.url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if not file.exists():
        fetch(tag.url, file, digest=digest and f"sha256:{digest[1]}", progress=filling.progress)
    fill(found.module, weights_in(file), file, of=source, partial=False)
    labels = {"labels": tag.meta["categories"]} if "categories" in tag.meta else {}
    return replace(found, source=f"{source}, weights: {tag.name}", card={**found.card, **labels})


def _tag(tags: Any, weights: str, source: str) -> Any:
    if weights.lower() in ("imagenet", "default"):
        return tags.DEFAULT
    if weights not in tags.__members__:
        raise ModelError(
            f"'{weights}' is neither a file nor weights of '{source}'. There are: {', '.join(('imagenet', *tags.__members__))}."
        )
    return tags[weights]


def _preprocess_of_torchvision(tag: Any) -> dict[str, Any]:
    transforms = tag.transforms()
    found: dict[str, Any] = {"origin": f"torchvision, the transforms of {tag.name}"}
    if hasattr(transforms, "mean"):
        found |= {"mean": tuple(transforms.mean), "std": tuple(transforms.std), "resample": transforms.interpolation.value}
    if hasattr(transforms, "crop_size"):
        (size,), (resized,) = transforms.crop_size, transforms.resize_size
        found |= {"size": (size, size), "crop_fraction": size / resized}
    return found


def _timm(name: str, filling: Filling) -> Named:
    timm = library("timm", f"'timm:{name}'")
    if not timm.is_model(name):
        alike = timm.list_models(name[:4] + "*")
        raise UnknownName("timm", name, alike or timm.list_models())
    tag = f".{filling.tag}" if filling.tag not in (None, "imagenet") else ""
    try:
        module = timm.create_model(name + tag, pretrained=filling.tag is not None)
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ModelError(
            f"timm cannot make '{name}' with the weights '{filling.tag}': {type(error).__name__}: {first} "
            "To do without a network, give the file of weights itself."
        ) from error
    config = timm.data.resolve_model_data_config(module)
    card: dict[str, Any] = {"preprocess": _preprocess_of_timm(config)}
    if filling.tag:
        card["labels"] = _labels_of_timm(timm, module)
    source = f"timm:{name}" + (f", weights: {filling.tag}" if filling.tag else "")
    found = Named(module, source, card, tuple(config["input_size"]))
    return filling.into(found, lambda classes: timm.create_model(name, num_classes=classes))


def _preprocess_of_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    channels, height, width = config["input_size"]
    fraction = config["crop_pct"] or 1.0
    resized = math.floor(height / fraction)  # timm's own rounding
    return {
        "size": (height, width),
        "channels": channels,
        "fit": "stretch" if config["crop_mode"] == "squash" and resized == height else "crop",
        "crop_fraction": height / resized,
        "resample": config["interpolation"] if config["interpolation"] in RESAMPLE else "bilinear",
        "mean": config["mean"],
        "std": config["std"],
        "origin": "timm, its pretrained_cfg",
    }


def _labels_of_timm(timm: Any, module: nn.Module) -> list[str] | None:
    subset = timm.data.infer_imagenet_subset(module)
    if subset is None:
        return None
    info = timm.data.ImageNetInfo(subset)
    return [info.index_to_description(index) for index in range(info.num_classes())]
