"""`convscope.open`: from a live network, a file or a name to a Network. Only the framework that it needs is imported."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import demo
from .core import Engine, Graph
from .digests import Digest
from .endings import ENDINGS, SAVED_MODEL, kind_of, way_out
from .errors import InputError, MissingExtra, NotAModel, Shape, Unsupported, WrongOption
from .labels import Labels, read_labels
from .methods.asked import check_labels
from .methods.scores import class_count
from .methods.sizes import check_size
from .network import Network
from .paths import file_or_tag, is_address, path_of
from .pictures import Preprocess, from_card, is_picture
from .pictures.preprocess import PRESETS
from .results import NetworkInfo

NO_CONVOLUTIONS = "Its table has no convolutions, so that there are no filters and no blocks; its layers are read with at='all'."
# Of one input, of several in the order in which a torch module's forward takes them, or by their names there.
PictureShape = Shape | Sequence[Shape] | Mapping[str, Shape]
RANDOM = "Its weights are random, so that nothing here was learned. Give weights='imagenet' or a file (--weights)."


def open(  # noqa: A001 - `convscope.open` reads as what it does
    model: Any = "demo",
    *,
    weights: str | Path | None = None,
    labels: Labels | None = None,
    preprocess: Preprocess | Mapping[str, Any] | str | None = None,
    picture_shape: PictureShape | None = None,
    architecture: Any = None,
    partial: bool = False,
    trust: bool = False,
    via: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Network:
    """Open a network where it lives.

    model           a live keras.Model, torch.nn.Module or onnx.ModelProto; a file (.onnx, .keras, .h5, .pt);
                    "demo", the built-in network; or a name: "keras:VGG16", "torchvision:resnet18", "timm:resnet50",
                    "hf:microsoft/resnet-50", or a folder that transformers wrote, "hf:./folder", with its own weights
    weights         for a name: None for random ones, "imagenet", a tag that its library knows, or a file
    labels          names of the classes in the order of the outputs; a file with one per line; or the folder or .zip of
                    pictures that the network was trained on, with a folder per class
    preprocess      what is done to pictures, if what is known of the network is not enough: a Preprocess, its dict,
                    or a name such as "caffe", "0..1", "-1..1"
    picture_shape   (c, h, w), for a torch module that does not say what it takes; for one with several inputs a list of such, or
                    {parameter of forward: shape}
    architecture    for a file that holds weights only (.pth, .safetensors, .weights.h5): the name of the network that they
                    are of, as above; "my.module:build", a function or class of yours, or that itself; or a live network
    partial         let weights be missing or left over; the provenance says which
    trust           open files that run code of their author: pickled modules, Lambda layers
    via             "torch" converts an ONNX network, for gradients; every value is checked against ONNX Runtime's before use
    progress        called with (bytes done, bytes in all) while weights are downloaded
    raises          ModelError and its kinds: NotAModel, Untrusted, Unsupported, MissingExtra; InputError
    """
    if isinstance(model, Network):
        return model
    how = How(file_or_tag(weights), architecture, picture_shape, partial, trust, progress, via)
    check_via(model, via)
    engine, facts, card = _engine(model, how)
    check_size(engine.graph, picture_shape)
    given = _as_preprocess(preprocess) if preprocess is not None else None
    known = given or from_card(card, input_shape(engine.graph))
    names = read_labels(labels) if labels is not None else card.get("labels")
    if names is not None:
        check_labels(names, class_count(engine.graph))
    assumed: str | None = getattr(engine, "assumed", None)
    convolutions = any(row.is_convolution for row in engine.graph)
    found = [assumed] * bool(assumed) + [NO_CONVOLUTIONS] * (not convolutions)
    notes = (*facts.pop("notes", ()), *getattr(engine, "notes", ()), *found)
    info = NetworkInfo(framework=engine.framework, graph=engine.graph, notes=notes, **facts)
    return Network(engine, info, known.fitted(input_shape(engine.graph)), names)


@dataclass(frozen=True)
class How:
    """What `open` was told besides the network."""

    weights: str | Path | None = None
    architecture: Any = None
    picture_shape: PictureShape | None = None
    partial: bool = False
    trust: bool = False
    progress: Callable[[int, int], None] | None = None
    via: str | None = None


# An engine; the network's name, source, sha256 and notes; and what is known of it: its preprocess and labels.
Opened = tuple[Engine, dict[str, Any], dict[str, Any]]


def _engine(model: Any, how: How) -> Opened:
    if is_address(model):
        raise NotAModel(model, "it is an address, and nothing is downloaded from there. Download it and give the file.")
    if isinstance(model, str) and ":" in model and not os.path.exists(model):
        return _named(model, how)
    if how.weights is not None:
        raise InputError(
            "Weights can only be given for a network opened by name, such as 'keras:VGG16'. To open a file of weights, say "
            "which architecture they are of.",
            received=how.weights,
        )
    if isinstance(model, str) and model == "demo":
        return _file(demo.MODEL, how, name="demo", source="built in")
    if isinstance(model, str | os.PathLike):
        if not os.fspath(model):
            raise NotAModel("", "the name is empty. Give a file, 'demo', or a name such as 'keras:VGG16'.")
        path = path_of(model, "A network")
        return _file(path, how, name=path.stem, source=path.name)
    return _live(model, how)


def _file(path: Path, how: How, *, name: str, source: str) -> Opened:
    if os.path.isdir(path):
        saved = os.path.isfile(path / "saved_model.pb")
        raise NotAModel(path, SAVED_MODEL if saved else "it is a folder. Give the file of the network.")
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        raise NotAModel(path, f"there is no such file.{way_out(path)}") from None
    except OSError as error:
        raise NotAModel(path, f"it cannot be read ({error.strerror}). Check its name and who may read it.") from error
    kind = kind_of(path)
    if kind is None:
        raise NotAModel(path, f"its ending is '{path.suffix}', but known are {', '.join(ENDINGS)}.")
    digest = Digest(path)
    engine, facts, card = _from_file(path, kind, how, {"name": name, "source": source})
    return engine, facts | {"sha256": digest.value()}, card


def _from_file(path: Path, kind: str, how: How, facts: dict[str, Any]) -> Opened:
    if how.architecture is not None:
        engine, of_network, card = _weights(path, kind, how)
        return engine, of_network | {"name": facts["name"]}, card
    if kind == "onnx":
        from .engines import onnx_files

        onnx_engine = onnx_files.opened(path, via=how.via)
        facts["source"] += ", converted from ONNX" if how.via else ""
        return onnx_engine, facts, onnx_engine.card
    if kind == "keras":
        from .engines.keras_setup import settle

        settle(f"'{path.name}'")
        from .engines.keras_files import load
        from .engines.keras_preprocess import preprocess_of

        keras_engine = load(path, trust=how.trust)
        return keras_engine, facts, _found(preprocess_of(keras_engine))
    _need("torch", "torch", f"'{path.name}'")
    from .engines import torch_files

    return torch_files.load(path, trust=how.trust, picture_shape=how.picture_shape), facts, {}


def _weights(path: Path, kind: str, how: How) -> Opened:
    """The network `how.architecture` with the weights in a file."""
    given = how.architecture
    homes = {given.partition(":")[0]} if isinstance(given, str) else _homes(given)
    of_keras, of_torch = "keras" in homes, not homes.isdisjoint(("torch", "torchvision", "timm", "hf"))
    if kind == "onnx" or (of_torch and not of_keras if kind == "keras" else of_keras):  # Keras' layers are torch's too, on torch
        what = given if isinstance(given, str) else type(given).__name__
        raise InputError(
            f"The weights in '{path}' cannot go into '{what}': .h5 files are for networks of Keras, .pth and "
            ".safetensors files for torch, and an ONNX file holds its network.",
            received=what,
        )
    return (_keras_named if kind == "keras" else _torch_named)(given, replace(how, weights=path))


def _named(name: str, how: How) -> Opened:
    library = name.partition(":")[0]
    if library == "keras":
        return _keras_named(name, how)
    if library in ("torchvision", "timm", "hf") or how.architecture is not None:
        return _torch_named(name, how)
    raise NotAModel(
        name,
        f"there is no such file, and '{library}:' is no known source. Known are 'keras:', 'torchvision:', 'timm:' and 'hf:', "
        "as in 'keras:VGG16'.",
    )


def _keras_named(name: Any, how: How) -> Opened:
    from .engines.keras_setup import settle

    settle(f"'{name}'")
    from .engines.keras_files import imagenet_labels, named
    from .engines.keras_preprocess import preprocess_of

    found = named(name, weights=None if how.weights is None else str(how.weights), partial=how.partial, progress=how.progress)
    facts = {"name": name if isinstance(name, str) else found.engine.model.name, "source": found.source}
    card = _found(preprocess_of(found.engine))
    if how.weights == "imagenet":
        card["labels"] = imagenet_labels()
    return found.engine, facts | {"notes": found.notes if how.weights else (RANDOM,)}, card


def _torch_named(name: Any, how: How) -> Opened:
    _need("torch", "torch", f"'{name}'")
    from .engines.torch import TorchEngine
    from .engines.torch_library import Filling
    from .engines.torch_names import named

    weights = None if how.weights is None else str(how.weights)
    found = named(name, Filling(weights, how.partial, how.trust, how.progress))
    engine = TorchEngine(found.module, picture_shape=how.picture_shape or found.picture_shape)
    trained = weights or found.trained
    source = found.source if trained else f"{found.source}, weights: random"
    facts = {"name": name if isinstance(name, str) else found.source, "source": source}
    return engine, facts | {"notes": found.notes if trained else (RANDOM,)}, dict(found.card)


def _live(model: Any, how: How) -> Opened:
    homes = _homes(model)
    facts = {"name": getattr(model, "name", None) or type(model).__name__, "source": f"a live {type(model).__name__}"}
    if "keras" in homes:
        from .engines.keras_setup import check_version

        check_version(f"This {type(model).__name__}")
        from .engines.keras import KerasEngine
        from .engines.keras_preprocess import preprocess_of

        keras_engine = KerasEngine(model, picture_shape=how.picture_shape)
        return keras_engine, facts, _found(preprocess_of(keras_engine))
    if "torch" in homes:
        from .engines.torch import TorchEngine

        return TorchEngine(model, picture_shape=how.picture_shape), facts, {}
    if "onnx" in homes or type(model).__name__ == "ModelProto":
        from .engines.onnx import OnnxEngine
        from .engines.onnx_files import through

        onnx_engine = through(OnnxEngine(model), how.via)
        facts["name"] = model.graph.name or "ModelProto"
        return onnx_engine, facts, onnx_engine.card
    if "tf_keras" in homes:
        raise Unsupported("This is a Keras 2 model (tf_keras). Save it as .h5 and open that file.")
    raise Unsupported(
        f"Cannot open a {type(model).__module__}.{type(model).__qualname__} as a network. "
        "Give a keras.Model, a torch.nn.Module, an onnx.ModelProto, a file, 'demo', or a name such as 'keras:VGG16'."
    )


def _homes(model: Any) -> set[str]:
    """The packages that its class and the bases of that are of."""
    return {base.__module__.partition(".")[0] for base in type(model).__mro__}


def check_via(model: Any, via: str | None) -> None:
    if via is None:
        return
    if via != "torch":
        raise WrongOption("via", via, ["torch"])
    is_path = isinstance(model, str | os.PathLike)
    if type(model).__name__ != "ModelProto" and not (is_path and (model == "demo" or Path(model).suffix.lower() == ".onnx")):
        raise InputError(
            "via='torch' converts ONNX networks, and this is none. Open it without: its own framework has gradients."
        )


def _found(preprocess: tuple[str, str] | None) -> dict[str, Any]:
    """As a card has it: what a network's layers say of the pictures that it expects."""
    if preprocess is None:
        return {}
    name, origin = preprocess
    return {"preprocess": {**PRESETS[name].to_dict(), "origin": origin}}


def _as_preprocess(given: Preprocess | Mapping[str, Any] | str) -> Preprocess:
    if isinstance(given, Preprocess):
        return given
    if not isinstance(given, str | Mapping):
        raise InputError(f"What is done to pictures is said by a Preprocess, its dict or a name, but received {given!r}.",
                         received=given)  # fmt: skip
    return Preprocess.parse(given) if isinstance(given, str) else Preprocess.from_dict({"origin": "given", **given})


def input_shape(graph: Graph) -> Shape:
    """(c, *spatial) of the pictures that the network takes; three channels of any size where it does not say."""
    shapes = [row.shape for row in graph.inputs]
    return next((shape for shape in shapes if shape and is_picture(shape)), shapes[0]) or (3, None, None)


def _need(package: str, extra: str, what: str) -> None:
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise MissingExtra(package, extra, what)
