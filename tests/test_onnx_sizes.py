"""Shapes behind sizes that an ONNX file computes are inferred, for any number of pictures, and are those that come out."""

import tracemalloc

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator
from zoo_onnx import Writer, pictures

from convscope.engines import onnx_graph
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_constants import Constants
from convscope.engines.onnx_sizes import PLAINLY, infer

SIDE = 10
NUMBERS = {"zero": [0], "two": [2], "three": [3], "four": [4], "any": [-1], "window": [4]}


class Sizes(Writer):
    """Writes also what is computed of sizes."""

    def size(self, of: str, axis: str, name: str) -> str:
        return self.node("Gather", [self.node("Shape", [of], f"{name}.shape"), axis], name)

    def lacking(self, of: str, axis: str, name: str) -> str:
        """How many places more make whole windows."""
        rest = self.node("Mod", [self.size(of, axis, f"{name}.size"), "window"], f"{name}.rest")
        return self.node("Mod", [self.node("Sub", ["window", rest], f"{name}.more"), "window"], name)

    def reshaped(self, x: str, name: str, *sizes: str) -> str:
        return self.node("Reshape", [x, self.node("Concat", list(sizes), f"{name}.sizes", axis=0)], name)


def of_windows(batch="n"):
    """As exporters write a Swin: maps are padded to whole windows, which become entries of their own, and are put back."""
    w = Sizes()
    for name, values in NUMBERS.items():
        w.constant(name, np.array(values))
    x = w.node("Relu", [w.conv("picture", "conv1", 4, 3, 3, 3)], "relu1")
    pads = w.node("Concat", ["zero"] * 6 + [w.lacking(x, "two", "down"), w.lacking(x, "three", "right")], "pads", axis=0)
    x = w.node("Pad", [x, pads], "padded")
    down, across = (w.node("Div", [w.size(x, axis, f"{axis}.size"), "window"], f"{axis}.windows") for axis in ("two", "three"))
    number = w.size(x, "zero", "number")
    x = w.node(
        "Transpose", [w.reshaped(x, "cut", number, "four", down, "window", across, "window")], "turned", perm=[0, 2, 4, 1, 3, 5]
    )
    x = w.node("Tanh", [w.reshaped(x, "windows", "any", "four", "window", "window")], "tanh")
    x = w.reshaped(x, "apart", number, down, across, "four", "window", "window")
    x = w.node("Transpose", [x], "back", perm=[0, 3, 1, 4, 2, 5])
    height, width = (w.node("Mul", [each, "window"], f"{each}.whole") for each in (down, across))
    return w.model([batch, 3, SIDE, SIDE], w.head(w.reshaped(x, "maps", number, "four", height, width), 4))


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_shapes_behind_computed_sizes_are_inferred_without_a_run(batch, monkeypatch):
    monkeypatch.setattr("convscope.engines.onnx.learn", None)
    engine, given = OnnxEngine(of_windows(batch)), pictures(of_windows(batch), n=4, side=SIDE)
    assert {"conv1", "padded", "cut", "turned", "apart", "back", "maps", "classes"} <= {*engine.graph.names}
    assert {"windows", "tanh"}.isdisjoint(engine.graph.names)  # there are nine times as many as pictures
    run = engine.run(given, engine.graph.names)
    assert {name: run[name].shape[1:] for name in engine.graph.names} == {row.name: row.shape for row in engine.graph}


def test_a_network_of_computed_sizes_has_the_values_of_one_of_written_sizes():
    engine, given = OnnxEngine(of_windows()), pictures(of_windows(), n=2, side=SIDE)
    run = engine.run(given, ["relu1", "maps", "cut"])
    padded = np.pad(run["relu1"], ((0, 0), (0, 0), (0, 2), (0, 2)))
    np.testing.assert_array_equal(run["cut"], padded.reshape(2, 4, 3, 4, 3, 4))
    np.testing.assert_allclose(run["maps"], np.tanh(padded), atol=1e-6)


def test_what_does_not_depend_on_how_many_pictures_there_are_is_evaluated_once(monkeypatch):
    evaluated, run = [], ReferenceEvaluator.run

    def counted(self, *args, **options):
        evaluated.append(self)
        return run(self, *args, **options)

    monkeypatch.setattr(ReferenceEvaluator, "run", counted)
    engine = OnnxEngine(of_windows())
    small = {"Mod", "Sub", "Div", "Mul"}
    assert len(evaluated) == len(set(map(id, evaluated))) == sum(node.op_type in small for node in engine._model.graph.node)


@pytest.mark.parametrize("places", [2, -1, [1], [[0, -2], [1, 1]]])
def test_the_commonest_operators_make_what_the_evaluator_makes(places):
    given, places = np.arange(12).reshape(4, 3), np.array(places)
    for kind, arrays, options in (
        ("Gather", [given, places], {}),
        ("Gather", [given, places], {"axis": 1}),
        ("Concat", [given, given, given[:1]], {"axis": 0}),
        ("Concat", [given, given[:, :1]], {"axis": -1}),
        ("Unsqueeze", [given, np.array([-1, 0])], {}),
        ("Unsqueeze", [given[0, 0], np.array([0])], {}),
    ):
        names = [f"input{at}" for at in range(len(arrays))]
        node = helper.make_node(kind, names, ["out"], **options)
        function = helper.make_function("convscope", "sizes", names, ["out"], [node], [helper.make_opsetid("", 17)])
        (expected,) = ReferenceEvaluator(function).run(None, dict(zip(names, arrays, strict=True)), {})
        made = PLAINLY[kind](node, arrays)
        np.testing.assert_array_equal(made, expected, strict=True)


def test_a_mask_that_the_file_makes_of_its_sizes_is_not_made_to_learn_its_shape():
    w = Writer()
    ones = w.node("ConstantOfShape", [w.node("Shape", ["picture"], "shape")], "ones")
    to = w.node("Concat", [w.node("Mul", ["shape:out", w.constant("one", np.array([1]))], "same")], "sizes", axis=0)
    x = w.node("Reshape", [w.node("Add", ["picture", ones], "sum"), to], "reshaped")
    model = w.model([1000, 3, 64, 64], x, ranks=(4,))
    tracemalloc.start()
    types = infer(onnx_graph.complete(model, Constants(model.graph, None)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert types[x].shape == (1000, 3, 64, 64)
    assert most < 1e6


def test_what_depends_on_values_is_not_inferred_from_sizes():
    """How many places are above zero is known when the network runs."""
    w = Writer()
    count = w.node("Shape", [w.node("NonZero", [w.node("Relu", ["picture"], "relu")], "where")], "shape")
    x = w.node("Expand", [w.node("ReduceMean", ["picture"], "mean", axes=[2, 3]), count], "expanded")
    model = w.model([1, 3, 6, 6], w.node("Flatten", [x], "flat"))
    types = infer(onnx_graph.complete(model, Constants(model.graph, None)))
    assert types["where:out"].shape == (4, None)
    assert types[count].shape == (2,)
    assert x not in types or types[x].shape is None or None in types[x].shape
