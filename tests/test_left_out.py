"""Of all rows of a network, those that hold nothing that can be shown are left out and named; the others are as without them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from zoo_torch import Written, conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope import cli  # noqa: E402
from convscope.errors import UnknownLayer, Unsupported  # noqa: E402
from convscope.show.html import maps as notebook_table  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
ODD = {
    "nested": (lambda x: torch.nested.as_nested_tensor(list(x), layout=torch.jagged), "is a nested tensor"),
    "meta": (lambda x: x.to("meta"), "is on the 'meta' device"),
    "spectrum": (torch.fft.rfft2, "holds complex numbers"),
    "total": (lambda x: x.sum(), "without an axis of 2 pictures"),
}


def forward(net, x):
    x = torch.relu(net.stem(x))
    for part in net.odd.values():
        part(x)
    return net.head(x)


def network(*odd):
    parts = {name: Written(lambda _net, x, give=ODD[name][0]: give(x)) for name in odd}
    return Written(forward, stem=conv(3, 4), odd=nn.ModuleDict(parts), head=head(4)).eval()


def opened(*odd):
    return convscope.open(network(*odd), picture_shape=(3, 8, 8))


@pytest.fixture(scope="module")
def net():
    return opened("meta", "spectrum")


def test_what_cannot_be_read_is_left_out_and_all_else_is_what_it_is_by_itself(net):
    maps = net.maps(PICTURES, at="all")
    rows = [row.name for row in net.layers if row.kind != "input"]
    assert set(maps.left_out) == {"odd.meta", "odd.spectrum"}
    assert [*maps] == [row for row in rows if row not in maps.left_out]
    for name in ("meta", "spectrum"):
        assert maps.left_out[f"odd.{name}"].startswith(f"'odd.{name}' {ODD[name][1]}")
        assert f"Left out: 'odd.{name}' {ODD[name][1]}" in repr(maps)
    for name, each in maps.items():
        np.testing.assert_array_equal(each.values, net.maps(PICTURES, at=name)[name].values)
    assert net.maps(PICTURES, at="blocks").left_out == {}


@pytest.mark.parametrize("name", ["meta", "spectrum"])
def test_what_is_meant_by_its_name_or_index_is_refused_and_what_a_pattern_fits_is_left_out(net, name):
    index = net.layers[f"odd.{name}"].index
    for at in (f"odd.{name}", index, str(index), [f"odd.{name}", "all"]):
        with pytest.raises(Unsupported, match=ODD[name][1]):
            net.maps(PICTURES, at=at)
    assert list(net.maps(PICTURES, at=["stem", f"*{name}"])) == ["stem"]
    with pytest.raises(Unsupported, match=ODD[name][1]):  # nothing is left to show
        net.maps(PICTURES, at=f"*.{name}")


def test_asking_a_result_for_what_it_left_out_says_why(net):
    maps = net.maps(PICTURES, at="all")
    assert "odd.meta" not in maps
    assert maps.get("odd.meta") is None
    with pytest.raises(UnknownLayer, match=r"^'odd\.meta' is on the 'meta' device"):
        maps["odd.meta"]


@pytest.mark.parametrize("odd", ODD)
def test_an_output_that_cannot_be_read_takes_the_answers_and_not_the_maps(odd):
    module = Written(lambda net, x: ODD[odd][0](net.maps(net.stem(x))), stem=conv(3, 4), maps=conv(4, 4)).eval()
    net = convscope.open(module, picture_shape=(3, 8, 8))
    maps = net.look(PICTURES, at=["stem", "maps"])
    assert (list(maps), maps.answers) == (["stem", "maps"], None)
    assert maps.left_out["output"].startswith(f"'output' {'has shape ()' if odd == 'total' else ODD[odd][1]}")
    assert ODD[odd][1] in maps.left_out["output"]
    np.testing.assert_array_equal(maps["maps"].values, net.maps(PICTURES, at="maps")["maps"].values)
    with pytest.raises(Unsupported, match=ODD[odd][1]):
        net.predict(PICTURES)


def test_rows_through_which_nothing_flows_do_not_take_the_ranking_from_others():
    whole = Written(lambda _net, x: (x > 0).long())
    sparse = Written(lambda _net, x: x.to_sparse())
    module = Written(forward, stem=conv(3, 4), odd=nn.ModuleDict({"whole": whole, "sparse": sparse}), head=head(4))
    net = convscope.open(module.eval(), picture_shape=(3, 8, 8))
    alone = net.look(PICTURES, at="stem")["stem"].evidence
    for maps in (net.look(PICTURES, at="all"), net.maps(PICTURES, at="all", ranked=True)):
        assert {name for name, each in maps.items() if each.evidence is None} == {
            "odd.whole", "odd.sparse", "odd.sparse.to_sparse",
        }  # fmt: skip
        np.testing.assert_allclose(maps["stem"].evidence.values, alone.values if maps["stem"].reading.read_at == "relu" else
                                   net.maps(PICTURES, at="stem", ranked=True)["stem"].evidence.values, atol=1e-6)  # fmt: skip
    for name, why in (("odd.whole", "Nothing flows back through 'odd.whole'"), ("odd.sparse", "a sparse tensor")):
        with pytest.raises(Unsupported, match=why):
            net.maps(PICTURES, at=["stem", name], ranked=True)


def test_the_folder_the_page_and_the_notebook_say_what_is_left_out(net, tmp_path, monkeypatch):
    maps = net.look(PICTURES, at="all")
    folder = maps.save(tmp_path / "study")
    assert json.loads((folder / "study.json").read_text())["left_out"] == dict(maps.left_out)
    page = (folder / "index.html").read_text()
    assert "Of what was asked for, 2 could not be read:" in page
    assert "<li>&#39;odd.meta&#39; is on the &#39;meta&#39; device" in page
    monkeypatch.setattr("convscope.show.html.MOST", 0)
    assert "Left out: &#x27;odd.meta&#x27;" in notebook_table(maps)
    assert "could not be read" not in (net.look(PICTURES).save(tmp_path / "other") / "index.html").read_text()


def test_the_command_line_says_it(net, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("convscope.cli.look.open_network", lambda *_: net)
    printed = []
    for arguments in (["maps", "--at", "all"], ["look", "--at", "all", "--json"]):
        monkeypatch.setattr("sys.argv", ["convscope", *arguments, "--first", "1", "-o", str(tmp_path / "study")])
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code in (0, None)
        printed.append(capsys.readouterr().out)
    assert "left out: 'odd.meta' is on the 'meta' device" in printed[0]
    assert set(json.loads(printed[1])["left_out"]) == {"odd.meta", "odd.spectrum"}


def test_rows_that_another_picture_does_not_reach_are_left_out():
    def either(net, x):
        x = net.stem(x)
        return net.head(net.bright(x) if float(x.sum()) > 0 else net.dark(x))

    module = Written(either, stem=conv(3, 4), bright=conv(4, 4), dark=conv(4, 4), head=head(4)).eval()
    with torch.no_grad():
        module.stem.weight.fill_(-1)
        module.stem.bias.fill_(0.01)  # of zeros, by which the table was found, the sum is positive
    net = convscope.open(module, picture_shape=(3, 8, 8))
    maps = net.maps(np.random.default_rng(0).random((1, 3, 8, 8), np.float32), at="all")
    assert "stem" in maps
    assert "bright" in maps.left_out
    assert "bright" not in maps


def test_an_edit_that_cannot_be_made_is_no_row_that_is_left_out(net):
    with pytest.raises(Unsupported, match="complex"):
        net.without({"odd.spectrum": [0]}).maps(PICTURES, at="all")


def test_a_row_of_keras_with_complex_numbers_is_not_shown_by_their_real_part():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    if keras.backend.backend() != "torch":
        pytest.skip("the layer below is written for torch")

    class Spectrum(keras.layers.Layer):
        def call(self, x):
            return x if isinstance(x, keras.KerasTensor) else torch.complex(x, x)

    class Size(keras.layers.Layer):
        def call(self, x):
            return x if isinstance(x, keras.KerasTensor) else x.abs()

    x = keras.Input((8, 8, 3))
    maps = Size(name="size")(Spectrum(name="spectrum")(keras.layers.Conv2D(4, 3, name="conv")(x)))
    net = convscope.open(keras.Model(x, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(maps))))
    found = net.look(PICTURES, at="all")
    assert set(found.left_out) == {"spectrum"}
    assert {"conv", "size"} <= set(found)
    with pytest.raises(Unsupported, match="^'spectrum' holds complex numbers"):
        net.maps(PICTURES, at="spectrum")


def test_an_engine_that_says_nothing_of_rows_is_believed():
    """An error that is about all of a run ends it, however much was asked for."""
    from convscope.errors import EngineError
    from convscope.methods.maps import readable

    def run(_pictures, _taps):
        raise EngineError("The network failed.")

    with pytest.raises(EngineError, match="The network failed"):
        readable(SimpleNamespace(run=run), PICTURES, ["a", "b"], {"a", "b"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "set").mkdir()
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{number}.png")
    return tmp_path / "set"


def test_a_scan_of_all_leaves_out_what_cannot_be_read(net, folder, tmp_path):
    pytest.importorskip("pyarrow")
    found = net.scan(folder, at="all", features="all", out=tmp_path / "scan")
    assert set(found.left_out) == {"odd.meta", "odd.spectrum"}
    assert found.layers == [row.name for row in net.layers if row.kind != "input" and row.name not in found.left_out]
    assert "\nLeft out: 'odd.meta' is on the 'meta' device" in repr(found)
    assert "Left out: &#39;odd.meta&#39; is on the &#39;meta&#39; device" in (tmp_path / "scan" / "index.html").read_text()
    with pytest.raises(UnknownLayer, match=r"^'odd\.meta' is on the 'meta' device"):
        found.of("odd.meta")
    alone = net.scan(folder, at="stem", out=tmp_path / "alone")
    np.testing.assert_array_equal(found.of("stem")["mean"], alone.of("stem")["mean"])
    for at in ("odd.meta", ["odd.meta", "all"], "*.meta"):  # named, or nothing is left
        with pytest.raises(Unsupported, match="is on the 'meta' device"):
            net.scan(folder, at=at, out=tmp_path / "refused")
    for kept in ({"maps": "odd.meta"}, {"features": ["stem", "odd.meta"]}):
        with pytest.raises(Unsupported, match="^'odd.meta' is on the 'meta' device"):
            net.scan(folder, at="all", out=tmp_path / "refused", **kept)
