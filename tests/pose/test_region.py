"""Regions, against arithmetic by hand."""

import numpy as np
import pytest

from pipeline.pose.region import Region
from pipeline.video import crop


def test_the_region_of_one_who_stands():
    assert Region.around([50, 60], [50, 20]) == Region(50, 60, 100, 0)  # 2 * 1.25 * 40


@pytest.mark.parametrize(
    ("rim", "angle"), [((50, 20), 0), ((90, 60), 90), ((50, 100), 180), ((10, 60), -90)]
)
def test_a_region_turns_with_the_head(rim, angle):
    assert Region.around([50, 60], rim).angle == pytest.approx(np.radians(angle))


def test_a_region_is_never_empty():
    assert Region.around([5, 5], [5, 5]).side == 1


def test_points_return_to_the_frame():
    # To the right in the square is down in the frame; its upper edge is on the right.
    region = Region(50, 60, 100, np.pi / 2)
    points = region.to_frame(np.float32([[0.5, 0.5], [1, 0.5], [0.5, 0]]))
    np.testing.assert_allclose(points, [[50, 60], [50, 110], [100, 60]], atol=1e-4)


def test_depth_does_not_turn():
    turned = Region(0, 0, 1, np.pi / 2).turned(np.float32([[1, 2, 3]]))
    np.testing.assert_allclose(turned, [[-2, 1, 3]], atol=1e-6)


def test_a_cut_shows_the_points_where_they_are():
    frame = np.zeros((80, 100, 3), np.uint8)
    frame[30:34, 60:64] = 255  # its middle is x 62, y 32
    region = Region(50, 40, 64, 0.7)
    rows, columns = np.nonzero(region.cut(frame, 256)[..., 0] > 127)
    seen = np.float32([[columns.mean() + 0.5, rows.mean() + 0.5]]) / 256
    np.testing.assert_allclose(region.to_frame(seen), [[62, 32]], atol=0.1)


def test_a_quarter_turn_is_exact():
    frame = np.random.default_rng(0).integers(255, size=(8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop(frame, (4, 4), 8, np.pi / 2, 8), np.rot90(frame))


def test_the_whole_frame():
    assert Region.whole(120, 160) == Region(80, 60, 160)
    frame = np.full((2, 4, 3), 9, np.uint8)
    rows = Region.whole(2, 4).cut(frame, 4)[..., 0]
    assert rows.tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4]
