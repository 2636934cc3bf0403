"""What is tested of Keras, again on each of the other backends. One process sees one backend, so each has its own."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FILES = [
    "test_engine_keras.py", "test_keras_precision.py", "test_keras_behaviour.py", "test_keras_odd.py", "test_keras_axes.py",
    "test_keras_compiled.py", "test_keras_explain.py", "test_tutorial_vgg16.py", "test_same_weights.py",
    "test_onnx_from_keras.py", "test_tf_keras_vis.py"
]  # fmt: skip
BACKENDS = {"torch": "torch", "tensorflow": "tensorflow", "jax": "jax"}
# Compiling takes most of the time of small networks: XLA's optimisation most of that, its newer way to make kernels of what is
# left the half of the rest, and parts of one kernel each, for as many cores, a fifth of what then remains.
QUICKLY = {
    "torch": "", "tensorflow": "",
    "jax": "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1",
}  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    """All at once: each uses one core for most of its time."""
    others = [name for name in BACKENDS if name != os.environ["KERAS_BACKEND"] and importlib.util.find_spec(BACKENDS[name])]
    environments = {name: {**os.environ, "KERAS_BACKEND": name, "XLA_FLAGS": QUICKLY[name]} for name in others}
    command = [sys.executable, "-m", "pytest", "-v", "-x", *(str(HERE / name) for name in FILES)]
    started = {
        name: subprocess.Popen(command, env=each, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name, each in environments.items()
    }
    yield started
    for each in started.values():
        each.kill()


@pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="Keras is not installed: pip install 'convscope[keras]'")
@pytest.mark.parametrize("backend", [name for name in BACKENDS if name != os.environ.get("KERAS_BACKEND")])
def test_keras_on(backend, runs):
    if backend not in runs:
        pytest.skip(f"{backend} is not installed")
    output, _ = runs[backend].communicate(timeout=1200)
    assert runs[backend].returncode == 0, output[-6000:]
    assert " passed" in output
