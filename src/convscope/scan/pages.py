"""The page of a scan: index.html, and beside it a file of numbers for each layer, which is read when that layer is looked at.

The files are scripts that call `found(key, value)`: a page that is opened from a disk may read nothing else.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import WrongOption
from .class_pages import class_sheets
from .finishing import put
from .store import Store
from .tops import spoken_before

if TYPE_CHECKING:
    from .plan import Part
    from .result import Scan

MOST_POINTS = 20_000  # of the embedding: more is no picture any longer
NEIGHBOURS = 6
COLUMNS = (
    "mean", "std", "max", "max_mean", "max_std", "max_q50", "max_q95", "fires_pictures", "fires_positions", "selectivity",
    "top_precision", "information",
)  # fmt: skip
WAYS = ("pca", "tsne", "umap")


def write_page(scan: Scan, embedding: str = "pca") -> None:
    """Write index.html and page/*.js. Raises WrongOption, MissingExtra, OutputError."""
    from ..site.scan import render

    if embedding not in WAYS:
        raise WrongOption("The embedding of a scan's page", embedding, WAYS)
    store = Store(scan.folder)

    def write(name: str, value: Any) -> None:
        text = f"found({json.dumps(name)}, {json.dumps(value, separators=(',', ':'))});\n"
        store.write(f"page/{name}.js", partial(put, text.encode()), sync=False)

    for number, part in enumerate(scan.plan.parts):
        write(f"layer{number}", layer(scan, part))
    write(
        "pictures",
        {"names": scan.pictures["name"].tolist(), "numbers": scan.pictures["picture"].tolist(), "labels": labels(scan)},
    )
    said = None
    if scan.plan.features:
        said, found = points(scan, embedding)
        write("embedding", found)
    told = {**facts(scan), "embedding": said, "class_sheets": class_sheets(scan, store)}
    store.write("index.html", partial(put, render(told).encode()))


def facts(scan: Scan) -> dict[str, Any]:
    """What the page says at once, small enough to stand within it."""
    units = scan.units
    return {
        "convscope": scan.record["convscope"],
        "network": scan.record["network"],
        "preprocess_text": scan.record["preprocess_text"],
        "preprocess_assumed": scan.record["preprocess"]["origin"] == "assumed",
        "pictures": scan.record["pictures"],
        "scanned": scan.record["scanned"],
        "skipped": scan.record["skipped"],
        "left_out": list(dict.fromkeys(scan.left_out.values())),
        "created": scan.record["created"],
        "accuracy": scan.accuracy,
        "classes": list(scan.plan.classes),
        "size": list(scan.plan.size),
        "units": scan.plan.units,
        "k": scan.plan.k,
        "columns": list(COLUMNS),
        "layers": [
            {
                "layer": part.layer,
                "read_at": part.read_at,
                "activated": part.activated,
                "units": part.units,
                "spatial": list(part.spatial),
                **{name: sum(bool(each) for each in units[name][part.place]) for name in ("dead", "nearly_dead", "always_on")},
            }
            for part in scan.plan.parts
        ],
    }


def layer(scan: Scan, part: Part) -> dict[str, Any]:
    """All numbers of a layer's units, by column."""
    table, top = scan.of(part.layer), scan.statistics.top
    field = scan.field(part.layer)
    return {
        "layer": part.layer,
        "columns": {name: [rounded(each) for each in table[name]] for name in COLUMNS},
        "flags": {
            name: [None if each is None else bool(each) for each in table[name]] for name in ("dead", "nearly_dead", "always_on")
        },
        "best": numbers_of(scan, table["best_class"]),
        "top": {
            "pictures": top.pictures[:, part.place].T.tolist(),
            "values": [[rounded(each) for each in row] for row in top.values[:, part.place].T],
            "positions": top.positions[:, part.place].T.tolist(),
        },
        "relevance": relevance(scan, part),
        "field": None if field is None else field.to_dict(),
        "histogram": histograms(scan, part),
        "classes": [[rounded(each) for each in row] for row in scan.class_means(part.layer).T] if labelled(scan) else None,
        "neighbours": neighbours(scan, part),
        "kernel": kernel(scan, part),
    }


def relevance(scan: Scan, part: Part) -> dict[str, Any] | None:
    """The same lists by what the units speak for the answers, and in words by which measure; None where that was not asked."""
    found = spoken_before(scan, part)
    if found is None:
        return None
    top = found.value
    return {
        "said": found.said,
        "pictures": top.pictures.T.tolist(),
        "values": [[rounded(each) for each in row] for row in top.values.T],
        "positions": top.positions.T.tolist(),
    }


def histograms(scan: Scan, part: Part) -> list[list[int]]:
    """Of each unit the first bin that is not empty, and the counts from there to the last one."""
    counts = np.asarray(scan.statistics.histogram.counts)[part.place]
    result = []
    for row in counts:
        there = np.flatnonzero(row)
        first, last = int(there[0]), int(there[-1])
        result.append([first, *row[first : last + 1].tolist()])
    return result


def neighbours(scan: Scan, part: Part) -> list[list[float]] | None:
    """Of each unit [unit, correlation, unit, correlation, ...], the closest first."""
    if not scan.plan.pairs:
        return None
    together = scan.correlation(part.layer)
    alive = np.diag(together) > 0
    off = np.where(alive[:, None] & alive & ~np.eye(part.units, dtype=bool), together, -2.0)
    order = np.argsort(-off, axis=1, kind="stable")[:, :NEIGHBOURS]
    return [
        [x for other in row if off[unit, other] > -2 for x in (int(other), rounded(off[unit, other]))]
        for unit, row in enumerate(order)
    ]


def kernel(scan: Scan, part: Part) -> dict[str, Any] | None:
    """The slices of each unit's kernel that weigh most, as whole numbers of -127 to 127 of its largest absolute value."""
    path = scan.folder / "kernels.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        if f"{part.layer}/slices" not in arrays:
            return None
        slices, inputs, of = (arrays[f"{part.layer}/{name}"] for name in ("slices", "inputs", "of"))
    largest = np.abs(slices).max((1, 2, 3))
    scaled = np.rint(slices / np.where(largest > 0, largest, 1)[:, None, None, None] * 127).astype(int)
    return {
        "of": int(of),
        "inputs": inputs.tolist(),
        "largest": [rounded(each) for each in largest],
        "size": list(slices.shape[2:]),
        "values": scaled.reshape(len(slices), slices.shape[1], -1).tolist(),
    }


def points(scan: Scan, way: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The pictures as points of the plane, from what the last kept layer says of them: the words beside them, and the points."""
    embedding = scan.embed()
    note = ""
    if way == "pca":
        found = embedding.pca(min(2, embedding.values.shape[1]))
        places = found.points
        note = f"the first two principal components, which hold {found.shares.sum():.0%} of the variance"
    else:
        places = embedding.tsne() if way == "tsne" else embedding.umap()
        note = f"{'t-SNE' if way == 'tsne' else 'UMAP'}: only neighbourhoods mean something, distances between groups do not"
    kept = np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_POINTS)).astype(int))
    left_out = f"; {len(kept):,} of {len(places):,} pictures, evenly spread" if len(kept) < len(places) else ""
    shown = set(scan.top_pictures["picture"].tolist())  # the others have no thumbnail
    second = places[kept, 1] if places.shape[1] > 1 else np.zeros(len(kept))
    numbers = np.array(labels(scan))[kept]
    said = {"layer": embedding.layer, "note": note + left_out, "labels": np.unique(numbers[numbers >= 0]).tolist()}
    return said, {
        "x": [rounded(each) for each in places[kept, 0]],
        "y": [rounded(each) for each in second],
        "label": numbers.tolist(),
        "picture": [int(each) if each in shown else -1 for each in scan.pictures["picture"][kept]],
    }


def labels(scan: Scan) -> list[int]:
    return numbers_of(scan, scan.pictures["label"])


def numbers_of(scan: Scan, names: Any) -> list[int]:
    """Of names of classes their numbers, -1 for none."""
    numbers = {name: number for number, name in enumerate(scan.plan.classes)}
    return [numbers.get(name, -1) for name in names]


def labelled(scan: Scan) -> bool:
    return bool(np.asarray(scan.statistics.classes.counts).any())


def rounded(value: Any) -> Any:
    """Four digits; None for what is not known."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.4g}")
