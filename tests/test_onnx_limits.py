"""The ONNX engine in use: two threads, a thousand calls, and what it says when there is not enough memory."""

import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from zoo_onnx import NETWORKS, Writer, chain, pictures, pixels

import convscope
from convscope.core import Edit, Tap
from convscope.engines.onnx import OnnxEngine
from convscope.engines.onnx_sessions import KEPT
from convscope.errors import EngineError, NotAModel, Unsupported
from convscope.pictures import Picture


def test_two_threads_on_one_network_each_get_their_own():
    engine, batch = OnnxEngine(NETWORKS["residual"]()), pictures(NETWORKS["residual"]())
    names = [row.name for row in engine.graph][1:]
    asked = [([name, "output"], [Edit(other, 0.5)]) for name in names for other in ("conv1", "relu2")]
    expected = [engine.run(batch, *each) for each in asked]
    wrong: list[str] = []

    def work(order):
        for at in order:
            run = engine.run(batch, *asked[at])
            wrong.extend(str(tap) for tap in run if not np.array_equal(run[tap], expected[at][tap]))

    threads = [threading.Thread(target=work, args=(order,)) for order in (range(len(asked)), reversed(range(len(asked))))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def resident() -> int:
    """Bytes of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read from /proc")
def test_a_thousand_calls_need_no_more_memory_than_a_hundred():
    """Of a network with 3 MB of weights, read at ever other places: a session that stayed would show within a few calls."""
    w = Writer()
    x = w.conv("picture", "conv1", 64, 3, 3, 3)
    for index in range(6):
        x = w.node("Relu", [w.conv(x, f"conv{index + 2}", 128 if index else 64, 128 if index > 1 else 64, 3, 3)], f"relu{index}")
    engine, batch = OnnxEngine(w.model(["n", 3, 3, 3], w.head(x, 128))), np.ones((1, 3, 3, 3), np.float32)
    names = [row.name for row in engine.graph][1:]
    most = 0
    for number in range(1000):
        taps = [names[number % len(names)]] if number % 20 == 0 else [Tap(names[-1]), "output"]
        engine.run(batch, taps, [Edit("conv1", 1.0 + number)])
        most = max(most, len(engine._sessions._kept))
        if number == 100:
            before = resident()
    assert most <= KEPT
    assert resident() - before < 20e6


def test_a_file_of_a_newer_kind_says_which_is_the_newest():
    with pytest.raises(Unsupported, match=r"IR version 99, and the newest that can be read here is \d+.*install a newer onnx"):
        OnnxEngine(chain(ir=99))


def test_a_file_that_is_larger_than_any_message_is_not_read(tmp_path):
    path = tmp_path / "net.onnx"
    with path.open("wb") as file:
        file.truncate(2**31)  # which takes no place on the disk
    with pytest.raises(NotAModel, match="2 GB or more.*save_as_external_data"):
        convscope.open(path)


def test_memory_that_is_not_there_is_counted():
    w = Writer()
    x = w.node("GlobalAveragePool", [w.conv("picture", "conv1", 4, 3, 3, 3)], "mean")
    x = w.node("Expand", [x, w.constant("large", np.array([1, 4, 2_000_000, 2_000_000]))], "expand")
    model = w.model([1, 3, 8, 8], w.node("Relu", [x], "relu"), ranks=(4,))
    engine = OnnxEngine(model)
    with pytest.raises(EngineError, match=r"'expand'.*asked for 64,000 GB of memory at once.*fewer pictures at a time"):
        engine.run(np.zeros((1, 3, 8, 8), np.float32))


# What a file says of its pictures


@pytest.mark.parametrize(
    ("said", "values", "order"),
    [
        ({"Image.NominalPixelRange": "NominalRange_0_255", "Image.BitmapPixelFormat": "Bgr8"}, (0, 255), "bgr"),
        ({"Image.NominalPixelRange": "Normalized_1_1", "Image.BitmapPixelFormat": "Rgb8"}, (-1, 1), "rgb"),
        ({"Image.NominalPixelRange": "Normalized_0_1"}, (0, 1), "rgb"),
    ],
)
def test_the_range_that_a_file_states_is_that_of_its_pictures(said, values, order):
    model = chain()
    onnx.helper.set_model_props(model, said)
    net = convscope.open(model)
    levels = net.preprocess.apply(Picture("two levels", np.repeat(np.uint8([0, 255]), 216).reshape(12, 12, 3)))
    assert (levels.min(), levels.max()) == values
    assert (net.preprocess.order, net.preprocess.origin) == (order, "the file's image metadata")


def test_a_file_that_takes_whole_numbers_gets_pixels():
    net = convscope.open(pixels())
    picture = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    scaled = net.maps(picture, at="scaled")["scaled"].values[0]
    np.testing.assert_array_equal(scaled, (picture / np.float32(255)).transpose(2, 0, 1))
    assert net.preprocess.origin == "the file takes whole numbers"
