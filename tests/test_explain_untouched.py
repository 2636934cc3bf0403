"""The user's network is as it was after every way in which asking why can end; signals and dense layers can be asked too."""

from collections import OrderedDict

import numpy as np
import pytest

import convscope
from convscope.engines.torch import TorchEngine
from convscope.errors import ConvscopeError, ConvscopeWarning, InputError
from convscope.methods.explain import explain
from convscope.methods.targets import resolve
from convscope.targets import Unit

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(1, 3, 12, 12)).astype(np.float32)


class Root(nn.Module):
    """sqrt at zero, where its slope is infinite."""

    def forward(self, x):
        return x + (x - x).sqrt()


def network(*more, relu=None):
    torch.manual_seed(0)
    layers = {"conv": nn.Conv2d(3, 6, 3), "norm": nn.BatchNorm2d(6), "relu": relu or nn.ReLU(inplace=True)}
    layers |= {f"more{number}": each for number, each in enumerate(more)}
    layers |= {"mean": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten(), "classes": nn.Linear(6, 4)}
    return nn.Sequential(OrderedDict(layers))


def worn(result):
    """As a user may have left it: gradients, parts that are trained and parts that are not, in training and not."""
    result[1].train()
    result[0].weight.requires_grad_(False)
    result(torch.from_numpy(PICTURES)).sum().backward()
    result.eval()
    result[1].train()
    return result


@pytest.fixture
def module():
    return worn(network())


def state(module):
    return {
        "values": {name: value.clone() for name, value in module.state_dict().items()},
        "training": [each.training for each in module.modules()],
        "gradients": [None if each.grad is None else each.grad.clone() for each in module.parameters()],
        "requires": [each.requires_grad for each in module.parameters()],
        "hooks": [
            len(each._forward_hooks) + len(each._forward_pre_hooks) + len(each._backward_hooks) for each in module.modules()
        ],
        "random": torch.get_rng_state().clone(),
        "enabled": torch.is_grad_enabled(),
    }


def same(one, other):
    assert one.keys() == other.keys()
    for key in ("training", "requires", "hooks", "enabled"):
        assert one[key] == other[key], key
    assert all(torch.equal(value, other["values"][name]) for name, value in one["values"].items())
    for before, after in zip(one["gradients"], other["gradients"], strict=True):
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(before.numpy(), after.numpy())  # NaN where it was NaN
    assert torch.equal(one["random"], other["random"])


def opened(module):
    return convscope.open(module, picture_shape=(3, 12, 12), preprocess="-1..1", labels=["cat", "dog", "car", "bird"])


ASKED = {
    "grad-cam": lambda net: net.explain(PICTURES),
    "guided-backprop": lambda net: net.explain(PICTURES, "guided-backprop"),
    "smooth-grad": lambda net: net.explain(PICTURES, "smooth-grad", samples=2),
    "occlusion": lambda net: net.explain(PICTURES, "occlusion", window=6, stride=6),
    "ablate": lambda net: net.ablate(PICTURES),
    "without": lambda net: net.without({"conv": [1]}).predict(PICTURES),
    "check": lambda net: convscope.check("saliency", net, PICTURES, layers=2),
}
# What may be asked in vain: of which network, and words that the answer has to have.
REFUSED = {
    "a class that does not exist": (None, lambda net: net.explain(PICTURES, target="cta"), "Did you mean 'cat'"),
    "a layer without maps": (None, lambda net: net.explain(PICTURES, at="flat"), "has no maps.*The last one with maps is"),
    "a unit out of range": (None, lambda net: net.explain(PICTURES, target=Unit("conv", 9)), "has no unit 9: it has 0 to 5"),
    "a window larger than the picture": (None, lambda net: net.explain(PICTURES, "occlusion", window=20), "larger than the"),
    "a target of the wrong shape": (
        None, lambda net: net.explain(PICTURES, "saliency", target=lambda output: output), r"one number per picture, \(1,\)",
    ),
    "a target without a gradient": (
        None, lambda net: net.explain(PICTURES, "saliency", target=lambda output: output.max(1)), "occlusion, rise, score-cam",
    ),
    "a unit to switch off that does not exist": (None, lambda net: net.ablate(PICTURES, units=[7]), "no unit 7: it has 0 to 5"),
    "a region that does not fit": (None, lambda net: net.ablate(PICTURES, region=np.ones((2, 2), bool)), r"shape \(2, 2\)"),
    "gradients that are not finite": ("root", lambda net: net.explain(PICTURES, "saliency"), "not finite.*no slope"),
    "no ReLUs for guided backpropagation": ("smooth", lambda net: net.explain(PICTURES, "guided-backprop"), "No ReLU was found"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*of the values of a float array lie beyond")
class TestUntouched:
    @pytest.mark.parametrize("asked", ASKED)
    def test_after_an_answer(self, module, asked):
        net, before = opened(module), state(module)
        ASKED[asked](net)
        same(before, state(module))

    @pytest.mark.parametrize("asked", REFUSED)
    def test_after_a_refusal(self, asked):
        kind, call, words = REFUSED[asked]
        module = worn(network(Root()) if kind == "root" else network(relu=nn.SiLU()) if kind == "smooth" else network())
        net, before = opened(module), state(module)
        with pytest.raises(ConvscopeError, match=words):
            call(net)
        same(before, state(module))

    def test_after_a_softmax_that_is_too_sure(self):
        """It is answered, with a warning that offers the logit; and the logit is."""
        module = network(nn.BatchNorm2d(6))
        with torch.no_grad():
            module.classes.weight.mul_(1e4)
        module = worn(nn.Sequential(*module, nn.Softmax(1)))
        net, before = opened(module), state(module)
        with pytest.warns(ConvscopeWarning, match="saturated.*scale='logit'"):
            why = net.explain(PICTURES, "saliency", scale="probability")
        assert any("saturated" in note for note in why.notes)
        assert np.abs(why.values).max() < 1e-3 * np.abs(net.explain(PICTURES, "saliency").values).max()
        same(before, state(module))

    @pytest.mark.parametrize("verb", ["smooth-grad", "guided-backprop", "rise", "ablate"])
    def test_after_ctrl_c(self, verb):
        """Ctrl-C while the network runs: raised in a layer in the middle of it."""

        class Stops(nn.Module):
            armed = False

            def forward(self, x):
                if self.armed:
                    raise KeyboardInterrupt
                return x

        module = worn(network(Stops()))
        net, before = opened(module), state(module)
        options = {"masks": 9} if verb == "rise" else {}
        module.more0.armed = True
        with pytest.raises(KeyboardInterrupt):
            net.ablate(PICTURES) if verb == "ablate" else net.explain(PICTURES, verb, **options)
        module.more0.armed = False
        same(before, state(module))
        net.explain(PICTURES)


def test_signals_are_explained_too():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv1d(2, 5, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3)
    ).eval()
    signals = np.random.default_rng(0).normal(size=(1, 2, 40)).astype(np.float32)
    engine = TorchEngine(module, picture_shape=(2, 40))
    target = resolve(engine, signals, 1)
    places = {"saliency": (1, 2, 40), "hires-cam": (1, 40), "eigen-cam": (1, 40), "occlusion": (1, 40), "score-cam": (1, 40)}
    for method, shape in places.items():
        (found,) = explain(engine, signals, target, method).values()
        assert found.values.shape == shape
    tensor = torch.from_numpy(signals.copy()).requires_grad_()
    module(tensor)[0, 1].backward()
    (slope,) = explain(engine, signals, target, "saliency").values()
    np.testing.assert_allclose(slope.values, tensor.grad.abs().numpy(), rtol=1e-5, atol=1e-7)
    (hires,) = explain(engine, signals, target, "hires-cam").values()
    np.testing.assert_allclose(hires.values.sum() + module[4].bias[1].item(), hires.score[0], rtol=1e-4)


def test_a_network_of_signals_is_asked_as_one_of_pictures():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv1d(2, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(5, 3)).eval()
    net = convscope.open(module, picture_shape=(2, 40))
    signals = np.random.default_rng(0).normal(size=(2, 2, 40)).astype(np.float32)
    why = net.explain(signals, "hires-cam", target=1)
    assert why.values.shape == (2, 38)
    np.testing.assert_allclose(why.delta, -module[4].bias[1].item(), atol=1e-5)
    assert net.ablate(signals, target=1).drop.shape == (2, 5)
    assert net.without({"0": [2]}).maps(signals, at="1")["1"].values[:, 2].max() == 0
    with pytest.raises(InputError, match="two dimensions"):
        why.overlay()
    assert net.look(signals).why is None
