import dataclasses

import pytest

from pipeline.video import VideoInfo


def info(declared, num_frames, seconds=None, fps=25.0):
    return VideoInfo(
        path="a.mp4",
        width=64,
        height=48,
        fps=fps,
        declared_frames=declared,
        num_frames=num_frames,
        duration_seconds=(num_frames or 0) / fps if seconds is None else seconds,
        codec="h264",
    )


@pytest.mark.parametrize(
    ("declared", "num_frames", "cut_off"),
    [
        (311, 310, False),
        (174, 172, False),
        (60, 52, False),  # 8 too many
        (60, 50, False),
        (60, 49, True),
        (141, 73, True),
        (300, 120, True),
        (1000, 901, False),
        (1000, 899, True),
        (12, 7, False),
        (12, 6, False),
        (12, 5, True),
        (2, 1, False),
        (3, 1, True),
        (60, 61, False),  # more than declared
        (None, 60, False),
        (60, None, False),  # not counted yet
    ],
)
def test_is_cut_off(declared, num_frames, cut_off):
    assert info(declared, num_frames).is_cut_off is cut_off


def test_a_number_computed_from_a_duration_is_compared_with_time():
    # Half of the frames of a nominal 30 per second are there, but they cover the whole duration.
    assert not info(300, 150, seconds=10.0, fps=30.0).is_cut_off
    assert info(300, 150, seconds=5.0, fps=30.0).is_cut_off


def test_the_clock_of_a_container_may_begin_before_the_first_frame():
    found = info(174, 172, fps=30.0)
    assert found.missing_frames == 2
    assert dataclasses.replace(found, start_seconds=0.1).missing_frames == 0


def test_missing_frames():
    assert info(60, 52).missing_frames == 8
    assert info(60, 61).missing_frames == 0
