"""Networks of Hugging Face by name: "hf:microsoft/resnet-50", or a folder in which one lies, "hf:./folder"."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from torch import nn

from ..downloads import Progress
from ..errors import ModelError, NotAModel, Untrusted
from .torch_hub_preprocess import preprocess_of, reference_of
from .torch_library import Filling, Named, library
from .torch_weights import listed

CONFIG = "config.json"
FILES = [CONFIG, "preprocessor_config.json", "processor_config.json", "*.safetensors", "*.safetensors.index.json"]
PICKLED = ["pytorch_model*.bin", "pytorch_model.bin.index.json"]  # older ones; transformers reads them with weights_only=True


def from_hub(name: str, filling: Filling) -> Named:
    """The network in the repository or folder `name`, with its own weights (of a revision, where a tag says one) or a file's.

    raises   ModelError for a repository that is not there, cannot be fetched or does not fit; Untrusted for one with code of
             its own; NotAModel for a folder that holds none; MissingExtra
    """
    transformers = library("transformers", f"'hf:{name}'", "hf")
    folder = local_folder(name) or fetched(name, filling)
    settings = read_config(folder, trust=filling.trust)
    with quiet(transformers.utils.logging):
        module, notes = made(transformers, folder, settings, filling)
        processor = processor_of(transformers, folder, filling)
    card: dict[str, Any] = {"labels": labels_of(settings)}
    if processor is not None:
        card |= {"preprocess": preprocess_of(processor), "reference": reference_of(processor)}
    size = card.get("preprocess", {}).get("size") or sides(settings)
    shape = (settings.get("num_channels", 3), *size) if size else None
    return filling.into(Named(module, f"hf:{name}", card, shape, notes, trained=filling.file is None))


def local_folder(name: str) -> Path | None:
    """The folder that is meant, if one is. Raises NotAModel for one that holds no network."""
    path = Path(name).expanduser()
    if path.is_dir() and not (path / CONFIG).is_file():
        raise NotAModel(path, f"there is no '{CONFIG}' in it. Give the folder that save_pretrained() wrote.")
    if not path.is_dir() and name.startswith((".", "/", "~")):
        raise NotAModel(path, "there is no such folder.")
    return path if path.is_dir() else None


def fetched(name: str, filling: Filling) -> Path:
    """The folder in Hugging Face's own cache, after a download that goes on where an earlier one broke off."""
    hub = library("huggingface_hub", f"'hf:{name}'", "hf")
    options = {
        "revision": filling.tag,
        "endpoint": os.environ.get("HF_ENDPOINT"),
        "tqdm_class": reporting(hub, filling.progress),
    }
    try:
        with quiet(hub.utils.logging):
            folder = Path(hub.snapshot_download(name, allow_patterns=FILES, **options))
            if filling.file is None and not any(folder.glob("*.safetensors")):
                folder = Path(hub.snapshot_download(name, allow_patterns=FILES + PICKLED, **options))
    except Exception as error:
        raise unreachable(name, filling.tag, error) from error
    if not (folder / CONFIG).is_file():
        raise ModelError(f"'{name}' has no '{CONFIG}', so that it holds no network of transformers. Choose another repository.")
    return folder


def unreachable(name: str, revision: str | None, error: Exception) -> ModelError:
    kind, first = type(error).__name__, str(error).strip().partition("\n")[0]
    said = {
        "GatedRepoError": f"'{name}' is for those who accepted its terms. Accept them on its page, then run: hf auth login",
        "RepositoryNotFoundError": f"Hugging Face has no public repository '{name}'. For a private one run: hf auth login",
        "RevisionNotFoundError": f"'{name}' has no revision '{revision}'. Leave weights= out for its newest one.",
        "HFValidationError": f"'{name}' is no name of a repository: {first} Names are as in 'hf:microsoft/resnet-50'.",
    }
    return ModelError(
        said.get(kind)
        or f"Cannot fetch '{name}' from Hugging Face: {kind}: {first} To do without a network, put its config.json, "
        "preprocessor_config.json and model.safetensors into a folder, and open 'hf:./folder'."
    )


def read_config(folder: Path, *, trust: bool) -> dict[str, Any]:
    """What config.json says. Raises NotAModel; Untrusted where it names code of its author, unless `trust`."""
    try:
        settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NotAModel(folder / CONFIG, f"it is damaged ({error}).") from error
    if not isinstance(settings, dict):
        raise NotAModel(folder / CONFIG, "it holds no object of settings.")
    if settings.get("auto_map") and not trust:
        raise Untrusted(folder, "names code of its author ('auto_map' in config.json)")
    return settings


def made(transformers: Any, folder: Path, settings: Mapping[str, Any], filling: Filling) -> tuple[nn.Module, tuple[str, ...]]:
    """The module, filled unless a file is to fill it, and notes. Raises ModelError, also for weights that do not fit."""
    kind = class_of(transformers, folder, settings)
    trusted = {"trust_remote_code": True} if filling.trust else {}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, **trusted)
        if filling.file is not None:
            return kind.from_config(config, **trusted) if hasattr(kind, "from_config") else kind(config), ()
        module, told = kind.from_pretrained(folder, config=config, local_files_only=True, output_loading_info=True, **trusted)
    except Exception as error:
        first = str(error).strip().partition("\n")[0]
        raise ModelError(f"transformers cannot open '{folder}': {type(error).__name__}: {first}") from error
    kinds = {"missing": "missing_keys", "not expected": "unexpected_keys", "of another shape": "mismatched_keys"}
    said = [f"{len(told[key])} {what}: {listed(sorted(map(str, told[key])))}" for what, key in kinds.items() if told.get(key)]
    if said and not filling.partial:
        raise ModelError(
            f"The weights in '{folder}' do not fit its config.json, a {kind.__name__}. {'; '.join(said)}. Allow it with "
            "partial=True (--partial); what is missing is then random."
        )
    return module, (f"Of the weights in '{folder.name}', {'; '.join(said)}. What is missing is random.",) if said else ()


def class_of(transformers: Any, folder: Path, settings: Mapping[str, Any]) -> Any:
    """The class that the network was saved as. Raises ModelError for one that transformers does not have."""
    (name, *_) = settings.get("architectures") or ["AutoModel"]
    own = settings.get("auto_map") or {}
    if own:
        name = next((each for each in own if each.startswith("AutoModel")), "AutoModel")
    if not hasattr(transformers, name):
        version = settings.get("transformers_version", "not said")
        raise ModelError(
            f"'{folder.name}' is a {name}, which transformers {transformers.__version__} does not have. Install the version that "
            f"it was saved with ({version})."
        )
    return getattr(transformers, name)


def processor_of(transformers: Any, folder: Path, filling: Filling) -> Any:
    """What makes the network's pictures, by Pillow, or None where the folder does not say."""
    trusted = {"trust_remote_code": True} if filling.trust else {}
    if not any((folder / name).is_file() for name in FILES[1:3]):
        return None
    try:
        return transformers.AutoImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True, **trusted)
    except Exception:  # one for texts or sounds
        return None


def labels_of(settings: Mapping[str, Any]) -> list[str] | None:
    """The classes in their order; None where they are only numbered."""
    named = settings.get("id2label") or {}
    labels = [named.get(str(index)) for index in range(len(named))]
    if not labels or None in labels or all(label == f"LABEL_{index}" for index, label in enumerate(labels)):
        return None
    return [str(label) for label in labels]


def sides(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """The size in pixels that config.json says."""
    size = settings.get("image_size")
    if isinstance(size, int):
        return size, size
    return (int(size[0]), int(size[1])) if isinstance(size, list) and len(size) == 2 else None


def reporting(hub: Any, progress: Progress | None) -> Any:
    """Hugging Face's progress bar, silent, and telling `progress` of the bytes."""

    class Reporting(hub.utils.tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **options: Any):
            super().__init__(*arguments, **{**options, "file": StringIO(), "disable": False})

        def update(self, n: float | None = 1) -> Any:
            result = super().update(n)
            if progress and self.total and self.unit == "B":
                progress(int(self.n), int(self.total))
            return result

    return Reporting


@contextmanager
def quiet(logging: Any) -> Iterator[None]:
    """Without what a library prints while it loads, which is said here in other words."""
    level, bars = logging.get_verbosity(), getattr(logging, "is_progress_bar_enabled", lambda: False)()
    logging.set_verbosity_error()
    if bars:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
