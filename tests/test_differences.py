"""Two networks layer by layer: the numbers are those of NumPy over their maps, and the command line can be asked in a build."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_cli import convscope as command  # noqa: F401 - a fixture

import convscope
from convscope.errors import InputError, UnknownLayer

RANDOM = np.random.default_rng(5)
FIRST, SECOND = RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32), RANDOM.normal(size=(3, 4, 3, 3)).astype(np.float32)


def network(path, *, by=0.0, names=("first", "second")):
    """Two convolutions with a ReLU between, and a mean; the kernel of the second is off by `by` in its first filter."""
    kernel = SECOND.copy()
    kernel[0] += by
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["a"], names[0], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "k2"], ["c"], names[1], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["d"], "mean"),
        helper.make_node("Flatten", ["d"], ["y"], "flat"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", ["n", 3, 8, 8]), ("y", ["n", 3]))
    ]
    weights = [numpy_helper.from_array(FIRST, "k1"), numpy_helper.from_array(kernel, "k2")]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def both(tmp_path):
    paths = network(tmp_path / "one.onnx"), network(tmp_path / "other.onnx", by=OFF)
    return [convscope.open(path, preprocess="0..1") for path in paths]


OFF = -0.5  # so that some pictures are answered otherwise
PICTURES = [RANDOM.integers(0, 256, (8, 8, 3)).astype(np.uint8) for _ in range(11)]  # more than a batch


def test_the_numbers_are_those_of_the_maps(both):
    one, other = both
    found = one.differences(other, PICTURES, at="all")
    before, after = (net.maps(PICTURES, at="all") for net in both)
    assert [row.layer for row in found.rows] == list(before)
    for row in found.rows:
        a, b = before[row.layer].values.astype(np.float64), after[row.layer].values.astype(np.float64)
        assert row.values == pytest.approx(np.sqrt((a**2).mean()), rel=1e-6)
        assert row.share == pytest.approx(np.sqrt(((a - b) ** 2).mean() / (a**2).mean()), rel=1e-6)
        assert row.greatest == pytest.approx(np.abs(a - b).max(), rel=1e-6)
    assert found.rows[0].share == found.rows[1].share == 0 < found.worst.share
    assert [row.layer for row in found.beyond(0)] == ["second", "mean", "flat"]
    answers = [[row[0].index for row in net.answers(PICTURES).values()] for net in both]
    assert found.changed == tuple(f"picture {at + 1}" for at in range(11) if answers[0][at] != answers[1][at])
    assert len(found.changed) > 0
    assert f"{len(found.changed)} answered otherwise" in str(found)
    assert found._repr_html_().count("<tr>") == 6


def test_a_network_does_not_differ_from_itself(both):
    found = both[0].differences(both[0], PICTURES)
    assert all(row.share == row.greatest == 0 for row in found.rows)
    assert found.changed == ()
    assert found.beyond(0) == ()


def test_layers_of_other_names_are_paired_as_one_says_or_named_as_left_over(both, tmp_path):
    renamed = convscope.open(network(tmp_path / "renamed.onnx", names=("first", "conv_2")), preprocess="0..1")
    found = both[0].differences(renamed, PICTURES)
    assert [row.layer for row in found.rows] == ["first"]
    assert found.unmatched == ("second",)
    assert "1 without a layer of the same name: second" in str(found)
    found = both[0].differences(renamed, PICTURES, pairs={"second": "conv_2"})
    assert [(row.layer, row.other, row.share) for row in found.rows] == [("first", "first", 0), ("second", "conv_2", 0)]
    with pytest.raises(UnknownLayer, match="conv_2"):
        both[0].differences(renamed, PICTURES, pairs={"second": "conv2"})
    with pytest.raises(InputError, match="no pair"):
        both[0].differences(renamed, PICTURES, pairs={"second": "first"})
    with pytest.raises(InputError, match="None of 5 layers.*Name pairs"):
        convscope.open("demo").differences(both[0], PICTURES, at="block1*")
    with pytest.raises(InputError, match="another Network"):
        both[0].differences("other.onnx", PICTURES)


def test_a_quantised_file_is_compared_with_what_it_was_made_from(tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    path = network(tmp_path / "float.onnx")
    one = convscope.open(path, preprocess="0..1")

    class Pictures(quantization.CalibrationDataReader):
        left = iter([{"x": one._prepared(picture).values} for picture in PICTURES])

        def get_next(self):
            return next(self.left, None)

    quantization.quantize_static(path, tmp_path / "int8.onnx", Pictures(), quant_format=quantization.QuantFormat.QDQ)
    found = one.differences(convscope.open(tmp_path / "int8.onnx", preprocess="0..1"), PICTURES, at=["convs", "relu"])
    assert {row.layer for row in found.rows} >= {"first", "second"}
    assert all(0 < row.share < 0.05 for row in found.rows), found


def test_in_a_build_the_status_says_whether_they_are_too_far_apart(command, tmp_path):  # noqa: F811
    network(tmp_path / "one.onnx")
    network(tmp_path / "other.onnx", by=0.5)
    asked = ("diff", "-m", "one.onnx", "--other", "other.onnx")
    status, out, _ = command(*asked)
    assert (status, out.splitlines()[0].split()) == (0, ["layer", "in", "the", "other", "values", "difference", "greatest"])
    status, out, _ = command(*asked, "--most", "0.01", "--json")
    assert (status, json.loads(out)["beyond"]) == (1, ["second"])
    assert command(*asked, "--most", "1e6")[0] == 0
    assert command("diff", "-m", "one.onnx", "--other", "one.onnx", "--most", "0")[0] == 0
    assert command("diff", "-m", "one.onnx", "--other", "nothing.onnx")[0] == 2


def test_what_is_not_finite_is_too_far():
    from convscope.methods.differences import Difference
    from convscope.results import Differences

    rows = (Difference("a", "a", 1.0, 0.5, 1.0), Difference("b", "b", float("nan"), float("nan"), float("nan")))
    found = Differences(rows, (), ("cat",), ("one", "other"), None)
    assert found.worst.layer == "b"
    assert [row.layer for row in found.beyond(0.9)] == ["b"]
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["layers"][1]["share"] is None
