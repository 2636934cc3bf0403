"""Networks that take signals, volumes or plain features: from an array to the page."""

import numpy as np
import pytest

import convscope
from convscope.errors import NotAPicture, WrongPictureShape

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from zoo_torch import PICTURES, ZOO  # noqa: E402

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module", params=["one_dimension", "three_dimensions", "dense_only"])
def case(request):
    net = convscope.open(ZOO[request.param](), picture_shape=PICTURES[request.param])
    return net, RANDOM.normal(size=(2, *PICTURES[request.param])).astype(np.float32)


def test_arrays_pass_as_they_are(case):
    net, arrays = case
    maps = net.maps(arrays, at="all")
    names = list(maps)
    expected = net.engine.run(arrays, names)
    for name in names:
        np.testing.assert_array_equal(maps[name].values, expected[name])
    one = net.maps(arrays[1], at="all")
    np.testing.assert_allclose(one[names[-1]].values[0], maps[names[-1]].values[1], atol=1e-6)


def test_a_page_is_written_and_every_sheet_drawn(case, tmp_path):
    net, arrays = case
    maps = net.look(arrays, at="all")
    assert maps.answers
    assert (maps.save(tmp_path / "study") / "index.html").is_file()
    assert all(each.evidence is not None for each in maps.values())
    assert "taken as it is" in maps.pictures[0].notes[0]


def test_files_of_arrays_are_read(case, tmp_path):
    net, arrays = case
    np.save(tmp_path / "a.npy", arrays[0])
    np.save(tmp_path / "b.npy", arrays[1])
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    assert net.predict(paths) == net.predict(arrays)
    (tmp_path / "c.npy").write_bytes(b"no array")
    with pytest.raises(NotAPicture, match="npy"):
        net.predict(tmp_path / "c.npy")


def test_an_array_of_another_shape_is_refused(case):
    net, arrays = case
    with pytest.raises(WrongPictureShape):
        net.predict(arrays[..., None])
    with pytest.raises(WrongPictureShape):
        net.predict(arrays[:, :1])


def test_a_place_in_a_signal_sees_a_stretch_of_it():
    net = convscope.open(ZOO["one_dimension"](), picture_shape=PICTURES["one_dimension"])
    found = net.receptive_field("0", (3,))
    assert (found.start, found.stop, found.size) == ((3,), (8,), (5,))
