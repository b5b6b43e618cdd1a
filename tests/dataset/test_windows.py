"""Windows over recordings, and their answers as one."""

import numpy as np
import pytest

from pipeline.config import ClipConfig
from pipeline.dataset.windows import (
    frame_weights,
    grid_length,
    grid_offset,
    join_windows,
    window_frames,
    window_starts,
)

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


def test_answers_are_averaged_by_how_near_the_middle_they_are():
    weights = frame_weights(4, looks_back_only=False)
    windows = [(0, np.zeros((4, 1), np.float32)), (2, np.ones((4, 1), np.float32))]
    found = join_windows(windows, 6, weights)[:, 0]
    np.testing.assert_allclose(found, [0, 0, 1 / 3, 2 / 3, 1, 1])


def test_what_lies_beyond_the_end_does_not_count():
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
