"""Classifying a stream while it comes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from pipeline.config import expect
from pipeline.data.frames import encode_frames
from pipeline.inference.classifier import Classifier, Prediction
from pipeline.inference.windows import plan_windows, slide, step_through
from pipeline.video import LiveFrame, LiveVideo, timed_frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamResult:
    """What a stream shows at a time.

    Attributes:
        seconds: The time in the stream, from its first frame on.
        prediction: What its last seconds show.
        latency_seconds: From the arrival of the last frame that was looked at to this result.
        dropped: Frames of the stream that were dropped so far, lest results come late.
        reconnects: How often the stream was opened again so far.
    """

    seconds: float
    prediction: Prediction
    latency_seconds: float
    dropped: int
    reconnects: int

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {**dataclasses.asdict(self), "prediction": self.prediction.as_json()}


def classify_stream(
    classifier: Classifier,
    live: LiveVideo,
    *,
    every: int = 15,
    window_seconds: float | None = None,
    stateful: bool = False,
    top: int = 5,
) -> Iterator[StreamResult]:
    """Says again and again what the last seconds of a stream show.

    Args:
        classifier: The run.
        live: The stream.
        every: A result every so many stored frames, of which there are `frames.fps` a second.
        window_seconds: How far a result looks back; None: as long as a usual training video.
        stateful: Whether the temporal part reads each frame once, with the same work for each,
            and forgets all of them after `window_seconds`; else it reads the window anew for each
            result.
        top: Number of classes to report.

    Yields:
        The results; of a window, the first one once there is a whole one.

    Raises:
        VideoDecodeError: Not one frame could be had from the stream.
        ConfigError: A value is out of range, or the model looks ahead and `stateful` is set.
    """
    expect(every >= 1, "--every must be at least 1", every)
    bundle = classifier.bundle
    plan = plan_windows(bundle, window_seconds=window_seconds, overlap=0)
    plan = dataclasses.replace(plan, hop=max(1, round(every / plan.stride)))
    clock = _Arrivals(live)
    size = (bundle.frames.size, bundle.frames.size)
    shown = timed_frames(clock, fps=plan.fps, size=size, frame_seconds=1 / plan.fps)
    stored = encode_frames(shown, bundle.frames)
    if stateful:
        windows = step_through(stored, classifier.model, plan, restart=plan.length)
    else:
        windows = slide(stored, classifier.model, plan, at_once=1)
    for window in windows:
        prediction = classifier.describe(
            window.logits,
            top=top,
            path=live.source,
            num_frames=None,
            fps=plan.fps,
            duration_seconds=window.end_seconds - window.start_seconds,
            damaged=False,
        )
        yield StreamResult(
            seconds=window.end_seconds,
            prediction=prediction,
            latency_seconds=time.perf_counter() - clock.arrived,
            dropped=live.dropped,
            reconnects=live.reconnects,
        )


class _Arrivals:
    """The frames of a stream with their times; remembers when the one before the last arrived.

    That is the one on display: a frame is shown when the one after it is there.
    """

    def __init__(self, frames: Iterable[LiveFrame]) -> None:
        self._frames = frames
        self.arrived = self._latest = 0.0

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        for frame in self._frames:
            self.arrived, self._latest = self._latest or frame.arrived, frame.arrived
            yield frame.seconds, frame.image
