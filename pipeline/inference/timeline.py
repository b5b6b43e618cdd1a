"""Timelines: what happens when in a long video."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FramesConfig
from pipeline.config.checks import expect_range
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredFrames, StoredVideo, clips_of
from pipeline.inference.segments import Curve, Segment, find_segments, probability_curve
from pipeline.inference.windows import Window, plan_windows, slide
from pipeline.text import clock
from pipeline.video import VideoInfo

OpenVideo = Callable[[str | Path, FramesConfig], StoredFrames]

OVERLAP = 0.75
HYSTERESIS = 0.1
SHORTEST = 2 / 3
"""Of a window; what is shorter goes to a neighbour. Two actions that meet look like a third one."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Timeline:
    """Segments of a video, and the probabilities that they come from.

    Attributes:
        path: The video file.
        info: What is known of the file.
        window_seconds: Length of the windows that were looked at.
        windows: What the model says of each of them.
        curve: How probable each class is over time.
        segments: What happens from when to when; they lie end to end.
        class_names: Names of the classes, in the order of the logits.
    """

    path: str
    info: VideoInfo
    window_seconds: float
    windows: tuple[Window, ...]
    curve: Curve
    segments: tuple[Segment, ...]
    class_names: tuple[str, ...]

    def __repr__(self) -> str:
        segments = ", ".join(
            f"{clock(each.start_seconds)} {each.label}" for each in self.segments[:5]
        )
        more = f" and {len(self.segments) - 5} more" if len(self.segments) > 5 else ""
        return f"<{self.path!r}, {clock(self.info.duration_seconds)}: {segments}{more}>"

    def as_json(self) -> dict[str, Any]:
        """Path, length and segments as JSON types."""
        return {
            "path": self.path,
            "duration_seconds": self.info.duration_seconds,
            "damaged": self.info.damaged,
            "window_seconds": self.window_seconds,
            "segments": [dataclasses.asdict(segment) for segment in self.segments],
        }


def make_timeline(
    classifier: Classifier,
    path: str | Path,
    *,
    window_seconds: float | None = None,
    overlap: float = OVERLAP,
    hysteresis: float = HYSTERESIS,
    open_video: OpenVideo = StoredVideo,
) -> Timeline:
    """Classifies a video of any length, window by window, in constant memory.

    What lasts less than two thirds of a window is not told.

    Args:
        classifier: The run.
        path: The video file.
        window_seconds: Length of a window; None: that of a usual training video.
        overlap: Share of a window that the next one has in common with it, from 0 to below 1.
        hysteresis: By how much another class must be more probable than the one before it, 0 to 1.
        open_video: What reads the file: this process, or another one, see
            `pipeline.inference.decoding.reading_elsewhere`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: The model gives no numbers.
        ConfigError: A value is out of range.
    """
    expect_range(hysteresis, "hysteresis", 0, 1)
    calibration, frames = classifier.bundle.calibration, classifier.bundle.frames
    plan = plan_windows(classifier.bundle, window_seconds=window_seconds, overlap=overlap)
    stored = open_video(path, frames)
    windows = tuple(slide(stored, classifier.model, plan))
    info = stored.info
    if not windows:  # It is shorter than one: then as evaluation sees it.
        clips = clips_of(open_video(path, frames), classifier.bundle)
        windows = (Window(0.0, info.duration_seconds, classifier.model.video_logits(clips)),)
    classifier.model.check(np.stack([window.logits for window in windows]))
    curve = probability_curve(
        windows,
        plan.hop_seconds,
        info.duration_seconds,
        classifier.task,
        calibration.temperature,
    )
    segments = find_segments(
        curve,
        classifier.class_names,
        calibration,
        hysteresis=hysteresis,
        shortest_seconds=SHORTEST * plan.window_seconds,
    )
    return Timeline(
        path=str(path),
        info=info,
        window_seconds=plan.window_seconds,
        windows=windows,
        curve=curve,
        segments=tuple(segments),
        class_names=tuple(classifier.class_names),
    )
