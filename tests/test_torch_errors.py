"""Each of these gets a sentence that says what to do."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")

from torch import nn  # noqa: E402
from zoo_torch import ZOO, Written, conv, head  # noqa: E402

import convscope  # noqa: E402
from convscope.engines.failures import asked, is_out_of_memory  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.errors import EngineError, InputError, UnknownLayer, Unsupported  # noqa: E402

BATCH = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_exported_programs_live_and_in_files(tmp_path):
    module = nn.Sequential(conv(3, 4), nn.ReLU(), head(4)).eval()
    program = torch.export.export(module, (torch.zeros(1, 3, 8, 8),))
    for file in ("net.pt", "net.pt2"):
        torch.export.save(program, tmp_path / file)
    for given in (program, program.module(), tmp_path / "net.pt", tmp_path / "net.pt2"):
        with pytest.raises(Unsupported, match=r"exported program.*Open the nn.Module (that )?it was made from"):
            convscope.open(given)


def test_a_network_without_convolutions_opens_and_says_so():
    net = convscope.open(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), picture_shape=(3, 8, 8))
    assert "no convolutions" in " ".join(net.info.notes)
    assert not net.layers.convolutions
    with pytest.raises(InputError, match="no convolutions.*at='all'"):
        net.maps(BATCH, at="blocks")
    assert "no convolutions" not in " ".join(convscope.open(ZOO["residual"](), picture_shape=(3, 8, 8)).info.notes)


def test_a_layer_that_is_never_called():
    net = convscope.open(ZOO["free_form"](), picture_shape=(3, 8, 8))
    assert net.graph.unused == ("never",)
    for call in (
        lambda: net.maps(BATCH, at="never"),
        lambda: net.engine.run(BATCH, ["never"]),
        lambda: net.engine.weights("never"),
        lambda: net.graph["never"],
    ):
        with pytest.raises(UnknownLayer, match="'never' is a layer of this network, but was not called"):
            call()


def test_two_networks_of_the_same_layer_names_are_kept_apart():
    nets = []
    for seed in (0, 1):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            module = nn.Sequential(conv(3, 4), nn.ReLU(inplace=True), head(4)).eval()
        nets.append((convscope.open(module, picture_shape=(3, 8, 8)), module))
    maps = [net.maps(BATCH, at="0")["0"].values for net, _ in nets]
    for values, (net, module) in zip(maps, nets, strict=True):
        with torch.no_grad():
            np.testing.assert_allclose(values, module[0](torch.from_numpy(BATCH)).numpy(), atol=1e-6)
        np.testing.assert_array_equal(net.filters("0").values, module[0].weight.detach().numpy())
    assert not np.allclose(*maps)


def test_lazy_layers_are_named_and_opened_after_one_call():
    module = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), head(4))
    with pytest.raises(Unsupported, match="lazy layers.*Call it once with a picture, then open it"):
        convscope.open(module, picture_shape=(3, 8, 8))
    assert nn.parameter.is_lazy(module[0].weight)  # nothing was made of it
    module(torch.from_numpy(BATCH))
    assert convscope.open(module, picture_shape=(3, 8, 8)).graph["0"].kernel == (4, 3, 3, 3)


def test_out_of_memory_says_how_much_and_what_lowers_it():
    def run(net, x):
        return net.head(net.stem(x) + (x.new_empty(1 << 50).sum() if len(x) == 3 else 0))

    engine = TorchEngine(Written(run, stem=conv(3, 4), head=head(4)), picture_shape=(3, 8, 8))
    with pytest.raises(EngineError, match=r"not enough memory for pictures of shape \(3, 3, 8, 8\): 4,503,599.6 GB more .*at="):
        engine.run(np.concatenate([BATCH, BATCH[:1]]))


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has ..."), ": 2.7 GB more"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; ...)"), ": 21.0 MB more"),
        (MemoryError("Unable to allocate 3.00 TiB for an array with shape (1,)"), ": 3,298.5 GB more"),
        (MemoryError(), ""),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 17592186044416 bytes."), ": 17,592.2 GB more"),  # JAX
        (RuntimeError("x\nOOM when allocating tensor with shape[1024,4194304] and type half on /job"), ": 8.6 GB more"),
    ],
)
def test_how_much_was_asked_for(error, says):
    assert is_out_of_memory(error)
    assert says in asked(error)


# What opens in a form of its own


def values_of(module, batch=BATCH):
    with torch.no_grad():
        return module.eval()(torch.from_numpy(batch).to(next(module.parameters()).dtype)).float().numpy()


def test_a_compiled_module_is_read_as_it_was_written_and_says_so():
    module = ZOO["inplace_relu"]()
    expected = values_of(module)
    for given in (
        torch.compile(module, backend="eager"),
        nn.Sequential(torch.compile(module, backend="eager")),
        nn.DataParallel(module),
    ):
        net = convscope.open(given, picture_shape=(3, 8, 8))
        assert any("torch.compile" in note or "DataParallel" in note for note in net.info.notes)
        np.testing.assert_allclose(net.engine.run(BATCH)["output"], expected, atol=1e-6)
        assert not any("_orig_mod" in name for name in net.graph.names)
    module.compile(backend="eager")  # in place
    assert any("torch.compile" in note for note in convscope.open(module, picture_shape=(3, 8, 8)).info.notes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_as_it_is_and_read_as_float32(dtype):
    module = nn.Sequential(conv(3, 4), nn.BatchNorm2d(4), nn.ReLU(inplace=True), head(4)).to(dtype)
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    np.testing.assert_array_equal(engine.run(BATCH)["output"], values_of(module))
    gradient = engine.trace(BATCH, ["0"]).pullback({"output": np.ones((2, 3), np.float32)}, ["input", "0"])
    assert {each.dtype for each in gradient.values()} == {np.dtype(np.float32)}
    assert all(each.any() for each in gradient.values())
    assert next(module.parameters()).dtype == dtype


def test_modules_in_lists_and_dicts_have_their_dotted_names():
    class Free(nn.Module):
        def __init__(self):
            super().__init__()
            self.stages = nn.ModuleList([conv(3, 4), conv(4, 4)])
            self.heads = nn.ModuleDict({"a": head(4), "b": head(4)})

        def forward(self, x):
            for stage in self.stages:
                x = torch.relu_(stage(x))
            return {name: each(x) for name, each in self.heads.items()}

    engine = TorchEngine(Free(), picture_shape=(3, 8, 8))
    assert {"stages.0", "stages.1", "heads.a.2", "heads.b.2", "relu", "relu#2"} <= set(engine.graph.names)
    assert set(engine.run(BATCH, ["output", "output:1"])) == set(map(convscope.core.Tap, ["output", "output:1"]))


@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm])
def test_a_kernel_that_is_computed_is_the_one_that_acts(norm):
    module = nn.Sequential(norm(conv(3, 4, bias=False)), nn.ReLU(), head(4)).eval()
    engine = TorchEngine(module, picture_shape=(3, 8, 8))
    kernel = torch.from_numpy(engine.weights("0")["kernel"])
    expected = nn.functional.conv2d(torch.from_numpy(BATCH), kernel, padding=1).numpy()
    np.testing.assert_allclose(engine.run(BATCH, ["0"])["0"], expected, atol=1e-6)
    assert "0" in engine.graph.names
    assert not any("parametrizations" in name for name in engine.graph.names)


def test_complex_numbers_are_refused_and_not_shown_by_their_real_part():
    spectrum = type("Spectrum", (nn.Module,), {"forward": lambda _self, x: torch.fft.fft2(x)})()
    size = type("Size", (nn.Module,), {"forward": lambda _self, x: x.abs()})()
    engine = TorchEngine(nn.Sequential(nn.Conv2d(3, 4, 3), spectrum, size), picture_shape=(3, 8, 8))
    pictures = np.ones((2, 3, 8, 8), np.float32)
    assert engine.run(pictures, ["2"])["2"].shape == (2, 4, 6, 6)
    with pytest.raises(Unsupported, match=r"^'1' holds complex numbers, which no map can show\. Take the layer before or after"):
        engine.run(pictures, ["1"])


def test_a_module_called_as_a_second_call_is_called_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleDict({"a": nn.Conv2d(3, 3, 1), "a#2": nn.ReLU()})

        def forward(self, x):
            return self.layers["a#2"](self.layers["a"](self.layers["a"](x)))

    with pytest.raises(Unsupported, match="Two layers of this network are called 'layers.a#2'"):
        TorchEngine(Twice(), picture_shape=(3, 4, 4))
