"""A scan against the long way, over whole maps in memory; going on after a stop; and all that can be wrong with its pictures."""

import json
import re
import resource

import numpy as np
import pytest
from PIL import Image
from scans import CLASSES, LAYERS, Counting, long_way, network, same_tables, write_pictures

from convscope.core import Run, Tap
from convscope.engines.fake import FakeEngine
from convscope.errors import ConvscopeError, ConvscopeWarning, InputError, OutputError, StudyError, UnknownLayer, WrongOption
from convscope.scan import store as stores
from convscope.scan.result import Scan

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return folder, write_pictures(folder)


@pytest.fixture(scope="module")
def scan(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("scans") / "whole"
    return network().scan(pictures[0], LAYERS, out=out, k=4, maps=LAYERS, features=LAYERS, batch=3)


@pytest.fixture(scope="module")
def whole(pictures):
    folder, entries = pictures
    return long_way(network(), folder, [name for name, _ in entries], ["relu1", "relu2"])


def read_at(scan, layer):
    return scan.plan[layer].read_at


def test_every_column_is_what_the_whole_maps_say(scan, whole):
    for layer in LAYERS:
        units, maps = scan.of(layer), whole[read_at(scan, layer)]
        flat = maps.reshape(*maps.shape[:2], -1)
        means, peaks = flat.mean(2, dtype=np.float64), flat.max(2)
        np.testing.assert_allclose(units["mean"], means.mean(0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(units["std"], means.std(0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(units["max"], peaks.max(0), rtol=1e-6)
        np.testing.assert_allclose(units["max_mean"], peaks.mean(0, dtype=np.float64), rtol=1e-5)
        np.testing.assert_allclose(units["max_std"], peaks.std(0, dtype=np.float64), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(units["max_q50"], np.quantile(peaks, 0.5, axis=0), rtol=1 / 8, atol=2.0**-16)
        assert (units["max_q99"] <= units["max"]).all()
        np.testing.assert_allclose(units["fires_pictures"].astype(float), (peaks > 0).mean(0))
        np.testing.assert_allclose(units["fires_positions"].astype(float), (flat > 0).mean((0, 2)), rtol=1e-6)
        assert units["dead"].tolist() == (peaks.max(0) <= 0).tolist()
        assert units["always_on"].tolist() == (flat.min((0, 2)) > 0).tolist()


def test_selectivity_is_that_of_the_class_means(scan, whole, pictures):
    labels = np.array([label for _, label in pictures[1]])
    means = whole["relu1"].mean((2, 3), dtype=np.float64)
    by_class = np.stack([means[labels == name].mean(0) for name in CLASSES])
    np.testing.assert_allclose(scan.class_means("conv1"), by_class, rtol=1e-5)
    for unit in range(3):
        best = by_class[:, unit].argmax()
        others = np.delete(by_class[:, unit], best).mean()
        expected = (by_class[best, unit] - others) / (by_class[best, unit] + others)
        row = scan.of("conv1").row(unit)
        assert row["selectivity"] == pytest.approx(expected, rel=1e-4)
        assert row["best_class"] == CLASSES[best]
    assert scan.of("conv1").row(3)["selectivity"] is None  # it never fires


def test_top_lists_are_the_greatest_with_their_places(scan, whole, pictures):
    for layer in LAYERS:
        maps = whole[read_at(scan, layer)]
        flat = maps.reshape(*maps.shape[:2], -1)
        for unit in range(4):
            peaks = flat[:, unit].max(1)
            means = flat[:, unit].mean(1)
            order = sorted(range(len(peaks)), key=lambda number: (-peaks[number], -means[number], number))[:4]
            rows = scan.top(layer, unit).rows
            assert rows["picture"].tolist() == order
            assert rows["name"].tolist() == [pictures[1][number][0] for number in order]
            np.testing.assert_allclose(rows["value"], peaks[order], rtol=1e-6)
            places = [np.unravel_index(flat[number, unit].argmax(), maps.shape[2:]) for number in order]
            assert list(zip(rows["y"].tolist(), rows["x"].tolist(), strict=True)) == [(int(y), int(x)) for y, x in places]


def test_mean_maps_features_and_correlations(scan, whole, pictures):
    labels = np.array([label for _, label in pictures[1]])
    for layer in LAYERS:
        maps = whole[read_at(scan, layer)]
        np.testing.assert_allclose(scan.class_maps(layer, "bee"), maps[labels == "bee"].mean(0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(scan.class_maps(layer), maps.mean(0), rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(scan.features(layer), maps.mean((2, 3)), rtol=1e-5, atol=1e-7)
    alive = whole["relu1"].mean((2, 3), dtype=np.float64)[:, :3]
    np.testing.assert_allclose(scan.correlation("conv1")[:3, :3], np.corrcoef(alive.T), atol=1e-5)
    assert scan.neighbours("conv1", 0, 1)[0][0] == 1 + np.corrcoef(alive.T)[0, 1:].argmax()


def test_answers_and_accuracy(scan, whole, pictures):
    answers = whole["output"].argmax(1)
    expected = np.array([CLASSES.index(label) for _, label in pictures[1]])
    assert scan.pictures["answer"].tolist() == [CLASSES[each] for each in answers]
    assert scan.accuracy == pytest.approx((answers == expected).mean())
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (expected, answers), 1)
    assert scan.confusion.tolist() == counts.tolist()


def test_dead_units_are_named_and_the_network_is_the_same_without_them(scan, pictures):
    assert scan.dead()["conv1"] == [3]
    dead = {layer: units for layer, units in scan.dead().items() if layer == "conv1"}
    folder, entries = pictures
    paths = [folder / name for name, _ in entries]
    before, after = (net.predict(paths, top=3) for net in (network(), network().without(dead)))
    assert before == after


def test_a_dead_unit_that_the_weights_prove_is_said_to_be(tmp_path):
    from test_scan_docs import write_network

    import convscope

    write_network(tmp_path / "net.onnx", dead=2)  # after a ReLU, weights below zero everywhere
    write_pictures(tmp_path / "p", 6)
    units = convscope.open(tmp_path / "net.onnx").scan(tmp_path / "p", out=tmp_path / "s").of("conv2")
    assert [unit for unit in range(8) if units["proven_dead"][unit]] == [2]
    assert units["dead"][2] is np.True_ or units["dead"][2] is True


def test_units_that_copy_each_other_are_duplicates(pictures, tmp_path):
    class Copies(FakeEngine):
        def run(self, pictures, taps=(), edits=()):
            run = super().run(pictures, taps, edits)
            values = {tap: run[tap].copy() for tap in run}
            for tap in values:
                if tap.layer == "relu1" and tap.reduce == "mean":
                    values[tap][:, 2] = values[tap][:, 0] * 2
            return Run(values)

    found = network(Copies()).scan(pictures[0], ["conv1"], out=tmp_path / "s", maps=None).duplicates()
    assert [(each.layer, each.unit, each.other) for each in found] == [("conv1", 0, 2)]
    assert found[0].correlation == pytest.approx(1)


def test_before_an_activation_nothing_is_dead_and_nothing_fires(pictures, tmp_path):
    found = network().scan(pictures[0], ["conv2"], out=tmp_path / "s", activated=False)
    assert found.units["dead"].tolist() == [None] * 4
    assert found.units["fires_positions"].tolist() == [None] * 4
    assert found.units["selectivity"].tolist() == [None] * 4
    assert found.dead() == {}


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 7}, {"batch": 64}])
def test_the_size_of_a_batch_changes_nothing(scan, pictures, tmp_path, options):
    other = network().scan(pictures[0], LAYERS, out=tmp_path / "s", k=4, maps=LAYERS, features=LAYERS, **options)
    assert other.top_pictures["picture"].tolist() == scan.top_pictures["picture"].tolist()
    assert other.top_pictures["position"].tolist() == scan.top_pictures["position"].tolist()
    np.testing.assert_allclose(other.units["mean"], scan.units["mean"], rtol=1e-6)


def test_crops_are_cut_where_the_maximum_is(scan):
    top = scan.top("conv1", 0)
    sheet = top.sheet()
    assert sheet.image().width >= 360
    assert "conv1 · unit 0" in sheet.caption
    assert top.field.words in sheet.caption
    for box, y, x in zip(top.boxes(), top.rows["y"], top.rows["x"], strict=True):
        assert box[0] <= y < box[2]
        assert box[1] <= x < box[3]
    assert "fires in none" in scan.top("conv1", 3).sheet().caption


def test_pictures_in_which_a_unit_does_not_fire_are_shown_for_none_and_count_for_no_class(tmp_path):
    """What fills the list of a unit that fires in one picture are those of the lowest numbers, all of the first class."""
    dark, bright = (np.full((8, 8, 3), value, np.uint8) for value in (0, 200))
    found = network().scan([(dark, "ant"), (dark, "ant"), (dark, "bee"), (bright, "cat")], "conv1", out=tmp_path / "s", k=3)
    row, top = found.of("conv1").row(0), found.top("conv1", 0)
    assert top.rows["value"].tolist()[1:] == [0, 0]
    assert (row["top_class"], row["top_precision"], row["best_class"]) == ("cat", pytest.approx(1 / 3), "cat")
    assert [crop is None for crop in top.crops()] == [False, True, True]
    assert "It fires in 1 of them." in top.sheet().caption
    assert "It fires in none of them." in found.top("conv1", 0, label="ant").sheet().caption
    dead = found.of("conv1").row(3)
    assert (dead["dead"], dead["top_class"], dead["top_precision"]) == (True, None, None)
    before = network().scan([(dark, "ant"), (bright, "cat")], "conv1", out=tmp_path / "raw", k=2, activated=False)
    assert all(
        crop is not None for crop in before.top("conv1", 3).crops()
    )  # of values before an activation zero is nothing special
    assert before.of("conv1").row(3)["top_class"] is not None


def test_a_crop_is_the_receptive_field_where_that_is_small(scan):
    assert scan.top("conv1", 0).field.words == "what it sees, its receptive field of 3 x 3 pixels"
    assert scan.top("conv1", 0).field.box(4, 0) == (3, 0, 6, 2)
    assert "the middle of what it sees" in scan.top("relu2", 0).field.words


def test_what_a_unit_is_worth_is_what_full_runs_say_and_goes_on_after_a_stop(pictures, tmp_path, monkeypatch):
    folder, entries = pictures
    found = network().scan(folder, LAYERS, out=tmp_path / "s")
    labels = [CLASSES.index(label) for _, label in entries]
    paths = [folder / name for name, _ in entries]
    monkeypatch.setattr("convscope.scan.worth.EVERY", 8)

    def stops(done, _total):
        if done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        found.accuracy_without("conv1", progress=stops)
    steps = []
    worth = found.accuracy_without("conv1", progress=lambda done, _: steps.append(done))
    assert steps == [20]
    assert worth.accuracy == pytest.approx(found.accuracy)
    for unit in range(4):
        answers = network().without({"conv1": [unit]}).predict(paths, top=1)
        right = np.mean([CLASSES.index(row[0][0]) == label for row, label in zip(answers, labels, strict=True)])
        row = worth.table.where(worth.table["unit"] == unit).row(0)
        assert row["drop"] == pytest.approx(worth.accuracy - right)
    assert worth.table["drop"].tolist() == sorted(worth.table["drop"].tolist(), reverse=True)
    with pytest.raises(InputError, match="runs the network again"):
        Scan(tmp_path / "s").accuracy_without("conv1")
    with pytest.raises(InputError, match="another network"):
        Scan(tmp_path / "s", network=network().without({"conv1": [0]}), pictures=folder).accuracy_without("conv1")
    with pytest.raises(InputError, match="other pictures"):
        Scan(tmp_path / "s", network=network(), pictures=folder / "ant").accuracy_without("conv1")


def test_a_scan_is_opened_without_its_network(scan):
    again = Scan(scan.folder)
    same_tables(again, scan)
    assert repr(again) == repr(scan)
    assert "20 pictures" in repr(again)


# Going on


class StopsAt(Counting):
    """Interrupted in the middle, as by Ctrl-C."""

    def run(self, pictures, taps=(), edits=()):
        if self.pictures >= 10:
            raise KeyboardInterrupt
        return super().run(pictures, taps, edits)


def small_shards(monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)


def test_a_scan_that_was_stopped_goes_on_and_has_the_same_numbers(pictures, tmp_path, monkeypatch):
    small_shards(monkeypatch)
    options = {"k": 4, "maps": LAYERS, "features": LAYERS, "batch": 2}
    whole = network().scan(pictures[0], LAYERS, out=tmp_path / "whole", **options)
    with pytest.raises(KeyboardInterrupt):
        network(StopsAt()).scan(pictures[0], LAYERS, out=tmp_path / "s", **options)
    with pytest.raises(StudyError, match="not finished"):
        Scan(tmp_path / "s")
    engine = Counting()
    engine.pictures = 0
    again = network(engine).scan(pictures[0], LAYERS, out=tmp_path / "s", **options)
    same_tables(again, whole)
    assert engine.pictures == 12  # of 20, eight were finished
    assert not (tmp_path / "s" / "shards").exists()


def test_a_finished_scan_is_not_done_again(pictures, tmp_path):
    network().scan(pictures[0], out=tmp_path / "s")
    engine = Counting()
    engine.pictures = 0
    assert network(engine).scan(pictures[0], out=tmp_path / "s").record["complete"]
    assert engine.pictures == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"net": lambda: network(scale=1.0)}, "another preprocessing"),
        ({"net": lambda: network().without({"conv1": [0]})}, "another network"),
        ({"options": {"k": 3}}, "other settings"),
        ({"options": {"at": ["conv1"]}}, "other settings"),
        ({"more": True}, "another list of pictures"),
    ],
    ids=["preprocessing", "network", "k", "layers", "list"],
)
def test_another_scan_into_the_same_folder_is_refused(tmp_path, change, words):
    write_pictures(tmp_path / "p", 4)
    network().scan(tmp_path / "p", out=tmp_path / "s")
    before = (tmp_path / "s" / "units.parquet").read_bytes()
    if change.get("more"):
        Image.new("RGB", (8, 8)).save(tmp_path / "p" / "ant" / "more.png")
    with pytest.raises(OutputError, match=words):
        change.get("net", network)().scan(tmp_path / "p", out=tmp_path / "s", **change.get("options", {}))
    assert (tmp_path / "s" / "units.parquet").read_bytes() == before


def test_a_list_of_one_word_is_that_word(tmp_path):
    """The command line asks for lists and Python for words: each refused the folder of the other."""
    write_pictures(tmp_path / "p", 4)
    network().scan(tmp_path / "p", "convs", out=tmp_path / "s")
    assert network().scan(tmp_path / "p", ["convs"], out=tmp_path / "s").record["complete"]
    assert re.search(r"From \S+p\. \w", (tmp_path / "s" / "index.html").read_text())


def test_a_folder_with_other_files_is_refused(pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="other files"):
        network().scan(pictures[0], out=tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_a_disk_that_fills_up_loses_nothing(pictures, tmp_path, monkeypatch):
    small_shards(monkeypatch)
    whole = network().scan(pictures[0], out=tmp_path / "whole", batch=2)
    keep, soft = stores.Store.keep, resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(self, tree, before):
        if before == 2:  # no file may grow beyond 1 kB from now on, as if there were no room
            resource.setrlimit(resource.RLIMIT_FSIZE, (1024, soft[1]))
        try:
            keep(self, tree, before)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, soft)

    with monkeypatch.context() as patch:
        patch.setattr(stores.Store, "keep", full)
        with pytest.raises(OutputError, match="goes on from there"):
            network().scan(pictures[0], out=tmp_path / "s", batch=2)
    engine = Counting()
    engine.pictures = 0
    same_tables(network(engine).scan(pictures[0], out=tmp_path / "s", batch=2), whole)
    assert engine.pictures == 12
    assert not list((tmp_path / "s").glob("**/.writing-*"))


# Bad input


def test_what_cannot_be_read_is_listed_and_the_rest_is_scanned(tmp_path):
    names = write_pictures(tmp_path / "p", 9)
    sound = network().scan(tmp_path / "p", out=tmp_path / "sound")
    picture = (tmp_path / "p" / names[0][0]).read_bytes()
    (tmp_path / "p" / "bee" / "half.png").write_bytes(picture[: len(picture) // 2])
    (tmp_path / "p" / "bee" / "text.jpg").write_text("hello")
    (tmp_path / "p" / "bee" / "empty.png").write_bytes(b"")
    found = network().scan(tmp_path / "p", out=tmp_path / "s", batch=2)
    assert {row["name"]: row["reason"] != "" for row in found.skipped} == dict.fromkeys(
        ["bee/half.png", "bee/text.jpg", "bee/empty.png"], True
    )
    assert "it is text" in next(row["reason"] for row in found.skipped if row["name"] == "bee/text.jpg")
    np.testing.assert_allclose(found.units["mean"], sound.units["mean"], rtol=1e-6)
    assert found.top("conv1", 0).rows["name"].tolist() == sound.top("conv1", 0).rows["name"].tolist()
    assert "3 skipped" in repr(found)


def test_grey_and_cmyk_pictures_are_pictures(tmp_path):
    for number, mode in enumerate(["L", "CMYK", "RGB", "1", "P"]):
        Image.new("RGB", (9, 11), (10 * number, 99, 3)).convert(mode).save(
            tmp_path / f"{number}.{'jpg' if mode == 'CMYK' else 'png'}"
        )
    assert network().scan(tmp_path, out=tmp_path / "out" / "s").record["scanned"] == 5


def test_pictures_for_which_the_network_gives_nan_are_left_out(pictures, tmp_path):
    class Breaks(FakeEngine):
        def run(self, pictures, taps=(), edits=()):
            run = super().run(pictures, taps, edits)
            values = {tap: run[tap].copy() for tap in run}
            if Tap("relu1", "mean") in values:
                values[Tap("relu1", "mean")][pictures[:, 0, 0, 0] < 0.3] = np.nan
            return Run(values)

    found = network(Breaks()).scan(pictures[0], out=tmp_path / "s", batch=4)
    assert 0 < len(found.skipped) < 20
    assert found.record["scanned"] == 20 - len(found.skipped)
    assert all("not finite, from 'conv1' on" in row["reason"] for row in found.skipped)
    assert np.isfinite(found.units["mean"]).all()


def test_one_class_has_no_selectivity(tmp_path):
    for number in range(3):
        (tmp_path / "p" / "ant").mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (50 * number, 9, 9)).save(tmp_path / "p" / "ant" / f"{number}.png")
    found = network().scan(tmp_path / "p", out=tmp_path / "s")
    assert set(found.units["selectivity"]) == {None}
    assert found.accuracy is not None


def test_classes_that_the_network_does_not_know_have_no_accuracy(tmp_path):
    for label in ("ant", "zebra", "emu", "fox"):  # four, and the network has three
        (tmp_path / "p" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8), (99, len(label), 9)).save(tmp_path / "p" / label / "1.png")
    Image.new("RGB", (8, 8), (99, 3, 9)).save(tmp_path / "p" / "ant" / "twice.png")
    with pytest.warns(ConvscopeWarning, match="does not know 3.*'emu'"):
        found = network().scan(tmp_path / "p", out=tmp_path / "s")
    rights = dict(zip(found.pictures["label"], found.pictures["right"], strict=True))
    assert rights["ant"] in (True, False)
    assert [rights[label] for label in ("emu", "fox", "zebra")] == [None] * 3
    assert found.confusion.shape == (4, 3)
    counted = found.accuracy_without("conv1").dropped
    assert counted.pictures.tolist() == [2 * (name == "ant") for name in CLASSES]  # the others have no right answer
    assert counted.right.sum() == 2 * rights["ant"]
    assert set(counted.without.sum(1).tolist()) <= {0, 2}


def test_a_class_is_known_by_its_name_however_it_is_written(tmp_path):
    for label in ("Cassette_Player", "b"):
        (tmp_path / "p" / label).mkdir(parents=True)
        Image.new("RGB", (8, 8), (99, 9, 9)).save(tmp_path / "p" / label / "1.png")
    net = network()
    net.labels = ("cassette player", "a", "b")
    found = net.scan(tmp_path / "p", out=tmp_path / "s")
    assert found.plan.classes == ("Cassette_Player", "b")
    assert found.plan.right == (0, 2)
    net.labels = ("background", *net.labels)  # as of a network whose graph does not show how many classes it has
    with pytest.raises(InputError, match="4 labels given, but the network has 3 classes"):
        net.scan(tmp_path / "p", out=tmp_path / "t")


def test_a_folder_that_vanishes_in_the_middle_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    small_shards(monkeypatch)
    names = write_pictures(tmp_path / "p", 20)

    class Moves(Counting):
        def run(self, pictures, taps=(), edits=()):
            if self.pictures == 9 and (tmp_path / "p").exists():
                (tmp_path / "p").rename(tmp_path / "gone")
            return super().run(pictures, taps, edits)

    with pytest.raises(InputError, match="is gone.*goes on from there"):
        network(Moves()).scan(tmp_path / "p", out=tmp_path / "s", batch=2)
    (tmp_path / "gone").rename(tmp_path / "p")
    found = network().scan(tmp_path / "p", out=tmp_path / "s", batch=2)
    assert found.pictures["name"].tolist() == [name for name, _ in names]


def test_an_empty_folder_and_one_without_a_sound_picture(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no pictures in"):
        network().scan(tmp_path / "none", out=tmp_path / "s")
    (tmp_path / "none" / "a.png").write_text("x")
    with pytest.raises(InputError, match="None of the 1 pictures can be read"):
        network().scan(tmp_path / "none", out=tmp_path / "s")
    assert not (tmp_path / "s" / "scan.json").exists()


def test_the_same_picture_twice_counts_twice(tmp_path):
    Image.new("RGB", (8, 8), (90, 9, 9)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8), (10, 9, 9)).save(tmp_path / "b.png")
    found = network().scan([tmp_path / "a.png", tmp_path / "a.png", tmp_path / "b.png"], out=tmp_path / "s")
    assert found.top("conv1", 0).rows["picture"].tolist() == [0, 1, 2]
    assert found.top("conv1", 0).rows["value"].tolist()[0] == found.top("conv1", 0).rows["value"].tolist()[1]


def test_pictures_of_several_sizes_need_a_size(tmp_path):
    for number in (8, 9):
        Image.new("RGB", (number, 8)).save(tmp_path / f"{number}.png")
    net = network()
    net.preprocess = type(net.preprocess)()
    with pytest.raises(ConvscopeError, match="one size"):
        net.scan(tmp_path, out=tmp_path / "out" / "s")


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda scan: scan.top("conv9", 0), UnknownLayer, "conv9"),
        (lambda scan: scan.top("conv1", 4), InputError, "0 to 3"),
        (lambda scan: scan.top("conv1", 0, label="dog"), InputError, "no class 'dog'"),
        (lambda scan: scan.units["meen"], WrongOption, "'mean'"),
        (lambda scan: scan.of("relu9"), UnknownLayer, "relu9"),
        (lambda _: network().scan([1], out="x", k=0), InputError, "'k'"),
        (lambda _: network().scan(7, out="x"), InputError, "No collection"),
        (lambda _: network().scan("nowhere", out="x"), InputError, "There is no 'nowhere'"),
    ],
)
def test_what_is_wrong_is_said(scan, call, kind, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=words):
        call(scan)
    assert not list(tmp_path.iterdir())


def test_the_record_says_where_the_numbers_are_from(scan):
    record = json.loads((scan.folder / "scan.json").read_text())
    assert record["network"]["name"] == "fake"
    assert record["preprocess_text"] == network().preprocess.describe()
    assert record["pictures"]["count"] == 20
    assert record["scanned"] == 20
    assert record["plan"]["parts"][0]["read_at"] == "relu1"
