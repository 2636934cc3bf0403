"""A picture that was replaced by another of the same name and size is not mixed with the one that was scanned."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image
from scans import Counting, network, same_tables, write_pictures

from convscope.errors import InputError, OutputError
from convscope.results.npz import save_npz
from convscope.scan.result import Scan
from convscope.scan.store import Store

FIRST = "ant/000.bmp"  # of which the size says nothing about what is in it


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("convscope.scan.plan.SHARD", 4)
    folder = tmp_path / "p"
    write_pictures(folder, 12)
    for path in sorted(folder.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".bmp"))
        path.unlink()
    return folder


def stopped(pictures, out, **options):
    """A scan that was stopped after two of its three shards."""

    def stops(done, _total):
        if done > 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        network().scan(pictures, out=out, batch=2, progress=stops, **options)
    assert Store(out).done() == 2


def replace(path):
    before = path.stat()
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def of_table(pictures):
    table = pictures / "list.csv"
    table.write_text("path\n" + "".join(f"{path.relative_to(pictures)}\n" for path in sorted(pictures.rglob("*.bmp"))))
    return table


FORMS = {
    "a folder": lambda pictures: pictures,
    "a table": of_table,
    "a list": lambda pictures: sorted(map(str, pictures.rglob("*.bmp"))),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_picture_that_was_scanned_and_replaced_is_noticed_when_the_scan_goes_on(pictures, tmp_path, form):
    given = FORMS[form](pictures)
    stopped(given, tmp_path / "s")
    replace(pictures / FIRST)
    with pytest.raises(OutputError, match=f"{FIRST}' is not the picture that was scanned, but another of that name and size"):
        network().scan(given, out=tmp_path / "s", batch=2)
    assert Store(tmp_path / "s").done() == 2


def test_a_picture_that_was_not_scanned_yet_may_be_another(pictures, tmp_path):
    stopped(pictures, tmp_path / "s")
    replace(sorted(pictures.rglob("*.bmp"))[-1])
    same_tables(network().scan(pictures, out=tmp_path / "s"), network().scan(pictures, out=tmp_path / "whole", batch=2))


def test_a_folder_that_was_copied_has_other_times_and_goes_on_without_running_anything_again(pictures, tmp_path):
    stopped(pictures, tmp_path / "s")
    shutil.move(pictures, tmp_path / "moved")
    shutil.copytree(tmp_path / "moved", pictures, copy_function=shutil.copyfile)
    for path in pictures.rglob("*.bmp"):
        os.utime(path, ns=(1, 1))
    engine = Counting()
    found = network(engine).scan(pictures, out=tmp_path / "s", batch=2)
    assert engine.pictures == 4
    same_tables(found, network().scan(pictures, out=tmp_path / "whole", batch=2))


def test_a_finished_scan_is_not_said_to_be_of_other_pictures_and_does_not_run_on_them(pictures, tmp_path):
    net = network()
    found = net.scan(pictures, out=tmp_path / "s")
    assert net.scan(pictures, out=tmp_path / "s").record == found.record
    replace(pictures / FIRST)
    with pytest.raises(OutputError, match="is not the picture that was scanned"):
        net.scan(pictures, out=tmp_path / "s")
    with pytest.raises(InputError, match="is not the picture that was scanned"):
        found.class_cams(found.layers[0])
    assert Scan(tmp_path / "s").units.rows == found.units.rows  # what was found is still there to read


def test_a_scan_of_an_earlier_version_goes_on(pictures, tmp_path, monkeypatch):
    """It kept no marks."""
    with monkeypatch.context() as patch:
        patch.setattr(
            "convscope.scan.store.save_npz",
            lambda file, arrays: save_npz(file, {k: v for k, v in arrays.items() if k != "marks"}),
        )
        stopped(pictures, tmp_path / "s")
    assert Store(tmp_path / "s").marks().shape == (0, 3)
    found = network().scan(pictures, out=tmp_path / "s", batch=2)
    same_tables(found, network().scan(pictures, out=tmp_path / "whole", batch=2))
    (tmp_path / "s" / "marks.npy").unlink()  # nor has a finished one
    assert network().scan(pictures, out=tmp_path / "s").record == found.record
