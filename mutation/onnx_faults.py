"""Faults in the ONNX engine, which has no gradients."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np
import zoo_onnx

from convscope.engines import onnx as engines
from convscope.engines import onnx_sessions
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_inputs import Inputs
from convscope.engines.onnx_layout import Layouts

NETWORKS = ("residual", "concatenation", "depthwise_separable", "two_outputs", "channels_last")


def engine(name):
    return OnnxEngine(zoo_onnx.NETWORKS[name]())


def pictures(name):
    return zoo_onnx.pictures(zoo_onnx.NETWORKS[name]())


def other_outputs(self, feed):
    values = RUN(self, feed)
    keys = list(values)
    return dict(zip(keys, [values[key] for key in keys[1:] + keys[:1]], strict=True))


def same_buffer(self, feed):
    return {read: BUFFERS.setdefault((read, value.shape), value) for read, value in RUN(self, feed).items()}


def without_edits(self, reads, _edited, *held, **threads):
    return GET(self, reads, (), *held, **threads)


def edit_once(edits):
    last = {edit.layer: edit for edit in edits}
    return dict(last)


def scale_only(self, edit, pictures):
    return replace(ON_TENSOR(self, edit, pictures), shift=0.0)


def unlike_the_batch(self, edit, start, size):
    found = OF_BATCH(self, edit, start, size)
    return replace(found, scale=np.asarray(np.abs(found.scale), np.float32))


def wrong_reduction(self, tap, edited):
    read = READ(self, tap, edited)
    return read._replace(axes=read.axes[:1]) if read.axes else read


def mirrored(self, name, array):
    return np.ascontiguousarray(RECEIVED(self, name, array)[..., ::-1])


def fed_as_it_is(self, values, tensor):
    return (
        values.reshape(np.moveaxis(values, 1, -1).shape)
        if self.last(tensor) and values.ndim > 2
        else NATIVE(self, values, tensor)
    )


NATIVE = Layouts.native
RECEIVED = Inputs._received
BUFFERS: dict[object, object] = {}
RUN, GET = onnx_sessions.Session.run, onnx_sessions.Sessions.get
ON_TENSOR, OF_BATCH, READ = OnnxEngine.on_tensor, OnnxEngine.of_batch, OnnxEngine._read
FAULTS = {
    "outputs in another order": lambda: patch.object(onnx_sessions.Session, "run", other_outputs),
    "arrays that another run writes into": lambda: patch.object(onnx_sessions.Session, "run", same_buffer),
    "an edit that is left out": lambda: patch.object(onnx_sessions.Sessions, "get", without_edits),
    "of several edits the last one only": lambda: patch.object(engines, "merged", edit_once),
    "an edit without its shift": lambda: patch.object(OnnxEngine, "on_tensor", scale_only),
    "an edit without its sign": lambda: patch.object(OnnxEngine, "of_batch", unlike_the_batch),
    "reduced over one axis of two": lambda: patch.object(OnnxEngine, "_read", wrong_reduction),
    "channels that are last are laid out as if they were first": lambda: patch.object(Layouts, "native", fed_as_it_is),
    "pictures are mirrored": lambda: patch.object(Inputs, "_received", mirrored),
}
