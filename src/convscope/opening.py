"""`convscope.open`: from a live network, a file or a name to a Network. Only the framework that it needs is imported."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import demo
from .core import Engine, Graph
from .errors import InputError, MissingExtra, NotAModel, Shape, Unsupported, did_you_mean
from .labels import Labels, check_labels, read_labels
from .network import Network
from .pictures import Preprocess
from .pictures.preprocess import PRESETS
from .results import NetworkInfo

ENDINGS = {
    ".onnx": "onnx",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".pt": "torch",
    ".pth": "torch",
    ".th": "torch",
}


def open(  # noqa: A001 - `convscope.open` reads as what it does
    model: Any = "demo",
    *,
    weights: str | Path | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | Mapping[str, Any] | str | None = None,
    picture_shape: Shape | None = None,
    trust: bool = False,
) -> Network:
    """Open a network where it lives.

    model           a live keras.Model, torch.nn.Module or onnx.ModelProto; a file (.onnx, .keras, .h5, .pt);
                    "demo", the built-in network; or "keras:VGG16", any network of keras.applications
    weights         for "keras:NAME": None for random ones, "imagenet", or a file
    labels          names of the classes in the order of the outputs; a file with one per line; or the folder or .zip of
                    pictures that the network was trained on, with a folder per class
    preprocess      what is done to pictures, if what is known of the network is not enough: a Preprocess, its dict,
                    or a name such as "caffe", "0..1", "-1..1"
    picture_shape   (c, h, w), for a torch module that does not say what it takes
    trust           open files that run code of their author: pickled modules, Lambda layers
    raises          ModelError and its kinds: NotAModel, Untrusted, Unsupported, MissingExtra; InputError
    """
    if isinstance(model, Network):
        return model
    engine, facts, card = _engine(model, weights=weights, picture_shape=picture_shape, trust=trust)
    given = _as_preprocess(preprocess) if preprocess is not None else None
    known = given or (Preprocess.from_dict(card["preprocess"]) if card.get("preprocess") else Preprocess(origin="assumed"))
    names = read_labels(labels) if labels is not None else card.get("labels")
    if names is not None:
        shape = engine.graph.layers[-1].shape
        check_labels(names, shape[0] if shape is not None and len(shape) == 1 else None)
    notes = [note for note in (getattr(engine, "assumed", None),) if note]
    info = NetworkInfo(framework=engine.framework, graph=engine.graph, notes=tuple(notes), **facts)
    return Network(engine, info, known.fitted(input_shape(engine.graph)), names)


def _engine(
    model: Any, *, weights: Any, picture_shape: Shape | None, trust: bool
) -> tuple[Engine, dict[str, Any], dict[str, Any]]:
    """The engine; name, source and sha256; and what is known of the network: its preprocess and labels."""
    if isinstance(model, str) and ":" in model and not Path(model).exists():
        return _named(model, weights)
    if weights is not None:
        raise InputError("Weights can only be given for a network opened by name, such as 'keras:VGG16'.", received=weights)
    if isinstance(model, str) and model == "demo":
        return _file(demo.MODEL, name="demo", source="built in", picture_shape=None, trust=False)
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        return _file(path, name=path.stem, source=path.name, picture_shape=picture_shape, trust=trust)
    return _live(model, picture_shape)


def _file(path: Path, *, name: str, source: str, picture_shape: Shape | None, trust: bool) -> tuple[Any, ...]:
    if not path.exists():
        raise NotAModel(path, f"there is no such file.{_near(path)}")
    if path.is_dir():
        raise NotAModel(path, "it is a folder. Give the file of the network.")
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise NotAModel(path, f"its ending is '{path.suffix}', but known are {', '.join(ENDINGS)}.")
    facts = {"name": name, "source": source, "sha256": _sha256(path)}
    card: Mapping[str, Any]
    if kind == "onnx":
        from .engines import onnx_files

        engine: Any = onnx_files.load(path)
        card = _card(engine.metadata)
    elif kind == "keras":
        _need_keras(f"'{path.name}'")
        from .engines.keras_files import load
        from .engines.keras_preprocess import preprocess_of

        engine = load(path, trust=trust)
        card = _found(preprocess_of(engine.graph, engine.operation))
    else:
        _need("torch", "torch", f"'{path.name}'")
        from .engines import torch_files

        engine, card = torch_files.load(path, trust=trust, picture_shape=picture_shape), {}
    return engine, facts, card


def _named(name: str, weights: str | Path | None) -> tuple[Any, ...]:
    source, _, architecture = name.partition(":")
    if source != "keras":
        raise NotAModel(
            name, f"there is no such file, and '{source}:' is no known source. Known is 'keras:', as in 'keras:VGG16'."
        )
    _need_keras(f"'{name}'")
    from .engines.keras_files import by_name, imagenet_labels
    from .engines.keras_preprocess import preprocess_of

    engine = by_name(architecture, weights=None if weights is None else str(weights))
    facts = {"name": name, "source": f"keras.applications, weights: {weights or 'random'}"}
    card = _found(preprocess_of(engine.graph, engine.operation))
    if weights == "imagenet":
        card["labels"] = imagenet_labels()
    return engine, facts, card


def _live(model: Any, picture_shape: Shape | None) -> tuple[Any, ...]:
    homes = {base.__module__.split(".")[0] for base in type(model).__mro__}
    facts = {"name": getattr(model, "name", None) or type(model).__name__, "source": f"a live {type(model).__name__}"}
    if "keras" in homes:
        from .engines.keras import KerasEngine
        from .engines.keras_preprocess import preprocess_of

        keras_engine = KerasEngine(model)
        return keras_engine, facts, _found(preprocess_of(keras_engine.graph, keras_engine.operation))
    if "torch" in homes:
        from .engines.torch import TorchEngine

        return TorchEngine(model, picture_shape=picture_shape), facts, {}
    if "onnx" in homes or type(model).__name__ == "ModelProto":
        from .engines.onnx import OnnxEngine

        onnx_engine = OnnxEngine(model)
        facts["name"] = model.graph.name or "ModelProto"
        return onnx_engine, facts, _card(onnx_engine.metadata)
    if "tf_keras" in homes:
        raise Unsupported("This is a Keras 2 model (tf_keras). Save it as .h5 and open that file, or load it with Keras 3.")
    raise Unsupported(
        f"Cannot open a {type(model).__module__}.{type(model).__qualname__} as a network. "
        "Give a keras.Model, a torch.nn.Module, an onnx.ModelProto, a file, 'demo', or a name such as 'keras:VGG16'."
    )


def _card(metadata: Mapping[str, str]) -> dict[str, Any]:
    """What a file that this project wrote says of itself."""
    return {key: json.loads(metadata[f"convscope.{key}"]) for key in ("preprocess", "labels") if f"convscope.{key}" in metadata}


def _found(preprocess: tuple[str, str] | None) -> dict[str, Any]:
    """As a card has it: what a network's layers say of the pictures that it expects."""
    if preprocess is None:
        return {}
    name, origin = preprocess
    return {"preprocess": {**PRESETS[name].to_dict(), "origin": origin}}


def _as_preprocess(given: Preprocess | Mapping[str, Any] | str) -> Preprocess:
    if isinstance(given, Preprocess):
        return given
    return Preprocess.parse(given) if isinstance(given, str) else Preprocess.from_dict({"origin": "given", **given})


def input_shape(graph: Graph) -> Shape:
    """(c, *spatial) that the network takes; three channels of any size where it does not say."""
    return graph.layers[0].shape or (3, None, None)


def _need(package: str, extra: str, what: str) -> None:
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise MissingExtra(package, extra, what)


def _need_keras(what: str) -> None:
    _need("keras", "keras", what)
    if "keras" in sys.modules or "KERAS_BACKEND" in os.environ:
        return
    # Keras would take TensorFlow without asking whether it is there; and the file is written by Keras, not by the user.
    backends = [name for name in (_configured_backend(), "tensorflow", "torch", "jax") if name and importlib.util.find_spec(name)]
    if not backends:
        raise MissingExtra("a backend (torch, tensorflow or jax)", "torch", what)
    os.environ["KERAS_BACKEND"] = backends[0]


def _configured_backend() -> str | None:
    try:
        backend = json.loads((Path.home() / ".keras" / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    return backend if backend in ("tensorflow", "torch", "jax") else None


def _near(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" Nor is there a folder '{folder}'."
    return did_you_mean(path.name, [each.name for each in folder.iterdir() if each.suffix.lower() in ENDINGS])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
