"""Files of Keras 2: their descriptions in the words of Keras 3, which knows the layers but not all that was said of them.

Keras 3 would refuse `groups` of a depthwise convolution, and the numbers by which a network inside another was called.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
from keras.src.legacy.saving import legacy_h5_format, saving_options, saving_utils
from keras.src.saving import saving_lib

NETWORKS = ("Functional", "Model", "Sequential")
DEFAULTS = {"groups": 1, "time_major": False}  # arguments of Keras 2 that said nothing with these values
WITHOUT_GROUPS = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D", "Conv1DTranspose",
                  "Conv2DTranspose", "Conv3DTranspose")  # fmt: skip


def is_of_keras_two(version: str | None) -> bool:
    """Whether a file is of Keras 1 or 2, by the version that it states; the oldest state none."""
    return version is None or version.split(".")[0] in ("1", "2")


def load(path: Path, config: Mapping[str, Any], *, trust: bool) -> Any:
    """The model. Raises whatever Keras raises for what it does not know."""
    with saving_options.keras_option_scope(use_legacy_config=True), keras.src.saving.serialization_lib.SafeModeScope(not trust):
        model = saving_utils.model_from_config(in_words_of_keras_three(config))
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            store = saving_lib.H5IOStore(io.BytesIO(archive.read("model.weights.h5")), mode="r")
            saving_lib._load_state(model, store, assets_store=None, inner_path="", visited_saveables=set())
    else:
        with h5py.File(path, "r") as file:
            legacy_h5_format.load_weights_from_hdf5_group(file["model_weights"], model)
    return model


def in_words_of_keras_three(config: Any) -> Any:
    """A copy of a description, changed where Keras 3 says the same thing differently."""
    if isinstance(config, list):
        return [in_words_of_keras_three(each) for each in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "__tuple__":
        return in_words_of_keras_three(config["items"])
    if config.get("class_name") == "Policy":
        return config["config"]["name"]
    known = {key: in_words_of_keras_three(each) for key, each in config.items() if key not in PLACES}
    if isinstance(known.get("config"), dict):
        known["config"] = {key: each for key, each in known["config"].items() if not is_idle(known["class_name"], key, each)}
        if known["class_name"] in NETWORKS and "layers" in known["config"]:
            renumber(known["config"])
    return known


PLACES = ("module", "registered_name", "build_config", "compile_config")  # where Keras 2 kept its classes, and no more


def is_idle(layer: str, key: str, value: Any) -> bool:
    """Whether an argument of Keras 2 says nothing; a separable layer was told of a kernel besides those that it has."""
    if layer.startswith("Separable") and key.startswith("kernel_") and key != "kernel_size":
        return True
    return key in DEFAULTS and value == DEFAULTS[key] and (key != "groups" or layer in WITHOUT_GROUPS)


def renumber(network: dict[str, Any]) -> None:
    """Keras 2 counts a network's own making as its first call, so that inside another its calls begin with 1."""
    inner = {each["config"]["name"] for each in network["layers"] if each["class_name"] in NETWORKS}
    ends = [end for key in ("input_layers", "output_layers") for end in references(network.get(key, []))]
    for reference in [*ends, *(end for layer in network["layers"] for end in references(layer.get("inbound_nodes", [])))]:
        if reference[0] in inner and reference[1] > 0:
            reference[1] -= 1


def references(nest: Any) -> Iterator[list[Any]]:
    """The [layer, call, array] in lists and dicts of them."""
    if isinstance(nest, dict):
        for each in nest.values():
            yield from references(each)
    elif isinstance(nest, list) and len(nest) >= 3 and isinstance(nest[0], str) and isinstance(nest[1], int):
        yield nest
        yield from references(nest[3:])  # arguments that are arrays too
    elif isinstance(nest, list):
        for each in nest:
            yield from references(each)
