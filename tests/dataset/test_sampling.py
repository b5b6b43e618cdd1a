"""The choice of the frames of a clip, and of windows over recordings: index arithmetic."""

import numpy as np
import pytest

from pipeline.config import ClipConfig
from pipeline.dataset.sampling import (
    frame_weights,
    grid_length,
    grid_offset,
    join_windows,
    reorder,
    sample_clip,
    window_frames,
    window_starts,
)

DENSE = {"sampling": "dense", "num_frames": 4}
VIEWS = {"num_frames": 2, "views": 3}
DENSE_VIEWS = {**VIEWS, "sampling": "dense", "stride": 1}
SHORT_DENSE = {**DENSE, "num_frames": 5, "stride": 2}


@pytest.mark.parametrize(
    ("clip", "num_frames", "view", "expected", "real"),
    [
        # The middle of each of four segments.
        ({"num_frames": 4}, 4, None, [0, 1, 2, 3], 4),
        ({"num_frames": 4}, 8, None, [1, 3, 5, 7], 4),
        ({"num_frames": 4}, 9, None, [1, 3, 5, 7], 4),
        ({"num_frames": 4}, 400, None, [50, 150, 250, 350], 4),
        # Views lie evenly within the segments; without one it is the middle one.
        (VIEWS, 12, 0, [1, 7], 2),
        (VIEWS, 12, 1, [3, 9], 2),
        (VIEWS, 12, 2, [5, 11], 2),
        (VIEWS, 12, None, [3, 9], 2),
        # Dense ones fit exactly, or lie in the middle.
        ({**DENSE, "stride": 2}, 7, None, [0, 2, 4, 6], 4),
        ({**DENSE, "stride": 2}, 11, None, [2, 4, 6, 8], 4),
        ({**DENSE, "stride": 1}, 5, None, [0, 1, 2, 3], 4),
        ({**DENSE, "stride": 5}, 20, None, [2, 7, 12, 17], 4),
        # Dense views spread over the video.
        (DENSE_VIEWS, 20, 0, [3, 4], 2),
        (DENSE_VIEWS, 20, 1, [9, 10], 2),
        (DENSE_VIEWS, 20, 2, [15, 16], 2),
        (DENSE_VIEWS, 20, None, [9, 10], 2),
        # Short videos.
        ({"num_frames": 5, "short": "mask"}, 3, None, [0, 1, 2, 2, 2], 3),
        ({"num_frames": 5, "short": "hold"}, 3, None, [0, 1, 2, 2, 2], 5),
        ({"num_frames": 5, "short": "loop"}, 3, None, [0, 1, 2, 0, 1], 5),
        ({"num_frames": 5, "short": "mask"}, 1, None, [0, 0, 0, 0, 0], 1),
        ({**SHORT_DENSE, "short": "mask"}, 4, None, [0, 2, 2, 2, 2], 2),
        ({**SHORT_DENSE, "short": "hold"}, 4, None, [0, 2, 2, 2, 2], 5),
        ({**SHORT_DENSE, "short": "loop"}, 4, None, [0, 2, 0, 2, 0], 5),
    ],
)
def test_clips_of_evaluation(clip, num_frames, view, expected, real):
    indices, mask = sample_clip(num_frames, ClipConfig(**clip), view=view)
    assert indices.tolist() == expected
    assert mask.tolist() == [True] * real + [False] * (len(expected) - real)


def random_clips(num_frames, config, count=300, **changes):
    rng = np.random.default_rng(0)
    return [sample_clip(num_frames, config, rng=rng, **changes) for _ in range(count)]


def test_random_clips_reach_all_frames():
    draws = [indices for indices, _ in random_clips(12, ClipConfig(num_frames=4))]
    assert (np.array(draws) // 3 == np.arange(4)).all(), "one of each segment"
    assert set(np.concatenate(draws)) == set(range(12))
    config = ClipConfig(num_frames=2, sampling="dense", stride=1)
    starts = {indices[0] for indices, _ in random_clips(5, config)}
    assert starts == {0, 1, 2, 3}

    # A video has frames, and rounding never passes its end.
    class AlmostOne:
        def random(self, size):
            return np.full(size, np.nextafter(1.0, 0.0))

    with pytest.raises(ValueError, match="at least 1. Received: 0"):
        sample_clip(0, ClipConfig())
    for num_frames in range(1, 500):
        indices, _ = sample_clip(num_frames, ClipConfig(num_frames=3), rng=AlmostOne())
        assert indices[-1] < num_frames


def test_reorder_keeps_the_padding_at_the_end():
    indices, mask = np.array([3, 5, 8, 8, 8]), np.array([True, True, True, False, False])
    rng = np.random.default_rng(1)
    assert reorder(indices, mask, "in_order", rng)[0].tolist() == [3, 5, 8, 8, 8]
    assert reorder(indices, mask, "reversed", rng)[0].tolist() == [8, 5, 3, 8, 8]
    orders = {tuple(reorder(indices, mask, "shuffled", rng)[0]) for _ in range(100)}
    assert len(orders) == 6
    assert all(order[3:] == (8, 8) for order in orders)


def test_speed_is_a_factor_on_the_stride_or_the_part_that_a_clip_is_cut_of():
    dense = ClipConfig(num_frames=5, sampling="dense", stride=2)
    for speed, steps in ((0.25, (0, 1, 0, 1)), (0.5, (1, 1, 1, 1)), (1.5, (3, 3, 3, 3))):
        clips = random_clips(20, dense, speed=speed)
        assert {tuple(np.diff(indices)) for indices, _ in clips} == {steps}
        assert min(indices[0] for indices, _ in clips) == 0
        assert max(indices[-1] for indices, _ in clips) == 19
    for speed in (0.5, 2.0):
        clips = [indices for indices, _ in random_clips(40, ClipConfig(num_frames=4), speed=speed)]
        assert all(10 <= clip[-1] - clip[0] <= 19 for clip in clips)
        assert min(clip[0] for clip in clips) <= 1
        assert max(clip[-1] for clip in clips) >= 38
    clips = random_clips(8, ClipConfig(num_frames=6), speed=0.5)
    starts = {tuple(indices - np.arange(6)) for indices, _ in clips}
    assert starts == {(start,) * 6 for start in range(3)}, "each of just enough"
    for num_frames, expected in ((3, [0, 1, 2, 2, 2]), (5, [0, 1, 2, 3, 4])):
        for indices, mask in random_clips(num_frames, ClipConfig(num_frames=5), 20, speed=0.3):
            assert indices.tolist() == expected
            assert mask.sum() == num_frames


@pytest.mark.parametrize("sampling", ["uniform", "dense"])
@pytest.mark.parametrize("num_frames", [1, 2, 7, 16, 61])
def test_whatever_the_changes_a_clip_stays_inside_the_video(sampling, num_frames):
    config = ClipConfig(num_frames=7, sampling=sampling, stride=3)
    for speed, drop in ((1.0, 0.0), (0.1, 0.9), (0.7, 0.9), (1.4, 0.9), (10.0, 0.9)):
        for indices, mask in random_clips(num_frames, config, 50, speed=speed, drop=drop):
            assert mask[0]
            assert 0 <= indices.min() <= indices.max() < num_frames
            assert (np.diff(indices) >= 0).all()
            assert (mask[:-1] >= mask[1:]).all()


def test_frames_are_left_out_at_random_up_to_their_share():
    clips = random_clips(8, ClipConfig(num_frames=8), drop=0.4)
    counts = [mask.sum() for _, mask in clips]
    assert set(counts) == {5, 6, 7, 8}
    kept = [tuple(indices[mask]) for indices, mask in clips if mask.sum() == 7]
    assert len(set(kept)) == 8, "any one of eight"
    assert all(len(set(frames)) == 7 for frames in kept)
    for num_frames in (1, 2):
        for _, mask in random_clips(num_frames, ClipConfig(num_frames=4), 50, drop=1.0):
            assert mask.sum() >= 1, "one always stays"
    # What is left out is made up for as in a short video.
    for short in ("loop", "hold"):
        for indices, mask in random_clips(5, ClipConfig(num_frames=5, short=short), 50, drop=0.6):
            assert mask.all()
            real = np.unique(indices)
            held = np.append(real, [real[-1]] * 5)[:5]
            assert indices.tolist() == (held if short == "hold" else np.resize(real, 5)).tolist()
    # It does not depend on the speed.
    config = ClipConfig(num_frames=6)
    plain, slow = (
        [mask.sum() for _, mask in random_clips(8, config, 20, drop=0.5, speed=speed)]
        for speed in (1.0, 0.5)  # of the slow one, each frame is taken once
    )
    assert plain == slow


def test_backwards_the_padding_still_follows_and_only_training_changes_speed():
    for short, expected in (("mask", [2, 1, 0, 0, 0]), ("loop", [2, 1, 0, 2, 1])):
        indices, mask = sample_clip(3, ClipConfig(num_frames=5, short=short), backwards=True)
        assert indices.tolist() == expected
        assert mask.sum() == (3 if short == "mask" else 5)
    config = ClipConfig(num_frames=4)
    changed = sample_clip(40, config, speed=0.5, drop=0.9)
    assert changed[0].tolist() == sample_clip(40, config)[0].tolist()
    assert changed[1].all()


LENGTHS = [1, 3, 4, 5, 7, 8, 9, 20, 61]


@pytest.mark.parametrize("looks_back_only", [False, True])
@pytest.mark.parametrize("length", [1, 2, 4, 5, 8])
@pytest.mark.parametrize("num_frames", LENGTHS)
def test_every_frame_lies_in_a_window(num_frames, length, looks_back_only):
    starts = window_starts(num_frames, length, looks_back_only=looks_back_only)
    seen = {frame for start in starts for frame in range(start, start + length)}
    assert seen >= set(range(num_frames))
    assert all(0 <= start < num_frames for start in starts)
    assert np.all(np.diff(starts) > 0)
    if not looks_back_only and num_frames >= length:
        assert max(seen) == num_frames - 1, "none is cut short"


@pytest.mark.parametrize("length", [2, 4, 5, 8])
@pytest.mark.parametrize("num_frames", LENGTHS)
def test_what_looks_back_only_answers_from_half_a_window_or_more(num_frames, length):
    starts = window_starts(num_frames, length, looks_back_only=True)
    weights = frame_weights(length, looks_back_only=True)
    # The answer of a window says how many frames it has seen.
    seen = np.arange(1, length + 1, dtype=np.float32)[:, None]
    answers = join_windows(((start, seen) for start in starts), num_frames, weights)[:, 0]
    half = max(1, length // 2)
    # As a stream that starts anew every half a window, and listens to the one that has seen more.
    expected = [
        max(n - start + 1 for start in range(0, n + 1, half) if n - start < length)
        for n in range(num_frames)
    ]
    np.testing.assert_allclose(answers, expected, rtol=1e-6)


def test_answers_are_averaged_by_how_near_the_middle_they_are_up_to_the_end():
    weights = frame_weights(4, looks_back_only=False)
    windows = [(0, np.zeros((4, 1), np.float32)), (2, np.ones((4, 1), np.float32))]
    found = join_windows(windows, 6, weights)[:, 0]
    np.testing.assert_allclose(found, [0, 0, 1 / 3, 2 / 3, 1, 1])
    windows = [(0, np.array([[1.0], [2.0], [9.0], [9.0]], np.float32))]
    found = join_windows(windows, 2, frame_weights(4, looks_back_only=False))
    np.testing.assert_array_equal(found, [[1], [2]])


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_frames_of_a_window_are_on_the_grid(stride):
    clip = ClipConfig(num_frames=5, sampling="dense", stride=stride, views=1)
    grid = np.arange(grid_offset(clip), 1000, stride)
    for start in (0, 3):
        indices, mask = window_frames(5 * stride, clip)
        np.testing.assert_array_equal(start * stride + indices, grid[start : start + 5])
        assert mask.all()
    for num_frames in range(1, 5 * stride):
        indices, mask = window_frames(num_frames, clip)
        assert mask.sum() == grid_length(num_frames, clip)
        assert indices.max() < num_frames
