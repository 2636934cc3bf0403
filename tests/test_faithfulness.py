"""Measures of how well maps tell where a score comes from, by hand; and pictures in which the places of objects are known."""

import sys
from pathlib import Path

import numpy as np
import pytest
from by_hand import Power

from convscope.draw.panels import blended
from convscope.errors import InputError
from convscope.methods import faithfulness
from convscope.methods.targets import Unit, resolve

sys.path.insert(0, str(Path(__file__).parent.parent / "training"))
import planted  # noqa: E402

# y = 3 x5 + x10: of a picture of ones the score is 4.
WEIGHT = np.zeros(16)
WEIGHT[5], WEIGHT[10] = 3, 1
ENGINE, ONES = Power([WEIGHT], power=1), np.ones((1, 1, 4, 4), np.float32)
TARGET = resolve(ENGINE, ONES, Unit("y", 0))
RIGHT = WEIGHT.reshape(4, 4).astype(np.float32)

POINTING = {
    "saliency": {}, "input-x-gradient": {}, "integrated-gradients": {"steps": 4}, "grad-cam": {}, "layer-cam": {},
    "grad-cam++": {}, "occlusion": {"window": 4, "stride": 2}, "ablation-cam": {}, "rise": {"masks": 300, "cells": 6},
}  # fmt: skip


def test_deletion_takes_away_what_the_map_names_first():
    curve = faithfulness.deletion(ENGINE, ONES, TARGET, RIGHT, steps=16)
    np.testing.assert_allclose(curve.scores, [4, 1, 0] + [0] * 14)
    assert curve.area == pytest.approx((2.5 + 0.5) / 16)
    worst = faithfulness.deletion(ENGINE, ONES, TARGET, -RIGHT, steps=16)
    np.testing.assert_allclose(worst.scores, [4] * 15 + [3, 0])
    assert worst.area > curve.area


def test_insertion_is_deletion_from_the_other_side():
    curve = faithfulness.insertion(ENGINE, ONES, TARGET, RIGHT, steps=16)
    np.testing.assert_allclose(curve.scores, [0, 3, 4] + [4] * 14)
    assert curve.area == pytest.approx((1.5 + 3.5 + 14 * 4) / 16)
    filled = faithfulness.deletion(ENGINE, ONES, TARGET, RIGHT, fill=0.5, steps=16)
    np.testing.assert_allclose(filled.scores[[0, 1, 2]], [4, 2.5, 2])


def test_few_steps_take_several_positions_at_a_time():
    curve = faithfulness.deletion(ENGINE, ONES, TARGET, RIGHT, steps=2)
    np.testing.assert_allclose(curve.shares, [0, 0.5, 1])
    np.testing.assert_allclose(curve.scores, [4, 0, 0])
    with pytest.raises(InputError, match="at least one step"):
        faithfulness.deletion(ENGINE, ONES, TARGET, RIGHT, steps=0)


def test_average_drop_and_increase_by_hand():
    lost, more = faithfulness.drop_and_increase(ENGINE, ONES, TARGET, RIGHT)  # the map in 0..1 is 1 at x5 and 1/3 at x10
    assert lost == pytest.approx((4 - 3 - 1 / 3) / 4)
    assert not more
    against = Power([WEIGHT - 2 * (np.arange(16) == 0)], power=1)  # x0 speaks against: without it the score is greater
    lost, more = faithfulness.drop_and_increase(against, ONES, TARGET, RIGHT)
    assert (lost, more) == (0, True)
    with pytest.raises(InputError, match="Use a probability"):
        faithfulness.drop_and_increase(Power([-WEIGHT], power=1), ONES, TARGET, RIGHT)


def test_the_pointing_game():
    region = np.zeros((4, 4), bool)
    region[1, 1] = True
    assert faithfulness.points_at(RIGHT, region)
    assert not faithfulness.points_at(-RIGHT, region)
    beside = np.roll(RIGHT, 1, axis=1)
    assert not faithfulness.points_at(beside, region)
    assert faithfulness.points_at(beside, region, tolerance=1)
    assert not faithfulness.points_at(np.ones((4, 4), np.float32), np.ones((4, 4), bool))  # it points nowhere
    with pytest.raises(InputError, match=r"as large as the picture, \(4, 4\), but received one of \(2, 2\)"):
        faithfulness.points_at(np.array([[1, 0], [0, 0]], np.float32), region)


@pytest.mark.parametrize(("kernel", "padding", "seen"), [(3, 1, (8, 4)), (5, 0, (10, 14))])
def test_what_a_layer_points_at_and_what_is_deleted_first_is_where_its_places_stand(kernel, padding, seen):
    """A network of which each place is one pixel, a bright one say: with uneven padding, and with none at all."""
    torch = pytest.importorskip("torch")
    import convscope

    module = torch.nn.Sequential(
        *(torch.nn.Conv2d(1, 1, kernel, stride=2, padding=padding) for _ in range(2)),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(1, 2),
    )  # fmt: skip
    for each in module[:2]:
        torch.nn.init.dirac_(each.weight)
        torch.nn.init.zeros_(each.bias)
    torch.nn.init.ones_(module[4].weight)
    torch.nn.init.zeros_(module[4].bias)
    net = convscope.open(module, picture_shape=(1, 25, 25))
    picture, region = np.zeros((1, 1, 25, 25), np.float32), np.zeros((25, 25), bool)
    picture[0, 0][seen], region[seen] = 1, True
    why = net.explain(picture, "cam", at="1", target=0)
    heat = why.over_picture()
    assert faithfulness.points_at(heat, region)
    goal = resolve(net.engine, picture, 0)
    gone = faithfulness.deletion(net.engine, picture, goal, heat, steps=25 * 25)
    assert gone.scores[0] > 0
    assert not gone.scores[1:].any()
    drawn = blended(why.pictures[0].pixels, heat, "nearest", float(heat.max()))
    np.testing.assert_array_equal(why.overlay().tiles[0], drawn)  # the same order as the overlay's
    elsewhere = convscope.open(module, picture_shape=(1, 33, 29)).explain(picture, "cam", at="1", target=0)
    np.testing.assert_allclose(elsewhere.over_picture(), heat, atol=1e-6)  # whichever size it was opened for


def test_planted_objects_lie_in_their_boxes_and_nowhere_else():
    random = np.random.default_rng(0)
    for _ in range(20):
        pixels, boxes = planted.picture(random)
        assert pixels.shape == (planted.SIZE, planted.SIZE, 3)
        assert len(boxes) == 2
        first, second = boxes.values()
        assert not (first & second).any()
        assert first.sum() == second.sum() == (2 * planted.RADIUS + 1) ** 2
    centre = (planted.SIZE // 2, planted.SIZE // 2)
    for name in planted.OBJECTS:
        where = np.argwhere(planted.shape(name, centre)) - planted.SIZE // 2
        assert np.abs(where).max() <= planted.RADIUS
        assert len(where) > 30


def test_a_network_that_looks_for_a_colour_is_explained_by_where_that_is():
    """A hand-made network, the mean of relu(red - blue): every method that should points at the red one of two squares."""
    torch = pytest.importorskip("torch")
    import convscope

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, 0, -1], [-1.0, 0, 1]])[:, :, None, None])
        module[0].bias.fill_(-0.05)
    net = convscope.open(module, picture_shape=(3, 24, 24), preprocess="0..1", labels=["red", "blue"])
    pixels = np.full((24, 24, 3), 128, np.uint8)
    pixels[3:9, 4:10], pixels[14:20, 13:19] = (230, 40, 30), (30, 40, 230)
    for label, box in (("red", (slice(3, 9), slice(4, 10))), ("blue", (slice(14, 20), slice(13, 19)))):
        region = np.zeros((24, 24), bool)
        region[box] = True
        for method, options in POINTING.items():
            heat = net.explain(pixels, method, target=label, **options).over_picture()
            assert faithfulness.points_at(heat, region, tolerance=1), f"{method}, {label}"
