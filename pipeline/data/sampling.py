"""Which frames of a video make a clip: index arithmetic in NumPy, nothing else.

The same functions serve training, evaluation and the classification of a file, so that all of
them cut the same clip of a video.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.config import ClipConfig

Order = Literal["in_order", "shuffled", "reversed"]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def sample_clip(
    num_frames: int,
    config: ClipConfig,
    *,
    rng: np.random.Generator | None = None,
    view: int | None = None,
) -> tuple[Indices, Mask]:
    """Chooses the frames of one clip.

    Args:
        num_frames: Frames that the video has, at least 1.
        config: Length of the clip (T), sampling and what to do with short videos.
        rng: For training: draws the clip at random. Without it the choice is fixed.
        view: Which of the `config.views` fixed clips to take; None: the middle one. It has no
            effect with `rng`.

    Returns:
        Frame indices int64 (T,), each from 0 to num_frames - 1, never decreasing but where a
        short video loops; and the mask bool (T,), true for real frames and false for the padding
        that follows them. Padding repeats the last real index.

    Raises:
        ValueError: `num_frames` is below 1.

    Example:
        >>> indices, mask = sample_clip(8, ClipConfig(num_frames=4))
        >>> indices.tolist()
        [1, 3, 5, 7]
        >>> indices, mask = sample_clip(3, ClipConfig(num_frames=4))
        >>> indices.tolist(), mask.tolist()
        ([0, 1, 2, 2], [True, True, True, False])
    """
    if num_frames < 1:
        raise ValueError(f"num_frames must be at least 1. Received: {num_frames}")
    view = config.views // 2 if view is None else view
    if config.sampling == "uniform":
        chosen = _uniform(num_frames, config, rng, view)
    else:
        chosen = _dense(num_frames, config, rng, view)
    return _fill(chosen, config)


def reorder(
    indices: Indices, mask: Mask, order: Order, rng: np.random.Generator
) -> tuple[Indices, Mask]:
    """Puts the real frames of a clip into another order; the padding stays at the end.

    Args:
        indices: Frame indices int64 (T,).
        mask: True for real frames, bool (T,), right-padded.
        order: `in_order` changes nothing.
        rng: Draws the order of `shuffled`.

    Returns:
        Indices int64 (T,) and the same mask.
    """
    real = indices[mask]
    if order == "reversed":
        real = real[::-1]
    elif order == "shuffled":
        real = rng.permutation(real)
    return np.concatenate([real, indices[~mask]]), mask


def _uniform(
    num_frames: int, config: ClipConfig, rng: np.random.Generator | None, view: int
) -> Indices:
    """One frame of each of T segments; every frame once where there are fewer than T."""
    length = config.num_frames
    if num_frames <= length:
        return np.arange(num_frames)
    offsets = np.full(length, (view + 0.5) / config.views) if rng is None else rng.random(length)
    positions = (np.arange(length) + offsets) * (num_frames / length)
    # Rounding can lift the end of the last segment to num_frames itself.
    return np.minimum(positions.astype(np.int64), num_frames - 1)


def _dense(
    num_frames: int, config: ClipConfig, rng: np.random.Generator | None, view: int
) -> Indices:
    """T frames `stride` apart: from a random start, or from one of evenly spread starts."""
    span = (config.num_frames - 1) * config.stride + 1
    slack = max(num_frames - span, 0)
    if rng is None:
        start = int(slack * (view + 0.5) / config.views)
    else:
        start = int(rng.integers(slack + 1))
    return np.arange(start, min(start + span, num_frames), config.stride)


def _fill(chosen: Indices, config: ClipConfig) -> tuple[Indices, Mask]:
    """Brings the chosen frames to T by the policy for short videos."""
    missing = config.num_frames - len(chosen)
    if config.short == "loop":
        return np.resize(chosen, config.num_frames), np.ones(config.num_frames, bool)
    filled = np.pad(chosen, (0, missing), mode="edge")
    real = config.num_frames if config.short == "hold" else len(chosen)
    return filled, np.arange(config.num_frames) < real
