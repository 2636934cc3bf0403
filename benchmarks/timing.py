"""Comparing times on a machine that is shared: interleaved in one run, medians, ratios."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable

PAUSE = 0.1  # seconds: the worker threads of the job before wait for work by spinning, and would take the next one's cores


def compared(jobs: dict[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """The median seconds of each job: all of them once per round, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for round_ in range(rounds + 1):
        for name, job in jobs.items():
            time.sleep(PAUSE)
            start = time.perf_counter()
            job()
            if round_:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in times.items()}


def show(what: str, engine: str, seconds: float, against: float, must: float, ratio: float | None = None) -> None:
    """A row of `make bench`. Of the memory, seconds are MB; `ratio` is of the two where it is not given."""
    ratio = (seconds / against if against else seconds) if ratio is None else ratio
    row = {"what": what, "engine": engine, "seconds": seconds, "against": against, "ratio": ratio, "must": must}
    print(json.dumps(row), flush=True)
