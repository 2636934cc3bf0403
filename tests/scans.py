"""What the tests of a scan share: small pictures in folders, the fake network, and a scan the long way."""

import numpy as np
from PIL import Image

from convscope import Network, Preprocess
from convscope.core import Tap
from convscope.engines.fake import PICTURE, FakeEngine
from convscope.results import NetworkInfo

CLASSES = ("ant", "bee", "cat")
LAYERS = ("conv1", "relu1", "relu2")


class Counting(FakeEngine):
    """The fake network, with a count of the pictures that it ran."""

    def __init__(self):
        self.pictures = 0
        super().__init__()

    def run(self, pictures, taps=(), edits=()):
        self.pictures += len(pictures)
        return super().run(pictures, taps, edits)


def network(engine=None, **preprocess):
    engine = engine or FakeEngine()
    info = NetworkInfo("fake", "a test", engine.framework, engine.graph)
    return Network(engine, info, Preprocess(size=PICTURE[1:], **preprocess), CLASSES)


def write_pictures(folder, count=20, size=(8, 8)):
    """Noise in a folder per class, of which each class has more of one colour. Returns (name, class) in the scan's order."""
    rng = np.random.default_rng(3)
    for number in range(count):
        label = number % len(CLASSES)
        pixels = rng.integers(0, 120, (*size, 3), np.uint8)
        pixels[..., label] += np.uint8(100)
        path = folder / CLASSES[label] / f"{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return sorted((f"{path.parent.name}/{path.name}", path.parent.name) for path in folder.rglob("*.png"))


def long_way(net, folder, names, layers):
    """{layer: whole maps (n, c, h, w)} and the outputs, picture by picture."""
    from convscope.pictures import prepare

    runs = [net.engine.run(prepare(folder / name, net.preprocess).values, [*map(Tap, layers), Tap("output")]) for name in names]
    return {name: np.concatenate([run[name] for run in runs]) for name in (*layers, "output")}


def same_tables(left, right):
    """Whether two scans have the same numbers, to the bit."""
    for name in ("units", "top_pictures", "pictures"):
        one, other = getattr(left, name), getattr(right, name)
        assert list(one) == list(other)
        for column in one:
            assert repr(one[column].tolist()) == repr(other[column].tolist()), (name, column)
    for layer in left.plan.maps:
        np.testing.assert_array_equal(left.class_maps(layer), right.class_maps(layer))
    for layer in left.plan.features:
        np.testing.assert_array_equal(left.features(layer), right.features(layer))
    assert left.plan.per_class == right.plan.per_class
    for layer, label in ((layer, label) for layer in left.layers for label in left.plan.classes if left.plan.per_class):
        for name in ("picture", "value", "position"):
            assert left.top(layer, 0, label=label).rows[name].tolist() == right.top(layer, 0, label=label).rows[name].tolist()
    if left.plan.pairs:
        for layer in left.layers:
            np.testing.assert_array_equal(left.correlation(layer), right.correlation(layer))
