"""At which rate the frames of videos are stored, where none is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.config.prepare import PrepareConfig
from pipeline.video import VideoInfo
from pipeline.workers.pool import probe_each

MOST_FPS: Final = 15.0
_ONE_IN = 20
_LOOKED_AT = 200


def stored_rate(rates: Iterable[float]) -> float:
    """Chooses the frames per second that are stored: 15, or as many as nearly all videos have.

    A video that has fewer repeats frames, and between two of the same nothing moves: differences
    and optical flow are zero in the midst of a motion. One video in 20 may have fewer, and the rate
    is at least half of that of the middle one, lest a few slow videos, or ones with a clock that is
    wrong, take from all the others what these have.

    Example:
        >>> stored_rate([30, 25, 29.97]), stored_rate([12, 12, 30]), stored_rate([8, *[30] * 19])
        (15.0, 12, 15.0)
    """
    ordered = sorted(rates)
    if not ordered:
        return MOST_FPS
    usual = min(MOST_FPS, ordered[len(ordered) // 2])
    rate = max(ordered[len(ordered) // _ONE_IN], usual / 2)
    return rate if rate < 0.99 * MOST_FPS else MOST_FPS  # of 14.985, a frame in 1,000 repeats


def chosen_rate(
    paths: Sequence[str], config: PrepareConfig, known: Mapping[str, float] | None = None
) -> float:
    """Chooses the rate for video files, see `stored_rate`; of many, 200 from end to end count.

    Args:
        paths: The files, repeatedly or not; those that cannot be read are passed over.
        config: Source, workers and the time that a video may take.
        known: Frames per second of files that need not be looked at; 0: one that cannot be read.

    Raises:
        PipelineError: The worker processes cannot be started.
    """
    known = known or {}
    if config.is_rendered:  # Its videos are of many kinds, slow ones, too.
        return MOST_FPS
    files = list(dict.fromkeys(paths))
    chosen = files[:: math.ceil(len(files) / _LOOKED_AT) or 1]
    found = probe_each(
        [path for path in chosen if path not in known],
        doing="looking at rates",
        workers=config.workers,
        seconds_per_video=config.seconds_per_video,
        limits=config.limits,
    )
    probed = [info.fps for info in found.values() if isinstance(info, VideoInfo)]
    return stored_rate([*probed, *(known[path] for path in chosen if known.get(path))])
