"""Files that Keras wrote, and the networks of keras.applications by name -> KerasEngine. No code in a file runs untrusted."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from ..downloads import Progress
from ..errors import DownloadError, InputError, ModelError, NotAModel, UnknownName, Untrusted
from .failures import first_line
from .importing import title
from .keras import KerasEngine
from .keras_downloads import resumable
from .keras_two import is_of_keras_two
from .keras_two import load as load_keras_two
from .keras_weights import built, fill

ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
UNREGISTERED = re.compile(r"[Cc]ould not locate (?:class|function) '(\w+)'|Unknown (?:layer|object|class)[^']*'(\w+)'")
APPLICATIONS = sorted(
    name for name in dir(keras.applications) if name[0].isupper() and callable(getattr(keras.applications, name))
)


def load(path: Path, *, trust: bool = False) -> KerasEngine:
    """Open a .keras file of Keras 3, or an .h5 file of Keras 2 or 3 that holds a whole network.

    raises   NotAModel for what is empty, damaged, of another kind, weights without their network, or made of classes that are
             not known; Untrusted for Lambda layers unless `trust`
    """
    config, version = _config_of_zip(path) if path.suffix == ".keras" else _config_of_hdf5(path)
    code = sorted(set(lambdas(config)))
    if code and not trust:
        raise Untrusted(path, f"holds Python code, in {', '.join(code[:3])}")
    try:
        if is_of_keras_two(version):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of arguments that have other names today
                model = load_keras_two(path, config, trust=trust)
        else:
            model = keras.saving.load_model(path, compile=False, safe_mode=not trust)
    except Exception as error:
        raise NotAModel(path, _why(error, version)) from error
    return KerasEngine(model)


@dataclass(frozen=True)
class Named:
    """A network that has a name. `source`: where it and its weights are from; `notes`: what was done to it."""

    engine: KerasEngine
    source: str
    notes: tuple[str, ...] = ()


def named(name: Any, *, weights: str | None, partial: bool = False, progress: Progress | None = None) -> Named:
    """A network of keras.applications ("keras:VGG16"), with random weights, those of ImageNet ("imagenet"), or those in a file;
    or one of the user's own, "my.module:build" or live, with those in a file.

    progress   called with (bytes done, bytes in all) while weights are fetched
    raises     ModelError for a name that is not there and for weights that cannot be had; NotAModel, DownloadError
    """
    of_library = isinstance(name, str) and name.startswith("keras:")
    own = name if isinstance(name, str) else str(getattr(name, "name", None) or title(name))
    what = "keras.applications" if of_library else own
    file = Path(weights) if weights not in (None, "imagenet") else None
    if file and not file.is_file():
        raise InputError(f"The weights of '{own}' can be None, 'imagenet' or a file, but there is no file '{weights}'.")
    model = application(name.partition(":")[2], None if file else weights, progress) if of_library else built(name)
    notes = fill(model, file, of=own.removeprefix("keras:"), partial=partial) if file else ()
    return Named(KerasEngine(model), f"{what}, weights: {file.name if file else weights or 'random'}", notes)


def application(name: str, weights: str | None, progress: Progress | None) -> Any:
    if name not in APPLICATIONS:
        raise UnknownName("keras.applications", name, APPLICATIONS)
    try:
        with resumable(progress):
            return getattr(keras.applications, name)(weights=weights)
    except DownloadError:
        raise
    except Exception as error:
        raise ModelError(f"'{name}' cannot be made: {first_line(error)}") from error


def imagenet_labels() -> list[str] | None:
    """The thousand classes in the order of the outputs; None where they can be neither found nor fetched."""
    in_order = np.linspace(1, 0, 1000, dtype=np.float32)[None]
    try:
        (rows,) = keras.applications.imagenet_utils.decode_predictions(in_order, top=1000)
    except Exception:  # noqa: BLE001 - names are a comfort; without them classes have numbers
        return None
    return [name.replace("_", " ") for _, name, _ in rows]


def lambdas(config: Any) -> Iterator[str]:
    """Where in a configuration there is Python code: names of Lambda layers, "a function" elsewhere."""
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda":
            yield f"the Lambda layer '{(config.get('config') or {}).get('name', '')}'"
        elif config.get("class_name") == "__lambda__":
            yield "a lambda function"
        for each in config.values():
            yield from lambdas(each)
    elif isinstance(config, list):
        for each in config:
            yield from lambdas(each)


def _config_of_zip(path: Path) -> tuple[Any, str | None]:
    """The description of the network, and the version of Keras that wrote it."""
    _check_kind(path, ZIP, "a .keras file, which is a zip file")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
            version = json.loads(archive.read("metadata.json")).get("keras_version")
            damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise NotAModel(path, "it is damaged, or was cut off.") from error
    except KeyError as error:
        raise NotAModel(path, "it is a zip file, but holds no network of Keras (no config.json).") from error
    if damaged:
        raise NotAModel(path, f"it is damaged, in '{damaged}'.")
    return config, version


def _config_of_hdf5(path: Path) -> tuple[Any, str | None]:
    _check_kind(path, HDF5, "an HDF5 file")
    try:
        with h5py.File(path, "r") as file:
            config, version, names = file.attrs.get("model_config"), file.attrs.get("keras_version"), list(file)
    except OSError as error:
        raise NotAModel(path, "it is damaged, or was cut off.") from error
    if config is None:
        raise NotAModel(
            path,
            f"it holds weights only (its groups: {', '.join(names[:4]) or 'none'}), not the network they belong to. "
            "Say which that is: architecture='keras:VGG16', or 'my.module:build' for one of your own.",
        )
    try:
        return json.loads(config), version.decode() if isinstance(version, bytes) else version
    except ValueError as error:
        raise NotAModel(path, "its description of the network cannot be read.") from error


def _check_kind(path: Path, beginning: bytes, what: str) -> None:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise NotAModel(path, f"it cannot be read ({error.strerror or error}).") from error
    if not start:
        raise NotAModel(path, "it is empty.")
    if not start.startswith(beginning):
        others = {
            ZIP: "It is a zip file: rename it to end in .keras, if Keras wrote it.",
            HDF5: "It is HDF5: rename it to end in .h5.",
        }
        raise NotAModel(path, f"it is not {what}. {others.get(start[:8], others.get(start[:4], ''))}".strip())


def _why(error: Exception, version: str | None) -> str:
    """Why Keras cannot load a file, in a sentence, and what to do."""
    text = str(error)
    found = UNREGISTERED.search(text)
    name = found and (found[1] or found[2])
    first = first_line(error)
    if is_of_keras_two(version):
        what = f"it is made of '{name}'." if name else f"{first.rstrip('.')}."
        return (
            f"Keras {version or '1'} wrote it, and Keras {keras.__version__} does not know all that is in it: {what} Build the "
            "same network with Keras 3 and open the file with architecture='my.module:build', or convert it to ONNX where it "
            "still runs (pip install tf_keras tf2onnx)."
        )
    if name and name in operations():
        return (
            f"it holds '{name}', an operation between layers, which Keras writes into .h5 files and cannot read there. "
            "Save the network as .keras where it lives, and open that."
        )
    if name:
        return (
            f"it is made of '{name}', which Keras does not know. Import the module that defines it, with "
            "@keras.saving.register_keras_serializable() on it, and open the file from Python."
        )
    return f"Keras {keras.__version__} cannot load it. {first}"


def operations() -> set[str]:
    """The names of the classes of keras.ops."""
    return {each.__name__ for each in keras.Operation.__subclasses__() if each.__module__.startswith("keras.src.ops.")}
