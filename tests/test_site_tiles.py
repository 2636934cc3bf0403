"""Maps as the page receives them: unpacked again they are the values, to within half a step, and the numbers are exact."""

import json
import zlib
from base64 import b64decode, b64encode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convscope.core import Layer
from convscope.methods.maps import Reading
from convscope.results import FeatureMaps
from convscope.site.tiles import COLUMNS, NONFINITE, STEPS, embedded, kernels, payload, quantised, squeezed


def unpacked(packed: dict) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The long way back: columns by name, and levels (units, h, w)."""
    numbers = np.frombuffer(b64decode(packed["numbers"]), "<f4").reshape(len(packed["columns"]), packed["units"])
    differences = np.frombuffer(zlib.decompress(b64decode(packed["levels"])), np.uint8)
    levels = differences.reshape(packed["units"], *packed["size"]).astype(np.uint64)
    levels = np.cumsum(levels, axis=1) if packed["way"] == "gradient" else levels
    levels = np.cumsum(levels, axis=2) % 256 if packed["way"] != "plain" else levels
    return dict(zip(packed["columns"], numbers, strict=True)), levels


def restored(columns, levels) -> np.ndarray:
    low, high = (columns[name].astype(np.float64)[:, None, None] for name in ("low", "high"))
    return low + levels / STEPS * (high - low)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float32, (3, 4, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False)))
def test_a_value_is_off_by_at_most_half_a_step_of_its_maps_range(maps):
    columns, levels = unpacked(json.loads(payload("k", maps, {})))
    step = (columns["high"].astype(np.float64) - columns["low"]) / STEPS
    error = np.abs(restored(columns, levels) - maps)
    assert (error <= step[:, None, None] * 0.5001 + np.abs(maps) * 1e-6).all()


def test_the_numbers_are_those_of_the_values():
    maps = np.random.default_rng(0).normal(size=(130, 40, 30)).astype(np.float32)  # more than are worked on at a time
    columns, _ = quantised(maps)
    flat = maps.reshape(130, -1).astype(np.float64)
    for name, expected in {
        "low": flat.min(1), "high": flat.max(1), "max": flat.max(1), "mean": flat.mean(1), "active": (flat > 0).mean(1),
        "variance": flat.var(1), "peak": flat.argmax(1), "nonfinite": np.zeros(130),
    }.items():  # fmt: skip
        np.testing.assert_allclose(columns[name], expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert set(columns) == set(COLUMNS)


def test_the_numbers_are_those_that_units_are_ranked_by():
    maps = np.maximum(np.random.default_rng(1).normal(size=(1, 20, 9, 9)), 0).astype(np.float32)
    each = FeatureMaps(Layer(1, "c", "convolution", "Conv"), Reading("c", "r", True), maps, ("cat",))
    columns, _ = quantised(maps[0])
    for name in ("mean", "max", "active", "variance"):
        np.testing.assert_allclose(columns[name], each.statistics()[name], rtol=1e-5, err_msg=name)


def test_zero_and_the_ends_of_a_range_are_exact():
    maps = np.maximum(np.random.default_rng(2).normal(size=(8, 6, 6)), 0).astype(np.float32)
    columns, levels = quantised(maps)
    back = restored(columns, levels)
    assert (back[maps == 0] == 0).all()
    assert (back.reshape(8, -1).max(1) == maps.reshape(8, -1).max(1)).all()


def test_what_is_not_finite_keeps_a_level_of_its_own_and_leaves_the_range_alone():
    maps = np.arange(32, dtype=np.float32).reshape(2, 4, 4)
    maps[0, 0, 0], maps[0, 0, 1], maps[0, 3, 3] = np.nan, np.inf, -np.inf
    columns, levels = quantised(maps)
    assert (levels == NONFINITE).sum() == columns["nonfinite"].sum() == 3
    assert (columns["low"][0], columns["high"][0], columns["peak"][0]) == (2, 14, 14)
    assert (levels[1] != NONFINITE).all()


@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_a_map_of_one_value_has_one_level(value):
    columns, levels = quantised(np.full((1, 3, 3), value, np.float32))
    assert (levels == 0).all()
    assert columns["low"] == columns["high"] == value


def test_nothing_in_a_record_can_end_its_script():
    content = {"name": "</script><!-- \u2028"}
    assert "<" not in embedded(content)
    assert json.loads(embedded(content)) == content


@pytest.mark.parametrize(("shape", "size"), [((5,), [1, 1]), ((5, 7), [1, 7]), ((5, 2, 3, 4), [3, 8])])
def test_what_has_another_form_than_a_picture_is_drawn_as_one(shape, size):
    maps = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    packed = json.loads(payload("k", maps, {"answer": np.arange(5)}))
    columns, levels = unpacked(packed)
    assert packed["size"] == size
    np.testing.assert_array_equal(columns["answer"], np.arange(5))
    np.testing.assert_allclose(restored(columns, levels).max((1, 2)), maps.reshape(5, -1).max(1))


@pytest.mark.parametrize("way", ["plain", "left", "gradient"])
def test_levels_are_stored_the_way_that_suits_them_and_come_back(way):
    random = np.random.default_rng(0)
    levels = {
        "plain": np.where(random.random((9, 12, 15)) < 0.9, 0, random.integers(0, 256, (9, 12, 15))),
        "left": random.integers(0, 256, (9, 12, 1)) + np.arange(15),
        "gradient": random.integers(0, 256, (9, 1, 1)) + 3 * np.arange(12)[:, None] * np.arange(15),
    }[way].astype(np.uint8)
    how, squeezed_levels = squeezed(levels)
    assert how == way
    packed = {"units": 9, "size": [12, 15], "way": how, "columns": [], "numbers": "", "levels": b64encode(squeezed_levels)}
    np.testing.assert_array_equal(unpacked(packed)[1], levels)


def test_kernels_are_a_byte_a_weight():
    values = np.random.default_rng(0).normal(size=(5, 3, 2, 4)).astype(np.float32)
    packed = json.loads(kernels("k", np.arange(15).reshape(5, 3), values, 70000))
    peaks = np.frombuffer(b64decode(packed["peaks"]), "<f4")
    back = np.frombuffer(b64decode(packed["values"]), np.int8).reshape(values.shape) / 127 * peaks[:, None, None, None]
    assert np.abs(back - values).max() <= peaks.max() / 254 * 1.001
    np.testing.assert_array_equal(peaks, np.abs(values).max((1, 2, 3)))
    np.testing.assert_array_equal(np.frombuffer(b64decode(packed["inputs"]), "<u2"), np.arange(15))
