"""`make zoo`: the matrix of networks, and how many of their values are read wrongly or not at all.

`run.py torchvision keras-jax` runs some of it; every line is printed as JSON when it is known, and the table at the end. The sums
of each source go to docs/networks.json, of which table.py makes the tables in the documents.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

import results
from matrix import Line
from rich.console import Console
from rich.table import Table

SOURCES = {  # the module, and its function that gives networks
    "torchvision": ("torch_networks", "torchvision_networks"),
    "detection": ("detection_networks", "networks"),
    "timm": ("torch_networks", "timm_networks"),
    "huggingface": ("huggingface_networks", "networks"),
    "keras": ("keras_networks", "networks"),
    "onnx": ("onnx_networks", "networks"),
    "onnx-keras": ("onnx_networks", "keras_networks"),
}


ON_ANOTHER_BACKEND = {"keras-tensorflow": "tensorflow", "keras-jax": "jax"}  # one process sees one
PART = "ZOO_IS_PART"  # set for the process of another backend, whose lines are kept by the one that asked for them


def lines(source: str) -> Iterator[Line]:
    if source in ON_ANOTHER_BACKEND:
        yield from on_another_backend(ON_ANOTHER_BACKEND[source])
        return
    module = importlib.import_module(SOURCES[source][0])
    for name, network in getattr(module, SOURCES[source][1])():
        try:
            yield module.compare(name, network)
        except Exception as error:  # noqa: BLE001 - a network that does not open is a line of the matrix too
            first = str(error).partition("\n")[0]
            yield Line(name, 0, 0, 0, 0.0, f"{type(error).__name__}: {first}"[:110])
        gc.collect()  # what torch.fx traced refers to itself, with all that it recorded


def on_another_backend(backend: str) -> Iterator[Line]:
    """The lines that a process of its own prints."""
    environment = os.environ | {"KERAS_BACKEND": backend, PART: "1"}
    command = [sys.executable, __file__, "keras"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        yield from (Line(**json.loads(line)) for line in process.stderr if line.startswith('{"network"'))
    if process.returncode:
        yield Line(f"keras on {backend}", 0, 0, 0, 0.0, f"the process ended with {process.returncode}")


def main(sources: list[str]) -> None:
    table = Table("network", "outputs compared", "wrong", "missing", "seconds", "")
    total = [0, 0, 0]
    for source in sources or [*SOURCES, *ON_ANOTHER_BACKEND]:
        found = []
        for line in lines(source):
            print(json.dumps(vars(line)), file=sys.stderr, flush=True)
            found.append(line)
            numbers = (line.compared, line.wrong, line.missing)
            total = [before + number for before, number in zip(total, numbers, strict=True)]
            table.add_row(line.network, *map(str, numbers), f"{line.seconds:.1f}", line.note)
        if PART not in os.environ:
            results.keep(source, found)
    table.add_section()
    table.add_row(f"{table.row_count} networks", *map(str, total))
    Console(width=150).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
