"""A scan over a data set: per picture over the bare forward, its memory, Ray, and the page of 26,560 units.

`scan.py forward`, `scan.py memory` and `scan.py ray` are these rows alone (`scan.py memory FOLDER N` is what the row on memory
runs, in a process of its own), and `scan.py pace` is what docs/scan.md calculates with.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from networks import onnx_resnet50
from PIL import Image
from timing import show

import convscope
from convscope.scan.decoding import decode
from convscope.scan.plan import Wishes, plan
from convscope.scan.ray import Ray
from convscope.scan.ray import run as by_ray
from convscope.scan.runner import Job
from convscope.scan.runner import run as local
from convscope.scan.shards import Statistics, read_shard
from convscope.scan.sources import listing

PICTURES, BATCHES, ROUNDS = 96, (1, 4, 8, 16), 3  # fewer pictures would count what a shard costs once several times
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def pictures(folder: Path, count: int, side: int, wide: int | None = None) -> Path:
    """JPEG files of smooth noise, `side` high."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise = Image.fromarray(rng.integers(0, 255, (9, 9, 3), np.uint8)).resize((wide or side, side), Image.Resampling.BICUBIC)
        noise.save(folder / f"{number:05d}.jpg", quality=88)
    return folder


def over_the_bare_forward(folder: Path) -> None:
    """Mean, max and the nine top pictures of all 53 convolutions, from files; against pictures in memory, at the best batch."""
    import onnxruntime

    model = of_any_batch(onnx_resnet50())
    session = onnxruntime.InferenceSession(model.SerializeToString())
    net = convscope.open(model, preprocess="0..1 224")
    found = listing(pictures(folder / "p", PICTURES, 144))
    values = np.random.default_rng(0).random((16, 3, 224, 224)).astype(np.float32)
    wishes = Wishes(pairs=False, maps=None, features=None)
    job = plan(net.engine, wishes, values[0], (), None)
    best: dict[object, list[float]] = {}
    for round_ in range(ROUNDS + 1):
        for size in BATCHES:
            start = time.perf_counter()
            for at in range(0, 16, size):
                session.run(None, {"input": values[at : at + size]})
            if round_:
                best.setdefault(size, []).append((time.perf_counter() - start) / 16)
        start = time.perf_counter()
        pooled = read_shard(net.engine, found.items(0), found, net.preprocess, job)
        Statistics.empty(job).update(pooled, job)
        if round_:
            best.setdefault("scan", []).append((time.perf_counter() - start) / PICTURES)
    scanned, bare = median(best.pop("scan")), min(map(median, best.values()))
    show("scan of 53 convolutions of ResNet-50, per picture over the bare forward", "ONNX Runtime", scanned, bare, 1 / 0.75)


def memory(folder: Path) -> None:
    pictures(folder / "many", 10_000, 32)
    used = []
    for count in (1_000, 10_000):
        command = [sys.executable, str(Path(__file__)), "memory", str(folder), str(count)]
        used.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]))
    show("memory of a scan of 10,000 pictures over 1,000", "ONNX Runtime", used[1], used[0], 1.1)


def peak(folder: Path, count: int) -> None:
    net = convscope.open(small_network(), preprocess="0..1 32")
    found = listing(folder / "many")
    some = replace(found, count=count, items=lambda start: islice(found.items(start), max(0, count - start)))
    local(Job(net.engine, net.info, net.preprocess, None, some, Wishes(), folder / f"scan{count}"))
    status = Path("/proc/self/status").read_text()  # getrusage would give the peak of the process that started this one
    print(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def pace(folder: Path) -> None:
    """What the arithmetic of docs/scan.md goes by: the processor time, of all threads, that a picture takes, and for what."""
    net = convscope.open(of_any_batch(onnx_resnet50()), preprocess="0..1 224")
    found = listing(pictures(folder / "p", PICTURES, 375, wide=500))
    job = plan(net.engine, Wishes(maps=None), np.zeros((3, 224, 224), np.float32), (), None)
    values, empty = np.zeros((16, 3, 224, 224), np.float32), Statistics.empty(job)
    taken: dict[str, list[float]] = {"bare forward": [], "decoding 500 x 375": [], "scan": [], "counting": []}
    for round_ in range(ROUNDS):
        marks = [time.process_time()]
        net.engine.run(values, ["output"])
        marks.append(time.process_time())
        for item in islice(found.items(0), 16):
            decode(item, net.preprocess)
        marks.append(time.process_time())
        pooled = read_shard(net.engine, found.items(0), found, net.preprocess, job)
        marks.append(time.process_time())
        empty.merge(empty.update(pooled, job))
        marks.append(time.process_time())
        for each, pieces, start, end in zip(taken.values(), (16, 16, PICTURES, PICTURES), marks, marks[1:], strict=False):
            if round_:
                each.append((end - start) / pieces)
    print("; ".join(f"{name} {median(each) * 1e3:.1f} ms" for name, each in taken.items()))


def opened(path: str, mark: str) -> convscope.Network:
    """The network where a worker is. From then on it works: the mark's time is that."""
    net = convscope.open(path, preprocess="0..1 224")
    Path(mark).touch()
    return net


def over_the_local_runner(folder: Path) -> None:
    """Pictures per second of the same scan by a worker of Ray on this machine over those of the local runner.

    Counted from where the network is open: starting Ray and its worker, ten seconds or more, is left out.
    """
    import importlib.util

    if not importlib.util.find_spec("ray"):
        print("Ray is not installed: the row of Ray is left out.", file=sys.stderr)
        return
    os.environ["RAY_worker_niceness"] = str(os.nice(0))  # noqa: SIM112 - Ray's workers give way to all others otherwise
    import onnx
    import ray

    path = folder / "resnet50.onnx"
    onnx.save(of_any_batch(onnx_resnet50()), path)
    net = convscope.open(path, preprocess="0..1 224")
    found = listing(pictures(folder / "q", 128, 144))
    # A shard's statistics are 61 MB here. Where the store holds three at a time, all takes ten times as long.
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False, object_store_memory=2_000_000_000)
    rates: dict[str, list[float]] = {"local": [], "ray": []}
    for round_ in range(ROUNDS):
        for name in rates:
            out, begun = folder / f"{name}{round_}", folder / f"begun{round_}"
            how = Ray(workers=1, open=partial(opened, str(path), str(begun)))
            wishes = Wishes(pairs=False, maps=None, batch=16, shard=64)
            job = Job(net.engine, net.info, net.preprocess, None, found, wishes, out)
            start = time.time()
            local(job) if name == "local" else by_ray(job, str(folder / "q"), how)
            start = start if name == "local" else begun.stat().st_mtime
            rates[name].append(found.count / (time.time() - start))
            print(f"{name}: {rates[name][-1]:.2f} pictures/s", file=sys.stderr, flush=True)
    ray.shutdown()
    ratio = median(rates["ray"]) / median(rates["local"])
    what = "Ray on one machine over the local runner, pictures per second"
    show(what, "ONNX Runtime", 1 / median(rates["ray"]), 1 / median(rates["local"]), 0.7, ratio)


def small_network():
    """Two convolutions of 64 and 128 units on 32 pixels."""
    from networks import _Writer

    writer = _Writer()
    x = writer.node("Relu", [writer.conv("input", "conv1", 3, 64, 3, 2)])
    x = writer.node("Relu", [writer.conv(x, "conv2", 64, 128, 3, 2)])
    x = writer.node("Flatten", [writer.node("GlobalAveragePool", [x])])
    return of_any_batch(writer.model(writer.dense(x, "fc", 128, 1000)), 32)


def of_any_batch(model, side: int = 224):
    """The networks of networks.py take one picture; here they take any number."""
    for value, sizes in ((model.graph.input[0], (0, 3, side, side)), (model.graph.output[0], (0, 1000))):
        for dimension, size in zip(value.type.tensor_type.shape.dim, sizes, strict=True):
            if size:
                dimension.dim_value = size
            else:
                dimension.dim_param = "n"
    return model


def page(folder: Path) -> None:
    """First paint of the page of a scan of every convolution of ResNet-50, 26,560 units."""
    import shutil

    from playwright.sync_api import sync_playwright

    path = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if path is None:
        print("There is no Chromium here: the row of the page is left out.", file=sys.stderr)
        return
    net = convscope.open(of_any_batch(onnx_resnet50()), preprocess="0..1 224")
    found = net.scan(folder / "p", out=folder / "scan")
    painted = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic"])
        for _ in range(5):
            shown = browser.new_page(viewport={"width": 1280, "height": 900})
            shown.goto((folder / "scan" / "index.html").as_uri())
            shown.wait_for_selector(".tile")
            painted.append(shown.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
            shown.close()
        browser.close()
    what = f"page of a scan of {found.plan.units:,} units, seconds to the first paint in Chromium"
    show(what, "page", median(painted), 0, 1.5, median(painted))


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        over_the_bare_forward(folder)
        memory(folder)
        page(folder)
        over_the_local_runner(folder)


if __name__ == "__main__":
    if sys.argv[1:2] == ["memory"] and len(sys.argv) > 2:
        peak(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["memory"]:
        with tempfile.TemporaryDirectory() as name:
            memory(Path(name))
    elif sys.argv[1:2] == ["pace"]:
        with tempfile.TemporaryDirectory() as name:
            pace(Path(name))
    elif sys.argv[1:2] == ["forward"]:
        with tempfile.TemporaryDirectory() as name:
            over_the_bare_forward(Path(name))
    elif sys.argv[1:2] == ["ray"]:
        with tempfile.TemporaryDirectory() as name:
            over_the_local_runner(Path(name))
    else:
        main()
