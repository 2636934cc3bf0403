"""What the command line prints: for people, and as JSON for programs."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from ..network import Network
from ..results import Filters, MapSet
from .streams import has_every_letter


def print_look(network: Network, maps: MapSet) -> None:
    for number, picture in enumerate(maps.pictures):
        print(f"{picture.name}: what {network.info.name} takes it for" if maps.answers else picture.name)
        if maps.answers:
            print_answers(maps.answers[number])
        for note in picture.notes:
            print(f"  note: {note}")
        print()
    print_maps(maps)
    print_notes(network, answered=bool(maps.answers))


def print_answers(row: Any) -> None:
    for answer in row:
        print(f"  {answer.probability:7.2%}  {'#' * round(answer.probability * 30):30}  {answer.label}")


def print_maps(maps: MapSet) -> None:
    dead_of = "dead" if len(maps.pictures) == 1 else "dead, per picture"
    rows: list[tuple[str, str, str, str]] = [("layer", "maps", "size", dead_of)]
    for each in maps.values():
        count, *size = each.values.shape[1:]
        dead = [each.dead(number) for number in range(len(each.pictures))]
        counts = "unknown before an activation" if dead[0] is None else ", ".join(str(len(units or ())) for units in dead)
        rows.append((each.layer.name, str(count), " x ".join(map(str, size)) or "1", counts))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for name, number_of, extent, counts in rows:
        print(f"  {name:{widths[0]}}  {number_of:>{widths[1]}}  {extent:{widths[2]}}  {counts}")
    for why in maps.left_out.values():
        print(f"  left out: {why}")


def print_notes(network: Network, answered: bool = False) -> None:
    notes = list(network.info.notes)
    if answered and network.labels is None:
        notes.append("this network does not name its classes. Name them with --labels.")
    if network.preprocess.origin == "assumed":
        notes.append(
            f"nothing is known about what this network expects; pictures are {network.preprocess.describe()}. "
            "If that is not what it was trained on, every picture is wrong: say so with --preprocess."
        )
    for note in notes:
        print(f"\nNote: {note}", file=sys.stderr)


def row_of(maps: MapSet, name: str) -> dict[str, Any]:
    each = maps[name]
    return {
        "layer": name,
        "read_at": each.reading.read_at,
        "shape": each.values.shape[1:],
        "order": {picture: each.ranked(picture=number) for number, picture in enumerate(each.pictures)},
        "order_by": each.ranking(),
        "dead": {picture: each.dead(number) for number, picture in enumerate(each.pictures)},
    }


def filters_as_data(found: Filters) -> dict[str, Any]:
    """Kernels, biases and the table of their numbers; None for what is not a number, which JSON does not have."""
    columns = {name: [None if each != each else each for each in column.tolist()] for name, column in found.table().items()}
    return {
        "layer": found.layer.name,
        "shape": found.values.shape,
        "kernel": found.values.tolist(),
        "biases": None if found.biases is None else found.biases.tolist(),
        "folded": found.folded,
        "silent": found.silent,
        "table": columns,
    }


def answers_of(maps: MapSet) -> list[dict[str, Any]]:
    return [
        {"picture": picture.name, "answers": plain(maps.answers[number]) if maps.answers else None}
        for number, picture in enumerate(maps.pictures)
    ]


def plain(row: Any) -> list[dict[str, Any]]:
    return [dataclasses.asdict(answer) for answer in row]


def print_json(value: Any, network: Network | None = None) -> None:
    """For a program; what had to be assumed of the network goes to stderr, where whoever reads the log of a build finds it."""
    print(json.dumps(value, indent=1, ensure_ascii=not has_every_letter()))
    if network is not None:
        print_notes(network)
