"""Every method on signals, volumes and plain features: a value where it says, or a sentence why there is none."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from torch import nn  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

import convscope  # noqa: E402
from convscope.errors import InputError  # noqa: E402
from convscope.methods.explain import METHODS  # noqa: E402

SHAPES = {"signal": (2, 12), "volume": (1, 5, 6, 7), "features": (12,)}
FEW = {"rise": {"masks": 6}, "extremal": {"steps": 2}, "smooth-grad": {"samples": 2}, "var-grad": {"samples": 2}}
FEW |= {"integrated-gradients": {"steps": 3}, "expected-gradients": {"samples": 2}}


def network(kind):
    torch.manual_seed(0)
    if kind == "features":
        return nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    conv, mean = {"signal": (nn.Conv1d, nn.AdaptiveAvgPool1d), "volume": (nn.Conv3d, nn.AdaptiveAvgPool3d)}[kind]
    return nn.Sequential(conv(SHAPES[kind][0], 4, 3), nn.ReLU(), mean(1), nn.Flatten(), nn.Linear(4, 3)).eval()


@pytest.fixture(scope="module", params=SHAPES)
def case(request):
    shape = SHAPES[request.param]
    arrays = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    return request.param, network(request.param), arrays


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_value_per_position_or_says_why_not(case, method):
    kind, module, arrays = case
    if method == "lrp":
        torchvision()  # which zennit imports
        pytest.importorskip("zennit", reason="zennit is not installed: pip install 'convscope[lrp]'")
    net, how = convscope.open(module, picture_shape=SHAPES[kind]), METHODS[method]
    options = FEW.get(method, {}) | ({"among": arrays} if method == "expected-gradients" else {})
    if kind == "features" and how.place != "input":
        with pytest.raises(InputError, match="no axes to cover along|has maps"):
            net.explain(arrays, method, target=1, **options)
        return
    why = net.explain(arrays, method, target=1, **options)
    positions = SHAPES[kind][1:]
    inner = tuple(size - 2 for size in positions)
    expected = {"input": SHAPES[kind], "picture": positions, "layer": inner}[how.place]
    assert why.values.shape == (2, *expected)
    assert why.heat(1).shape == (inner if how.place == "layer" else positions or SHAPES[kind])
    assert np.isfinite(why.values).all()
    if how.place == "layer" and method == "cam":
        np.testing.assert_allclose(why.delta, 0, atol=1e-5)


def test_features_are_checked_by_their_values_and_not_by_one_number(case):
    """A single number correlates with nothing, which would look like a method that passes."""
    kind, module, arrays = case
    net = convscope.open(module, picture_shape=SHAPES[kind])
    found = convscope.check("input-x-gradient", net, arrays[:1], target=1)
    assert all(abs(step.magnitude) > 0 for step in found.steps)
    x = torch.from_numpy(arrays.copy()).requires_grad_()
    module(x)[:, 1].sum().backward()
    expected = (x * x.grad).detach().numpy()
    np.testing.assert_allclose(net.explain(arrays, "input-x-gradient", target=1).values, expected, rtol=1e-4, atol=1e-6)
