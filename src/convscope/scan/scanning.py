"""`scan`: from pictures to a finished scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import WrongOption
from ..paths import path_of
from . import ray, runner
from .finishing import finish
from .plan import Wishes
from .ray import Ray
from .result import Scan
from .runner import Job
from .several import listing_for
from .store import Store
from .tables import arrow_package

ENGINES = ("local", "ray")


def scan(
    network: Any,
    pictures: Any,
    wishes: Wishes,
    folder: str | Path,
    *,
    where: str | Ray = "local",
    progress: Callable[[int, int], None] | None = None,
) -> Scan:
    """Scan `pictures` into `folder`, going on with what is there. See Network.scan."""
    if not isinstance(where, Ray) and where not in ENGINES:
        raise WrongOption("The engine of a scan", where, ENGINES)
    arrow_package()  # before hours of work, not after
    found = listing_for(pictures, network.graph)
    folder = path_of(folder, "A scan")
    job = Job(network.engine, network.info, network.preprocess, network.labels, found, wishes, folder)
    with Store(folder).locked():
        if where == "local":
            runner.run(job, progress)
        else:
            ray.run(job, pictures, where if isinstance(where, Ray) else Ray(), progress)
        finish(job)
        scanned = Scan(folder, network=network, pictures=pictures)
        if not (scanned.folder / "index.html").exists():
            scanned.page()
    return scanned
