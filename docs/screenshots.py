"""The pictures of docs/page.md, made anew: `python docs/screenshots.py`. It needs Chromium and Playwright."""

from __future__ import annotations

import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from draw import signal
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import convscope

HERE = Path(__file__).parent / "images"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


def keep(page: Page, name: str, part: str | None = None) -> None:
    """One picture: of the element `part` with a margin, or of the window. In full colours: fewer would be other values."""
    page.wait_for_timeout(400)
    box = page.locator(part).bounding_box() if part else None
    clip = box and {"x": 0, "y": box["y"], "width": box["x"] * 2 + box["width"], "height": box["height"] + 20}
    page.screenshot(path=HERE / name, clip=clip, full_page=bool(part))  # type: ignore[arg-type]
    with Image.open(HERE / name) as picture:
        picture.convert("RGB").save(HERE / name, optimize=True)


def volume() -> convscope.MapSet:
    """Two balls in a volume, under an average and a kernel that looks for surfaces."""
    z, y, x = np.mgrid[:24, :48, :48].astype(np.float32)
    balls = [
        ((z - 8) / 6) ** 2 + ((y - 30) / 12) ** 2 + ((x - 16) / 12) ** 2,
        ((z - 16) / 5) ** 2 + ((y - 14) / 9) ** 2 + ((x - 33) / 9) ** 2,
    ]
    values = sum(np.clip(1.5 - ball, 0, 1) for ball in balls) + np.random.default_rng(0).normal(size=z.shape) * 0.04
    conv = torch.nn.Conv3d(1, 4, 3, padding=1)
    with torch.no_grad():
        conv.weight[:], conv.bias[:] = 1 / 27, 0
        for unit, axis in enumerate((2, 3, 4), 1):
            conv.weight[unit] = torch.tensor([-1.0, 0, 1]).reshape([3 if each == axis else 1 for each in (2, 3, 4)])
    net = torch.nn.Sequential(OrderedDict(surfaces=conv, relu=torch.nn.ReLU(), pool=torch.nn.AdaptiveAvgPool3d(1)))
    return convscope.open(net, picture_shape=(1, 24, 48, 48)).look(values[None].astype(np.float32), at="surfaces", ranked=False)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        maps = convscope.open("demo").look(convscope.demo.picture())
        url = maps.save(Path(folder) / "page.html", single_file=True).as_uri()
        urls = [
            each.save(Path(folder) / f"{number}.html", single_file=True).as_uri()
            for number, each in enumerate((signal(), volume()))
        ]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))

        def opened(width: int, height: int, scheme: str, url: str = url) -> Page:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            page.goto(url)
            page.wait_for_selector("[data-viewer][aria-busy=false]")
            return page

        page = opened(1100, 800, "light")
        keep(page, "page-network.png", "#network")
        page.add_style_tag(content=".glance li:nth-child(-n + 2) { display: none }")  # the last three blocks say enough
        keep(page, "page-glance.png", "#glance")
        page.locator("[data-layer]").select_option("block3_conv3")
        page.locator("[data-shown]").select_option("crops")
        keep(page, "page-crops.png", ".viewer")
        page = opened(1100, 900, "dark")
        page.keyboard.press("g")
        page.keyboard.press("Enter")
        keep(page, "page-large.png")
        for name, url in zip(("page-signal.png", "page-volume.png"), urls, strict=True):
            page = opened(1100, 700, "light", url)
            page.keyboard.press("g")
            page.keyboard.press("Enter")
            keep(page, name)
        browser.close()


if __name__ == "__main__":
    main()
