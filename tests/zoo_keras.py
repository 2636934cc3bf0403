"""Awkward small Keras networks with seeded random weights: `ZOO[name]()` is a model, `PICTURES[name]` the shape that it takes,
channels first as the protocol has it. They run on each of Keras' backends.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps

import keras
import numpy as np
from keras import layers as L
from keras import ops

ZOO: dict[str, Callable[[], keras.Model]] = {}
PICTURES: dict[str, tuple[int, ...] | dict[str, tuple[int, ...]]] = {}  # by the rows of the inputs, where there are several


def member(*picture: int, **pictures: tuple[int, ...]):
    """Registers a function that builds a network on pictures of this shape; seeds it, and gives BatchNorm a past."""

    def register(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
        @wraps(build)
        def seeded() -> keras.Model:
            keras.utils.set_random_seed(0)
            model = build()
            random = np.random.default_rng(0)
            for each in model.weights:
                if each.name in ("moving_mean", "bias", "beta"):
                    each.assign(random.uniform(-0.5, 0.5, each.shape))
                elif each.name in ("moving_variance", "gamma"):
                    each.assign(random.uniform(0.5, 2.0, each.shape))
            return model

        ZOO[build.__name__], PICTURES[build.__name__] = seeded, picture or pictures
        return seeded

    return register


def picture(*shape: int) -> keras.KerasTensor:
    return keras.Input(shape or (8, 8, 3), name="picture")


def conv(maps: int, name: str, size: int = 3, **options) -> L.Conv2D:
    return L.Conv2D(maps, size, padding=options.pop("padding", "same"), name=name, **options)


def head(x):
    return L.Dense(3, name="classes")(L.GlobalAveragePooling2D(name="mean")(x))


@member(3, 8, 8)
def sequential():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), conv(4, "conv1", activation="relu"), L.MaxPooling2D(name="pool"), conv(5, "conv2"),
         L.Activation("sigmoid", name="sigmoid"), L.Flatten(name="flat"), L.Dense(3, activation="softmax", name="classes")]
    )  # fmt: skip


@member(3, 8, 8)
def sequential_without_input():
    """Built by its first call."""
    model = keras.Sequential([conv(4, "conv1"), L.ReLU(name="relu1"), conv(4, "conv2"), L.Flatten(name="flat"), L.Dense(3)])
    model(np.zeros((2, 8, 8, 3), np.float32))
    return model


@member(3, 8, 8)
def residual():
    start = picture()
    x = L.ReLU(name="relu1")(conv(4, "conv1")(start))
    y = conv(4, "conv3")(L.ReLU(name="relu2")(conv(4, "conv2")(x)))
    return keras.Model(start, head(L.ReLU(name="relu3")(L.Add(name="add")([x, y]))))


@member(3, 8, 8)
def branches():
    """Two branches of one length: Keras runs "left" before "right", and lists it after it."""
    start = picture()
    right, left = conv(4, "right2")(conv(4, "right")(start)), conv(4, "left2")(conv(4, "left")(start))
    return keras.Model(start, head(L.Add(name="add")([right, left])))


@member(3, 8, 8)
def concatenation():
    start = picture()
    branches = [conv(2, f"conv{size}", size, activation="tanh")(start) for size in (1, 3, 5)]
    return keras.Model(start, head(conv(4, "mix", 1)(L.Concatenate(name="join")([*branches, start]))))


@member(3, 8, 8)
def norms_and_dropout():
    start = x = picture()
    for number, norm in enumerate((L.BatchNormalization, L.LayerNormalization, lambda name: L.GroupNormalization(2, name=name))):
        x = norm(name=f"norm{number}")(conv(4, f"conv{number}")(x))
        x = L.SpatialDropout2D(0.5, name=f"drop{number}")(L.LeakyReLU(0.1, name=f"leaky{number}")(x))
    return keras.Model(start, L.Dropout(0.5, name="drop")(head(x)))


@member(3, 8, 8)
def depthwise_and_separable():
    start = picture()
    x = L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="depthwise")(start)
    x = L.SeparableConv2D(5, 3, name="separable", activation="relu6")(x)
    return keras.Model(start, head(conv(4, "point", 1)(x)))


@member(4, 9, 9)
def grouped_and_dilated():
    start = picture(9, 9, 4)
    x = conv(6, "grouped", groups=2, strides=2, padding="valid")(start)
    return keras.Model(start, head(conv(4, "dilated", dilation_rate=2, activation="gelu")(x)))


@member(3, 8, 8)
def transposed():
    """An encoder and a decoder that gives a picture."""
    start = picture()
    x = conv(4, "down", strides=2, activation="relu")(start)
    x = L.PReLU(shared_axes=(1, 2), name="prelu")(L.Conv2DTranspose(5, 2, strides=2, name="up")(x))
    return keras.Model(
        start, L.Cropping2D(1, name="crop")(L.UpSampling2D(2, name="larger")(conv(3, "last", activation="sigmoid")(x)))
    )


@member(1, 8, 8)
def grey_without_bias():
    start = picture(8, 8, 1)
    x = L.ReLU(name="relu")(conv(4, "conv1", use_bias=False)(start))
    x = conv(2, "conv2", use_bias=False)(L.AveragePooling2D(2, name="pool")(x))
    return keras.Model(start, L.Dense(2, use_bias=False, name="classes")(L.Flatten(name="flat")(x)))


@member(3, 8, 8)
def shared():
    """A layer that runs three times, and a network that runs twice."""
    relu, body = L.ReLU(name="relu"), conv(3, "body")
    start = picture()
    block = keras.Sequential([keras.Input((8, 8, 3)), conv(3, "inner")], name="block")
    x = relu(body(relu(body(start))))
    return keras.Model(start, head(block(relu(block(x)))))


def inner(name: str) -> keras.Model:
    start = keras.Input((8, 8, 4))
    x = L.ReLU(name="relu")(conv(4, "conv")(start))
    return keras.Model(start, L.Add(name="add")([x, start]), name=name)


@member(3, 8, 8)
def nested():
    start = keras.Input((8, 8, 4))
    middle = keras.Model(start, L.ELU(name="elu")(inner("inner")(start)), name="middle")
    outer = picture()
    return keras.Model(outer, head(middle(conv(4, "conv")(outer))), name="outer")


@member(3, 8, 8)
def nested_sequential():
    return keras.Sequential(
        [keras.Sequential([keras.Input((8, 8, 3)), conv(4, "conv"), L.ReLU(name="relu")], name="body"), inner("end"),
         L.GlobalMaxPooling2D(name="max"), L.Dense(3, name="classes")]
    )  # fmt: skip


class Subclassed(keras.Model):
    """Control flow in Python, a layer that runs twice, lists of layers, and operations that are no layers."""

    def __init__(self):
        super().__init__()
        self.stem = conv(4, "stem")
        self.relu = L.ReLU(name="relu")
        self.blocks = [conv(4, f"block{number}") for number in range(2)]
        self.part = keras.Sequential([conv(4, "within"), L.ReLU(name="relu")], name="part")
        self.classes = L.Dense(3, name="classes")

    def call(self, x):
        x = self.relu(self.stem(x))
        for block in self.blocks:
            x = x + self.relu(block(x))
        return self.classes(ops.mean(self.part(x), (1, 2)))


@member(3, 8, 8)
def subclassed():
    model = Subclassed()
    model(np.zeros((2, 8, 8, 3), np.float32))
    return model


@member(3, 8, 8)
def bare_operations():
    start = picture()
    x = ops.relu(conv(4, "conv1")(start / 2 - 0.25))
    x = ops.concatenate([x, ops.sigmoid(x)], -1) * 2
    return keras.Model(start, head(conv(4, "conv2")(x)))


@member(3, 8, 8)
def tuple_output():
    start = picture()
    x = conv(4, "stem", activation="relu")(start)
    return keras.Model(start, (head(x), conv(2, "map")(x)))


@member(3, 8, 8)
def dict_output():
    start = picture()
    x = conv(4, "stem", activation="relu")(start)
    return keras.Model(start, {"classes": head(x), "map": conv(2, "map")(x)})


@member(2, 16)
def one_dimension():
    start = keras.Input((16, 2))
    x = L.MaxPooling1D(name="pool")(L.Conv1D(4, 5, activation="relu", name="conv1")(start))
    return keras.Model(start, L.Dense(3, name="classes")(L.GlobalAveragePooling1D(name="mean")(L.Conv1D(4, 3, name="conv2")(x))))


@member(2, 4, 6, 6)
def three_dimensions():
    start = keras.Input((4, 6, 6, 2))
    x = L.BatchNormalization(name="norm")(L.Conv3D(3, 3, padding="same", activation="relu", name="conv")(start))
    return keras.Model(start, L.Dense(2, name="classes")(L.Flatten(name="flat")(L.AveragePooling3D(2, name="pool")(x))))


@member(3, 8, 8)
def recurrent():
    """A layer that returns three arrays; the pixels of a map are its steps."""
    start = picture()
    steps = L.Reshape((4, 4), name="steps")(conv(4, "stem", strides=4)(start))
    out, *_ = L.LSTM(5, return_sequences=True, return_state=True, name="lstm")(steps)
    return keras.Model(start, L.Dense(2, name="classes")(L.GlobalAveragePooling1D(name="mean")(out)))


@member(3, 8, 8)
def squeeze_and_excite():
    start = picture()
    x = conv(4, "stem", activation="silu")(start)
    gate = conv(4, "more", 1, activation="sigmoid")(
        conv(2, "less", 1, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x))
    )
    return keras.Model(start, head(L.Multiply(name="excite")([x, gate])))


@member(3, 8, 8)
def reserved_names():
    start = picture()
    return keras.Model(start, L.Dense(3, name="output")(L.Flatten(name="flat")(conv(2, "input")(start))))


@member(12)
def dense_only():
    return keras.Sequential([keras.Input((12,)), L.Dense(8, activation="relu", name="hidden"), L.Dense(3, name="classes")])


@member(3, 8, 8)
def functional_with_a_call_of_its_own():
    """A functional model whose user wrote a `call` around it."""

    class Doubled(keras.Model):
        def __init__(self):
            start = picture()
            super().__init__(start, head(ops.relu(conv(4, "conv")(start))))

        def call(self, x, training=None, mask=None):
            return super().call(x * 2, training=training, mask=mask)

    return Doubled()


class Block(L.Layer):
    """A layer of the user's own that is made of layers, in a dict and a list."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first = conv(3, "first")
        self.rest = {"relu": L.ReLU(name="relu"), "last": [conv(3, "last", 1)]}

    def call(self, x):
        return self.rest["last"][0](self.rest["relu"](self.first(x))) + x


@member(3, 8, 8)
def made_of_its_users_layers():
    start = picture()
    return keras.Model(start, head(Block(name="block2")(Block(name="block1")(start))))


class Inner(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.conv = conv(4, "conv")

    def call(self, x):
        return ops.relu(self.conv(x))


class Outer(keras.Model):
    def __init__(self):
        super().__init__()
        start = keras.Input((8, 8, 3))
        self.middle = keras.Model(start, Inner(name="inner")(conv(3, "before", 1)(start)), name="middle")
        self.classes = L.Dense(3, name="classes")

    def call(self, x):
        return self.classes(ops.mean(self.middle(x), (1, 2)))


@member(3, 8, 8)
def subclassed_in_functional_in_subclassed():
    model = Outer()
    model(np.zeros((2, 8, 8, 3), np.float32))
    return model


@member(3, 8, 8)
def wrapped():
    """Layers around layers, of Keras' own; the vector of the spectral norm is no kernel."""
    start = picture()
    x = L.SpectralNormalization(conv(4, "conv"), name="bounded")(start)
    x = L.TimeDistributed(L.Dense(3, name="row"), name="rows")(L.Reshape((8, 32), name="lines")(x))
    return keras.Model(start, L.Bidirectional(L.GRU(2, name="gru"), name="both")(x))


@member(3, 8, 8)
def parts_of_maps():
    """Operations that are no layers, one with two outputs."""
    start = picture()
    left, right = ops.split(conv(4, "conv")(start), 2, axis=-1)
    x = ops.image.resize(ops.concatenate([left[:, 1:], right[:, :-1] * 2], -1), (4, 4))
    return keras.Model(start, [head(x), x, x])


@member(3, 8, 8)
def run_twice_for_a_gradient():
    """keras.RematScope throws values away, and runs layers again when a gradient is taken."""
    start = picture()
    with keras.RematScope("full"):
        return keras.Model(start, head(L.ReLU(name="relu")(conv(4, "conv")(start))))


@member(3, 8, 8)
def quantised_to_four_bits():
    """Its convolution stays as it is, Keras quantises dense layers only."""
    start = picture()
    x = L.Flatten(name="flat")(conv(4, "conv", strides=4, activation="relu")(start))
    model = keras.Model(start, L.Dense(3, name="classes")(L.Dense(7, name="hidden")(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line for every layer that stays as it is
        model.quantize("int4")
    return model


@member(picture=(3, 8, 8), depth=(1, 8, 8), gate=(4,))
def several_inputs():
    """A picture, its depth, and numbers beside them, in a dict; inside, a network that takes two."""
    start, depth, gate = picture(), keras.Input((8, 8, 1), name="depth"), keras.Input((4,), name="gate")
    left, right = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
    joined = keras.Model([left, right], L.ReLU(name="relu")(L.Add(name="add")([left, right])), name="joined")
    x = joined([conv(4, "colour")(start), conv(4, "far")(depth)])
    x = L.Multiply(name="gated")([x, L.Reshape((1, 1, 4))(L.Dense(4, activation="sigmoid", name="numbers")(gate))])
    return keras.Model({"picture": start, "depth": depth, "gate": gate}, head(x))


class Conditional(keras.Model):
    """Takes a dict of a picture and a list."""

    def __init__(self):
        super().__init__()
        self.stem, self.far, self.classes = conv(4, "stem"), conv(4, "far"), L.Dense(3, name="classes")

    def call(self, given):
        depth, gate = given["more"]
        return self.classes(ops.mean(ops.tanh(self.stem(given["picture"]) + self.far(depth)), (1, 2)) * gate)


@member(**{"input": (1, 8, 8), "input:1": (4,), "picture": (3, 8, 8)})
def dict_of_inputs():
    model = Conditional()
    more = [np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 4), np.float32)]
    model({"more": more, "picture": np.zeros((2, 8, 8, 3), np.float32)})
    return model


@member(picture=(3, 8, 8), which=())
def whole_number_input():
    """The number of a class beside the picture."""
    start, which = picture(), keras.Input((), dtype="int32", name="which")
    x = L.Activation("tanh", name="tanh")(conv(4, "stem")(start))
    return keras.Model([start, which], head(L.Add(name="add")([x, L.Reshape((1, 1, 4))(L.Embedding(5, 4, name="table")(which))])))
