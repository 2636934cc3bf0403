"""Many pictures with their channels last in memory: only for networks that do not notice."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from convscope.core import Bulk, Edit, Run  # noqa: E402
from convscope.edited import edited  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.methods.resume import score_many  # noqa: E402

SEEN: list[bool] = []  # of each run, whether the channels lay last


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.classes = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5)

    def forward(self, x):
        SEEN.append(x.is_contiguous(memory_format=torch.channels_last))
        return self.classes(self.end(self.conv(x)))

    def end(self, maps):
        return maps.relu().flatten(1)


class Views(Network):
    def end(self, maps):
        return maps.view(len(maps), -1)


class Strided(Network):
    def end(self, maps):
        return maps.as_strided((len(maps), 144), (144, 1))


class Written(Network):
    def end(self, maps):
        flat = maps.flatten(1)
        flat.mul_(2)
        return flat + maps.mean((1, 2, 3), keepdim=True).flatten(1)


def hooked():
    network = Network()
    network.conv.register_forward_hook(lambda *_: None)
    return network


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)


@pytest.mark.parametrize(("make", "last"), [(Network, True), (Views, False), (Strided, False), (Written, False), (hooked, False)])
def test_bulk_gives_what_a_run_gives(make, last, pictures):
    torch.manual_seed(0)
    module = make().eval()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    expected = engine.run(pictures)["output"]
    for _ in range(2):
        SEEN.clear()
        found = engine.bulk(pictures, "output")
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert SEEN[:] == [last]  # the second time it is known
    maps = engine.bulk(pictures, "conv")
    np.testing.assert_array_equal(maps, engine.run(pictures, ["conv"])["conv"])


def test_variants_pass_in_bulk_and_edits_stay(pictures):
    class Sum:
        layer = "output"

        def values(self, read):
            return read.sum(1)

    torch.manual_seed(0)
    engine = TorchEngine(Network().eval(), picture_shape=(3, 8, 8))
    expected = engine.run(pictures)["output"].sum(1)
    SEEN.clear()
    found = score_many(engine, iter(pictures), Sum())
    assert any(SEEN)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    without = edited(engine, [Edit("conv", 0.0)])
    assert not isinstance(without, Bulk)
    run = without.run(pictures)
    assert isinstance(run, Run)
    np.testing.assert_allclose(score_many(without, iter(pictures), Sum()), run["output"].sum(1), rtol=1e-5)
