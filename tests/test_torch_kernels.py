"""The kernels of layers that are not torch's plain ones: quantised, pruned, normalised, made in every run."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, prune  # noqa: E402

import convscope  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import Unsupported  # noqa: E402

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
        net.qconfig = quantization.get_default_qconfig("onednn")
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
    with pytest.raises(Unsupported, match="quantised"):
        network.engine.with_weights({"1": network.engine.weights("1")})


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
