"""ONNX files that Keras exports, on each of its backends (see test_keras_backends.py)."""

import warnings

import numpy as np
import pytest

import convscope


def test_what_keras_exports_has_the_values_of_the_model(tmp_path):
    """By tf2onnx on TensorFlow, by torch's exporter on torch; both take channels last."""
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    needed = {"tensorflow": "tf2onnx", "torch": "torch", "jax": "jax2onnx"}[keras.backend.backend()]
    pytest.importorskip(needed, reason=f"{needed} is not installed, which Keras exports with")
    from zoo_keras import PICTURES, ZOO

    model = ZOO["residual"]()
    batch = np.random.default_rng(0).normal(size=(2, *PICTURES["residual"])).astype(np.float32)
    model(np.moveaxis(batch, 1, -1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    engine, twin = convscope.open(tmp_path / "net.onnx").engine, convscope.open(model).engine
    assert engine.graph.layers[0].shape == (3, 8, 8)
    run, live = engine.run(batch, [*engine.graph.names, "output"]), twin.run(batch, [*twin.graph.names, "output"])
    np.testing.assert_allclose(run["output"], live["output"], atol=1e-5)
    for row in twin.graph:
        fits = [
            each for each in run.values() if each.shape == live[row.name].shape and np.abs(each - live[row.name]).max() < 1e-4
        ]
        assert fits, f"'{row.name}' of the Keras model is nowhere in the file"
