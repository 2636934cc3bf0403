"""Names of classes: from a list, a text file, and the folders of the pictures that a network was trained on."""

import zipfile

import pytest

import convscope
from convscope.errors import InputError
from convscope.labels import read_labels
from convscope.methods.asked import check_labels


def test_a_list_is_taken_as_it_is():
    assert read_labels(["b", "a"]) == ["b", "a"]


def test_lines_keep_their_order(tmp_path):
    (tmp_path / "labels.txt").write_text("tench\n cat \n\ndog\n", encoding="utf-8-sig")  # with the mark that Windows sets
    assert read_labels(tmp_path / "labels.txt") == ["tench", "cat", "dog"]


def test_folders_are_sorted_as_those_who_train_number_them(tmp_path):
    for name in ("tench", "cat", ".cache"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
    (tmp_path / "pictures" / "readme.txt").write_text("no class")
    assert read_labels(tmp_path / "pictures") == ["cat", "tench"]


@pytest.mark.parametrize("outer", ["", "train/"])
def test_folders_in_a_zip_file(outer, tmp_path):
    with zipfile.ZipFile(tmp_path / "train.zip", "w") as archive:
        for name in ("tench/0.jpg", "cat/0.jpg", "cat/1.jpg"):
            archive.writestr(outer + name, b"")
        archive.writestr("__MACOSX/cat/._0.jpg", b"")
    assert read_labels(str(tmp_path / "train.zip")) == ["cat", "tench"]


def test_there_have_to_be_some(tmp_path):
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for path, says in ((tmp_path, "no labels"), (tmp_path / "binary.txt", "Cannot read"), (tmp_path / "none", "Cannot read")):
        with pytest.raises(InputError, match=says):
            read_labels(path)


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ({"cat": 1, "dog": 0}, "in the order of the network's outputs"),  # its order is not that of its numbers
        ({"cat"}, "in the order of the network's outputs"),  # tests are called by it: two have no order
        (b"cd", "a list of names"),
        (7, "a list of names"),
        (["cat", None], "label of class 1 is None"),
        (["cat", " "], "label of class 1 is ' '"),
    ],
    ids=str,
)
def test_what_has_no_order_or_names_nothing_is_refused(labels, says):
    with pytest.raises(InputError, match=says):
        read_labels(labels)


def test_the_parts_of_a_data_set_are_no_classes(tmp_path):
    for name in ("train/cat", "val/cat"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(InputError, match="parts of a data set, 'train', 'val', and no classes"):
        read_labels(tmp_path)
    assert read_labels(tmp_path / "train") == ["cat"]


def test_there_is_one_per_class():
    check_labels(["cat", "dog"], 2)
    check_labels(["cat", "dog"], None)
    with pytest.raises(InputError, match="2 labels.*3 classes"):
        check_labels(["cat", "dog"], 3)


def test_they_name_the_answers(tmp_path):
    pytest.importorskip("skimage")
    names = [f"kind {number}" for number in range(11)]
    (tmp_path / "labels.txt").write_text("\n".join(names), encoding="utf-8")
    net = convscope.open("demo", labels=tmp_path / "labels.txt")
    (answers,) = net.predict(convscope.demo.picture(), top=1)
    assert answers[0][0] == "kind 1"
