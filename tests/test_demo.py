"""The main job on what is built in: the network, the photograph, the page."""

import json
import re

import numpy as np
import pytest

import convscope
from convscope import demo
from convscope.errors import InputError, NotAModel, OutputError, StudyError, UnknownLayer
from convscope.studies import files
from convscope.studies import folder as study

pytest.importorskip("skimage", reason="the built-in photograph comes with scikit-image: pip install 'convscope[demo]'")


@pytest.fixture(scope="module")
def net():
    return convscope.open("demo")


@pytest.fixture(scope="module")
def cat():
    return demo.picture()


@pytest.fixture(scope="module")
def saved(net, cat, tmp_path_factory):
    return net.look(cat).save(tmp_path_factory.mktemp("look") / "study")


def test_the_cat_is_a_cat(net, cat):
    (answers,) = net.predict(cat, top=3)
    assert answers[0][0] == "cat"
    assert answers[0][1] > 2 * answers[1][1]
    assert len(answers) == 3


def test_the_network_is_small_and_its_card_is_there():
    assert demo.MODEL.stat().st_size <= 6_000_000
    assert "accuracy" in demo.CARD.read_text(encoding="utf-8").lower()


def test_blocks_are_named_as_those_of_vgg16(net):
    assert list(net.maps(np.zeros((1, 3, 128, 128), np.float32), at="blocks")) == [
        "block1_conv2",
        "block2_conv2",
        "block3_conv3",
        "block4_conv3",
        "block5_conv3",
    ]
    assert net.layers["block1_conv1"] == net.layers[1]
    assert len(net.layers.convolutions) == 13


def test_maps_of_many_pictures_are_those_of_each(net):
    random = np.random.default_rng(0)
    pictures = random.normal(size=(9, 3, 128, 128)).astype(np.float32)  # more than a batch
    together = net.maps(pictures, at="block2_*")
    for number in (0, 8):
        alone = net.maps(pictures[number : number + 1], at="block2_*")
        for name in together:
            np.testing.assert_allclose(together[name].values[number], alone[name].values[0], rtol=1e-5, atol=1e-5)


def test_activated_maps_are_those_of_the_relu(net, cat):
    raw = net.maps(cat, at="block3_conv3")["block3_conv3"]
    after = net.maps(cat, at="block3_conv3", activated=True)["block3_conv3"]
    np.testing.assert_array_equal(after.values, np.maximum(raw.values, 0))
    assert after.reading.read_at == "block3_relu3"
    assert raw.dead() is None
    assert after.dead() == tuple(int(unit) for unit in np.flatnonzero((raw.values[0] <= 0).all((1, 2))))


def test_a_study_holds_what_it_says(saved, net, cat):
    record = study.read(saved)
    assert record["pictures"][0]["answers"][0]["label"] == "cat"
    assert [entry["layer"] for entry in record["maps"]] == list(net.maps(cat))
    assert len(record["layers"]) == len(net.layers)
    assert record["preprocess"] == net.preprocess.to_dict()
    arrays = np.load(saved / "maps.npz")
    fresh = net.maps(cat, activated=True)
    for entry in record["maps"]:
        np.testing.assert_array_equal(arrays[entry["layer"]], fresh[entry["layer"]].values)
        assert entry["sheets"][0]["dead"] == list(fresh[entry["layer"]].dead())
    np.testing.assert_array_equal(np.load(saved / "filters.npz")["block1_conv1/kernel"], net.filters("block1_conv1").values)


def test_the_page_knows_what_every_place_sees(saved, net):
    for entry in study.read(saved)["maps"]:
        known = entry["receptive"]
        h, w = entry["shape"][1:]
        for y, x in ((0, 0), (h // 2, w // 3), (h - 1, w - 1)):
            field = net.receptive_field(entry["layer"], (y, x))
            assert (known["starts"][0][y], known["starts"][1][x]) == field.start
            assert (known["stops"][0][y], known["stops"][1][x]) == field.stop


def test_every_file_that_the_page_names_is_there(saved):
    page = (saved / "index.html").read_text(encoding="utf-8")
    named = {link for link in re.findall(r'(?:src|href)="([^"#]+)"', page) if not link.startswith("data:")}
    assert len([link for link in named if link.endswith(".png")]) >= 7
    assert all((saved / link).is_file() for link in named)


def test_the_picture_is_shown_as_the_network_received_it(saved, net, cat):
    from PIL import Image

    with Image.open(saved / "pictures" / "chelsea.png") as picture:
        shown = np.asarray(picture, np.float32)
    received = net.maps(cat, at="input")["input"].values[0]
    np.testing.assert_allclose(shown.transpose(2, 0, 1) / 127.5 - 1, received, atol=1e-6)


def test_several_pictures_have_sheets_of_their_own(net, cat, tmp_path):
    from PIL import Image

    other = tmp_path / "grey.png"
    Image.new("L", (200, 150), 90).save(other)
    record = study.read(net.look([cat, other], at="block5_conv3").save(tmp_path / "study"))
    assert [picture["name"] for picture in record["pictures"]] == ["chelsea", "grey"]
    assert any("grey" in note for note in record["pictures"][1]["notes"])
    assert all((tmp_path / "study" / sheet["file"]).is_file() for sheet in record["maps"][0]["sheets"])


def test_a_study_replaces_a_study(net, cat, tmp_path):
    folder = net.maps(cat, at="block1_conv1").save(tmp_path / "study")
    net.maps(cat, at="block2_conv1").save(folder)
    assert [entry["layer"] for entry in study.read(folder)["maps"]] == ["block2_conv1"]
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_folder_of_other_files_is_not_replaced(net, cat, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="other files"):
        net.maps(cat, at="block1_conv1").save(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_crash_while_writing_leaves_the_old_study(net, cat, tmp_path, monkeypatch):
    folder = net.maps(cat, at="block1_conv1").save(tmp_path / "study")

    def fails(*_arguments, **_options):
        raise RuntimeError("crash")

    monkeypatch.setattr(np.lib.format, "write_array", fails)
    with pytest.raises(RuntimeError):
        net.maps(cat, at="block2_conv1").save(folder)
    assert [entry["layer"] for entry in study.read(folder)["maps"]] == ["block1_conv1"]
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_crash_between_the_two_moves_is_mended(net, cat, tmp_path):
    folder = net.maps(cat, at="block1_conv1").save(tmp_path / "study")
    folder.rename(tmp_path / ".study.old")  # what a crash there leaves
    assert study.read(folder)["asked"]["at"] == "block1_conv1"


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no study.json"), ("{", "damaged"), ('{"format": 99}', "format 99"), ("[]", "list")]
)
def test_a_broken_study_says_what_to_do(tmp_path, content, words):
    if content is not None:
        (tmp_path / "study.json").write_text(content)
    with pytest.raises(StudyError, match=words):
        study.read(tmp_path)


def test_names_of_files_are_safe_and_unique():
    names = files.file_names(["a/b", "a_b", "A/B", "../../etc", "…", "x" * 300])
    assert len({name.lower() for name in names.values()}) == 6
    assert all("/" not in name and not name.startswith(".") and len(name) < 100 for name in names.values())


def test_json_is_plain_data(saved):
    json.loads((saved / "study.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("layer", ["block1_pool", "softmax"])
def test_a_layer_without_filters_says_so(net, layer):
    with pytest.raises(InputError, match="has no filters"):
        net.filters(layer)


def test_an_unknown_layer_offers_near_ones(net):
    with pytest.raises(UnknownLayer, match="block1_conv1"):
        net.filters("block1_covn1")
    with pytest.raises(UnknownLayer):
        net.layers[999]


def test_an_unknown_name_says_what_is_known():
    with pytest.raises(NotAModel, match="keras:VGG16"):
        convscope.open("caffe:alexnet")
    with pytest.raises(NotAModel, match="no such file"):
        convscope.open("missing.onnx")


def test_labels_have_to_be_as_many_as_classes():
    with pytest.raises(InputError, match="11 classes"):
        convscope.open("demo", labels=["cat", "dog"])
