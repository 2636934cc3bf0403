"""Files that torch wrote -> TorchEngine. A pickle is never run unless it is trusted."""

from __future__ import annotations

import io
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import nn

from ..errors import MissingExtra, NotAModel, Unsupported, Untrusted
from .importing import working_folder
from .torch import TorchEngine
from .torch_inputs import PictureShape

PLAIN = re.compile(
    r"collections\.|(__builtin__|builtins)\.set$|torch\.(_utils|storage)\.|torch\.\w+$"
)  # what weights are made of
LEGACY_PARTS = 5  # a file from before torch 1.6 is five pickles, and then the numbers


def load(path: Path, *, trust: bool, picture_shape: PictureShape | None = None) -> TorchEngine:
    """Open a whole network, pickled by `torch.save(module, path)`, or in a dict in which it is the only one.

    raises   Untrusted for such a file unless `trust`; Unsupported for TorchScript and exported programs; NotAModel for
             weights without their network, and for what is empty, cut off or of another kind
    """
    return TorchEngine(network_in(path, read(path, trust=trust)), picture_shape=picture_shape)


def read(path: Path, *, trust: bool = False, copied: bool = False) -> Any:
    """What torch.save or safetensors wrote.

    copied   whether all of it is copied at once: then it may lie in the file itself, which is sooner there
    raises   Untrusted for what is more than arrays and plain data, unless `trust`; NotAModel; MissingExtra
    """
    if path.suffix == ".safetensors":
        return _safetensors(path)
    try:
        return _loaded(path, weights_only=True, mmap=copied and zipfile.is_zipfile(path))
    except Exception as error:
        refused = error
    classes = pickled_classes(path)
    if not classes:
        raise NotAModel(path, f"it is damaged. {_first_line(refused)}") from refused
    if not trust:
        raise Untrusted(path, f"holds Python objects in a pickle ({', '.join(classes[:3])})") from None
    try:
        with working_folder():
            return _loaded(path, weights_only=False)
    except Exception as error:
        hint = f"The code of its classes ({', '.join(classes[:3])}) must be importable: start where it lies, or install it."
        raise NotAModel(path, f"{_first_line(error)}. {hint}") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _loaded(path: Path, *, weights_only: bool, mmap: bool = False) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how the file was written, which is nothing that its reader can change
        return torch.load(path, map_location="cpu", weights_only=weights_only, mmap=mmap)


def pickled_classes(path: Path) -> list[str]:
    """The foreign classes that the pickle in the file would make, found by reading it, not by running it.

    raises   NotAModel if it is no complete pickle; Unsupported if it is another of torch's kinds
    """
    try:
        found = {name for part in _pickles(path) for name in _globals(part)}
    except (ValueError, IndexError, EOFError, zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        what = "it is empty." if path.stat().st_size == 0 else "it is damaged, cut off, or was not written by torch.save."
        raise NotAModel(path, what) from error
    except OSError as error:
        raise NotAModel(path, f"{error}.") from error
    return sorted(name for name in found if not PLAIN.match(name))


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            file.seek(0)
            yield from [file] * LEGACY_PARTS
            return
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any("/code/" in name or name.endswith("/constants.pkl") for name in names):
                raise Unsupported(
                    f"'{path}' is a TorchScript file, whose layers cannot be watched. Open the nn.Module it was made from."
                )
            if any(name.endswith("archive_format") for name in names):
                raise Unsupported(
                    f"'{path}' is an exported program, in which there are no layers. Open the nn.Module it was made from."
                )
            (pickle,) = (name for name in names if name.endswith("/data.pkl"))
            yield io.BytesIO(archive.read(pickle))


def _globals(pickle: IO[bytes]) -> Iterator[str]:
    strings: list[str] = []
    for code, argument, _position in pickletools.genops(pickle):
        if isinstance(argument, str):
            strings.append(argument)
        if code.name == "GLOBAL":
            yield str(argument).replace(" ", ".")
        elif code.name == "STACK_GLOBAL":
            yield ".".join(strings[-2:])


def network_in(path: Path, content: Any) -> nn.Module:
    """The one module in what a file holds. Raises NotAModel."""
    modules = [
        each
        for each in ([content, *content.values()] if isinstance(content, Mapping) else [content])
        if isinstance(each, nn.Module)
    ]
    if len(modules) == 1:
        return modules[0]
    arrays = dict(_arrays(content))
    if not arrays:
        raise NotAModel(path, f"it holds a {type(content).__name__} without a network in it.")
    first, shape = next((name, tuple(each.shape)) for name, each in arrays.items())
    raise NotAModel(
        path,
        f"it holds weights only ({len(arrays)} arrays, the first is '{first}' of shape {shape}), not the network they belong to. "
        "Say which: architecture='torchvision:resnet18', 'timm:NAME' or 'my.module:build' (--architecture).",
    )


def _arrays(content: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield name, content
    elif isinstance(content, Mapping):
        for key, value in content.items():
            yield from _arrays(value, f"{name}.{key}" if name else str(key))


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file
    except ImportError:
        raise MissingExtra("safetensors", "torch", f"'{path.name}'") from None
    try:
        return load_file(path)
    except Exception as error:
        raise NotAModel(path, f"it is empty, damaged or cut off ({error}).") from error
