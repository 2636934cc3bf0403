"""What all tests share: the backend of Keras, and a last line that says how much could not be tested here."""

import gc
import os
from collections import Counter
from pathlib import Path

import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).parent.parent.parent / "shared"


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests of a process: to start it takes as long as most of them. Each makes a context of its own."""
    from browser import running

    with running() as browser:
        yield browser


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    absent = [report for report in skipped if "../shared" in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests were skipped, {len(absent)} of them because ../shared is absent.")


# Few tests that take long, most of them in processes of their own.
LONG = ("test_keras_backends", "test_torch_device", "test_memory", "test_scan_killed", "test_tutorial_vgg16")


def pytest_collection_modifyitems(items):
    """What takes longest by itself begins first, or one process waits for it at the end; then files of many tests."""
    tests = Counter(item.path for item in items)
    rank = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: (rank.get(item.path.stem, len(LONG)), -tests[item.path]))


def pytest_collection_finish():
    """What was imported stays: looking for garbage among millions of objects, again and again, takes longer than most tests."""
    gc.collect()
    gc.freeze()
