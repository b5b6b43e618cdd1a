"""Timelines: what happens when in a long video."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import FramesConfig
from pipeline.config.checks import expect_range
from pipeline.errors import ConfigError
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import StoredFrames, StoredVideo, clips_of
from pipeline.inference.frame_answers import answer_frames
from pipeline.inference.segments import (
    Curve,
    Segment,
    find_segments,
    probability_curve,
    segments_of_bouts,
)
from pipeline.inference.window_plan import WindowPlan, plan_as_evaluation, plan_windows
from pipeline.inference.windows import Window, slide
from pipeline.tasks.bouts import runs_of, without_short
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent
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
        windows: What the model says of each of them; none where it does of every frame.
        curve: How probable each class is over time.
        segments: What happens from when to when, by their start. They lie end to end where one of
            the classes always holds; else there may be gaps, and several may hold at once.
        class_names: Names of the classes, in the order of the logits.
        background: The one of them that stands for no event, which has no segments; empty if there
            is none.
    """

    path: str
    info: VideoInfo
    window_seconds: float
    windows: tuple[Window, ...]
    curve: Curve
    segments: tuple[Segment, ...]
    class_names: tuple[str, ...]
    background: str = ""

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
    overlap: float | None = None,
    hysteresis: float | None = None,
    open_video: OpenVideo = StoredVideo,
) -> Timeline:
    """Classifies a video of any length, window by window, in constant memory.

    Of a run that answers at every frame it gives these answers, the same as evaluation, and holds
    4 bytes a frame and class. Of other runs, what lasts less than two thirds of a window is not
    told.

    Args:
        classifier: The run.
        path: The video file.
        window_seconds: Length of a window; None: that of a usual training video.
        overlap: Share of a window that the next one has in common with it, from 0 to below 1;
            None: `OVERLAP`.
        hysteresis: By how much another class must be more probable than the one before it, 0 to 1,
            where classes exclude each other; None: `HYSTERESIS`.
        open_video: What reads the file: this process, or another one, see
            `pipeline.inference.decoding.reading_elsewhere`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: The model gives no numbers.
        ConfigError: A value is out of range, or is not for this run.
    """
    task, bundle = classifier.task, classifier.bundle
    windows: tuple[Window, ...] = ()
    if isinstance(task, Frames):
        options = {"--window": window_seconds, "--overlap": overlap, "hysteresis": hysteresis}
        _refuse(options, "which answers at every frame")
        plan, stored = plan_as_evaluation(bundle), open_video(path, bundle.frames)
        curve, bouts = answer_frames(stored, classifier.model, plan, task)
        info = stored.info
        segments = segments_of_bouts(bouts, curve, bundle.class_names, bundle.model.background)
    else:
        overlap = OVERLAP if overlap is None else overlap
        plan = plan_windows(bundle, window_seconds=window_seconds, overlap=overlap)
        windows, info = _windows_of(classifier, plan, lambda: open_video(path, bundle.frames))
        curve = probability_curve(
            windows, plan.hop_seconds, info.duration_seconds, task, bundle.calibration.temperature
        )
        segments = _segments(classifier, curve, plan, hysteresis)
    return Timeline(
        path=str(path),
        info=info,
        window_seconds=plan.window_seconds,
        windows=windows,
        curve=curve,
        segments=tuple(segments),
        class_names=tuple(classifier.class_names),
        background=bundle.model.background,
    )


def _refuse(options: Mapping[str, float | None], why: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name} is not for this run, {why}. Leave it out")


def _windows_of(
    classifier: Classifier, plan: WindowPlan, open_stored: Callable[[], StoredFrames]
) -> tuple[tuple[Window, ...], VideoInfo]:
    """What the model says of the windows of a video, of which there is one at least."""
    stored = open_stored()
    windows = tuple(slide(stored, classifier.model, plan))
    info = stored.info
    if not windows:  # It is shorter than one: then as evaluation sees it.
        clips = clips_of(open_stored(), classifier.bundle)
        windows = (Window(0.0, info.duration_seconds, classifier.model.video_logits(clips)),)
    classifier.model.check(np.stack([window.logits for window in windows]))
    return windows, info


def _segments(
    classifier: Classifier, curve: Curve, plan: WindowPlan, hysteresis: float | None
) -> list[Segment]:
    """The segments of a run whose answers are for windows."""
    names, calibration = classifier.class_names, classifier.bundle.calibration
    shortest_seconds = SHORTEST * plan.window_seconds
    if isinstance(classifier.task, Independent):
        _refuse({"hysteresis": hysteresis}, "whose classes may hold at once")
        holds = classifier.task.holds(curve.probabilities, calibration.class_thresholds)
        least = curve.cells(shortest_seconds)
        bouts = [without_short(runs_of(column), least, gap=1) for column in holds.T]
        return segments_of_bouts(bouts, curve, names)
    hysteresis = HYSTERESIS if hysteresis is None else hysteresis
    expect_range(hysteresis, "hysteresis", 0, 1)
    return find_segments(
        curve, names, calibration, hysteresis=hysteresis, shortest_seconds=shortest_seconds
    )
