"""`make mutate`: deliberate faults in each engine, and whether the laws notice them.

A fault is a patch that stands while the laws run on a few networks of the engine's zoo. One that no law notices is printed as
SURVIVED, and the exit status is 1. Keras is on torch unless KERAS_BACKEND says another backend: one process sees one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from convscope.conformance import check_engine  # noqa: E402

ENGINES = ("torch_faults", "keras_faults", "onnx_faults")
Faults = dict[str, Callable[[], AbstractContextManager[object]]]


def check_sound(module: object) -> None:
    """Without a fault all laws hold, or what they say of one would mean nothing."""
    for name in module.NETWORKS:
        check_engine(module.engine(name), module.pictures(name))


def title(module: object) -> str:
    """The engine, and the backend of Keras."""
    name = module.__name__.partition("_")[0]
    return f"{name} on {module.BACKEND}" if hasattr(module, "BACKEND") else name


def noticed(module: object, fault: Callable[[], AbstractContextManager[object]]) -> str | None:
    """What the first law that is broken says; None if all hold on all networks."""
    for name in module.NETWORKS:
        with fault():
            try:
                check_engine(module.engine(name), module.pictures(name))
            except Exception as error:  # noqa: BLE001 - an engine may fail outright
                said = str(error).partition("\n")[0]
                if "TypeError" in said:  # called otherwise than what it stands for: no law has noticed that
                    raise RuntimeError(f"This fault does not fit the engine any more: {said}") from error
                return f"{name}: {said}"
    return None


def main(engines: list[str]) -> int:
    table, survived = Table("engine", "fault", "noticed by"), 0
    for engine in engines or ENGINES:
        module = importlib.import_module(engine)
        check_sound(module)
        for name, fault in module.FAULTS.items():
            said = noticed(module, fault)
            survived += said is None
            table.add_row(title(module), name, said[:100] if said else "SURVIVED")
            print(f"{engine}: {name}: {said or 'SURVIVED'}", file=sys.stderr, flush=True)
    Console(width=160).print(table)
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
