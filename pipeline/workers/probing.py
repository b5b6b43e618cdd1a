"""What is known of many video files, of which any may crash the decoder or hang."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from pipeline.errors import VideoDecodeError
from pipeline.video import VideoInfo, probe
from pipeline.workers.pool import OnVideo, run_in_workers

_SECONDS_PER_VIDEO: Final = 60.0
_Task = tuple[str, str]
"""A file, and why a worker was lost over it; empty: none was."""


def probe_each(
    paths: Iterable[str],
    *,
    doing: str = "looking at videos",
    workers: int = 0,
    seconds_per_video: float = _SECONDS_PER_VIDEO,
) -> Mapping[str, VideoInfo | VideoDecodeError]:
    """Returns what is known of each file, or why it cannot be read; worker processes look at them.

    This process stays as it is: also its memory, which the index of a long file would fill.

    Args:
        paths: The files, repeatedly or not.
        doing: What the progress bar says is being done.
        workers: Processes; 0 is one per processor core.
        seconds_per_video: Looking at a video for longer is given up, in any case after 60.

    Raises:
        PipelineError: The worker processes cannot be started.
    """
    files = list(dict.fromkeys(paths))
    found = run_in_workers(
        _probe,
        [(path, "") for path in files],
        doing=doing,
        workers=workers,
        num_videos=len(files),
        seconds_per_video=min(_SECONDS_PER_VIDEO, seconds_per_video),
        on_loss=lambda task, _, reason: (task[0], reason),
    )
    return dict(zip(files, found, strict=True))


def _probe(task: _Task, on_video: OnVideo) -> VideoInfo | VideoDecodeError:
    path, reason = task
    if reason:
        return VideoDecodeError(path, reason)
    on_video(path)
    try:
        return probe(path)
    except Exception as error:  # whatever a decoder thinks of
        return VideoDecodeError.of(path, error)
