"""The share of positions above zero is 1 only where all are: a unit that is off in one of 33 million places is not always on."""

import numpy as np
import pytest

from convscope.core import NOT_ALL, Tap, reduced, share
from convscope.scan.statistics import Firing

MANY = 2**25 + 2  # in float32 the share of all but one of so many is one


def test_in_float32_it_would_be_one_and_it_is_not():
    assert np.float32((MANY - 1) / MANY) == 1
    counts = np.array([MANY, MANY - 1, MANY // 2, 1, 0])
    found = share(counts, MANY)
    assert found.dtype == np.float32
    assert found[0] == 1
    assert found[1] == np.float32(NOT_ALL) < 1
    np.testing.assert_allclose(found[2:], counts[2:] / MANY, rtol=1e-7)
    assert found[3] > 0
    fires = Firing().update(np.ones((1, 5)), found[None])
    assert fires.everywhere.tolist() == [1, 0, 0, 0, 0]


def test_of_any_number_of_positions_all_are_one_and_all_but_one_are_less():
    """As products with 1 / n, as some devices make a mean, they are not: for 41, 47, 55 ... ones."""
    positions = np.arange(1, 5000)
    assert (np.float32(1) / positions.astype(np.float32) * positions.astype(np.float32) < 1).any()
    for n in positions:
        assert share(np.array([n, n - 1]), int(n)).tolist()[0] == 1
        assert share(np.array([n, n - 1]), int(n)).tolist()[1] < 1


def test_where_there_are_no_positions_there_is_no_share():
    assert np.isnan(share(np.zeros((2, 3), int), 0)).all()
    assert np.isnan(reduced(np.zeros((2, 3, 0, 4), np.float32), "active")).all()


@pytest.fixture(scope="module")
def wide():
    """A unit over MANY positions that is on in all but one."""
    values = np.ones((1, 1, 2, MANY // 2), np.float32)
    values[0, 0, 1, 7] = 0
    return values


FEW = np.ones((1, 1, 1, 47), np.float32)


def test_torch_and_what_is_reduced_here_agree(wide):
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from convscope.engines.torch_watchers import read

    for found in (reduced(wide, "active"), read(torch.from_numpy(wide), "active")):
        assert found.tolist() == [[np.float32(NOT_ALL)]]
    assert read(torch.from_numpy(FEW), "active").tolist() == [[1]]


def test_onnx_agrees(wide):
    from onnx import TensorProto, helper

    from convscope.engines.onnx import OnnxEngine

    shape = [1, 1, 2, MANY // 2]
    nodes = [helper.make_node("Relu", ["x"], ["y"], name="relu"), helper.make_node("GlobalMaxPool", ["y"], ["z"], name="pool")]
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape[1:]])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 1, 1, 1])],
    )
    engine = OnnxEngine(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    assert engine.run(wide, [Tap("relu", "active")])[Tap("relu", "active")].tolist() == [[np.float32(NOT_ALL)]]


def test_keras_agrees():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from convscope.engines.keras_forward import LAST, share_of
    from convscope.engines.keras_forward import reduced as on_the_device

    counts = keras.ops.convert_to_tensor(np.array([[MANY, MANY - 1, 1]], np.int32))
    found = keras.ops.convert_to_numpy(share_of(counts, MANY))
    assert found[0, :2].tolist() == [1, np.float32(NOT_ALL)]
    np.testing.assert_allclose(found, share(np.array([[MANY, MANY - 1, 1]]), MANY), rtol=1e-6)
    assert keras.ops.convert_to_numpy(on_the_device(keras.ops.convert_to_tensor(FEW), "active", 1)).tolist() == [[1]]
    last = keras.ops.convert_to_tensor(np.moveaxis(FEW, 1, -1))
    assert keras.ops.convert_to_numpy(on_the_device(last, "active", LAST)).tolist() == [[1]]
    nothing = keras.ops.convert_to_tensor(np.zeros((1, 2, 0, 3), np.float32))
    assert np.isnan(keras.ops.convert_to_numpy(on_the_device(nothing, "active", 1))).all()
