"""Networks with edits that stay: every verb answers as the changed network, and the first one is as it was."""

import numpy as np
import pytest

from convscope.core import Differentiable, Edit, Resumable
from convscope.edited import edited
from convscope.engines.fake import FakeEngine
from convscope.errors import InputError, UnknownLayer, WrongOption
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import NetworkInfo

RANDOM = np.random.default_rng(0)
LABELS = ["cat", "dog", "car"]
PICTURES = [RANDOM.integers(20, 255, (8, 8, 3), np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def net():
    engine = FakeEngine()
    return Network(engine, NetworkInfo("fake", "made by hand", "numpy", engine.graph), Preprocess(size=(8, 8)), LABELS)


@pytest.fixture(scope="module")
def values(net):
    return np.stack([net._prepared(picture).values[0] for picture in PICTURES])


def maps(net, layer, pictures=PICTURES):
    return net.maps(pictures, at=layer)[layer].values


def test_units_that_are_off_are_zero_and_the_others_as_they_were(net):
    lesion = net.without({"conv2": [1, 3]})
    before, after = maps(net, "conv2"), maps(lesion, "conv2")
    assert before[:, 1].any()
    assert not after[:, [1, 3]].any()
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])


def test_the_first_network_is_as_it_was(net, values):
    before = net.engine.run(values)["output"]
    net.without({"conv2": None}).predict(PICTURES)
    np.testing.assert_array_equal(net.engine.run(values)["output"], before)
    assert net.info.notes == ()


def test_a_convolution_is_changed_after_its_activation(net):
    lesion = net.without({"conv1": 0})
    assert not maps(lesion, "relu1")[:, 0].any()
    assert "after its activation ('relu1')" in lesion.info.notes[0]
    raw = net.without({"conv1": 2}, activated=False)
    assert not maps(raw, "conv1")[:, 2].any()


def test_every_verb_answers_as_the_changed_network(net, values):
    lesion, by_hand = net.without({"relu2": [0, 1]}), [Edit("relu2", np.array([0, 0, 1, 1], np.float32)[:, None, None])]
    expected = net.engine.run(values, ["output"], by_hand)["output"]
    np.testing.assert_array_equal(lesion.engine.run(values)["output"], expected)
    assert [row[0][0] for row in lesion.predict(PICTURES)] == [LABELS[number] for number in expected.argmax(1)]
    why = lesion.explain(PICTURES[0], target="dog")
    np.testing.assert_allclose(why.score, expected[:1, 1], rtol=1e-5)
    assert why.network.notes == lesion.info.notes
    assert not lesion.look(PICTURES[0])["conv2"].values[:, 4:].any()


def test_it_can_do_what_the_engine_can(net):
    engine = net.without({"conv2": 1}).engine
    assert isinstance(engine, Differentiable)
    assert isinstance(engine, Resumable) == isinstance(net.engine, Resumable)

    class Plain:
        graph, framework, weights, run = net.graph, "plain", net.engine.weights, net.engine.run

    assert not isinstance(edited(Plain(), [Edit("conv2", 0)]), Differentiable)


@pytest.mark.parametrize("layer", ["conv1", "pool1", "relu2"])
def test_holding_changes_nothing(net, values, layer):
    if not isinstance(net.engine, Resumable):
        pytest.skip("this engine does not hold")
    per_picture = RANDOM.uniform(size=(3, 4, 1, 1)).astype(np.float32)
    engine = edited(net.engine, [Edit("pool1", per_picture), Edit("add", 1, per_picture)])
    expected = engine.run(values, ["relu2", "output"])
    held = engine.hold(values, layer)
    found = held.run(["relu2", "output"], repeat=2)
    for name in ("relu2", "output"):
        np.testing.assert_allclose(found[name], np.repeat(expected[name], 2, axis=0), rtol=1e-5, atol=1e-6)


def test_an_edit_per_picture_of_a_layer_without_maps_stays_with_its_picture(net, values):
    dense = net.graph.layers[-1]
    each = RANDOM.uniform(size=(3, dense.shape[0])).astype(np.float32)
    engine = edited(net.engine, [Edit(dense.name, each)])
    expected = engine.run(values)["output"]
    found = engine.hold(values, "conv1").run(repeat=2)["output"]
    np.testing.assert_allclose(found, np.repeat(expected, 2, axis=0), rtol=1e-5, atol=1e-6)


def test_edits_of_a_call_come_after_those_that_stay_in_a_held_run_too(net, values):
    engine = edited(net.engine, [Edit("conv2", 0.5, 1.0)])
    first, then = [Edit("conv2", 2.0, 3.0)], [Edit("conv2", -1.0, 0.5)]
    expected = engine.run(values, ["conv2"], [*first, *then])["conv2"]
    found = engine.hold(values, "conv1", first).run(["conv2"], then)["conv2"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_lesions_of_lesions_add_up(net):
    twice, once = net.without({"relu2": 0}).without({"relu1": 1}), net.without({"relu1": 1, "relu2": 0})
    np.testing.assert_array_equal(maps(twice, "relu2"), maps(once, "relu2"))
    assert len(twice.info.notes) == 2


def test_only_a_region_of_the_map(net):
    region = np.zeros((4, 4), bool)
    region[0] = True
    after = maps(net.without({"conv2": 1}, region=region), "conv2")
    before = maps(net, "conv2")
    assert not after[:, 1, 0].any()
    np.testing.assert_array_equal(after[:, 1, 1:], before[:, 1, 1:])


def test_mean_over_a_set_is_of_pictures_and_positions(net):
    after = maps(net.without({"conv2": [1]}, fill="mean", over=PICTURES), "conv2")
    np.testing.assert_allclose(after[:, 1], maps(net, "conv2")[:, 1].mean(), rtol=1e-5)


def test_resampled_maps_are_those_of_a_picture_of_the_set(net):
    every = maps(net, "conv2")
    after = maps(net.without({"conv2": [1]}, fill="resample", over=PICTURES, seed=1), "conv2")
    assert any(np.array_equal(after[0, 1], each) for each in every[:, 1])
    np.testing.assert_array_equal(after[0, 1], after[2, 1])
    with pytest.raises(InputError, match="over="):
        net.without({"conv2": [1]}, fill="mean")


def test_scaling_and_steering_are_what_they_say(net):
    before = maps(net, "conv2")
    np.testing.assert_allclose(maps(net.scale({"conv2": 1}, 3), "conv2")[:, 1], 3 * before[:, 1], rtol=1e-6)
    way = np.array([1, 0, -2, 0], np.float32)
    steered = net.steer("conv2", way, strength=0.5)
    np.testing.assert_allclose(maps(steered, "conv2"), before + way[:, None, None] / 2, rtol=1e-6, atol=1e-6)
    toward = net.steer("conv2", toward=PICTURES[:1], away=PICTURES[1:])
    difference = (before[:1].mean((0, 2, 3)) - before[1:].mean((0, 2, 3)))[:, None, None]
    np.testing.assert_allclose(maps(toward, "conv2"), before + difference, rtol=1e-4, atol=1e-5)


def test_a_patch_of_all_of_a_layer_gives_the_other_pictures_answer(net):
    found = net.patch(PICTURES[0], into=PICTURES[1], at="relu2")
    (expected,) = net.predict(PICTURES[0], top=3)
    (after,) = found.after.values()
    assert [each.label for each in after] == [label for label, _ in expected]
    np.testing.assert_allclose([each.probability for each in after], [share for _, share in expected], rtol=1e-5)
    partly = net.patch(PICTURES[0], into=PICTURES[1], at="conv2", units=[1])
    np.testing.assert_array_equal(maps(partly.network, "conv2", PICTURES[1])[0, 1], maps(net, "conv2", PICTURES[0])[0, 1])


def test_the_answers_before_and_after_stand_side_by_side(net):
    found = net.contrast(net.without({"relu2": None}), PICTURES)
    printed = str(found)
    assert printed.startswith("All units of 'relu2' are zero.")
    assert printed.count("%") == 2 * 3 * 3
    for name in found.before:  # nothing is left but the bias, which speaks for the third class
        assert found.after[name][0].label == "car"
    assert found.changed() == tuple(name for name in found.before if found.before[name][0].label != "car")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda net: net.without({"conv2": 4}), InputError, "has no unit 4: it has 0 to 3"),
        (lambda net: net.without({"conv2": []}), InputError, "No unit"),
        (lambda net: net.without({"conv9": 0}), UnknownLayer, "conv2"),
        (lambda net: net.without({"conv2": 0}, fill="noise"), WrongOption, "resample"),
        (lambda net: net.without(["conv2"]), InputError, "named by layer"),
        (lambda net: net.without({"conv2": 0}, region=np.ones((2, 2), bool)), InputError, r"region has shape \(2, 2\)"),
        (lambda net: net.steer("conv2", np.ones(3)), InputError, r"received \(3,\)"),
        (lambda net: net.steer("conv2"), InputError, "one of the two"),
        (lambda net: net.patch(PICTURES, into=PICTURES[0], at="conv2"), InputError, "from one picture"),
    ],
)
def test_what_does_not_exist_is_refused(net, call, error, words):
    with pytest.raises(error, match=words):
        call(net)
