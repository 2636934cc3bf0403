"""Scans of networks of several inputs: what a loop over single runs says, from wherever the pictures are."""

import io
import json
import shutil

import numpy as np
import pytest
from browser import Watched
from PIL import Image
from scans import same_tables
from test_explain_inputs import MAKERS, relu_layer
from test_scan_sources import as_csv, as_zip

import convscope
from convscope.core import Edit
from convscope.errors import InputError
from convscope.scan.plan import fingerprint
from convscope.scan.ray import Errand, Worker
from convscope.scan.several import listing_for

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")
RANDOM = np.random.default_rng(5)
COUNT = 7
ARRAYS = {name: RANDOM.uniform(0, 1, (COUNT, 1, 4, 4)).astype(np.float32) for name in ("input", "input:1")}
LABELS = ["a", "b", "c", "a", "b", "c", "a"]


@pytest.fixture(scope="module", params=list(MAKERS))
def net(request):
    return MAKERS[request.param]()


@pytest.fixture(scope="module")
def onnx():
    return MAKERS["onnx"]()


def single_runs(net, given, layer):
    """(n, c, *spatial) and the outputs, picture by picture."""
    runs = [net.engine.run({name: each[at : at + 1] for name, each in given.items()}, [layer, "output"]) for at in range(COUNT)]
    return [np.concatenate([run[name] for run in runs]) for name in (layer, "output")]


def test_it_counts_what_single_runs_say(net, tmp_path):
    layer = relu_layer(net)
    labelled = {"input": list(zip(ARRAYS["input"], LABELS, strict=True)), "input:1": ARRAYS["input:1"]}
    scan = net.scan(labelled, layer, out=tmp_path / "scan", k=COUNT, batch=3)
    maps, outputs = single_runs(net, ARRAYS, layer)
    flat = maps.reshape(COUNT, 2, -1)
    np.testing.assert_allclose(scan.of(layer)["mean"], flat.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(scan.of(layer)["max"], flat.max((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(scan.class_maps(layer, "b"), maps[1::3].mean(0), rtol=1e-5)
    for unit in range(2):
        top = scan.top(layer, unit).rows
        assert top["picture"].tolist() == np.argsort(-flat[:, unit].max(1), kind="stable").tolist()
        assert top["position"].tolist() == flat[top["picture"], unit].argmax(1).tolist()
    assert scan.pictures["answer"].tolist() == [net.labels[at] for at in outputs.argmax(1)]
    right = outputs.argmax(1) == [net.labels.index(label) for label in LABELS]
    without = []
    for unit in range(2):
        edit = Edit(layer, np.float32([unit != 0, unit != 1])[:, None, None])
        without.append((net.engine.run(ARRAYS, ["output"], [edit])["output"].argmax(1) == [0, 1, 2, 0, 1, 2, 0]).mean())
    table = scan.accuracy_without(layer).table
    assert dict(zip(table["unit"].tolist(), table["drop"].tolist(), strict=True)) == pytest.approx(
        {unit: right.mean() - without[unit] for unit in range(2)}
    )


def test_what_it_speaks_for_is_asked_with_all_inputs(tmp_path):
    torch_net = MAKERS["torch"]()
    scan = torch_net.scan(ARRAYS, "relu", out=tmp_path / "scan", k=COUNT)
    scan.relevance("relu")
    maps, outputs = single_runs(torch_net, ARRAYS, "relu")
    weights = torch_net.engine.weights("classes")["kernel"]
    spoken = maps.mean((2, 3)) * weights[outputs.argmax(1)]
    for unit in range(2):
        found = scan.top("relu", unit, by="relevance").rows
        np.testing.assert_allclose(found["value"], np.sort(spoken[:, unit])[::-1], rtol=1e-4)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of bright and of dark pictures that belong together by their names. Returns (root, entries)."""
    root = tmp_path_factory.mktemp("pairs")
    entries = [(f"{label}/{number}.png", label) for number, label in enumerate(LABELS)]
    for folder, low in (("left", 0), ("right", 128)):
        for name, _ in entries:
            path = root / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(RANDOM.integers(low, low + 100, (4, 4), np.uint8)).save(path)
    return root, sorted(entries)


def pixels(root, folder, entries):
    return [np.asarray(Image.open(root / folder / name))[..., None] for name, _ in entries]


def pairs_csv(root, entries, out):
    rows = [f"left/{name},right/{name},{label}" for name, label in entries]
    (root / out).write_text("\n".join(["input,input:1,label", *rows, "left/a/0.png,,a"]), encoding="utf-8")
    return root / out


def at_an_address(root, entries, kind):
    """The folders and a table, in fsspec's memory; the last picture on the right by an address of its own."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    memory = fsspec.filesystem("memory")
    for folder in ("left", "right"):
        for name, _ in entries:
            memory.pipe_file(f"/pairs/{folder}/{name}", (root / folder / name).read_bytes())
    if kind == "folders":
        return {"input": "memory://pairs/left", "input:1": "memory://pairs/right"}
    text = pairs_csv(root, entries, "far.csv").read_text(encoding="utf-8")
    name = entries[-1][0]
    text = text.replace(f",right/{name},", f",memory://pairs/right/{name},")
    content = text.encode()
    if kind == "parquet":
        pandas = pytest.importorskip("pandas", reason="pandas is not installed")
        content = pandas.read_csv(io.StringIO(text)).to_parquet()
    memory.pipe_file(f"/pairs/far.{kind}", content)
    return f"memory://pairs/far.{kind}"


WAYS = {
    "a table at an address": lambda root, entries: at_an_address(root, entries, "csv"),
    "a Parquet table at an address": lambda root, entries: at_an_address(root, entries, "parquet"),
    "folders at addresses": lambda root, entries: at_an_address(root, entries, "folders"),
    "folders": lambda root, _: {"input": root / "left", "input:1": root / "right"},
    "a zip and a table": lambda root, entries: {
        "input": as_zip(root / "left", entries, root, "left/"),
        "input:1": as_csv(root / "right", entries, root),
    },
    "a column for each": lambda root, entries: pairs_csv(root, entries, "pairs.csv"),
    "lists of paths": lambda root, entries: {
        name: [root / folder / each for each, _ in entries] for name, folder in (("input", "left"), ("input:1", "right"))
    },
    "mappings": lambda root, entries: [
        ({"input": str(root / "left" / name), "input:1": right}, label)
        for (name, label), right in zip(entries, pixels(root, "right", entries), strict=True)
    ],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:1 row of")
def test_it_has_the_same_numbers_from_wherever(onnx, folders, tmp_path, way):
    root, entries = folders
    scan = onnx.scan(WAYS[way](root, entries), "relu", out=tmp_path / "scan", k=3)
    given = {name: np.stack(pixels(root, folder, entries)) for name, folder in (("input", "left"), ("input:1", "right"))}
    arrays = {name: (each.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32) for name, each in given.items()}
    maps = single_runs(onnx, arrays, "relu")[0]
    np.testing.assert_allclose(scan.units["mean"], maps.mean((0, 2, 3)), rtol=1e-5)
    assert not scan.skipped
    if way != "lists of paths":  # which have no labels
        assert scan.pictures["label"].tolist() == [label for _, label in entries]
    again = onnx.scan(WAYS[way](root, entries), "relu", out=tmp_path / "scan", k=3)  # the same list: it is finished
    same_tables(scan, again)


def test_an_iterable_of_mappings_comes_once(onnx, tmp_path):
    mappings = ({name: each[number] for name, each in ARRAYS.items()} for number in range(COUNT))
    scan = onnx.scan(mappings, "relu", out=tmp_path / "scan")
    np.testing.assert_allclose(scan.units["mean"], single_runs(onnx, ARRAYS, "relu")[0].mean((0, 2, 3)), rtol=1e-5)


def test_crops_are_of_an_input_that_the_layer_follows_from(onnx, folders, tmp_path):
    root, entries = folders
    scan = onnx.scan(WAYS["folders"](root, entries), ["colour", "depth", "relu"], out=tmp_path / "scan", activated=False)
    for layer, folder, of in (("colour", "left", ""), ("depth", "right", "input:1"), ("relu", "left", "")):
        rows, crops = scan.top(layer, 1).rows, scan.top(layer, 1).crops()
        assert scan.field(layer).of == of
        for name, y, x, crop in zip(rows["name"], rows["y"], rows["x"], crops, strict=True):
            drawn = np.asarray(Image.open(root / folder / name), float)[y, x]
            assert crop.shape == (1, 1, 3)
            assert abs(crop.mean() - drawn) < 40  # a WebP keeps it so far; the other folder's pixels are 100 away in the mean
    assert "of 'input:1'" in scan.top("depth", 1).sheet().subtitle
    page = json.loads((tmp_path / "scan" / "page" / "layer1.js").read_text().split(", ", 1)[1].rstrip(");\n"))
    assert page["field"]["of"] == "input:1"


def test_in_a_browser_each_layer_is_shown_in_the_pictures_of_the_input_that_it_follows_from(chromium, onnx, folders, tmp_path):
    """Those on the left have values below 100, those on the right of 128 and more: photographs of tiles and crops tell them."""
    root, entries = folders
    scan = onnx.scan(WAYS["folders"](root, entries), ["colour", "depth"], out=tmp_path / "scan", activated=False)
    with chromium.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as context:
        watched = Watched(context)
        page = watched.page
        for number, layer in enumerate(scan.layers):
            page.goto(f"file://{scan.folder}/index.html#layer={number}&unit=1")
            page.reload()
            page.wait_for_function(f"document.querySelector('#unit h3')?.textContent === '{layer} · unit 1'")
            page.wait_for_function("[...document.querySelectorAll('.crops figcaption')].every((each) => each.textContent)")
            page.wait_for_load_state("networkidle")
            for crop in (page.locator(".crops canvas").first, page.locator(".tile canvas").first):
                middle = np.asarray(Image.open(io.BytesIO(crop.screenshot())).convert("L"), int)
                seen = middle[middle.shape[0] // 6, middle.shape[1] // 6]  # of nine crops the first
                assert seen < 115 if layer == "colour" else 115 < seen < 245, (layer, seen)
        fetched = [url for url in watched.requests if "thumbnails" in url]
        assert {"input-1" in url for url in fetched} == {True, False}
        watched.assert_calm()


def test_arrays_beside_pictures_and_signals_alone(tmp_path):
    torch = pytest.importorskip("torch")
    from zoo_torch import PICTURES, ZOO

    net = convscope.open(ZOO["several_inputs"](), picture_shape=PICTURES["several_inputs"], preprocess="0..1")
    given = {name: RANDOM.normal(size=(COUNT, *shape)).astype(np.float32) for name, shape in (
        ("input", (3, 8, 8)), ("input:1", (1, 8, 8)), ("input:2", (4,)))}  # fmt: skip
    layer = net.layers.convolutions[0].name
    scan = net.scan(given, layer, out=tmp_path / "three", activated=False)
    np.testing.assert_allclose(scan.units["max"], single_runs(net, given, layer)[0].max((0, 2, 3)), rtol=1e-5)
    net = convscope.open(ZOO["whole_number_input"](), picture_shape=PICTURES["whole_number_input"], preprocess="0..1")
    given = {"input": given["input"], "input:1": np.arange(COUNT) % 3}
    scan = net.scan(given, "convs", out=tmp_path / "whole", activated=False)
    layer = scan.layers[-1]
    np.testing.assert_allclose(scan.of(layer)["max"], single_runs(net, given, layer)[0].max((0, 2, 3)), rtol=1e-5)
    module = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.ReLU())
    net = convscope.open(module.eval(), picture_shape=(2, 16))
    signals = {"input": RANDOM.normal(size=(COUNT, 2, 16)).astype(np.float32)}
    scan = net.scan(signals["input"], "0", out=tmp_path / "signals")
    np.testing.assert_allclose(scan.units["max"], single_runs(net, signals, "1")[0].max((0, 2)), rtol=1e-5)


def test_a_worker_finds_the_same_pictures(onnx):
    found = listing_for(ARRAYS, onnx.graph)
    assert found.digest != listing_for({**ARRAYS, "input:1": ARRAYS["input:1"][::-1]}, onnx.graph).digest
    errand = Errand(lambda: onnx, ARRAYS, onnx.preprocess, None, fingerprint(onnx.engine), found.digest, 0)
    assert Worker(errand).listing.count == COUNT


def test_a_layer_that_is_called_as_the_file_calls_its_classes_has_mean_maps(onnx, tmp_path):
    labelled = {"input": list(zip(ARRAYS["input"], LABELS, strict=True)), "input:1": ARRAYS["input:1"]}
    scan = onnx.scan(labelled, "classes", maps="classes", out=tmp_path / "scan")
    with np.load(scan.folder / "class_maps.npz", allow_pickle=False) as arrays:
        assert arrays["classes"].tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(arrays["classes#1"][1], scan.class_maps("classes", "b"))


BAD = {
    "one array": (lambda *_: ARRAYS["input"], "takes 'input', 'input:1', but received ndarray"),
    "one folder": (lambda root, _: root / "left", "takes 'input', 'input:1', but received"),
    "one input": (lambda root, _: {"input": root / "left"}, "but received 'input'"),
    "fewer": (lambda *_: {**ARRAYS, "input:1": ARRAYS["input:1"][1:]}, "7 pictures, but 6 entries for 'input:1'"),
    "an iterable": (lambda *_: {**ARRAYS, "input:1": iter(ARRAYS["input:1"])}, "'input:1' comes only once"),
    "other names": (lambda root, _: {"input": root / "left", "input:1": other(root)}, "'c/5' would go with 'c/55' of 'input:1'"),
    "a column is missing": (
        lambda root, entries: as_csv(root / "left", entries, root), "none called 'input'",
    ),
    "a list of paths": (lambda root, entries: [root / "left" / name for name, _ in entries], "but received list"),
}  # fmt: skip


def other(root):
    """The folder on the right, with another name for its last picture."""
    folder = root / "other"
    shutil.copytree(root / "right", folder)
    (folder / "c" / "5.png").rename(folder / "c" / "55.png")
    return folder


@pytest.mark.parametrize("case", BAD)
def test_what_does_not_belong_together_is_refused(onnx, folders, tmp_path, case):
    make, words = BAD[case]
    with pytest.raises(InputError, match=words):
        onnx.scan(make(*folders), "relu", out=tmp_path / "scan")


def test_a_pair_of_which_one_is_gone_is_skipped(onnx, folders, tmp_path):
    root, entries = folders
    given = {"input": root / "left", "input:1": [*(root / "right" / name for name, _ in entries[:-1]), root / "gone.png"]}
    scan = onnx.scan(given, "relu", out=tmp_path / "scan")
    assert [each["name"] for each in scan.skipped] == [entries[-1][0]]
    assert scan.record["scanned"] == COUNT - 1
