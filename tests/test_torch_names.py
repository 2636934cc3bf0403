"""PyTorch networks by name, weights in files of their own, and what their libraries do to a picture."""

import functools
import hashlib
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import SHARED
from PIL import Image

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

import cifar_resnet  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

import convscope  # noqa: E402
from convscope import downloads  # noqa: E402
from convscope.cli.commands import app  # noqa: E402
from convscope.errors import DownloadError, InputError, ModelError, NotAModel, UnknownName, Untrusted  # noqa: E402
from convscope.pictures import prepare  # noqa: E402

BUILD, SHAPE = "cifar_resnet:resnet20", (3, 32, 32)
BATCH = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)


@pytest.fixture
def trained():
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        return cifar_resnet.resnet20().eval()


def answers_of(module):
    with torch.no_grad():
        return module(torch.from_numpy(BATCH.copy())).numpy()


def save(content, path):
    if path.suffix == ".safetensors":
        safetensors = pytest.importorskip("safetensors.torch")
        safetensors.save_file(content, path)
    else:
        torch.save(content, path)
    return path


# Weights in files


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module.", "backbone."])
def test_weights_find_their_places(trained, prefix, ending, tmp_path):
    state = {prefix + name: each for name, each in trained.state_dict().items()}
    net = convscope.open(save(state, tmp_path / f"w{ending}"), architecture=BUILD, picture_shape=SHAPE)
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(trained), atol=1e-6)
    assert net.info.source == f"{BUILD}, weights: w{ending}"
    assert net.info.sha256 == hashlib.sha256((tmp_path / f"w{ending}").read_bytes()).hexdigest()


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_a_file_that_changes_later_changes_no_network(trained, ending, tmp_path):
    path = save(trained.state_dict(), tmp_path / f"w{ending}")
    net = convscope.open(path, architecture=BUILD, picture_shape=SHAPE)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(trained), atol=1e-6)


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_weights_beside_other_things(trained, key, tmp_path):
    checkpoint = {"epoch": 7, "best": 0.9, "optimizer": {"state": {}}, key: trained.state_dict()}
    net = convscope.open(save(checkpoint, tmp_path / "w.pt"), architecture=cifar_resnet.resnet20(), picture_shape=SHAPE)
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(trained), atol=1e-6)


@pytest.mark.parametrize("architecture", [cifar_resnet.resnet20, functools.partial(cifar_resnet.ResNet, 3)])
def test_what_makes_the_network_is_an_architecture(trained, architecture, tmp_path):
    path = save(trained.state_dict(), tmp_path / "w.pth")
    net = convscope.open(path, architecture=architecture, picture_shape=SHAPE)
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(trained), atol=1e-6)
    assert net.info.source == f"{getattr(architecture, '__name__', 'partial')}, weights: w.pth"


def test_what_does_not_fit_is_named_and_refused_unless_allowed(trained, tmp_path):
    state = trained.state_dict()
    state["linear.weight"] = torch.zeros(5, 64)
    state["extra"] = state.pop("bn1.bias")
    path = save(state, tmp_path / "w.pth")
    with pytest.raises(
        ModelError, match=r"1 missing: bn1.bias; 1 not expected: extra; 1 of another shape: linear.weight \(5, 64\)"
    ):
        convscope.open(path, architecture=BUILD, picture_shape=SHAPE)
    net = convscope.open(path, architecture=BUILD, picture_shape=SHAPE, partial=True)
    assert "bn1.bias" in net.info.notes[0]
    np.testing.assert_array_equal(net.filters("conv1").values, trained.conv1.weight.detach().numpy())


def test_weights_of_another_network(tmp_path):
    path = save({f"encoder.{name}": each for name, each in torch.nn.Linear(3, 2).state_dict().items()}, tmp_path / "w.pth")
    for partial in (False, True):
        with pytest.raises(ModelError, match="do not fit 'cifar_resnet:resnet20'.*Choose the architecture"):
            convscope.open(path, architecture=BUILD, picture_shape=SHAPE, partial=partial)


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (lambda: {"epoch": 3}, NotAModel, "no weights in it, only 'epoch'"),
        (lambda: {"state_dict": {}, "args": Path("x")}, Untrusted, "trust=True"),
        (lambda: [1, 2], NotAModel, "no weights in it"),
    ],
)
def test_files_without_weights(content, error, says, tmp_path):
    with pytest.raises(error, match=says):
        convscope.open(save(content(), tmp_path / "w.pth"), architecture=BUILD, picture_shape=SHAPE)


def test_a_whole_network_needs_no_architecture(trained, tmp_path):
    path = save(trained, tmp_path / "whole.pth")
    with pytest.raises(NotAModel, match="whole network"):
        convscope.open(path, architecture=BUILD, picture_shape=SHAPE, trust=True)


def test_weights_without_an_architecture_ask_for_it(trained, tmp_path):
    for ending in (".pth", ".safetensors"):
        with pytest.raises(NotAModel, match="architecture="):
            convscope.open(save(trained.state_dict(), tmp_path / f"w{ending}"), picture_shape=SHAPE)


def test_a_damaged_safetensors_file(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{broken}")
    with pytest.raises(NotAModel, match="damaged"):
        convscope.open(tmp_path / "w.safetensors", architecture=BUILD)


@pytest.mark.parametrize(
    ("architecture", "says"),
    [
        ("no_such_module:build", "Cannot import 'no_such_module'"),
        ("cifar_resnet:resnet21", "no attribute 'resnet21'"),
        ("cifar_resnet:ResNet", "raises TypeError|Cannot make"),
        ("math:pi", "float"),
        ("builtins:dict", "dict"),
        (dict, "'dict' gives a dict, but a torch.nn.Module is needed"),
        (7, "'int' gives a int"),
        (torch.nn.Linear, "'Linear', it raises TypeError: .*give a function that needs none"),
    ],
)
def test_architectures_that_cannot_be_made(architecture, says, trained, tmp_path):
    with pytest.raises(ModelError, match=says):
        convscope.open(save(trained.state_dict(), tmp_path / "w.pth"), architecture=architecture)


def test_an_architecture_for_another_kind_of_file(trained, tmp_path):
    with pytest.raises(InputError, match="for torch"):
        convscope.open(save(trained.state_dict(), tmp_path / "w.pth"), architecture="keras:VGG16")


def test_weights_of_keras_in_a_file_of_their_own(tmp_path):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    keras.applications.MobileNet(weights=None).save_weights(tmp_path / "m.weights.h5")
    net = convscope.open(tmp_path / "m.weights.h5", architecture="keras:MobileNet")
    assert "mobilenet" in net.preprocess.origin
    assert "m.weights.h5" in net.info.source


def test_on_the_command_line(trained, tmp_path, monkeypatch, capsys):
    save(trained.state_dict(), tmp_path / "w.pth")
    (tmp_path / "nets_of_mine.py").write_text(Path(cifar_resnet.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    arguments = ["layers", "-m", "w.pth", "--architecture", "nets_of_mine:resnet20", "--shape", "3,32,32"]
    monkeypatch.setattr(sys, "argv", ["convscope", *arguments])
    app(arguments, standalone_mode=False)
    assert "layer3.2.conv2" in capsys.readouterr().out


RESNET20 = SHARED / "models" / "resnet20_cifar10.th"


@pytest.mark.skipif(not RESNET20.exists(), reason="needs ../shared")
def test_a_checkpoint_of_somebody_else():
    demo = pytest.importorskip("skimage") and convscope.demo
    classes = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    preprocess = convscope.Preprocess.parse("torch 32")
    net = convscope.open(RESNET20, architecture=BUILD, picture_shape=SHAPE, preprocess=preprocess, labels=classes)
    state = torch.load(RESNET20, weights_only=True, map_location="cpu")["state_dict"]
    module = cifar_resnet.resnet20().eval()
    module.load_state_dict({name.removeprefix("module."): each for name, each in state.items()})
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(module), atol=1e-5)
    (answers,) = net.predict(demo.picture(), top=1)
    assert answers[0][0] == "cat"
    assert [each.reading.read_at for each in net.look(demo.picture(), at="conv1").values()] == ["relu"]


# Names


def picture():
    skimage = pytest.importorskip("skimage")
    return Image.fromarray(skimage.data.chelsea())


def test_torchvision_by_name():
    torchvision()
    net = convscope.open("torchvision:resnet18")
    assert (len(net.layers.convolutions), net.layers.parameters) == (20, 11_689_512)
    assert net.graph["layer1.0.add"].inputs == ("layer1.0.bn2", "maxpool")
    assert net.info.source == "torchvision:resnet18, weights: random"
    assert "IMAGENET1K_V1" in net.preprocess.origin
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'"):
        convscope.open("torchvision:ResNet18")
    with pytest.raises(ModelError, match="There are: imagenet, IMAGENET1K_V1"):
        convscope.open("torchvision:resnet18", weights="IMAGENET22K")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "inception_v3"])
def test_pictures_for_torchvision_are_what_its_transforms_give(name):
    models = torchvision().models
    for tag in models.get_model_weights(name):
        card = convscope.Preprocess.from_dict(card_of_torchvision(tag))
        expected = tag.transforms()(picture()).numpy()
        np.testing.assert_allclose(prepare(picture(), card).values[0], expected, atol=1e-6, err_msg=str(tag))


def card_of_torchvision(tag):
    from convscope.engines.torch_names import _preprocess_of_torchvision

    return _preprocess_of_torchvision(tag)


def timm():
    torchvision()
    return pytest.importorskip("timm")


def test_timm_by_name():
    timm()
    net = convscope.open("timm:resnet18")
    assert net.layers.parameters == 11_689_512
    assert "timm" in net.preprocess.origin
    with pytest.raises(UnknownName, match="Did you mean 'resnet18'"):
        convscope.open("timm:resnt18")


def fine_tuned(name):
    """A network of a library for four classes instead of a thousand."""
    torch.manual_seed(2)
    home, _, short = name.partition(":")
    if home == "timm":
        return timm().create_model(short, num_classes=4).eval()
    return torchvision().models.get_model(short, weights=None, num_classes=4).eval()


@pytest.mark.parametrize("name", ["torchvision:squeezenet1_1", "torchvision:mobilenet_v3_small", "timm:mobilenetv3_small_050"])
def test_weights_for_another_number_of_classes_are_put_into_a_network_of_that_many(name, tmp_path, monkeypatch):
    module, load, loads = fine_tuned(name), torch.load, []
    monkeypatch.setattr(torch, "load", lambda *args, **options: loads.append(args) or load(*args, **options))
    path = save({"state_dict": module.state_dict()}, tmp_path / "w.pth.tar")
    pixels = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = module(pixels).numpy()
    for net in (convscope.open(name, weights=path), convscope.open(path, architecture=name)):
        assert net.info.source == f"{name} for 4 classes, weights: w.pth.tar"
        np.testing.assert_allclose(net.engine.run(pixels.numpy())["output"], expected, atol=1e-5)
        assert net.labels is None
    assert len(loads) == 2  # a file was read once to count the classes, and once more for the weights
    state = module.state_dict()
    last = list(state)[-1]
    save({**state, last: torch.zeros(5)}, path)  # weights of four classes, biases of five
    with pytest.raises(ModelError, match="of another shape"):
        convscope.open(path, architecture=name)


@pytest.mark.parametrize("ending", [".pth.tar", ".ckpt", ".bin"])
def test_checkpoints_by_the_names_that_training_scripts_give(trained, ending, tmp_path):
    path = save({"epoch": 3, "state_dict": trained.state_dict()}, tmp_path / f"best{ending}")
    net = convscope.open(path, architecture=BUILD, picture_shape=SHAPE)
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], answers_of(trained), atol=1e-6)
    (tmp_path / "pictures.tar").write_bytes(b"")
    with pytest.raises(NotAModel, match=r"its ending is '.tar'"):
        convscope.open(tmp_path / "pictures.tar")


def test_the_name_of_a_network_alone_is_told_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotAModel, match="no such file. A network is named with the library .* 'torchvision:resnet50'"):
        convscope.open("resnet50")
    for path in ("resnet50.onnx", "models/resnet50"):
        with pytest.raises(NotAModel) as found:
            convscope.open(path)
        assert "library" not in str(found.value)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "efficientnet_b0", "mobilenetv3_small_100", "regnety_002", "mixnet_s"])
def test_pictures_for_timm_are_what_its_transform_gives(name):
    data = timm().data
    net = convscope.open(f"timm:{name}")
    config = data.resolve_model_data_config(net.engine.module)
    expected = data.create_transform(**config, is_training=False)(picture()).numpy()
    np.testing.assert_allclose(prepare(picture(), net.preprocess).values[0], expected, atol=1e-6)


# Downloads of torchvision, from a server on this machine


@pytest.fixture
def server(tmp_path):
    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "served")

        def log_message(self, *_):
            pass

    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield tmp_path / "served", f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def test_weights_of_torchvision_are_fetched_checked_and_kept(server, tmp_path, monkeypatch):
    models, (folder, url) = torchvision().models, server
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    module = models.squeezenet1_1(weights=None).eval()
    save(module.state_dict(), folder / "w.pth")
    digest = hashlib.sha256((folder / "w.pth").read_bytes()).hexdigest()[:8]
    (folder / "w.pth").rename(folder / f"squeezenet1_1-{digest}.pth")
    (tag,) = models.SqueezeNet1_1_Weights
    cached = tmp_path / "cache" / "hub" / "checkpoints"

    def serve(name):
        monkeypatch.setattr(tag, "_value_", type(tag.value)(url + name, tag.value.transforms, tag.value.meta))

    serve(f"squeezenet1_1-{'0' * 8}.pth")
    with pytest.raises(DownloadError, match="404"):
        convscope.open("torchvision:squeezenet1_1", weights="imagenet")
    (folder / "squeezenet1_1-11111111.pth").write_bytes(b"something else")
    serve("squeezenet1_1-11111111.pth")
    with pytest.raises(DownloadError, match="another file"):
        convscope.open("torchvision:squeezenet1_1", weights="imagenet")
    assert list(cached.iterdir()) == []
    serve(f"squeezenet1_1-{digest}.pth")
    seen = []
    net = convscope.open("torchvision:squeezenet1_1", weights="imagenet", progress=lambda *numbers: seen.append(numbers))
    assert seen
    assert [each.name for each in cached.iterdir()] == [f"squeezenet1_1-{digest}.pth"]
    np.testing.assert_array_equal(net.filters("features.0").values, module.features[0].weight.detach().numpy())
    assert net.labels[281] == "tabby"
    assert net.info.source.endswith("weights: IMAGENET1K_V1")
    (folder / f"squeezenet1_1-{digest}.pth").unlink()
    convscope.open("torchvision:squeezenet1_1", weights="IMAGENET1K_V1")  # from the cache
