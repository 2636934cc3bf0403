"""Methods that follow many gradients stay under a limit of memory, and say the same under any."""

import numpy as np
import pytest

from convscope.engines.fake import FakeEngine
from convscope.errors import InputError
from convscope.methods import cam, gradients
from convscope.methods.attribution import gradients_of, traced_bytes
from convscope.methods.targets import resolve

PICTURES = np.random.default_rng(0).uniform(-1, 1, (4, 3, 8, 8)).astype(np.float32)
PICTURES = PICTURES[2:] + np.array([1, -1, 0], np.float32)[:, None, None]
assert len({*FakeEngine().run(PICTURES)["output"].argmax(1)}) == 2  # each has another top answer


class Counting(FakeEngine):
    """Counts how many pictures go into each trace, and which layers are read there."""

    def __init__(self):
        super().__init__()
        self.traced = []

    def trace(self, pictures, taps=(), edits=()):
        self.traced.append((len(pictures), [getattr(tap, "layer", tap) for tap in taps]))
        return super().trace(pictures, taps, edits)


METHODS = {
    "smooth-grad": lambda *given, **how: gradients.smooth_grad(*given, samples=5, **how),
    "var-grad": lambda *given, **how: gradients.var_grad(*given, samples=5, **how),
    "integrated-gradients": lambda *given, **how: gradients.integrated_gradients(*given, baselines=[0, 0.3], steps=5, **how),
    "expected-gradients": lambda *given, **how: gradients.expected_gradients(*given, among=PICTURES[::-1], samples=5, **how),
}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_under_any_limit(method):
    engine = Counting()
    target = resolve(engine, PICTURES, None)  # each picture's own top answer
    one = traced_bytes(engine.graph, PICTURES)
    plenty = METHODS[method](engine, PICTURES, target)
    assert max(rows for rows, _ in engine.traced) == 5 * len(PICTURES)
    for fits in (1, 2):
        engine.traced.clear()
        little = METHODS[method](engine, PICTURES, target, memory=fits * one)
        assert max(rows for rows, _ in engine.traced) == fits * len(PICTURES)
        np.testing.assert_allclose(little.values, plenty.values, rtol=1e-5, atol=1e-7)
    with pytest.raises(InputError, match="Give more"):
        METHODS[method](engine, PICTURES, target, memory=one - 1)


def test_every_variant_has_the_gradient_of_its_own_picture_and_target():
    engine = FakeEngine()
    target = resolve(engine, PICTURES, None)
    variants = [PICTURES * scale for scale in (0.5, 1, 2)]
    alone = [gradients.saliency(engine, each, target).values for each in variants]
    together = list(gradients_of(engine, variants, target))
    np.testing.assert_allclose(np.abs(together), alone, rtol=1e-5, atol=1e-7)


def test_layers_that_do_not_fit_together_take_several_passes():
    engine = Counting()
    target = resolve(engine, PICTURES, 0)
    layers = [row.name for row in engine.graph if cam.has_maps(row) and row.kind != "input"][:3]
    plenty = cam.by_gradients(engine, PICTURES, target, layers, cam.hires_cam)
    assert len(engine.traced) == 1
    enough = max(traced_bytes(engine.graph, PICTURES, [name]) for name in layers)
    little = cam.by_gradients(engine, PICTURES, target, layers, cam.hires_cam, memory=enough)
    assert len(engine.traced) > 2
    for _, taps in engine.traced[1:]:
        assert traced_bytes(engine.graph, PICTURES, [tap for tap in taps if tap in layers]) <= enough
    assert list(little) == layers
    for name in layers:
        np.testing.assert_allclose(little[name].values, plenty[name].values, rtol=1e-5, atol=1e-7)
    with pytest.raises(InputError, match="Give more"):
        cam.by_gradients(engine, PICTURES, target, layers, cam.hires_cam, memory=enough - 1)


def test_a_larger_picture_than_the_table_says_counts_as_more():
    graph = FakeEngine().graph
    large = np.zeros((1, *[2 * size if at else size for at, size in enumerate(PICTURES.shape[1:])]), np.float32)
    assert traced_bytes(graph, large) > 3.9 * traced_bytes(graph, PICTURES[:1])
