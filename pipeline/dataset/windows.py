"""Windows over a recording, and the answers of overlapping ones as one: NumPy, nothing else.

Training, evaluation and the timeline of a file see the same windows. What is counted are frames of
a grid: of the stored frames, those that are `clip.stride` apart.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from pipeline.config import ClipConfig
from pipeline.dataset.sampling import Indices, Mask, sample_clip

Floats = npt.NDArray[np.float32]


def grid_offset(clip: ClipConfig) -> int:
    """The first stored frame of a grid."""
    (first, *_), _ = sample_clip(clip.num_frames * clip.stride, clip)
    return int(first)


def grid_length(num_frames: int, clip: ClipConfig) -> int:
    """Frames of the grid of so many stored frames; of a recording that has any, at least 1."""
    return max(1, len(range(grid_offset(clip), num_frames, clip.stride)))


def window_starts(num_frames: int, length: int, *, looks_back_only: bool) -> list[int]:
    """Where windows that overlap by half start, so that each frame has an answer.

    The last one ends with the recording; where the network looks back only, it starts where a
    stream would start over, and is cut short.

    Args:
        num_frames: Of the grid, at least 1.
        length: Frames of a window (T).
        looks_back_only: See `pipeline.config.TemporalConfig`.

    Example:
        >>> window_starts(11, 4, looks_back_only=False), window_starts(11, 4, looks_back_only=True)
        ([0, 2, 4, 6, 7], [0, 2, 4, 6, 8])
    """
    hop = max(1, length // 2)
    rest = max(0, num_frames - length)
    starts = list(range(0, rest + 1, hop))
    if starts[-1] < rest:
        starts.append(starts[-1] + hop if looks_back_only else rest)
    return starts


def window_frames(num_frames: int, clip: ClipConfig) -> tuple[Indices, Mask]:
    """The frames of a window, of so many stored ones from its start on: see `sample_clip`."""
    indices = grid_offset(clip) + np.arange(clip.num_frames) * clip.stride
    real = indices < num_frames
    real[0] = True  # of a recording that is shorter than what the grid leaves out
    return np.minimum(indices, num_frames - 1), real


def frame_weights(length: int, *, looks_back_only: bool) -> Floats:
    """How much the answers of a window count, float32 (T,).

    The nearer to its middle, the more; where the network looks back only, those of its second half
    alone, unless a frame has no other.
    """
    if looks_back_only:
        half = max(1, length // 2)
        # The window that has seen more wins, all but a millionth of it.
        seen = np.arange(length) >= np.array([half, length - half])[:, None]
        return np.float32(10.0) ** (6 * (seen.sum(axis=0) - 2)).astype(np.float32)
    rising = np.arange(1, length + 1, dtype=np.float32)
    return np.minimum(rising, rising[::-1])


def join_windows(windows: Iterable[tuple[int, Floats]], num_frames: int, weights: Floats) -> Floats:
    """The mean answer at each frame over the windows that it lies in.

    Args:
        windows: Where each starts and its logits, float (T, C); those beyond the end do not count.
        num_frames: Of the grid (G).
        weights: See `frame_weights`.

    Returns:
        float32 (G, C).
    """
    total: Floats | None = None
    weight = np.zeros((num_frames, 1), np.float32)
    for start, logits in windows:
        if total is None:
            total = np.zeros((num_frames, logits.shape[1]), np.float32)
        real = min(len(logits), num_frames - start)
        total[start : start + real] += weights[:real, None] * logits[:real]
        weight[start : start + real, 0] += weights[:real]
    if total is None:
        raise ValueError("no windows to join")
    return total / weight


def on_stored_frames(
    answers: npt.NDArray[np.generic], num_frames: int, clip: ClipConfig
) -> npt.NDArray[np.generic]:
    """Answers on the grid, (G, ...), as those of so many stored frames, (N, ...): the nearest."""
    places = (np.arange(num_frames) - grid_offset(clip) + clip.stride // 2) // clip.stride
    return answers[np.clip(places, 0, len(answers) - 1)]
