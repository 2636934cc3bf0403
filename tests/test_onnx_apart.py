"""Runs of ONNX files that collapse maps are split among the cores, but only where a picture's values are those of it alone."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from convscope.core import Edit, Tap, reduced
from convscope.engines import onnx_apart
from convscope.engines.onnx import OnnxEngine

REDUCES = ("mean", "max", "argmax", "active")
BODY = """
    x = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (input, w)
    normed = BatchNormalization (x, s, b, m, v)
    y = Relu (normed)
"""
# y after something through which pictures know of each other.
MIXING = {
    "a softmax over the pictures": "z = Softmax <axis = 0> (y)",
    "less the mean of all pictures": "a = Constant <value_ints = [0]> ()\n mean = ReduceMean (y, a)\n z = Sub (y, mean)",
    "sums over the pictures before": "a = Constant <value = int64 {0}> ()\n z = CumSum (y, a)",
    "each with every other": """
        all_axes = Constant <value_ints = [1, 2, 3]> ()\n last = Constant <value_ints = [3]> ()\n mean = ReduceMean (y, all_axes)
        flat = Squeeze (mean, all_axes)\n pairs = Sub (mean, flat)\n apart = ReduceMean (pairs, last)\n z = Mul (y, apart)""",
    "a softmax over numbers of pictures": """
        all_axes = Constant <value_ints = [1, 2, 3]> ()\n mean = ReduceMean (y, all_axes)\n flat = Squeeze (mean, all_axes)
        shares = Softmax <axis = -1> (flat)\n column = Unsqueeze (shares, all_axes)\n z = Mul (y, column)""",
    "the picture's number": """
        shape = Shape <start = 0, end = 1> (y)\n n = Squeeze (shape)\n zero = Constant <value = int64 {0}> ()
        one = Constant <value = int64 {1}> ()\n numbers = Range (zero, n, one)\n as_float = Cast <to = 1> (numbers)
        front = Constant <value_ints = [1, 2, 3]> ()\n column = Unsqueeze (as_float, front)\n z = Mul (y, column)""",
}


def engine(end: str = "z = Identity (y)") -> OnnxEngine:
    rng = np.random.default_rng(0)
    given = {"w": (5, 3, 3, 3), **dict.fromkeys("sbmv", (5,))}
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> g (float[n, 3, 7, 8] input) => (float[n, 5, 7, 8] z) {' + BODY + end + "}"
    )
    for name, shape in given.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(rng.random(shape, np.float32) - (name == "w") / 2, name))
    return OnnxEngine(model)


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, 3, 7, 8)).astype(np.float32)


def shares(asked: OnnxEngine) -> set[int]:
    """How many threads compute a layer in each session that was made; 0: all that there are."""
    return {key[3] for key in asked._sessions._kept}  # type: ignore[index]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_what_is_collapsed_is_what_one_picture_after_the_other_gives(n, monkeypatch):
    monkeypatch.setattr(onnx_apart, "CORES", 3)
    asked, values = engine(), pictures(n)
    taps = [Tap(row.name, reduce) for row in asked.graph.layers[1:] for reduce in REDUCES]
    scale = np.random.default_rng(2).random((n, 5, 1, 1), np.float32)  # of each picture another one
    run = asked.run(values, taps, [Edit("x", scale=scale)])
    for at in range(n):
        alone = asked.run(values[at : at + 1], [tap.layer for tap in taps], [Edit("x", scale=scale[at : at + 1])])
        for tap in taps:
            np.testing.assert_allclose(run[tap][at : at + 1], reduced(alone[tap.layer], tap.reduce), rtol=1e-5, atol=1e-6)
    assert (1 in shares(asked)) == (n >= 3)


@pytest.mark.parametrize("how", MIXING)
def test_pictures_that_know_of_each_other_stay_together(how, monkeypatch):
    monkeypatch.setattr(onnx_apart, "CORES", 2)
    asked, values = engine(MIXING[how]), pictures(4)
    whole = asked.run(values, ["z"])["z"]
    assert not np.allclose(asked.run(values[2:], ["z"])["z"], whole[2:], atol=1e-3)  # or there would be nothing to test
    run = asked.run(values, [Tap("z", reduce) for reduce in REDUCES])
    for reduce in REDUCES:
        np.testing.assert_allclose(run[Tap("z", reduce)], reduced(whole, reduce), rtol=1e-5, atol=1e-6)


def test_whole_maps_are_not_put_together_from_parts(monkeypatch):
    monkeypatch.setattr(onnx_apart, "CORES", 2)
    asked = engine()
    asked.run(pictures(4), ["x", "y"])
    assert shares(asked) == {0}


@pytest.mark.parametrize(("said", "threads"), [("1", 1), ("3", 3), ("", 0), ("2,1", 0)])
def test_as_many_threads_as_the_environment_says(said, threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    network = engine()
    network.run(pictures(1))
    assert {each.runtime.get_session_options().intra_op_num_threads for each in network._sessions._kept.values()} == {threads}
