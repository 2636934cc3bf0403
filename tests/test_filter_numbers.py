"""Numbers of kernels: against plain arithmetic, planted kernels, and the network itself."""

import csv

import numpy as np
import pytest

from convscope.core import Graph, Layer
from convscope.errors import InputError, WrongOption
from convscope.methods import folding, kernel_numbers, silent
from convscope.results import Filters

RANDOM = np.random.default_rng(0)


def wave(size, degrees, frequency, phase=0.7):
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    t = np.radians(degrees)
    return np.exp(-(x**2 + y**2) / (2 * (0.3 * size) ** 2)) * np.cos(
        2 * np.pi * frequency * (x * np.cos(t) + y * np.sin(t)) + phase
    )


@pytest.mark.parametrize(("degrees", "frequency"), [(0, 0.2), (30, 0.3), (90, 0.15), (135, 0.25), (172.5, 0.35)])
def test_a_planted_gabor_function_is_found(degrees, frequency):
    kernel = np.stack([0.5 * wave(11, degrees, frequency), -2 * wave(11, degrees, frequency)])[None].astype(np.float32)
    found = kernel_numbers.numbers(kernel, None)
    apart = abs(found["orientation"][0] - degrees)
    assert min(apart, 180 - apart) <= 7.5
    assert found["frequency"][0] == pytest.approx(frequency, abs=0.05)
    assert found["gabor"][0] > 0.88


def test_noise_is_no_gabor_function_and_zeros_have_no_orientation():
    kernels = np.concatenate([RANDOM.normal(size=(5, 3, 7, 7)), np.zeros((1, 3, 7, 7))]).astype(np.float32)
    found = kernel_numbers.numbers(kernels, None)
    assert found["gabor"].max() < 0.6
    assert np.isnan(found["orientation"][5])
    assert found["gabor"][5] == 0


def test_norm_mean_sparsity_and_symmetry_by_hand():
    kernels = np.zeros((4, 1, 3, 3), np.float32)
    kernels[0, 0, 1, 2] = -3
    kernels[1] = 2
    kernels[2, 0] = [[-1, 0, 1]] * 3
    found = kernel_numbers.numbers(kernels, np.arange(4, dtype=np.float32))
    assert found["norm"].tolist() == pytest.approx([3, 6, 6**0.5, 0])
    assert found["mean"].tolist() == pytest.approx([-1 / 3, 2, 0, 0])
    assert found["sparsity"].tolist() == pytest.approx([1, 0, (3 - 6 / 6**0.5) / 2, 0])
    assert found["symmetry"].tolist()[:3] == pytest.approx([0, 1, -1])
    assert np.isnan(found["symmetry"][3])
    assert found["bias"].tolist() == [0, 1, 2, 3]
    assert "gabor" not in found


def test_near_duplicates_are_grouped_whatever_their_size():
    kernels = RANDOM.normal(size=(6, 3, 3, 3)).astype(np.float32)
    kernels[4] = 5 * kernels[1] + 0.01 * kernels[0]
    kernels[5] = -kernels[2]
    kernels[3] = 0
    assert kernel_numbers.duplicates(kernels, 0.95) == ((1, 4),)


def test_the_table_as_a_file_has_the_numbers(tmp_path):
    weights = {"kernel": RANDOM.normal(size=(4, 2, 5, 5)).astype(np.float32), "bias": np.ones(4, np.float32)}
    found = Filters(Layer(1, "conv1", "convolution", "Conv"), weights, silent=(2,))
    with found.save(tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["norm"]) for row in rows] == pytest.approx(found.table()["norm"].tolist())
    assert [row["silent"] for row in rows] == ["False", "False", "True", "False"]
    np.testing.assert_array_equal(np.load(found.save(tmp_path / "a.npy")), found.values)
    assert set(np.load(found.save(tmp_path / "a.npz"))) == {"kernel", "bias"}
    with pytest.raises(WrongOption, match="csv"):
        found.save(tmp_path / "a.xls")


def correlated(x, kernel, bias, stride, padding, groups):
    """A convolution in NumPy, the long way."""
    x = np.pad(x.astype(float), ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    n, _, h, w = x.shape
    out, each, k, _ = kernel.shape
    size = (h - k) // stride + 1, (w - k) // stride + 1
    result = np.zeros((n, out, *size))
    for unit in range(out):
        first = unit // (out // groups) * each
        for i in range(size[0]):
            for j in range(size[1]):
                patch = x[:, first : first + each, i * stride : i * stride + k, j * stride : j * stride + k]
                result[:, unit, i, j] = (patch * kernel[unit]).sum((1, 2, 3)) + bias[unit]
    return result


@pytest.mark.parametrize(("groups", "bias"), [(1, True), (1, False), (2, False), (4, True)])
def test_in_torch_the_folded_kernel_gives_what_convolution_and_norm_give(groups, bias):
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn

    import convscope

    with torch.random.fork_rng([]):
        torch.manual_seed(groups)
        norm = nn.BatchNorm2d(8, eps=0.03)
        for each in (norm.running_mean, norm.weight, norm.bias):
            nn.init.uniform_(each, -2, 2)
        nn.init.uniform_(norm.running_var, 0.1, 9)
        net = convscope.open(
            nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1, groups=groups, bias=bias), norm, nn.ReLU()), picture_shape=(4, 9, 9)
        )
    found = net.filters("0", folded=True)
    pictures = RANDOM.normal(size=(2, 4, 9, 9)).astype(np.float32)
    expected = net.engine.run(pictures, ["1"])["1"]
    np.testing.assert_allclose(correlated(pictures, found.values, found.biases, 2, 1, groups), expected, atol=1e-5)
    assert found.folded == "1"
    assert "with '1' folded in" in found.sheet().caption


def test_a_norm_without_statistics_of_its_own_is_not_folded_nor_proves_anything():
    """Of constants it makes zeros: the folded kernels were zeros, and all filters were proven never to fire."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn

    import convscope

    net = convscope.open(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.ReLU()), picture_shape=(3, 8, 8)
    )
    found = net.filters("0", folded=True)
    assert (found.folded, found.silent) == (None, None)
    np.testing.assert_array_equal(found.values, net.filters("0").values)
    assert net.receptive_field("1").size is None
    assert net.layers["1"].native == "BatchNorm2d of the batch"


def test_nor_is_one_that_a_user_wrote():
    pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    import torch.nn.functional as F
    from torch import nn

    import convscope

    class BatchNormGhost(nn.BatchNorm2d):
        def forward(self, x):
            return F.batch_norm(x, None, None, self.weight, self.bias, training=True)

    net = convscope.open(nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormGhost(4), nn.ReLU()), picture_shape=(3, 8, 8))
    assert net.filters("0").silent == ()
    with pytest.raises(InputError, match="no scale and shift that could be folded into '0'"):
        net.filters("0", folded=True)


def test_in_keras_and_onnx_too():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from zoo_keras import ZOO
    from zoo_onnx import NETWORKS

    from convscope.engines.keras import KerasEngine
    from convscope.engines.onnx import OnnxEngine

    model = keras.Sequential([keras.Input((9, 9, 4)), keras.layers.Conv2D(6, 3), keras.layers.BatchNormalization(epsilon=0.1)])
    model.set_weights([RANDOM.uniform(0.2, 2, each.shape) for each in model.get_weights()])
    pictures = RANDOM.normal(size=(2, 4, 9, 9)).astype(np.float32)
    for engine in (KerasEngine(model), OnnxEngine(NETWORKS["batch_norm_and_dropout"]()), KerasEngine(ZOO["norms_and_dropout"]())):
        pairs = [(row.name, folding.batch_norm_after(engine.graph, row.name)) for row in engine.graph if row.is_convolution]
        layer, norm = next((layer, norm) for layer, norm in pairs if norm)
        row, shape = engine.graph[layer], engine.graph.layers[0].shape
        pictures = RANDOM.normal(size=(2, *shape)).astype(np.float32)
        weights = folding.folded(engine, layer, norm)
        values = engine.run(pictures, [row.inputs[0], norm])
        side = values[row.inputs[0]].shape[2] - values[norm].shape[2]
        padding = (weights["kernel"].shape[2] - 1 - side) // 2
        got = correlated(values[row.inputs[0]], weights["kernel"], weights["bias"], 1, padding, 1)
        np.testing.assert_allclose(got, values[norm], atol=1e-5 * np.abs(got).max())


class One:
    """An engine of one convolution between rows that are given."""

    framework = "none"

    def __init__(self, kernel, bias, *, after="ReLU", before="ReLU"):
        self.kernel, self.bias = kernel, bias
        self.graph = Graph(
            (
                Layer(0, "input", "input", "Input", (2, 4, 4)),
                Layer(1, "first", "activation", before, (2, 4, 4), inputs=("input",)),
                Layer(2, "conv", "convolution", "Conv", (len(kernel), 4, 4), kernel=kernel.shape, inputs=("first",)),
                Layer(3, "last", "activation", after, (len(kernel), 4, 4), inputs=("conv",)),
            )
        )

    def weights(self, _layer):
        return {"kernel": self.kernel, "bias": self.bias}


def test_a_filter_that_cannot_fire_is_proven_to():
    kernel = np.array([[1, 0], [-1, -2], [0, 0], [0, 0], [-1, -2], [-3, 2]], np.float32).reshape(6, 2, 1, 1)
    bias = np.array([-9, -0.5, 0.1, 0, 0.2, -9], np.float32)
    assert silent.silent(One(kernel, bias), "conv") == (1, 3)
    assert silent.silent(One(kernel, bias, before="Sigmoid"), "conv") == (0, 1, 3, 5)  # 0 .. 1: at most 1 - 9
    assert silent.silent(One(kernel, bias, before="LeakyReLU"), "conv") == (3,)
    assert silent.silent(One(kernel, bias, after="Sigmoid"), "conv") is None


def test_no_picture_wakes_what_is_proven_silent_through_batch_norm():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn

    from convscope.engines.torch import TorchEngine

    with torch.random.fork_rng([]):
        torch.manual_seed(3)
        net = nn.Sequential(nn.Sigmoid(), nn.Conv2d(2, 40, 1), nn.BatchNorm2d(40), nn.ReLU())
        nn.init.uniform_(net[2].weight, -1, 1)
        nn.init.uniform_(net[2].bias, -1, 1)
    engine = TorchEngine(net, picture_shape=(2, 4, 4))
    found = silent.silent(engine, "1")
    pictures = 30 * RANDOM.choice([-1, 1], (64, 2, 4, 4)).astype(np.float32)  # every corner of what the sigmoid gives
    wakes = engine.run(pictures, ["3"])["3"].max((0, 2, 3)) > 1e-5
    assert found == tuple(np.flatnonzero(~wakes))
    assert 5 < len(found) < 35


def separable(multiplier, units):
    """The filters of a separable layer of three channels, as an engine gives them."""
    random = np.random.default_rng(0)
    between = 3 * multiplier
    weights = {
        "depthwise_kernel": random.normal(size=(between, 1, 3, 3)).astype(np.float32),
        "pointwise_kernel": random.normal(size=(units, between, 1, 1)).astype(np.float32),
        "bias": random.normal(size=units).astype(np.float32),
    }
    return Filters(Layer(1, "both", "separable", "SeparableConv2D"), weights, groups=3)


@pytest.mark.parametrize("units", [6, 7])
def test_depthwise_filters_of_a_separable_layer_are_no_units_and_have_no_biases(units, tmp_path):
    found = separable(2, units)
    assert "bias" not in found.table()
    assert len(found.save(tmp_path / "filters.csv").read_text().splitlines()) == 1 + 6
    assert f"they are no units: each of the layer's {units} mixes all that these give" in found.sheet().subtitle


@pytest.mark.parametrize(
    ("multiplier", "says"), [(1, "each over its own input"), (2, "2 one after the other over each input channel, 0, 1 over")]
)
def test_of_depthwise_filters_it_is_said_which_channel_each_is_over(multiplier, says):
    assert says in separable(multiplier, 4).sheet().subtitle
