"""The pictures of a scan, from everything that they may be in: the same list, the same labels, the same pixels."""

import csv
import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image
from scans import CLASSES, network, write_pictures

from convscope.errors import ConvscopeError, ConvscopeWarning, InputError
from convscope.pictures.sources import Source
from convscope.scan.entries import of_entries
from convscope.scan.folders import labelled
from convscope.scan.sources import listing


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return folder, write_pictures(folder, 7)


class Features(dict):
    pass


class Names:
    names = list(CLASSES)


class DataSet:
    """As much of a Hugging Face data set as is asked for."""

    features = Features(image=None, label=Names())

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        return self.rows[number]


def as_zip(folder, entries, out, inside=""):
    path = out / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, _ in entries:
            archive.write(folder / name, f"{inside}{name}")
        archive.writestr(f"{inside}__MACOSX/ant/x.png", b"")
        archive.writestr(f"{inside}ant/.hidden.png", b"")
    return path


def as_tar(folder, entries, out, mode="w"):
    path = out / ("pictures.tar.gz" if mode == "w:gz" else "pictures.tar")
    with tarfile.open(path, mode) as archive:
        for name, _ in entries:
            archive.add(folder / name, f"./{name}")
    return path


def as_csv(folder, entries, out):
    path = out / "pictures.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *((folder / name, label) for name, label in entries)])
    return path


def as_parquet(folder, entries, out):
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    import pyarrow.parquet

    path = out / "pictures.parquet"
    columns = {"file": [str(folder / name) for name, _ in entries], "class": [label for _, label in entries]}
    pyarrow.parquet.write_table(arrow.table(columns), path)
    return path


def pixels(folder, name):
    return np.asarray(Image.open(folder / name))


WAYS = {
    "a folder": lambda folder, *_: folder,
    "a zip": as_zip,
    "a zip with a folder around": lambda folder, entries, out: as_zip(folder, entries, out, "val/"),
    "a tar": as_tar,
    "a tar.gz": lambda folder, entries, out: as_tar(folder, entries, out, "w:gz"),
    "a CSV": as_csv,
    "a Parquet file": as_parquet,
    "a list of pairs": lambda folder, entries, _: [(folder / name, label) for name, label in entries],
    "a list of arrays": lambda folder, entries, _: [(pixels(folder, name), label) for name, label in entries],
    "PIL images": lambda folder, entries, _: [(Image.open(folder / name), label) for name, label in entries],
    "a data set": lambda folder, entries, _: DataSet(
        [{"image": Image.open(folder / name), "label": CLASSES.index(label)} for name, label in entries]
    ),
    "a generator": lambda folder, entries, _: ((pixels(folder, name), CLASSES.index(label)) for name, label in entries),
}


@pytest.mark.parametrize("way", WAYS)
def test_from_wherever_the_pictures_are_the_same(folder, tmp_path, way):
    root, entries = folder
    found = listing(WAYS[way](root, entries, tmp_path))
    items = list(found.items(0))
    assert [item.number for item in items] == list(range(len(entries)))
    assert [item.label for item in items] == [CLASSES.index(label) for _, label in entries]
    assert found.classes == (() if way == "a generator" else CLASSES)
    assert found.count == (None if way == "a generator" else len(entries))
    for item, (name, _) in zip(items, entries, strict=True):
        np.testing.assert_array_equal(item.read().read().pixels, pixels(root, name))
    if found.item is not None:
        again = found.item(3)
        assert (again.number, again.name, again.label) == (items[3].number, items[3].name, items[3].label)
        assert [item.number for item in found.items(5)] == [5, 6]


@pytest.mark.parametrize("way", ["a zip", "a tar", "a CSV", "a data set", "a generator"])
def test_a_scan_has_the_same_numbers_from_wherever(folder, tmp_path, way):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    root, entries = folder
    plain = network().scan(root, out=tmp_path / "plain")
    other = network().scan(WAYS[way](root, entries, tmp_path), out=tmp_path / "other")
    for column in plain.units:
        assert plain.units[column].tolist() == other.units[column].tolist(), column
    assert plain.top_pictures["picture"].tolist() == other.top_pictures["picture"].tolist()
    assert plain.accuracy == other.accuracy


def test_float_arrays_pass_as_they_are():
    values = np.random.default_rng(0).random((3, 3, 8, 8)).astype(np.float32)
    found = listing(values)
    np.testing.assert_array_equal(found.item(1).read().raw.values, values[1])
    assert [item.label for item in found.items(0)] == [-1, -1, -1]


def test_pictures_beside_class_folders_have_no_label_and_other_files_are_named(tmp_path):
    write_pictures(tmp_path, 3)
    Image.new("RGB", (8, 8)).save(tmp_path / "loose.png")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.warns(ConvscopeWarning, match="1 file left out.*notes.txt"):
        found = listing(tmp_path)
    assert {item.name: item.label for item in found.items(0)}["loose.png"] == -1


def test_links_back_to_a_folder_that_they_lie_in_end_nowhere(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    (tmp_path / "a" / "b").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "b" / "2.png")
    for name, target in (("up", tmp_path), ("here", tmp_path / "a"), ("beside", tmp_path / "a" / "b")):
        (tmp_path / "a" / name).symlink_to(target)  # of which the last one is no loop
    assert [item.name for item in listing(tmp_path).items(0)] == ["1.png", "a/b/2.png", "a/beside/2.png"]


def test_a_list_of_other_pictures_has_another_digest(folder, tmp_path):
    root, entries = folder
    array = np.zeros((8, 8, 3), np.uint8)
    assert listing([array]).digest != listing([array + np.uint8(1)]).digest
    assert listing([(array, 0)]).digest != listing([(array, 1)]).digest
    assert listing(as_zip(root, entries, tmp_path)).digest == listing(as_zip(root, entries, tmp_path)).digest
    assert listing(as_zip(root, entries, tmp_path)).digest != listing(as_zip(root, entries[1:], tmp_path)).digest


def test_pictures_at_an_address_are_read_through_fsspec(folder):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    root, entries = folder
    memory = fsspec.filesystem("memory")
    for name, _ in entries:
        memory.pipe_file(f"/bucket/pictures/{name}", (root / name).read_bytes())
    found = listing("memory://bucket/pictures")
    assert [(item.name, item.label) for item in found.items(0)] == [(name, CLASSES.index(label)) for name, label in entries]
    np.testing.assert_array_equal(found.item(2).read().read().pixels, pixels(root, entries[2][0]))
    with pytest.raises(InputError, match="no pictures in 'memory://bucket/none'|Cannot list"):
        listing("memory://bucket/none")
    with pytest.raises(InputError, match="Cannot open 'nosuch://x'"):
        listing("nosuch://x")


def test_a_hundred_thousand_files_are_listed(tmp_path):
    names = [(f"{number}.png", "1") for number in range(100_000)]  # what a look into the folder gives; to make them takes longer
    entries = labelled(names)
    found = of_entries("folder", entries, tmp_path, lambda each: Source(each.name, b""))
    assert found.count == 100_000
    assert found.item(99_999).name == "99999.png"


def test_a_csv_without_labels_and_with_a_picture_that_is_gone(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("image\na.png\nb.png\n")
    found = listing(tmp_path / "t.csv")
    assert (found.classes, found.count) == ((), 2)
    assert found.item(0).read().read().pixels.shape == (8, 8, 3)
    with pytest.raises(ConvscopeError, match="no such file"):
        found.item(1).read().read()


BAD = {
    "a CSV without paths": ("t.csv", b"name,label\na,b\n", "none of them is one of path"),
    "a CSV that is no text": ("t.csv", b"\xff\xfe\x00\x01", "Cannot read"),
    "a damaged zip": ("t.zip", b"PK\x05\x06" + b"\0" * 17, "no collection of pictures|Cannot read"),
    "a picture": ("a.png", b"\x89PNG", "no collection of pictures"),
    "an empty zip": ("t.zip", b"PK\x05\x06" + b"\0" * 18, "no pictures in"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_collection_is_refused(tmp_path, case):
    name, content, words = BAD[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        listing(tmp_path / name)


def test_an_archive_with_a_damaged_picture_names_it(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "PNG")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a/1.png", content.getvalue()[:-20])
    with pytest.raises(ConvscopeError, match="a/1.png.*truncated or damaged"):
        listing(tmp_path / "t.zip").item(0).read().read()
