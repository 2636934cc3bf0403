"""What can be explained: classes, pairs, units, regions, boxes, functions; and what is refused, with a way out."""

import warnings

import numpy as np
import pytest

from convscope.core import Graph, Layer, Run, Tap, as_tap
from convscope.engines.fake import FakeEngine
from convscope.errors import ConvscopeWarning, InputError, SeveralClasses, UnknownLayer, Unsupported, WrongClass, WrongOption
from convscope.methods import gradients
from convscope.methods.cam import cam
from convscope.methods.class_scores import class_number, named
from convscope.methods.faithfulness import deletion
from convscope.methods.occlusion import occlusion
from convscope.methods.targets import Box, Region, Unit, resolve
from convscope.network import Network
from convscope.pictures import Preprocess
from convscope.results import NetworkInfo
from convscope.targets import Target

ENGINE = FakeEngine()
PICTURES = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 8, 8)).astype(np.float32)
LABELS = ["tabby, tabby cat", "dog", "car"]
OUTPUT = ENGINE.run(PICTURES)["output"]


class Answers:
    """A network that answers `values` to every picture, as they are or as a softmax of a layer 'logits'."""

    framework = "by hand"

    def __init__(self, values, *, native="Softmax", output=None):
        self.values = {"logits": np.asarray(values, np.float32)}
        exponents = np.exp(self.values["logits"] - self.values["logits"].max(1, keepdims=True))
        self.values["end"] = exponents / exponents.sum(1, keepdims=True) if output is None else np.asarray(output, np.float32)
        shape = self.values["end"].shape[1:]
        kind = "activation" if native == "Softmax" else "other"
        self.graph = Graph(
            (
                Layer(0, "input", "input", "Input", (1, 2, 2)),
                Layer(1, "logits", "dense", "Dense", shape, inputs=("input",)),
                Layer(2, "end", kind, native, shape, inputs=("logits",)),
            )
        )

    def weights(self, _layer):
        return {}

    def run(self, pictures, taps=(), edits=()):
        assert not edits
        taps = [as_tap(tap) for tap in taps] or [Tap("output")]
        names = {tap: "end" if tap.layer == "output" else tap.layer for tap in taps}
        if unknown := [name for name in names.values() if name not in self.values]:
            raise self.graph.unknown(unknown[0])
        return Run({tap: np.repeat(self.values[name], len(pictures), 0) for tap, name in names.items()})


def values(target, engine=ENGINE):
    return target.seeds(engine.run(PICTURES, [target.layer])[target.layer])


def slope(score, at, step=1e-2):
    """The gradient of a score by differences, the long way."""
    result = np.zeros(at.shape)
    for index in np.ndindex(*at.shape[1:]):
        moved = [at.astype(np.float64).copy() for _ in range(2)]
        for each, sign in zip(moved, (1, -1), strict=True):
            each[(slice(None), *index)] += sign * step
        high, low = (score(each)[0] for each in moved)
        result[(slice(None), *index)] = (high - low) / (2 * step)
    return result


def test_without_a_target_it_is_each_pictures_top_answer():
    target = resolve(ENGINE, PICTURES)
    np.testing.assert_array_equal(values(target)[0], OUTPUT.max(1))
    assert target.classes == tuple(OUTPUT.argmax(1))


SEVERAL = np.random.default_rng(0).uniform(-1, 1, (4, 3, 8, 8)).astype(np.float32)[2:] + np.float32([1, -1, 0])[:, None, None]


@pytest.mark.parametrize("asked", [None, (None, 2)])
@pytest.mark.parametrize("scale", ["logit", "probability"])
def test_of_several_pictures_each_has_its_own_class_however_many_are_scored_at_a_time(asked, scale):
    output = ENGINE.run(SEVERAL)["output"]
    assert len({*output.argmax(1)}) == 2
    target = resolve(ENGINE, SEVERAL, asked, labels=LABELS, scale=scale)
    for number, picture in enumerate(SEVERAL):
        alone, one = resolve(ENGINE, picture[None], asked, labels=LABELS, scale=scale), target.of(number)
        assert (one.name, one.classes) == (alone.name, alone.classes)
        for mine, its in zip(one.seeds(output), alone.seeds(output), strict=True):
            np.testing.assert_array_equal(mine, its)
        together = occlusion(ENGINE, SEVERAL, target, window=3, stride=2).scores[number]
        np.testing.assert_allclose(together, occlusion(ENGINE, picture[None], alone, window=3, stride=2).scores[0], rtol=1e-5)


def test_a_target_of_several_pictures_is_no_target_of_one():
    target = resolve(ENGINE, SEVERAL)
    heat = np.ones((8, 8), np.float32)
    for asked in (
        lambda: resolve(ENGINE, SEVERAL[:1], target),
        lambda: occlusion(ENGINE, SEVERAL[:1], target, window=3, stride=2),
        lambda: gradients.saliency(ENGINE, SEVERAL[:1], target),
        lambda: cam(ENGINE, SEVERAL[:1], target, "relu2"),
        lambda: deletion(ENGINE, SEVERAL[:1], target, heat, steps=3),
    ):
        with pytest.raises(InputError, match=r"of 2 pictures.*target\.of\(0\)"):
            asked()


@pytest.mark.parametrize("method", ["cam", "saliency", "occlusion"])
def test_a_target_that_was_resolved_for_pictures_explains_each_of_them(method):
    net = Network(ENGINE, NetworkInfo("fake", "made by hand", "numpy", ENGINE.graph), Preprocess(size=(8, 8)), LABELS)
    every = net.explain(SEVERAL, method, target=resolve(ENGINE, SEVERAL))
    np.testing.assert_array_equal(every.values, net.explain(SEVERAL, method).values)
    np.testing.assert_array_equal(net.ablate(SEVERAL, target=resolve(ENGINE, SEVERAL)).drop, net.ablate(SEVERAL).drop)
    one = resolve(ENGINE, SEVERAL, "dog", labels=LABELS)  # the same class for all of them is a target of any picture
    np.testing.assert_array_equal(
        net.explain(SEVERAL[:1], method, target=one).values, net.explain(SEVERAL[:1], method, target="dog").values
    )


@pytest.mark.parametrize("asked", ["dog", 1, "1", np.int64(1), "DOG"])
def test_a_class_by_label_or_number(asked):
    score, seeds = values(resolve(ENGINE, PICTURES, asked, labels=LABELS))
    np.testing.assert_array_equal(score, OUTPUT[:, 1])
    np.testing.assert_array_equal(seeds, [[0, 1, 0]] * 2)


def test_any_name_of_a_class_will_do():
    assert resolve(ENGINE, PICTURES, "tabby cat", labels=LABELS).classes == (0, 0)


def test_a_class_against_another_is_the_difference():
    target = resolve(ENGINE, PICTURES, ("dog", "car"), labels=LABELS)
    score, seeds = values(target)
    np.testing.assert_allclose(score, OUTPUT[:, 1] - OUTPUT[:, 2])
    np.testing.assert_array_equal(seeds, [[0, 1, -1]] * 2)
    assert "'dog' against 'car'" in target.name


def test_the_logit_is_found_before_the_softmax():
    engine = Answers([[1.0, 3.0, 2.0]])
    target = resolve(engine, PICTURES, 1)
    assert target.layer == "logits"
    assert "before the softmax" in target.name
    np.testing.assert_array_equal(values(target, engine)[0], [3, 3])


def test_a_softmax_that_the_numbers_deny_is_not_believed():
    engine = Answers([[1.0, 3.0, 2.0]], output=[[9.0, 8.0, 7.0]])
    target = resolve(engine, PICTURES, 1)
    assert target.layer == "output"
    np.testing.assert_array_equal(values(target, engine)[0], [8, 8])


@pytest.mark.parametrize("against", [None, 2])
def test_a_probability_has_the_gradient_of_the_softmax(against):
    asked = 1 if against is None else (1, against)
    target = resolve(ENGINE, PICTURES, asked, scale="probability")
    exponents = np.exp(OUTPUT)
    share = exponents / exponents.sum(1, keepdims=True)
    score, seeds = values(target)
    np.testing.assert_allclose(score, share[:, 1] - (0 if against is None else share[:, against]), rtol=1e-5)
    np.testing.assert_allclose(seeds, slope(target.score, OUTPUT), atol=1e-3)


def test_a_saturated_softmax_is_said_and_the_logit_offered():
    engine = Answers([[0.0, 30.0, 0.0]])
    with pytest.warns(ConvscopeWarning, match="saturated.*scale='logit'"):
        target = resolve(engine, PICTURES, 1, scale="probability")
    assert "saturated" in target.notes[0]
    hidden = Answers([[0.0, 30.0, 0.0]], native="Unknown")
    with pytest.warns(ConvscopeWarning, match="No logits were found"):
        assert resolve(hidden, PICTURES, 1).layer == "output"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve(engine, PICTURES, 1)


def test_the_mean_of_a_unit_its_value_at_a_position_and_over_a_region():
    maps = ENGINE.run(PICTURES, ["conv2"])["conv2"]
    mask = np.zeros((4, 4), bool)
    mask[1:3, :2] = True
    for where, expected in ((None, maps[:, 1].mean((1, 2))), ((3, 0), maps[:, 1, 3, 0]), (mask, maps[:, 1, mask].mean(1))):
        target = resolve(ENGINE, PICTURES, Unit("conv2", 1, where))
        score, seeds = values(target)
        np.testing.assert_allclose(score, expected, rtol=1e-5)
        np.testing.assert_allclose(seeds.sum((1, 2, 3)), 1, rtol=1e-6)
        assert gradients.saliency(ENGINE, PICTURES, target).values.any()


def test_a_unit_of_a_dense_layer():
    score, _ = values(resolve(ENGINE, PICTURES, Unit("mean", 3)))
    np.testing.assert_allclose(score, ENGINE.run(PICTURES, ["mean"])["mean"][:, 3], rtol=1e-6)


def test_a_region_of_a_segmentation():
    output = np.random.default_rng(1).normal(size=(1, 3, 4, 4))
    engine = Answers([[0.0]], native="Unknown", output=output)
    mask = np.eye(4, dtype=bool)
    target = resolve(engine, PICTURES, Region("dog", mask), labels=LABELS)
    np.testing.assert_allclose(values(target, engine)[0], output[0, 1, mask].mean().repeat(2), rtol=1e-5)
    with pytest.raises(InputError, match="4 labels given, but the network has 3 classes"):  # it would be called by another name
        resolve(engine, PICTURES, Region(1, mask), labels=["background", *LABELS])
    with pytest.raises(Unsupported, match=r"Region\(label, mask\)"):
        resolve(engine, PICTURES, "dog", labels=LABELS)


@pytest.mark.parametrize("boxes_first", [False, True])
def test_a_box_of_a_detector(boxes_first):
    output = np.random.default_rng(2).normal(size=(1, 3, 20))
    engine = Answers([[0.0]], native="Unknown", output=output.transpose(0, 2, 1) if boxes_first else output)
    target = resolve(engine, PICTURES, Box(7, "car", boxes_first=boxes_first), labels=LABELS)
    np.testing.assert_allclose(values(target, engine)[0], output[0, 2, 7].repeat(2), rtol=1e-6)


def test_a_function_of_the_output():
    target = resolve(ENGINE, PICTURES, lambda output: ((output**2).sum(1), 2 * output))
    found = gradients.input_x_gradient(ENGINE, PICTURES, target)
    np.testing.assert_allclose(found.score, (OUTPUT**2).sum(1), rtol=1e-5)
    assert resolve(ENGINE, PICTURES, target) is target
    assert isinstance(target, Target)


def test_a_function_without_a_gradient_is_refused_where_one_is_needed():
    target = resolve(ENGINE, PICTURES, lambda output: output.max(1))
    np.testing.assert_allclose(target.values(OUTPUT), OUTPUT.max(1))
    with pytest.raises(InputError, match="occlusion"):
        gradients.saliency(ENGINE, PICTURES, target)


@pytest.mark.parametrize("wrong", [lambda output: output, lambda output: (output.max(1), output[:1])])
def test_a_function_that_gives_the_wrong_shape_is_refused(wrong):
    with pytest.raises(InputError, match=r"one number per picture, \(2,\)"):
        gradients.saliency(ENGINE, PICTURES, resolve(ENGINE, PICTURES, wrong))


def test_a_class_that_does_not_exist_offers_near_ones():
    with pytest.raises(WrongClass, match="Did you mean 'dog'") as error:
        resolve(ENGINE, PICTURES, "dgo", labels=LABELS)
    assert error.value.name == "dgo"
    assert str(WrongClass("xyz", ["cat", "dog"], 2)).endswith("They are 'cat', 'dog'.")
    with pytest.raises(WrongClass, match="has 3, 0 to 2"):
        resolve(ENGINE, PICTURES, 3)
    with pytest.raises(WrongClass, match="does not name its classes"):
        resolve(ENGINE, PICTURES, "dog")
    with pytest.raises(WrongClass):
        resolve(ENGINE, PICTURES, -1)


def test_units_positions_and_regions_that_do_not_exist():
    with pytest.raises(InputError, match="has no unit 4: it has 0 to 3"):
        resolve(ENGINE, PICTURES, Unit("conv2", 4))
    with pytest.raises(InputError, match=r"none at \(4, 0\)"):
        resolve(ENGINE, PICTURES, Unit("conv2", 0, (4, 0)))
    with pytest.raises(InputError, match="region is empty"):
        resolve(ENGINE, PICTURES, Unit("conv2", 0, np.zeros((4, 4), bool)))
    with pytest.raises(InputError, match=r"region has shape \(2, 2\)"):
        resolve(ENGINE, PICTURES, Unit("conv2", 0, np.ones((2, 2), bool)))
    with pytest.raises(UnknownLayer, match="conv2"):
        resolve(ENGINE, PICTURES, Unit("conv9", 0))
    with pytest.raises(WrongOption, match="probability"):
        resolve(ENGINE, PICTURES, 0, scale="percent")
    with pytest.raises(InputError, match="is a pair"):
        resolve(ENGINE, PICTURES, ("dog", "car", "cat"), labels=LABELS)


@pytest.mark.parametrize("labels", [["crane", "cat", "crane"], ["Crane, bird", "cat", "crane, machine"]])
def test_a_label_that_several_classes_have_is_refused_with_their_numbers(labels):
    with pytest.raises(SeveralClasses, match="0 .*, 2 .*by its number") as refused:
        class_number("crane", labels, 3)
    assert refused.value.numbers == (0, 2)
    assert class_number("2", labels, 3) == 2


def test_where_two_classes_have_a_label_the_number_stands_beside_it():
    assert [named(number, ["crane", "cat", "crane"]) for number in range(3)] == [
        "'crane' (class 0)",
        "'cat'",
        "'crane' (class 2)",
    ]


@pytest.mark.parametrize("asked", ["--5", "\u00b2", "-1"])
def test_what_only_looks_like_a_number_is_no_class(asked):
    with pytest.raises(WrongClass):
        class_number(asked, None, 3)
