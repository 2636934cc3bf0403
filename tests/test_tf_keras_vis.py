"""Against tf-keras-vis, on Keras with TensorFlow, in a process of its own: a process sees one backend."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_saliency_grad_cam_and_grad_cam_plus_plus_are_the_same():
    for package in ("tf_keras_vis", "tensorflow"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'convscope[test]'")
    script = Path(__file__).parent / "against_tf_keras_vis.py"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    apart = json.loads(run.stdout.splitlines()[-1])
    assert set(apart) == {"saliency", "grad-cam", "grad-cam++"}
    assert max(apart.values()) < 1e-5, apart
