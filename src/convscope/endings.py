"""Which engine a file is for, by its ending; and what may be meant where there is no such file."""

from __future__ import annotations

from pathlib import Path

from .errors import did_you_mean

ENDINGS = {
    ".onnx": "onnx",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".pt": "torch",
    ".pth": "torch",
    ".th": "torch",
    ".pth.tar": "torch",  # what many training scripts call a checkpoint; it is no archive
    ".ckpt": "torch",
    ".bin": "torch",
    ".pt2": "torch",  # an exported program, which is refused with the way out
    ".safetensors": "torch",
}
SAVED_MODEL = (
    "it is a SavedModel of TensorFlow, a graph that was compiled and has no layers to read. Give the .keras file of the network, "
    "or convert it to ONNX (pip install tf2onnx)."
)


def kind_of(path: Path) -> str | None:
    """Which engine a file is for, by its ending; None for one that is not known."""
    return next((kind for ending, kind in ENDINGS.items() if path.name.lower().endswith(ending)), None)


def way_out(path: Path) -> str:
    """For a file that is not there: one of nearly this name, its folder that is not there either, or a network that is meant."""
    return _near(path) or _named_so(path)


def _named_so(path: Path) -> str:
    """The way out where the name of a network may be meant, "resnet50"."""
    if path.suffix or path.parent != Path():
        return ""
    return f" A network is named with the library that it is of: 'keras:{path}', 'torchvision:{path}' or 'timm:{path}'."


def _near(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f" Nor is there a folder '{folder}'."
    return did_you_mean(path.name, [each.name for each in folder.iterdir() if kind_of(each)])
