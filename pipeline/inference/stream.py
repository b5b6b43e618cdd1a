"""Classifying a stream while it comes."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from pipeline.config import FramesConfig
from pipeline.config.values import MANY, Range
from pipeline.errors import ConfigError
from pipeline.frames.encoding import encode_frames, sizes_of
from pipeline.inference.classifier import Classifier
from pipeline.inference.clips import ClipModel, Frame, Reading, readings_of
from pipeline.inference.prediction import Prediction
from pipeline.inference.runtime import Arrays, Floats, Runtime
from pipeline.inference.window_plan import in_step, plan_windows
from pipeline.inference.windows import slide
from pipeline.text import listed
from pipeline.video import LiveVideo, timed_in_sizes


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
    top: int = 5,
) -> Iterator[StreamResult]:
    """Says again and again what the last seconds of a stream show.

    Of a run that answers at every frame it says what its newest frame shows. What comes next is not
    known yet, so that no answer is too short to be told.

    However slow the model is, it falls behind a live stream by no more than a window of work:
    where frames were dropped, the one before repeats, for a window at most and without work of the
    backbone.

    Args:
        classifier: The run.
        live: The stream.
        every: A result every so many stored frames, of which there are `frames.fps` a second.
        window_seconds: How far a result looks back; None: as long as a usual training video.
        top: Number of classes to report.

    Yields:
        The results, the first one once there is a whole window.

    Raises:
        VideoDecodeError: Not one frame could be had from the stream, or it is live and was lost.
        ConfigError: A value is out of range.
    """
    Range(1, MANY).check(every, "--every")
    if classifier.takes_tables:
        raise ConfigError(
            "this run takes key points from tables, and a stream has none: classify its recording, "
            "clipline classify VIDEO --key-points TABLES"
        )
    (reading,) = _one_rate(classifier)
    plans = [
        plan_windows(each, window_seconds=window_seconds, overlap=0) for each in classifier.bundles
    ]
    plans = in_step([dataclasses.replace(p, hop=max(1, round(every / p.stride))) for p in plans])
    clock = _Arrivals(live, longest=max(plan.window_seconds for plan in plans))
    copies = itertools.tee(_stored(clock, reading.frames), len(plans))
    sliding = [
        slide(reading.of(number, copies[number]), _remembering(member), plans[number], at_once=1)
        for number, member in enumerate(classifier.members)
    ]
    for windows in zip(*sliding, strict=False):  # each ends with the stream
        window = windows[0]
        prediction = classifier.describe(
            classifier.logits([each.newest for each in windows]),
            top=top,
            path=live.name,
            num_frames=None,
            fps=plans[0].fps,
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


def _one_rate(classifier: Classifier) -> list[Reading]:
    readings = readings_of(classifier.bundles)
    if len(readings) > 1:
        rates = listed(f"{reading.frames[0].fps:g}" for reading in readings)
        raise ConfigError(
            f"a stream is read at one rate, and these runs take {rates} frames a second. Fuse "
            "runs whose data sets were prepared with the same --fps"
        )
    return readings


def _stored(
    clock: Iterable[tuple[float, np.ndarray]], each: Sequence[FramesConfig]
) -> Iterator[Frame]:
    """What is stored of the frames of a stream."""
    fps = each[0].fps
    shown = timed_in_sizes(clock, fps=fps, sizes=sizes_of(each), frame_seconds=1 / fps)
    return encode_frames(shown, each)


def _remembering(model: ClipModel) -> ClipModel:
    return ClipModel(_Remembering(model.runtime), model.bundle)


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
