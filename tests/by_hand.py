"""Networks of 4 x 4 pixels whose every number, gradients included, can be worked out by hand."""

import numpy as np

from convscope.core import Graph, Layer, Run, as_tap, merged


class Power:
    """y_k = sum_i weight[k, i] x_i^power over pictures (n, 1, 4, 4), so that dy_k/dx_i = power weight[k, i] x_i^(power - 1)."""

    framework = "by hand"

    def __init__(self, weight, power=2):
        self.weight, self.power = np.asarray(weight, np.float32).reshape(-1, 16), power
        classes = (len(self.weight),)
        self.graph = Graph(
            (Layer(0, "input", "input", "Input", (1, 4, 4)), Layer(1, "y", "other", "Power", classes, inputs=("input",)))
        )

    def weights(self, layer):
        self.graph[layer]
        return {}

    def run(self, pictures, taps=(), edits=()):
        values = self._values(pictures, edits)
        return Run({tap: values[tap.layer] for tap in map(as_tap, taps or ["output"])})

    def trace(self, pictures, taps=(), edits=()):  # noqa: ARG002 - all is traced
        return Traced(self, self._values(pictures, edits))

    def _values(self, pictures, edits):
        assert not merged(edits)
        pictures = np.asarray(pictures, np.float32)
        output = (pictures.reshape(-1, 16) ** self.power @ self.weight.T).astype(np.float32)
        return {"input": pictures, "y": output, "output": output}


class Traced:
    def __init__(self, engine, values):
        self.engine, self.values = engine, values

    def __getitem__(self, tap):
        return self.values[as_tap(tap).layer]

    def pullback(self, seeds, wrt):
        (seed,) = seeds.values()
        flat = self.values["input"].reshape(-1, 16)
        slope = self.engine.power * flat ** (self.engine.power - 1) * (seed @ self.engine.weight)
        assert list(wrt) == ["input"]
        return {"input": slope.reshape(self.values["input"].shape).astype(np.float32)}
