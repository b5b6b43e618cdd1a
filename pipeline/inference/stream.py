"""Classifying a stream while it comes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.config.checks import MANY, expect_range
from pipeline.inference.classifier import Classifier, Prediction
from pipeline.inference.clips import ClipModel
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.inference.window_plan import plan_windows
from pipeline.inference.windows import slide, step_through
from pipeline.prepare.stored_frames import encode_frames
from pipeline.video import LiveVideo, timed_frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamResult:
    """The answer for a camera stream at a time.

    Attributes:
        seconds: Where in the stream the window ends, from its first frame on; up to a stride of
            its frames later than the last of them.
        prediction: What its last seconds show, or its newest frame.
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

    Of a run that answers at every frame it says what its newest frame shows; of such a network that
    looks back only, and `stateful`, these are the probabilities of `make_timeline`. What comes next
    is not known yet, so that no answer is too short to be told.

    However slow the model is, it falls behind a live stream by no more than a window of work:
    where frames were dropped, the one before repeats, for a window at most and without work of the
    backbone.

    Args:
        classifier: The run.
        live: The stream.
        every: A result every so many stored frames, of which there are `frames.fps` a second.
        window_seconds: How far a result looks back; None: as long as a usual training video.
        stateful: Whether the work is the same for each frame, see `step_through`, and a result is
            of the last half of `window_seconds` to all of it; else the temporal part reads the
            window anew for each result.
        top: Number of classes to report.

    Yields:
        The results; of a window, the first one once there is a whole one.

    Raises:
        VideoDecodeError: Not one frame could be had from the stream, or it is live and was lost.
        ConfigError: A value is out of range, or the model looks ahead and `stateful` is set.
    """
    expect_range(every, "--every", 1, MANY)
    bundle = classifier.bundle
    plan = plan_windows(bundle, window_seconds=window_seconds, overlap=0)
    plan = dataclasses.replace(plan, hop=max(1, round(every / plan.stride)))
    model = ClipModel(_Remembering(classifier.model.runtime), bundle)
    clock = _Arrivals(live, longest=plan.window_seconds)
    size = (bundle.frames.size, bundle.frames.size)
    shown = timed_frames(clock, fps=plan.fps, size=size, frame_seconds=1 / plan.fps)
    stored = encode_frames(shown, bundle.frames)
    if stateful:
        windows = step_through(stored, model, plan)
    else:
        windows = slide(stored, model, plan, at_once=1)
    for window in windows:
        prediction = classifier.describe(
            window.newest,
            top=top,
            path=live.name,
            num_frames=None,
            fps=plan.fps,
            duration_seconds=window.end_seconds - window.start_seconds,
            damaged=False,
        )
        yield StreamResult(
            seconds=window.end_seconds + clock.skipped,
            prediction=prediction,
            latency_seconds=time.perf_counter() - clock.arrived,
            dropped=live.dropped,
            reconnects=live.reconnects,
        )


class _Remembering(Runtime):
    """A runtime that looks only once at what comes several times in a row."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.path, self.num_classes = runtime.path, runtime.num_classes
        self._pairs: Arrays | None = None
        self._found: Floats = {}

    def inputs(self, part: str) -> dict[str, tuple[int, ...]]:
        """See `Runtime`."""
        return self._runtime.inputs(part)

    def run(self, part: str, inputs: Arrays) -> Floats:
        """See `Runtime`."""
        return self._runtime.run(part, inputs)

    def features(self, pairs: Arrays) -> Floats:
        """See `Runtime`."""
        before = self._pairs
        if before is None or any(not np.array_equal(pairs[name], before[name]) for name in pairs):
            self._pairs, self._found = pairs, self._runtime.features(pairs)
        return self._found


class _Arrivals:
    """The frames of a stream with their times, with gaps of a live one cut to `longest` seconds.

    Attributes:
        arrived: When the frame before the last arrived. That is the one on display: a frame is
            shown when the one after it is there.
        skipped: Seconds that were left out so far.
    """

    def __init__(self, live: LiveVideo, *, longest: float) -> None:
        self._live, self._longest = live, longest
        self.arrived = self._latest = self.skipped = 0.0

    def __iter__(self) -> Iterator[tuple[float, np.ndarray]]:
        before = 0.0
        for frame in self._live:
            self.arrived, self._latest = self._latest or frame.arrived, frame.arrived
            if self._live.is_live:
                self.skipped += max(0.0, frame.seconds - before - self._longest)
            before = frame.seconds
            yield frame.seconds - self.skipped, frame.image
