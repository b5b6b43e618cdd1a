"""Poses: what is done around the two networks, reckoned by hand, and who is followed."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.pose import PoseEstimator, Poses
from pipeline.pose.detector import (
    Detector,
    Region,
    anchors,
    decode,
    intersection_over_union,
    letterbox,
    sigmoid,
    suppress,
)
from pipeline.pose.drawing import draw_marks, draw_points, draw_poses
from pipeline.pose.estimator import Landmarks
from pipeline.pose.models import DETECTOR, LANDMARKS, models_folder
from pipeline.pose.skeleton import LEFT_LIMBS, MIRRORED, POINTS, RIGHT_LIMBS, mirrored, sides
from pipeline.video import VideoReader, crop
from tests.conftest import REAL, VIDEOS


def test_anchors_scores_and_boxes_of_which_those_that_overlap_become_their_weighted_mean():
    found = anchors()
    assert found.shape == (28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6, 2)
    assert found[:3].tolist() == [[4, 4], [4, 4], [12, 4]]
    assert found[56].tolist() == [4, 12]  # the second row
    assert found[1568].tolist() == [8, 8]
    assert found[1960].tolist() == found[1965].tolist() == [16, 16]
    assert found[-1].tolist() == [208, 208]
    values = np.float32([[10, 20, 8, 6, 1, 2, 3, 4, 5, 6, 7, 8]])
    assert decode(values, np.float32([[100, 50]])).tolist() == [
        [[106, 67], [114, 73], [101, 52], [103, 54], [105, 56], [107, 58]]
    ]
    scores = sigmoid(np.float32([-1e4, 0, np.log(3), 1e4]))
    np.testing.assert_allclose(scores, [0, 0.5, 0.75, 1], atol=1e-7)

    def box(x, y, side, hips):
        return np.float32([[x, y], [x + side, y + side], *[[hips, hips]] * 4])

    points = np.stack([box(0, 0, 10, 4), box(50, 50, 10, 55), box(2, 0, 10, 8)])
    found = suppress(points, np.float32([0.2, 0.5, 0.6]), 0.3)
    assert [score for _, score in found] == pytest.approx([0.6, 0.5])
    np.testing.assert_allclose(found[0][0][0], [1.5, 0])  # (0.6 * 2 + 0.2 * 0) / 0.8
    np.testing.assert_allclose(found[0][0][2], [7, 7])  # (0.6 * 8 + 0.2 * 4) / 0.8
    np.testing.assert_allclose(found[1][0], points[1])
    empty = np.stack([box(5, 5, 0, 5), box(5, 5, 0, 5)])
    assert len(suppress(empty, np.float32([0.5, 0.4]), 0.3)) == 2
    boxes = np.float32([[[0, 0], [4, 4]], [[2, 0], [6, 4]], [[4, 4], [8, 8]], [[1, 1], [1, 1]]])
    np.testing.assert_allclose(intersection_over_union(boxes[0], boxes), [1, 8 / 24, 0, 0])


def test_the_frame_stands_in_the_middle_of_a_square_and_regions_lie_in_the_frame():
    """A square of 224 is 120 x 60 pixels of the frame, 56 of it black above."""
    square, scale, offset = letterbox(np.full((60, 120, 3), 7, np.uint8), 224)
    assert scale.tolist() == pytest.approx([224 / 120, 112 / 60])
    assert offset.tolist() == [0, 56]
    assert square[:, 0, 0].tolist() == [0] * 56 + [7] * 112 + [0] * 56
    for shape in ((1, 500), (500, 1), (224, 224), (3, 2)):
        square, _, _ = letterbox(np.zeros((*shape, 3), np.uint8), 224)
        assert square.shape == (224, 224, 3)
    seen = []

    def network(image):
        seen.append(image)
        boxes, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -9, np.float32)
        for number, logit in ((0, 2.0), (1000, -2.9), (2000, -3.0)):
            logits[number] = logit
            # hips in the middle of the frame, the rim 28 above them: 15 pixels of the frame
            points = np.array([[112, 112], [112, 84], [0, 0], [0, 0]]) - anchors()[number]
            boxes[number] = (number / 10, 0, 20, 20, *points.ravel())
        return boxes, logits

    frame = np.full((60, 120, 3), 255, np.uint8)
    found = Detector(network)(frame)
    assert [each.score for each in found] == pytest.approx([0.8808, 0.0522], abs=1e-4)
    region = found[0].region
    assert (region.x, region.y) == pytest.approx((60, 30), abs=1e-3)
    assert region.side == pytest.approx(2 * 1.25 * 15, abs=1e-3)
    assert (seen[0].min(), seen[0].max()) == (-1, 1)


def test_a_region_turns_with_the_head_and_its_points_return_to_where_they_are_in_the_frame():
    assert Region.around([50, 60], [50, 20]) == Region(50, 60, 100, 0)  # 2 * 1.25 * 40
    for rim, angle in (((90, 60), 90), ((50, 100), 180), ((10, 60), -90)):
        assert Region.around([50, 60], rim).angle == pytest.approx(np.radians(angle))
    assert Region.around([5, 5], [5, 5]).side == 1, "it is never empty"
    # To the right in the square is down in the frame; its upper edge is on the right.
    region = Region(50, 60, 100, np.pi / 2)
    points = region.to_frame(np.float32([[0.5, 0.5], [1, 0.5], [0.5, 0]]))
    np.testing.assert_allclose(points, [[50, 60], [50, 110], [100, 60]], atol=1e-4)
    turned = region.turned(np.float32([[1, 2, 3]]))
    np.testing.assert_allclose(turned, [[-2, 1, 3]], atol=1e-6)  # depth does not turn
    frame = np.zeros((80, 100, 3), np.uint8)
    frame[30:34, 60:64] = 255  # its middle is x 62, y 32
    region = Region(50, 40, 64, 0.7)
    rows, columns = np.nonzero(region.cut(frame, 256)[..., 0] > 127)
    seen = np.float32([[columns.mean() + 0.5, rows.mean() + 0.5]]) / 256
    np.testing.assert_allclose(region.to_frame(seen), [[62, 32]], atol=0.1)
    frame = np.random.default_rng(0).integers(255, size=(8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(crop(frame, (4, 4), 8, np.pi / 2, 8), np.rot90(frame))
    assert Region.whole(120, 160) == Region(80, 60, 160)
    rows = Region.whole(2, 4).cut(np.full((2, 4, 3), 9, np.uint8), 4)[..., 0]
    assert rows.tolist() == [[0] * 4, [9] * 4, [9] * 4, [0] * 4]


def test_a_person_of_the_outputs_of_the_network_of_landmarks():
    seen = []

    def network(image):
        seen.append(image)
        points, world = np.zeros((39, 5), np.float32), np.zeros((39, 3), np.float32)
        points[0, :4] = (256, 128, 0, np.log(3))
        points[1:33, :2] = 128
        points[16, :2] = 0  # of a hand
        points[33, :2], points[34, :2] = (128, 128), (192, 128)
        world[0] = (1, 0, 5)
        return points.ravel(), np.float32([0.75]), world.ravel()

    frame = np.full((200, 200, 3), 255, np.uint8)
    person = Landmarks(network)(frame, Region(100, 80, 64, np.pi / 2))
    assert (seen[0].shape, seen[0].max()) == ((256, 256, 3), 1)
    np.testing.assert_allclose(person.pixels[0], [100, 112], atol=1e-4)
    np.testing.assert_allclose(person.world[0], [0, 1, 5], atol=1e-6)
    assert person.visibility[:2] == pytest.approx([0.75, 0.5])
    assert person.seen == pytest.approx((25 * 0.5 + 0.25) / 25)
    assert (person.flag, len(person.pixels), len(person.world)) == (0.75, 33, 33)
    # 64 of 256 pixels to the right in the square: 16 down in the frame, where the head is now.
    assert (person.region.x, person.region.y) == pytest.approx((100, 80))
    assert person.region.side == pytest.approx(40)
    assert person.region.angle == pytest.approx(np.pi)
    # From (128, 128) to (256, 128), of which 32 pixels are down in the frame.
    np.testing.assert_allclose(person.box, [[100, 80], [100, 112]], atol=1e-4)


LEFT_KNEE, LEFT_ANKLE = POINTS.index("left_knee"), POINTS.index("left_ankle")
RIGHT_KNEE, RIGHT_ANKLE = POINTS.index("right_knee"), POINTS.index("right_ankle")


def test_left_and_right_change_places_also_of_other_names():
    assert POINTS[MIRRORED[POINTS.index("left_heel")]] == "right_heel"
    assert POINTS[MIRRORED[POINTS.index("mouth_right")]] == "mouth_left"
    assert POINTS[MIRRORED[0]] == "nose"
    assert [MIRRORED[each] for each in MIRRORED] == list(range(33))
    assert (POINTS.index("left_shoulder"), POINTS.index("left_elbow")) in LEFT_LIMBS
    assert (POINTS.index("right_shoulder"), POINTS.index("right_elbow")) in RIGHT_LIMBS
    pairs = "left_ear right_ear, LeftEar RightEar, ear_LEFT ear_RIGHT, earL earR, l_ear r_ear, "
    pairs += "forelegL4 forelegR4, left_rear_paw right_rear_paw"
    for left, right in (pair.split() for pair in pairs.split(", ")):
        names = ("snout", right, "tail_base", left, "L9")
        assert mirrored(names) == (0, 3, 2, 1, 4)
        assert sides(names) == ("middle", "right", "middle", "left", "middle")


def drawn(visibility):
    points = np.zeros((2, 33, 6), np.float32)
    points[0, :, :2] = -9  # outside of the frame
    points[0, [LEFT_KNEE, LEFT_ANKLE], :2] = [[0.75, 0.2], [0.75, 0.8]]
    points[0, [RIGHT_KNEE, RIGHT_ANKLE], :2] = [[0.25, 0.2], [0.25, 0.8]]
    points[..., 2] = visibility
    return draw_poses(np.zeros((100, 100, 3), np.uint8), Poses(points, np.float32([0.9, 0])))


def test_people_and_points_of_tables_are_drawn():
    """The left side is orange, the right side blue, and what is hardly visible is faint."""
    frame = drawn(1).astype(int)
    for column, (high, low) in ((75, (0, 2)), (25, (2, 0))):
        assert frame[50, column, high] > 200
        assert frame[50, column, low] < 50
    assert 0 < drawn(0.2)[50, 75, 0] < frame[50, 75, 0] / 3
    nobody = Poses(np.full((1, 33, 6), 0.5, np.float32), np.zeros(1, np.float32))
    assert not draw_poses(np.zeros((10, 10, 3), np.uint8), nobody).any()
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


# Who is followed, from frame to frame; stand-ins for the networks see discs in place of people.

HEIGHT, WIDTH = 120, 160
GREYS = (100, 200)
"""Each person is a disc of another brightness."""


def draw(*people):
    """A frame with people, each the x and y of its middle; None: it is not there."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for grey, place in zip(GREYS, people, strict=False):
        if place:
            frame[np.hypot(x - place[0], y - place[1]) < 6] = grey
    return frame


def middles(image, scale):
    """The middle of each disc in an image, in pixels."""
    for grey in GREYS:
        rows, columns = np.nonzero(np.abs(image[..., 0] * scale - grey) < 8)
        if rows.size > 20:
            yield np.array([columns.mean(), rows.mean()]) + 0.5


class Discs:
    """Proposes a box of each disc, or one at each of some offsets; `blind`, none."""

    def __init__(self):
        self.calls, self.blind = 0, False
        self.offsets = [0]

    def __call__(self, image):
        self.calls += 1
        boxes = np.zeros((2254, 12), np.float32)
        logits = np.full((2254, 1), -9, np.float32)
        found = [
            middle + np.array([offset, 0])
            for middle in middles((image + 1) / 2, 255)
            for offset in self.offsets
        ]
        for number, middle in enumerate(found):
            if not self.blind:
                boxes[number] = (*middle, 20, 20, *middle, *(middle - (0, 28)), *middle, *middle)
                boxes[number, [0, 1, 4, 5, 6, 7]] -= np.tile(anchors()[number], 3)
                logits[number] = 3 - number
        return boxes, logits


class Bodies:
    """All points of a person lie around the disc that is nearest to the middle of the region."""

    def __init__(self):
        self.calls = 0
        self.sees = 90  # pixels
        self.visibility = 0.9

    def __call__(self, image):
        self.calls += 1
        points, world = np.zeros((39, 5), np.float32), np.zeros((39, 3), np.float32)
        found = sorted(middles(image, 255), key=lambda each: np.hypot(*(each - 128)))
        away = np.hypot(*(found[0] - 128)) if found else np.inf
        if away > self.sees:
            return points.ravel(), np.float32([0.1]), world.ravel()
        points[:, :2] = found[0]
        points[:, 3] = np.log(self.visibility / (1 - self.visibility))
        points[11, :2] -= (20, 40)  # A body of 40 x 80 pixels.
        points[28, :2] += (20, 40)
        points[34, 1] -= 256 / 2.5  # The next region is as large as this one.
        world[:, 0] = 1
        return points.ravel(), np.float32([0.9 - away / 1000]), world.ravel()


def make(offsets=(0,), sees=90, **options):
    """Makes an estimator and its networks, which may be unlike others."""
    detector, landmarks = Discs(), Bodies()
    detector.offsets, landmarks.sees = offsets, sees
    return PoseEstimator(detector, landmarks, **options), detector, landmarks


def columns(poses):
    """The column of each place's person, in pixels; None: there is nobody."""
    return [
        round(float(points[0, 0] * WIDTH)) if flag else None
        for points, flag in zip(poses.points, poses.flags, strict=True)
    ]


LEFT, RIGHT = (40, 60), (120, 60)
BOTH, NOBODY = (LEFT, RIGHT), ()
CROSSING = [((40 + step, 30), (120 - step, 90)) for step in range(0, 60, 5)]


def test_the_arrays_and_whom_the_networks_see_twice_or_badly_or_not_at_all():
    poses = make()[0](draw(LEFT))
    assert poses.points.shape == (2, 33, 6)
    assert poses.points.dtype == poses.flags.dtype == np.float32
    wanted = [40 / WIDTH, 60 / HEIGHT, 0.9, 1, 0, 0]
    np.testing.assert_allclose(poses.points[0, 5], wanted, atol=0.01)
    assert poses.flags.tolist() == pytest.approx([0.9, 0])
    assert not poses.points[1].any()
    close = (60, 60)
    estimator, _, _ = make(sees=120)
    assert all(columns(estimator(draw(LEFT, close))))
    # The region of the first one now shows the second one, too, but not in its middle.
    assert columns(estimator(draw(None, close))) == [None, 60], "two become one"
    estimator, _, landmarks = make(offsets=[0, 28], sees=120)
    assert columns(estimator(draw(LEFT))) == [40, None], "one is found twice"
    assert landmarks.calls == 2
    for visibility, expected in ((0.65, [40, None]), (0.75, [40, 120])):
        estimator, _, landmarks = make()
        landmarks.visibility = visibility
        assert columns(estimator(draw(*BOTH))) == expected, "one more has to be seen well"
    estimator, _, _ = make(max_people=1)
    assert columns(estimator(draw(*BOTH))) == [40], "the detector is surer of this one"
    estimator, _, landmarks = make(offsets=[-28, 0, 28, 56, 84], sees=-1)
    estimator(draw(LEFT))
    assert landmarks.calls == 4, "three proposals and the whole frame"
    estimator, detector, _ = make()
    detector.blind = True
    assert columns(estimator(draw((80, 60)))) == [80, None], "the whole frame is the last resort"
    estimator, _, _ = make()
    estimator(draw(RIGHT))
    estimator.reset()
    assert columns(estimator(draw(LEFT, (130, 60)))) == [40, 130], "a new video knows nobody"


PLACES = {
    "places go from left to right": ([(RIGHT, LEFT)], [[40, 120]]),
    "people keep their places": (CROSSING, [[a[0], b[0]] for a, b in CROSSING]),
    "one is away": ([BOTH, (None, RIGHT)], [[None, 120]]),
    "who returns takes the place they had": ([BOTH, (None, RIGHT), *[BOTH] * 5], [[40, 120]]),
    "both return": ([BOTH, NOBODY, (None, RIGHT)], [[None, None], [None, 120]]),
    "a place is where its person was last": ([*CROSSING, NOBODY, [(95, 60)]], [[95, None]]),
    "two who stand close": ([(LEFT, (54, 60))], [[40, 54]]),
}


@pytest.mark.parametrize(("frames", "last"), PLACES.values(), ids=PLACES)
def test_each_has_a_place(frames, last):
    estimator = make()[0]
    found = [columns(estimator(draw(*people))) for people in frames]
    assert found[-len(last) :] == last


CALLS = {
    "it rests while all are there": ([BOTH] * 12, (1, 24)),
    # Frames 0, 5 and 10; who is followed is not looked at again.
    "it looks for more now and then": ([[LEFT]] * 12, (3, 12)),
    # The second one is too far for their last region.
    "it looks at once for one who was lost": ([BOTH, BOTH, (LEFT, (80, 60))], (2, 7)),
    "it looks at each frame while there is nobody": ([NOBODY] * 4, (4, 4)),
}


@pytest.mark.parametrize(("frames", "calls"), CALLS.values(), ids=CALLS)
def test_how_often_the_networks_are_asked(frames, calls):
    estimator, detector, landmarks = make()
    for people in frames:
        poses = estimator(draw(*people))
    assert (detector.calls, landmarks.calls) == calls
    assert (poses.flags > 0).sum() == len(frames[-1])


HERE = all((models_folder() / model.name).is_file() for model in (DETECTOR, LANDMARKS))


@pytest.mark.skipif(not HERE, reason="`clipline fetch pose` was not run")
@REAL
def test_two_people_who_shake_hands():
    path = sorted(Path(VIDEOS, "ut_interaction/shake_hands").glob("*.avi"))[0]
    with VideoReader(str(path)) as reader:
        frames = list(reader.frames())[::3]
    estimator = PoseEstimator.load()
    poses = [estimator(frame) for frame in frames]
    flags = np.stack([each.flags for each in poses])
    points = np.stack([each.points for each in poses])
    assert (flags > 0.5).mean() > 0.95
    both = flags.all(axis=1)
    hips, heads = points[both][:, :, 23:25, 0].mean(axis=2), points[both][:, :, 0, 1]
    assert (hips[:, 0] < hips[:, 1]).all()
    assert (heads < points[both][:, :, 27:29, 1].min(axis=2)).all()  # above the ankles
    assert np.abs(points[both][:, :, 23:25, 3:].mean(axis=2)).max() < 0.05  # metres from the hips
