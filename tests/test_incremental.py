"""Occlusion by what the window can reach, against a full run for each of its places."""

from dataclasses import dataclass

import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from convscope.core import Edit, Local  # noqa: E402
from convscope.edited import edited  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import InputError  # noqa: E402
from convscope.methods import incremental, patches  # noqa: E402
from convscope.methods.ablation import ablate_units  # noqa: E402
from convscope.methods.attribution import gradient, gradients_of  # noqa: E402
from convscope.methods.occlusion import occlusion, spans_of  # noqa: E402
from convscope.methods.targets import Target  # noqa: E402

FULL = "the whole network ran for each place"
SIZE = (23, 26)


@dataclass
class Sum:
    """A number that every value of the output moves, so that none may be wrong."""

    layer: str = "output"

    def values(self, read):
        flat = read.reshape(len(read), -1)
        return flat @ np.random.default_rng(5).normal(size=flat.shape[1]).astype(np.float32)


def conv(inputs, units, *sizes, **options):
    return nn.Conv2d(inputs, units, *sizes, **options)


class Head(nn.Module):
    """Something after which nothing is local."""

    def forward(self, x):
        return x.flatten(1).sin()


class Residual(nn.Module):
    def __init__(self, channels, shortcut=None):
        super().__init__()
        self.conv1, self.bn1 = conv(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.relu, self.shortcut = conv(channels, channels, 3, padding=1), nn.ReLU(inplace=True), shortcut

    def forward(self, x):
        y = self.conv2(F.relu(self.bn1(self.conv1(x))))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class Joining(nn.Module):
    def __init__(self):
        super().__init__()
        self.narrow, self.wide = conv(4, 3, 1), nn.Sequential(conv(4, 2, 5, padding=2), nn.ELU())

    def forward(self, x):
        return torch.cat([self.narrow(x), x, self.wide(x)], dim=1)


NETWORKS = {
    "VGG-like": lambda: [conv(3, 4, 3, padding=1), nn.ReLU(inplace=True), conv(4, 4, 3, padding=1), nn.ReLU(True),
                         nn.MaxPool2d(2), conv(4, 5, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2), Head()],
    "strided": lambda: [conv(3, 4, 5, 2), nn.LeakyReLU(0.3), conv(4, 4, (2, 3), (1, 2)), nn.Tanh(), Head()],
    "stride above the kernel": lambda: [conv(3, 4, 2, 3), nn.ReLU(), conv(4, 4, 2), Head()],
    "dilated": lambda: [conv(3, 4, 3, padding=2, dilation=2), nn.PReLU(4), conv(4, 4, (1, 3), dilation=(1, 3)), Head()],
    "padded": lambda: [nn.ZeroPad2d((1, 0, 3, 2)), conv(3, 4, 3, padding=(2, 0)), nn.ConstantPad2d(1, 0.7), conv(4, 4, 2),
                       Head()],
    "cropped": lambda: [conv(3, 4, 3), nn.ZeroPad2d((-2, -1, 0, -3)), conv(4, 4, 2, padding=1), Head()],
    "same": lambda: [conv(3, 4, 5, padding="same"), nn.SiLU(), conv(4, 4, 3, padding="same", dilation=2), Head()],
    "ceil_mode": lambda: [conv(3, 4, 3), nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(2, 2, 1, ceil_mode=True), Head()],
    "poolings": lambda: [conv(3, 4, 1), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(3, 1, 1), nn.MaxPool2d(2, 1, dilation=2), Head()],
    "grouped": lambda: [conv(3, 6, 3, groups=3, padding=1), nn.ReLU6(), conv(6, 4, 1, groups=2), nn.Dropout(), Head()],
    "residual": lambda: [conv(3, 4, 3, 2, 1), Residual(4), Residual(4, nn.Sequential(conv(4, 4, 1), nn.BatchNorm2d(4))), Head()],
    "joining": lambda: [conv(3, 4, 3), Joining(), conv(9, 4, 3), Head()],
    "convolutions alone": lambda: [conv(3, 4, 3), nn.ReLU(), conv(4, 2, 3)],
}  # fmt: skip


def engine_of(*layers, size=SIZE):
    torch.manual_seed(0)
    network = nn.Sequential(*layers).eval()
    for each in network.modules():
        if isinstance(each, nn.BatchNorm2d) and each.track_running_stats:
            for values in (each.weight, each.bias, each.running_mean, each.running_var):
                nn.init.uniform_(values, 0.3, 2)
    return TorchEngine(network, picture_shape=(3, *size))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(2, 3, *SIZE)).astype(np.float32)


def one_by_one(engine, pictures, found, fill, target):
    """(n, *places) by a full run for each place."""
    scores = np.empty_like(found.scores)
    for at in np.ndindex(*scores.shape[1:]):
        changed = pictures.copy()
        box = tuple(slice(each[i], each[i] + size) for each, i, size in zip(found.starts, at, found.window, strict=True))
        changed[(..., *box)] = fill
        scores[(slice(None), *at)] = target.values(engine.run(changed, [target.layer])[target.layer])
    return scores


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("layers", NETWORKS.values(), ids=NETWORKS)
def test_every_place_equals_a_full_run_to_the_edges(layers, pictures):
    engine = engine_of(*layers())
    found = occlusion(engine, pictures, Sum(), window=(4, 5), stride=(3, 4), fill=0.5)
    assert "only what the window can reach" in found.how
    expected = one_by_one(engine, pictures, found, 0.5, Sum())
    same(found.scores, expected)
    same(found.score, Sum().values(engine.run(pictures)["output"]))
    assert (np.abs(expected - found.score[:, None, None]) > 1e-4).mean() > 0.9  # the window matters where it is


@pytest.mark.parametrize("side", ["low", "high"])
def test_a_rectangle_that_is_one_place_too_small_is_noticed(side, pictures, monkeypatch):
    def reached(*args):
        spans = patches.reached(*args)
        less = {"low": spans.low + (spans.high > spans.low + 1), "high": spans.high - (spans.high > spans.low + 1)}[side]
        return patches.Rectangles(**{"low": spans.low, "high": spans.high, side: less})

    monkeypatch.setattr(incremental, "reached", reached)
    engine = engine_of(*NETWORKS["VGG-like"]())
    found = occlusion(engine, pictures, Sum(), window=(4, 5), stride=(3, 4), fill=0.5)
    assert found.how == FULL
    same(found.scores, one_by_one(engine, pictures, found, 0.5, Sum()))
    monkeypatch.setattr(incremental.Incremental, "agrees", lambda *_: True)  # and the test above would notice it too
    wrong = occlusion(engine, pictures, Sum(), window=(4, 5), stride=(3, 4), fill=0.5)
    with pytest.raises(AssertionError):
        same(wrong.scores, found.scores)


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = conv(3, 4, 3), Head()

    def forward(self, x):
        x = self.conv(x)
        return self.head(-x if x.mean() > 100 else x)


class Skipping(Deciding):
    """What has changed goes around every layer, to the end."""

    def forward(self, x):
        return self.conv(x).flatten(1).cos() + x.flatten(1).mean(1, keepdim=True)


class Early(Deciding):
    """The first output is made before all else."""

    def forward(self, x):
        first = self.conv(x)
        return first, self.head(first.relu())


class Scaled(Deciding):
    """What functions are given besides arrays counts."""

    def forward(self, x):
        y = self.conv(x)
        return self.head(torch.add(y, y.relu(), alpha=0.5))


class Mine(nn.Conv2d):
    def forward(self, x):
        return super().forward(x) - x.mean((1, 2, 3), keepdim=True)


class To(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


def hooked():
    layer = conv(3, 4, 3)
    layer.register_forward_hook(lambda _module, _args, out: out - out.mean((2, 3), keepdim=True))
    return layer


SHOWN_BY_RUNS_ONLY = {
    "a decision on values": lambda: [Deciding()],
    "a way around": lambda: [Skipping()],
    "an early output": lambda: [Early()],
    "a function's own number": lambda: [Scaled()],
    "a class of the user's": lambda: [Mine(3, 4, 3), Head()],
    "a parametrised layer": lambda: [nn.utils.parametrizations.weight_norm(conv(3, 4, 3)), Head()],
    "layers of two precisions": lambda: [conv(3, 4, 3), To(torch.double), conv(4, 4, 3).double(), To(torch.float32), Head()],
    "a hook of the user's": lambda: [hooked(), Head()],
    "a normalisation over places": lambda: [nn.InstanceNorm2d(3), conv(3, 4, 3), Head()],
    "padding that mirrors": lambda: [conv(3, 4, 3, padding=1, padding_mode="reflect"), Head()],
    "a mean that leaves out the edge": lambda: [nn.AvgPool2d(3, 1, 1, count_include_pad=False), Head()],
    "a mean at a half window": lambda: [nn.AvgPool2d(3, 2, ceil_mode=True), Head()],
    "enlarging": lambda: [nn.ConvTranspose2d(3, 4, 3, 2), Head()],
}


@pytest.mark.parametrize("layers", SHOWN_BY_RUNS_ONLY.values(), ids=SHOWN_BY_RUNS_ONLY)
def test_what_is_not_known_to_be_local_runs_whole(layers, pictures):
    engine = engine_of(*layers())
    found = occlusion(engine, pictures, Sum(), window=(4, 5), stride=(6, 5), fill=0.5)
    same(found.scores, one_by_one(engine, pictures, found, 0.5, Sum()))
    assert found.how == FULL or "up to '0" in found.how


def test_a_batch_norm_without_statistics_is_not_local_and_mixes_no_variants(pictures):
    """Variants of one picture that went through it together were normalised by each other."""
    engine = engine_of(nn.BatchNorm2d(3, track_running_stats=False), nn.BatchNorm2d(3), conv(3, 5, 3), nn.ReLU(), Head())
    assert engine.local("0") is None
    assert engine.local("1") is not None
    found = occlusion(engine, pictures[:1], Sum(), window=(4, 5), stride=(6, 5), fill=0.5)
    same(found.scores, one_by_one(engine, pictures[:1], found, 0.5, Sum()))
    total = Target("sum", "output", lambda read: (read.sum((1, *range(2, read.ndim))), np.ones_like(read)))
    slopes = list(gradients_of(engine, [pictures[:1], pictures[1:]], total))
    same(np.concatenate(slopes), np.concatenate([gradient(engine, each[None], total)[1] for each in pictures]))
    without = ablate_units(engine, pictures[:1], "0")[0]
    expected = [engine.run(pictures[:1], edits=[Edit("0", 1 - np.eye(3, dtype=np.float32)[u, :, None, None])]) for u in range(3)]
    same(without, np.concatenate([run["output"] for run in expected]))


def test_a_layer_can_be_looked_at_and_units_be_off(pictures):
    engine = engine_of(*NETWORKS["residual"]())
    found = occlusion(engine, pictures, Sum("1.conv2"), window=4, stride=5, fill=0.5)
    assert "'1.conv2'" in found.how or "'0'" in found.how
    same(found.scores, one_by_one(engine, pictures, found, 0.5, Sum("1.conv2")))
    mask = np.ones((4, 1, 1), np.float32)
    mask[2] = 0
    without = edited(engine, [Edit("1.conv1", mask, 0.3 * (1 - mask))])
    assert isinstance(without, Local)
    assert without.local("1.conv1") is None
    assert without.local("1.bn1") is not None
    found = occlusion(without, pictures, Sum(), window=4, stride=5, fill=0.5)
    assert "up to '0'" in found.how
    same(found.scores, one_by_one(without, pictures, found, 0.5, Sum()))


@pytest.mark.parametrize("size", [(40,), (9, 8, 10)], ids=["a signal", "a volume"])
def test_as_many_axes_as_there_are(size):
    layer = {1: nn.Conv1d, 3: nn.Conv3d}[len(size)]
    pool = {1: nn.MaxPool1d, 3: nn.MaxPool3d}[len(size)]
    engine = engine_of(layer(3, 4, 3, padding=1), nn.ReLU(), pool(2), layer(4, 4, 2), Head(), size=size)
    pictures = np.random.default_rng(0).normal(size=(1, 3, *size)).astype(np.float32)
    found = occlusion(engine, pictures, Sum(), window=3, stride=3, fill=0.5)
    assert "up to '3'" in found.how
    same(found.scores, one_by_one(engine, pictures, found, 0.5, Sum()))


def test_the_limit_of_memory_is_held(pictures):
    engine = engine_of(*NETWORKS["VGG-like"]())
    low = np.array([(y, x) for y in range(0, 20, 3) for x in range(0, 20, 3)])
    changes = incremental.Changes(pictures[:1], np.zeros_like(pictures[:1]), patches.Rectangles(low, low + 3))
    numbers = {}
    for memory in (1 << 30, 1 << 18, 1 << 17, 1 << 16):
        found = incremental.incremental(engine, changes, Sum(), memory=memory)
        numbers[memory] = found and found[1]
    assert numbers[1 << 30] > numbers[1 << 18] > numbers[1 << 17] >= 1
    assert numbers[1 << 16] is None
    with pytest.raises(InputError, match="Give more memory"):
        occlusion(engine, pictures, Sum(), window=4, stride=3, memory=1 << 13)


def test_the_users_network_is_as_it_was(pictures):
    engine = engine_of(*NETWORKS["residual"]())
    module = engine.module.train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = occlusion(engine, pictures[:1], Sum(), window=4, stride=3)
    assert "only what the window can reach" in found.how
    assert module.training
    assert all(each.training for each in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert module[1].relu.inplace
    assert module[0].padding == (1, 1)


def test_spans_of_windows():
    spans = spans_of([(0, 2), (1,)], (3, 4))
    assert spans.low.tolist() == [[0, 1], [2, 1]]
    assert spans.high.tolist() == [[3, 5], [5, 5]]
