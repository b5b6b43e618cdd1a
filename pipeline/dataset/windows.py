"""Windows over a recording, and the answers of overlapping ones as one: NumPy, nothing else.

Training, evaluation and the timeline of a file see the same windows. What is counted are frames of
a grid: of the stored frames, those that are `clip.stride` apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
        windows: Where each starts and its logits, float (T, C), in their order; those beyond the
            end do not count.
        num_frames: Of the grid (G).
        weights: See `frame_weights`.

    Returns:
        float32 (G, C).
    """
    inside = ((start, logits[: num_frames - start]) for start, logits in windows)
    return np.concatenate([*join_in_turn(inside, weights)])


def join_in_turn(windows: Iterable[tuple[int, Floats]], weights: Floats) -> Iterator[Floats]:
    """The same, of a recording of any length in constant memory.

    Args:
        windows: Where each starts and the logits of its real frames, float (up to T, C), in their
            order; they leave no frame out.
        weights: See `frame_weights`.

    Yields:
        float32 (any, C), the answers at the frames that no window to come has, in their order.
    """
    first, total, weight = 0, np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32)
    for start, logits in windows:
        done, number = start - first, len(logits)
        if done:
            yield total[:done] / weight[:done]
        missing = ((0, max(0, done + number - len(total))), (0, 0))
        weight = np.pad(weight[done:], missing)
        total = np.pad(np.broadcast_to(total[done:], (len(total) - done, logits.shape[1])), missing)
        total[:number] += weights[:number, None] * logits
        weight[:number] += weights[:number, None]
        first = start
    if not len(total):
        raise ValueError("no windows to join")
    yield total / weight
