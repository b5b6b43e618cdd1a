"""The choice of a clip's frames, and windows over a recording: index arithmetic in NumPy alone.

The same functions serve training, evaluation, the classification of a file and its timeline, so
that all of them cut the same clip of a video, and see the same windows.

What is counted of windows are frames of a grid: of the stored frames, those that are `clip.stride`
apart. The answers of windows that overlap become one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from pipeline.config import ClipConfig

Order = Literal["in_order", "shuffled", "reversed"]
Indices = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
Random: TypeAlias = "np.random.Generator | None"  # NumPy imports it when it is asked for


def sample_clip(
    num_frames: int,
    config: ClipConfig,
    *,
    rng: Random = None,
    view: int | None = None,
    most: int | None = None,
    speed: float = 1.0,
    drop: float = 0.0,
    backwards: bool = False,
) -> tuple[Indices, Mask]:
    """Chooses the frames of one clip.

    Args:
        num_frames: Frames that the video has, at least 1.
        config: Length of the clip (T), sampling and what to do with short videos.
        rng: For training: draws the clip at random. Without it the choice is fixed.
        view: Which of the `config.views` fixed clips to take; None: the middle one. It has no
            effect with `rng`.
        most: Real frames, at most, as if the clip were shorter; None: T.
        speed: With `rng`: a dense clip has its frames `stride * speed` apart. A uniform clip, which
            takes in the whole video, can only be cut of a part of it: of the share `speed` or
            1 / `speed`, whichever is below 1, but of T frames where there are as many.
        drop: With `rng`: a random number of the frames, up to this share and never all, is left
            out at random; the clip is then filled up as that of a short video.
        backwards: Whether the frames come in reverse order.

    Returns:
        Frame indices int64 (T,), each from 0 to num_frames - 1, never decreasing but where a
        short video loops (never increasing for `backwards`); and the mask bool (T,), true for
        real frames and false for the padding that follows them. Padding repeats the last real
        index.

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
    choose = _uniform if config.sampling == "uniform" else _dense
    cut = dataclasses.replace(config, num_frames=min(most or config.num_frames, config.num_frames))
    chosen = choose(num_frames, cut, rng, view, speed)
    if rng is not None and drop:
        chosen = _drop(chosen, drop, rng)
    return _fill(chosen[::-1] if backwards else chosen, config)


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


def _uniform(num_frames: int, config: ClipConfig, rng: Random, view: int, speed: float) -> Indices:
    """One frame of each of T segments; every frame once where there are fewer than T."""
    length = config.num_frames
    if rng is None:
        offsets, part, start = np.full(length, (view + 0.5) / config.views), num_frames, 0
    else:
        # As many numbers whatever the speed, so that what is drawn later does not depend on it.
        *drawn, place = rng.random(length + 1)
        offsets = np.array(drawn)
        part = max(round(num_frames * min(speed, 1 / speed)), min(num_frames, length))
        start = int(place * (num_frames - part + 1))
    if part <= length:
        return np.arange(start, start + part)
    positions = (np.arange(length) + offsets) * (part / length)
    # Rounding can lift the end of the last segment to the end of the part itself.
    return start + np.minimum(positions.astype(np.int64), part - 1)


def _dense(num_frames: int, config: ClipConfig, rng: Random, view: int, speed: float) -> Indices:
    """T frames `stride` apart: from a random start, or from one of evenly spread starts."""
    stride = config.stride if rng is None else config.stride * speed
    steps = (np.arange(config.num_frames) * stride).astype(np.int64)
    slack = max(num_frames - 1 - int(steps[-1]), 0)
    if rng is None:
        start = int(slack * (view + 0.5) / config.views)
    else:
        start = int(rng.random() * (slack + 1))
    return start + steps[steps < num_frames - start]


def _drop(chosen: Indices, share: float, rng: np.random.Generator) -> Indices:
    """Leaves out from none up to a share of the frames, but at least one stays."""
    most = min(int(share * len(chosen)), len(chosen) - 1)
    kept = len(chosen) - int(rng.integers(most + 1))
    return chosen[np.sort(rng.permutation(len(chosen))[:kept])]


def _fill(chosen: Indices, config: ClipConfig) -> tuple[Indices, Mask]:
    """Brings the chosen frames to T by the policy for short videos."""
    missing = config.num_frames - len(chosen)
    if config.short == "loop":
        return np.resize(chosen, config.num_frames), np.ones(config.num_frames, bool)
    filled = np.pad(chosen, (0, missing), mode="edge")
    real = config.num_frames if config.short == "hold" else len(chosen)
    return filled, np.arange(config.num_frames) < real


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
