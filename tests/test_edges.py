"""What strangers type that is nearly right: said in a sentence, or done."""

import numpy as np
import pytest
from same_weights import in_onnx
from scans import network, write_pictures

import convscope
from convscope import demo
from convscope.errors import InputError, OutputError, UnknownLayer, Unsupported


@pytest.fixture(scope="module")
def net():
    return convscope.open("demo")


@pytest.mark.parametrize(
    ("target", "at", "scale"),
    [(("cat", "tench"), None, "logit"), ("cat", "conv2", "logit"), ("cat", None, "probability")],
)
def test_where_cam_cannot_be_the_method_that_is_chosen_is_another(target, at, scale):
    """The network ends in a mean and a linear layer, for which CAM is the usual one: of a class, at the last layer."""
    net = convscope.open(in_onnx("plain"), labels=["ant", "bee", "cat", "tench", "eel"])
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert net.explain(picture, target="cat").name == "cam"
    why = net.explain(picture, target=target, at=at, scale=scale)
    assert why.name == "score-cam"
    np.testing.assert_array_equal(why.values, net.explain(picture, "score-cam", target=target, at=at, scale=scale).values)


def test_cam_says_which_of_its_conditions_is_not_met(net):
    assert net.explain(demo.picture(), target="cat").name == "cam"
    with pytest.raises(Unsupported, match="^CAM explains a class, and not logit of 'cat' against 'tench'"):
        net.explain(demo.picture(), "cam", target=("cat", "tench"))
    with pytest.raises(Unsupported, match="^CAM needs a layer whose mean .* which 'block4_conv2' is not"):
        net.explain(demo.picture(), "cam", target="cat", at="block4_conv2")


def test_a_shape_that_a_file_does_not_take_is_not_passed_over():
    assert convscope.open("demo", picture_shape=(3, 128, 128)).graph.layers[0].shape == (3, 128, 128)
    for shape in ((3, 64, 64), (3, 128), (1, 128, 128), (3, 0, 0)):
        with pytest.raises(InputError, match=r"takes pictures of shape \(3, 128, 128\), and was to be opened for"):
            convscope.open("demo", picture_shape=shape)


def test_the_built_in_network_has_no_other_architecture():
    with pytest.raises(InputError, match="an ONNX file holds its network"):
        convscope.open("demo", architecture="torchvision:resnet18")


def test_a_scan_that_cannot_begin_leaves_no_folder(tmp_path):
    write_pictures(tmp_path / "p", 3)
    with pytest.raises(UnknownLayer):
        network().scan(tmp_path / "p", "nosuch", out=tmp_path / "s")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"Not a directory\. Choose another folder\.$"):
        network().scan(tmp_path / "p", out=tmp_path / "file" / "s")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "p"]
