"""The recording that `make zoo` compares with: it sees what is written into slices, and what is read wrongly or not at all."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

sys.path.insert(0, str(Path(__file__).parent.parent / "zoo"))

import torch_networks  # noqa: E402
from matrix import close  # noqa: E402
from torch_recording import by_operators, record  # noqa: E402
from zoo_torch import Written, conv  # noqa: E402


def slices(net, x):
    x = net.stem(x)
    x[:, 0] = 2 * x[:, 1]  # item assignment is what torch.fx cannot trace
    x[x > 1] = 0.5
    x.view(len(x), -1)[:, :3].copy_(net.places[:3])
    return net.last(x * 3)


def by_picture(net, x):
    maps = net.stem(x)
    kept = torch.zeros_like(maps)
    for at in range(len(x)):
        kept[at] = maps[at] - 1
    return net.last(kept)


def network(run):
    made = Written(run, stem=conv(3, 4), last=conv(4, 2))
    made.places = torch.arange(8.0)
    return made.eval()


def line(module):
    found = torch_networks.compare("network", module)
    return found.compared, found.wrong, found.missing


@pytest.mark.parametrize(("run", "rows"), [(slices, 10), (by_picture, 5)])
def test_what_is_written_into_slices_is_compared(run, rows):
    assert line(network(run)) == (rows, 0, 0)


def test_operators_give_what_they_wrote_into_under_all_its_names():
    module, pictures = network(slices), torch.randn(5, 3, 8, 8)
    written = [each.tensor for each in record(module, pictures).functions if each.function == "setitem"]
    below = by_operators(module, pictures)
    assert len(written) == 2
    for each in written:
        assert any(torch.equal(each, one) for one in below[tuple(each.shape)])


def test_a_value_that_is_wrong_and_one_that_is_not_read_are_noticed(monkeypatch):
    class Engine(torch_networks.TorchEngine):
        def run(self, *args):
            run = super().run(*args)
            run["setitem"][:] += 1
            return run

    monkeypatch.setattr(torch_networks, "TorchEngine", Engine)
    compared, wrong, missing = line(network(slices))
    assert (wrong, missing) == (1, 1)
    monkeypatch.undo()
    # What makes no row is missed: here `Functions` takes everything for a constant.
    monkeypatch.setattr("convscope.engines.torch_functions.Constants.are_all", lambda *_: True)
    assert line(network(slices)) == (2, 0, compared - 2)


def test_infinite_values_are_no_scale():
    expected = np.array([1.0, -np.inf], np.float32)
    assert close(expected.copy(), expected)
    assert not close(np.array([2.0, -np.inf], np.float32), expected)
