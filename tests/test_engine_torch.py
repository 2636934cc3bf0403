"""The torch engine: the laws on every network of the zoo, torch.fx as a second opinion, and what is left of a module after."""

import copy
import io
import math
import pickle
from collections import Counter
from functools import lru_cache, partial
from itertools import chain
from random import Random

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import torch.nn.functional as F  # noqa: E402
from torch import fx, nn  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from zoo_torch import PICTURES, ZOO, Written, conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine, laws  # noqa: E402
from convscope.core import Edit, Tap  # noqa: E402
from convscope.engines import torch_opening, torch_survey  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.engines.torch_quickly import EqualOnce, ShapesOnly, shape_made_by  # noqa: E402
from convscope.errors import EngineError, InputError, NotAModel, Unsupported, Untrusted, WrongPictureShape  # noqa: E402
from convscope.pictures import read_pictures  # noqa: E402


def engine_of(name):
    return TorchEngine(ZOO[name](), picture_shape=PICTURES[name])


def pictures(name, n=2):
    """What the network takes: an array, or one for each input."""
    random, rows = np.random.default_rng(0), engine_of(name).graph.inputs if not isinstance(PICTURES[name], tuple) else ()
    several = {row.name: random.normal(size=(n, *row.shape)).astype(np.float32) for row in rows}
    if name == "whole_number_input":
        several["input:1"] = np.arange(n)
    return several or random.normal(size=(n, *PICTURES[name])).astype(np.float32)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("pictures", [torch.ones(3, 2, 5, 5), torch.arange(150.0).reshape(3, 2, 5, 5)], ids=["equal", "unlike"])
def test_equal_pictures_are_convolved_once_and_nobody_can_tell(pictures, layout):
    given, kernel = pictures.to(memory_format=layout), torch.arange(54.0).reshape(3, 2, 3, 3)
    with EqualOnce(len(given)):
        once = torch.conv2d(given, kernel, padding=1, stride=2)
    each = torch.conv2d(given, kernel, padding=1, stride=2)
    assert torch.equal(once, each)
    assert once.stride() == each.stride()
    assert not once._is_view()


class Computed(TorchDispatchMode):
    """Counts what a network computes, and of how many entries."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        if function in (torch.ops.aten.convolution.default, torch.ops.aten.addmm.default):
            self.entries.append(len(next(each for each in args if each.ndim > 1)))
        return function(*args, **(kwargs or {}))


def looking(net, x):
    x = net.first(x)
    return net.last((x * 2 if x[0, 0, 0, 0] < 1e6 else x).flatten(1))


def test_opening_computes_no_convolution_unless_code_looks_at_values():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    with Computed() as computed:
        rows = TorchEngine(plain, picture_shape=(3, 8, 8)).graph.layers
    assert computed.entries == []
    assert [row.shape for row in rows] == [(3, 8, 8), (4, 6, 6), (4, 6, 6), (144,), (5,)]
    with Computed() as computed:
        TorchEngine(Written(looking, first=nn.Conv2d(3, 4, 3), last=nn.Linear(144, 5)), picture_shape=(3, 8, 8))
    assert computed.entries
    assert set(computed.entries) == {1}  # equal pictures once


@pytest.mark.parametrize("name", ZOO)
def test_without_values_the_table_is_the_same(name, monkeypatch):
    quick = engine_of(name)
    monkeypatch.setattr(torch_opening, "shapes_alone", lambda engine, _pictures: (torch_survey.Survey(engine.module), None))
    slow = engine_of(name)
    assert (quick.graph, quick.notes, quick.looks, quick._unlike) == (slow.graph, slow.notes, slow.looks, slow._unlike)


def test_what_a_network_keeps_elsewhere_of_its_weights_alone_is_computed():
    kept = []

    def keeping(net, x):
        if not kept:
            kept.append(F.linear(net.table, net.last.weight))
        return net.last(x.flatten(1)) + kept[0]

    network = Written(keeping, last=nn.Linear(12, 5))
    network.table = nn.Parameter(torch.ones(1, 12))
    TorchEngine(network, picture_shape=(3, 2, 2))
    assert torch.equal(kept[0], F.linear(network.table, network.last.weight))


class Places(nn.Module):
    @lru_cache(maxsize=1)  # noqa: B019 - as DETR has it
    def forward(self, shape):
        return torch.arange(float(math.prod(shape))).view(shape)


@torch.no_grad()
@lru_cache
def places_of(shape):
    return torch.arange(float(math.prod(shape))).view(shape)


class Placing(nn.Module):
    def __init__(self, places):
        super().__init__()
        self.stem, self.places = conv(3, 4), places

    def forward(self, x):
        x = self.stem(x)
        return (places_of if self.places is None else self.places)(x.shape).flatten(2) + x.flatten(2)


@pytest.mark.parametrize("places", [Places(), None], ids=["method", "function"])
def test_names_stay_where_functools_keeps_what_an_earlier_run_made(places):
    """Also a run of the user's own, which nobody saw."""
    network = Placing(places)
    engine, batch = TorchEngine(network, picture_shape=(3, 8, 8)), torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        network(batch)
        expected = network.stem(batch).flatten(2)
    np.testing.assert_array_equal(engine.run(batch.numpy(), ["flatten"])["flatten"], expected)


CONVOLVED = [
    (torch.conv1d, (2, 4, 9), (6, 4, 3), (2, 1, 2, 1)),
    (torch.conv2d, (2, 4, 9, 8), (6, 2, 3, 1), ((2, 1), (1, 0), 1, 2)),
    (torch.conv3d, (1, 2, 5, 6, 7), (3, 2, 2, 2, 2), (3, (1, 0, 1), (1, 2, 1), 1)),
]


@pytest.mark.parametrize(("function", "given", "kernel", "options"), CONVOLVED)
def test_the_shape_of_a_convolution_is_the_one_that_it_has(function, given, kernel, options):
    args = torch.ones(given), torch.ones(kernel), None, *options
    with ShapesOnly(lambda _tensor: True):
        made = function(*args)
    assert made.shape == function(*args).shape
    assert not made.any()


@pytest.mark.parametrize("options", [(1, 0), (2, 1), (1, 1, 2), (2, 1, 1, 4)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_what_is_not_computed_lies_in_memory_as_it_would(kernel, options):
    """A network that turns its channels to the last axis and back convolves what lies so; `view` may then fail, or not."""
    groups = options[3] if len(options) > 3 else 1
    given = torch.rand(2, 9, 8, 4).permute(0, 3, 1, 2)
    args = given, torch.rand(8, 4 // groups, kernel, kernel), None, *options
    with ShapesOnly(lambda _tensor: True):
        made = torch.conv2d(*args)
    assert made.stride() == torch.conv2d(*args).stride()
    assert made.shape == torch.conv2d(*args).shape
    assert not made.any()


def likely(random, *sizes):
    """Ones of these sizes, of which one in six is another, now and then with an axis less or more."""
    sizes = [random.choice([1, 2, 3, 4]) if random.random() < 1 / 6 else size for size in sizes]
    sizes = sizes[1:] if random.random() < 1 / 12 else [random.choice([1, 2]), *sizes] if random.random() < 1 / 12 else sizes
    return torch.ones(sizes, dtype=random.choice([torch.float64] + [torch.float32] * 20))


def calls(random):
    """Of a function, with arguments that may not fit."""
    some, mask = partial(likely, random), random.choice([None, (4, 3), (1, 3), (2, 1, 4, 3), (5, 3), (2, 2, 4, 3)])
    mask = None if mask is None else random.choice([some(*mask), torch.ones(mask, dtype=torch.bool)])
    yield torch.conv1d, (some(2, 4, 5), some(6, 2, 3), random.choice([None, some(6)]), 1, random.choice([0, 1]), 1, 2), {}
    yield torch.conv2d, (some(2, 3, 4, 4), some(4, 3, 3, 2), random.choice([None, some(4)]), (1, 2), 0, random.choice([1, 2])), {}
    yield F.linear, (some(2, 3, 4), some(5, 4), random.choice([None, some(5)])), {}
    yield torch.matmul, (some(2, 2, 3, 4), some(2, 2, 4, 2)), {}
    yield torch.bmm, (some(2, 3, 4), some(2, 4, 2)), {}
    options = random.choice([{}, {"attn_mask": mask}, {"attn_mask": mask, "is_causal": True}, {"scale": 2.0, "dropout_p": 0.0}])
    yield F.scaled_dot_product_attention, (some(2, 2, 4, 2), some(2, 2, 3, 2), some(2, 2, 3, 3)), options


def test_what_is_not_computed_would_have_that_shape_and_would_not_have_failed():
    """Else a network would open with a size that it does not take."""
    random, told = Random(0), Counter()
    for function, args, options in chain.from_iterable(calls(random) for _ in range(500)):
        if (shape := shape_made_by(function, args, options)) is not None:
            told[function] += 1
            made = function(*args, **options)
            assert (tuple(made.shape), made.dtype) == (shape, torch.float32)
    assert len(told) == 6
    assert min(told.values()) > 30


def test_what_is_computed_in_half_precision_is_left_to_torch():
    with torch.autocast("cpu", torch.bfloat16), ShapesOnly(lambda _tensor: True):
        assert F.linear(torch.ones(2, 3), torch.ones(4, 3)).dtype is torch.bfloat16


@pytest.mark.parametrize("name", ZOO)
def test_the_laws_hold(name):
    assert check_engine(engine_of(name), pictures(name)) == list(laws())


def test_the_place_of_a_maximum_is_exact_in_a_map_of_more_positions_than_float32_has_whole_numbers():
    wide, place = 4100, (1 << 24) + 1
    pictures = np.zeros((1, 1, wide, wide), np.float32)
    pictures.reshape(-1)[place] = 1
    engine, tap = TorchEngine(nn.Sequential(nn.ReLU()), picture_shape=(1, wide, wide)), Tap("0", "argmax")
    assert engine.run(pictures, [tap])[tap].tolist() == engine.trace(pictures, [tap])[tap].tolist() == [[place]]


def test_inputs_are_rows_in_the_order_of_forward():
    graph = engine_of("several_inputs").graph
    assert [(row.name, row.shape) for row in graph.inputs] == [("input", (3, 8, 8)), ("input:1", (1, 8, 8)), ("input:2", (4,))]
    assert graph["colour"].inputs == ("input",)
    assert graph["gate"].inputs == ("input:2",)
    graph = engine_of("whole_number_input").graph
    assert [row.shape for row in graph.inputs] == [(3, 8, 8), ()]
    assert graph["table"].inputs == ("input:1",)


def test_several_inputs_are_those_of_the_module_itself():
    given = pictures("several_inputs")
    with torch.no_grad():
        expected = ZOO["several_inputs"]().eval()(*(torch.from_numpy(each.copy()) for each in given.values()))
    engine = engine_of("several_inputs")
    np.testing.assert_array_equal(engine.run(given)["output"], expected.numpy())
    trace = engine.trace(given, ["colour"])
    gradients = trace.pullback({"output": np.ones((2, 3), np.float32)}, ["input:1", "input:2"])
    assert {name: each.shape for name, each in gradients.items()} == {"input:1": (2, 1, 8, 8), "input:2": (2, 4)}
    assert all(each.any() for each in gradients.values())


def test_whole_numbers_go_in_as_they_are_and_are_not_edited():
    engine, given = engine_of("whole_number_input"), pictures("whole_number_input")
    other = engine.run({**given, "input:1": np.array([4, 4])}, ["table"])["table"]
    np.testing.assert_array_equal(other, np.repeat(engine.weights("table")["weight"][4:], 2, 0))
    with pytest.raises(InputError, match="'input:1' takes whole numbers"):
        engine.run({**given, "input:1": np.array([0.5, 1])})
    with pytest.raises(Unsupported, match="'input:1' holds whole numbers"):
        engine.run(given, edits=[Edit("input:1", 2.0)])


@pytest.mark.parametrize(
    ("shape", "error", "says"),
    [
        (None, Unsupported, "several inputs \\(picture, depth, numbers\\)"),
        ((3, 8, 8), Unsupported, "picture_shape="),
        ({"picture": (3, 8, 8), "deep": (1, 8, 8)}, InputError, "takes \\(picture, depth, numbers, scale\\).*'picture', 'deep'"),
        ([(3, 8, 8), (1, 8, 8)], EngineError, "missing 1 required positional argument: 'numbers'"),
        ([(3, 8, 8), (1, 8, 0), (4,)], InputError, "picture shape"),
    ],
)
def test_shapes_of_several_inputs_that_do_not_fit(shape, error, says):
    with pytest.raises(error, match=says):
        TorchEngine(ZOO["several_inputs"](), picture_shape=shape)


def test_pictures_and_arrays_for_several_inputs():
    net = convscope.open(ZOO["several_inputs"](), picture_shape=PICTURES["several_inputs"])
    pixels = np.random.default_rng(0).integers(0, 255, (2, 10, 8, 3), np.uint8)
    given = {"input": list(pixels), "input:1": list(pixels[..., 0]), "input:2": np.ones((2, 4))}
    maps = net.maps(given, at=["input:1", "gate", "colour"])
    assert maps.pictures[0].pixels.shape == (8, 8, 3)
    assert "for 'input:1'" in " ".join(maps.pictures[0].notes)
    np.testing.assert_allclose(maps["input:1"].values[:, 0], np.float32(pixels[:, 1:9, :, 0] / 255), atol=1e-6)
    values = {"input": net.preprocess.apply(maps_picture(pixels[0]))[None], "input:1": np.zeros((1, 8, 8)), "input:2": np.ones(4)}
    np.testing.assert_allclose(net.maps(values, at="colour")["colour"].values, maps["colour"].values[:1], atol=1e-6)
    assert len(net.predict(given)) == 2
    with pytest.raises(InputError, match="2 pictures, but 1 entries for 'input:2'"):
        net.maps({**given, "input:2": np.ones(4)})
    with pytest.raises(InputError, match="takes 'input', 'input:1', 'input:2', but received ndarray"):
        net.maps(pixels)
    with pytest.raises(InputError, match="but received 'input', 'depth'"):
        net.maps({"input": pixels, "depth": pixels})


def maps_picture(pixels):
    return read_pictures(pixels)[0]


def test_what_is_written_into_by_another_name_is_never_edited_wrong():
    """The edit is handed on in a copy, and what the network then writes into the original would be lost."""

    class Keeping(nn.Conv2d):
        def forward(self, x):
            self.kept = super().forward(x)
            return self.kept

    def run(net, x):
        x = net.keeping(x)
        net.keeping.kept.relu_()
        return net.head(x)

    engine = TorchEngine(Written(run, keeping=Keeping(3, 4, 3), head=head(4)), picture_shape=(3, 8, 8))
    engine.run(pictures("sequential"), ["keeping", "output"])
    with pytest.raises(Unsupported, match="'keeping'.*another name"):
        engine.run(pictures("sequential"), ["output"], [Edit("keeping", 0.0)])


def test_what_lies_before_the_cut_does_not_run_again(monkeypatch):
    ran, engine, forward = [], engine_of("nested"), nn.Conv2d.forward
    held = engine.hold(pictures("nested"), "middle.right.0")
    monkeypatch.setattr(nn.Conv2d, "forward", lambda module, x: ran.append(module) or forward(module, x))
    held.run(repeat=2)
    assert ran == []
    engine.hold(pictures("nested"), "stem").run()
    assert len(ran) == 3  # that of the stem for holding, and the two after it


def test_a_network_that_keeps_things_on_itself_runs_as_a_whole():
    """Handing back what `stem` gave would leave `kept` as it was in another run."""

    class Keeping(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.kept = conv(3, 4), None

        def forward(self, x):
            self.kept = self.conv(x)
            return torch.relu(self.kept)

    def run(net, x):
        return net.head(net.body(net.stem(x)) + net.stem.kept)

    engine = TorchEngine(Written(run, stem=Keeping(), body=conv(4, 4), head=head(4)), picture_shape=(3, 8, 8))
    first, second = pictures("sequential"), pictures("sequential")[::-1] * 2
    held = engine.hold(first, "body")
    engine.run(second)
    np.testing.assert_array_equal(held.run()["output"], engine.run(first)["output"])
    np.testing.assert_array_equal(held.run(repeat=2)["output"], engine.run(first.repeat(2, 0))["output"])


def test_hooks_of_the_users_run_once():
    engine = engine_of("nested")
    engine.module.stem[0].register_forward_hook(lambda _module, _args, out: out * 2)
    expected = engine.run(pictures("nested"))["output"]
    np.testing.assert_array_equal(engine.hold(pictures("nested"), "middle.right.0").run()["output"], expected)


def test_an_edit_does_not_count_as_a_function_of_the_network():
    """The edit is a product itself; the row `mul` is the network's own."""
    engine = engine_of("dataclass_output")
    run = engine.run(pictures("dataclass_output"), ["mul"], [Edit("stem")])
    np.testing.assert_array_equal(run["mul"], engine.run(pictures("dataclass_output"), ["mul"])["mul"])


def test_gradients_begin_where_the_first_tap_is():
    """Nothing is kept for what lies before, and the weights that are trained are so afterwards, but have taken no part."""
    engine, seed = engine_of("nested"), np.ones((2, 3), np.float32)
    trained = [each.requires_grad for each in engine.module.parameters()]
    trace = engine.trace(pictures("nested"), ["middle.left.1"])
    assert trace._handles["middle.left.1"].grad_fn.next_functions[0][0].name() == "torch::autograd::AccumulateGrad"
    assert [each.requires_grad for each in engine.module.parameters()] == trained
    late = trace.pullback({"output": seed}, ["input"])["input"]  # by a second run
    early = engine.trace(pictures("nested"), ["input"]).pullback({"output": seed}, ["input"])["input"]
    np.testing.assert_allclose(late, early, atol=1e-6)
    with pytest.raises(InputError):
        engine.trace(pictures("nested"), ["middle.left.1"], [Edit("stem.0", np.ones(9, np.float32))])
    assert [each.requires_grad for each in engine.module.parameters()] == trained


class Variational(nn.Module):
    """Gives its two codes as one array (2, n, 3), and of each picture a row of two."""

    def __init__(self):
        super().__init__()
        self.stem, self.codes, self.pair = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), nn.Linear(3, 2)
        self.both = nn.Identity()

    def forward(self, x):
        x = self.stem(x).mean((2, 3))
        mean, deviation = self.both(torch.stack([self.codes(x), self.codes(x * 2)]))
        return self.pair(mean + deviation)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_axis_that_happens_to_be_as_long_as_there_are_pictures_is_not_theirs(count):
    engine = TorchEngine(Variational().eval(), picture_shape=(3, 8, 8))
    assert "both" not in engine.graph.names
    assert "stack" not in engine.graph.names
    assert engine.graph["pair"].shape == (2,)
    assert engine.graph.wired
    run = engine.run(np.zeros((count, 3, 8, 8), np.float32), engine.graph.names)
    assert all(len(run[name]) == count for name in engine.graph.names)


def test_functions_are_called_after_the_code_that_calls_them():
    graph = engine_of("functions_only").graph
    assert [row.name for row in graph if row.function][:6] == [
        "leaky_relu", "max_pool2d", "inner.conv2d", "inner.mul", "inner.getitem", "inner.getitem#2",
    ]  # fmt: skip
    assert [graph[name].kind for name in ("leaky_relu", "inner.conv2d", "inner.cat", "add")] == [
        "activation", "convolution", "merge", "other",
    ]  # fmt: skip
    assert graph["inner.cat"].inputs == ("inner.chunk:1", "inner.chunk:2", "inner.chunk:0")
    assert not graph.wired  # `inner.stack` gets a part that was written into by another name
    graph = engine_of("inplace_residual").graph
    assert graph.wired
    assert graph["add"].inputs == ("bn2", "relu")
    assert graph["torch.relu"].inputs == ("sub",)  # `relu` is a layer there


def test_a_convolution_is_read_after_the_function_that_activates_it():
    net = convscope.open(ZOO["free_form"](), picture_shape=(3, 8, 8))
    maps = net.look(pictures("free_form"), at="convs")
    assert [each.reading.read_at for each in maps.values()] == ["stem", "relu", "relu#2"]
    assert [each.reading.activated for each in maps.values()] == [False, True, True]
    np.testing.assert_array_equal(maps["body"].values, np.maximum(net.maps(pictures("free_form"), at="body")["body"].values, 0))
    functions = net.maps(pictures("free_form"), at="operations")
    assert list(functions) == ["relu", "relu#2"]


def test_a_convolution_by_a_function_has_no_filters_and_says_so():
    with pytest.raises(InputError, match="'inner.conv2d'.*function"):
        convscope.open(ZOO["functions_only"](), picture_shape=(3, 8, 8)).filters("inner.conv2d")


class Recorded(fx.Interpreter):
    """torch.fx runs the graph node by node, layers and functions; each result is copied before the next can write into it."""

    def __init__(self, module):
        super().__init__(fx.symbolic_trace(module))
        self.seen: list[np.ndarray] = []

    def run_node(self, node):
        given = [(each, each._version) for each in self.fetch_args_kwargs_from_env(node)[0] if isinstance(each, torch.Tensor)]
        result = super().run_node(node)
        passed_on = any(result is each and each._version == version for each, version in given)
        if node.op == "call_module" or (node.op in ("call_function", "call_method") and not passed_on):
            self.seen.append(result.detach().clone().numpy())
        return result


TRACEABLE = [
    "sequential", "inplace_relu", "inplace_first", "nested", "shared", "residual", "inplace_residual", "before_activation",
    "concatenation", "norms_and_dropout", "depthwise_and_separable", "grouped_and_dilated", "transposed",
    "grey_without_bias", "six_channels", "one_dimension", "three_dimensions", "one_by_one_maps", "dense_only",
]  # fmt: skip


@pytest.mark.parametrize("name", TRACEABLE)
def test_what_is_read_is_what_torch_fx_computes(name):
    recorded, batch = Recorded(ZOO[name]().eval()), pictures(name)
    with torch.no_grad():
        output = recorded.run(torch.from_numpy(batch.copy()))
    engine = engine_of(name)
    rows = [row.name for row in list(engine.graph)[1:] if row.kind != "network"]
    run = engine.run(batch, [*rows, "output"])
    assert len(rows) == len(recorded.seen)
    for row, expected in zip(rows, recorded.seen, strict=True):
        np.testing.assert_allclose(run[row], expected, atol=1e-5 * np.abs(expected).max(), err_msg=row)
    np.testing.assert_allclose(run["output"], output.numpy(), atol=1e-6)


def test_gradients_are_those_of_autograd():
    module = ZOO["residual"]().eval()
    start = torch.from_numpy(pictures("residual")).requires_grad_()
    (expected,) = torch.autograd.grad(module(start)[:, 1].sum(), start)
    trace = engine_of("residual").trace(pictures("residual"))
    seed = np.zeros((2, 3), np.float32)
    seed[:, 1] = 1
    np.testing.assert_allclose(trace.pullback({"output": seed}, ["input"])["input"], expected.numpy(), atol=1e-6)


def state_of(module):
    hooks = [
        (
            name,
            len(each._forward_hooks),
            len(each._forward_pre_hooks),
            each.training,
            sorted(vars(each)),
            getattr(each, "inplace", None),
        )
        for name, each in module.named_modules()
    ]
    values = {name: each.clone() for name, each in module.state_dict().items()}
    gradients = {name: (each.grad, each.requires_grad) for name, each in module.named_parameters()}
    return hooks, values, gradients


def same_state(one, other):
    return one[0] == other[0] and one[2] == other[2] and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["norms_and_dropout", "inplace_residual", "shared", "data_parallel"])
def test_the_module_is_left_as_it_was(name, training):
    module = ZOO[name]().train(training)
    random, before = torch.random.get_rng_state(), state_of(module)
    engine = TorchEngine(module, picture_shape=PICTURES[name])
    names = engine.graph.names
    engine.run(pictures(name), names, [Edit(names[1], 0.5, 1.0)])
    engine.trace(pictures(name), names).pullback({"output": np.ones((2, 3), np.float32)}, ["input", names[1]])
    with pytest.raises(WrongPictureShape):
        engine.run(np.zeros((2, 7, 3, 3), np.float32))
    assert same_state(state_of(module), before)
    assert torch.equal(torch.random.get_rng_state(), random)
    pickle.dumps(copy.deepcopy(module.state_dict()))


def test_a_run_in_a_network_in_training_is_in_evaluation():
    module = nn.Sequential(conv(3, 4), nn.Dropout(0.9), head(4)).train()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    batch = pictures("sequential")
    np.testing.assert_array_equal(engine.run(batch)["output"], engine.run(batch)["output"])
    assert module.training


def test_a_run_stops_at_the_last_tap():
    ran = []

    def run(net, x):
        x = net.first(x)
        ran.append("after first")
        return net.second(x)

    engine = TorchEngine(Written(run, first=conv(3, 4), second=head(4)), picture_shape=(3, 8, 8))
    ran.clear()
    engine.run(pictures("sequential"), ["first"])
    assert ran == []


def test_a_failure_names_the_layer_before_it_and_keeps_the_cause():
    def run(net, x):
        x = net.first(x)
        if len(x) == 3:
            raise ZeroDivisionError("on purpose")
        return net.second(x)

    engine = TorchEngine(Written(run, first=conv(3, 4), second=head(4)), picture_shape=(3, 8, 8))
    with pytest.raises(EngineError, match="'first'.*on purpose") as caught:
        engine.run(pictures("sequential", 3))
    assert caught.value.layer == "first"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_layer_that_did_not_run_is_said():
    """Control flow may take another way for other pictures."""

    def run(net, x):
        x = net.first(x)
        return net.last(net.sometimes(x) if float(x.detach()[0, 0, 0, 0]) > -1e9 else x)

    module = Written(run, first=conv(3, 4), sometimes=nn.ReLU(), last=head(4))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    with pytest.raises(EngineError, match="'sometimes' did not run"):
        engine.run(np.zeros((2, 3, 8, 8), np.float32), ["sometimes", "output"], [Edit("first", 0.0, -1e10)])


def test_half_precision_is_read_as_float32():
    module = nn.Sequential(conv(3, 4), nn.ReLU(), head(4)).to(torch.bfloat16)
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    assert engine.run(pictures("sequential"), ["0"])["0"].dtype == np.float32


def test_the_assumed_size_is_said():
    net = convscope.open(ZOO["residual"]())
    assert "assumed" in " ".join(net.info.notes)
    assert "assumed" not in " ".join(convscope.open(ZOO["residual"](), picture_shape=(3, 8, 8)).info.notes)


@pytest.mark.parametrize("shape", [(), (3, 0, 8), (3, 8.5, 8)])
def test_a_picture_shape_that_is_none(shape):
    with pytest.raises(InputError, match="picture shape"):
        TorchEngine(ZOO["residual"](), picture_shape=shape)


# Files


def saved(thing, **options) -> bytes:
    file = io.BytesIO()
    torch.save(thing, file, **options)
    return file.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(content: bytes):
        path = tmp_path / "net.pt"
        path.write_bytes(content)
        return path

    return write


def whole_network():
    torch.manual_seed(0)
    return nn.Sequential(conv(3, 4), nn.ReLU(), head(4))


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: {"epoch": 3, "model": net}], ids=["module", "in a dict"])
def test_a_pickled_network_opens_when_it_is_trusted(file, zipped, wrap):
    path = file(saved(wrap(whole_network()), _use_new_zipfile_serialization=zipped))
    with pytest.raises(Untrusted, match="trust"):
        convscope.open(path)
    net = convscope.open(path, trust=True, picture_shape=(3, 8, 8))
    batch = pictures("sequential")
    with torch.no_grad():
        expected = whole_network().eval()(torch.from_numpy(batch)).numpy()
    np.testing.assert_allclose(net.engine.run(batch)["output"], expected, atol=1e-6)


class Bomb:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('exploded').touch()",))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_never_run_untrusted(file, zipped, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = file(saved({"weights": torch.zeros(3), "more": Bomb()}, _use_new_zipfile_serialization=zipped))
    with pytest.raises(Untrusted, match="exec"):
        convscope.open(path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"hello", "damaged"),
        (saved(whole_network())[:700], "damaged"),
        (saved(whole_network().state_dict()), "weights only"),
        (saved({"state_dict": whole_network().state_dict(), "best": 0.9}), "weights only"),
        (saved([1, 2]), "without a network"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_that_hold_no_network(file, content, says):
    with pytest.raises(NotAModel, match=says):
        convscope.open(file(content))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_named(file):
    script = io.BytesIO()
    torch.jit.save(torch.jit.trace(whole_network(), torch.zeros(1, 3, 8, 8)), script)
    with pytest.raises(Unsupported, match="TorchScript"):
        convscope.open(file(script.getvalue()))
    with pytest.raises(Unsupported, match="TorchScript"):
        TorchEngine(torch.jit.load(io.BytesIO(script.getvalue())), picture_shape=(3, 8, 8))
