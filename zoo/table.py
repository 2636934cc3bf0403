"""The tables of what opens, made of docs/networks.json: `table.py` writes them into the documents, between their marks.

<!-- zoo --> ... <!-- /zoo -->   in docs/networks.md and README.md; a document without the marks is left alone
"""

from __future__ import annotations

import re
from pathlib import Path

import results

ROOT = Path(__file__).parent.parent
DOCUMENTS = (ROOT / "docs" / "networks.md", ROOT / "README.md")
MARKS = re.compile(r"(<!-- zoo -->\n).*?(<!-- /zoo -->)", re.DOTALL)
SOURCES = {  # in the order of the table: the package whose version is told, and what of it
    "torchvision": ("torchvision", "classification and segmentation, whole, without the largest vision transformers"),
    "detection": ("torchvision", "detection"),
    "timm": (
        "timm",
        "the smallest convolutional network of every family and set of kinds of modules, up to 100 million parameters",
    ),
    "huggingface": (
        "transformers",
        "the families with convolutions, plain and with each head, small and from their configuration",
    ),
    "keras": ("keras", "keras.applications on torch"),
    "keras-tensorflow": ("keras", "keras.applications on TensorFlow"),
    "keras-jax": ("keras", "keras.applications on JAX"),
    "onnx": (
        "onnxruntime",
        "files of torchvision and timm by torch's two exporters, one network of each family, against ONNX' own evaluator",
    ),
    "onnx-keras": ("onnxruntime", "files of keras.applications on TensorFlow by tf2onnx, channels last, against the same"),
}


def table() -> str:
    """As Markdown: a row per source, and the sum."""
    rows = ["| library | networks | outputs compared | wrong | missing |", "|---|---|---|---|---|"]
    found, total = results.known(), [0, 0, 0, 0]
    for source, (package, what) in SOURCES.items():
        if source not in found:
            continue
        numbers = [found[source][key] for key in ("networks", "compared", "wrong", "missing")]
        total = [before + number for before, number in zip(total, numbers, strict=True)]
        closed = found[source]["not opened"]
        but = f"; not: {', '.join(sorted(closed))}" if closed else ""
        rows.append(line(f"{package} {found[source]['versions'].get(package, '')}: {what}{but}", numbers))
    return "\n".join([*rows, line("in all", total)]) + "\n"


def line(name: str, numbers: list[int]) -> str:
    return f"| {name} | {' | '.join(f'{number:,}' for number in numbers)} |"


def main() -> None:
    text = table()
    for document in DOCUMENTS:
        before = document.read_text(encoding="utf-8")
        after = MARKS.sub(lambda marks: f"{marks[1]}{text}{marks[2]}", before)
        if after != before:
            document.write_text(after, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
