"""What units are worth: the same as full runs without them; tables, sheets, accuracy, and the command line."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from test_cli import convscope as command  # noqa: F401 - a fixture
from test_cli import picture as picture_file  # noqa: F401

from convscope.cli.ablate import print_effect, region_of
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
        ({"units": [4]}, InputError, "no unit 4: it has 0 to 3"),
        ({"fill": "noise"}, WrongOption, "mean"),
        ({"fill": "mean"}, InputError, "over="),
        ({"target": "cta"}, WrongClass, "'cat'"),
        ({"truth": ["cat"]}, InputError, "3 pictures"),
    ],
)
def test_what_does_not_exist_is_refused(net, arguments, error, words):
    with pytest.raises(error, match=words):
        net.ablate(PICTURES, **arguments)


def test_the_list_in_the_terminal_has_the_units_of_the_sheet_in_its_order(net, capsys):
    effect = net.ablate(PICTURES[0], "relu2", target="car")  # a unit speaks against it
    print_effect(effect, 0, 3)
    heads, *lines = capsys.readouterr().out.splitlines()[1:]
    assert "changes" in heads
    assert "changes" in effect.sheet(first=3).subtitle
    listed = [line.split() for line in lines if line.lstrip()[:1].isdigit()]
    drawn = [label.split() for label in effect.sheet(first=3).labels]
    assert [row[0] for row in listed] == [label[0] for label in drawn]
    assert len(listed) == 3
    np.testing.assert_allclose([float(row[1]) for row in listed], [float(label[1]) for label in drawn], rtol=0.1)
    greatest = np.sort(np.abs(effect.drop[0]))[::-1][:3]
    np.testing.assert_allclose(sorted(abs(float(row[1])) for row in listed), greatest[::-1], rtol=0.01)


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


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("region", [None, "map"])
@pytest.mark.parametrize("fill", ["zero", "mean", "resample"])
def test_every_fill_and_region_is_what_changing_the_maps_by_hand_gives(net, values, layer, region, fill):
    at = {"conv1": "relu1", "conv2": "conv2"}[layer]
    maps = net.engine.run(values, [at])[at]
    where = None if region is None else np.arange(maps[0, 0].size).reshape(maps.shape[2:]) % 3 == 0
    effect = net.ablate(PICTURES[0], layer, target="dog", fill=fill, over=PICTURES[1:], region=where, seed=5)
    drawn = np.random.default_rng(5).integers(2, size=4)
    before = net.engine.run(values[:1])["output"][0, 1]
    for unit in range(4):
        other = {"zero": 0.0, "mean": maps[1:, unit].mean(), "resample": maps[1 + drawn[unit], unit]}[fill]
        changed = maps[:1].copy()
        changed[0, unit] = np.where(True if where is None else where, other, maps[0, unit])
        after = net.engine.run(values[:1], ["output"], [Edit(at, 0.0, changed)])["output"][0, 1]
        assert effect.drop[0, unit] == pytest.approx(before - after, rel=1e-4, abs=1e-5)
        same = net.without({layer: unit}, fill=fill, over=PICTURES[1:], region=where, seed=5)
        np.testing.assert_allclose(same.engine.run(values[:1])["output"][0, 1], after, rtol=1e-5, atol=1e-6)
    assert ("positions" in effect.filled) == (region is not None)


def test_a_picture_of_the_set_itself_is_not_drawn(net):
    """A map replaced by itself changes nothing, and would look like a unit that is worth nothing."""
    whole = net.ablate(PICTURES, "conv2", target="dog", fill="resample", over=PICTURES)
    for number, picture in enumerate(PICTURES):
        others = [each for each in PICTURES if each is not picture]
        alone = net.ablate(picture, "conv2", target="dog", fill="resample", over=others)
        np.testing.assert_allclose(whole.drop[number], alone.drop[0], rtol=1e-5)
    with pytest.raises(InputError, match="there is none in 'over'"):
        net.ablate(PICTURES[0], "conv2", fill="resample", over=PICTURES[0])


def test_a_region_that_does_not_fit_is_refused(net):
    with pytest.raises(InputError, match=r"region has shape \(2, 2\)"):
        net.ablate(PICTURES[0], "conv2", region=np.ones((2, 2), bool))


@pytest.fixture
def classes(tmp_path):
    """A folder per class, of six pictures."""
    folder = tmp_path / "classes"
    for number, label in enumerate(("cat", "car", "car", "cat", "dog", "car")):
        (folder / label).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(20, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


def test_a_folder_with_a_folder_per_class_gives_the_accuracy_lost_by_class(net, classes, tmp_path):
    effect = net.ablate(classes, "relu2")
    files = sorted(classes.rglob("*.png"))
    values = np.concatenate([net._prepared(file).values for file in files])
    truth = np.array([LABELS.index(file.parent.name) for file in files])
    right = net.engine.run(values)["output"].argmax(1) == truth
    assert effect.dropped.accuracy == right.mean()
    rows = {row.unit: row for row in effect.accuracy()}
    for unit in range(4):
        still = full_runs(net, values, "relu2", unit).argmax(1) == truth
        assert rows[unit].drop == pytest.approx(right.mean() - still.mean())
        for number, label in enumerate(LABELS):
            of_class = truth == number
            assert rows[unit].by_class[label] == pytest.approx(right[of_class].mean() - still[of_class].mean())
    drops = [row.drop for row in effect.accuracy()]
    assert drops == sorted(drops, reverse=True)
    with effect.save_accuracy(tmp_path / "drops.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert set(table[0]) == {"layer", "unit", "drop", *LABELS}
    assert [int(row["unit"]) for row in table] == [row.unit for row in effect.accuracy()]
    assert net.ablate(classes, "relu2", first=3).drop.shape == (3, 4)


def test_the_accuracy_of_a_folder_is_that_of_a_scan(net, classes, tmp_path):
    pytest.importorskip("pyarrow")
    found = net.scan(classes, "relu2", out=tmp_path / "scan").accuracy_without("relu2")
    dropped = net.ablate(classes, "relu2").dropped
    np.testing.assert_array_equal(found.dropped.without, dropped.without)
    np.testing.assert_array_equal(found.dropped.right, dropped.right)


def test_folders_that_are_no_classes_of_the_network_are_refused(net, classes):
    (classes / "car").rename(classes / "boat")
    with pytest.raises(InputError, match="knows no 'boat'"):
        net.ablate(classes)
    with pytest.raises(InputError, match="truth='cat'"):
        net.ablate(PICTURES[0]).accuracy()


def test_folders_regions_and_fills_on_the_command_line(command, picture_file, tmp_path):  # noqa: F811
    for label in ("cat", "tench"):
        (tmp_path / "set" / label).mkdir(parents=True)
        Image.open(picture_file).save(tmp_path / "set" / label / "a.png")
    units = ("--at", "block5_conv3", "--units", "3,10-12")
    status, out, _ = command("ablate", "set", *units, "--accuracy", "drops.csv", "--json", "-o", "effect.csv")
    found = json.loads(out)
    assert status == 0
    assert [each["picture"] for each in found] == ["cat/a.png", "tench/a.png"]
    assert set(found[0]["accuracy"]["units"][0]["by_class"]) == {"cat", "tench"}
    assert len((tmp_path / "drops.csv").read_text().splitlines()) == 5
    assert "in all" in command("ablate", "set", *units)[1]
    how = ("--fill", "resample", "--over", "set/cat", "--seed", "2")
    assert "there is none in 'over'" in command("ablate", picture_file, *units, *how)[2]
    status, out, _ = command("ablate", picture_file, *units, "--region", "0:2,3:8", "--together", "--json")
    assert "at 10 positions are zero" in json.loads(out)["what"]
    assert command("ablate", picture_file, "--units", "3-")[0] == 2
    for unplaced in (["--together", "--units", "3"], ["--region", "0:2,3:8"]):  # of two heads it was the last layer of any
        status, out, error = command("ablate", picture_file, *unplaced)
        assert (status, out) == (2, "")
        assert "Name it with --at." in error


@pytest.mark.parametrize("text", ["0:2", "0:2,0:99", "2:2,0:4", "0:2,a:b"])
def test_a_region_in_words_that_does_not_fit(net, text):
    assert region_of(net, "conv2", "0:2,3:4", activated=True)[:2, 3].all()
    with pytest.raises(InputError, match="such as 0:4,0:4, but received"):
        region_of(net, "conv2", text, activated=True)


def test_units_for_and_against_stand_in_groups_of_their_own(net):
    effect = net.ablate(PICTURES[0])
    rows = {row.unit: row.drop for row in effect.table()}
    sheet = effect.sheet(columns=2)
    page = sheet._page(None, None)
    headings = {text.words.split(":")[0]: text.y for text in page.texts if text.words in dict(sheet.groups)}
    units = [int(label.split()[0]) for label in sheet.labels]
    assert sum(count for _, count in sheet.groups) == len(units) == 4
    for unit, (y, _) in zip(units, page.places, strict=True):
        above = max((heading for heading in headings if headings[heading] < y), key=headings.get)
        assert above == ("for it" if rows[unit] > 0 else "against it" if rows[unit] < 0 else "it changes nothing")
    assert len({y for y, _ in page.places}) == sum(-(-count // 2) for _, count in sheet.groups)
    assert max(y for y, _ in page.places) + page.tile[0] < page.canvas.shape[0] - 20
    for start, count in zip(
        np.cumsum([0, *(count for _, count in sheet.groups)]), [count for _, count in sheet.groups], strict=False
    ):
        sizes = [abs(rows[unit]) for unit in units[start : start + count]]
        assert sizes == sorted(sizes, reverse=True)
