"""Whole processes: `import convscope`, and the main job on what is built in."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import compared


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def python(*arguments: str) -> None:
            subprocess.run([sys.executable, *arguments], check=True, capture_output=True)

        study = str(Path(folder) / "study")
        look = f"import sys; from convscope.cli import main; sys.argv = ['convscope', 'look', '-o', {study!r}]; main()"
        seconds = compared(
            {
                "python": lambda: python("-c", "pass"),
                "import": lambda: python("-c", "import convscope"),
                "look": lambda: python("-c", look),
            },
            rounds=7,
        )
    for job, what, must in (
        ("import", "import convscope, seconds over a bare python", 0.15),
        ("look", "convscope look, seconds", 3.0),
    ):
        bare = seconds["python"] if job == "import" else 0.0
        row = {
            "what": what,
            "engine": "process",
            "seconds": seconds[job],
            "against": bare,
            "ratio": seconds[job] - bare,
            "must": must,
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
