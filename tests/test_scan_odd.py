"""Scans of what is odd: names that are no text, labels that are numbers, tables with holes, two at once, a stop at any step."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scans import CLASSES, Counting, network, same_tables, write_pictures

from convscope.errors import ConvscopeWarning, InputError, OutputError
from convscope.scan import store as stores
from convscope.scan.plan import right_outputs
from convscope.scan.result import Scan
from convscope.scan.sources import listing

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install 'convscope[scan]'")


def grey(path, value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (value, 9, 9)).save(path)


# Names


def test_names_that_are_no_text_and_labels_of_any_letters_are_written_as_they_are(tmp_path):
    odd = os.fsdecode(b"caf\xe9")  # a folder from a disk of another encoding
    labels = ['a,b\n"c"', "</script>", "猫", "ÅŸ", odd]
    for number, label in enumerate(labels[:1] + labels[2:] + [labels[1].replace("/", "∕")]):
        grey(tmp_path / "p" / label / f"{number} \u2028.png", 40 * number)
    (tmp_path / "p" / odd / "half.png").write_bytes(b"x")
    with pytest.warns(ConvscopeWarning, match="does not know 5"):
        found = network().scan(tmp_path / "p", out=tmp_path / "s")
    assert found.record["scanned"] == 5
    assert "caf\\udce9" in found.plan.classes
    assert set(found.pictures["label"]) == set(found.plan.classes)
    assert [row["name"] for row in found.skipped] == ["caf\\udce9/half.png"]
    assert found.top("conv1", 0, label="caf\\udce9").rows.rows == 1
    assert Scan(tmp_path / "s").top("conv1", 0).sheet().image().width > 0


def test_the_same_name_in_several_folders_is_several_pictures(tmp_path):
    for label, value in (("ant", 10), ("bee", 250)):
        grey(tmp_path / "p" / label / "1.png", value)
    found = network().scan(tmp_path / "p", out=tmp_path / "s")
    rows = found.top("conv1", 0).rows
    assert rows["name"].tolist() == ["bee/1.png", "ant/1.png"]
    assert rows["value"].tolist() == pytest.approx([250 / 255, 10 / 255], abs=2 / 255) or rows["value"][0] > rows["value"][1]
    crops = found.top("conv1", 0).crops()
    assert crops[0].mean() > crops[1].mean()  # each has the thumbnail of its own


# Labels


def test_labels_that_are_numbers_are_the_outputs_of_these_numbers():
    eleven = [str(number) for number in range(11)]
    found = listing([(np.zeros((8, 8, 3), np.uint8), number) for number in range(11)])
    assert found.classes == tuple(eleven)  # 10 after 9, not after 1
    assert right_outputs(found.classes, None, 11) == tuple(range(11))
    assert right_outputs(["3", "7"], None, 10) == (3, 7)  # two of ten
    assert right_outputs(["3", "7"], ["a", "b", "c", "d"], 4) == (3, -1)
    assert right_outputs([str(number) for number in range(1, 11)], None, 10) == tuple(range(10))  # counted from 1
    assert right_outputs(["ant", "bee"], None, 3) == (-1, -1)


def test_a_name_that_two_outputs_have_is_neither():
    known = ["crane", "tench, Tinca tinca", "crane"]
    assert right_outputs(["crane", "tench", "Tinca_tinca"], known, 3) == (-1, 1, 1)


def test_a_label_beyond_the_classes_of_an_iterable_is_said(tmp_path):
    pictures = (np.zeros((8, 8, 3), np.uint8) for _ in range(3))
    with pytest.raises(InputError, match="picture 1.*label 7.*0 to 2"):
        network().scan(((each, label) for each, label in zip(pictures, (0, 7, 1), strict=True)), out=tmp_path / "s")


def test_pictures_without_labels_keep_nothing_per_class(tmp_path):
    for number in range(3):
        grey(tmp_path / "p" / f"{number}.png", 60 * number)
    found = network().scan(tmp_path / "p", out=tmp_path / "s")
    assert found.plan.classes == ()
    assert found.statistics.by_class == {}
    assert found.accuracy is None
    assert set(found.units["best_class"]) == {None}
    assert found.class_maps("conv2").shape == (4, 4, 4)
    assert found.pictures["answer"].tolist()[0] in CLASSES
    with pytest.raises(InputError, match="no class 'ant'. It has: none"):
        found.top("conv1", 0, label="ant")


def test_folders_of_a_split_are_not_taken_for_classes(tmp_path):
    for split in ("train", "val"):
        grey(tmp_path / split / "ant" / "1.png")
    with pytest.warns(ConvscopeWarning, match="'train', 'val'.*one of them"):
        listing(tmp_path)


# Tables


TABLES = {
    "more cells than the header has": ("path,label\na.png,ant,x\nb.png,bee\n", ["ant", "bee"]),
    "cells without a name": ("path\na.png,ant\nb.png\n", [None, None]),
    "fewer cells": ("path,label\na.png\nb.png,bee\n", [None, "bee"]),
    "an empty label": ("label,path\n,a.png\nbee,b.png\n", [None, "bee"]),
    "blanks around names": (" Path , Label \na.png,ant\nb.png,bee\n", ["ant", "bee"]),
    "quotes and line ends of another system": ('path,label\r\n"a.png","an,t"\r\nb.png,bee\r\n', ["an,t", "bee"]),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_with_holes(tmp_path, case):
    text, labels = TABLES[case]
    grey(tmp_path / "a.png")
    grey(tmp_path / "b.png")
    (tmp_path / "t.csv").write_text(text, newline="")
    found = listing(tmp_path / "t.csv")
    assert [None if item.label < 0 else found.classes[item.label] for item in found.items(0)] == labels


def test_rows_without_a_path_are_counted(tmp_path):
    grey(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("path,label\na.png,ant\n,bee\n")
    with pytest.warns(ConvscopeWarning, match="1 row.*no path"):
        assert listing(tmp_path / "t.csv").count == 1


def test_a_table_from_pandas_with_labels_that_are_missing(tmp_path):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    for name in "abc":
        grey(tmp_path / f"{name}.png")
    names = ["a.png", "b.png", "c.png"]
    pandas.DataFrame({"path": names, "label": [1.0, None, 0.0]}).to_parquet(tmp_path / "t.parquet")
    found = listing(tmp_path / "t.parquet")
    assert found.classes == ("0", "1")  # numbers that became floating-point ones for the sake of one that is missing
    assert [item.label for item in found.items(0)] == [1, -1, 0]


def test_a_data_set_with_a_picture_that_cannot_be_read(tmp_path):
    from test_scan_sources import DataSet

    class Breaks(DataSet):
        def __getitem__(self, number):
            if number == 1:
                raise OSError("image file is truncated")
            return super().__getitem__(number)

    rows = [{"image": Image.new("RGB", (8, 8)), "label": number} for number in range(3)]
    found = network().scan(Breaks(rows), out=tmp_path / "s")
    assert found.record["scanned"] == 2
    assert [(row["name"], "truncated" in row["reason"]) for row in found.skipped] == [("row 1", True)]


# Places with an address


def test_a_table_at_an_address_names_pictures_beside_it(tmp_path):
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    folder = tmp_path / "p"
    entries = write_pictures(folder, 5)
    memory = fsspec.filesystem("memory")
    for name, _ in entries:
        memory.pipe_file(f"/lists/p/{name}", (folder / name).read_bytes())
    text = "path,label\n" + "".join(f"p/{name},{label}\n" for name, label in entries[:-1])
    text += f"memory://lists/p/{entries[-1][0]},{entries[-1][1]}\n"  # also with an address of its own
    memory.pipe_file("/lists/list.csv", text.encode())
    found, plain = (
        network().scan(each, out=tmp_path / f"s{number}") for number, each in enumerate(("memory://lists/list.csv", folder))
    )
    assert found.units["mean"].tolist() == plain.units["mean"].tolist()
    assert found.plan.classes == CLASSES
    with pytest.raises(InputError, match="archive"):
        listing("memory://lists/p.zip")


# Going on


def test_another_size_of_batch_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)
    write_pictures(tmp_path / "p", 20)

    class Sizes(Counting):
        def run(self, pictures, taps=(), edits=()):
            sizes.append(len(pictures))
            if len(sizes) == 4:
                raise KeyboardInterrupt
            return super().run(pictures, taps, edits)

    sizes = []
    with pytest.raises(KeyboardInterrupt):
        network(Sizes()).scan(tmp_path / "p", out=tmp_path / "s", batch=4)
    sizes = [0] * 5
    found = network(Sizes()).scan(tmp_path / "p", out=tmp_path / "s", batch=1)  # it was too much memory, say
    assert set(sizes[5:]) == {1}
    whole = network().scan(tmp_path / "p", out=tmp_path / "whole", batch=4)
    np.testing.assert_allclose(found.units["mean"], whole.units["mean"], rtol=1e-6)
    assert found.pictures["name"].tolist() == whole.pictures["name"].tolist()


def test_shards_without_a_record_are_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)
    write_pictures(tmp_path / "p", 20)
    whole = network().scan(tmp_path / "p", out=tmp_path / "whole", k=3, batch=2)

    def stops(done, _total):
        if done > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network().scan(tmp_path / "p", out=tmp_path / "s", k=5, batch=2, progress=stops)
    (tmp_path / "s" / "scan.json").unlink()  # whoever wants other settings may try that
    same_tables(network().scan(tmp_path / "p", out=tmp_path / "s", k=3, batch=2), whole)


def test_other_names_of_the_classes_are_another_scan(tmp_path):
    write_pictures(tmp_path / "p", 6)
    network().scan(tmp_path / "p", out=tmp_path / "s")
    other = network()
    other.labels = ("bee", "ant", "cat")
    with pytest.raises(OutputError, match="other names of the classes"):
        other.scan(tmp_path / "p", out=tmp_path / "s")


STEPS = ["pictures.parquet", "units.parquet", "state.npz", "fields.json", "scan.json", "clean", "page/layer0.js", "index.html"]


@pytest.mark.parametrize("step", STEPS)
def test_a_scan_that_is_cut_at_any_of_its_last_steps_is_finished_by_the_same_command(tmp_path, monkeypatch, step):
    write_pictures(tmp_path / "p", 6)
    whole = network().scan(tmp_path / "p", ["conv1"], out=tmp_path / "whole")
    write, clean = stores.Store.write, stores.Store.clean
    seen = []

    def cut(self, name, fill, **options):
        seen.append(name)
        if name == step and (name != "scan.json" or seen.count(name) == 3):  # begun, all shards, complete
            raise KeyboardInterrupt
        return write(self, name, fill, **options)

    def cut_clean(self):
        if step == "clean":
            raise KeyboardInterrupt
        clean(self)

    with monkeypatch.context() as patch:
        patch.setattr(stores.Store, "write", cut)
        patch.setattr(stores.Store, "clean", cut_clean)
        with pytest.raises(KeyboardInterrupt):
            network().scan(tmp_path / "p", ["conv1"], out=tmp_path / "s")
    found = network().scan(tmp_path / "p", ["conv1"], out=tmp_path / "s")
    same_tables(found, whole)
    names = [sorted(str(path.relative_to(each)) for path in each.rglob("*")) for each in (tmp_path / "s", tmp_path / "whole")]
    assert names[0] == names[1]


def test_two_scans_into_one_folder_at_once_are_refused(tmp_path):
    write_pictures(tmp_path / "p", 4)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from scans import network\nfrom convscope.errors import OutputError\n"
        f"try: network().scan({str(tmp_path / 'p')!r}, out={str(tmp_path / 's')!r})\n"
        "except OutputError as error: print(error)\n"
    )
    said = []

    class Meanwhile(Counting):
        def run(self, pictures, taps=(), edits=()):
            if not said:
                said.append(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
            return super().run(pictures, taps, edits)

    found = network(Meanwhile()).scan(tmp_path / "p", out=tmp_path / "s")
    assert "another process" in said[0]
    assert found.record["complete"]
    same_tables(network().scan(tmp_path / "p", out=tmp_path / "s"), found)  # and nothing stays locked


def test_what_units_are_worth_is_counted_by_one_process_at_a_time(tmp_path):
    write_pictures(tmp_path / "p", 4)
    found = network().scan(tmp_path / "p", out=tmp_path / "s")
    with stores.Store(tmp_path / "s" / "worth").locked(), pytest.raises(OutputError, match="another process"):
        found.accuracy_without("conv1")
    assert found.accuracy_without("conv1").accuracy == found.accuracy
    with stores.Store(tmp_path / "s" / "worth").locked():  # what is finished is only read
        assert found.accuracy_without("conv1").accuracy == found.accuracy


# Places that vanish


def test_a_disk_that_is_taken_away_is_not_a_list_of_pictures_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 20)
    names = write_pictures(tmp_path / "p", 60)

    class Unmounts(Counting):
        def run(self, pictures, taps=(), edits=()):
            if self.pictures == 9:  # the folder is there, and empty
                (tmp_path / "p").rename(tmp_path / "disk")
                (tmp_path / "p").mkdir()
            return super().run(pictures, taps, edits)

    with pytest.raises(InputError, match="in a row are gone.*goes on from there"):
        network(Unmounts()).scan(tmp_path / "p", out=tmp_path / "s", batch=2)
    (tmp_path / "p").rmdir()
    (tmp_path / "disk").rename(tmp_path / "p")
    (tmp_path / "p" / names[-1][0]).unlink()
    grey(tmp_path / "p" / names[-1][0])
    with pytest.raises(OutputError, match="another list"):  # one of them is another picture now
        network().scan(tmp_path / "p", out=tmp_path / "s", batch=2)


def test_archives_with_a_name_twice_and_with_nothing(tmp_path):
    grey(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "ant/a.png")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.write(tmp_path / "a.png", "ant/a.png")
    assert network().scan(tmp_path / "t.zip", out=tmp_path / "s").record["scanned"] == 2
    with tarfile.open(tmp_path / "t.tar", "w"):
        pass
    with pytest.raises(InputError, match="no pictures in"):
        listing(tmp_path / "t.tar")


# Activations that let negative values pass


@pytest.mark.parametrize("name", ["SiLU", "GELU", "ELU", "LeakyReLU", "Tanh", "Hardswish", "ReLU"])
def test_a_unit_is_dead_where_it_is_zero_not_where_it_is_never_above_zero(tmp_path, name):
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    import convscope

    torch.manual_seed(0)
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(5, 3)]
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), getattr(torch.nn, name)(), *head).eval()
    with torch.no_grad():
        module[0].weight[1:3] *= 0.1
        module[0].bias[1], module[0].bias[2] = -2, -9  # never above zero; of Hardswish and, in float32, GELU the second is zero
        module[0].weight[3], module[0].bias[3] = 0, 0  # zero in all of them
    net = convscope.open(module, picture_shape=(3, 8, 8), preprocess="0..1", labels=list(CLASSES))
    rng = np.random.default_rng(0)
    pictures = [(rng.integers(0, 255, (8, 8, 3), np.uint8), CLASSES[number % 3]) for number in range(9)]
    found = net.scan(pictures, out=tmp_path / "s", k=3)
    maps = net.engine.run(np.stack([each for each, _ in pictures]).transpose(0, 3, 1, 2).astype(np.float32) / 255, ["1"])["1"]
    zero = (maps == 0).all((0, 2, 3))
    assert found.units["dead"].tolist() == zero.tolist()
    assert zero.tolist()[1:4] == [name == "ReLU", name in ("ReLU", "Hardswish", "GELU"), True]
    assert not any(found.units["nearly_dead"])
    of_class = np.stack([maps[number::3].mean((0, 2, 3)) for number in range(3)])
    for unit, value in enumerate(found.units["selectivity"]):
        assert value is None or (0 <= value <= 1 and of_class[:, unit].min() >= 0)
    if not zero[1]:
        pytest.importorskip("sklearn", reason="scikit-learn is not installed: pip install 'convscope[embed]'")
        assert found.top("0", 1).crops()[0] is not None  # where it is least below zero
        with pytest.raises(InputError, match="not negative"):
            found.concepts("0", 2, first=3)
