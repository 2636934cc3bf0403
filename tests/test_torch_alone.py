"""Torch networks that take one picture at a time: several go through them one after the other."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import torch.nn.functional as F  # noqa: E402
from scans import write_pictures  # noqa: E402
from torch import nn  # noqa: E402
from zoo_torch import Written, conv  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine, laws  # noqa: E402
from convscope.core import Edit  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import InputError, Unsupported  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(3, 3, 8, 8)).astype(np.float32)


def viewed(net, x):
    """As in many tutorials: whatever is given becomes one row."""
    x = F.max_pool2d(F.relu(net.stem(x)), 2)
    return net.dense(F.relu(net.body(x)).view(1, -1))


def asserted(net, x):
    assert x.shape[0] == 1
    x = net.body(F.relu(net.stem(x)))
    return net.dense(F.adaptive_avg_pool2d(x, 4).flatten(1))


def squeezed(net, x):
    """Its middle has no axis of pictures."""
    x = F.relu(net.stem(x)).squeeze(0)
    x = F.max_pool2d(net.body(x), 2)
    return net.dense(x.unsqueeze(0).flatten(1))


def looking(net, x):
    assert len(x) == 1
    x = net.body(F.relu(net.stem(x)))
    if x.abs().max() > 50:
        x = x * 2
    return net.dense(F.adaptive_avg_pool2d(x, 4).flatten(1))


class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.body = conv(3, 4), conv(4, 4)

    def forward(self, x):
        return self.body(F.relu(self.stem(x))).view(x.size(0), 4, 8, 8)


RUNS = {"viewed": viewed, "asserted": asserted, "squeezed": squeezed, "looking": looking}


def made(name):
    torch.manual_seed(0)
    return Written(RUNS[name], stem=conv(3, 4), body=conv(4, 4), dense=nn.Linear(64, 5)).eval()


@pytest.mark.parametrize("name", RUNS)
def test_several_pictures_go_one_after_the_other(name):
    module = made(name)
    with pytest.raises((RuntimeError, AssertionError)):
        module(torch.from_numpy(BATCH))
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    assert "takes one picture at a time" in " ".join(engine.notes)
    rows = set(engine.graph.names)
    assert {"input", "stem", "relu", "dense"} <= rows
    assert ("body" in rows) == (name != "squeezed")  # a map without an axis of pictures is no row
    assert engine.graph.wired
    run = engine.run(BATCH, [*engine.graph.names, "output"])
    with torch.no_grad():
        for at, each in enumerate(BATCH):
            picture = torch.from_numpy(each[None])
            np.testing.assert_allclose(run["stem"][at], module.stem(picture)[0], atol=1e-6)
            np.testing.assert_allclose(run["output"][at], module(picture)[0], atol=1e-6)


def test_the_laws_hold():
    def run(net, x):
        assert len(x) == 1
        return net.dense(F.relu(net.stem(x)).amax((2, 3)).view(1, -1))

    engine = TorchEngine(Written(run, stem=conv(3, 4), dense=nn.Linear(4, 3)).eval(), picture_shape=(3, 4, 4))
    assert engine.alone
    assert check_engine(engine, BATCH[:2, :, :4, :4]) == list(laws())


def test_what_is_said_for_each_picture_reaches_that_one():
    engine = TorchEngine(made("viewed"), picture_shape=(3, 8, 8))
    shift = np.random.default_rng(1).normal(size=(3, 4, 8, 8)).astype(np.float32)
    edits = [Edit("stem", np.float32([[[2]], [[0]], [[1]], [[1]]]), shift), Edit("output", 3.0, np.arange(15.0).reshape(3, 5))]
    several = engine.run(BATCH, ["stem", "output"], edits)
    weights = np.random.default_rng(2).normal(size=(3, 5)).astype(np.float32)
    gradient = engine.trace(BATCH, ["stem"]).pullback({"output": weights}, ["input", "stem"])
    held = engine.hold(BATCH, "relu").run(["output"], [Edit("relu", 1.0, shift.repeat(2, 0))], repeat=2)["output"]
    for at in range(3):
        one = slice(at, at + 1)
        alone = [Edit("stem", edits[0].scale, shift[one]), Edit("output", 3.0, edits[1].shift[one])]
        single = engine.run(BATCH[one], ["stem", "output"], alone)
        for row in ("stem", "output"):
            np.testing.assert_array_equal(several[row][one], single[row])
        back = engine.trace(BATCH[one], ["stem"]).pullback({"output": weights[one]}, ["input", "stem"])
        for row in ("input", "stem"):
            np.testing.assert_array_equal(gradient[row][one], back[row])
        expected = engine.run(BATCH[one], ["output"], [Edit("relu", 1.0, shift[one])])["output"]
        np.testing.assert_allclose(held[2 * at : 2 * at + 2], np.concatenate([expected] * 2), atol=1e-6)
    with pytest.raises(InputError, match="for 2 pictures, but there are 3"):
        engine.trace(BATCH).pullback({"output": weights[:2]}, ["input"])
    with pytest.raises(InputError, match="does not fit"):
        engine.run(BATCH, ["stem"], [Edit("stem", 1.0, shift[:2])])


def several_at_once(net, x):
    """The same as `viewed`."""
    x = F.max_pool2d(F.relu(net.stem(x)), 2)
    return net.dense(F.relu(net.body(x)).flatten(1))


METHODS = {
    "occlusion": {"window": 4},
    "integrated-gradients": {"steps": 8},
    "grad-cam": {},
    "guided-backprop": {},
    "rise": {"masks": 40},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_answer_as_for_the_network_that_takes_several(method):
    one, many = (Written(run, **dict(made("viewed").named_children())).eval() for run in (viewed, several_at_once))
    found = [
        convscope.open(each, picture_shape=(3, 8, 8)).explain(BATCH[:2], target=1, method=method, **METHODS[method]).values
        for each in (one, many)
    ]
    np.testing.assert_allclose(*found, atol=1e-5 * np.abs(found[1]).max())


NAMES = ["ant", "bee", "cat", "dog", "elk"]


def test_look_rank_ablate_and_scan(tmp_path):
    one, many = (
        convscope.open(Written(run, **dict(made("viewed").named_children())).eval(), picture_shape=(3, 8, 8), labels=NAMES)
        for run in (viewed, several_at_once)
    )
    looks = [each.look(BATCH) for each in (one, many)]
    assert list(looks[0]) == list(looks[1])
    for name in looks[0]:
        np.testing.assert_allclose(looks[0][name].values, looks[1][name].values, atol=1e-5)
    worths = [each.ablate(BATCH[:2], at="body", target=1).worths for each in (one, many)]
    for left, right in zip(*worths, strict=True):
        np.testing.assert_allclose(left.without, right.without, atol=1e-5)
    without = [each.without({"stem": [1, 2]}).predict(BATCH) for each in (one, many)]
    for lists in zip(*without, strict=True):
        np.testing.assert_allclose(*[[value for _, value in each] for each in lists], atol=1e-5)
    write_pictures(tmp_path / "p", 5)
    scans = [each.scan(tmp_path / "p", ["stem", "body"], out=tmp_path / str(at)) for at, each in enumerate((one, many))]
    for column in ("mean", "max"):
        np.testing.assert_allclose(*[scan.units[column] for scan in scans], atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_part_that_was_traced_with_one_picture():
    torch.manual_seed(0)
    part = torch.jit.trace(Traced().eval(), torch.zeros(1, 3, 8, 8))

    def run(net, x):
        x = net.part(x)
        return net.dense(F.relu(x).reshape(1, 256))

    engine = TorchEngine(Written(run, part=part, dense=nn.Linear(256, 3)).eval(), picture_shape=(3, 8, 8))
    assert {"part", "relu", "dense"} <= set(engine.graph.names)
    with torch.no_grad():
        expected = torch.cat([part(torch.from_numpy(each[None])) for each in BATCH]).numpy()
    np.testing.assert_allclose(engine.run(BATCH, ["part"])["part"], expected, atol=1e-6)


GREY = {
    "squeezed": (lambda net, x: net.stem(x.squeeze(0)), {"squeeze"}),
    "squeezed without an axis named": (lambda net, x: net.stem(x.mean(3, True).squeeze()[None]), {"squeeze"}),
    "laid flat": (lambda net, x: net.stem(x.flatten(0, 1)), {"flatten"}),
    "first": (lambda net, x: net.stem(x[0])[None], {"getitem"}),
    "turned": (lambda net, x: net.stem(x.transpose(0, 1)), {"transpose"}),
}


@pytest.mark.parametrize("name", GREY)
def test_one_channel_is_not_one_picture(name):
    """Of a grey picture (1, 1, h, w) the axis of pictures is gone, and the first one is that of the channels."""
    run, never = GREY[name]

    def forward(net, x):
        assert len(x) == 1
        made = run(net, net.first(x))
        return net.dense(made.flatten()[:8][None])

    module = Written(forward, first=nn.Conv2d(1, 1, 3, padding=1), stem=nn.Identity(), dense=nn.Linear(8, 3)).eval()
    engine = TorchEngine(module, picture_shape=(1, 8, 8))
    assert never.isdisjoint(engine.graph.names)
    assert "first" in engine.graph.names
    assert ("known to be that of the pictures" in " ".join(engine.notes)) == ("axis named" not in name)


def test_an_answer_without_an_axis_of_pictures_is_refused():
    module = Written(lambda net, x: net.dense(net.stem(x).view(-1)), stem=conv(3, 4), dense=nn.Linear(256, 3)).eval()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    with pytest.raises(Unsupported, match=r"'output' has shape \(3,\), without an axis of 1 pictures"):
        engine.run(BATCH[:1])
    assert engine.run(BATCH, ["stem"])["stem"].shape == (3, 4, 8, 8)
