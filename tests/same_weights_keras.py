"""The architectures of same_weights.py in Keras: functional, channels last, on whatever backend Keras is."""

from __future__ import annotations

import keras
from keras import layers as L
from same_weights import ARCHITECTURES, PICTURE, weight


class Keras:
    """Steps that call a layer and give it its weights."""

    def conv(self, x, name, channels, units, *, size=3, groups=1, dilation=1):
        kernel, bias = weight(f"{name}.kernel", units, channels // groups, size, size), weight(f"{name}.bias", units)
        options = {"padding": "same", "dilation_rate": dilation, "name": name}
        if groups == channels > 1:
            layer, stored = L.DepthwiseConv2D(size, **options), kernel.transpose(2, 3, 0, 1)
        else:
            layer, stored = L.Conv2D(units, size, groups=groups, **options), kernel.transpose(2, 3, 1, 0)
        return called(layer, x, stored, bias)

    def up(self, x, name, channels, units):
        kernel, bias = weight(f"{name}.kernel", channels, units, 2, 2), weight(f"{name}.bias", units)
        return called(L.Conv2DTranspose(units, 2, strides=2, name=name), x, kernel.transpose(2, 3, 1, 0), bias)

    def norm(self, x, name, units):
        parts = [weight(f"{name}.{part}", units) for part in ("scale", "shift", "mean", "variance")]
        return called(L.BatchNormalization(epsilon=1e-3, name=name), x, *parts)

    def dense(self, x, name, inputs, units):
        return called(L.Dense(units, name=name), x, weight(f"{name}.kernel", units, inputs).T, weight(f"{name}.bias", units))

    def pool(self, x, name):
        return L.MaxPooling2D(name=name)(x)

    def relu(self, x, name):
        return L.ReLU(name=name)(x)

    def relu6(self, x, name):
        return L.ReLU(max_value=6.0, name=name)(x)

    def sigmoid(self, x, name):
        return L.Activation("sigmoid", name=name)(x)

    def mean(self, x, name):
        return L.GlobalAveragePooling2D(keepdims=True, name=name)(x)

    def flat(self, x, name):
        return L.Flatten(name=name)(x)

    def concat(self, parts, name):
        return L.Concatenate(name=name)(parts)

    def add(self, x, y, name):
        return L.Add(name=name)([x, y])

    def mul(self, x, y, name):
        return L.Multiply(name=name)([x, y])


def called(layer, x, *weights):
    result = layer(x)
    layer.set_weights(list(weights))
    return result


def in_keras(name: str) -> keras.Model:
    start = keras.Input((*PICTURE[1:], PICTURE[0]), name="picture")
    return keras.Model(start, ARCHITECTURES[name](Keras(), start), name=name)
