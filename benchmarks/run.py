"""`make bench`: every row of the table that this project holds itself to, measured here and now.

Each line is measured within one process, interleaved, as the median of at least seven rounds; compare ratios, not seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
SCRIPTS: list[tuple[list[str], dict[str, str]]] = [
    (["capture.py", "onnx"], {}),
    (["onnx_whole.py"], {}),
    (["capture.py", "torch"], {}),
    (["torch_whole.py"], {}),
    (["capture.py", "keras"], {"KERAS_BACKEND": "torch"}),
    (["capture.py", "keras"], {"KERAS_BACKEND": "tensorflow"}),
    (["capture.py", "keras"], {"KERAS_BACKEND": "jax"}),
    (["why.py", "torch"], {}),
    (["why.py", "keras"], {"KERAS_BACKEND": "tensorflow"}),
    *((["keras_repeat.py"], {"KERAS_BACKEND": name}) for name in ("torch", "tensorflow", "jax")),
    (["drawing.py"], {}),
    (["processes.py"], {}),
    (["ranking.py"], {}),
    (["page.py", "onnx"], {}),
    (["page.py", "torch"], {}),
    (["scan.py"], {}),
    (["worth.py"], {}),
]


def rows(script: list[str], environment: dict[str, str]) -> list[dict]:
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "TQDM_DISABLE": "1"}
    command = [sys.executable, str(HERE / script[0]), *script[1:]]
    done = subprocess.run(command, env=os.environ | quiet | environment, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    table = Table("what", "engine", "seconds", "against", "measured", "must be", "")
    for script, environment in SCRIPTS:
        for row in rows(script, environment):
            faster = "faster" in row["what"]
            holds = row["ratio"] >= row["must"] if faster else row["ratio"] <= row["must"]
            table.add_row(
                row["what"],
                row["engine"],
                f"{row['seconds']:.3f}",
                f"{row['against']:.3f}",
                f"{row['ratio']:.2f}",
                f"{'at least' if faster else 'at most'} {row['must']:g}",
                "yes" if holds else "NO",
            )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
