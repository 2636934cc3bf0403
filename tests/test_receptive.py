"""What a unit sees: the rectangle that the graph gives is that in which pixels act on the unit."""

import numpy as np
import pytest

import convscope
from convscope.core import Graph, Layer, Window
from convscope.engines.fake import PICTURE, FakeEngine
from convscope.errors import InputError, Unsupported
from convscope.methods import receptive
from convscope.methods.centres import centres


def corners(size: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The first place, the last one, and one in the middle."""
    return sorted({tuple(0 for _ in size), tuple(each - 1 for each in size), receptive.middle(size)})


def acting(engine, layer: str, position: tuple[int, ...], pictures) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """[start, stop) of the pixels that change the place if any one of them alone is replaced: no method's own code."""
    place = (slice(None), slice(None), *position)
    size = pictures.shape[2:]
    first = engine.run(pictures, [layer])[layer][place]
    hit = np.zeros(size, bool)
    for pixel in np.ndindex(*size):
        changed = pictures.copy()
        changed[(slice(None), slice(None), *pixel)] += 9
        lower = pictures.copy()
        lower[(slice(None), slice(None), *pixel)] -= 9
        found = engine.run(np.concatenate([changed, lower]), [layer])[layer][place]
        hit[pixel] = (found != np.concatenate([first, first])).any()
    at = np.nonzero(hit)
    return tuple(int(each.min()) for each in at), tuple(int(each.max()) + 1 for each in at)


def law(engine, shape, *, layers=None, at_least: int) -> None:
    """Derived equals measured, for every row that is derived; and at least so many are."""
    sizes, checked = receptive.sizes_at(engine, shape), 0
    for layer in layers or engine.graph.names[1:]:
        for position in corners(sizes[layer]):
            try:
                found = receptive.derived(engine.graph, layer, position, sizes)
            except Unsupported:
                continue
            seen = receptive.measured(engine, layer, position, shape)
            if not any(seen.stop) and engine.graph[layer].kind == "activation":
                continue  # dead in all of the random pictures
            assert (found.start, found.stop) == (seen.start, seen.stop), (layer, position, found, seen)
            checked += 1
    assert checked >= at_least


@pytest.mark.parametrize("layer", ["conv1", "pool1", "classes"])
def test_one_pixel_after_the_other_says_the_same(layer):
    engine = FakeEngine()
    pictures = np.random.default_rng(0).normal(size=(4, *PICTURE)).astype(np.float32)
    for position in corners(receptive.sizes_of(engine.graph)[layer]):
        found = receptive.derived(engine.graph, layer, position)
        assert (found.start, found.stop) == acting(engine, layer, position, pictures)
        measured = receptive.measured(engine, layer, position, PICTURE)
        assert (measured.start, measured.stop) == acting(engine, layer, position, pictures)


def torch_networks():
    from torch import nn
    from zoo_torch import Written, conv, head

    def chain():
        return nn.Sequential(
            nn.Conv2d(3, 4, 5, stride=2, padding=1), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.AvgPool2d(3, 2, 1),
            nn.Conv2d(4, 4, (3, 1), dilation=(2, 1), padding="same"), nn.ELU(), nn.Conv2d(4, 3, 2), head(3),
        )  # fmt: skip

    def inception():
        def run(net, x):
            import torch

            x = net.stem(x)
            return net.head(net.last(torch.cat([net.one(x), net.three(x), net.pool(x) * 2], 1) + net.more(x)))

        parts = {"one": conv(4, 2, 1), "three": conv(4, 3, 3), "pool": nn.AvgPool2d(3, 1, 1), "more": conv(4, 9, 5)}
        return Written(run, stem=nn.Conv2d(3, 4, 3, 2), last=conv(9, 4), head=head(4), **parts)

    def decoder():
        up = nn.ConvTranspose2d(4, 4, 3, stride=2, padding=1, output_padding=1, dilation=1)
        return nn.Sequential(conv(3, 4, 3, stride=2), nn.Tanh(), up, nn.Upsample(scale_factor=2), nn.Conv2d(4, 2, 3, padding=0))

    def dilated_and_padded():
        return nn.Sequential(
            nn.ReflectionPad2d((2, 1, 3, 0)), nn.Conv2d(3, 4, 3, dilation=3), nn.ReplicationPad2d(2), nn.Conv2d(4, 4, 4, 3),
            nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), nn.AdaptiveAvgPool2d((3, 2)),
        )  # fmt: skip

    def attention():
        """Each place depends on all of them through the mean."""
        gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(4, 2, 1), nn.LeakyReLU(), conv(2, 4, 1), nn.Sigmoid())
        return Written(lambda net, x: net.last(net.stem(x) * net.gate(net.stem(x))), stem=conv(3, 4), gate=gate, last=conv(4, 2))

    def functions():
        """Poolings, paddings and convolutions that are calls, as in many a lesson."""
        import torch.nn.functional as F

        def run(net, x):
            x = F.max_pool2d(F.leaky_relu(net.one(x)), 2)
            x = F.avg_pool2d(F.pad(F.leaky_relu(net.two(x)), (1, 2, 0, 1)), (3, 2), stride=1, padding=1)
            x = F.conv2d(F.max_pool2d(x, 3, 1, 1), net.two.weight, stride=2, padding=1, dilation=2)
            return net.dense(torch.flatten(x, 1))

        import torch

        return Written(run, one=conv(3, 4, 5), two=conv(4, 4), dense=torch.nn.Linear(112, 3))

    def padded_paths():
        """Corners of `one` see only padding, where `two` sees pixels; what is made of their sum sees more of it than a corner."""
        one, two = nn.Conv2d(3, 4, 1, padding=1), nn.Conv2d(3, 4, 3, padding=2)
        return Written(lambda net, x: net.last(net.one(x) + net.two(x)), one=one, two=two, last=nn.Conv2d(4, 2, 3))

    return [chain, inception, decoder, dilated_and_padded, attention, functions, padded_paths]


@pytest.mark.parametrize("number", range(7))
def test_in_torch_the_graph_and_the_gradients_say_the_same(number):
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from convscope.engines.torch import TorchEngine

    build = torch_networks()[number]
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        engine = TorchEngine(build(), picture_shape=(3, 19, 22))
    law(engine, (3, 19, 22), at_least=12 if number < 6 else 8)


def layers_of_a_user():
    """Each derives from a layer of torch's, and looks elsewhere than that would."""
    import torch.nn.functional as F
    from torch import nn

    class Same(nn.Conv2d):  # timm's tf_ networks
        def forward(self, x):
            return super().forward(F.pad(x, (0, 1, 1, 1)))

    class Dilated(nn.Conv2d):
        def forward(self, x):
            return F.conv2d(x, self.weight, self.bias, padding=1, dilation=2)

    class Rolled(nn.Conv2d):
        def forward(self, x):
            return super().forward(x).roll(1, -1)

    class Funnel(nn.LeakyReLU):
        def forward(self, x):
            return super().forward(F.avg_pool2d(x, 3, 1, 1))

    class Pooled(nn.AvgPool2d):
        def forward(self, x):
            return super().forward(F.pad(x, (1, 0, 0, 1)))

    hooked, patched = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
    hooked.register_forward_hook(lambda _module, _args, out: F.avg_pool2d(out, 3, 1, 1))
    patched.forward = lambda x: F.conv2d(x, patched.weight, stride=2)
    return {
        "same": (Same(3, 3, 3, 2), False), "dilated": (Dilated(3, 3, 3), True), "rolled": (Rolled(3, 3, 3), False),
        "funnel": (Funnel(), False), "pooled": (Pooled(3, 2), False), "hooked": (hooked, False), "patched": (patched, True),
    }  # fmt: skip


def test_a_layer_of_a_user_looks_where_its_code_does():
    """Its class says what it derives from, and no more: fields that were called derived were too small, or elsewhere."""
    pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from torch import nn

    from convscope.engines.torch import TorchEngine

    pictures = np.random.default_rng(0).normal(size=(2, 3, 9, 9)).astype(np.float32)
    for name, (layer, derived) in layers_of_a_user().items():
        engine = TorchEngine(nn.Sequential(layer, nn.Tanh()), picture_shape=(3, 9, 9))
        field = receptive.receptive_field(engine, "1", (2, 2))
        assert (field.start, field.stop) == acting(engine, "1", (2, 2), pictures), name
        assert field.how.startswith("derived") == derived, name


def test_in_keras_the_graph_and_the_gradients_say_the_same():
    keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
    from convscope.engines.keras import KerasEngine

    layers = keras.layers
    start = keras.Input((18, 21, 3))
    x = layers.ZeroPadding2D(((0, 1), (2, 0)))(start)
    x = layers.Conv2D(4, 3, strides=2, activation="tanh")(x)
    x = layers.DepthwiseConv2D(3, strides=2, padding="same")(layers.BatchNormalization()(x))
    y = layers.SeparableConv2D(4, 3, padding="same")(layers.LeakyReLU()(x))
    x = layers.Concatenate()(
        [layers.AveragePooling2D(3, 1, "same")(x), y, layers.Conv2D(2, 3, dilation_rate=2, padding="same")(x)]
    )
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(4, 4, strides=3)(layers.Cropping2D(((1, 0), (0, 2)))(x))
    x = layers.UpSampling2D((1, 2))(x)
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(x)))
    x = layers.Multiply()([x, gate])
    model = keras.Model(start, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.1, 0.3, each.shape) * random.choice([-1, 1], each.shape) for each in model.get_weights()])
    for norm in (each for each in model.layers if isinstance(each, layers.BatchNormalization)):
        norm.moving_variance.assign(np.ones(norm.moving_variance.shape))
    law(KerasEngine(model), (3, 18, 21), at_least=40)


@pytest.mark.parametrize("name", ["depthwise_separable", "residual", "grouped_and_dilated", "one_dimension", "three_dimensions"])
def test_in_onnx_the_graph_and_changed_pictures_say_the_same(name):
    from zoo_onnx import NETWORKS

    from convscope.engines.onnx import OnnxEngine

    engine = OnnxEngine(NETWORKS[name]())
    shape = tuple(engine.graph.layers[0].shape)
    law(engine, shape, layers=[each.name for each in engine.graph if each.kind not in ("dense", "input")][:8], at_least=6)


def test_the_built_in_network_by_hand():
    """3 x 3 convolutions two by two, then three by three, with halving between: 5, 14, 40, 92, 196 pixels."""
    net = convscope.open("demo")
    sizes = [net.receptive_field(f"block{block}_conv{last}").size for block, last in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3))]
    assert sizes == [(5, 5), (14, 14), (40, 40), (92, 92), (196, 196)]
    field = net.receptive_field("block3_conv3", (0, 0))
    assert (field.stride, field.offset) == ((4, 4), (1.5, 1.5))
    assert (field.start, field.stop) == ((0, 0), (22, 22))  # 1.5 - 19.5 to 1.5 + 19.5, cut off at the edge
    assert net.receptive_field("predictions").size is None


def test_holes_of_a_dilated_kernel_at_the_edge_are_no_part_of_it():
    """Kernel 2, dilation 3, padded by 2: place 0 sees pixel 1 only, since pixel -2 is padding."""
    rows = (
        Layer(0, "input", "input", "Input", (1, 6)),
        Layer(1, "conv", "convolution", "Conv", (1, 7), inputs=("input",), window=Window((2,), (1,), (3,), ((2, 2),))),
    )
    found = receptive.derived(Graph(rows), "conv", (0,))
    assert (found.start, found.stop, found.size) == ((1,), (2,), (4,))


def test_what_one_path_alone_sees_in_its_corner_is_not_derived():
    """Place 0 sees a pixel through one path and padding through the other: what it sees along other axes is not sure."""
    wide = Window((3,), (1,), (1,), ((2, 2),))
    rows = (
        Layer(0, "input", "input", "Input", (1, 6)),
        Layer(1, "one", "convolution", "Conv", (1, 8), inputs=("input",), window=Window((1,), (1,), (1,), ((1, 1),))),
        Layer(2, "two", "convolution", "Conv", (1, 8), inputs=("input",), window=wide),
        Layer(3, "sum", "merge", "Add", (1, 8), inputs=("one", "two")),
        Layer(4, "last", "convolution", "Conv", (1, 6), inputs=("sum",), window=Window((3,), (1,), (1,), ((0, 0),))),
    )
    fields = receptive.Fields(Graph(rows))
    with pytest.raises(Unsupported, match="padding of one path"):
        fields.of("sum")
    found = fields.of("last")  # of whose places each sees a place of the sum that sees pixels through both
    assert (list(found.starts[0]), list(found.stops[0])) == ([0, 0, 0, 1, 2, 3], [3, 4, 5, 6, 6, 6])
    assert list(fields.of("one").stops[0]) == [0, 1, 2, 3, 4, 5, 6, 0]


def test_what_the_graph_does_not_show_is_measured_and_said():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    net = convscope.open(torch.nn.Sequential(torch.nn.PixelUnshuffle(2), torch.nn.Conv2d(4, 2, 3)), picture_shape=(1, 8, 8))
    found = net.receptive_field("1", (1, 0))
    assert (found.start, found.stop) == ((2, 0), (8, 6))
    assert "measured by gradients" in found.how
    assert "PixelUnshuffle" in found.how


def test_what_has_no_places_or_other_axes_is_not_derived():
    pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    from zoo_torch import PICTURES, ZOO

    net = convscope.open(ZOO["view_then_inplace"](), picture_shape=PICTURES["view_then_inplace"])
    with pytest.raises(Unsupported, match="getitem"):  # a slice of a flattened map, which the engine cannot differentiate either
        net.receptive_field("getitem")
    with pytest.raises(Unsupported, match="features"):
        convscope.open(ZOO["dense_only"](), picture_shape=PICTURES["dense_only"]).receptive_field(1)


def test_of_a_layer_whose_inputs_are_not_known_that_is_said():
    graph = Graph((Layer(0, "input", "input", "Input", (3, 8, 8)), Layer(1, "block", "network", "Block", (4, 8, 8))))
    for ask in (centres, receptive.edges):
        with pytest.raises(Unsupported, match=r"not known what feeds 'block' \(Block\)"):
            ask(graph, "block")


def test_a_network_of_any_size_needs_to_know_the_picture():
    from zoo_onnx import NETWORKS

    from convscope.engines.onnx import OnnxEngine

    engine = OnnxEngine(NETWORKS["any_size"]())
    with pytest.raises(Unsupported, match="picture_shape"):
        receptive.receptive_field(engine, "down")
    found = receptive.receptive_field(engine, "down", (2, 3), (3, 12, 14))
    assert (found.start, found.stop) == ((3, 5), (6, 8))


def test_crops_of_pictures_of_another_size_are_those_that_the_gradients_say():
    """A network that takes any size, opened with one and given another."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    nn = torch.nn
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Tanh(), nn.Conv2d(4, 5, 3, stride=2), nn.AdaptiveAvgPool2d(1)]
        net = convscope.open(nn.Sequential(*layers, nn.Flatten()), picture_shape=(3, 20, 20), preprocess="0..1")
    pictures = np.random.default_rng(0).uniform(size=(1, 3, 30, 26)).astype(np.float32)
    for maps, shape in (
        (net.look(pictures, at="convs"), (3, 30, 26)),
        (net.look(pictures[..., :20, :20], at="convs"), (3, 20, 20)),
    ):
        seen = receptive.Fields(maps.network.graph).of("2")
        for place in corners(maps["2"].values.shape[2:]):
            measured = receptive.measured(net.engine, "2", place, shape)
            assert seen.of(place) == (measured.start, measured.stop)
        sheet = maps.crops("2", units=[1])
        (top, left), (bottom, right) = seen.of(np.unravel_index(maps["2"].values[0, 1].argmax(), maps["2"].values.shape[2:]))
        np.testing.assert_array_equal(sheet.crops[0], maps.pictures[0].pixels[top:bottom, left:right])
    with pytest.raises(Unsupported, match="not fixed"):  # maps() runs nothing a second time
        net.maps(pictures, at="convs").crops("2")
    assert net.graph["2"].shape == (5, 4, 4)  # the network itself stays as it was opened


def test_a_place_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no place"):
        convscope.open("demo").receptive_field("block5_conv3", (8, 0))


def test_the_effective_field_lies_inside_and_is_strongest_in_the_middle():
    engine = FakeEngine()
    pictures = np.random.default_rng(0).uniform(1, 2, (8, *PICTURE)).astype(np.float32)
    field = receptive.effective(engine, "conv2", (1, 1), pictures)
    found = receptive.derived(engine.graph, "conv2", (1, 1))
    inside = np.zeros(field.shape, bool)
    inside[found.start[0] : found.stop[0], found.start[1] : found.stop[1]] = True
    assert field[~inside].max() == 0
    assert field.max() == field[2:4, 2:4].max()
    assert 0 < receptive.effective_size(field) < 6


def test_the_effective_field_needs_gradients():
    net = convscope.open("demo")
    with pytest.raises(Unsupported, match="gradients"):
        net.effective_field("block1_conv1", np.zeros((1, 3, 128, 128), np.float32))
