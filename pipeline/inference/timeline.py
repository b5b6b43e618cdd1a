"""Timelines: what happens when in a long video."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.config import FramesConfig
from pipeline.config.values import Range
from pipeline.errors import ConfigError
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import (
    OpenStored,
    Reading,
    StoredFrames,
    StoredVideo,
    clips_of,
    readings_of,
)
from pipeline.inference.frame_answers import answer_frames
from pipeline.inference.segments import (
    Curve,
    Segment,
    find_segments,
    segments_of_bouts,
    smooth,
)
from pipeline.inference.window_plan import WindowPlan, in_step, plan_as_evaluation, plan_windows
from pipeline.inference.windows import Window, slide
from pipeline.tasks.bouts import runs_of, without_short
from pipeline.tasks.frames import Frames
from pipeline.tasks.multi_label import MultiLabel
from pipeline.text import clock, listed
from pipeline.video import VideoInfo

OpenVideo = Callable[[str | Path, Sequence[FramesConfig]], StoredFrames]

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
        windows: What the model, of several the first, says of each of them; none where it does of
            every frame.
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
    open_video: OpenVideo | None = None,
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
        open_video: What reads the file; None: this process; or another one, see
            `pipeline.inference.decoding.reading_elsewhere`.

    Raises:
        VideoDecodeError: No frame can be had from the file.
        DataError: The model gives no numbers.
        ConfigError: A value is out of range, or is not for this run.
    """
    bundle = classifier.bundle
    open_video = open_video or partial(StoredVideo, tables=classifier.tables)
    windows: tuple[Window, ...] = ()
    if isinstance(classifier.task, Frames):
        options = {"--window": window_seconds, "--overlap": overlap, "hysteresis": hysteresis}
        _refuse(options, "which answers at every frame")
        plans = [plan_as_evaluation(each) for each in classifier.bundles]
        (reading,) = _one_grid(classifier, plans)
        stored = open_video(path, reading.frames)
        curve, bouts = answer_frames(stored, reading, classifier, plans)
        info = stored.info
        segments = segments_of_bouts(bouts, curve, bundle.class_names, bundle.model.background)
    else:
        overlap = OVERLAP if overlap is None else overlap
        plans = in_step(
            [
                plan_windows(each, window_seconds=window_seconds, overlap=overlap)
                for each in classifier.bundles
            ]
        )
        found, info = _windows_of(classifier, plans, partial(open_video, path))
        curve = _curve(classifier, found, plans[0].hop_seconds, info.duration_seconds)
        segments = _segments(classifier, curve, plans[0], hysteresis)
        windows = found[0]
    return Timeline(
        path=str(path),
        info=info,
        window_seconds=plans[0].window_seconds,
        windows=windows,
        curve=curve,
        segments=tuple(segments),
        class_names=tuple(classifier.class_names),
        background=bundle.model.background,
    )


def _one_grid(classifier: Classifier, plans: Sequence[WindowPlan]) -> list[Reading]:
    """The one reading of runs that answer at every frame, which are to be the same frames."""
    readings = readings_of(classifier.bundles)
    if len({(plan.stride, plan.fps) for plan in plans}) > 1:
        rates = listed(f"{1 / plan.frame_seconds:g}" for plan in plans)
        raise ConfigError(
            f"runs that answer at every frame are fused frame by frame, and these answer {rates} "
            "times a second. Train them with the same clip.stride, on data of one rate (--fps)"
        )
    return readings


def _curve(
    classifier: Classifier,
    windows: Sequence[Sequence[Window]],
    cell_seconds: float,
    duration_seconds: float,
) -> Curve:
    """How probable each class is over time, by the windows of each run."""
    task = classifier.task
    smoothed = [smooth(each, cell_seconds, duration_seconds, task) for each in windows]
    logits = classifier.logits([each for each, _ in smoothed])
    shares = task.probabilities(logits, classifier.bundle.calibration.temperature)
    scores = classifier.scores([each for _, each in smoothed])
    return Curve(cell_seconds, duration_seconds, shares, scores)


def _refuse(options: Mapping[str, float | None], why: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name} is not for this run, {why}. Leave it out")


def _windows_of(
    classifier: Classifier, plans: Sequence[WindowPlan], open_preparedd: OpenStored
) -> tuple[list[tuple[Window, ...]], VideoInfo]:
    """What each run says of the windows of a video, of which there is one at least."""
    found: list[list[Window]] = [[] for _ in plans]
    for reading in readings_of(classifier.bundles):
        stored = open_preparedd(reading.frames)
        copies = itertools.tee(stored, len(reading.takes))
        sliding = {
            number: slide(reading.of(number, copy), classifier.members[number], plans[number])
            for number, copy in zip(reading.takes, copies, strict=True)
        }
        # In step, so that what one has read and another has not stays little.
        for windows in itertools.zip_longest(*sliding.values()):
            for number, window in zip(sliding, windows, strict=True):
                found[number] += [window] if window else []
    info = stored.info
    if not all(found):  # It is shorter than a window: then as evaluation sees it.
        clips, info = clips_of(open_preparedd, classifier.bundles)
        found = [
            each or [Window(0.0, info.duration_seconds, member.video_logits(own))]
            for each, member, own in zip(found, classifier.members, clips, strict=True)
        ]
    return [tuple(each) for each in found], info


def _segments(
    classifier: Classifier, curve: Curve, plan: WindowPlan, hysteresis: float | None
) -> list[Segment]:
    """The segments of a run whose answers are for windows."""
    names, calibration = classifier.class_names, classifier.bundle.calibration
    shortest_seconds = SHORTEST * plan.window_seconds
    if isinstance(classifier.task, MultiLabel):
        _refuse({"hysteresis": hysteresis}, "whose classes may hold at once")
        holds = classifier.task.holds(curve.probabilities, calibration.class_thresholds)
        least = curve.cells(shortest_seconds)
        bouts = [without_short(runs_of(column), least, gap=1) for column in holds.T]
        return segments_of_bouts(bouts, curve, names)
    hysteresis = HYSTERESIS if hysteresis is None else hysteresis
    Range(0, 1).check(hysteresis, "hysteresis")
    return find_segments(
        curve, names, calibration, hysteresis=hysteresis, shortest_seconds=shortest_seconds
    )
