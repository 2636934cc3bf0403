"""Each method on 4 x 4 numbers that are worked out by hand, and the identities that hold for any network."""

import inspect

import numpy as np
import pytest
from by_hand import Power
from torchvision_ops import torchvision

from convscope.engines.fake import FakeEngine
from convscope.errors import EngineError, InputError, Unsupported, WrongOption
from convscope.methods import backward_rules, cam, extremal, gradients, perturbation
from convscope.methods.explain import METHODS
from convscope.methods.resize import bilinear, bilinear_back
from convscope.methods.targets import Unit, resolve

X = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4) / 8
W = np.linspace(-1, 1, 16, dtype=np.float32)
ENGINE = Power([W, -2 * W])
PICTURES = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 8, 8)).astype(np.float32)
EXAMPLES = {}  # by the method's name, the test that works it out by hand


def example_of(*methods):
    def mark(test):
        EXAMPLES.update(dict.fromkeys(methods, test))
        return test

    return mark


@pytest.fixture
def target():
    return resolve(ENGINE, X, 0)


@example_of("saliency")
def test_saliency_is_the_size_of_the_slope(target):
    found = gradients.saliency(ENGINE, X, target)
    np.testing.assert_allclose(found.values.ravel(), np.abs(2 * W * X.ravel()), rtol=1e-6)
    np.testing.assert_allclose(found.score, [(W * X.ravel() ** 2).sum()], rtol=1e-6)


@example_of("input-x-gradient")
def test_input_x_gradient_of_a_square_is_twice_the_score(target):
    found = gradients.input_x_gradient(ENGINE, X, target)
    np.testing.assert_allclose(found.values.ravel(), 2 * W * X.ravel() ** 2, rtol=1e-6)
    np.testing.assert_allclose(found.delta, found.score, rtol=1e-5)


@example_of("smooth-grad", "var-grad")
def test_smooth_grad_of_a_square_is_the_slope_at_the_mean_of_the_noise(target):
    noise = np.random.default_rng(1).normal(size=(5, *X.shape)).astype(np.float32)
    found = gradients.smooth_grad(ENGINE, X, target, noise=noise)
    np.testing.assert_allclose(found.values, 2 * W.reshape(X.shape) * (X + noise.mean(0)), rtol=1e-5, atol=1e-6)
    variance = gradients.var_grad(ENGINE, X, target, noise=noise)
    np.testing.assert_allclose(variance.values, (2 * W.reshape(X.shape)) ** 2 * noise.var(0), rtol=1e-5)
    expected = np.sqrt(variance.values.sum() / 5) / np.sqrt((found.values**2).sum())
    np.testing.assert_allclose(found.delta, [expected], rtol=1e-5)


def test_the_noise_is_a_share_of_the_pictures_range_and_of_a_seed(target):
    one, same = (gradients.smooth_grad(ENGINE, X, target, samples=4, seed=3).values for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, gradients.smooth_grad(ENGINE, X, target, samples=4, seed=4).values)
    narrow = gradients.var_grad(ENGINE, X, target, samples=400, spread=0.1).values
    expected = (2 * W * 0.1 * np.ptp(X)) ** 2
    np.testing.assert_allclose(narrow.ravel()[[0, 15]], expected[[0, 15]], rtol=0.3)


@example_of("integrated-gradients")
@pytest.mark.parametrize("rule", ["gauss", "middle", "trapezoid"])
def test_integrated_gradients_of_a_square_are_exact(target, rule):
    found = gradients.integrated_gradients(ENGINE, X, target, baselines=[np.float32(0.5)], steps=4, rule=rule)
    np.testing.assert_allclose(found.values.ravel(), W * (X.ravel() ** 2 - 0.25), rtol=1e-5, atol=1e-6)
    assert abs(found.delta[0]) < 1e-5


def test_the_left_sum_misses_by_the_width_of_its_steps(target):
    # Of f(t) = 2 w x^2 t the left sum of n steps is (1 - 1 / n) of the integral, and the right one (1 + 1 / n).
    for rule, sign in (("left", -1), ("right", 1)):
        found = gradients.integrated_gradients(ENGINE, X, target, baselines=[0], steps=4, rule=rule)
        np.testing.assert_allclose(found.values.ravel(), W * X.ravel() ** 2 * (1 + sign / 4), rtol=1e-5)
        np.testing.assert_allclose(found.delta, found.score * sign / 4, rtol=1e-4)


def test_several_baselines_are_averaged(target):
    parts = [gradients.integrated_gradients(ENGINE, X, target, baselines=[each], steps=3) for each in (0, 1)]
    both = gradients.integrated_gradients(ENGINE, X, target, baselines=[0, 1], steps=3)
    np.testing.assert_allclose(both.values, (parts[0].values + parts[1].values) / 2, rtol=1e-6, atol=1e-7)
    assert abs(both.delta[0]) < 1e-5


def test_steps_are_raised_until_the_gap_is_small():
    steep = Power([np.ones(16)], power=9)
    target = resolve(steep, X, Unit("y", 0))
    few = gradients.integrated_gradients(steep, X, target, baselines=[0], steps=2)
    enough = gradients.integrated_gradients(steep, X, target, baselines=[0], steps=2, tolerance=1e-4)
    assert abs(few.delta[0]) > 1e-2 * few.score[0]
    assert abs(enough.delta[0]) <= 1e-4 * enough.score[0]
    assert enough.notes == ("8 steps, gauss",)
    never = gradients.integrated_gradients(steep, X, target, baselines=[0], steps=800, rule="left", tolerance=1e-6)
    assert "not under" in never.notes[1]


@example_of("expected-gradients")
def test_expected_gradients_of_a_square(target):
    among = np.stack([np.zeros((1, 4, 4)), np.ones((1, 4, 4))]).astype(np.float32)
    found = gradients.expected_gradients(ENGINE, X, target, among=among, samples=400)
    expected = W * (X.ravel() ** 2 - 0.5)
    np.testing.assert_allclose(found.values.ravel(), expected, atol=0.05 * np.abs(expected).max())
    assert abs(found.delta[0]) < 0.05 * abs(found.score[0])


def test_rules_and_steps_that_do_not_exist_are_refused(target):
    with pytest.raises(WrongOption, match="gauss"):
        gradients.integrated_gradients(ENGINE, X, target, baselines=[0], rule="simpson")
    with pytest.raises(InputError, match="at least one step"):
        gradients.integrated_gradients(ENGINE, X, target, baselines=[0], steps=0)
    with pytest.raises(InputError, match="baseline of shape"):
        gradients.integrated_gradients(ENGINE, X, target, baselines=[np.zeros((3, 3))])
    with pytest.raises(InputError, match="at least 2 samples"):
        gradients.smooth_grad(ENGINE, X, target, samples=1)


def test_a_gradient_that_is_not_finite_is_an_error_that_says_so():
    root = Power([np.ones(16)], power=0.5)
    with pytest.raises(EngineError, match="16 values of 16 that are not finite"), np.errstate(divide="ignore"):
        gradients.saliency(root, np.zeros_like(X), resolve(root, X, Unit("y", 0)))


# Two units of 4 x 4: the first rises to the right, the second falls downwards. Their gradients are 2 and -1 in the upper half.
A = np.stack([np.tile(np.arange(4.0), (4, 1)), np.tile(3 - np.arange(4.0)[:, None], (1, 4))])[None].astype(np.float32)
G = np.zeros_like(A)
G[0, 0, :2], G[0, 1, :2] = 2, -1


@example_of("grad-cam")
def test_grad_cam_by_hand():
    # mean gradients are 1 and -1/2
    np.testing.assert_allclose(cam.grad_cam(A, G)[0], np.maximum(A[0, 0] - A[0, 1] / 2, 0))


@example_of("hires-cam")
def test_hires_cam_by_hand():
    expected = np.zeros((4, 4))
    expected[:2] = 2 * A[0, 0, :2] - A[0, 1, :2]
    np.testing.assert_allclose(cam.hires_cam(A, G)[0], expected)


@example_of("layer-cam")
def test_layer_cam_by_hand():
    expected = np.zeros((4, 4))
    expected[:2] = 2 * A[0, 0, :2]
    np.testing.assert_allclose(cam.layer_cam(A, G)[0], expected)


@example_of("grad-cam++")
def test_grad_cam_plus_plus_by_hand():
    # sum(a) is 24 for both: alpha of the first unit is 4 / (8 + 24 * 8) = 1/50 in the upper half; relu(g) of the second is 0
    np.testing.assert_allclose(cam.grad_cam_plus_plus(A, G)[0], 8 * 2 / 50 * A[0, 0], rtol=1e-6)


@example_of("eigen-cam")
def test_eigen_cam_of_maps_that_are_multiples_is_that_map():
    engine = FakeEngine()
    target = resolve(engine, PICTURES, 0)
    found = cam.eigen_cam(engine, PICTURES, target, "relu2")
    table = engine.run(PICTURES, ["relu2"])["relu2"].reshape(2, 4, -1)
    for number in range(2):
        values, vectors = np.linalg.eigh(table[number] @ table[number].T)
        expected = vectors[:, -1] @ table[number]
        np.testing.assert_allclose(found.values[number].ravel(), expected * np.sign(expected.sum()), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.delta[number], values[-1] / values.sum(), rtol=1e-4)


@example_of("cam")
def test_cam_by_hand():
    engine, picture = FakeEngine(), PICTURES[:1]
    maps, weights = engine.run(picture, ["relu2"])["relu2"][0], engine.weights("classes")
    found = cam.cam(engine, picture, resolve(engine, picture, 1), "relu2")
    expected = sum(weights["kernel"][1, unit] * maps[unit] for unit in range(4))
    assert expected.shape == (4, 4)
    np.testing.assert_allclose(found.values[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_with_a_mean_and_a_linear_head_the_cams_are_one(number):
    engine = FakeEngine()
    target = resolve(engine, PICTURES, number)
    whole = cam.cam(engine, PICTURES, target, "relu2")
    found = {
        name: cam.by_gradients(engine, PICTURES, target, ["relu2"], weigh=each)["relu2"] for name, each in cam.WEIGHED.items()
    }
    positions = whole.values[0].size
    np.testing.assert_allclose(found["hires-cam"].values * positions, whole.values, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["grad-cam"].values * positions, np.maximum(whole.values, 0), rtol=1e-5, atol=1e-6)
    bias = engine.weights("classes")["bias"][number]
    np.testing.assert_allclose(found["hires-cam"].delta, [-bias, -bias], atol=1e-5)
    np.testing.assert_allclose(whole.delta, 0, atol=1e-5)
    np.testing.assert_allclose(found["grad-cam"].units, whole.units, rtol=1e-5, atol=1e-6)


def test_cam_is_refused_where_it_would_be_wrong():
    engine = FakeEngine()
    with pytest.raises(Unsupported, match="grad-cam"):
        cam.cam(engine, PICTURES, resolve(engine, PICTURES, 0), "relu1")
    with pytest.raises(Unsupported, match="grad-cam"):
        cam.cam(engine, PICTURES, resolve(engine, PICTURES, 0, scale="probability"), "relu2")
    with pytest.raises(Unsupported, match="explains a class"):
        cam.cam(engine, PICTURES, resolve(engine, PICTURES, (0, 1)), "relu2")


def test_the_layer_is_the_last_one_with_maps_before_the_target():
    graph = FakeEngine().graph
    assert cam.last_with_maps(graph) == "relu2"
    assert cam.last_with_maps(graph, "conv2") == "relu1"


def test_a_layer_without_maps_has_no_cam():
    engine = FakeEngine()
    with pytest.raises(InputError, match=r"'mean' has no maps.*'relu2'"):
        cam.by_gradients(engine, PICTURES, resolve(engine, PICTURES, 0), ["mean"], weigh=cam.grad_cam)


@example_of("rise")
def test_rise_of_a_linear_network_finds_the_weights():
    weight = np.zeros(16)
    weight[5] = 1
    engine = Power([weight], power=1)
    target = resolve(engine, X, Unit("y", 0))
    found = perturbation.rise(engine, X, target, masks=2000, cells=4, kept=0.5)
    assert found.values.shape == (1, 4, 4)
    assert found.values[0].argmax() == 5
    # The score is x times the mask at position 5, 0 or 1 half the time: x where that is open against x / 2 over all masks.
    assert found.values[0, 1, 1] == pytest.approx(found.score[0] / 2, rel=0.1)
    assert abs(found.values[0, 3, 3]) < 0.03
    assert found.delta[0] < 0.2


@example_of("score-cam")
def test_score_cam_by_hand():
    engine, picture = FakeEngine(), PICTURES[:1]
    found = perturbation.score_cam(engine, picture, resolve(engine, picture, 1), "relu2")
    maps = engine.run(picture, ["relu2"])["relu2"]
    raised = np.zeros(4)
    for unit in range(4):
        large = bilinear(maps[0, unit][None], (8, 8))  # made larger first, then brought to 0..1, as in the paper
        mask = (large - large.min()) / (np.ptp(large) or 1)
        raised[unit] = engine.run(picture * mask)["output"][0, 1] - engine.run(np.zeros_like(picture))["output"][0, 1]
    np.testing.assert_allclose(found.units[0], raised, rtol=1e-4, atol=1e-5)
    share = np.exp(raised) / np.exp(raised).sum()
    np.testing.assert_allclose(found.values[0], np.maximum(np.tensordot(share, maps[0], 1), 0), rtol=1e-4, atol=1e-5)


@example_of("ablation-cam")
def test_ablation_cam_weighs_by_what_is_lost():
    engine, picture = FakeEngine(), PICTURES[:1]
    found = perturbation.ablation_cam(engine, picture, resolve(engine, picture, 2), "relu2")
    maps = engine.run(picture, ["relu2"])["relu2"][0]
    lost = engine.weights("classes")["kernel"][2] * maps.mean((1, 2))  # of a mean and a linear layer: the unit's own part
    np.testing.assert_allclose(found.units[0], lost, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.values[0], np.maximum(np.tensordot(lost, maps, 1), 0), rtol=1e-4, atol=1e-5)


@example_of("occlusion")
def test_occlusion_by_hand():
    """Of y = sum w x a window of one pixel filled with zeros loses w x there."""
    engine = Power([W], power=1)
    target = resolve(engine, X, Unit("y", 0))
    found = perturbation.occlusion_map(engine, X, target, window=1, stride=1, fill=0.0)
    np.testing.assert_allclose(found.values.ravel(), W * X.ravel(), rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="larger than the picture"):
        perturbation.occlusion_map(engine, X, target, window=5)


def test_windows_of_occlusion_that_leave_gaps_are_refused():
    """A map would say that what was never covered does not matter."""
    engine, picture = FakeEngine(), PICTURES[:1]
    target, side = resolve(engine, picture), picture.shape[2]
    with pytest.raises(InputError, match="leaves gaps.*stride of 2 at most"):
        perturbation.occlusion_map(engine, picture, target, window=2, stride=(2, 3))
    with pytest.raises(InputError, match="from 1 up"):
        perturbation.occlusion_map(engine, picture, target, window=2, stride=0)
    perturbation.occlusion_map(engine, picture, target, window=side - 1, stride=2 * side)  # the first and the last meet


def test_variants_of_several_pictures_are_refused():
    engine = FakeEngine()
    target = resolve(engine, PICTURES)
    for method in (perturbation.rise, perturbation.occlusion_map):
        with pytest.raises(InputError, match="one picture at a time"):
            method(engine, PICTURES, target)


@example_of("extremal")
def test_extremal_perturbation_keeps_what_the_score_needs():
    weight = np.zeros((4, 4))
    weight[:2, :2] = 1
    engine = Power([weight], power=1)
    picture = np.ones_like(X)
    found = extremal.extremal_perturbation(engine, picture, resolve(engine, X, Unit("y", 0)), area=0.25, cells=4)
    inside = found.values[0][:2, :2].mean()
    assert inside > 0.9
    assert (found.values[0].sum() - 4 * inside) / 12 < 0.1
    assert found.delta[0] == pytest.approx(4 * (inside - 1), rel=1e-4)


def test_bilinear_is_linear_between_centres_and_its_transpose_is_its_gradient():
    np.testing.assert_allclose(bilinear(np.array([[0.0, 1.0]], np.float32), (4,))[0], [0, 0.25, 0.75, 1])
    small, large = np.random.default_rng(0).normal(size=(2, 3, 4)), np.random.default_rng(1).normal(size=(2, 7, 9))
    inner = (bilinear(small, (7, 9)) * large).sum()
    np.testing.assert_allclose(inner, (small * bilinear_back(large, (3, 4))).sum(), rtol=1e-4)


def both_sides():
    """y = sum v relu(x) + u relu(-x) in torch, with x, v and u."""
    torch = pytest.importorskip("torch")
    from convscope.engines.torch import TorchEngine

    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 1, bias=False), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32, 2, bias=False)
    )
    v, u = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(np.float32)
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        module[3].weight.copy_(torch.from_numpy(np.stack([np.stack([v, u]).ravel(), np.zeros(32, np.float32)])))
    return TorchEngine(module.eval(), picture_shape=(1, 4, 4)), (X - X.mean()).astype(np.float32), v, u


@example_of("deconvnet", "guided-backprop")
def test_the_backward_rules_by_hand():
    """y = sum v relu(x) + u relu(-x): both let only positive slopes back, v and u; the guided one only where something passed."""
    engine, x, v, u = both_sides()
    goal, up, down = resolve(engine, x, 0), np.maximum(v, 0), np.maximum(u, 0)
    np.testing.assert_allclose(backward_rules.deconvnet(engine, x, goal).values[0, 0], up - down, rtol=1e-6, atol=1e-7)
    expected = up * (x[0, 0] > 0) - down * (x[0, 0] < 0)
    np.testing.assert_allclose(
        backward_rules.guided_backpropagation(engine, x, goal).values[0, 0], expected, rtol=1e-6, atol=1e-7
    )


@example_of("lrp")
def test_relevance_by_hand():
    """y = sum v relu(x) + u relu(-x): each hidden unit is worth what it adds to y, and comes from one position alone."""
    torchvision()  # which zennit imports
    pytest.importorskip("zennit", reason="zennit is not installed: pip install 'convscope[lrp]'")
    engine, x, v, u = both_sides()
    found = backward_rules.lrp(engine, x, resolve(engine, x, 0), composite="epsilon")
    worth = v * np.maximum(x[0, 0], 0) + u * np.maximum(-x[0, 0], 0)
    np.testing.assert_allclose(found.values[0, 0], worth, rtol=1e-3)
    np.testing.assert_allclose(found.score, [worth.sum()], rtol=1e-5)
    np.testing.assert_allclose(found.delta, [0], atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_an_example_by_hand(name):
    call = METHODS[name].call
    function = call.keywords["weigh"] if hasattr(call, "keywords") else inspect.unwrap(call)
    assert name in EXAMPLES, f"{name} is not worked out by hand"
    assert f".{function.__name__}(" in inspect.getsource(EXAMPLES[name])
