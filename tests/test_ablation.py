"""Many variants of one picture: ablation and occlusion, held and in batches, against one full run for each."""

from dataclasses import dataclass

import numpy as np
import pytest

from convscope.core import Edit, Layer, Resumable, Window
from convscope.engines.fake import PICTURE, FakeEngine
from convscope.errors import InputError, UnknownLayer, WrongOption
from convscope.methods.ablation import ablate_units, accuracy_without
from convscope.methods.linear import Quick, Step, each_way, fits, mixers
from convscope.methods.occlusion import blurred, occlusion, starts_along
from convscope.methods.resume import FromTheStart, at_once, held, score_many

CALL = Quick.__call__


@dataclass
class Class:
    """The output's value for one class."""

    number: int
    layer: str = "output"

    def values(self, read):
        return read[:, self.number]


class Plain:
    """An engine that can only run."""

    def __init__(self):
        self._fake, self.pictures = FakeEngine(), 0
        self.graph, self.framework, self.weights = self._fake.graph, "plain", self._fake.weights

    def run(self, pictures, taps=(), edits=()):
        self.pictures = max(self.pictures, len(pictures))
        return self._fake.run(pictures, taps, edits)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).normal(size=(3, *PICTURE)).astype(np.float32)


def test_an_engine_that_is_not_resumable_answers_the_same(pictures):
    plain = Plain()
    assert not isinstance(plain, Resumable)
    first = [Edit("conv1", 0.5), Edit("relu2", 2.0)]
    with_hold, without = held(FakeEngine(), pictures, "pool1", first), held(plain, pictures, "pool1", first)
    assert isinstance(without, FromTheStart)
    np.testing.assert_array_equal(without.value, with_hold.value)
    change = [Edit("conv2", -1.0)]
    for name in ("pool1", "add", "output"):
        np.testing.assert_array_equal(without.run([name], change)[name], with_hold.run([name], change)[name])
    one = held(plain, pictures[:1], "pool1", first)
    np.testing.assert_array_equal(one.run(repeat=2)["output"], with_hold.run()["output"][[0, 0]])
    with pytest.raises(InputError, match="'conv1' lies before"):
        without.run(["conv1"])
    with pytest.raises(UnknownLayer):
        without.run(["nowhere"])
    with pytest.raises(InputError, match="one picture at a time"):
        without.run(repeat=2)


@pytest.mark.parametrize("engine", [FakeEngine(), Plain()], ids=["held", "full runs"])
@pytest.mark.parametrize("layer", ["conv1", "pool1", "relu2", "mean"])
@pytest.mark.parametrize("value", [0.0, np.array([1, 2, 3, 4], np.float32)], ids=["zero", "means"])
def test_ablation_equals_a_full_run_for_each_unit(engine, layer, value, pictures):
    found = ablate_units(engine, pictures, layer, [3, 0, 1], value)
    for at, unit in enumerate([3, 0, 1]):
        whole = FakeEngine().run(pictures, [layer])[layer]
        whole[:, unit] = np.broadcast_to(value, 4)[unit]
        expected = FakeEngine().run(pictures, edits=[Edit(layer, 0.0, whole)])["output"]
        np.testing.assert_allclose(found[:, at], expected, atol=1e-5)


def torch_networks():
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
    nn = torch.nn

    class Residual(nn.Module):
        """After `conv` each channel goes its own way into two convolutions, one with a stride."""

        def __init__(self):
            super().__init__()
            self.stem, self.conv, self.bn = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 1), nn.BatchNorm2d(20)
            self.one, self.two = nn.Conv2d(20, 6, 3, 2, 2, 2), nn.Conv2d(20, 6, 1, 2)
            self.bn.running_mean.uniform_(-1, 1)
            self.head = nn.Linear(6, 3)

        def forward(self, x):
            x = self.stem(x)
            y = self.bn(self.conv(x))
            y += x
            y = torch.relu(y)
            return self.head(torch.relu(self.one(y) + self.two(y)).mean((2, 3)))

    class Shortcut(nn.Module):
        """What `conv` gives goes through `own` into `one`, and beside them; and as it was before the ReLU into another output."""

        def __init__(self):
            super().__init__()
            self.conv, self.one, self.bn = nn.Conv2d(3, 20, 3, padding=1), nn.Conv2d(20, 20, 1), nn.BatchNorm2d(20)
            self.own, self.two, self.head = nn.Conv2d(20, 20, 3, 1, 1, groups=20), nn.Conv2d(20, 6, 3), nn.Linear(6, 3)

        def forward(self, x):
            y = self.conv(x)
            z = torch.relu(y)
            mixed = torch.relu(self.one(self.own(z))) + z
            return self.head(torch.relu(self.two(mixed)).mean((2, 3))), self.bn(y)

    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        pooled = [nn.Conv2d(3, 20, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(320, 5)]
        softmax = [nn.Conv2d(3, 20, 1), nn.Softmax(1), nn.Conv2d(20, 4, 1), nn.Flatten()]
        return {
            "dense": (nn.Sequential(*pooled, nn.ReLU(), nn.Linear(5, 3)), "0", (["4"], [])),
            "two convolutions": (Residual(), "conv", (["one", "two"], [])),
            "shortcut": (Shortcut(), "conv", (["one"], ["relu"])),
            "channels are mixed": (nn.Sequential(*softmax), "0", ([], ["0"])),
        }


@pytest.mark.parametrize("name", ["dense", "two convolutions", "shortcut", "channels are mixed"])
def test_the_next_linear_layer_only_adds_the_difference(name, pictures, monkeypatch):
    from convscope.engines.torch import TorchEngine

    module, layer, expected = torch_networks()[name]
    engine = TorchEngine(module, picture_shape=PICTURE)
    assert mixers(engine.graph, layer) == expected
    proven = []
    monkeypatch.setattr("convscope.methods.ablation.each_way", lambda *args: proven.append(each_way(*args)) or proven[-1])
    found = ablate_units(engine, pictures, layer, value=0.3)
    assert all(bool(each) == bool(expected[0]) for each in proven)
    monkeypatch.setattr("convscope.methods.ablation.WORTHWHILE", 1000)
    slowly = ablate_units(engine, pictures, layer, value=0.3)
    np.testing.assert_allclose(found, slowly, atol=1e-5 * np.abs(slowly).max())


def test_a_unit_whose_change_is_gone_behind_the_relu_does_not_run(pictures, monkeypatch):
    """Here every other one: below zero before and after, so that nothing of it passes. The answer is the plain one."""
    import torch

    from convscope.engines.torch import TorchEngine

    module, layer, _ = torch_networks()["dense"]
    with torch.no_grad():
        module[0].bias[::2] = -100.0
    engine, ran = TorchEngine(module, picture_shape=PICTURE), []
    for number, pays in ((20, 16), (20, 1000), (8, 16)):  # all by the linear layer; by runs alone; few
        monkeypatch.setattr("convscope.methods.ablation.WORTHWHILE", pays)
        monkeypatch.setattr(Quick, "__call__", lambda *args, call=CALL: ran.append(len(args[1])) or call(*args))
        found = ablate_units(engine, pictures[:1], layer, range(number), value=-50.0)[0]
        for unit in range(number):
            off = np.zeros((20, 1, 1), np.float32)
            off[unit] = 1
            expected = engine.run(pictures[:1], edits=[Edit(layer, 1 - off, -50 * off)])["output"][0]
            np.testing.assert_allclose(found[unit], expected, atol=1e-5 * np.abs(expected).max())
    assert sum(ran[1:]) == 10  # besides the trial


def test_a_change_that_is_gone_on_the_way_to_the_linear_layer_may_be_read_elsewhere(pictures):
    """Every other unit is below zero before and after: nothing of it passes the ReLU, but what is read stands before that."""
    import torch

    from convscope.engines.torch import TorchEngine

    module, layer, _ = torch_networks()["shortcut"]
    with torch.no_grad():
        module.conv.bias[::2] = -100.0
    engine = TorchEngine(module, picture_shape=PICTURE)
    found = ablate_units(engine, pictures[:1], layer, value=-50.0, read="bn")[0]
    for unit in range(20):
        off = np.zeros((20, 1, 1), np.float32)
        off[unit] = 1
        expected = engine.run(pictures[:1], ["bn"], [Edit(layer, 1 - off, -50 * off)])["bn"][0]
        np.testing.assert_allclose(found[unit], expected, atol=1e-5 * np.abs(expected).max())


def test_units_that_are_replaced_by_what_they_are_need_no_run(pictures):
    engine = Plain()
    value = engine.run(pictures[:1], ["conv1"])["conv1"][0].copy()
    value[2] += 1
    found = ablate_units(engine, pictures[:1], "conv1", value=value)[0]
    plain = engine.run(pictures[:1])["output"][0]
    assert [bool(np.array_equal(each, plain)) for each in found] == [True, True, False, True]


def test_padding_that_is_called_same_is_more_behind_than_before(pictures):
    """On 8 places a kernel of 3 with a stride of 2 gives 4, and looks at one place behind the last."""
    import torch

    layer = Layer(1, "conv", "convolution", "Conv2D", window=Window((3, 3), (2, 2), (1, 1), "same"))
    kernel = np.random.default_rng(1).normal(size=(5, 3, 3, 3)).astype(np.float32)
    plain, off = pictures[:1], np.zeros_like(pictures[:1])

    def conv(maps):
        return torch.conv2d(
            torch.nn.functional.pad(torch.from_numpy(maps), (0, 1, 0, 1)), torch.from_numpy(kernel), stride=2
        ).numpy()

    step = Step(layer, kernel, conv(plain), plain, off)
    assert fits(step, 3)
    without = plain.repeat(3, 0) * (1 - np.eye(3, dtype=np.float32)[:, :, None, None])
    np.testing.assert_allclose(step.with_each(range(3), 3, last=False), conv(without), atol=1e-5)


def test_a_replaced_layer_does_not_run(pictures):
    from convscope.engines.torch import TorchEngine

    module, layer, ((one, two), _) = torch_networks()["two convolutions"]
    engine = TorchEngine(module, picture_shape=PICTURE)
    held, value = engine.hold(pictures, layer), engine.run(pictures, [one])[one]
    engine.module.one.weight.data.fill_(float("nan"))
    replaced = held.run([two, "output"], [Edit(one, 0.0, value)])
    assert np.isfinite(replaced["output"]).all()
    assert np.isnan(held.run(["output"], [Edit(one, 1.0, value)])["output"]).any()
    with pytest.raises(InputError):
        held.run([], [Edit(one, 0.0, value[:, :, :-1])])


def test_units_that_are_not_there_are_refused(pictures):
    with pytest.raises(InputError, match=r"no unit 4: it has 0 to 3"):
        ablate_units(FakeEngine(), pictures, "conv1", [0, 4, -1])
    with pytest.raises(InputError, match="lies before"):
        ablate_units(FakeEngine(), pictures, "relu2", read="conv1")


def test_accuracy_without_units_by_hand_and_in_any_order(pictures):
    engine, labels = FakeEngine(), [0, 1, 1]
    whole = accuracy_without(engine, pictures, labels, "conv1")
    parts = [accuracy_without(engine, pictures[i : i + 1], labels[i : i + 1], "conv1") for i in (2, 0, 1)]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    answers = [engine.run(pictures, edits=edits)["output"].argmax(1) for edits in ([], [Edit("conv1", unit_mask(2))])]
    right, still = ([int((answer[np.array(labels) == k] == k).sum()) for k in range(3)] for answer in answers)
    assert whole.right.tolist() == right
    assert whole.without[2].tolist() == still
    assert whole.pictures.tolist() == [1, 2, 0]
    for name in ("pictures", "right", "without"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    assert whole.drop[2] == pytest.approx((sum(right) - sum(still)) / 3)
    assert np.isnan(whole.drop_by_class[2, 2])
    assert whole.drop_by_class[2, 1] == (right[1] - still[1]) / 2
    with pytest.raises(InputError, match="Labels are numbers of classes from 0 to 2"):
        accuracy_without(engine, pictures, [0, 1, 3], "conv1", progress=pytest.fail)  # before anything is switched off
    with pytest.raises(InputError, match="one for each of 3 pictures"):
        accuracy_without(engine, pictures, [0, 1], "conv1")
    with pytest.raises(InputError, match="there are none"):
        accuracy_without(engine, pictures[:0], [], "conv1")
    with pytest.raises(InputError, match="cannot be added up"):
        whole.merge(accuracy_without(engine, pictures, labels, "conv2"))


def unit_mask(unit):
    mask = np.ones((4, 1, 1), np.float32)
    mask[unit] = 0
    return mask


def test_batches_stay_under_the_limit(pictures):
    plain, largest = Plain(), 4 * 8 * 8 * 4  # bytes of conv1's maps
    assert at_once(plain.graph, memory=4 * largest * 2) == 2
    assert at_once(plain.graph, "mean", memory=4 * largest * 2) > 2  # what follows is smaller
    told = []
    target = Class(1)
    found = score_many(plain, iter(pictures), target, memory=4 * largest * 2, number=3, progress=lambda *done: told.append(done))
    assert plain.pictures == 2
    assert told == [(2, 3), (3, 3)]
    np.testing.assert_array_equal(found, FakeEngine().run(pictures)["output"][:, 1])
    with pytest.raises(InputError, match="Give more memory"):
        at_once(plain.graph, memory=largest)


@pytest.mark.parametrize("fill", ["mean", "blur", 0.5, np.array([1, 2, 3], np.float32)[:, None, None]])
def test_occlusion_equals_a_full_run_for_each_place(fill, pictures):
    found = occlusion(FakeEngine(), pictures, Class(1), window=(3, 2), stride=2, fill=fill)
    assert found.starts == ((0, 2, 4, 5), (0, 2, 4, 6))
    cover = {"mean": pictures.mean((2, 3), keepdims=True), "blur": blurred(pictures, (3, 2))}.get(str(fill), fill)
    lost, covers = np.zeros((3, 8, 8)), np.zeros((8, 8))
    for i, top in enumerate(found.starts[0]):
        for j, left in enumerate(found.starts[1]):
            changed, box = pictures.copy(), np.s_[..., top : top + 3, left : left + 2]
            changed[box] = np.broadcast_to(cover, pictures.shape)[box]
            expected = FakeEngine().run(changed)["output"][:, 1]
            np.testing.assert_allclose(found.scores[:, i, j], expected, atol=1e-5)
            lost[box] += (found.score - expected)[:, None, None]
            covers[box] += 1
    np.testing.assert_allclose(found.drop((8, 8)), lost / covers, atol=1e-5)


def test_a_blur_is_the_mean_around_each_position(pictures):
    wide = np.pad(pictures, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    np.testing.assert_allclose(blurred(pictures, (3, 3))[:, :, 2, 7], wide[:, :, 2:5, 7:10].mean((2, 3)), atol=1e-5)


def test_windows_cover_the_whole_picture_and_no_more():
    assert starts_along(224, 32, 16) == tuple(range(0, 193, 16))
    assert starts_along(10, 4, 4) == (0, 4, 6)
    assert starts_along(4, 4, 9) == (0,)


def test_windows_that_do_not_fit_are_refused(pictures):
    engine = FakeEngine()
    with pytest.raises(InputError, match="larger than the picture"):
        occlusion(engine, pictures, Class(0), window=9)
    with pytest.raises(InputError, match="from 1 up"):
        occlusion(engine, pictures, Class(0), window=2, stride=0)
    with pytest.raises(WrongOption, match="mean"):
        occlusion(engine, pictures, Class(0), window=2, fill="men")
    with pytest.raises(InputError, match="does not fit"):
        occlusion(engine, pictures, Class(0), window=2, fill=np.ones(5, np.float32))
