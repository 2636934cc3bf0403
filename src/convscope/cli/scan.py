"""`scan`, `units`, `top` and `export`: a network over a whole data set, and what was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError, Unsupported
from ..progress import Steps
from .app import app
from .opened import Given, open_network
from .options import Architecture, At, Json, Labels, Model, Partial, Preprocessing, Shape, Trust, Weights
from .printing import print_json, print_notes

Folder = Annotated[Path, typer.Argument(help="The folder of a scan.")]
Pictures = Annotated[  # a text, since a Path makes one slash of the two in s3://
    str,
    typer.Argument(help="A folder with a folder per class, a zip or tar of one, or a CSV or Parquet of paths and labels."),
]


@app.command()
def scan(
    pictures: Pictures,
    model: Model = "demo",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the scan. One that was stopped goes on.")] = Path(
        "scan"
    ),
    at: At = None,
    top: Annotated[int, typer.Option(min=1, help="How many top pictures are kept for each unit.")] = 9,
    raw: Annotated[bool, typer.Option("--raw", help="Read convolutions before the activation that follows them.")] = False,
    maps: Annotated[str, typer.Option(help="Layers whose mean map per class is kept: last, blocks, a name, none.")] = "last",
    features: Annotated[str, typer.Option(help="Layers whose pooled values are kept for every picture.")] = "blocks",
    speaking: Annotated[
        str | None, typer.Option(help="Layers of which it is asked too what they speak for: the answer, and each class.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures at once; else as many as fit into 1 GB.")] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: Ray Data, on one machine or many.")] = "local",
    weights: Weights = None,
    architecture: Architecture = None,
    partly: Partial = False,
    labels: Labels = None,
    preprocess: Preprocessing = None,
    shape: Shape = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Find out what each unit does over all PICTURES: its top pictures, when it fires, for which class it is."""
    from ..scan.ray import Ray

    with Steps() as steps:
        given = Given(weights, architecture, partly, shape, trust)
        network = open_network(steps, model, given, labels, preprocess)
        steps.begin("Scanning")
        options: dict[str, Any] = {"maps": none_or(maps), "features": none_or(features), "batch": batch, "engine": engine}
        names = [name for each in at or ["convs"] for name in each.split(",")]
        if engine == "ray":
            options["engine"] = Ray(open=partial(opened, model, given, labels, preprocess))
        with stoppable(out):
            found = network.scan(pictures, names, out=out, k=top, activated=not raw, progress=Pace(steps), **options)
            speak(found, steps, speaking)
    if as_json:
        facts = {"scan": str(out), "scanned": found.record["scanned"], "skipped": found.skipped, "accuracy": found.accuracy}
        print_json({**facts, "left_out": found.left_out}, network)
        return
    print_scan(found)
    print_notes(network)


@contextmanager
def stoppable(out: Path) -> Iterator[None]:
    """Ctrl-C leaves a scan that goes on."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"convscope: stopped. What was finished is in '{out}', and the same command goes on there.", file=sys.stderr)
        sys.exit(130)


def print_scan(found: Any) -> None:
    print(found)
    for what, units in (("dead", found.dead()), ("nearly dead", found.nearly_dead()), ("always on", found.always_on())):
        print(f"  {what}: {', '.join(f'{len(each)} in {layer}' for layer, each in units.items()) or 'none'}")


def opened(model: str, given: Given, labels: Path | None, preprocess: str | None) -> Any:
    """The network, where a worker is."""
    return open_network(Steps(), model, given, labels, preprocess)


def speak(found: Any, steps: Steps, layers: str | None) -> None:
    """Ask for relevance and the mean Grad-CAM of the classes, and put it on the page."""
    for layer in layers.split(",") if layers else ():
        steps.begin(f"Relevance in {layer}")
        found.relevance(layer, progress=steps)
        steps.begin(f"Grad-CAM in {layer}")
        try:
            found.class_cams(layer, progress=steps)
        except Unsupported as error:  # the lists are there without
            print(f"convscope: {error}", file=sys.stderr)
    if layers:
        found.page()


class Pace:
    """Progress with pictures per second and the time that is left."""

    def __init__(self, steps: Steps):
        self._steps, self._start, self._first = steps, time.monotonic(), 0

    def __call__(self, done: int, total: int) -> None:
        if not self._first:
            self._start, self._first = time.monotonic(), done
        seconds = time.monotonic() - self._start
        if seconds > 1:
            rate = (done - self._first) / seconds
            left = f", {(total - done) / rate / 60:.0f} min left" if rate and total > done else ""
            self._steps.say(f"Scanning, {rate:.1f} pictures/s{left}")
        self._steps(done, total)


def none_or(text: str) -> Any:
    return None if text == "none" else text.split(",") if "," in text else text


@app.command()
def units(
    folder: Folder,
    layer: Annotated[str | None, typer.Option(help="Only the units of this layer.")] = None,
    sort: Annotated[str, typer.Option(help="A column; the greatest first.")] = "selectivity",
    first: Annotated[int, typer.Option(min=0, help="How many rows; 0 for all.")] = 20,
    as_json: Json = False,
) -> None:
    """Print the table of a scan's units, sorted by a column."""
    from ..scan.result import Scan

    found = Scan(folder)
    table = (found.of(layer) if layer else found.units).sort(sort)
    rows = table.to_dicts()[: first or None]
    if as_json:
        print_json(rows)
        return
    shown = [name for name in SHOWN if name != sort]
    print_rows([*shown[:2], sort, *shown[2:]], rows)
    print(f"{table.rows} units. All columns: --json, or {folder / 'units.parquet'}")


SHOWN = ("layer", "unit", "mean", "max", "fires_pictures", "fires_positions", "best_class", "top_precision", "top_class")


def print_rows(names: list[str], rows: list[dict[str, Any]]) -> None:
    from ..scan.table import text

    cells = [names, *([text(row[name]) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for row in cells:
        print("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@app.command()
def top(
    folder: Folder,
    layer: Annotated[str, typer.Argument(help="A layer of the scan.")],
    unit: Annotated[int, typer.Argument(help="The number of a unit.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The picture to write: .png, .jpg or .webp.")] = None,
    label: Annotated[str | None, typer.Option("--class", help="Only pictures of this class.")] = None,
    by: Annotated[str, typer.Option(help="maximum, or relevance: what it speaks for the answer.")] = "maximum",
    as_json: Json = False,
) -> None:
    """Draw what drives UNIT of LAYER most: the parts of pictures that it saw, the strongest first."""
    from ..scan.result import Scan

    found = Scan(folder).top(layer, unit, label=label, by=by)  # type: ignore[arg-type]
    path = None if as_json and out is None else found.sheet().save(out or Path(f"{layer.replace('/', '_')}-{unit}.png"))
    if as_json:
        print_json(found.rows.to_dicts())
        return
    print_rows(["rank", "value", "name", "label", "y", "x"], found.rows.to_dicts())
    print(path)


@app.command()
def export(
    folder: Folder,
    layer: Annotated[str, typer.Argument(help="A layer whose features the scan kept.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file: .parquet, .csv or .npz.")] = Path("features.parquet"),
    components: Annotated[int | None, typer.Option(min=1, help="Reduce to so many principal components.")] = None,
    as_json: Json = False,
) -> None:
    """Write the pooled values of a layer for every picture, for kNN, SVM, clustering."""
    from ..scan.result import Scan

    if out.suffix not in (".parquet", ".csv", ".npz"):
        raise InputError(f"Features are written as .parquet, .csv or .npz, but received '{out.name}'.", received=out.suffix)
    found = Scan(folder).embed(layer)
    path = found.export(out, components=components)
    if as_json:
        pictures, width = found.values.shape
        print_json({"layer": layer, "pictures": pictures, "columns": components or width, "file": str(path)})
        return
    print(path)
