"""Networks that take signals, volumes or plain features: from an array to the page."""

import numpy as np
import pytest

import convscope
from convscope.draw.colour import INK, PAPER, SHADES
from convscope.draw.curves import HEIGHT
from convscope.errors import InputError, NotAPicture, WrongPictureShape

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


def along(*layers, samples=60, channels=1):
    """A network whose maps lie along a signal."""
    net = torch.nn.Sequential(*layers, torch.nn.AdaptiveAvgPool1d(1), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    net(torch.zeros(1, channels, samples))
    return convscope.open(net, picture_shape=(channels, samples))


SHIFTS = {
    "same": lambda: torch.nn.Conv1d(1, 2, 5, padding=2),
    "valid": lambda: torch.nn.Conv1d(1, 2, 7),
    "strided": lambda: torch.nn.Conv1d(1, 2, 4, stride=3, padding=1),
    "dilated": lambda: torch.nn.Conv1d(1, 2, 3, dilation=4, padding=2),
    "widened": lambda: torch.nn.ConvTranspose1d(1, 2, 3, stride=2),
}


@pytest.mark.parametrize("verb", ["maps", "look"])
def test_a_network_over_signals_of_any_length_has_its_positions_where_one_of_this_length_has_them(verb):
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")

    def positions(samples):
        start = keras.Input((samples, 1))
        x = keras.layers.Conv1D(2, 5, strides=2, name="first")(start)
        x = keras.layers.Conv1D(3, 3, padding="same", name="second")(x)
        model = keras.Model(start, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x)))
        maps = getattr(convscope.open(model), verb)(RANDOM.normal(size=(1, 1, 90)).astype(np.float32), ["first", "second"])
        assert [len(each.signals.centres) for each in maps.values()] == [each.values.shape[2] for each in maps.values()]
        return [each.signals.centres for each in maps.values()]

    for free, fixed in zip(positions(None), positions(90), strict=True):
        np.testing.assert_array_equal(free, fixed)


@pytest.mark.parametrize("kind", SHIFTS)
def test_a_position_stands_over_the_middle_of_what_it_sees(kind):
    net = along(SHIFTS[kind](), torch.nn.MaxPool1d(2))
    for layer in ("0", "1"):
        maps = net.maps(np.zeros((1, 60), np.float32), at=layer)[layer]
        centres = maps.signals.centres
        assert len(centres) == maps.values.shape[2]
        seen = [net.receptive_field(layer, (position,)) for position in range(len(centres))]
        inside = [at for at, field in enumerate(seen) if field.start[0] > 9 and field.stop[0] < 51]  # no edge is near
        assert len(inside) > 5
        assert [centres[at] for at in inside] == [(seen[at].start[0] + seen[at].stop[0] - 1) / 2 for at in inside]


@pytest.mark.parametrize("form", ["curve", "strip"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(5, 1, 2), (7, 1, 0), (3, 2, 1)])
def test_the_map_of_an_event_stands_under_the_event(form, kernel, stride, padding):
    conv = torch.nn.Conv1d(1, 1, kernel, stride=stride, padding=padding, bias=False)
    with torch.no_grad():
        conv.weight[:] = 0
        conv.weight[0, 0, kernel // 2] = 1  # it says what it sees
    net = along(conv)
    signal = np.zeros((1, 60), np.float32)
    signal[0, 40] = 1
    for wide in (None, 300):
        sheet = net.maps(signal, at="0")["0"].sheet(form=form)
        page = sheet._page(None, None, wide)
        (y, x), (h, w) = page.places[0], page.tile
        tile, above = page.canvas[y : y + h, x : x + w], page.canvas[y - h - 20 : y - 20, x : x + w]
        ink, mark = INK + SHADES - 1, INK + SHADES - 1 if form == "curve" else tile[tile < PAPER].max()
        event, found = (np.flatnonzero((rows == value).any(0)) for rows, value in ((above[:8], ink), (tile[:8], mark)))
        assert abs(found.mean() - event.mean()) <= w / 60 * (stride + 1) / 2
        assert abs(event.mean() / (w - 1) * 59 - 40) <= 1
    ticks = {text.words: text.x for text in page.texts if text.words.isdigit() and text.y > y + h}
    assert ticks["40"] == pytest.approx(x + 40 / 59 * (w - 1))


def test_no_event_is_lost_on_a_narrow_sheet():
    signal = np.zeros((1, 6000), np.float32)
    signal[0, 4321] = 1
    net = along(torch.nn.Conv1d(1, 2, 1, bias=False), samples=6000)
    sheet = net.maps(signal, at="0")["0"].sheet(form="curve")
    page = sheet._page(None, None, 321)
    assert page.tile[1] == 301  # drawn for the room that there is: nothing of it is left out
    for y, x in page.places:
        tile = page.canvas[y : y + HEIGHT, x : x + 301]
        assert (tile[1] == INK + SHADES - 1).any() or (tile[-2] == INK + SHADES - 1).any()


def test_channels_have_the_names_that_were_given():
    net = along(torch.nn.Conv1d(3, 2, 3), channels=3)
    signal = RANDOM.normal(size=(2, 3, 60)).astype(np.float32)
    maps = net.maps(signal, at="0", channels=["Fz", "Cz", "Pz"])["0"]
    for channels, names in ((None, ["Fz", "Cz", "Pz"]), (["Pz", 0], ["Pz", "Fz"])):
        sheet = maps.sheet(form="curve", picture=1, channels=channels)
        assert [label.split(",")[0] for label in sheet.signal.labels] == names
        assert f"{signal[1, 2].min():.3g} to {signal[1, 2].max():.3g}" in sheet.signal.labels[names.index("Pz")]
        np.testing.assert_array_equal(sheet.signal.values[names.index("Pz")], signal[1, 2])
    assert "1 of its 3 channels" in maps.sheet(form="curve", channels=["Cz"]).caption
    with pytest.raises(InputError, match="'Oz'.*Fz, Cz, Pz"):
        maps.sheet(form="curve", channels=["Oz"])
    for names in (["Fz", "Cz"], ["Fz", "Fz", "Cz"]):
        with pytest.raises(InputError, match="3 channels"):
            net.maps(signal, at="0", channels=names)
    with pytest.raises(InputError, match="Only signals"):
        convscope.open("demo").maps(np.zeros((128, 128, 3), np.uint8), channels=["red", "green", "blue"])


def test_maps_that_do_not_lie_along_the_signal_are_not_drawn_over_it():
    maps = net = along(torch.nn.Conv1d(1, 2, 3), torch.nn.GroupNorm(1, 2))
    maps = net.maps(np.zeros((1, 60), np.float32), at=["0", "1"])
    assert maps["0"].sheet(form="curve").signal is not None
    assert maps["1"].sheet(form="curve").signal is None
    with pytest.raises(InputError, match="depend on the whole signal"):
        maps["1"].sheet(form="strip")
