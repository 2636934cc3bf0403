"""Networks with several outputs: without a layer being named, one is taken that the target follows from."""

from types import SimpleNamespace

import numpy as np
import pytest

import convscope
from convscope.methods.explain import usual
from convscope.methods.upstream import rows_behind
from convscope.targets import Region, Unit

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

LABELS = ["sky", "cat", "road"]
PICTURE = np.random.default_rng(0).uniform(0.1, 1, (1, 3, 16, 16)).astype(np.float32)


class TwoHeads(nn.Module):
    """A segmentation with an auxiliary head, which runs last but is the second output, or the first."""

    def __init__(self, turned=False):
        super().__init__()
        torch.manual_seed(0)
        self.turned, self.down, self.up = turned, nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1)
        self.head, self.aux = nn.Conv2d(6, 3, 1), nn.Conv2d(6, 3, 1)

    def forward(self, x):
        deep = torch.relu(self.down(x))
        fine = torch.relu(self.up(nn.functional.interpolate(deep, scale_factor=2.0)))
        both = self.head(fine), self.aux(deep)
        return both[::-1] if self.turned else both


class Between(nn.Module):
    """Its first output is a value in its middle, from which the second is made."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.third = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        middle = self.second(torch.relu(self.first(x)))
        return middle, self.third(torch.relu(middle))


def opened(module):
    return convscope.open(module.eval(), picture_shape=(3, 16, 16), labels=LABELS)


@pytest.mark.parametrize(
    ("module", "output", "layer"),
    [
        (TwoHeads(), "output", "head"),
        (TwoHeads(), "output:1", "aux"),
        (TwoHeads(turned=True), "output", "aux"),
        (TwoHeads(turned=True), "output:1", "head"),
        (Between(), "output", "second"),
        (Between(), "output:1", "third"),
    ],
)
def test_the_layer_of_a_map_is_one_that_the_output_follows_from(module, output, layer):
    net = opened(module)
    size = net.engine.run(PICTURE, [output])[output].shape[2:]
    target = Region("cat", np.ones(size, bool), output)
    for method in ("grad-cam", "hires-cam", "layer-cam"):
        why = net.explain(PICTURE, method, target=target)
        assert why.layer == layer
        np.testing.assert_array_equal(why.values, net.explain(PICTURE, method, target=target, at=layer).values)
    assert net.explain(PICTURE, "hires-cam", target=target).values.any()
    assert net.ablate(PICTURE, target=target).layer == layer
    assert net.ablate(PICTURE, target=target, activated=False).drop.any()


def test_what_an_output_follows_from_is_what_moves_it():
    engine = opened(TwoHeads()).engine
    for output, head in (("output", "head"), ("output:1", "aux")):
        behind = rows_behind(engine, PICTURE, output)
        trace = engine.trace(PICTURE, [*engine.graph.names[1:], output])
        slopes = trace.pullback({output: np.ones_like(trace[output])}, list(engine.graph.names[1:]))
        assert {name for name, slope in slopes.items() if slope.any()} | {"input"} == set(behind)
        assert head in behind


def test_without_wiring_the_last_layer_with_maps_stays_the_choice():
    class Unknown:
        graph = convscope.core.Graph(opened(TwoHeads()).graph.layers, wired=False)

    assert rows_behind(Unknown(), PICTURE, "output") is None


def test_a_position_of_a_segmentation_is_a_region_of_one():
    net = opened(TwoHeads())
    mask = np.zeros((16, 16), bool)
    mask[5, 9] = True
    whole = net.explain(PICTURE, "grad-cam", target=Region("cat", mask))
    one = net.explain(PICTURE, "grad-cam", target=Region("cat", (5, 9)))
    np.testing.assert_array_equal(one.values, whole.values)
    assert one.score == net.explain(PICTURE, "grad-cam", target=Unit("head", 1, (5, 9))).score
    assert one.targets == ("'cat' at (5, 9)",)
    with pytest.raises(convscope.ConvscopeError, match=r"none at \(5, 16\)"):
        net.explain(PICTURE, target=Region("cat", (5, 16)))


class Classes(nn.Module):
    """A classifier by a mean and a linear layer; a second head runs last, and has a map that no mean follows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.last, self.dense, self.map = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.Linear(6, 3), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        deep = self.conv(x)
        return self.dense(self.last(deep).mean((2, 3))), self.map(deep)


def test_the_method_too_fits_the_head_that_is_explained():
    engine = opened(Classes()).engine
    plain = SimpleNamespace(graph=engine.graph, run=engine.run)  # without gradients
    assert [usual(plain, PICTURE, end) for end in ("output", "output:1")] == ["cam", "score-cam"]
