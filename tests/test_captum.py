"""Attributions against Captum on the same network, picture and target: to 1e-5 of the greatest value."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
captum = pytest.importorskip("captum.attr", reason="Captum is not installed: pip install 'convscope[test]'")
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.methods import cam, gradients, perturbation  # noqa: E402
from convscope.methods.targets import resolve  # noqa: E402

CLASS = 2


class Small(nn.Module):
    """Convolutions, a residual sum, and ReLUs as modules of their own, as Captum needs them."""

    def __init__(self):
        super().__init__()
        self.conv1, self.relu1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()
        self.pool, self.classes = nn.AvgPool2d(2), nn.Linear(6 * 6 * 6, 5)

    def forward(self, x):
        first = self.relu1(self.conv1(x))
        return self.classes(torch.flatten(self.pool(self.relu2(self.conv2(first) + first)), 1))


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Small().eval()


@pytest.fixture(scope="module")
def engine(module):
    return TorchEngine(module, picture_shape=(3, 12, 12))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(2, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def target(engine, pictures):
    return resolve(engine, pictures, CLASS)


def same(found, expected):
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def tensor(pictures):
    return torch.from_numpy(pictures.copy()).requires_grad_()


def test_saliency(module, engine, pictures, target):
    expected = captum.Saliency(module).attribute(tensor(pictures), target=CLASS)
    same(gradients.saliency(engine, pictures, target).values, expected)


def test_input_x_gradient(module, engine, pictures, target):
    expected = captum.InputXGradient(module).attribute(tensor(pictures), target=CLASS)
    same(gradients.input_x_gradient(engine, pictures, target).values, expected)


@pytest.mark.parametrize(
    ("rule", "method"),
    [("gauss", "gausslegendre"), ("left", "riemann_left"), ("right", "riemann_right"), ("middle", "riemann_middle"),
     ("trapezoid", "riemann_trapezoid")],
)  # fmt: skip
def test_integrated_gradients(module, engine, pictures, target, rule, method):
    baseline = np.full_like(pictures, 0.25)
    expected, gap = captum.IntegratedGradients(module).attribute(
        tensor(pictures), torch.from_numpy(baseline), CLASS, n_steps=20, method=method, return_convergence_delta=True
    )
    found = gradients.integrated_gradients(engine, pictures, target, baselines=[baseline], steps=20, rule=rule)
    if rule == "trapezoid":  # Captum's weights of this rule sum to 19 / 20, so that it misses by a twentieth
        same(found.values * np.float32(19 / 20), expected)
    else:
        same(found.values, expected)
        np.testing.assert_allclose(found.delta, gap.numpy(), atol=2e-5)


@pytest.mark.parametrize(("kind", "method"), [("smoothgrad", gradients.smooth_grad), ("vargrad", gradients.var_grad)])
def test_smooth_grad_and_var_grad_with_the_same_noise(module, engine, pictures, target, kind, method, monkeypatch):
    noise = np.random.default_rng(1).normal(size=(6, *pictures.shape)).astype(np.float32) * np.float32(0.2)
    # Captum repeats each picture and draws noise of that shape; it is handed ours.
    drawn = torch.from_numpy(np.ascontiguousarray(noise.swapaxes(0, 1)).reshape(-1, *pictures.shape[1:]))
    monkeypatch.setattr(torch, "normal", lambda *_args, **_kwargs: drawn)
    tunnel = captum.NoiseTunnel(captum.Saliency(module))
    expected = tunnel.attribute(tensor(pictures), nt_type=kind, nt_samples=6, stdevs=0.2, target=CLASS, abs=False)
    same(method(engine, pictures, target, noise=noise).values, expected)


def test_grad_cam(module, engine, pictures, target):
    def unrectified(a, g):
        return (cam.mean(g) * a).sum(1)

    layer = captum.LayerGradCam(module, module.relu2)
    for rectify, weigh in ((False, unrectified), (True, cam.grad_cam)):
        expected = layer.attribute(tensor(pictures), CLASS, relu_attributions=rectify)[:, 0]
        same(cam.by_gradients(engine, pictures, target, ["relu2"], weigh=weigh)["relu2"].values, expected)


@pytest.mark.parametrize(("window", "stride", "alike"), [(4, 2, 12), (3, 3, 12), (5, 3, 7)])
def test_occlusion(module, engine, pictures, window, stride, alike):
    """Both take at each pixel the mean over the windows that cover it, of what the score loses.

    Where windows do not end with the picture, Captum's last one hangs over its edge, and ours is moved back: up to there they
    are the same.
    """
    expected = captum.Occlusion(module).attribute(
        tensor(pictures[:1]), (3, window, window), (3, stride, stride), torch.full((1, 3, 12, 12), 0.25), CLASS
    )
    target = resolve(engine, pictures[:1], CLASS)
    found = perturbation.occlusion_map(engine, pictures[:1], target, window=window, stride=stride, fill=0.25)
    assert "only what the window can reach" in found.notes[0]
    same(found.values[:, :alike, :alike], expected[:, 0, :alike, :alike])


def test_several_layers_in_one_pass_are_those_of_one_each(engine, pictures, target):
    layers = ["relu1", "conv2", "relu2"]
    together = cam.by_gradients(engine, pictures, target, layers, weigh=cam.hires_cam)
    for name in layers:
        alone = cam.by_gradients(engine, pictures, target, [name], weigh=cam.hires_cam)[name]
        np.testing.assert_allclose(together[name].values, alone.values, rtol=1e-5, atol=1e-6)


def test_nothing_is_left_in_the_users_network(module, engine, pictures, target):
    state = {name: value.clone() for name, value in module.state_dict().items()}
    gradients.smooth_grad(engine, pictures, target, samples=2)
    cam.by_gradients(engine, pictures, target, ["relu2"], weigh=cam.grad_cam)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert all(each.grad is None and each.requires_grad for each in module.parameters())
    assert not any(each._forward_hooks or each._backward_hooks for each in module.modules())
    assert not module.training


def test_functional_activations_give_the_same(module, pictures):
    class Functional(Small):
        def forward(self, x):
            first = F.relu(self.conv1(x), inplace=True)
            return self.classes(self.pool(torch.relu_(self.conv2(first) + first)).flatten(1))

    other = Functional().eval()
    other.load_state_dict(module.state_dict())
    engine = TorchEngine(other, picture_shape=(3, 12, 12))
    found = gradients.saliency(engine, pictures, resolve(engine, pictures, CLASS)).values
    same(found, captum.Saliency(module).attribute(tensor(pictures), target=CLASS))
