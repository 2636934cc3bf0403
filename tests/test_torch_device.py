"""on_another_device.py, in a process of its own: torch asks a device that it knows for much, in whatever runs afterwards."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed: pip install 'convscope[torch]'")
def test_a_module_on_another_device():
    command = [sys.executable, "-m", "pytest", "-x", str(Path(__file__).parent / "on_another_device.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout
