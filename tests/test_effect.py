"""What units are worth: the same as full runs without them; tables, sheets, accuracy, and the command line."""

import csv
import json

import numpy as np
import pytest
from test_cli import convscope as command  # noqa: F401 - a fixture
from test_cli import picture as picture_file  # noqa: F401

from convscope.core import Edit
from convscope.engines.fake import FakeEngine
from convscope.errors import InputError, UnknownLayer, WrongClass, WrongOption
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import NetworkInfo

LABELS = ["cat", "dog", "car"]
RANDOM = np.random.default_rng(3)
PICTURES = [RANDOM.integers(20, 255, (8, 8, 3), np.uint8) for _ in range(3)]


@pytest.fixture(scope="module")
def net():
    engine = FakeEngine()
    return Network(engine, NetworkInfo("fake", "made by hand", "numpy", engine.graph), Preprocess(size=(8, 8)), LABELS)


@pytest.fixture(scope="module")
def values(net):
    return np.stack([net._prepared(picture).values[0] for picture in PICTURES])


def full_runs(net, values, layer, unit, value=0.0):
    mask = np.zeros((4, 1, 1), np.float32)
    mask[unit] = 1
    return net.engine.run(values, ["output"], [Edit(layer, 1 - mask, value * mask)])["output"]


@pytest.mark.parametrize("layer", ["conv1", "conv2", "relu2"])
def test_it_is_what_full_runs_without_each_unit_give(net, values, layer):
    effect = net.ablate(PICTURES, layer, target="dog")
    before = net.engine.run(values)["output"]
    at = effect.reading.read_at
    assert at == ("relu1" if layer == "conv1" else layer)
    assert effect.drop.shape == (3, 4)
    losses = []
    for unit in range(4):
        after = full_runs(net, values, at, unit)
        np.testing.assert_allclose(effect.drop[:, unit], before[:, 1] - after[:, 1], rtol=1e-5, atol=1e-5)
        losses.append((before - after).mean(0))
        for number in range(3):
            row = next(row for row in effect.table(number) if row.unit == unit)
            assert row.answer == LABELS[after[number].argmax()]
            assert row.changes == (after[number].argmax() != before[number].argmax())
    np.testing.assert_allclose(effect.by_class, losses, rtol=1e-4, atol=1e-5)


def test_the_table_begins_with_what_the_answer_needs_most(net):
    rows = net.ablate(PICTURES[0]).table()
    assert [row.drop for row in rows] == sorted((row.drop for row in rows), reverse=True)
    assert {row.unit for row in rows} == {0, 1, 2, 3}


def test_the_fewest_units_that_the_answer_needs_together(net, values):
    effect = net.ablate(PICTURES, "relu2")
    for number in range(3):
        order = [row.unit for row in effect.table(number)]
        answer = net.engine.run(values[number : number + 1])["output"].argmax()
        found = None
        for count in range(1, 5):
            mask = np.ones((4, 1, 1), np.float32)
            mask[order[:count]] = 0
            after = net.engine.run(values[number : number + 1], ["output"], [Edit("relu2", mask)])["output"]
            if after.argmax() != answer:
                found = tuple(order[:count])
                break
        assert effect.together(number) == found


def test_units_at_their_mean(net, values):
    effect = net.ablate(PICTURES, "conv2", target=2, fill="mean", over=PICTURES, units=[1, 3])
    mean = net.engine.run(values, ["conv2"])["conv2"].mean((0, 2, 3))
    before = net.engine.run(values)["output"][:, 2]
    for at, unit in enumerate((1, 3)):
        expected = before - full_runs(net, values, "conv2", unit, mean[unit])[:, 2]
        np.testing.assert_allclose(effect.drop[:, at], expected, rtol=1e-4, atol=1e-5)
    assert effect.units == (1, 3)


def test_a_function_as_target_has_no_answers_but_its_own_value(net):
    effect = net.ablate(PICTURES[0], "relu2", target=lambda output: output.sum(1))
    assert effect.drop.shape == (1, 4)
    assert "of the output" in effect.targets[0]


def test_how_often_it_is_right_without_each_unit(net, values):
    truth = ["cat", "car", "car"]
    dropped = net.ablate(PICTURES, "relu2", truth=truth).dropped
    numbers = np.array([0, 2, 2])
    assert dropped.accuracy == np.mean(net.engine.run(values)["output"].argmax(1) == numbers)
    for unit in range(4):
        right = np.mean(full_runs(net, values, "relu2", unit).argmax(1) == numbers)
        assert dropped.drop[unit] == pytest.approx(dropped.accuracy - right)
    assert dropped.pictures.tolist() == [1, 0, 2]


def test_the_sheet_shows_the_units_with_what_they_are_worth(net):
    effect = net.ablate(PICTURES[0], "conv2", target="dog")
    sheet = effect.sheet(first=3)
    assert len(sheet.labels) == 3
    first = effect.table()[0]
    assert sheet.labels[0].startswith(f"{first.unit}  {-first.drop:+.2g}")
    assert "'dog'" in sheet.subtitle
    assert "before any activation" in sheet.subtitle


def test_the_table_as_a_file(net, tmp_path):
    effect = net.ablate(PICTURES, "relu2")
    with effect.save(tmp_path / "effect.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4
    assert float(rows[0]["drop"]) == pytest.approx(effect.table()[0].drop)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"at": "conv9"}, UnknownLayer, "conv2"),
        ({"at": "convs"}, InputError, "one at a time"),
        ({"units": [4]}, InputError, "units 0 to 3"),
        ({"fill": "noise"}, WrongOption, "mean"),
        ({"fill": "mean"}, InputError, "over="),
        ({"target": "cta"}, WrongClass, "'cat'"),
        ({"truth": ["cat"]}, InputError, "3 pictures"),
    ],
)
def test_what_does_not_exist_is_refused(net, arguments, error, words):
    with pytest.raises(error, match=words):
        net.ablate(PICTURES, **arguments)


def test_ablate_on_the_command_line(command, picture_file, tmp_path):  # noqa: F811
    status, out, _ = command("ablate", picture_file, "--target", "cat", "--most", "4", "--truth", "cat")
    assert status == 0
    assert "units of 'block5_relu3'" in out
    assert "another answer without any one of: " in out
    assert "right: " in out
    assert (tmp_path / "ablate.png").is_file()
    status, out, _ = command("ablate", picture_file, "--at", "block5_conv3", "--json", "-o", "effect.csv")
    (found,) = json.loads(out)
    assert found["layer"] == "block5_conv3"
    assert found["read_at"] == "block5_relu3"
    assert len((tmp_path / "effect.csv").read_text().splitlines()) == 161
    status, _, error = command("ablate", picture_file, "--target", "cta")
    assert status == 2
    assert "Did you mean 'cat'" in error
