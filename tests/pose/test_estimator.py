"""Who is followed, from frame to frame."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.pose import PoseEstimator
from pipeline.pose.models import DETECTOR, LANDMARKS, models_folder
from pipeline.video import VideoReader
from tests.pose.discs import HEIGHT, WIDTH, draw


def columns(poses):
    """The column of each place's person, in pixels; None: there is nobody."""
    return [
        round(float(points[0, 0] * WIDTH)) if flag else None
        for points, flag in zip(poses.points, poses.flags, strict=True)
    ]


def test_the_arrays(estimator):
    poses = estimator(draw((40, 60)))
    assert poses.points.shape == (2, 33, 6)
    assert poses.points.dtype == poses.flags.dtype == np.float32
    np.testing.assert_allclose(
        poses.points[0, 5], [40 / WIDTH, 60 / HEIGHT, 0.9, 1, 0, 0], atol=0.01
    )
    assert poses.flags.tolist() == pytest.approx([0.9, 0])
    assert not poses.points[1].any()


def test_places_go_from_left_to_right(estimator):
    assert columns(estimator(draw((120, 60), (40, 60)))) == [40, 120]


def test_people_keep_their_places(estimator):
    for step in range(0, 50, 5):
        assert columns(estimator(draw((40 + step, 30), (120 - step, 90)))) == [
            40 + step,
            120 - step,
        ]


def test_who_returns_takes_the_place_they_had(estimator):
    estimator(draw((40, 60), (120, 60)))
    assert columns(estimator(draw(None, (120, 60)))) == [None, 120]
    for _ in range(5):
        poses = estimator(draw((40, 60), (120, 60)))
    assert columns(poses) == [40, 120]


def test_both_return_to_their_places(estimator):
    estimator(draw((40, 60), (120, 60)))
    assert columns(estimator(draw())) == [None, None]
    assert columns(estimator(draw(None, (120, 60)))) == [None, 120]


def test_two_who_become_one_take_one_place(estimator, landmarks):
    landmarks.sees = 120
    assert all(columns(estimator(draw((40, 60), (60, 60)))))
    # The region of the first one now shows the second one, too, but not in its middle.
    assert columns(estimator(draw(None, (60, 60)))) == [None, 60]


def test_a_place_is_where_its_person_was_last(estimator):
    for step in range(0, 60, 5):
        estimator(draw((40 + step, 30), (120 - step, 90)))
    estimator(draw())
    assert columns(estimator(draw((95, 60)))) == [95, None]


def test_one_who_is_found_twice_takes_one_place(estimator, detector, landmarks):
    detector.offsets, landmarks.sees = [0, 28], 120
    assert columns(estimator(draw((40, 60)))) == [40, None]
    assert landmarks.calls == 2


def test_two_who_stand_close_take_two_places(estimator):
    assert columns(estimator(draw((40, 60), (54, 60)))) == [40, 54]


@pytest.mark.parametrize(("visibility", "expected"), [(0.65, [40, None]), (0.75, [40, 120])])
def test_one_more_has_to_be_seen_well(estimator, landmarks, visibility, expected):
    landmarks.visibility = visibility
    assert columns(estimator(draw((40, 60), (120, 60)))) == expected


def test_no_more_than_asked_for(detector, landmarks):
    poses = PoseEstimator(detector, landmarks, max_people=1)(draw((40, 60), (120, 60)))
    assert columns(poses) == [40]  # the one of whom the detector is surer


def test_the_detector_rests_while_all_are_there(estimator, detector, landmarks):
    for _ in range(12):
        estimator(draw((40, 60), (120, 60)))
    assert (detector.calls, landmarks.calls) == (1, 24)


def test_only_a_few_proposals_are_looked_at(estimator, detector, landmarks):
    detector.offsets, landmarks.sees = [-28, 0, 28, 56, 84], -1
    estimator(draw((40, 60)))
    assert landmarks.calls == 4  # three proposals and the whole frame


def test_the_detector_looks_for_more_now_and_then(estimator, detector, landmarks):
    for _ in range(12):
        estimator(draw((40, 60)))
    assert detector.calls == 3  # frames 0, 5 and 10
    assert landmarks.calls == 12  # who is followed is not looked at again


def test_the_detector_looks_at_once_for_one_who_was_lost(estimator, detector):
    estimator(draw((40, 60), (120, 60)))
    estimator(draw((40, 60), (120, 60)))
    estimator(draw((40, 60), (80, 60)))  # too far for their last region
    assert detector.calls == 2


def test_the_detector_looks_at_each_frame_while_there_is_nobody(estimator, detector):
    for _ in range(4):
        assert not estimator(draw()).flags.any()
    assert detector.calls == 4


def test_the_whole_frame_is_the_last_resort(estimator, detector):
    detector.blind = True
    assert columns(estimator(draw((80, 60)))) == [80, None]


def test_a_new_video_knows_nobody(estimator):
    estimator(draw((120, 60)))
    estimator.reset()
    assert columns(estimator(draw((40, 60), (130, 60)))) == [40, 130]


def test_missing_models_are_told(tmp_path):
    with pytest.raises(DataError, match="fetch"):
        PoseEstimator.load(tmp_path)


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
