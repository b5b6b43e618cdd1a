"""Who is followed, from frame to frame; stand-ins for the networks see discs in place of people."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.pose import PoseEstimator
from pipeline.pose.detector import anchors
from pipeline.pose.models import DETECTOR, LANDMARKS, models_folder
from pipeline.video import VideoReader

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


class Detector:
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


class Landmarks:
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
    detector, landmarks = Detector(), Landmarks()
    detector.offsets, landmarks.sees = offsets, sees
    return PoseEstimator(detector, landmarks, **options), detector, landmarks


def columns(poses):
    """The column of each place's person, in pixels; None: there is nobody."""
    return [
        round(float(points[0, 0] * WIDTH)) if flag else None
        for points, flag in zip(poses.points, poses.flags, strict=True)
    ]


def test_the_arrays():
    poses = make()[0](draw((40, 60)))
    assert poses.points.shape == (2, 33, 6)
    assert poses.points.dtype == poses.flags.dtype == np.float32
    wanted = [40 / WIDTH, 60 / HEIGHT, 0.9, 1, 0, 0]
    np.testing.assert_allclose(poses.points[0, 5], wanted, atol=0.01)
    assert poses.flags.tolist() == pytest.approx([0.9, 0])
    assert not poses.points[1].any()


LEFT, RIGHT = (40, 60), (120, 60)
BOTH, NOBODY = (LEFT, RIGHT), ()
CROSSING = [((40 + step, 30), (120 - step, 90)) for step in range(0, 60, 5)]


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


def test_whom_the_networks_see_twice_or_badly_or_not_at_all():
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


VIDEOS = os.environ.get("PIPELINE_VIDEOS", "")
HERE = all((models_folder() / model.name).is_file() for model in (DETECTOR, LANDMARKS))


@pytest.mark.skipif(not HERE, reason="`clipline fetch pose` was not run")
@pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")
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
