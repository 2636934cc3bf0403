"""The pictures of docs/page.md, made anew: `python docs/screenshots.py`. It needs Chromium and Playwright."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

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


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        maps = convscope.open("demo").look(convscope.demo.picture())
        url = maps.save(Path(folder) / "page.html", single_file=True).as_uri()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))

        def opened(width: int, height: int, scheme: str) -> Page:
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
        browser.close()


if __name__ == "__main__":
    main()
