"""What a row of the layer table is called by kind is the same in every framework."""

import pytest

import convscope


def kinds(net):
    return {row.name: row.kind for row in net.layers}


def test_what_makes_a_map_larger_is_no_pooling_in_torch():
    torch = pytest.importorskip("torch")

    class Larger(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.up = torch.nn.Conv2d(3, 2, 3), torch.nn.Upsample(scale_factor=2)

        def forward(self, x):
            return torch.nn.functional.interpolate(self.up(self.conv(x)), size=(9, 9), mode="bilinear")

    found = kinds(convscope.open(Larger().eval(), picture_shape=(3, 8, 8)))
    assert (found["up"], found["interpolate"]) == ("resizing", "resizing")


def test_nor_in_keras():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    x = keras.Input((8, 8, 3))
    y = keras.layers.Conv2D(2, 3)(x)
    y = keras.layers.UpSampling2D(2, interpolation="bilinear", name="up")(y)
    y = keras.layers.Resizing(9, 9, name="size")(y)
    found = kinds(convscope.open(keras.Model(x, keras.ops.image.resize(y, (5, 5)))))
    assert (found["up"], found["size"]) == ("resizing", "resizing")
    assert list(found.values())[-1] == "resizing"


def test_nor_in_onnx():
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], "up", mode="nearest")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, side, side]) for name, side in (("x", 4), ("y", 8))]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:], [scales])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    assert kinds(convscope.open(model))["up"] == "resizing"
