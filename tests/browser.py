"""A real browser for tests of pages: Debian's Chromium, driven by Playwright; and what every page must not do."""

import shutil
from contextlib import contextmanager

import pytest

QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium():
    """The path of a Chromium; skips where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    return path


@contextmanager
def running():
    """A browser with an empty profile."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")
    path = chromium()
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


class Watched:
    """A page that remembers what it complained of, and what it asked for.

    That pixels are read is the tests' doing (willReadFrequently); a page only draws.
    """

    def __init__(self, context):
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints, self.requests = [], []
        self.page.on(
            "console", lambda message: None if "willReadFrequently" in message.text else self.complaints.append(message.text)
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, url):
        self.page.goto(url)
        self.page.wait_for_selector("[data-viewer][aria-busy=false]")
        return self.page

    def assert_calm(self):
        assert self.complaints == [], self.complaints
        outside = [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]
        assert outside == [], outside
