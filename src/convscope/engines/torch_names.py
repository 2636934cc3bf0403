"""PyTorch networks by name: "torchvision:resnet18", "timm:resnet50", "my.module:build"."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..downloads import Progress, fetch
from ..errors import MissingExtra, ModelError, UnknownName
from .torch_weights import fill

RESAMPLE = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}


@dataclass(frozen=True)
class Named:
    """A network that has a name. `card`: what its library says of pictures and classes; `notes`: what was done to it."""

    module: nn.Module
    source: str
    card: Mapping[str, Any] = field(default_factory=dict)
    picture_shape: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filling:
    """What goes into a network: nothing, what its library has ("imagenet" or a tag), or the weights in a file.

    partial, trust   as in `torch_weights.fill`
    progress         of a download
    """

    weights: str | None = None
    partial: bool = False
    trust: bool = False
    progress: Progress | None = None

    @property
    def file(self) -> Path | None:
        return Path(self.weights) if self.weights is not None and Path(self.weights).is_file() else None

    @property
    def tag(self) -> str | None:
        return None if self.file else self.weights

    def into(self, found: Named) -> Named:
        """`found` with the weights in the file, if there is one. Raises what `fill` raises."""
        if self.file is None:
            return found
        notes = fill(found.module, self.file, of=found.source, partial=self.partial, trust=self.trust)
        return replace(found, source=f"{found.source}, weights: {self.file.name}", notes=notes)


def named(name: str | nn.Module, filling: Filling) -> Named:
    """The network `name`, filled.

    raises   ModelError for a name or a tag that is not there, and for weights that do not fit; MissingExtra; DownloadError
    """
    if isinstance(name, nn.Module):
        return filling.into(Named(name, type(name).__name__))
    library, _, architecture = name.partition(":")
    if library == "torchvision":
        return _torchvision(architecture, filling)
    if library == "timm":
        return _timm(architecture, filling)
    if filling.tag:
        raise ModelError(f"The weights of '{name}' can only be in a file, but there is no file '{filling.tag}'.")
    return filling.into(built(name))


def built(name: str) -> Named:
    """From "my.module:build": what the function, the class or the module of that name is. The working folder is looked into."""
    home, _, attribute = name.partition(":")
    sys.path.insert(0, folder := str(Path.cwd()))
    try:
        found: Any = importlib.import_module(home)
        for part in attribute.split("."):
            found = getattr(found, part)
        module = found if isinstance(found, nn.Module) else found()
    except ModuleNotFoundError as error:
        raise ModelError(f"Cannot import '{error.name}' for '{name}'. Start where it lies, or install it.") from error
    except AttributeError as error:
        raise ModelError(f"Cannot make '{name}': {error}.") from error
    except Exception as error:
        raise ModelError(f"Cannot make '{name}', it raises {type(error).__name__}: {error}.") from error
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
    if not isinstance(module, nn.Module):
        raise ModelError(f"'{name}' gives a {type(module).__name__}, but a torch.nn.Module is needed.")
    return Named(module, name)


def _torchvision(name: str, filling: Filling) -> Named:
    models = _library("torchvision.models", f"'torchvision:{name}'")
    if name not in models.list_models():
        raise UnknownName("torchvision", name, models.list_models())
    tags, source = models.get_model_weights(name), f"torchvision:{name}"
    tag = _tag(tags, filling.tag, source) if filling.tag else next(iter(tags), None)
    parameters = inspect.signature(models.get_model_builder(name)).parameters
    options = {key: value for key, value in (("weights_backbone", None), ("init_weights", False)) if key in parameters}
    found = Named(models.get_model(name, weights=None, **options), source)
    if tag is not None:
        preprocess = _preprocess_of_torchvision(tag)
        found = replace(found, card={"preprocess": preprocess}, picture_shape=(3, *preprocess.get("size", (224, 224))))
    if not filling.tag:
        return filling.into(found)
    assert tag is not None
    file = Path(torch.hub.get_dir()) / "checkpoints" / tag.url.rpartition("/")[2]
    digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
    if not file.exists():
        fetch(tag.url, file, digest=digest and f"sha256:{digest[1]}", progress=filling.progress)
    fill(found.module, file, of=source, partial=False, trust=False)
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
    timm = _library("timm", f"'timm:{name}'")
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
    return filling.into(Named(module, source, card, tuple(config["input_size"])))


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


def _library(package: str, what: str) -> Any:
    top = package.partition(".")[0]
    if top not in sys.modules and importlib.util.find_spec(top) is None:
        raise MissingExtra(top, "torch", what)
    try:
        return importlib.import_module(package)
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"{top} cannot be imported: {first}. Is it built for torch {torch.__version__}?") from error
