"""Networks with several inputs: each is explained while the others stay as they are, by numbers that are worked out by hand."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import convscope
from convscope.core import Edit, Tap
from convscope.errors import InputError, Unsupported, WrongOption
from convscope.one_input import one_input

RANDOM = np.random.default_rng(0)
X, D = (RANDOM.uniform(0.1, 1, (1, 1, 4, 4)).astype(np.float32) for _ in range(2))
GIVEN = {"input": X, "input:1": D}
COLOUR, DEPTH = np.float32([1, -1]), np.float32([2, 1])  # of two units: relu(x + 2 d), and relu(d - x)
W, BIAS = np.float32([[1, -2], [0.5, 1], [-1, 3]]), np.float32([0.1, 0.2, 0.3])
CLASS = 1
MAPS = np.stack([X + 2 * D, np.maximum(D - X, 0)], 1)[0, :, 0]  # (2, 4, 4)
SCORE = W[CLASS] @ MAPS.mean((1, 2)) + BIAS[CLASS]


def in_torch():
    torch = pytest.importorskip("torch")
    from torch import nn

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.colour, self.depth = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(1, 2, 1, bias=False)
            self.relu, self.classes = nn.ReLU(inplace=True), nn.Linear(2, 3)

        def forward(self, x, d):
            return self.classes(self.relu(self.colour(x) + self.depth(d)).mean((2, 3)))

    module = Two()
    with torch.no_grad():
        for layer, values in ((module.colour, COLOUR), (module.depth, DEPTH)):
            layer.weight.copy_(torch.from_numpy(values[:, None, None, None]))
        module.classes.weight.copy_(torch.from_numpy(W))
        module.classes.bias.copy_(torch.from_numpy(BIAS))
    return convscope.open(module.eval(), picture_shape=[(1, 4, 4), (1, 4, 4)], preprocess="0..1", labels=["a", "b", "c"])


def in_keras():
    keras = pytest.importorskip("keras")
    layers = keras.layers
    x, d = keras.Input((4, 4, 1), name="x"), keras.Input((4, 4, 1), name="d")
    colour, depth = (layers.Conv2D(2, 1, use_bias=False, name=name) for name in ("colour", "depth"))
    maps = layers.ReLU(name="relu")(layers.Add(name="add")([colour(x), depth(d)]))
    classes = layers.Dense(3, name="classes")
    model = keras.Model([x, d], classes(layers.GlobalAveragePooling2D(name="mean")(maps)))
    colour.set_weights([COLOUR[None, None, None]])
    depth.set_weights([DEPTH[None, None, None]])
    classes.set_weights([W.T, BIAS])
    return convscope.open(model, preprocess="0..1", labels=["a", "b", "c"])


def in_onnx():
    def conv(source, name):
        return helper.make_node("Conv", [source, f"{name}_kernel"], [name], name)

    nodes = [
        conv("x", "colour"), conv("d", "depth"), helper.make_node("Add", ["colour", "depth"], ["add"], "add"),
        helper.make_node("Relu", ["add"], ["relu"], "relu"), helper.make_node("GlobalAveragePool", ["relu"], ["mean"], "mean"),
        helper.make_node("Flatten", ["mean"], ["flat"], "flat"),
        helper.make_node("Gemm", ["flat", "w", "b"], ["classes"], "classes", transB=1),
    ]  # fmt: skip
    weights = {"colour_kernel": COLOUR.reshape(2, 1, 1, 1), "depth_kernel": DEPTH.reshape(2, 1, 1, 1), "w": W, "b": BIAS}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("n", 1, 4, 4)) for name in "xd"]
    output = helper.make_tensor_value_info("classes", TensorProto.FLOAT, ("n", 3))
    graph = helper.make_graph(nodes, "two", inputs, [output], [numpy_helper.from_array(*pair[::-1]) for pair in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return convscope.open(model, preprocess="0..1", labels=["a", "b", "c"])


MAKERS = {"torch": in_torch, "keras": in_keras, "onnx": in_onnx}


@pytest.fixture(scope="module", params=MAKERS)
def net(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module", params=["torch", "keras"])
def sloped(request):
    return MAKERS[request.param]()


def relu_layer(net):
    return next(row.name for row in net.layers if row.name.startswith("relu"))


def scores(x, d):
    """The class's score of many pairs (n, 4, 4), by the formula."""
    return W[CLASS, 0] * (x + 2 * d).mean((1, 2)) + W[CLASS, 1] * np.maximum(d - x, 0).mean((1, 2)) + BIAS[CLASS]


OPEN = (D > X)[0, 0]
SLOPES = {"input": (W[CLASS, 0] - W[CLASS, 1] * OPEN) / 16, "input:1": (2 * W[CLASS, 0] + W[CLASS, 1] * OPEN) / 16}


def test_gradients_give_a_result_per_input(sloped):
    why = sloped.explain(GIVEN, "saliency", target="b")
    assert list(why.attributions) == ["input:1", "input"]  # the one that is shown last: it is `why.values`
    np.testing.assert_allclose(why.score, [SCORE], rtol=1e-5)
    for name, slope in SLOPES.items():
        np.testing.assert_allclose(why[name].values[0, 0], np.abs(slope), rtol=1e-5)
        product = sloped.explain(GIVEN, "input-x-gradient", target="b", of=name)
        assert list(product.attributions) == [name]
        np.testing.assert_allclose(product.values[0, 0], GIVEN[name][0, 0] * slope, rtol=1e-5)
    assert "while the others stay as they are" in why.notes[0]


@pytest.mark.parametrize("name", ["input", "input:1"])
def test_integrated_gradients_follow_one_input_while_the_other_stays(sloped, name):
    why = sloped.explain(GIVEN, "integrated-gradients", target="b", of=name, baseline=0.0, steps=100)
    x, d = X[0], D[0]
    gone = scores(np.zeros_like(x), d) if name == "input" else scores(x, np.zeros_like(d))
    assert why.delta[0] == pytest.approx(float(why.values.sum() - (SCORE - gone[0])), abs=1e-5)
    assert abs(why.delta[0]) < 2e-2 * abs(SCORE - gone[0])
    if name == "input":  # of x: w0 x, and w1 (relu(d - x) - relu(d)) of the second unit
        expected = (W[CLASS, 0] * x + W[CLASS, 1] * (np.maximum(d - x, 0) - d)) / 16
        np.testing.assert_allclose(why.values[0], expected, atol=2e-2 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["input", "input:1"])
def test_occlusion_covers_one_input_while_the_other_stays(net, name):
    why = net.explain(GIVEN, "occlusion", target="b", of=name, window=1, stride=1, fill=0.0)
    lost = np.zeros((4, 4))
    for y, x in np.ndindex(4, 4):
        colour, depth = X[0].copy(), D[0].copy()
        (colour if name == "input" else depth)[0, y, x] = 0
        lost[y, x] = SCORE - scores(colour, depth)[0]
    np.testing.assert_allclose(why.values[0], lost, atol=1e-5)
    assert why.layer == name


def test_the_maps_of_layers_need_no_input_to_be_named(sloped):
    layer = relu_layer(sloped)
    why = sloped.explain(GIVEN, "hires-cam", target="b", at=layer)
    np.testing.assert_allclose(why.values[0], np.tensordot(W[CLASS], MAPS, 1) / 16, rtol=1e-4, atol=1e-6)
    grad = sloped.explain(GIVEN, target="b", at=layer)
    np.testing.assert_allclose(grad.values[0], np.maximum(np.tensordot(W[CLASS], MAPS, 1) / 16, 0), rtol=1e-4, atol=1e-6)
    assert f"the maps of '{layer}' follow from 'input' and 'input:1'" in grad.notes
    np.testing.assert_allclose(grad.units[0], W[CLASS] * MAPS.mean((1, 2)), rtol=1e-4)


def test_ablation_and_score_cam_in_every_engine(net):
    layer = relu_layer(net)
    why = net.explain(GIVEN, "ablation-cam", target="b", at=layer)
    lost = W[CLASS] * MAPS.mean((1, 2))
    np.testing.assert_allclose(why.units[0], lost, rtol=1e-4)
    np.testing.assert_allclose(why.values[0], np.maximum(np.tensordot(lost, MAPS, 1), 0), rtol=1e-4)
    for name in GIVEN:
        score = net.explain(GIVEN, "score-cam", target="b", at=layer, of=name)
        for unit in range(2):
            mask = (MAPS[unit] - MAPS[unit].min()) / np.ptp(MAPS[unit])
            under = scores(X[0] * mask, D[0]) if name == "input" else scores(X[0], D[0] * mask)
            nothing = scores(0 * X[0], D[0]) if name == "input" else scores(X[0], 0 * D[0])
            assert score.units[0, unit] == pytest.approx(float(under[0] - nothing[0]), abs=1e-5)


def test_a_map_is_drawn_over_the_input_that_it_follows_from(sloped):
    sheet = sloped.explain(GIVEN, at=["colour", "depth"], target="b").sheet()
    assert sheet.labels[0] == "'input'"
    assert sheet.labels[3] == "'input:1'"
    assert [label for label in sheet.labels if label.startswith("over")] == ["over 'input'", "over 'input:1'"]
    shown = np.rint(D[0, 0] * 255).astype(np.uint8)
    np.testing.assert_array_equal(sheet.tiles[3][..., 0], shown)
    both = sloped.explain(GIVEN, "saliency", target="b")
    np.testing.assert_array_equal(both.sheet().tiles[0][..., 0], shown)
    assert both["input:1"].overlay().labels == ("over 'input:1'",)


def test_what_changes_the_network_works_with_several_inputs(net):
    layer, after = relu_layer(net), {"input": 0.5 * X[:, :, ::-1].copy(), "input:1": D[..., ::-1].copy()}
    effect = net.ablate(GIVEN, layer, target="b")
    np.testing.assert_allclose(effect.drop[0], W[CLASS] * MAPS.mean((1, 2)), rtol=1e-4)
    patched = net.patch(after, into=GIVEN, at=layer)
    np.testing.assert_allclose(patched.network.engine.run(GIVEN)["output"], net.engine.run(after)["output"], rtol=1e-5)
    off = net.without({layer: [1]}, fill="mean", over=after)
    expected = MAPS.copy()
    expected[1] = net.engine.run(after, [layer])[layer][0, 1].mean()
    np.testing.assert_allclose(off.engine.run(GIVEN)["output"][0], W @ expected.mean((1, 2)) + BIAS, rtol=1e-4)
    steered = net.steer(layer, toward=after, away=GIVEN)
    way = net.engine.run(after, [Tap(layer, "mean")])[Tap(layer, "mean")] - MAPS.mean((1, 2))
    np.testing.assert_allclose(
        steered.engine.run(GIVEN)["output"], net.engine.run(GIVEN)["output"] + way @ W.T, rtol=1e-4, atol=1e-5
    )


def test_compare_look_and_check(sloped, tmp_path):
    found = sloped.compare(GIVEN, ["saliency", "occlusion", "grad-cam"], target="b", of="input:1")
    assert [each.layer for each in found][:2] == ["input:1", "input:1"]
    assert found.sheet().labels[0] == "the input 'input:1'"
    folder = sloped.look(GIVEN).save(tmp_path / "study")
    assert "Why this answer" in (folder / "index.html").read_text(encoding="utf-8")
    assert json.loads((folder / "study.json").read_text(encoding="utf-8"))["why"][0]["method"] == "grad-cam"
    assert convscope.check("saliency", sloped, GIVEN, target="b").steps[-1].layer == "colour"


def test_what_cannot_be_is_refused(net):
    with pytest.raises(InputError, match="by a layer"):
        net.explain(GIVEN, "eigen-cam", of="input:1")
    with pytest.raises(WrongOption, match="'input:1'"):
        net.explain(GIVEN, "occlusion", of="depth")
    with pytest.raises(InputError, match="takes 'input', 'input:1'"):
        net.explain(X, "occlusion")
    if net.info.framework.startswith("onnx"):
        with pytest.raises(Unsupported, match="occlusion"):
            net.explain(GIVEN, "saliency")


def test_numbers_and_whole_numbers_beside_a_picture():
    pytest.importorskip("torch")
    from zoo_torch import PICTURES, ZOO

    net = convscope.open(ZOO["several_inputs"](), picture_shape=PICTURES["several_inputs"])
    given = {"input": RANDOM.integers(0, 255, (8, 8, 3), np.uint8), "input:1": np.ones((1, 8, 8)), "input:2": np.ones(4)}
    why = net.explain(given, "integrated-gradients", steps=3)
    assert {name: each.values.shape[1:] for name, each in why.attributions.items()} == {
        "input:1": (1, 8, 8), "input:2": (4,), "input": (3, 8, 8),
    }  # fmt: skip
    assert "baseline: black and 0" in why.notes
    assert "'input:2' cannot be drawn" in why.sheet().subtitle
    with pytest.raises(InputError, match="no axes to cover"):
        net.explain(given, "occlusion", of="input:2", fill=0.0)
    for baseline in ("white", "mean"):
        with pytest.raises(InputError, match="says nothing"):
            net.explain(given, "integrated-gradients", of="input:2", baseline=baseline)
    net = convscope.open(ZOO["whole_number_input"](), picture_shape=PICTURES["whole_number_input"])
    given = {"input": given["input"], "input:1": np.array([3])}
    assert list(net.explain(given, "saliency").attributions) == ["input"]
    with pytest.raises(InputError, match="whole numbers"):
        net.explain(given, "saliency", of="input:1")


def test_the_engine_of_one_input_answers_as_the_whole(net):
    pictures = np.concatenate([X, 2 * X])
    layer = relu_layer(net)
    for name in GIVEN:
        engine, picture = one_input(net.engine, GIVEN, name)
        np.testing.assert_array_equal(picture, GIVEN[name])
        whole = {each: pictures if each == name else array.repeat(2, 0) for each, array in GIVEN.items()}
        edits = [Edit("input", 0.5), Edit(layer, 2.0)]
        run = engine.run(pictures, ["input", layer, Tap(layer, "mean")], edits)
        expected = net.engine.run(whole, [name, layer, Tap(layer, "mean")], [Edit(name, 0.5), Edit(layer, 2.0)])
        np.testing.assert_array_equal(run["input"], expected[name])
        np.testing.assert_array_equal(run[Tap(layer, "mean")], expected[Tap(layer, "mean")])
        held = engine.hold(pictures[:1], layer)
        np.testing.assert_allclose(
            held.run(["output"], [edits[1]], repeat=2)["output"],
            np.repeat(engine.run(pictures[:1], ["output"], [edits[1]])["output"], 2, 0),
            rtol=1e-5,
        )
