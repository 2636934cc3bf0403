"""Why an answer, asked of Keras on every backend: the same numbers as from torch, and a model that is as it was after Ctrl-C."""

import numpy as np
import pytest

keras = pytest.importorskip("keras", reason="Keras is not installed: pip install 'convscope[keras]'")
torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'convscope[torch]'")
from torch import nn  # noqa: E402

from convscope.engines.keras import KerasEngine  # noqa: E402
from convscope.engines.torch import TorchEngine  # noqa: E402
from convscope.methods.explain import explain  # noqa: E402
from convscope.methods.targets import resolve  # noqa: E402

PICTURES = np.random.default_rng(0).normal(size=(1, 3, 12, 12)).astype(np.float32)
NATIVE = np.ascontiguousarray(PICTURES.transpose(0, 2, 3, 1))
METHODS = {
    "saliency": {},
    "integrated-gradients": {"options": {"steps": 4, "baselines": np.zeros_like(PICTURES)}},
    "grad-cam": {"layers": ["2"]},
    "occlusion": {"options": {"window": 6, "stride": 3}},
}


class Stops(keras.layers.Layer):
    """Ctrl-C, while the network runs."""

    armed = False

    def call(self, x):
        if self.armed:
            raise KeyboardInterrupt
        return x


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    parts = nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)
    return nn.Sequential(*parts).eval()


@pytest.fixture
def model(module):
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12, 12, 3)), layers.Conv2D(5, 3, activation="relu", name="0"), layers.Dropout(0.5),
            layers.Conv2D(6, 3, name="2"), Stops(name="stops"), layers.ReLU(), layers.GlobalAveragePooling2D(), layers.Dense(4),
        ]
    )  # fmt: skip
    weights = [each.detach().numpy() for each in module.parameters()]
    model.set_weights([each.transpose(2, 3, 1, 0) if each.ndim == 4 else each.T for each in weights])
    return model


def asked(engine, method, **options):
    (found,) = explain(engine, PICTURES, resolve(engine, PICTURES, 1), method, **options).values()
    return found


@pytest.mark.parametrize("method", METHODS)
def test_an_explanation_is_that_of_torch(module, model, method):
    expected = asked(TorchEngine(module, picture_shape=(3, 12, 12)), method, **METHODS[method])
    engine = KerasEngine(model)
    for _ in range(2):  # the second time by what was compiled in the first
        found = asked(engine, method, **METHODS[method])
        np.testing.assert_allclose(found.values, expected.values, atol=1e-5 * np.abs(expected.values).max())
        np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)


def state(model):
    return {
        "values": [np.array(keras.ops.convert_to_numpy(each)) for each in model.variables],
        "trained": [each.trainable for each in model.variables],
        "calls": ["call" in vars(each) for each in (model, *model.layers)],
        "output": model.predict(NATIVE, verbose=0),
    }


@pytest.mark.parametrize("method", METHODS)
def test_a_model_is_as_it_was_after_ctrl_c(model, method):
    engine, target = KerasEngine(model), resolve(KerasEngine(model), PICTURES, 1)
    before, stops = state(model), model.get_layer("stops")
    stops.armed = True
    with pytest.raises(KeyboardInterrupt):
        explain(engine, PICTURES, target, method, **METHODS[method])
    stops.armed = False
    after = state(model)
    assert {key: after[key] for key in ("trained", "calls")} == {key: before[key] for key in ("trained", "calls")}
    for one, other in zip([*before["values"], before["output"]], [*after["values"], after["output"]], strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.abs(asked(engine, method, **METHODS[method]).values).max() > 0
