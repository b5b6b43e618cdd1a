"""Skeletons on frames."""

import numpy as np

from pipeline.pose import Poses
from pipeline.pose.drawing import draw_marks, draw_points, draw_poses
from pipeline.pose.skeleton import LEFT_LIMBS, MIRRORED, POINTS, RIGHT_LIMBS, mirrored, sides

LEFT_KNEE, LEFT_ANKLE = POINTS.index("left_knee"), POINTS.index("left_ankle")
RIGHT_KNEE, RIGHT_ANKLE = POINTS.index("right_knee"), POINTS.index("right_ankle")


def test_left_and_right_change_places():
    assert POINTS[MIRRORED[POINTS.index("left_heel")]] == "right_heel"
    assert POINTS[MIRRORED[POINTS.index("mouth_right")]] == "mouth_left"
    assert POINTS[MIRRORED[0]] == "nose"
    assert [MIRRORED[each] for each in MIRRORED] == list(range(33))
    assert (POINTS.index("left_shoulder"), POINTS.index("left_elbow")) in LEFT_LIMBS
    assert (POINTS.index("right_shoulder"), POINTS.index("right_elbow")) in RIGHT_LIMBS


def drawn(visibility):
    points = np.zeros((2, 33, 6), np.float32)
    points[0, :, :2] = -9  # outside of the frame
    points[0, [LEFT_KNEE, LEFT_ANKLE], :2] = [[0.75, 0.2], [0.75, 0.8]]
    points[0, [RIGHT_KNEE, RIGHT_ANKLE], :2] = [[0.25, 0.2], [0.25, 0.8]]
    points[..., 2] = visibility
    return draw_poses(np.zeros((100, 100, 3), np.uint8), Poses(points, np.float32([0.9, 0])))


def test_people_are_drawn():
    """The left side is orange, the right side blue, and what is hardly visible is faint."""
    frame = drawn(1).astype(int)
    for column, (high, low) in ((75, (0, 2)), (25, (2, 0))):
        assert frame[50, column, high] > 200
        assert frame[50, column, low] < 50
    assert 0 < drawn(0.2)[50, 75, 0] < frame[50, 75, 0] / 3
    nobody = Poses(np.full((1, 33, 6), 0.5, np.float32), np.zeros(1, np.float32))
    assert not draw_poses(np.zeros((10, 10, 3), np.uint8), nobody).any()


def test_pairs_of_points_are_found_by_their_names():
    pairs = "left_ear right_ear, LeftEar RightEar, ear_LEFT ear_RIGHT, earL earR, l_ear r_ear, "
    pairs += "forelegL4 forelegR4, left_rear_paw right_rear_paw"
    for left, right in (pair.split() for pair in pairs.split(", ")):
        names = ("snout", right, "tail_base", left, "L9")
        assert mirrored(names) == (0, 3, 2, 1, 4)
        assert sides(names) == ("middle", "right", "middle", "left", "middle")


def test_points_of_tables_in_the_colours_of_their_sides():
    points = np.zeros((2, 4, 5), np.float32)
    points[0, :, 0] = [-0.3, -0.1, 0.1, 0.3]
    points[0, :, 2:] = 1
    points[0, 3, 2] = 0  # it is not seen
    points[1, :, 1:3] = 0.4
    dark = np.zeros((100, 200, 3), np.uint8)
    frame = draw_marks(dark, points, ("nose", "earL", "earR", "tail"))
    assert frame[50, 70].min() > 200
    assert tuple(frame[50, 90]) == (255, 140, 0)
    assert tuple(frame[50, 110]) == (0, 190, 255)
    assert not frame[:, 125:].any()
    assert not frame[80:].any(), "the second one is not there"
    square = draw_points(points, 160, ("nose", "earL", "earR", "tail"))
    assert tuple(square[80, 80 - 9]) == (255, 140, 0)
