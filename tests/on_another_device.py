"""A module on a device of its own stays there: pictures go up, what is tapped comes down, and nothing else is moved."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import away  # noqa: E402
from zoo_torch import ZOO  # noqa: E402

import convscope  # noqa: E402
from convscope.conformance import check_engine, laws  # noqa: E402
from convscope.core import Edit, Tap  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
PICTURES = ("up", BATCH.shape)
NETWORKS = ("inplace_residual", "functions_only", "norms_and_dropout", "free_form")


@pytest.fixture(params=NETWORKS)
def engines(request):
    """One away, and its twin on the CPU."""
    return tuple(TorchEngine(ZOO[request.param]().to(device), picture_shape=(3, 8, 8)) for device in (away.NAME, "cpu"))


def moved(call):
    """What it gives, and what was moved meanwhile."""
    away.MOVED.clear()
    return call(), sorted(away.MOVED)


def test_what_is_read_comes_down_and_nothing_else(engines):
    engine, twin = engines
    assert engine.graph == twin.graph
    rows = [*engine.graph.names, "output"]
    found, seen = moved(lambda: engine.run(BATCH, rows))
    expected = twin.run(BATCH, rows)
    for row in rows:
        np.testing.assert_allclose(found[row], expected[row], atol=1e-5)
    assert [each for each in seen if each[0] == "down"] == sorted(("down", each.shape) for _, each in found.items())
    row = engine.graph.names[2]
    one, seen = moved(lambda: engine.run(BATCH, [row]))
    assert [each for each in seen if each[0] == "down"] == [("down", one[row].shape)]
    for reduce in ("mean", "max", "argmax", "active"):  # where the network runs: two numbers for each unit come down
        tap = Tap(row, reduce)
        one, seen = moved(lambda tap=tap: engine.run(BATCH, [tap]))
        np.testing.assert_allclose(one[tap], twin.run(BATCH, [tap])[tap], atol=1e-5)
        assert [each for each in seen if each[0] == "down"] == [("down", one[tap].shape)]


def test_a_plain_run_takes_the_pictures_up_once_and_an_edit_its_numbers():
    engine = TorchEngine(ZOO["inplace_residual"]().to(away.NAME), picture_shape=(3, 8, 8))
    edit = Edit("conv2", np.zeros((4, 1, 1), np.float32))
    _, seen = moved(lambda: engine.run(BATCH, ["output"], [edit]))
    assert seen == sorted([PICTURES, ("up", (4, 1, 1)), ("up", ()), ("down", (2, 3))])
    held = engine.hold(BATCH, "conv2")
    _, seen = moved(lambda: held.run(["output"], [edit]))
    assert seen == sorted([PICTURES, ("up", (4, 1, 1)), ("up", ()), ("down", (2, 3))])
    trace, seen = moved(lambda: engine.trace(BATCH, ["conv2"]))
    assert set(seen) == {PICTURES}  # twice, where the network writes into what its gradients need
    _, seen = moved(lambda: trace.pullback({"output": np.ones((2, 3), np.float32)}, ["conv2"]))
    assert seen == [("down", (2, 4, 8, 8)), ("up", (2, 3))]
    _, seen = moved(lambda: engine.weights("conv2"))
    assert seen == [("down", (4, 4, 3, 3))]  # of one layer, and only of that
    assert {each.device.type for each in engine.module.state_dict().values()} == {away.NAME}
    other = engine.with_weights({"conv2": {"kernel": np.zeros((4, 4, 3, 3), np.float32)}})
    assert {each.device.type for each in other.module.state_dict().values()} == {away.NAME}
    assert not other.run(BATCH, ["conv2"])["conv2"].any()


def test_the_laws_hold_there():
    assert check_engine(TorchEngine(ZOO["inplace_first"]().to(away.NAME), picture_shape=(3, 8, 8)), BATCH) == list(laws())


def test_maps_and_explanations_are_those_of_the_cpu():
    nets = [convscope.open(ZOO["residual"]().to(device), picture_shape=(3, 8, 8)) for device in (away.NAME, "cpu")]
    maps = [net.maps(BATCH, at="all") for net in nets]
    for name in maps[1]:
        np.testing.assert_allclose(maps[0][name].values, maps[1][name].values, atol=1e-5)
    why = [net.explain(BATCH, "grad-cam", target=1, at="body") for net in nets]
    np.testing.assert_allclose(why[0].values, why[1].values, atol=1e-5)
