"""What torch modules return and hand on besides plain tensors: read exactly, or refused in a sentence that says what to do."""

import collections
import warnings
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402
from zoo_torch import Written, conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine, laws  # noqa: E402
from convscope.core import Edit  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import InputError, Unsupported  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
Pair = collections.namedtuple("Pair", "scores maps")


def network(give, **parts):
    """Scores of three classes, handed to `give`."""
    return Written(lambda net, x: give(net.head(torch.relu(net.stem(x)))), stem=conv(3, 4), head=head(4), **parts)


def between(give, take):
    """A network in which a part called `part` gives `give(maps)`, and the next receives `take` of that."""
    part = Written(lambda net, x: give(net.conv(x)), conv=conv(3, 4))
    return Written(lambda net, x: net.head(take(net.part(x))), part=part, head=head(4))


def opened(module):
    return TorchEngine(module.eval(), picture_shape=(3, 8, 8))


# At the end


@pytest.mark.parametrize(
    ("give", "taken"),
    [
        (lambda y: Pair(y, y + 1), lambda out: out.scores),
        (lambda y: SimpleNamespace(count=3, scores=y, more=[y + 1]), lambda out: out.scores),
        (lambda y: [None, [y, None], []], lambda out: out[1][0]),
        (lambda y: y.relu().to_sparse(), lambda out: out.to_dense()),
        (lambda y: y.relu().to_sparse_csr(), lambda out: out.to_dense()),
        (lambda y: torch.quantize_per_tensor(y, 0.1, 0, torch.qint8), lambda out: out.dequantize()),
        (lambda y: y > 0, lambda out: out.float()),
    ],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:torch.quantize_per_tensor")
def test_an_output_is_found_in_what_is_returned(give, taken):
    module = network(give)
    with torch.no_grad():
        expected = taken(module.eval()(torch.from_numpy(BATCH))).numpy()
    np.testing.assert_allclose(opened(module).run(BATCH)["output"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("give", "what"),
    [
        (lambda _y: None, r"nothing \(None\)"),
        (lambda y: {y}, "a set"),  # which has no order
        (lambda y: (each for each in y), "a generator"),
        (lambda y: y.detach().numpy(), "a ndarray"),
        (lambda y: float(y.sum()), "a float"),
        (lambda _y: [], "a list"),
        (lambda _y: int, "a type"),
    ],
)
def test_a_network_that_returns_no_tensors_is_refused_with_what_it_returned(give, what):
    with pytest.raises(Unsupported, match=f"^The network returned {what}, in which no arrays are found. Let its forward return"):
        opened(network(give))


def test_what_has_no_values_for_every_picture_is_refused_and_all_else_can_be_read():
    cases = {
        "a nested tensor": lambda y: torch.nested.as_nested_tensor(list(y), layout=torch.jagged),
        "on the 'meta' device": lambda y: y.to("meta"),
        "without an axis of 2 pictures": lambda y: y.sum(),
    }
    for says, give in cases.items():
        engine = opened(network(give))
        assert engine.run(BATCH, ["head.2"])["head.2"].shape == (2, 3)
        for call in (engine.run, engine.trace):
            with pytest.raises(Unsupported, match=f"^'output' .*{says}.*Take"):
                call(BATCH)
        with pytest.raises(Unsupported, match=says):
            engine.hold(BATCH, "stem").run()


# Between the layers


class Box(collections.UserDict):
    pass


@pytest.mark.parametrize(
    ("give", "take"),
    [
        (lambda y: collections.defaultdict(list, maps=y), lambda out: out["maps"] + len(out["none"])),
        (lambda y: Box(maps=y), lambda out: out["maps"]),
        (lambda y: collections.OrderedDict(maps=y), lambda out: out.popitem()[1]),
        (lambda y: MappingProxyType({"maps": y}), lambda out: out["maps"]),
        (lambda y: Pair(None, y), lambda out: out.maps),
        (lambda y: y.relu().to_sparse(), lambda out: out.to_dense()),
    ],
)
def test_the_laws_hold_around_what_is_no_plain_tensor(give, take):
    assert check_engine(opened(between(give, take)), BATCH) == list(laws())


def test_a_sparse_tensor_is_read_with_its_zeros_and_neither_edited_nor_differentiated():
    module = between(lambda y: y.relu().to_sparse(), lambda out: out.to_dense())
    engine = opened(module)
    np.testing.assert_array_equal(engine.run(BATCH, ["part"])["part"], engine.run(BATCH, ["part.relu"])["part.relu"])
    with pytest.raises(Unsupported, match="'part' is a sparse tensor, which can be read, but not edited"):
        engine.run(BATCH, edits=[Edit("part", 0.5)])
    with pytest.raises(Unsupported, match="'part' is a sparse tensor, which can be read, but not differentiated"):
        engine.trace(BATCH, ["part"])


# Parts in TorchScript


@pytest.fixture(scope="module", params=["script", "trace"])
def around_script(request):
    inner = nn.Sequential(conv(4, 4), nn.ReLU()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is
        part = torch.jit.script(inner) if request.param == "script" else torch.jit.trace(inner, torch.zeros(2, 4, 8, 8))
    return Written(lambda net, x: net.head(net.part(torch.relu(net.stem(x)))), stem=conv(3, 4), part=part, head=head(4)).eval()


def test_a_part_in_torchscript_is_one_layer(around_script):
    net = convscope.open(around_script, picture_shape=(3, 8, 8))
    row = net.graph["part"]
    assert (row.inputs, row.shape, row.parameters) == (("relu",), (4, 8, 8), 4 * 4 * 9 + 4)
    assert net.graph.wired
    assert not any(name.startswith("part.") for name in (*net.graph.names, *net.graph.unused))
    assert any("TorchScript ('part')" in note for note in net.info.notes)
    assert check_engine(net.engine, BATCH) == list(laws())
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in around_script.modules())


def test_backward_rules_are_refused_where_they_would_not_reach(around_script):
    engine = opened(around_script)
    for rule in ("guided", "deconvnet"):
        with pytest.raises(Unsupported, match=f"'part' is TorchScript, in which no ReLU can be given the backward rule '{rule}'"):
            engine.trace_by(rule, BATCH)
    torchvision()  # which zennit imports
    pytest.importorskip("zennit", reason="zennit is not installed: pip install 'convscope[lrp]'")
    with pytest.raises(Unsupported, match="LRP has no rule for 'part'"):
        engine.trace_relevance("epsilon-plus", BATCH)


def test_a_part_in_torchscript_gets_other_weights_in_a_copy(around_script):
    engine = opened(around_script)
    weights = engine.weights("part")
    assert sorted(weights) == ["0.bias", "0.weight"]
    other = engine.with_weights({"part": {name: 0 * each for name, each in weights.items()}})
    assert not other.run(BATCH, ["part"])["part"].any()
    assert engine.run(BATCH, ["part"])["part"].any()


# Where nothing flows back


@pytest.mark.parametrize(
    "module",
    [
        network(lambda y: y.argmax(1, keepdim=True).float().expand(-1, 3)),
        network(lambda y: torch.ones_like(y)),
        network(lambda y: y.detach()),
        Written(torch.no_grad()(lambda net, x: net.head(net.stem(x))), stem=conv(3, 4), head=head(4)),
        Written(torch.inference_mode()(lambda net, x: net.head(net.stem(x))), stem=conv(3, 4), head=head(4)),
        between(lambda y: torch.quantize_per_tensor(y, 0.1, 0, torch.qint8), lambda out: out.dequantize()),
    ],
)
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_zeros_do_not_stand_for_a_gradient_that_is_not_there(module):
    net = convscope.open(module.eval(), picture_shape=(3, 8, 8))
    layer = net.layers.convolutions[0].name
    for call in (
        lambda: net.explain(BATCH, "saliency"),
        lambda: net.explain(BATCH, "grad-cam", at=layer),
        lambda: net.engine.trace(BATCH, [layer]).pullback({"output": np.ones((2, 3), np.float32)}, [layer]),
    ):
        with pytest.raises(Unsupported, match=r"^Nothing flows back .*Use a method that needs no gradients"):
            call()


def test_a_layer_beside_the_way_to_the_output_has_a_gradient_of_zero():
    module = Written(lambda net, x: (net.side(x), net.head(net.stem(x)))[1], side=conv(3, 4), stem=conv(3, 4), head=head(4))
    gradients = opened(module).trace(BATCH, ["side"]).pullback({"output": np.ones((2, 3), np.float32)}, ["side"])
    assert not gradients["side"].any()


# Weights without values


@pytest.mark.parametrize("name", ["1.weight", "2.running_mean"])
def test_weights_without_values_are_counted_and_named(name):
    module = nn.Sequential(conv(3, 4), conv(4, 4), nn.BatchNorm2d(4), head(4))
    path, _, own = name.rpartition(".")
    part = module.get_submodule(path)
    (part._parameters if own == "weight" else part._buffers)[own] = nn.Parameter(getattr(part, own).to("meta"), False)
    says = rf"Of this network's 11 weights and buffers 1 are on the 'meta' device.*'{name}'. Load them"
    with pytest.raises(Unsupported, match=says):
        opened(module)


def test_networks_without_weights_and_without_layers_open():
    for module in (nn.Sequential(), nn.Identity(), nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())):
        net = convscope.open(module, picture_shape=(3, 8, 8))
        expected = module(torch.from_numpy(BATCH)).numpy()
        np.testing.assert_array_equal(net.engine.run(BATCH)["output"], expected)
        with pytest.raises(InputError, match="no kernel|no filters|no convolutions"):
            net.filters("input")
