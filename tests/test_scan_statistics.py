"""The statistics of a scan are monoids: any split, merged in any order, gives the same; each is NumPy's long way besides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.engines.fake import PICTURE, FakeEngine
from convscope.errors import InputError
from convscope.scan.dissection import Overlap, dissect
from convscope.scan.histogram import BINS, SIDE, Histogram, bins, edges
from convscope.scan.merging import GROUP, Tree, merged
from convscope.scan.packing import pack
from convscope.scan.plan import Part, Plan
from convscope.scan.selectivity import class_means, class_selectivity, mutual_information, top_precision
from convscope.scan.shards import Pooled, Statistics
from convscope.scan.statistics import ClassSums, CoMoments, Confusion, Firing, MapSums, Moments, Top

UNITS, CLASSES = 3, 2


@st.composite
def splits(draw):
    """Values of n pictures, made with many ties, and a partition of the pictures in an order of its own."""
    n = draw(st.integers(1, 14))
    few = st.sampled_from([-1.5, -0.0, 0.0, 0.25, 0.5, 3.0])
    number = st.one_of(few, st.floats(-1e3, 1e3, width=32))
    values = np.array(draw(st.lists(number, min_size=n * UNITS, max_size=n * UNITS)), np.float32).reshape(n, UNITS)
    labels = np.array(draw(st.lists(st.integers(-1, CLASSES - 1), min_size=n, max_size=n)))
    order = draw(st.permutations(range(n)))
    cuts = sorted(draw(st.lists(st.integers(0, n), max_size=4)))
    parts = [list(order[start:end]) for start, end in zip([0, *cuts], [*cuts, n], strict=True)]
    return values, labels, parts


def all_of(values, labels):
    """Every statistic of these pictures, in one update each."""

    def part(rows):
        v, y = values[rows], labels[rows]
        shares = np.clip(np.abs(v), 0, 1)
        positions = np.asarray(rows, np.float32)[:, None] + np.arange(UNITS, dtype=np.float32)
        maps = v[:, :, None, None] * np.ones((2, 2), np.float32)
        return (
            Moments().update(v),
            Firing().update(v, shares),
            Top(k=4).update(v, np.round(v), np.asarray(rows, np.int64), positions),
            Histogram(np.zeros((UNITS, BINS), np.uint32)).update(v),
            ClassSums(*(np.zeros(shape) for shape in ((CLASSES,), (CLASSES, UNITS), (CLASSES, UNITS)))).update(y, CLASSES, v, v),
            CoMoments().update(v),
            Confusion(np.zeros((CLASSES, CLASSES), np.int64)).update(y, (v[:, 0] > 0).astype(int), (CLASSES, CLASSES)),
            MapSums().update(y, maps),
        )

    return part


EXACT = {"count", "least", "greatest", "pictures", "everywhere", "values", "positions", "counts", "fired", "k"}


def same(left, right):
    for name in left.__dataclass_fields__:
        a, b = getattr(left, name), getattr(right, name)
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            for key in a:
                np.testing.assert_allclose(a[key], b[key], rtol=1e-9, atol=1e-6)
        elif name in EXACT or isinstance(left, Top):
            np.testing.assert_array_equal(a, b, err_msg=f"{type(left).__name__}.{name}")
        else:
            scale = max(1.0, float(np.max(np.abs(a), initial=0)))
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * scale, err_msg=f"{type(left).__name__}.{name}")


@given(splits())
@settings(max_examples=60, deadline=None)
def test_any_split_merged_in_any_order_is_the_same(case):
    values, labels, parts = case
    of = all_of(values, labels)
    merged = of([])
    for rows in parts:
        merged = tuple(a.merge(b) for a, b in zip(merged, of(rows), strict=True))
    backwards = of([])
    for rows in parts[::-1]:
        backwards = tuple(a.merge(b) for a, b in zip(of(rows), backwards, strict=True))
    for left, right, whole in zip(merged, backwards, of(list(range(len(values)))), strict=True):
        same(left, whole)
        same(left, right)


def test_a_tree_has_the_same_shape_whoever_merges_its_groups():
    plan = tiny_plan()
    rng = np.random.default_rng(5)
    shards = [Statistics.empty(plan).update(tiny_pooled(number, rng), plan) for number in range(2 * GROUP + 3)]
    here = Tree.of(plan)
    for each in shards:
        here = here.add(each)
    there = Tree.of(plan)
    for start in (0, GROUP):
        there = there.add_group(merged(shards[start : start + GROUP], Statistics.empty(plan)))
    for each in shards[2 * GROUP :]:
        there = there.add(each)
    assert here.shards == there.shards == len(shards)
    one, other = pack(here.all), pack(there.all)
    assert str(one["tree"]) == str(other["tree"])
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], name)
    assert here.all.means.count == 5 * len(shards)
    straight = merged(shards, Statistics.empty(plan))
    np.testing.assert_allclose(np.asarray(here.all.means.mean), np.asarray(straight.means.mean), rtol=1e-12)
    np.testing.assert_array_equal(here.all.top.pictures, straight.top.pictures)


def tiny_plan():
    part = Part("conv", "relu", True, 0, 3, (2, 2))
    return Plan((part,), ("a", "b"), 2, (0, 1), 4, True, ("conv",), (), 2, 5, (8, 8), per_class=True)


def tiny_pooled(number, rng):
    """Five pictures of shard `number`."""
    values = {name: rng.random((5, 3)).astype(np.float32) for name in ("mean", "max", "active")}
    values["argmax"] = rng.integers(0, 4, (5, 3)).astype(np.float32)
    labels, numbers = rng.integers(-1, 2, 5), np.arange(5 * number, 5 * number + 5)
    maps = {"conv": MapSums().update(labels, rng.random((5, 3, 2, 2)).astype(np.float32))}
    return Pooled(numbers, [str(each) for each in numbers], labels, values, labels.clip(0), values["mean"][:, 0], maps, [])


def test_moments_are_numpys():
    values = np.random.default_rng(0).normal(3, 2, (50, 5)).astype(np.float32)
    moments = Moments().update(values[:20]).update(values[20:])
    np.testing.assert_allclose(moments.mean, values.mean(0, dtype=np.float64), rtol=1e-12)
    np.testing.assert_allclose(moments.std, values.std(0, dtype=np.float64), rtol=1e-12)
    assert (moments.least == values.min(0)).all()
    assert (moments.greatest == values.max(0)).all()


def test_variance_survives_a_mean_that_is_large():
    values = (np.array([1.0, 2.0, 3.0, 4.0]) + 1e6)[:, None].astype(np.float32)
    moments = Moments().update(values[:1]).update(values[1:])
    np.testing.assert_allclose(moments.std, np.sqrt(1.25), rtol=1e-9)  # E[x^2] - E[x]^2 has no correct digit here in float32


def test_top_lists_are_in_order_and_ties_go_to_the_lower_number():
    values = np.array([[1, 0], [5, 0], [5, 0], [2, 0]], np.float32)
    where = np.arange(8, dtype=np.float32).reshape(4, 2)
    top = Top(k=3).update(values, np.zeros_like(values), np.array([10, 7, 3, 4]), where)
    assert top.values.T.tolist() == [[5, 5, 2], [0, 0, 0]]
    assert top.pictures.T.tolist() == [[3, 7, 4], [3, 4, 7]]
    assert top.positions.T.tolist() == [[4, 2, 6], [5, 7, 3]]


def test_the_order_of_top_lists_is_that_of_a_plain_sort():
    rng = np.random.default_rng(1)
    few = np.array([-2.5, -1e-30, -0.0, 0.0, 1e-30, 1.0, 3e38], np.float32)
    values, means = rng.choice(few, (200, 4)), rng.choice(few, (200, 4))
    values[:, 0], means[:, 0] = 6, 6  # all equal
    values[:, 1] = rng.normal(size=200)  # all different
    numbers = rng.permutation(200)
    top = Top(k=20).update(values, means, numbers, np.zeros_like(values))
    for unit in range(4):
        rows = zip(values[:, unit], means[:, unit], numbers, strict=True)
        expected = sorted(rows, key=lambda each: (-each[0], -each[1], each[2]))[:20]
        assert top.pictures[:, unit].tolist() == [number for *_, number in expected]


def test_the_numbers_of_a_unit_are_the_same_to_the_bit_whoever_stands_beside_it():
    rng = np.random.default_rng(2)
    values, means = np.maximum(rng.normal(size=(2, 30, 2 * 2048 + 1)), -0.5).astype(np.float32)
    values[:, ::3], means[:, ::6] = np.round(values[:, ::3]), 0.25  # many equal ones
    numbers, places = rng.permutation(30), np.tile(np.arange(30, dtype=np.float32)[:, None], values.shape[1])

    def of(some):
        v, m = values[:, some], means[:, some]
        return Moments().update(v), Histogram().update(v), Top(k=9).update(v, m, numbers, places[:, some])

    for whole, piece in zip(of(slice(None)), of(slice(1300, 1500)), strict=True):
        for name in set(whole.__dataclass_fields__) - {"count", "k"}:
            left, right = np.asarray(getattr(whole, name)), np.asarray(getattr(piece, name))
            side = 0 if isinstance(whole, Histogram) else -1
            np.testing.assert_array_equal(left.take(range(1300, 1500), side), right, err_msg=name)


def test_bins_are_in_order_and_hold_what_their_edges_say():
    values = np.array([-1e9, -1, -1e-9, -0.0, 0, 1e-9, 2.0**-16, 0.1, 1, 1.12, 1.13, 1e9], np.float32)
    numbers, ends = bins(values), edges()
    assert (np.diff(numbers) >= 0).all()
    assert numbers[[2, 3, 4, 5]].tolist() == [SIDE] * 4
    inner = (np.abs(values) >= 2.0**-16) & (np.abs(values) < 2.0**16)
    low, high = np.abs(ends[numbers[inner]]), np.abs(ends[numbers[inner] + 1])
    inside = np.abs(values[inner])
    assert (np.minimum(low, high) <= inside).all()
    assert (inside < np.maximum(low, high)).all()
    assert numbers[-1] == BINS - 1
    assert numbers[0] == 0


def test_a_quantile_is_off_by_less_than_a_bin():
    values = np.maximum(np.random.default_rng(0).normal(0.5, 1, (4001, 3)), 0).astype(np.float32)
    histogram = Histogram(np.zeros((3, BINS), np.uint32)).update(values)
    for share in (0.05, 0.5, 0.9, 0.99):
        expected = np.quantile(values, share, axis=0)
        np.testing.assert_allclose(histogram.quantile(share), expected, rtol=1 / 8, atol=2.0**-16)


def test_correlation_is_numpys_and_a_unit_that_never_varies_has_none():
    values = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    values[:, 1] = 2 * values[:, 0] + 1
    values[:, 3] = 7
    moments = CoMoments().update(values[:11]).update(values[11:])
    np.testing.assert_allclose(moments.correlation[:3, :3], np.corrcoef(values[:, :3].T), atol=1e-6)
    assert not moments.correlation[3].any()
    np.testing.assert_allclose(moments.covariance, np.cov(values.T, bias=True), atol=1e-6)


def test_firing_by_hand():
    peaks, shares = np.array([[1, 0], [2, 0], [0, 3]], np.float32), np.array([[1, 0], [0.5, 0], [0, 0.25]], np.float32)
    firing = Firing().update(peaks, shares)
    assert (firing.pictures.tolist(), firing.shares.tolist(), firing.everywhere.tolist()) == ([2, 1], [1.5, 0.25], [1, 0])


def test_confusion_and_class_sums_leave_out_what_has_no_label():
    labels, answers = np.array([0, 1, 1, -1]), np.array([0, 0, -1, 1])
    assert Confusion(np.zeros((2, 2), np.int64)).update(labels, answers, (2, 2)).counts.tolist() == [[1, 0], [1, 0]]
    values = np.array([[1.0], [2], [0], [9]], np.float32)
    sums = ClassSums(np.zeros(2), np.zeros((2, 1)), np.zeros((2, 1))).update(labels, 2, values, values)
    assert (sums.counts.tolist(), sums.means.tolist(), sums.fired.tolist()) == ([1, 2], [[1], [2]], [[1], [1]])


def test_mean_maps_by_hand():
    maps = np.arange(8, dtype=np.float32).reshape(4, 1, 1, 2)
    sums = MapSums().update(np.array([1, 0, 1, -1]), maps)
    assert sums.counts == {-1: 1, 0: 1, 1: 2}
    assert sums.sums[1].tolist() == [[[4, 6]]]


def test_selectivity_by_hand():
    means = np.array([[3.0, 1, 0, 0], [1, 1, 0, 5], [0, 1, 0, np.nan]])[:2]
    index, best = class_selectivity(means)
    np.testing.assert_allclose(index, [0.5, 0, np.nan, 1])
    assert best.tolist() == [0, 0, -1, 1]
    index, best = class_selectivity(np.array([[2.0], [np.nan]]))  # of two classes one has pictures
    assert np.isnan(index).all()
    assert best.tolist() == [0]


def test_overlap_by_hand_and_in_parts():
    maps = np.array([[[[3, 0], [2, 0]]], [[[0, 0], [9, 9]]]], np.float32)  # two pictures, one unit
    masks = np.zeros((2, 2, 2, 2), bool)  # two concepts
    masks[0, 0, 0, 0] = masks[0, 0, 0, 1] = masks[1, 0, 1, 0] = True
    masks[:, 1] = True
    overlap = Overlap().update(maps[:1], masks[:1], np.array([1.0])).update(maps[1:], masks[1:], np.array([1.0]))
    assert (overlap.both.tolist(), overlap.own.tolist(), overlap.masked.tolist()) == ([[2, 4]], [4], [3, 8])
    np.testing.assert_allclose(overlap.iou, [[2 / 5, 4 / 8]])
    assert Overlap().update(maps, masks, np.array([1.0])).both.tolist() == overlap.both.tolist()


def test_a_unit_that_is_the_mask_finds_it_and_others_do_not():
    pictures = np.zeros((6, *PICTURE), np.float32)
    rng = np.random.default_rng(0)
    masks = np.zeros((6, 1, 8, 8), bool)
    for number in range(6):
        y, x = rng.integers(1, 6, 2)
        masks[number, 0, y : y + 2, x : x + 2] = True
        pictures[number, 0] = masks[number, 0] + 0.01 * rng.random((8, 8))  # unit 0 of relu1 is red as it is
        pictures[number, 2] = rng.random((8, 8))
    iou = dissect(FakeEngine(), pictures, masks, "relu1", top=float(masks.mean())).iou
    assert iou[0, 0] > 0.95
    assert iou[2, 0] < 0.3
    with pytest.raises(InputError, match="Masks are"):
        dissect(FakeEngine(), pictures, masks[:3], "relu1")
    with pytest.raises(InputError, match="no rows and columns"):
        dissect(FakeEngine(), pictures, masks, "classes")


def test_precision_of_the_top_by_hand():
    share, best = top_precision(np.array([[0, 1, -1], [0, 0, -1], [1, 1, -1], [0, 0, -1]]))
    np.testing.assert_allclose(share, [0.75, 0.5, np.nan])
    assert best.tolist() == [0, 0, -1]


def test_mutual_information_is_the_entropy_for_a_unit_that_tells_the_class():
    counts = np.array([4, 4])
    fired = np.array([[4, 2, 4], [0, 2, 4]])
    np.testing.assert_allclose(mutual_information(ClassSums(counts, fired * 1.0, fired)), [1, 0, 0], atol=1e-12)


def test_mutual_information_is_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    labels, values = rng.integers(0, 3, 200), np.maximum(rng.normal(size=(200, 4)), 0).astype(np.float32)
    values[labels == 1, 0] = 0
    sums = ClassSums(np.zeros(3), np.zeros((3, 4)), np.zeros((3, 4))).update(labels, 3, values, values)
    expected = [metrics.mutual_info_score(labels, values[:, unit] > 0) / np.log(2) for unit in range(4)]
    np.testing.assert_allclose(mutual_information(sums), expected, atol=1e-12)
    assert np.isfinite(class_means(sums)).all()
