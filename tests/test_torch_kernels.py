"""The kernels of layers that are not torch's plain ones: quantised, pruned, normalised, made in every run."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

import convscope  # noqa: E402
from convscope.core import Tap  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import InputError, Unsupported  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def quantised():
    quantization = torch.ao.quantization
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        net = nn.Sequential(
            quantization.QuantStub(),
            nn.Conv2d(3, 4, 3),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, groups=4, bias=False),
            quantization.DeQuantStub(),
            nn.Flatten(),
            nn.Linear(64, 5),
        ).eval()
        net.qconfig = quantization.get_default_qconfig("x86")  # whose sums fit into 16 bits on every CPU
        net[6].qconfig = None
        prepared = quantization.prepare(quantization.fuse_modules(net, [["1", "2"]]))
        prepared(torch.from_numpy(BATCH))
        return quantization.quantize_dynamic(quantization.convert(prepared), {nn.Linear})


def test_quantised_layers_have_kinds_and_kernels():
    module = quantised()
    network = convscope.open(module, picture_shape=(3, 8, 8))
    table = {row.name: (row.kind, row.native, row.kernel, row.parameters, row.window is None) for row in network.graph}
    assert table["1"] == ("convolution", "QuantizedConvReLU2d", (4, 3, 3, 3), 112, False)
    assert table["3"] == ("depthwise", "QuantizedConv2d", (4, 1, 3, 3), 36, False)
    assert table["6"] == ("dense", "DynamicQuantizedLinear", (5, 64), 325, True)
    assert [network.graph[name].activation for name in ("1", "3")] == ["relu", None]
    assert network.graph.parameters == 112 + 36 + 325
    for name in ("1", "6"):
        filters, own = network.filters(name), module.get_submodule(name)
        np.testing.assert_array_equal(filters.values, own.weight().dequantize().numpy())
        np.testing.assert_array_equal(filters.biases, own.bias().detach().numpy())
    assert network.filters("3").biases is None
    run = network.engine.run(BATCH, ["1", "3", "6"])
    with torch.no_grad():
        one = module[1](module[0](torch.from_numpy(BATCH)))
        by_hand = nn.functional.conv2d(
            module[0](torch.from_numpy(BATCH)).dequantize(),
            torch.from_numpy(network.filters("1").values),
            torch.from_numpy(network.filters("1").biases),
        ).relu()
        np.testing.assert_array_equal(run["1"], one.dequantize().numpy())
        np.testing.assert_array_equal(run["6"], module(torch.from_numpy(BATCH)).numpy())
    np.testing.assert_allclose(run["1"], by_hand.numpy(), atol=2 * one.q_scale())
    for reduce, by_hand in (("mean", np.mean), ("max", np.max), ("active", lambda maps, axes: (maps > 0).mean(axes))):
        tap = Tap("1", reduce)
        np.testing.assert_allclose(network.engine.run(BATCH, [tap])[tap], by_hand(run["1"], (2, 3)), atol=1e-6)
    held = network.engine.hold(BATCH, "1").run(["output"], repeat=2)["output"]  # what is kept before it is of bytes
    np.testing.assert_array_equal(held, np.repeat(module(torch.from_numpy(BATCH)).detach().numpy(), 2, 0))
    with pytest.raises(Unsupported, match="whole numbers"):
        network.ablate(BATCH, at="3", activated=False)
    with pytest.raises(Unsupported, match="quantised"):
        network.engine.with_weights({"1": network.engine.weights("1")})


def test_layers_that_round_by_all_that_they_are_given_together_are_said_to():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 3)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounding = torch.ao.quantization.quantize_dynamic(plain, {nn.Linear})
    engine = TorchEngine(rounding, picture_shape=(3, 8, 8))
    two = np.concatenate([BATCH[:1], 9 * BATCH[1:]])
    together, alone = (engine.run(pictures, ["2"])["2"][0] for pictures in (two, two[:1]))
    assert np.abs(together - alone).max() > 1e-3 * np.abs(alone).max()
    assert any("'2' makes of a picture depends on the others" in note for note in engine.notes)
    assert not TorchEngine(plain, picture_shape=(3, 8, 8)).notes


NORMED = {
    "weight norm": lambda layer: nn.utils.weight_norm(layer),
    "weight norm, parametrised": parametrizations.weight_norm,
    "spectral norm": lambda layer: nn.utils.spectral_norm(layer),
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
}


@pytest.mark.parametrize("name", NORMED)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_parameters_are_counted_as_torch_counts_them(name):
    module = nn.Sequential(NORMED[name](nn.Conv2d(3, 4, 3)), nn.Flatten(), nn.Linear(144, 3))
    graph = TorchEngine(module, picture_shape=(3, 8, 8)).graph
    assert graph["0"].parameters == sum(each.numel() for each in module[0].parameters())
    assert graph.parameters == sum(each.numel() for each in module.parameters())


class Standardised(nn.Conv2d):
    """Qiao et al. 2019, as in BiT."""

    def kernel(self):
        mean, deviation = self.weight.mean((1, 2, 3), keepdim=True), self.weight.std((1, 2, 3), keepdim=True)
        return (self.weight - mean) / (deviation + 1e-5)

    def forward(self, x):
        return nn.functional.conv2d(x, self.kernel(), self.bias, self.stride, self.padding)


class Transposed(nn.ConvTranspose2d):
    def forward(self, x):
        return nn.functional.conv_transpose2d(x, 2 * self.weight, bias=self.bias)


class More(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) + 1


class Written(nn.Conv2d):
    def forward(self, x):
        return super().forward(x).add_(1)


class Modulated(nn.Conv2d):
    """Karras et al. 2020: for each picture its own."""

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight * x.mean(), self.bias)


class Folded(nn.Conv2d):
    """Another way to convolve, in which no kernel is handed on."""

    def forward(self, x):
        columns = nn.functional.unfold(x, 3)
        return (self.weight.flatten(1) @ columns + self.bias[:, None]).unflatten(2, (x.shape[2] - 2, -1))


class Parent(nn.Module):
    """EEGNet's max-norm."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.conv.weight.data *= 20

    def forward(self, x):
        self.conv.weight.data = torch.renorm(self.conv.weight.data, 2, 0, 1)
        return self.conv(x)


class Masked(nn.Conv2d):
    """PixelCNN's, which sets to zero what a kernel may not see, in its own weights, and by a way that torch does not count."""

    def forward(self, x):
        self.weight.data *= torch.ones(3, 3).tril()
        return super().forward(x)


def hooked():
    layer = nn.Conv2d(3, 4, 3)
    layer.register_forward_hook(lambda _module, _args, out: out * 2)
    return layer


def old_norm():
    layer = nn.utils.weight_norm(nn.Conv2d(3, 4, 3))
    layer.weight_g.data *= 3  # what it keeps as its weight is that of before
    return layer


def pruned():
    layer = prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5)
    layer.weight_orig.data *= 3
    return layer


ODD = {  # the role, and what has to be said
    "standardised": (lambda: Standardised(3, 4, 3), "kernel", "made of their weights"),
    "transposed": (lambda: Transposed(3, 4, 3), "kernel", "made of their weights"),
    "weight norm": (old_norm, "kernel", "made of their weights"),
    "pruned": (pruned, "kernel", "made of their weights"),
    "parametrised": (lambda: parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), "kernel", None),
    "masked": (lambda: Masked(3, 4, 3), "kernel", "made of their weights"),
    "renormed": (Parent, "kernel", "made of their weights"),
    "more": (lambda: More(3, 4, 3), "inner_kernel", None),
    "written": (lambda: Written(3, 4, 3), "inner_kernel", None),
    "hooked": (hooked, "inner_kernel", None),
    "modulated": (lambda: Modulated(3, 4, 3), "raw_kernel", "made anew for every picture"),
    "folded": (lambda: Folded(3, 4, 3), "raw_kernel", "made anew for every picture"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_filters_are_kernels_as_they_act_or_say_that_they_are_not(name):
    make, role, says = ODD[name]
    module = nn.Sequential(make(), nn.ReLU())
    network = convscope.open(module.eval(), picture_shape=(3, 8, 8))
    row = "0.conv" if name == "renormed" else "0"
    weights, filters = network.engine.weights(row), network.filters(row)
    assert set(weights) == {role, "bias"}
    np.testing.assert_array_equal(filters.values, weights[role])
    assert any(f"'{row}'" in note and says in note for note in network.info.notes) if says else network.info.notes == ()
    assert ("more than convolve" in filters.note) == (role == "inner_kernel")
    assert ("not the kernels" in filters.note) == (role == "raw_kernel")
    kernel, bias = (torch.from_numpy(weights[each]) for each in (role, "bias"))
    function = nn.functional.conv_transpose2d if name == "transposed" else nn.functional.conv2d
    given = kernel.transpose(0, 1) if name == "transposed" else kernel
    with torch.no_grad():
        plain = function(torch.from_numpy(BATCH), given, bias).numpy()
    read = network.engine.run(BATCH, [row])[row]
    assert np.allclose(read, plain, atol=1e-5) == (role == "kernel" or name == "folded")
    if role != "kernel":
        assert filters.silent is None
        with pytest.raises(InputError, match="does not just convolve"):
            network.with_filters(row, np.ones((1, 3, 3, 3)))
    elif says and name not in NORMED:
        with pytest.raises(Unsupported, match="made of other weights"):
            network.engine.with_weights({row: weights})


def test_plain_layers_are_not_looked_up_in_runs():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), nn.ConvTranspose2d(4, 4, 3), nn.Flatten(), nn.Linear(400, 3)
    )
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    assert engine._odd == set()
    assert [list(engine.weights(row.name)) for row in engine.graph if row.kernel] == [["kernel", "bias"]] * 3


def shared():
    """What its kernel is made of is what another layer has for its own."""
    layer, other = nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
    prune.l1_unstructured(layer, "weight", 0.5)
    layer.weight_orig = other.weight
    return nn.Sequential(nn.Conv2d(3, 4, 3), layer, other), "1"


def of_bias():
    layer = nn.Conv2d(3, 4, 3)
    nn.utils.parametrize.register_parametrization(layer, "weight", nn.Softplus())
    nn.utils.parametrize.register_parametrization(layer, "bias", nn.Softplus())
    return nn.Sequential(layer), "0"


def pruned_and_normed():
    layer = nn.utils.weight_norm(nn.ConvTranspose2d(3, 4, 3))
    prune.l1_unstructured(layer, "weight_v", 0.5)
    return nn.Sequential(nn.ReLU(), layer), "1"


def of_one(make):
    return lambda: (nn.Sequential(make(nn.Conv2d(3, 4, 3)), nn.ReLU()), "0")


FREED = {**{name: of_one(make) for name, make in NORMED.items()}, "shared": shared, "bias": of_bias, "both": pruned_and_normed}


@pytest.mark.parametrize("name", FREED)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_kernels_that_torch_makes_can_be_replaced(name):
    torch.manual_seed(0)
    module, row = FREED[name]()
    module.eval()
    before = {key: each.clone() for key, each in module.state_dict().items()}
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    names = [each.name for each in engine.graph]
    own, plain = engine.weights(row), engine.run(BATCH, names)
    for given in (own, {key: 2 * each + 1 for key, each in own.items()}):
        for only in (given, {"kernel": given["kernel"]}, {"bias": given["bias"]}):
            other = engine.with_weights({row: only})
            for key, values in {**own, **only}.items():
                np.testing.assert_array_equal(other.weights(row)[key], values)
            kernel, bias = (torch.from_numpy({**own, **only}[key]) for key in ("kernel", "bias"))
            with torch.no_grad():
                received = torch.from_numpy(plain[names[names.index(row) - 1]])
                transposed = isinstance(module[int(row)], nn.ConvTranspose2d)
                function = nn.functional.conv_transpose2d if transposed else nn.functional.conv2d
                expected = function(received, kernel.transpose(0, 1) if transposed else kernel, bias).numpy()
            read = other.run(BATCH, names)
            np.testing.assert_allclose(read[row], expected, atol=1e-5)
            if name == "shared":  # the layer beside it keeps its own
                np.testing.assert_array_equal(other.weights("2")["kernel"], engine.weights("2")["kernel"])
    again = other.with_weights({row: own})
    np.testing.assert_allclose(again.run(BATCH, names)[names[-1]], plain[names[-1]], atol=1e-5)
    assert module.state_dict().keys() == before.keys()  # the user's has its parametrisation, and its weights
    assert all(torch.equal(each, before[key]) for key, each in module.state_dict().items())
    np.testing.assert_array_equal(engine.run(BATCH, names)[names[-1]], plain[names[-1]])


def test_a_parameter_of_two_layers_is_replaced_in_the_one_that_is_named():
    module = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))
    module[1].weight = module[0].weight
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    other = engine.with_weights({"0": {"kernel": np.zeros((3, 3, 3, 3), np.float32)}})
    assert not other.weights("0")["kernel"].any()
    np.testing.assert_array_equal(other.weights("1")["kernel"], engine.weights("1")["kernel"])
    assert module[1].weight is module[0].weight


def test_weights_that_code_elsewhere_computes_with_are_not_replaced_in_the_layer():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.there, self.alone = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            maps = self.there(self.alone(x.to(self.alone.weight.dtype).type_as(self.alone.weight)))  # its type alone is taken
            return nn.functional.conv_transpose2d(maps, self.there.weight, padding=1)

    engine = TorchEngine(Tied(), picture_shape=(3, 8, 8))
    with pytest.raises(Unsupported, match="of 'there' are used by 'conv_transpose2d' elsewhere"):
        engine.with_weights({"there": {"kernel": np.zeros((4, 3, 3, 3), np.float32)}})
    for name, values in (("there", {"bias": np.zeros(4, np.float32)}), ("alone", {"kernel": np.zeros((3, 3, 3, 3), np.float32)})):
        assert not engine.with_weights({name: values}).weights(name)[next(iter(values))].any()


def test_the_bias_beside_a_kernel_that_is_made_in_every_run_is_replaced():
    """A kernel of the user's own making, which cannot be."""

    class Standard(nn.Conv2d):
        def forward(self, x):
            return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)

    engine = TorchEngine(nn.Sequential(Standard(3, 4, 3)), picture_shape=(3, 8, 8))
    other = engine.with_weights({"0": {"bias": np.arange(4, dtype=np.float32)}})
    before, after = (each.run(BATCH, ["0"])["0"] for each in (engine, other))
    change = np.arange(4, dtype=np.float32) - engine.weights("0")["bias"]
    np.testing.assert_allclose(
        after - before, np.broadcast_to(change[:, None, None], after.shape[1:])[None].repeat(2, 0), atol=1e-5
    )
    with pytest.raises(Unsupported, match="made of other weights"):
        engine.with_weights({"0": dict(engine.weights("0"))})


def test_what_has_no_weights_is_refused():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x) + 1

    engine = TorchEngine(Sum(), picture_shape=(3, 8, 8))
    with pytest.raises(InputError, match="'add' has no weights"):
        engine.with_weights({"add": {"kernel": BATCH}})
