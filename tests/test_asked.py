"""What a user may hand over by mistake, each with a sentence that says what was received and what is right."""

import re

import numpy as np
import pytest

import convscope
from convscope.engines.fake import FakeEngine
from convscope.errors import InputError, WrongClass
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import NetworkInfo

PICTURE = np.random.default_rng(0).integers(20, 255, (8, 8, 3), np.uint8)


@pytest.fixture(scope="module")
def net():
    engine = FakeEngine()
    info = NetworkInfo("fake", "made by hand", engine.framework, engine.graph)
    return Network(engine, info, Preprocess(size=(8, 8)), ["cat", "dog", "car"])


@pytest.fixture(scope="module")
def maps(net):
    return net.maps([PICTURE, PICTURE], at="conv1")["conv1"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda _net, maps: maps.sheet(first=-1), "How many to draw is a number from 1 on, or None for all, but received -1"),
        (lambda _net, maps: maps.sheet(first=2.5), "How many to draw .* received 2.5"),
        (lambda _net, maps: maps.sheet(columns="two"), "columns of a sheet are a number from 1 on, but received 'two'"),
        (lambda _net, maps: maps.sheet(picture=2), "There is no picture 2: 0 to 1 were read"),
        (lambda _net, maps: maps.sheet(picture="cat"), "There is no picture 'cat'"),
        (lambda _net, maps: maps.sheet(units=[4]), "'conv1' has no unit 4: it has 0 to 3"),
        (lambda _net, maps: maps.sheet(units="1"), "by their numbers, 0 to 3, but received '1'"),
        (lambda net, _maps: net.predict(PICTURE, top=2.5), "How many answers .* received top=2.5"),
        (lambda net, _maps: net.predict(PICTURE, top="3"), "How many answers .* received top='3'"),
        (lambda net, _maps: net.filters("conv1").sheet(first=True), "How many to draw .* received True"),
        (lambda net, _maps: net.without({"conv1": "all"}), "by their numbers, 0 to 3, but received 'all'"),
        (lambda net, _maps: net.without({"conv1": [1.5]}), "by their numbers, 0 to 3, but received 1.5"),
        (lambda net, _maps: net.without({"conv1": []}), "No unit of 'conv1' was named. Name some, or None for all"),
        (lambda net, _maps: net.ablate(PICTURE, "conv1", units="1"), "by their numbers, 0 to 3, but received '1'"),
        (lambda net, _maps: net.ablate(PICTURE, "conv1", units=[7]), "'relu1' has no unit 7: it has 0 to 3"),
        (lambda net, _maps: net.ablate(PICTURE, "conv1").sheet(picture=1), "There is no picture 1: only picture 0 was looked at"),
        (lambda net, _maps: net.explain(PICTURE).sheet(picture=-2), "There is no picture -2: only picture 0 was explained"),
        (
            lambda net, _maps: net.explain(PICTURE, target=["cat", "dog"]),
            r"a pair of them, .*, but received the list",
        ),
        (lambda net, _maps: net.contrast("conv1", PICTURE), "contrasted with another Network, but received 'conv1'"),
        (lambda _net, _maps: convscope.open("demo", labels=3), "Labels are a list of names .*, but received 3"),
        (lambda _net, _maps: convscope.open("demo", preprocess=3), "a Preprocess, its dict or a name, but received 3"),
    ],
)
def test_what_is_wrong_is_said(net, maps, call, says):
    with pytest.raises(InputError, match=says) as caught:
        call(net, maps)
    assert not isinstance(caught.value, WrongClass)
    assert re.search(r"[.'\w]$", str(caught.value))


def test_values_are_not_written_into_a_file_that_looks_like_a_picture(net, tmp_path):
    why = net.explain(PICTURE, target="cat")
    with pytest.raises(InputError, match=r"written as .npz, but received '.*why.png'. Write a picture by sheet\(\).save\(\)"):
        why.save(tmp_path / "why.png")
    assert list(tmp_path.iterdir()) == []
    np.testing.assert_array_equal(np.load(why.save(tmp_path / "why.npz"))["score"], why.score)


def test_numbers_of_numpy_are_numbers_and_one_name_is_one_method(net, maps):
    assert maps.sheet(first=np.int64(2)).labels == maps.sheet(first=2).labels
    assert maps.sheet(picture=np.int64(-1)).title == maps.sheet(picture=1).title
    off, named = (net.without({"conv1": units}).predict(PICTURE) for units in (np.int64(1), [1]))
    assert off == named
    assert net.compare(PICTURE, "saliency", target="cat").names == ("saliency",)
