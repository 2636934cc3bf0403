"""Layer-wise relevance propagation by zennit: what it conserves, what it refuses, and that nothing is left of it."""

import builtins
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from cifar_resnet import resnet20  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

torchvision()  # which zennit imports
zennit = pytest.importorskip("zennit", reason="zennit is not installed: pip install 'convscope[lrp]'")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from convscope.engines.fake import FakeEngine  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import MissingExtra, Unsupported, WrongOption  # noqa: E402
from convscope.methods.backward_rules import lrp  # noqa: E402
from convscope.methods.targets import resolve  # noqa: E402

X = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 8, 8)).astype(np.float32)
COMPOSITES = ("epsilon-plus-flat", "epsilon-plus", "epsilon-alpha2-beta1-flat", "epsilon-alpha2-beta1", "epsilon")


class Residual(nn.Module):
    """Additions, means and ReLUs that are functions, in place and not."""

    def __init__(self, *, bias=False, gate=False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1, bias=bias), nn.BatchNorm2d(6)
        self.second, self.last = nn.Conv2d(6, 6, 3, padding=1, bias=bias), nn.Linear(6, 4, bias=bias)
        self.norm.running_var.uniform_(0.5, 2)
        self.gate = gate

    def forward(self, x):
        y = self.norm(self.first(x))
        y = F.relu(y, inplace=True)
        z = self.second(y)
        z += y
        z = F.relu(z)
        z = F.max_pool2d(z * z.sigmoid() if self.gate else z, 2)
        return self.last(z.mean((2, 3)))


def made(module, **options):
    engine = TorchEngine(module.eval(), picture_shape=(3, 8, 8))
    return lrp(engine, X, resolve(engine, X, 1), **options), engine


@pytest.mark.parametrize("composite", COMPOSITES)
def test_relevance_sums_to_the_score_where_there_are_no_biases(composite):
    found, engine = made(Residual(), composite=composite)
    np.testing.assert_allclose(found.score, engine.run(X)["output"][:, 1], rtol=1e-4)
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), found.score, rtol=2e-3)
    np.testing.assert_allclose(found.delta, 0, atol=2e-3 * np.abs(found.score).max())


def test_without_biases_epsilon_is_input_times_gradient():
    """Ancona et al. 2018, through convolutions, merged BatchNorms, additions and means; epsilon is nothing beside the values."""
    module, large = Residual().eval(), X * np.float32(1e4)
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    found = lrp(engine, large, resolve(engine, large, 1), composite="epsilon")
    x = torch.from_numpy(large).requires_grad_()
    (slope,) = torch.autograd.grad(module(x)[:, 1].sum(), x)
    expected = (x * slope).detach().numpy()
    np.testing.assert_allclose(found.values, expected, atol=1e-4 * np.abs(expected).max())


def test_biases_take_what_is_missing_and_it_is_said():
    found, _ = made(Residual(bias=True), composite="epsilon")
    assert np.abs(found.delta).min() > 1e-4
    np.testing.assert_allclose(found.values.sum((1, 2, 3)) - found.score, found.delta, rtol=1e-4, atol=1e-5)


def test_a_norm_that_no_layer_is_before_is_a_layer_of_its_own():
    """As in a DenseNet: there, the convolution that is written down before it is another one's."""
    torch.manual_seed(0)
    last = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False)]
    module = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3, bias=False), *last)
    module[0].running_var.uniform_(0.5, 2)
    found, _ = made(module, composite="epsilon")
    np.testing.assert_allclose(found.delta, 0, atol=2e-3 * np.abs(found.score).max())


def test_the_network_is_as_it_was():
    module = Residual().eval()
    module.first.register_forward_hook(lambda *_: None)
    before = {name: each.clone() for name, each in module.state_dict().items()}
    hooks = {name: (len(each._forward_hooks), len(each._forward_pre_hooks)) for name, each in module.named_modules()}
    found, engine = made(module)
    answer = engine.run(X)["output"]
    assert {name: (len(each._forward_hooks), len(each._forward_pre_hooks)) for name, each in module.named_modules()} == hooks
    assert all(torch.equal(each, before[name]) for name, each in module.state_dict().items())
    assert all(each.requires_grad and each.grad is None for each in module.parameters())
    np.testing.assert_array_equal(lrp(engine, X, resolve(engine, X, 1)).values, found.values)
    np.testing.assert_array_equal(engine.run(X)["output"], answer)


def test_an_empty_sequential_is_the_identity_and_what_a_user_wrote_is_what_its_functions_are():
    """The CIFAR ResNet, whose shortcuts are `nn.Sequential()`, or a module without modules that slices and pads."""
    torch.manual_seed(0)
    module = resnet20().eval()
    nn.init.zeros_(module.linear.bias)
    x = np.random.default_rng(0).uniform(0, 1, (1, 3, 16, 16)).astype(np.float32)
    engine = TorchEngine(module, picture_shape=(3, 16, 16))
    found = lrp(engine, x, resolve(engine, x, 1))
    np.testing.assert_allclose(found.delta, 0, atol=2e-3 * np.abs(found.score).max())
    for block in (*module.layer1, *module.layer2[1:], *module.layer3[1:]):
        block.shortcut = nn.Identity()
    other = TorchEngine(module, picture_shape=(3, 16, 16))
    np.testing.assert_array_equal(lrp(other, x, resolve(other, x, 1)).values, found.values)


class Does(nn.Module):
    """A module without modules, which a user wrote."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step(x)


def between(step):
    """A network without biases with that step between its layers."""
    torch.manual_seed(0)
    last = [nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2, bias=False)]
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), Does(step), *last)


def folded(step):
    """The same on a view whose first axis holds pictures and halves of their channels, which has no row in the table."""
    return lambda x: step(x.reshape(-1, 2, *x.shape[2:])).reshape(x.shape)


class Folded(nn.Module):
    """A layer on such a view."""

    def __init__(self):
        super().__init__()
        self.norm = nn.GroupNorm(1, 2)

    def forward(self, x):
        return folded(self.norm)(x)


@pytest.mark.parametrize(
    "step",
    [
        folded(lambda x: x * 2),
        lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[2:], 3, padding=1),  # windows that overlap are added up
        lambda x: x / torch.full((1, 4, 1, 1), 3.0),
    ],
)
def test_functions_with_a_rule_conserve(step):
    found, _ = made(between(step), composite="epsilon")
    np.testing.assert_allclose(found.delta, 0, atol=2e-3 * np.abs(found.score).max())


def test_steps_without_a_rule_are_refused():
    with pytest.raises(Unsupported, match=r"no rule for 'mul'"):
        made(Residual(gate=True))
    attention = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(Unsupported, match="GroupNorm"):
        made(attention)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("mul", lambda x: x * x),  # one row feeds it, twice
        ("mul", folded(lambda x: x * x.sigmoid())),
        ("div", lambda x: torch.div(torch.ones(()), x.relu() + 1)),
        (r"1\.abs", folded(lambda x: x.abs().sqrt())),
        (r"1\.conv2d", folded(lambda x: F.conv2d(x, torch.ones(2, 2, 1, 1)))),
        (r"1\.step\.norm", Folded()),
    ],
)
def test_functions_without_a_rule_are_refused_wherever_they_stand(name, step):
    with pytest.raises(Unsupported, match=f"no rule for '{name}'"):
        made(between(step))


def test_what_is_asked_in_vain(monkeypatch):
    with pytest.raises(WrongOption, match="epsilon-plus"):
        made(Residual(), composite="epsilon-minus")
    with pytest.raises(Unsupported, match="torch"):
        lrp(FakeEngine(), X, resolve(FakeEngine(), X, 0))
    monkeypatch.setitem(sys.modules, "zennit", None)
    monkeypatch.delitem(sys.modules, "zennit")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "zennit" else builtins)
    with pytest.raises(MissingExtra, match=r"convscope\[lrp\]"):
        made(Residual())
