"""Which maps come first, and by what."""

import numpy as np
import pytest

import convscope
from convscope.core import Edit
from convscope.engines.fake import PICTURE, FakeEngine
from convscope.errors import InputError, WrongOption
from convscope.methods import ranking
from convscope.methods.scores import scores
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import NetworkInfo

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.normal(size=(3, *PICTURE)).astype(np.float32)
CLASSES = np.array([0, 2, 1])


@pytest.fixture(scope="module")
def engine():
    return FakeEngine()


@pytest.fixture(scope="module")
def network(engine):
    return Network(engine, NetworkInfo("fake", "tests", engine.framework, engine.graph), Preprocess(), ["a", "b", "c"])


def test_before_a_linear_end_gradient_times_activation_is_the_drop_when_switched_off(engine):
    at = scores(engine)
    by_gradient = ranking.by_gradient(engine, PICTURES, ["relu2"], CLASSES, at)["relu2"]
    by_switching_off = ranking.by_switching_off(engine, PICTURES, "relu2", CLASSES, at, most=4)
    np.testing.assert_allclose(by_gradient, by_switching_off, atol=1e-5)


def test_before_a_linear_end_the_units_share_out_the_score(engine):
    found, _ = ranking.evidence(engine, PICTURES, ["relu2"], CLASSES)["relu2"]
    output = engine.run(PICTURES)["output"]
    bias = engine.weights("classes")["bias"]
    np.testing.assert_allclose(found.sum(1), output[range(3), CLASSES] - bias[CLASSES], atol=1e-5)


@pytest.mark.parametrize("layer", ["relu1", "conv2"])
def test_switching_off_is_what_an_edit_does_to_the_score(engine, layer):
    found = ranking.by_switching_off(engine, PICTURES, layer, CLASSES, scores(engine), most=4)
    whole = engine.run(PICTURES)["output"][range(3), CLASSES]
    for unit in range(4):
        mask = np.ones((4, 1, 1), np.float32)
        mask[unit] = 0
        without = engine.run(PICTURES, edits=[Edit(layer, scale=mask)])["output"][range(3), CLASSES]
        np.testing.assert_allclose(found[:, unit], whole - without, atol=1e-5)


def test_only_the_units_with_the_greatest_mean_are_tried_and_dead_ones_lose_nothing(engine):
    bright = np.abs(PICTURES)
    found = ranking.by_switching_off(engine, bright, "relu1", CLASSES, scores(engine), most=2)
    means = ranking.statistics(engine.run(bright, ["relu1"])["relu1"])["mean"]
    for row, mean in zip(found, means, strict=True):
        assert row[3] == 0  # dead for every picture above 0
        assert set(np.flatnonzero(np.isfinite(row))) == {3, *np.argsort(-mean)[:2]}


def test_statistics_are_those_of_each_map():
    values = RANDOM.normal(size=(2, 3, 4, 5)).astype(np.float32)
    found = ranking.statistics(values)
    for picture in range(2):
        for unit in range(3):
            of = values[picture, unit].astype(float)
            expected = {
                "mean": of.mean(),
                "max": of.max(),
                "active": (of > 0).sum() / 20,
                "variance": ((of - of.mean()) ** 2).mean(),
            }
            assert {name: found[name][picture, unit] for name in found} == pytest.approx(expected, rel=1e-5)


def test_equal_ones_go_by_the_second_measure_and_nan_is_last():
    measure, then = np.array([1, np.nan, 2, 1, np.nan], np.float32), np.array([0, 1, 0, 3, 2], np.float32)
    assert ranking.ranked(measure, then).tolist() == [2, 3, 0, 4, 1]


def test_look_ranks_by_the_answer_and_says_so(network):
    maps = network.look(PICTURES, at=["relu1", "relu2"])
    for number in range(3):
        of = maps["relu2"]
        table, answer = of.statistics(number), maps.answers[number][0]
        assert list(of.ranked(picture=number)) == sorted(
            range(4), key=lambda unit: (-table["answer"][unit], -table["mean"][unit])
        )
        sheet = of.sheet(picture=number)
        assert sheet.labels == tuple(map(str, of.ranked(picture=number)))
        assert f"ranked by how much each speaks for '{answer.label}' (gradient x activation" in sheet.caption
        np.testing.assert_array_equal(sheet.tiles, of.values[number, list(of.ranked(picture=number))])


def test_the_plain_order_is_one_option_away(network):
    sheet = network.look(PICTURES, at="relu1")["relu1"].sheet(order="plain")
    assert sheet.labels == ("0", "1", "2", "3")
    assert "as they are numbered" in sheet.caption


@pytest.mark.parametrize("by", list(ranking.MEASURES))
def test_maps_are_ranked_by_each_measure(network, by):
    of = network.maps(PICTURES, at="relu1")["relu1"]
    column = of.statistics(1)[by]
    assert (np.diff(column[list(of.ranked(by, picture=1))]) <= 0).all()
    assert ranking.MEASURES[by] in of.sheet(order=by).caption


def test_without_a_measure_of_the_answer_the_mean_ranks_and_the_answer_is_refused(network):
    of = network.maps(PICTURES, at="relu1")["relu1"]
    assert of.ranked() == of.ranked("mean")
    with pytest.raises(InputError, match="ranked=True"):
        of.ranked("answer")
    with pytest.raises(WrongOption, match="'variance'"):
        of.ranked("varianz")
    assert network.maps(PICTURES, at="relu1", ranked=True)["relu1"].evidence.values.shape == (3, 4)


def test_in_the_built_in_network_the_score_is_read_before_the_softmax():
    engine = convscope.open("demo").engine
    assert scores(engine).layer == "predictions"


def test_a_softmax_inside_a_dense_layer_changes_nothing():
    """The same weights with the softmax inside the last layer and without it."""
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from convscope.engines.keras import KerasEngine

    def build(activation):
        return keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(5, activation=activation, name="classes"),
            ]
        )

    inside, without = build("softmax"), build(None)
    without.set_weights(inside.get_weights())
    one, two = (ranking.evidence(KerasEngine(each), PICTURES, ["conv"], CLASSES)["conv"] for each in (inside, without))
    np.testing.assert_allclose(one[0], two[0], rtol=1e-4, atol=1e-6)
    assert "the score in 'classes', before its softmax" in one[1]
    assert "the network's output" in two[1]
