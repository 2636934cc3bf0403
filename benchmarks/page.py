"""The page: all 53 convolutions of ResNet-50 for one picture, from the picture file to an opened page that scrolls.

Neither ranking by the answer nor an explanation is measured: they have rows of their own.
`page.py onnx | torch` prints rows for a folder (sheets and arrays too) and for one file (what the page shows).
`page.py memory ENGINE FOLDER` is what the row on memory runs, in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from timing import compared, show

import convscope

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync"
)
# Scrolls the layer at the end of the page, 2,048 maps, by 40 pixels a frame, and returns how long each frame took, in ms.
SCROLL = """async () => {
  const viewer = convscope.viewer;
  await viewer.show(convscope.viewer.study.maps.length - 1);
  const frame = () => new Promise(requestAnimationFrame);
  for (let wait = 0; wait < 120; wait++) await frame(); // the first view is then complete
  const times = [];
  for (let before = await frame(), count = 0; count < 180; count++) {
    viewer.grid.root.scrollTop += 40;
    const now = await frame();
    times.push(now - before);
    before = now;
  }
  return times;
}"""


def picture(folder: Path) -> Path:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(noise).resize((500, 375), Image.Resampling.BICUBIC).save(folder / "picture.jpg")
    return folder / "picture.jpg"


def write_network(folder: Path) -> None:
    from networks import onnx_resnet50

    (folder / "network.onnx").write_bytes(onnx_resnet50().SerializeToString())


def opened(engine: str, folder: Path):
    """ResNet-50, as an ONNX file or as a torch module."""
    if engine == "onnx":
        return convscope.open(folder / "network.onnx", preprocess="0..1 224")
    from networks import torch_resnet50

    return convscope.open(torch_resnet50(), picture_shape=(3, 224, 224), preprocess="0..1 224")


def bare_forward(engine: str, folder: Path):
    if engine == "torch":
        from capture import torch_network
        from networks import torch_resnet50

        return torch_network(torch_resnet50)[1]
    import onnxruntime
    from capture import PICTURE

    session = onnxruntime.InferenceSession(folder / "network.onnx")
    return lambda: session.run(None, {"input": PICTURE})


def study(network, folder: Path, *, single_file: bool) -> Path:
    maps = network.look(folder / "picture.jpg", at="convs", ranked=False, why="none")
    return maps.save(folder / ("page.html" if single_file else "study"), single_file=single_file)


def times(engine: str, folder: Path) -> None:
    network = opened(engine, folder)
    jobs = {
        "bare": bare_forward(engine, folder),
        "a page": lambda: study(network, folder, single_file=True),
        "a folder with sheets and arrays": lambda: study(network, folder, single_file=False),
    }
    seconds = compared(jobs, rounds=7)
    for job in list(jobs)[1:]:
        show(f"picture file to {job}, 53 convolutions of ResNet-50", engine, seconds[job], seconds["bare"], 8.0)


def memory(engine: str, folder: Path) -> None:
    command = [sys.executable, __file__, "memory", engine, str(folder)]
    used = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    show("the same, MB of memory at most", engine, used, 0, 600)


def size(folder: Path) -> None:
    beside = sum(each.stat().st_size for each in (folder / "study" / "tiles").rglob("*.js")) / 1e6
    one = (folder / "page.html").stat().st_size / 1e6
    show(
        "the same, MB of the page, as one file",
        "page",
        one,
        beside + (folder / "study" / "index.html").stat().st_size / 1e6,
        12,
        one,
    )


def in_a_browser(folder: Path) -> None:
    import shutil
    from statistics import median

    from playwright.sync_api import sync_playwright

    path = next((found for found in map(shutil.which, CHROMIUM) if found), None)
    if path is None:
        print("There is no Chromium here: the rows of the page in a browser are left out.", file=sys.stderr)
        return
    painted, worst = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET.split())
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto((folder / "page.html").as_uri())
            page.wait_for_selector("[data-viewer][aria-busy=false]")
            painted.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime") / 1000)
            worst.append(max(page.evaluate(SCROLL)))
            page.close()
        browser.close()
    show("the same, seconds to the first paint in Chromium", "page", median(painted), 0, 1.0, median(painted))
    show("2,048 maps scrolled, ms of the longest of 180 frames", "page", median(worst) / 1000, 0, 50, median(worst))


def main(job: str, *rest: str) -> None:
    if job == "memory":
        engine, folder = rest
        study(opened(engine, Path(folder)), Path(folder), single_file=False)
        # Not ru_maxrss: it counts what the process that started this one had.
        line = next(each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM:"))
        print(int(line.split()[1]) / 1000)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture(folder)
        if job == "onnx":
            write_network(folder)
        times(job, folder)
        memory(job, folder)
        if job == "onnx":
            size(folder)
            in_a_browser(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
