"""What a scan says of classes and answers: top lists per class, mean Grad-CAM, lists by relevance; each against the long way."""

import numpy as np
import pytest
from scans import CLASSES, LAYERS, Counting, long_way, network, same_tables, write_pictures

from convscope.core import Tap
from convscope.errors import InputError, Unsupported, WrongOption
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


@pytest.fixture
def own(pictures, tmp_path):
    """A scan that a test may add to."""
    return network().scan(pictures[0], LAYERS, out=tmp_path / "s", k=4, batch=3)


class NoGradients:
    """The fake network as an engine that only runs, as an ONNX file does."""

    def __init__(self, engine):
        self._engine, self.graph, self.framework, self.weights = engine, engine.graph, engine.framework, engine.weights

    def run(self, pictures, taps=(), edits=()):
        return self._engine.run(pictures, taps, edits)


# Top lists per class


def test_the_top_of_a_class_is_that_of_its_own_pictures_not_of_the_list_over_all(scan, pictures):
    folder, entries = pictures
    maps = long_way(network(), folder, [name for name, _ in entries], ["relu1"])["relu1"]
    peaks, means = maps.max((2, 3)), maps.mean((2, 3))
    for label in CLASSES:
        own = [number for number, (_, each) in enumerate(entries) if each == label]
        for unit in range(3):
            order = sorted(own, key=lambda number: (-peaks[number, unit], -means[number, unit], number))[:4]
            rows = scan.top("conv1", unit, label=label).rows
            assert rows["picture"].tolist() == order
            assert set(rows["label"]) == {label}
            assert rows["name"].tolist() == [entries[number][0] for number in order]
            np.testing.assert_allclose(rows["value"], peaks[order, unit], rtol=1e-6)
            places = [divmod(int(maps[number, unit].argmax()), 8) for number in order]
            assert list(zip(rows["y"].tolist(), rows["x"].tolist(), strict=True)) == places
    top = scan.top("conv1", 0, label="bee", k=2)
    assert top.rows.rows == 2
    assert "2 pictures of bee that drive it most" in top.sheet().title
    assert all(crop is not None for crop in top.crops())  # each has its thumbnail


def test_lists_per_class_are_the_same_after_a_stop(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)

    class Stops(Counting):
        def run(self, pictures, taps=(), edits=()):
            if self.pictures >= 10:
                raise KeyboardInterrupt
            return super().run(pictures, taps, edits)

    whole = network().scan(pictures[0], LAYERS, out=tmp_path / "whole", k=4, batch=2)
    with pytest.raises(KeyboardInterrupt):
        network(Stops()).scan(pictures[0], LAYERS, out=tmp_path / "s", k=4, batch=2)
    same_tables(network().scan(pictures[0], LAYERS, out=tmp_path / "s", k=4, batch=2), whole)


def test_where_lists_per_class_are_too_much_it_is_said(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.PER_CLASS", 100)
    found = network().scan(pictures[0], ["conv1"], out=tmp_path / "s")
    assert found.statistics.by_class == {}
    with pytest.raises(InputError, match="kept no top lists per class: for 3 classes and 4 units.*Scan fewer layers"):
        found.top("conv1", 0, label="bee")
    assert found.top("conv1", 0).rows.rows == 9


# Mean Grad-CAM


def test_the_mean_grad_cam_of_a_class_is_the_mean_of_what_explain_says(own, pictures):
    folder, entries = pictures
    found = own.class_cams("conv1")
    assert found.labels == CLASSES
    for place, label in enumerate(CLASSES):
        paths = [folder / name for name, each in entries if each == label]
        read_at = own.part("conv1").read_at
        whole = network().explain(paths, "grad-cam", target=label, at=read_at)
        maps = whole.attributions[read_at].values
        assert found.counts[place] == len(paths)
        np.testing.assert_allclose(found.values[place], maps.mean(0), rtol=1e-5, atol=1e-7)
    alone = own.class_cams("conv1", "bee")
    np.testing.assert_array_equal(alone.values[0], found.values[1])
    sheet = found.sheet()
    assert "the score" in sheet.subtitle or "output" in sheet.subtitle
    assert sheet.labels[1] == "bee (7)"
    assert sheet.scale == "shared"


def test_what_gradients_said_is_kept_and_goes_on_after_a_stop(own, monkeypatch):
    monkeypatch.setattr("convscope.scan.looking_again.EVERY", 2)
    whole = own.class_cams("conv1", "ant").values
    for each in (own.folder / "grad_cam").iterdir():
        each.unlink()

    def stops(done, _total):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        own.class_cams("conv1", "ant", progress=stops)
    with pytest.raises(InputError, match="runs the network again"):
        Scan(own.folder).class_cams("conv1", "ant")  # half a class is not shown as if it were one
    steps = []
    found = own.class_cams("conv1", "ant", progress=lambda done, _: steps.append(done))
    assert steps == [6, 7]
    np.testing.assert_array_equal(found.values, whole)
    np.testing.assert_array_equal(Scan(own.folder).class_cams("conv1", "ant").values, whole)


def test_some_pictures_of_a_class_are_not_taken_for_all(own):
    some, every = own.class_cams("conv1", "cat", first=3), own.class_cams("conv1", "cat")
    assert (some.counts, every.counts) == ((3,), (6,))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda scan: scan.class_cams("conv1", "dog"), "no class 'dog'"),
        (lambda scan: scan.class_cams("classes", "bee"), "no maps"),
        (lambda scan: scan.top("conv1", 0, by="relevance", label="bee"), "Leave out the class"),
    ],
)
def test_what_cannot_be_is_said(pictures, tmp_path, call, words):
    found = network().scan(pictures[0], ["conv1", "classes"], out=tmp_path / "s")
    with pytest.raises(InputError, match=words):
        call(found)
    with pytest.raises(WrongOption, match="relevance"):
        found.top("conv1", 0, by="relevants")


def test_without_gradients_the_door_is_named(own, pictures):
    net = network()
    net.engine = NoGradients(net.engine)
    with pytest.raises(Unsupported, match="via='torch'"):
        Scan(own.folder, network=net, pictures=pictures[0]).class_cams("conv1", "bee")


# Lists by relevance


def products(net, folder, entries, layer):
    """(n, units, positions) gradient x activation for the answer, picture by picture, from a trace."""
    from convscope.pictures import prepare

    found = []
    for name, _ in entries:
        trace = net.engine.trace(prepare(folder / name, net.preprocess).values, [Tap(layer)])
        seeds = np.zeros_like(trace["output"])
        seeds[0, trace["output"][0].argmax()] = 1
        found.append((trace[layer] * trace.pullback({"output": seeds}, [layer])[layer])[0])
    return np.stack(found).reshape(len(entries), 4, -1)


def test_relevance_is_gradient_x_activation_of_the_answer(own, pictures):
    each = products(network(), *pictures, own.part("conv1").read_at)
    assert own.relevance("conv1") == "gradient x activation of the network's output"
    for unit in range(3):
        order = sorted(range(20), key=lambda number: (-each[number, unit].sum(), number))[:4]
        top = own.top("conv1", unit, by="relevance")
        assert top.rows["picture"].tolist() == order
        assert "mean" not in top.rows
        np.testing.assert_allclose(top.rows["value"], [each[number, unit].sum() for number in order], rtol=1e-5)
        assert top.rows["position"].tolist() == [int(each[number, unit].argmax()) for number in order]
        assert "in which it speaks most for the answer" in top.sheet().caption
    assert (
        Scan(own.folder).top("conv1", 1, by="relevance").rows["picture"].tolist()
        == own.top("conv1", 1, by="relevance").rows["picture"].tolist()
    )
    assert (
        "4 pictures in which it speaks most for the answer, of 5 pictures evenly spread"
        in own.top("conv1", 1, by="relevance", first=5).sheet().title
    )


def test_without_gradients_relevance_is_what_is_lost_without_the_unit(own, pictures):
    folder, entries = pictures
    net = network()
    net.engine = NoGradients(net.engine)
    found = Scan(own.folder, network=net, pictures=folder)
    assert found.relevance("conv1").startswith("the drop when the unit is switched off of")
    rows = found.top("conv1", 1, by="relevance").rows
    whole = long_way(network(), folder, [name for name, _ in entries], ["relu1"])
    without = long_way(network().without({"relu1": [1]}), folder, [name for name, _ in entries], ["relu1"])["output"]
    answers = whole["output"].argmax(1)
    drops = (whole["output"] - without)[np.arange(20), answers]
    assert rows["picture"].tolist() == sorted(range(20), key=lambda number: (-round(drops[number], 6), number))[:4]
    np.testing.assert_allclose(rows["value"], drops[rows["picture"].astype(int)], rtol=1e-4)


def test_mean_maps_are_in_a_file_that_anybody_reads(scan):
    with np.load(scan.folder / "class_maps.npz", allow_pickle=False) as arrays:
        assert arrays["classes"].tolist() == list(CLASSES)
        assert arrays["counts"].tolist() == [7, 7, 6]
        np.testing.assert_array_equal(arrays["relu2"][1], scan.class_maps("relu2", "bee"))


def test_mean_maps_of_a_class_are_a_sheet(scan):
    sheet = scan.class_sheet("conv1", "bee", first=3)
    above = scan.class_maps("conv1", "bee").mean((1, 2)) - scan.class_maps("conv1").mean((1, 2))
    assert [int(label) for label in sheet.labels] == np.argsort(-above, kind="stable")[:3].tolist()
    np.testing.assert_array_equal(sheet.tiles, scan.class_maps("conv1", "bee")[[int(label) for label in sheet.labels]])
    assert "7 pictures of bee" in sheet.caption
