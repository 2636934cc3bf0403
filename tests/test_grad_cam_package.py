"""Class activation maps against pytorch-grad-cam, on a network where it is right: nothing is written in place after the layer.

It needs opencv, which is too heavy to be among the packages of the tests: `pip install grad-cam`, and these run.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
pytest.importorskip("captum", reason="Captum is not installed: pip install 'convscope[test]'")
from test_captum import CLASS, Small  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

from convscope.core import Edit  # noqa: E402
from convscope.edited import edited  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.methods import cam, perturbation  # noqa: E402
from convscope.methods.targets import resolve  # noqa: E402

LAYER = "relu2"  # its maps are as large as the picture, so that the package's enlarging changes nothing
LARGE = np.float32(1000)  # Grad-CAM++ there adds 1e-6 to a quotient's denominator: beside large gradients it vanishes


@pytest.fixture(scope="module")
def package():
    torchvision()
    return pytest.importorskip("pytorch_grad_cam", reason="pytorch-grad-cam is not installed: pip install grad-cam")


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def engine(module):
    return TorchEngine(module, picture_shape=(3, 12, 12))


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).normal(size=(1, 3, 12, 12)).astype(np.float32)


def target_of(engine, picture, factor=1.0):
    def score(output):
        seeds = np.zeros_like(output)
        seeds[:, CLASS] = factor
        return factor * output[:, CLASS], seeds

    return resolve(engine, picture, score)


def theirs(method, module, picture, factor=1.0):
    with method(model=module, target_layers=[module.relu2]) as found:
        return found(input_tensor=torch.from_numpy(picture), targets=[lambda output: factor * output[CLASS]])[0]


def scaled(values):
    """As the package shows a map: nothing below zero, brought to 0..1."""
    positive = np.maximum(values, 0)
    positive = positive - positive.min()
    return positive / (1e-7 + positive.max())


@pytest.mark.parametrize(
    ("name", "weigh"),
    [("GradCAM", cam.grad_cam), ("GradCAMPlusPlus", cam.grad_cam_plus_plus), ("HiResCAM", cam.hires_cam),
     ("LayerCAM", cam.layer_cam)],
)  # fmt: skip
def test_maps_by_gradients(package, module, engine, picture, name, weigh):
    expected = theirs(getattr(package, name), module, picture, float(LARGE))
    found = cam.by_gradients(engine, picture, target_of(engine, picture, LARGE), [LAYER], weigh=weigh)[LAYER]
    assert expected.std() > 0.05
    np.testing.assert_allclose(scaled(found.values[0]), expected, atol=1e-5)


def test_score_cam(package, module, engine, picture):
    expected = theirs(package.ScoreCAM, module, picture)
    found = perturbation.score_cam(engine, picture, target_of(engine, picture), LAYER)
    np.testing.assert_allclose(scaled(found.values[0]), expected, atol=1e-5)


def test_ablation_cam(package, module, engine, picture):
    expected = theirs(package.AblationCAM, module, picture)
    # It divides by the score, so that every sign is turned where that is negative.
    sign = float(np.sign(engine.run(picture)["output"][0, CLASS]))
    found = perturbation.ablation_cam(engine, picture, target_of(engine, picture, sign), LAYER)
    np.testing.assert_allclose(scaled(found.values[0]), expected, atol=1e-4)


def test_eigen_cam_is_ours_of_maps_whose_mean_is_taken_away(package, module, engine, picture):
    """The paper's A v1 is of the maps as they are; the package takes each unit's mean away first, and leaves the sign open."""
    maps = engine.run(picture, [LAYER])[LAYER]
    centred = edited(engine, [Edit(LAYER, 1.0, -maps.mean((2, 3), keepdims=True)[0])])
    found = cam.eigen_cam(centred, picture, target_of(engine, picture), LAYER).values[0]
    expected = theirs(package.EigenCAM, module, picture)
    apart = min(np.abs(scaled(sign * found) - expected).max() for sign in (1, -1))
    assert apart < 1e-4
    as_it_is = cam.eigen_cam(engine, picture, target_of(engine, picture), LAYER).values[0]
    assert np.abs(scaled(as_it_is) - expected).max() > 0.1
