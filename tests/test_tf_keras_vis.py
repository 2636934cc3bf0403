"""Against tf-keras-vis, on Keras with TensorFlow: test_keras_backends.py runs this there."""

import os

import numpy as np
import pytest

if os.environ["KERAS_BACKEND"] != "tensorflow":
    pytest.skip("tf-keras-vis is for Keras on TensorFlow; tested there", allow_module_level=True)
keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.methods import cam, gradients  # noqa: E402
from convscope.methods.targets import resolve  # noqa: E402

CLASS = 2


def model():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)), layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.Conv2D(8, 3, activation="relu", name="last"), layers.AveragePooling2D(2), layers.Flatten(), layers.Dense(5),
        ]
    )  # fmt: skip


def as_tf_keras_vis(score):
    """Grad-CAM++ with what it does and the paper does not: alpha divided by its sum over a map, and the factor exp(score)."""

    def weigh(activations, slope):
        total = activations.sum((2, 3), keepdims=True)
        alpha = slope**2 / np.where(slope == 0, 1, 2 * slope**2 + total * slope**3)
        summed = alpha.sum((2, 3), keepdims=True)
        alpha = alpha / np.where(summed == 0, 1, summed)
        first = np.exp(score)[:, None, None, None] * slope
        weights = (alpha * np.maximum(first, 0)).sum((2, 3), keepdims=True)
        return np.maximum((weights * activations).sum(1), 0)

    return weigh


@pytest.mark.filterwarnings("ignore")  # of theirs
def test_saliency_grad_cam_and_grad_cam_plus_plus_are_the_same():
    pytest.importorskip("tf_keras_vis", reason="tf-keras-vis is not installed: pip install 'convscope[test]'")
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
    from tf_keras_vis.saliency import Saliency
    from tf_keras_vis.utils.scores import CategoricalScore

    network = model()
    pictures = np.random.default_rng(0).normal(size=(2, 3, 12, 12)).astype(np.float32)
    last = pictures.transpose(0, 2, 3, 1).copy()
    engine = KerasEngine(network)
    target, score = resolve(engine, pictures, CLASS), CategoricalScore([CLASS, CLASS])
    whole = {"normalize_map": False, "keepdims": True}
    plain = {"penultimate_layer": "last", "expand_cam": False, "normalize_cam": False}
    expected = {
        "saliency": np.moveaxis(np.asarray(Saliency(network, clone=False)(score, last, **whole)), -1, 1),
        "grad-cam": np.asarray(Gradcam(network, clone=False)(score, last, **plain)),
        "grad-cam++": np.asarray(GradcamPlusPlus(network, clone=False)(score, last, **plain)),
    }
    found = {
        "saliency": gradients.saliency(engine, pictures, target).values,
        "grad-cam": cam.by_gradients(engine, pictures, target, ["last"], weigh=cam.grad_cam)["last"].values,
    }
    weigh = as_tf_keras_vis(gradients.saliency(engine, pictures, target).score)
    found["grad-cam++"] = cam.by_gradients(engine, pictures, target, ["last"], weigh=weigh)["last"].values
    for name, each in expected.items():
        np.testing.assert_allclose(found[name], each, rtol=0, atol=1e-5 * np.abs(each).max(), err_msg=name)
