"""The tables of a scan: from what was counted to columns, and from columns to Parquet. docs/scan.md says what each column is."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import MissingExtra
from .plan import Plan
from .selectivity import class_means, class_selectivity, mutual_information, top_precision
from .shards import Statistics
from .statistics import Moments

Columns = dict[str, Any]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
NEARLY = 0.001  # a unit that fires in a smaller share of the pictures is nearly dead


def unit_columns(
    plan: Plan, statistics: Statistics, labels: npt.NDArray[np.int64], silenced: Mapping[str, tuple[int, ...] | None]
) -> Columns:
    """A row per unit. Where nothing is known, None: before an activation no unit is dead.

    labels     by the number of the picture, -1 for none
    silenced   per layer the units that no picture can make fire, None where that is not known
    """
    count, means, peaks = statistics.means.count, statistics.means, statistics.peaks
    activated = per_unit(plan, [part.activated for part in plan.parts])
    pictures = np.asarray(statistics.firing.pictures) / max(count, 1)
    positions = np.asarray(statistics.firing.shares) / max(count, 1)
    # After a SiLU, an ELU or the like maps are also negative, and a unit that is never above zero is not switched off by that.
    # A map that is nowhere above zero and whose mean is not below it is zero everywhere.
    rectified = wide(means.least, plan) >= 0
    columns: Columns = {
        "layer": per_unit(plan, [part.layer for part in plan.parts]),
        "unit": np.concatenate([np.arange(part.units) for part in plan.parts]),
        "read_at": per_unit(plan, [part.read_at for part in plan.parts]),
        "activated": activated,
        "mean": wide(means.mean, plan),
        "std": wide(means.std, plan),
        "max": wide(peaks.greatest, plan),
        "max_mean": wide(peaks.mean, plan),
        "max_std": wide(peaks.std, plan),
        **{f"max_q{round(100 * share):02d}": inside(statistics.histogram.quantile(share), peaks) for share in QUANTILES},
        "fires_pictures": known(pictures, activated),
        "fires_positions": known(positions, activated),
        "dead": known((pictures == 0) & rectified, activated),
        "proven_dead": np.concatenate([told(part.units, silenced.get(part.layer)) for part in plan.parts]),
        "nearly_dead": known((pictures > 0) & (pictures < NEARLY) & rectified, activated),
        "always_on": known(np.asarray(statistics.firing.everywhere) == count, activated),
    }
    return columns | class_columns(plan, statistics, labels, activated)


def class_columns(plan: Plan, statistics: Statistics, labels: npt.NDArray[np.int64], activated: Any) -> Columns:
    nothing = np.zeros(plan.units, bool)
    if not plan.classes or not np.asarray(statistics.classes.counts).any():
        names = ("selectivity", "best_class", "top_precision", "top_class", "information")
        return {name: known(np.full(plan.units, None), nothing) for name in names}
    selectivity, best = class_selectivity(class_means(statistics.classes))
    # The rest of the list of a unit that fires in few pictures is those of the lowest numbers, which are all of the first class.
    fires = ~activated | (statistics.top.values != 0)
    precision, top_class = top_precision(np.where(fires, labels[statistics.top.pictures], -1))
    information = mutual_information(statistics.classes)
    return {
        "selectivity": known(selectivity, activated & ~np.isnan(selectivity)),
        "best_class": known(named(best, plan.classes), activated & (best >= 0)),
        "top_precision": known(precision, ~np.isnan(precision)),
        "top_class": known(named(top_class, plan.classes), top_class >= 0),
        "information": known(information, activated),
    }


def top_columns(plan: Plan, statistics: Statistics, names: Mapping[int, str], labels: npt.NDArray[np.int64]) -> Columns:
    """A row per unit and place in its top list, the greatest first."""
    top = statistics.top
    length = len(top.values)
    layers = np.repeat(per_unit(plan, [part.layer for part in plan.parts]), length)
    pictures = top.pictures.T.reshape(-1)
    places = [places_of(top.positions[:, part.place].T.reshape(-1), part.spatial) for part in plan.parts]
    return {
        "layer": layers,
        "unit": np.repeat(np.concatenate([np.arange(part.units) for part in plan.parts]), length),
        "rank": np.tile(np.arange(length), plan.units),
        "value": top.values.T.reshape(-1),
        "mean": top.means.T.reshape(-1),
        "picture": pictures,
        "name": np.array([names[int(number)] for number in pictures], object),
        "label": known(named(labels[pictures], plan.classes), labels[pictures] >= 0),
        "position": top.positions.T.reshape(-1),
        "y": np.concatenate([y for y, _ in places]),
        "x": np.concatenate([x for _, x in places]),
    }


def places_of(positions: Any, spatial: tuple[int, ...]) -> tuple[Any, Any]:
    """Row and column of a position in a map of two axes; with one axis the row is 0, and in a dense layer both are."""
    if len(spatial) == 2:
        y, x = np.unravel_index(positions, spatial)
        return y, x
    return np.zeros_like(positions), positions if spatial else np.zeros_like(positions)


def picture_columns(plan: Plan, rows: Iterable[Mapping[str, Any]], outputs: Sequence[str] | None) -> Columns:
    """A row per picture that was scanned."""
    parts = list(rows)
    numbers, labels, answers, probability = (
        np.concatenate([part[name] for part in parts]) for name in ("numbers", "labels", "answers", "probability")
    )
    right = np.array([*plan.right, -1])
    expected = right[labels] if plan.outputs else np.full(len(labels), -1)
    return {
        "picture": numbers,
        "name": np.concatenate([part["names"] for part in parts]).astype(object),
        "label": known(named(labels, plan.classes), labels >= 0),
        "answer": known(named(answers, outputs or [f"class {number}" for number in range(plan.outputs)]), answers >= 0),
        "probability": known(probability, answers >= 0),
        "right": known(answers == expected, (expected >= 0) & (answers >= 0)),
    }


def per_unit(plan: Plan, values: Sequence[Any]) -> npt.NDArray[Any]:
    """One value per layer, repeated for its units."""
    kind = object if values and isinstance(values[0], str) else None
    return np.repeat(np.array(values, kind), [part.units for part in plan.parts])


def wide(value: Any, plan: Plan) -> npt.NDArray[np.float64]:
    return np.broadcast_to(np.asarray(value, np.float64), (plan.units,))


def told(units: int, which: tuple[int, ...] | None) -> npt.NDArray[Any]:
    """(units,) whether each is among `which`; None where that is not known."""
    return np.array([None if which is None else unit in which for unit in range(units)], object)


def inside(quantiles: npt.NDArray[np.float64], peaks: Moments) -> npt.NDArray[np.float64]:
    """The ends of the outermost bins lie beyond what was seen, which is known exactly."""
    return np.clip(quantiles, peaks.least, peaks.greatest)


def known(values: npt.NDArray[Any], where: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The values, None where they mean nothing."""
    result = np.asarray(values).astype(object)
    result[~np.asarray(where, bool)] = None
    return result


def named(numbers: npt.NDArray[Any], names: Sequence[str]) -> npt.NDArray[Any]:
    return np.array([*names, None], object)[np.where((numbers >= 0) & (numbers < len(names)), numbers, -1)]


def parquet(columns: Columns, about: Mapping[str, str]) -> bytes:
    """The table as a Parquet file. Raises MissingExtra."""
    arrow, files = arrow_package()
    table = arrow.table({name: arrow.array(list(values)) for name, values in columns.items()})
    content = io.BytesIO()
    files.write_table(table.replace_schema_metadata(dict(about)), content)
    return content.getvalue()


def read_parquet(path: Any) -> Columns:
    """The columns of a file, as NumPy arrays; object arrays with None where values are missing."""
    _, files = arrow_package()
    table = files.read_table(path)
    return {name: table[name].to_numpy() if not table[name].null_count else objects(table[name]) for name in table.column_names}


def objects(column: Any) -> npt.NDArray[Any]:
    return np.array(column.to_pylist(), object)


def arrow_package() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", "scan", "A scan") from error
    return pyarrow, pyarrow.parquet
