"""Ctrl-C while ONNX Runtime runs: nothing is left of the question, and it can be asked again."""

import numpy as np
import pytest
from zoo_onnx import NETWORKS, pictures

from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_sessions import Session
from convscope.methods.ablation import ablate_units
from convscope.methods.explain import explain
from convscope.methods.targets import resolve

MODEL = NETWORKS["residual"]()
PICTURE = pictures(MODEL)[:1]
RUN = Session.run


def interrupted(number):
    """A Session.run in which Ctrl-C is pressed in the run of this number, after ONNX Runtime has come to its end."""
    left = [number]

    def run(self, feed):
        found = RUN(self, feed)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt
        return found

    return run


def asked(engine, question):
    if question == "ablate":
        return ablate_units(engine, PICTURE, engine.graph.layers[1].name)
    target = resolve(engine, PICTURE, 1)
    options = {"occlusion": {"window": 4, "stride": 2}, "rise": {"masks": 9}, "eigen-cam": {}}[question]
    (found,) = explain(engine, PICTURE, target, question, options=options).values()
    return found.values


@pytest.mark.parametrize("question", ["occlusion", "rise", "eigen-cam", "ablate"])
@pytest.mark.parametrize("number", [1, 2])
def test_a_network_is_as_it_was_after_ctrl_c(question, number, monkeypatch):
    before, given = MODEL.SerializeToString(), PICTURE.copy()
    engine, expected = OnnxEngine(MODEL), asked(OnnxEngine(MODEL), question)
    monkeypatch.setattr(Session, "run", interrupted(number))
    with pytest.raises(KeyboardInterrupt):
        asked(engine, question)
    monkeypatch.setattr(Session, "run", RUN)
    np.testing.assert_allclose(asked(engine, question), expected, atol=1e-6)
    assert MODEL.SerializeToString() == before
    np.testing.assert_array_equal(PICTURE, given)
