"""Networks of Hugging Face: from a folder as transformers writes it, from a server as theirs is, and their pictures."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from PIL import Image  # noqa: E402
from torchvision_ops import torchvision  # noqa: E402

import convscope  # noqa: E402
from convscope import demo  # noqa: E402
from convscope.engines.torch_hub_preprocess import preprocess_of  # noqa: E402
from convscope.errors import ModelError, NotAModel, Untrusted  # noqa: E402
from convscope.pictures import Preprocess, from_card, read_pictures  # noqa: E402

SHARED = Path(__file__).parent.parent.parent / "shared"
BATCH = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
LABELS = {0: "cat", 1: "dog", 2: "bird"}
# `from transformers import ...` of some of its parts warns of what it means to replace.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def transformers():
    torchvision()  # it is imported by transformers
    return pytest.importorskip("transformers", reason="transformers is not installed: pip install 'convscope[hf]'")


@pytest.fixture(scope="module")
def saved(transformers, tmp_path_factory):
    """A folder that save_pretrained wrote, and the module that is in it."""
    folder = tmp_path_factory.mktemp("hub") / "tiny-resnet"
    sizes = {"embedding_size": 4, "hidden_sizes": [8, 8], "depths": [1, 1], "layer_type": "basic"}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        module = transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, id2label=LABELS)).eval()
    module.save_pretrained(folder)
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.875)
    processor.save_pretrained(folder)
    return folder, module


def logits(module):
    with torch.no_grad():
        return module(torch.from_numpy(BATCH)).logits.numpy()


def test_a_folder_opens_with_its_weights_labels_and_preprocessing(saved, monkeypatch):
    folder, module = saved
    monkeypatch.chdir(folder.parent)
    net = convscope.open("hf:./tiny-resnet")
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], logits(module), atol=1e-6)
    assert net.labels == ("cat", "dog", "bird")
    assert net.info.source == "hf:./tiny-resnet"
    assert not net.info.notes
    assert net.preprocess.size == (32, 32)
    assert "ConvNextImageProcessor" in net.preprocess.origin
    assert net.graph["resnet.embedder.embedder.convolution"].is_convolution
    assert net.predict(np.zeros((40, 50, 3), np.uint8), top=1)[0][0][0] in LABELS.values()


def test_other_weights_go_into_its_architecture(saved, tmp_path):
    folder, module = saved
    state = {name: each + 1 if each.is_floating_point() else each for name, each in module.state_dict().items()}
    torch.save(state, tmp_path / "w.pth")
    kernel = module.state_dict()["resnet.embedder.embedder.convolution.weight"].numpy() + 1
    for net in (
        convscope.open(f"hf:{folder}", weights=tmp_path / "w.pth"),
        convscope.open(tmp_path / "w.pth", architecture=f"hf:{folder}"),
    ):
        np.testing.assert_allclose(net.filters("resnet.embedder.embedder.convolution").values, kernel, atol=1e-6)
        assert net.info.source.endswith("weights: w.pth")


def changed(saved, tmp_path, **settings):
    folder = shutil.copytree(saved[0], tmp_path / "changed")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | settings))
    return f"hf:{folder}"


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"auto_map": {"AutoModel": "code.Net"}}, Untrusted, "code of its author"),
        ({"architectures": ["ResNetOfTomorrow"]}, ModelError, "ResNetOfTomorrow, which transformers .* does not have"),
        ({"model_type": "no such type"}, ModelError, "transformers cannot open"),
        ({"embedding_size": 5}, ModelError, "transformers cannot open|do not fit"),
        ({"architectures": ["ResNetForImageClassification"], "depths": [2, 1]}, ModelError, "missing: .*resnet.encoder"),
    ],
)
def test_folders_that_do_not_fit(settings, error, says, saved, tmp_path):
    with pytest.raises(error, match=says):
        convscope.open(changed(saved, tmp_path, **settings))


def test_what_is_missing_can_be_allowed_and_is_said(saved, tmp_path):
    name = changed(saved, tmp_path, depths=[2, 1])
    net = convscope.open(name, partial=True)
    assert "missing: resnet.encoder" in " ".join(net.info.notes)


def test_folders_without_a_network(transformers, tmp_path):  # noqa: ARG001 - without it there is another error
    with pytest.raises(NotAModel, match="no such folder"):
        convscope.open("hf:./nowhere")
    with pytest.raises(NotAModel, match=r"no 'config.json' in it"):
        convscope.open(f"hf:{tmp_path}")
    (tmp_path / "config.json").write_text("{broken")
    with pytest.raises(NotAModel, match="damaged"):
        convscope.open(f"hf:{tmp_path}")


# From a server


class Hub(BaseHTTPRequestHandler):
    """As huggingface.co answers for "cats/tiny-resnet"; of each file the first answer breaks off in the middle."""

    folder: Path
    broken: set[str] = set()  # noqa: RUF012 - one server per test
    asked: list[str] = []  # noqa: RUF012
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if not path.startswith(("/api/models/cats/tiny-resnet", "/cats/tiny-resnet")):
            return self.answer(404, b"", **{"X-Error-Code": "RepoNotFound"})
        names = sorted(each.name for each in self.folder.iterdir())
        if "/tree/" in path:
            tree = [{"type": "file", "path": each, "size": (self.folder / each).stat().st_size, "oid": each} for each in names]
            return self.answer(200, json.dumps(tree).encode())
        if path.startswith("/api/"):
            facts = {"id": "cats/tiny-resnet", "sha": "a" * 40, "siblings": [{"rfilename": each} for each in names]}
            return self.answer(200, json.dumps(facts).encode())
        content = (self.folder / path.rpartition("/")[2]).read_bytes()
        headers = {"ETag": f'"{len(content)}"', "X-Repo-Commit": "a" * 40, "Accept-Ranges": "bytes"}
        if self.command == "GET":
            self.asked.append(f"{path.rpartition('/')[2]} {self.headers.get('Range', '')}".strip())
        if start := int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0]):
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self.answer(206, content[start:], **headers)
        breaks = self.command == "GET" and path not in self.broken
        self.broken |= {path} if self.command == "GET" else set()
        return self.answer(200, content, cut=len(content) // 2 if breaks else None, **headers)

    def answer(self, status, content, cut=None, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content[:cut])
        self.close_connection = cut is not None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(saved, tmp_path, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")
    handler = type("Handler", (Hub,), {"folder": saved[0], "broken": set(), "asked": []})
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(hub.constants, "DOWNLOAD_CHUNK_SIZE", 100)  # what is less than one is not kept
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{running.server_port}")
        yield handler
        running.shutdown()


def test_a_repository_is_fetched_goes_on_where_it_broke_off_and_is_kept(server, saved, capfd):
    seen = []
    net = convscope.open("hf:cats/tiny-resnet", progress=lambda *numbers: seen.append(numbers))
    np.testing.assert_allclose(net.engine.run(BATCH)["output"], logits(saved[1]), atol=1e-6)
    assert net.info.source == "hf:cats/tiny-resnet"
    assert any(each.startswith("model.safetensors bytes=") for each in server.asked)
    assert seen[-1][0] == seen[-1][1] > 0
    server.asked.clear()
    convscope.open("hf:cats/tiny-resnet")
    assert server.asked == []  # from the cache
    assert capfd.readouterr() == ("", "")


def test_a_repository_that_is_not_there(server):  # noqa: ARG001
    with pytest.raises(ModelError, match="no public repository 'dogs/none'"):
        convscope.open("hf:dogs/none")
    with pytest.raises(ModelError, match="no name of a repository"):
        convscope.open("hf:a/b/c")


def test_a_user_without_a_network_is_told_what_to_do(server, monkeypatch):  # noqa: ARG001
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"put its config.json, .* into a folder, and open 'hf:./folder'"):
        convscope.open("hf:cats/tiny-resnet")


# Pictures

PROCESSORS = {
    "ConvNextImageProcessorPil": {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
    "ConvNextImageProcessorPil, stretched": {"size": {"shortest_edge": 384}},
    "MobileNetV1ImageProcessorPil": {},
    "MobileNetV2ImageProcessorPil": {},
    "EfficientNetImageProcessorPil": {},
    "EfficientNetImageProcessorPil, offset": {"rescale_offset": True, "rescale_factor": 1 / 127.5, "include_top": False},
    "BitImageProcessorPil": {},
    "LevitImageProcessorPil": {},
    "PoolFormerImageProcessorPil": {},
    "MobileViTImageProcessorPil": {"size": {"shortest_edge": 288}},
    "ViTImageProcessorPil": {},
    "SegformerImageProcessorPil": {},
    "CLIPImageProcessorPil": {},
}


@pytest.mark.parametrize("name", PROCESSORS)
def test_preprocessing_is_what_the_processor_does(name, transformers):
    processor = getattr(transformers, name.partition(",")[0])(**PROCESSORS[name])
    preprocess = Preprocess.from_dict(preprocess_of(processor))
    for each in photographs():
        expected = processor(images=Image.fromarray(each), return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(preprocess.apply(read_pictures(each)[0]), expected, rtol=0, atol=1e-6)


def photographs():
    """The built-in photograph, cut so that margins are odd and even, wide and tall."""
    pixels = read_pictures(demo.picture())[0].pixels
    return [pixels[:301, :251], pixels[:150, :287]]


def test_a_processor_that_does_more_is_not_claimed_to_be_known(transformers):
    """It pads a picture that is smaller than its crop."""
    processor = transformers.MobileViTImageProcessorPil(size={"shortest_edge": 224})
    card = {"preprocess": preprocess_of(processor), "reference": lambda pixels: processor(images=pixels)["pixel_values"][0]}
    assert from_card(card, (3, 256, 256)).origin == "assumed"
