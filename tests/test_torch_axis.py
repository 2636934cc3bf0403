"""Which arrays of a torch network are of pictures, and what is told of a network whose code looks at values."""

import itertools
import warnings
from collections import Counter

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402
from zoo_torch import Written, conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.engines.torch_axis import axis_after, axis_after_layer  # noqa: E402
from convscope.engines.torch_constants import Constants  # noqa: E402
from convscope.engines.torch_functions import Functions  # noqa: E402
from convscope.engines.torch_graph import kind_of  # noqa: E402
from convscope.engines.torch_order import is_by_place, may_reorder  # noqa: E402
from convscope.errors import EngineError, Unsupported  # noqa: E402

RANDOM = torch.Generator().manual_seed(0)
PICTURES = torch.rand(2, 2, 2, 2, generator=RANDOM)  # every axis is as long as there are pictures
KERNEL, OTHER = torch.rand(2, 2, 1, 1, generator=RANDOM), torch.rand(2, 2, 2, 2, generator=RANDOM)
CALLS = {
    **{f"permute {places}": lambda x, places=places: x.permute(places) for places in itertools.permutations(range(4))},
    **{f"transpose {two}": lambda x, two=two: x.transpose(*two) for two in itertools.combinations(range(-4, 4), 2)},
    **{f"mean {axis}": lambda x, axis=axis: x.mean(axis) for axis in (*range(-4, 4), (2, 3), (0, 1), (-4, 1))},
    **{f"mean kept {axis}": lambda x, axis=axis: x.mean(axis, True) for axis in (0, 1, (0, 2))},
    **{f"cat {axis}": lambda x, axis=axis: torch.cat([x, x[:, :1]], axis) for axis in (1,)},
    **{f"cat halves {axis}": lambda x, axis=axis: torch.cat(x.mean(1).chunk(2, 0), axis) for axis in range(-3, 3)},
    **{f"stack {axis}": lambda x, axis=axis: torch.stack([x, x * 2], axis) for axis in range(-5, 5)},
    **{f"softmax {axis}": lambda x, axis=axis: x.softmax(axis) for axis in range(4)},
    **{f"sum {axis}": lambda x, axis=axis: x.sum(dim=axis) for axis in range(4)},
    **{f"chunk {axis}": lambda x, axis=axis: x.chunk(2, axis)[0] for axis in range(4)},
    **{f"unbind {axis}": lambda x, axis=axis: x.unbind(axis)[0] for axis in range(4)},
    **{f"select {axis}": lambda x, axis=axis: x.select(axis, 0) for axis in range(4)},
    **{f"movedim {axis}": lambda x, axis=axis: x.movedim(0, axis) for axis in range(4)},
    "first": lambda x: x[0],
    "one channel": lambda x: x[:, 1],
    "corner": lambda x: x[..., 0, 0],
    "all dots": lambda x: x[..., 0, 0, 0, 1:],
    "dots over nothing": lambda x: x.mean(1)[..., 0, :, :],
    "picked": lambda x: x[:, [1, 0], :, [0, 1]],
    "new first": lambda x: x[None][0],
    "kept view": lambda x: x.view(2, -1),
    "folded": lambda x: x.reshape(4, 2, 2).reshape(2, 8),
    "of folded": lambda x: x.permute(1, 0, 2, 3).reshape(2, 8),
    "flattened": lambda x: x.flatten(1),
    "squeezed": lambda x: x.mean(1, True).squeeze(1),
    "outer": lambda x: x.mean((1, 2, 3))[:, None] * x.mean((1, 2, 3)),
    "beside": lambda x: x.mean((1, 2, 3)) + OTHER[:1],
    "beside a picture": lambda x: x + x.mean((2, 3)),
    "first of another": lambda x: OTHER[0, 0, 0, :1] + x.sum((1, 2, 3)),
    "added": lambda x: x + OTHER[:1],
    "convolved": lambda x: F.conv2d(x, KERNEL),
    "convolved without a batch": lambda x: F.conv2d(x.mean(1), KERNEL),
    "convolved along one axis": lambda x: F.conv1d(x.mean(3), KERNEL[..., 0]),
    "pooled": lambda x: F.max_pool2d(x, 1),
    "pooled without a batch": lambda x: F.avg_pool2d(x.mean(1), 1),
    "linear": lambda x: F.linear(x, KERNEL[..., 0, 0]),
    "linear of numbers": lambda x: F.linear(x.mean((1, 2, 3)), KERNEL[..., 0, 0]),
    "enlarged": lambda x: F.interpolate(x, scale_factor=2.0),
    "einsum": lambda x: torch.einsum("nchw->chnw", x),
    "matmul": lambda x: x @ OTHER,
    "rolled": lambda x: x.roll(1, 0),
    "written into": lambda x: OTHER.clone().copy_(x),
    "added into": lambda x: OTHER.clone().permute(1, 0, 2, 3).add_(x),
    "written": lambda x: x.clone().mul_(2),
    **{f"flip {axis}": lambda x, axis=axis: x.flip(axis) * 2 for axis in range(4)},
    **{f"roll {axis}": lambda x, axis=axis: x.roll(1, axis) * 2 for axis in range(4)},
    **{f"layer norm of {axes}": lambda x, axes=axes: F.layer_norm(x, x.shape[-axes:]) for axes in (1, 2, 3)},
    **{f"normalize {axis}": lambda x, axis=axis: F.normalize(x, dim=axis) for axis in range(4)},
    **{f"glu {axis}": lambda x, axis=axis: F.glu(x, axis) for axis in range(4)},
    **{f"part {axis}": lambda x, axis=axis: x.narrow(axis, 0, 2).split(1, axis)[0] for axis in range(4)},
    **{f"all {axis}": lambda x, axis=axis: x[(slice(None),) * axis + (None,)].squeeze(axis) for axis in range(5)},
    **{f"placed into {axis}": lambda x, axis=axis: written_into(x.clone(), axis, x.mean(axis)) for axis in range(4)},
    **{f"over {axes}": lambda x, axes=axes: x.flatten(*axes) for axes in itertools.combinations(range(4), 2)},
    **{f"to two {axis}": lambda x, axis=axis: x.unflatten(axis, (-1, 2)) for axis in range(4)},
    **{f"to two of them {axis}": lambda x, axis=axis: x.unflatten(axis, (2, -1)) for axis in range(4)},
    **{f"repeated {axis}": lambda x, axis=axis: x.repeat(*[2 if axis == at else 1 for at in range(4)]) for axis in range(4)},
    **{f"padded {axis}": lambda x, axis=axis: F.pad(x, [0, 0] * (3 - axis) + [1, -1]) for axis in range(4)},
    "added to more axes": lambda x: x[0] + OTHER[:, :1],
    "attention": lambda x: F.scaled_dot_product_attention(x, x * 2, x),
    "attention to others": lambda x: F.scaled_dot_product_attention(OTHER, x, x),
    "attention by place": lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=OTHER),
    "batch norm": lambda x: F.batch_norm(x, torch.zeros(2), torch.ones(2)),
    "batch norm of itself": lambda x: F.batch_norm(x, x.mean((0, 2, 3)), torch.ones(2)),
    "by its own kernel": lambda x: F.conv2d(x, x),
    "by its own weights": lambda x: F.linear(x, x[0, 0]),
    "by its own slope": lambda x: F.prelu(x - 0.5, x[0, 0, 0, :1]),
    "of one another": lambda x: x @ x,
    "keys": lambda x: x @ x.transpose(-1, -2),
    "by a matrix": lambda x: x @ KERNEL[..., 0, 0],
    "of a matrix": lambda x: KERNEL[..., 0, 0] @ x,
    "of the same for all": lambda x: OTHER[:1] @ x,
    "expanded": lambda x: x[:, :1].expand(-1, 3, -1, -1),
    "sampled": lambda x: F.grid_sample(x, x.permute(0, 2, 3, 1) * 2 - 1, align_corners=False),
    "windows": lambda x: x.view(len(x), 2, 1, 2, 1, 2).permute(0, 1, 3, 5, 2, 4).reshape(-1, 2, 1, 1),
    "windows outside": lambda x: x.view(len(x), 2, 1, 2, 2).permute(1, 0, 3, 4, 2).reshape(-1, 2, 2, 1),
    "heads": lambda x: x.reshape(len(x), 2, 2, 2).permute(2, 0, 3, 1).unbind(0)[1],
    "transposed": lambda x: x.flatten(1).t() * 2,
}


def written_into(array, axis, values):
    array[(slice(None),) * axis + (0,)] = values
    return array


# Where the pictures stand in what the calls are given: its shape, and their axis. Of two windows each in the second.
STARTS = {"first": ((2, 2, 2, 2), 0), "windows": ((4, 2, 2, 2), 0), "second": ((2, 2, 2, 2), 1), "third": ((2, 3, 4, 5), 2)}


def judged(call, pictures, start):
    """What `call` makes, along which axis the pictures are known to stand in it, and whether they may have changed places.

    Not known, where of any step on the way it is not: then there is a second trial.
    """
    known, moved, lost = {id(pictures): (pictures, start)}, [], []

    def visit(_name, tensor, function, _alias):
        placed = [known[id(each)] for each, _ in function.given if id(each) in known]
        constants = [each for each, _ in function.given if each in functions._constants]
        axis = axis_after(function, placed, tensor, 2)
        reorders = axis is None and may_reorder(function, placed, tensor, 2)
        moved.append(reorders or is_by_place(function, placed, axis, constants, 2))
        known.pop(id(tensor), None)
        if axis is None:
            lost.append(function.name)
        else:
            known[id(tensor)] = tensor, axis
        kept.append(tensor)  # or another one could get its id
        return tensor

    kept = []
    module = nn.Module()
    module.kept = [KERNEL, OTHER]
    with Functions(lambda: "", (), visit, Counter(), Constants(module)) as functions:
        made = call(pictures)
    return made, None if lost else known.get(id(made), (made, None))[1], any(moved)


def swapped(array, axis):
    return torch.cat(array.chunk(2, axis)[::-1], axis)


def with_another_second(array, axis):
    first, second = array.chunk(2, axis)
    return torch.cat([first, second.flip(-1) + 1], axis)


@pytest.mark.parametrize("name", CALLS)
def test_where_the_pictures_are_known_to_stand_they_do(name):
    """Of what is made of one nothing changes with the other, and where they change places, what is made of them does."""
    for shape, axis in STARTS.values():
        pictures = torch.rand(shape, generator=torch.Generator().manual_seed(0))
        try:
            made, known, moved = judged(CALLS[name], pictures.clone(), axis)
        except (RuntimeError, IndexError, ValueError):
            continue  # of this shape it cannot be
        if known is None:
            continue
        other, _, _ = judged(CALLS[name], with_another_second(pictures, axis), axis)
        torch.testing.assert_close(other.chunk(2, known)[0], made.chunk(2, known)[0])
        assert not torch.equal(other.chunk(2, known)[1], made.chunk(2, known)[1])
        if not moved:
            turned, _, _ = judged(CALLS[name], swapped(pictures, axis), axis)
            torch.testing.assert_close(turned, swapped(made, known))


def test_of_what_keeps_them_first_most_is_known():
    known = {name for name, call in CALLS.items() if judged(call, PICTURES.clone(), 0)[1] == 0}
    plain = {
        "one channel",
        "corner",
        "kept view",
        "flattened",
        "squeezed",
        "convolved",
        "pooled",
        "linear",
        "enlarged",
        "written",
    }
    assert plain | {"permute (0, 2, 3, 1)", "transpose (-1, 2)", "mean (2, 3)", "cat 1", "softmax 1", "sum 1", "chunk 1"} <= known


LAYERS = {
    "conv": (nn.Conv2d(2, 2, 1), (2, 2, 2, 2)),
    "conv without a batch": (nn.Conv2d(2, 2, 1), (2, 2, 2)),
    "pool": (nn.AdaptiveAvgPool2d(2), (2, 2, 2, 2)),
    "linear": (nn.Linear(2, 2), (2, 2)),
    "linear of numbers": (nn.Linear(2, 2), (2,)),
    "flat": (nn.Flatten(), (2, 2, 2)),
    "flat to the first": (nn.Flatten(0), (2,)),
    "unflat": (nn.Unflatten(0, (1, 2)), (2, 2)),
    "norm": (nn.BatchNorm2d(2).eval(), (2, 2, 2, 2)),
    "softmax": (nn.Softmax(0), (2, 2)),
    "softmax of the last": (nn.Softmax(-1), (2, 2, 2)),
    "layer norm": (nn.LayerNorm(2), (2, 2, 2)),
    "layer norm of two": (nn.LayerNorm((2, 2)), (2, 2, 2)),
    "group norm": (nn.GroupNorm(1, 2), (2, 2, 2, 2)),
    "slope of each": (nn.PReLU(2, 0.1), (2, 2, 2)),
    "activation": (nn.GELU(), (2, 4, 2)),
    "linear of windows": (nn.Linear(2, 2), (4, 2, 2)),
    "upsampling": (nn.Upsample(scale_factor=2), (2, 2, 2, 2)),
    "state": (nn.LSTM(2, 2), (2, 2, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_where_the_pictures_are_known_to_stand_after_a_layer_they_do(name):
    layer, shape = LAYERS[name]
    pictures = torch.rand(*shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        made = layer(pictures)
        for axis, size in enumerate(shape):
            known = (
                axis_after_layer(layer, shape, axis, made, kind_of(layer), 2) if torch.is_tensor(made) and size % 2 == 0 else None
            )
            if known is not None:
                torch.testing.assert_close(layer(swapped(pictures, axis)), swapped(made, known))
                other = layer(with_another_second(pictures, axis))
                torch.testing.assert_close(other.chunk(2, known)[0], made.chunk(2, known)[0])


def opened(run, **layers):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return TorchEngine(Written(run, **{name: make() for name, make in layers.items()}).eval(), picture_shape=(3, 8, 8))


def calls_of(module, shape):
    """How often it runs while it is opened."""
    seen = []
    module.register_forward_pre_hook(lambda *_: seen.append(1))
    TorchEngine(module, picture_shape=shape)
    return len(seen)


def test_only_networks_that_move_axes_are_tried_twice():
    plain = Written(lambda net, x: net.head(F.relu(net.stem(x) + 1)), stem=conv(3, 4), head=head(4))
    assert calls_of(plain, (3, 8, 8)) == 1
    moved = Written(lambda net, x: net.head(net.stem(x).movedim(1, 2).movedim(2, 1)), stem=conv(3, 4), head=head(4))
    assert calls_of(moved, (3, 8, 8)) == 2


class Normed(nn.BatchNorm2d):
    """As timm's: a layer of which nobody but itself says what it does."""

    def __init__(self, channels):
        super().__init__(channels)
        self.act = nn.ReLU()

    def forward(self, x):
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)
        return self.act(x.transpose(0, 1).flip(1).transpose(0, 1) if self.eps > 1 else x)


def windowed(net, x):
    """Queries and keys of windows of four by four, all of them along one axis, and in one array."""
    x = net.norm(net.stem(x))
    x = x.permute(0, 2, 3, 1).roll((1, 1), (1, 2)).reshape(-1, 2, 4, 2, 4, 4).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, 4)
    queries, keys = torch.stack([x, x * 2]).unflatten(-1, (2, 2)).permute(0, 1, 3, 2, 4).unbind(0)
    mask = torch.arange(4.0).repeat(len(x) // 4).view(-1, 1, 1, 1)
    x = ((queries @ keys.transpose(-2, -1) + mask).softmax(-1) @ keys).transpose(1, 2).reshape(-1, 2, 2, 4, 4, 4)
    return net.head(x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3))


def test_windows_and_layers_of_others_are_followed():
    """Swin and CoAtNet were tried twice, with values, since nobody knew where the pictures stand in their windows."""
    network = Written(windowed, stem=conv(3, 4), norm=Normed(4), head=head(4)).eval()
    assert calls_of(network, (3, 8, 8)) == 2  # once with one picture, since it asks how long the windows are
    engine = TorchEngine(network, picture_shape=(3, 8, 8))
    assert not {"reshape#2", "stack", "unbind:0", "matmul", "softmax"} & set(engine.graph.names)
    assert engine.graph["permute"].shape == (8, 8, 4)
    assert engine.notes == ()
    network.norm.eps = 2.0
    assert "depends on the others that run with it" in " ".join(TorchEngine(network, picture_shape=(3, 8, 8)).notes)


@pytest.mark.parametrize("order", ["windows", "by place", "behind others"])
def test_pictures_that_change_places_in_windows_are_said_to(order):
    def run(net, x):
        count, x = len(x), net.stem(x)
        x = x.view(count * 2, 2, 8, 8) if order != "behind others" else x.transpose(0, 1)
        if order == "by place":
            x = x + torch.arange(2.0 * count).view(-1, 1, 1, 1)
        else:
            x = x.flip(0) if order == "windows" else x[:, list(range(count))[::-1]].transpose(0, 1)
        return net.head(x.reshape(count, 4, 8, 8))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert "depends on the others that run with it" in " ".join(engine.notes)


def test_a_state_of_as_many_layers_as_there_are_pictures_is_no_row():
    def run(net, x):
        steps = net.stem(x).flatten(2).transpose(1, 2)
        out, (hidden, _cell) = net.lstm(steps)
        return net.dense(out[:, -1] + hidden[-1]), hidden

    layers = {"lstm": lambda: nn.LSTM(4, 5, num_layers=2, batch_first=True), "dense": lambda: nn.Linear(5, 2)}
    engine = opened(run, stem=lambda: conv(3, 4), **layers)
    assert [name for name in engine.graph.names if "lstm" in name] == ["lstm:0"]
    assert engine.graph.wired
    assert engine.graph["lstm:0"].parameters == sum(each.numel() for each in engine.module.lstm.parameters())
    with pytest.raises(Unsupported, match="'output:1' is not that of the pictures"):
        engine.run(np.zeros((2, 3, 8, 8), np.float32), ["output:1"])


def test_one_axis_is_as_long_as_there_are_pictures_and_so_is_the_other():
    """A stack of two of each, taken apart by the axis of the pictures: of three it has three rows, but of pairs."""

    def run(net, x):
        x = net.stem(x).mean((2, 3))
        x = torch.stack([x, x * 2]).transpose(0, 1)
        return net.dense(x.flatten(1)), x @ x.transpose(1, 2)

    engine = opened(run, stem=lambda: conv(3, 4), dense=lambda: nn.Linear(8, 2))
    assert "stack" not in engine.graph.names
    assert engine.graph["transpose"].shape == (2, 4)
    assert engine.graph["transpose"].inputs == ("mean", "mul")
    assert engine.graph.wired


def test_names_that_stand_for_another_call_where_there_are_more_pictures_are_no_rows():
    def run(net, x):
        x, total = net.stem(x), 0
        for index in range(len(x)):
            total = total + torch.tanh(x * x[index].movedim(0, 1).movedim(0, 1).mean())
        return net.head(torch.tanh(total) * 2)

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    names = engine.graph.names
    assert {"stem", "tanh", "head.2"} <= set(names)
    assert not {"tanh#2", "tanh#3"} & set(names)  # of one picture that after the loop, of three that of the third
    assert not engine.graph.wired


def test_pictures_one_by_one_and_together_again():
    def run(net, x):
        return net.head(torch.cat([net.stem(each[None]) for each in x]))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert engine.graph.names[:2] == ("input", "cat")
    assert "stem" not in engine.graph.names
    assert engine.graph["head.0"].inputs == ("cat",)


def test_layers_that_are_given_a_picture_without_an_axis_for_it():
    """Trials convolve equal pictures once; the equal channels of a picture of zeros were taken for such."""
    engine = opened(
        lambda net, x: net.head(torch.stack([net.stem(each) for each in x])), stem=lambda: conv(3, 4), head=lambda: head(4)
    )
    assert engine.graph.names[:2] == ("input", "stack")
    with torch.no_grad():
        expected = engine.module.stem(torch.from_numpy(NOISE)).numpy()
    np.testing.assert_allclose(engine.run(NOISE, ["stack"])["stack"], expected, atol=1e-6)


def test_a_gradient_that_a_network_takes_is_of_each_picture_in_trials_too():
    """Of equal pictures that are convolved once, all of it would go to the first: "it mixes the pictures" was said."""

    def run(net, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            slope = torch.autograd.grad(net.stem(x).pow(2).sum(), x)[0]
        return net.head(net.stem(x.detach() - slope.movedim(1, 2).movedim(1, 2)))

    assert not opened(run, stem=lambda: conv(3, 4), head=lambda: head(4)).notes


def test_a_network_of_an_even_number_of_pictures():
    def run(net, x):
        pairs = net.stem(x).view(len(x) // 2, 2, 4, 8, 8)
        return net.head(torch.cat([pairs[:, :1], pairs.sum(1, True)], 1).flatten(0, 1))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert {"stem", "flatten", "head.2"} <= set(engine.graph.names)
    assert "'flatten' equal pictures do not give equal values" in " ".join(engine.notes)


def test_a_network_of_one_number_of_pictures_has_what_is_known():
    def run(net, x):
        x = net.stem(x)
        return net.head(torch.cat(x.view(2, 4, 64).unbind(0)).view(2, 4, 8, 8))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert engine.graph.names == ("input", "stem", "view")
    assert "no other number was found" in " ".join(engine.notes)


def test_pictures_that_are_mixed_are_said_to_be():
    def run(net, x):
        x = net.stem(x)
        return net.head(x.permute(1, 0, 2, 3).reshape(len(x), -1, 8, 8))

    assert "'reshape' equal pictures do not give" in " ".join(opened(run, stem=lambda: conv(3, 4), head=lambda: head(4)).notes)
    plain = opened(
        lambda net, x: net.head(net.stem(x).movedim(1, 2).movedim(1, 2)), stem=lambda: conv(3, 4), head=lambda: head(4)
    )
    assert not plain.notes


def test_memory_in_which_there_is_nothing_is_no_row_and_mixes_nothing():
    """What lay in it was another thing for each picture: "it mixes the pictures" was said, and it was shown."""

    def run(net, x):
        x = net.stem(x)
        halves = torch.empty_like(x)
        halves[:, :2] = x[:, 2:]
        halves[:, 2:] = x[:, :2].relu()
        return net.head(halves)

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert "empty_like" not in engine.graph.names
    assert engine.graph.wired
    assert not engine.notes


def test_what_runs_under_vmap_has_no_row():
    """A row of it failed wherever all were read, and opening computed its convolutions once, which vmap refuses."""

    def run(net, x):
        weights = torch.stack([net.stem.weight, 2 * net.stem.weight])
        return net.head(torch.vmap(lambda weight: F.conv2d(x, weight).relu())(weights).sum(0))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert {"sum", "head"} <= set(engine.graph.names)
    assert {"conv2d", "relu"}.isdisjoint(engine.graph.names)
    assert not engine.notes
    found = engine.run(NOISE, ["sum"])["sum"]
    with torch.no_grad():
        plain = F.conv2d(torch.from_numpy(NOISE), engine.module.stem.weight)
        np.testing.assert_allclose(found, (plain.relu() + (2 * plain).relu()).numpy(), atol=1e-5)


ORDERS = {
    "flipped": lambda net, x: net.stem(x.flip(0)).flip(0),
    "flipped in all axes": lambda net, x: net.stem(x.flip(-1, 0)),
    "rolled": lambda net, x: net.stem(x).roll(1, 0),
    "sorted": lambda net, x: net.stem(x[x.mean((1, 2, 3)).argsort()]),
    "sorted the other way": lambda net, x: net.stem(x[x.mean((1, 2, 3)).argsort(descending=True)]),
    "sorted values": lambda net, x: net.stem(x.sort(0).values),
    "picked": lambda net, x: net.stem(x.index_select(0, x.mean((1, 2, 3)).argsort())),
    "one by one": lambda net, x: torch.cat([net.stem(each[None]) for each in x][::-1]),
    "stacked": lambda net, x: torch.stack([net.stem(each) for each in reversed(list(x))]),
    "shifted": lambda net, x: torch.fft.fftshift(net.stem(x), dim=0),
    "shifted in all axes": lambda net, x: torch.fft.ifftshift(net.stem(x)),
    "turned by half": lambda net, x: net.stem(x).rot90(2, (0, 1)),
    "flipped as numbers in a row": lambda net, x: net.stem(x).view(-1).flip(0).view(len(x), 4, 8, 8),
    "rolled as numbers in a row": lambda net, x: net.stem(x).view(-1).roll(256).view(len(x), 4, 8, 8),
    "flipped behind others": lambda net, x: net.stem(x).flatten(1).t().flip(1).t().reshape(len(x), 4, 8, 8),
    "copied elsewhere": lambda net, x: torch.zeros(len(x), 4, 8, 8).index_copy(0, torch.arange(len(x)).flip(0), net.stem(x)),
    "multiplied": lambda net, x: torch.einsum("nm,mchw->nchw", torch.eye(len(x)).flip(0), net.stem(x)),
    "a softmax over them": lambda net, x: net.stem(x).softmax(0),
    "of one length together": lambda net, x: F.normalize(net.stem(x), dim=0),
    "normalised together": lambda net, x: F.layer_norm(net.stem(x), (len(x), 4, 8, 8)),
    "against all": lambda net, x: net.stem(x) - net.stem(x).logsumexp((0, 2, 3), keepdim=True),
}
KEPT = {"stem": lambda: conv(3, 4), "head": lambda: head(4), "noise": lambda: nn.ParameterList([torch.rand(64, 4, 8, 8)])}
ORDERS |= {
    "by their places": lambda net, x: net.stem(x) + net.noise[0][: len(x)],
    "joined by their places": lambda net, x: torch.cat([net.stem(x), net.noise[0][: len(x)]], 1)[:, 2:6],
    "written by their places": lambda net, x: written_into(net.stem(x), 1, net.noise[0][: len(x), 0]),
    "by their places, in place": lambda net, x: net.stem(x).mul_(net.noise[0][: x.shape[0]]),
}
IN_PLACE = {
    "constants alike": lambda net, x: net.stem(x) + net.noise[0][:1].expand(len(x), -1, -1, -1),
    "flipped": lambda net, x: net.stem(x.flip(-1)),
    "rolled": lambda net, x: net.stem(x).roll((1, 2), (2, 3)),
    "sorted values": lambda net, x: net.stem(x).sort(-1).values,
    "one by one": lambda net, x: torch.cat([net.stem(each[None]) for each in x]),
    "a channel": lambda net, x: net.stem(x)[:, [1, 0, 3, 2]],
    "shifted": lambda net, x: torch.fft.fftshift(net.stem(x), dim=(2, 3)),
    "turned": lambda net, x: net.stem(x).rot90(1, (2, 3)),
    "a softmax over channels": lambda net, x: F.normalize(net.stem(x).softmax(1), dim=-1),
    "multiplied": lambda net, x: torch.einsum("dc,nchw->ndhw", net.noise[0][0, :, :4, 0], net.stem(x)),
}


@pytest.mark.parametrize("name", ORDERS)
def test_pictures_that_change_places_are_said_to(name):
    """Equal ones, as those of the second trial are, do not show it, and what is read of one picture is that of another."""
    engine = opened(lambda net, x: net.head(ORDERS[name](net, x)), **KEPT)
    assert "depends on the others that run with it" in " ".join(engine.notes)


@pytest.mark.parametrize("name", IN_PLACE)
def test_pictures_that_keep_their_places_are_not(name):
    assert not opened(lambda net, x: net.head(IN_PLACE[name](net, x)), **KEPT).notes


def test_an_order_within_each_picture_costs_no_further_runs():
    """Windows are shifted so, in shapes of which it is not known that pictures come first: to try it are three runs of a Swin."""
    engine = opened(lambda net, x: net.head(net.stem(x).unfold(2, 8, 8).reshape(-1, 4, 8, 8).roll((1, 2), (2, 3))), **KEPT)
    assert not engine._habits.mixes


def test_pictures_that_attend_to_each_other_are_said_to():
    """As in timm's csatv2, where vectors are transposed that have an axis less than was thought."""

    def run(net, x):
        maps = net.stem(x)
        keys = maps.flatten(1)
        return net.head(((keys @ keys.transpose(-1, -2)).softmax(-1) @ keys).reshape(maps.shape))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert "'matmul' has a value for each two of the pictures" in " ".join(engine.notes)
    assert not {"matmul", "softmax"} & set(engine.graph.names)

    def alone(net, x):
        keys = net.stem(x).flatten(2)
        return net.head((keys @ keys.transpose(-1, -2)).softmax(-1).reshape(len(x), 4, 4, 1))

    assert not opened(alone, stem=lambda: conv(3, 4), head=lambda: head(4)).notes


ZEROS, NOISE, BRIGHT = (
    np.zeros((1, 3, 8, 8), np.float32),
    np.random.default_rng(5).random((1, 3, 8, 8), np.float32),
    np.full((1, 3, 8, 8), 9, np.float32),
)


def test_a_branch_that_the_two_trials_take_otherwise_is_noted():
    def run(net, x):
        maps = net.stem(x)
        return net.head(net.dark(maps) if x.mean() < 0.1 else net.light(maps))

    layers = {"stem": lambda: conv(3, 4), "dark": lambda: conv(4, 4), "light": lambda: conv(4, 4), "head": lambda: head(4)}
    engine = opened(run, **layers)
    assert not engine.graph.wired
    assert {"stem", "dark", "head.2"} <= set(engine.graph.names)
    assert "depends on the picture, from" in " ".join(engine.notes)
    engine.run(ZEROS, ["dark", "head.2", "output"])
    engine.run(NOISE, ["stem", "head.2", "output"])
    with pytest.raises(EngineError, match="'dark' did not run for these pictures"):
        engine.run(NOISE, ["dark"])


def test_control_flow_of_torch_is_a_look_at_values():
    def run(net, x):
        return net.head(torch.cond(x.mean() < 0.1, net.dark, net.light, (net.stem(x),)))

    layers = {"stem": lambda: conv(3, 4), "dark": lambda: conv(4, 4), "light": lambda: conv(4, 4), "head": lambda: head(4)}
    engine = opened(run, **layers)
    assert {"stem", "dark", "light", "cond"} <= set(engine.graph.names)
    assert not engine.graph.wired
    assert engine.alone is None
    read = engine.run(NOISE, ["stem", "light", "cond"])
    np.testing.assert_array_equal(read["light"], read["cond"])
    with pytest.raises(EngineError, match="'dark' did not run for these pictures"):
        engine.run(NOISE, ["dark"])


def test_what_failed_since_the_compiler_was_not_loaded_is_tried_again(monkeypatch):
    """As torch.cond, whose first run compiles what the next ones, with the compiler loaded, can be kept from compiling."""
    loaded = []

    def run(net, x):
        before = list(loaded)
        loaded.append(True)
        if not before:
            raise RuntimeError("compiled")
        return net.head(net.stem(x))

    monkeypatch.setattr("convscope.engines.torch_opening.compiler_is_loaded", lambda: bool(loaded))
    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert engine.notes == ()
    assert engine.alone is None


def test_a_branch_of_the_second_trial_has_its_rows():
    def run(net, x):
        maps = net.act(net.stem(x))
        if x.mean() < 0.1:
            return net.head(net.act(net.dark(maps)))
        return net.head(F.gelu(net.light(F.gelu(net.light(net.act(maps * 2))))).abs())

    layers = {"stem": lambda: conv(3, 4), "act": nn.ReLU, "dark": lambda: conv(4, 4), "light": lambda: conv(4, 4)}
    engine = opened(run, head=lambda: head(4), **layers)
    names = list(engine.graph.names)
    assert [row.index for row in engine.graph] == list(range(len(names)))
    assert names.index("act") < names.index("light") < names.index("gelu") < names.index("light#2") < names.index("head.0")
    assert "act#2" not in names or engine.graph["act#2"].shape == (4, 8, 8)
    assert engine.graph.unused == ()
    net, x = engine.module, torch.from_numpy(NOISE)
    with torch.no_grad():
        first = net.light(net.act(net.act(net.stem(x)) * 2))
        second = net.light(F.gelu(first))
    read = engine.run(NOISE, ["light", "gelu", "light#2", "output"])
    np.testing.assert_allclose(read["light"], first.numpy(), atol=1e-6)
    np.testing.assert_allclose(read["light#2"], second.numpy(), atol=1e-6)
    np.testing.assert_allclose(read["output"], net(x).detach().numpy(), atol=1e-6)
    np.testing.assert_array_equal(engine.hold(NOISE, "light").run(["light#2"])["light#2"], read["light#2"])
    with pytest.raises(EngineError, match="'light' did not run for these pictures"):
        engine.run(ZEROS, ["light"])
    assert engine.weights("light")["kernel"].shape == (4, 4, 3, 3)


@pytest.mark.parametrize("seen", ["len", "shape", "size"])
def test_what_is_another_call_for_one_picture_is_no_row(seen):
    """`add#2` is the last step for two pictures, and the second of the loop for three, in which no array is of one picture."""
    count = {"len": len, "shape": lambda x: x.shape[0], "size": lambda x: x.size(0)}[seen]

    def run(net, x):
        x = net.stem(x)
        for _ in range(count(x) - 1):
            x = x + 1
        return net.head(x.tanh() + 5)

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert "add#2" not in engine.graph.names
    assert not engine.graph.wired
    assert "What runs for one picture is not what runs for two, from 'add" in " ".join(engine.notes)
    for pictures in (NOISE, np.repeat(NOISE, 3, 0)):
        read = engine.run(pictures, ["tanh", "head.2"])
        with torch.no_grad():
            expected = torch.tanh(engine.module.stem(torch.from_numpy(pictures)) + len(pictures) - 1)
        np.testing.assert_allclose(read["tanh"], expected.numpy(), atol=1e-6)


def test_a_layer_for_several_pictures_only():
    def run(net, x):
        x = net.stem(x)
        return net.head(net.body(x) if len(x) > 1 else x)

    engine = opened(run, stem=lambda: conv(3, 4), body=lambda: conv(4, 4), head=lambda: head(4))
    assert not engine.graph.wired
    engine.run(np.repeat(NOISE, 2, 0), ["body"])
    with pytest.raises(EngineError, match="'body' did not run for these pictures"):
        engine.run(NOISE, ["body"])
    sized = opened(lambda net, x: net.head(net.stem(x).view(len(x), 4, 8, 8)), stem=lambda: conv(3, 4), head=lambda: head(4))
    assert sized.graph.wired
    assert not sized.notes


def scripted(what):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(what)


def is_bright(x: torch.Tensor) -> bool:
    return bool(x.mean() > 5)


def of_a_size(x: torch.Tensor) -> int:
    return 2 * x.size(0)


class Gate(nn.Module):
    def forward(self, x: torch.Tensor) -> int:
        return int(x.mean())


class Doubling(nn.Module):
    def forward(self, x: torch.Tensor):
        if x.mean() > 0.2:
            x = x * 2
        return x


@pytest.mark.parametrize("kind", ["function", "module", "extension"])
def test_what_a_script_sees_in_values_is_a_look_at_them(kind):
    """The second `add` would be another one for bright pictures, and what feeds it too."""
    own = vars(torch.jit.ScriptFunction)["__call__"]
    gate = {"function": scripted(is_bright), "module": scripted(Gate()), "extension": torch.ops.aten._local_scalar_dense}[kind]

    def run(net, x):
        if gate(x.mean() if kind == "extension" else x) > 0.9:
            x = x + 1
        return net.head(net.stem(x + 2) + 3)

    layers = {"part": lambda: gate} if kind == "module" else {}
    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4), **layers)
    assert engine.looks
    assert {"add", "add#2"} <= set(engine.graph.names)
    assert engine.run(NOISE, ["add#2"])["add#2"].shape == (1, 4, 8, 8)
    with pytest.raises(EngineError, match="another way"):
        engine.run(BRIGHT, ["add#2"])
    sized = scripted(of_a_size)
    plain = opened(lambda net, x: net.head(net.stem(x) * sized(x)), stem=lambda: conv(3, 4), head=lambda: head(4))
    assert not plain.looks
    assert vars(torch.jit.ScriptFunction)["__call__"] is own


def test_a_part_in_a_script_that_looks_at_values():
    engine = opened(
        lambda net, x: net.head(net.part(net.stem(x))), stem=nn.Identity, part=lambda: scripted(Doubling()), head=lambda: head(3)
    )
    assert engine.looks
    plain = opened(lambda net, x: net.head(net.part(x)), part=lambda: scripted(conv(3, 4)), head=lambda: head(4))
    assert not plain.looks


def branching(net, x):
    """Both trials take the first way."""
    first = net.stem(x)
    second = net.body(first)
    return net.head(net.act(second if x.mean() < 1 else first))


LAYERS_OF_BRANCHING = {"stem": lambda: conv(3, 4), "body": lambda: conv(4, 4), "act": lambda: nn.ReLU(), "head": lambda: head(4)}


def test_what_is_fed_otherwise_than_the_table_shows_is_not_read():
    engine = opened(branching, **LAYERS_OF_BRANCHING)
    assert engine.graph["act"].inputs == ("body",)
    assert engine.graph.wired
    assert not engine.notes
    every = engine.run(NOISE, engine.graph.names)
    np.testing.assert_allclose(every["act"], np.maximum(every["body"], 0))
    engine.run(BRIGHT, ["stem", "body", "output"])
    for reading in (
        lambda: engine.run(BRIGHT, ["act"]),
        lambda: engine.trace(BRIGHT, ["head.2"]),
        lambda: engine.hold(BRIGHT, "act"),
    ):
        with pytest.raises(EngineError, match="another way than the layer table shows, from 'act' on"):
            reading()
    with pytest.raises(EngineError, match="'act' was not read") as error:
        engine.run(BRIGHT, ["act", "stem", "head.2", "output"])
    assert [*error.value.rows] == ["act", "head.2"]
    with pytest.raises(Unsupported, match="LRP"):
        engine.trace_relevance("epsilon", NOISE, ["output"])


def test_what_an_edit_changes_may_change_the_way():
    def run(net, x):
        x = net.stem(x)
        return net.head(net.act(net.body(x) if x.mean() < 100 else x))

    engine = opened(run, **LAYERS_OF_BRANCHING)
    held = engine.hold(NOISE, "stem")
    held.run(["act"])
    with pytest.raises(EngineError, match="'act' was not read"):
        held.run(["act"], [convscope.core.Edit("stem", 0.0, 1000.0)])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_pictures_one_by_one_are_no_other_way(count):
    """Of four, there is one more call for each, of which what it gives is four long."""

    def run(net, x):
        x = net.stem(x)
        if x.abs().max() > 100:
            x = x * 2
        return net.head(torch.stack([each * 3 for each in x]))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert engine.looks
    assert engine.graph.wired
    engine.run(np.repeat(NOISE, count, 0), ["head.2", "stack"])
    with pytest.raises(EngineError, match="from 'mul' on"):
        engine.run(np.repeat(BRIGHT, count, 0) * 1e6, ["head.2"])


def test_as_many_as_the_values_say_is_a_look_at_values():
    def run(net, x):
        x = net.stem(x)
        for _ in range(len(x[x > 50])):
            x = x + 1
        return net.head(x)

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert engine.looks
    engine.run(NOISE, ["head.2"])
    with pytest.raises(EngineError, match="from 'add' on"):
        engine.run(BRIGHT * 1000, ["head.2"])


def test_what_a_network_makes_once_and_keeps_shifts_no_names():
    def run(net, x):
        if net.grid is None:
            net.grid = torch.arange(4.0).view(1, 4, 1, 1) * 2 + 1
        return net.head((net.stem(x) * net.grid + 1) * 3)

    module = Written(run, stem=conv(3, 4), head=head(4)).eval()
    module.grid = None
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    names = [name for name in engine.graph.names if "mul" in name or "add" in name]
    before = engine.run(NOISE, names)
    module(torch.from_numpy(NOISE))
    assert module.grid is not None
    after = engine.run(NOISE, names)
    assert names == ["mul", "add", "mul#2"]
    for name in names:
        np.testing.assert_array_equal(before[name], after[name])


class OneByOne(nn.Module):
    """As detectors do: it puts pictures into a batch one by one, so that it is not known what that is made of."""

    def __init__(self, forward):
        super().__init__()
        self.stem, self.run = conv(3, 4), forward

    def forward(self, x):
        batch = torch.zeros_like(x)
        for place, each in enumerate(x):
            batch[place].copy_(each)
        return self.run(self, self.stem(batch))


def test_a_function_that_later_runs_for_each_picture_has_a_row_before_that():
    """All calls of its name were left out; a detector's scores and boxes are turned by `reshape` before and in that loop."""

    def run(_net, x):
        x = x.permute(0, 2, 3, 1).reshape(len(x), -1, 2)
        return torch.stack([(each + 1).reshape(-1) for each in x.reshape(len(x), -1, 4)])

    engine = TorchEngine(OneByOne(run).eval(), picture_shape=(3, 8, 8))
    shapes = {row.name: row.shape for row in engine.graph if row.native == "reshape"}
    assert shapes == {"reshape": (128, 2), "reshape#2": (64, 4)}
    pictures = np.concatenate([NOISE, NOISE[::-1], NOISE * 2])
    with torch.no_grad():
        maps = engine.module.stem(torch.from_numpy(pictures)).permute(0, 2, 3, 1)
    found = engine.run(pictures, [*shapes])
    for name, shape in shapes.items():
        np.testing.assert_array_equal(found[name], maps.reshape(-1, *shape).numpy())


def test_a_function_that_ran_for_each_picture_before_has_no_row_after():
    """Of three pictures `reshape#4` is the third, and no less right after `reshape#3`, of the same shape as what it is of two."""

    def run(_net, x):
        ones, mean = list(x.narrow(1, 0, 3).reshape(len(x), 3, -1)), x.mean(1)
        parts = [each.reshape(3, 64) for each in ones]
        return mean.reshape(len(mean), 64) + torch.stack(parts).sum((1, 2))[:, None]

    engine = TorchEngine(OneByOne(run).eval(), picture_shape=(3, 8, 8))
    assert [row.name for row in engine.graph if row.native == "reshape"] == ["reshape"]


def test_what_comes_back_from_numpy_is_of_unknown_origin():
    def run(net, x):
        maps = net.stem(x)
        return net.head(torch.from_numpy(np.tanh(maps.numpy())))

    engine = opened(run, stem=lambda: conv(3, 4), head=lambda: head(4))
    assert "head.2" in engine.graph.names
    assert not engine.graph.wired
    made_of_nothing = opened(
        lambda net, x: net.head(net.stem(x) * torch.arange(1.0, 9)), stem=lambda: conv(3, 4), head=lambda: head(4)
    )
    assert made_of_nothing.graph.wired
