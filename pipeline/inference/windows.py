"""Sliding windows over a video of any length; what the backbone sees of a frame, it sees once."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pipeline.config import ClipConfig, expect
from pipeline.data.sampling import sample_clip
from pipeline.errors import ConfigError
from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import ClipModel, Images, decode_images, padded, pairs_of
from pipeline.inference.runtimes import Logits
from pipeline.video import decode_flow, encode_flow, flow_image

AT_ONCE = 16
"""Frames in a call of the backbone, which is faster than one by one."""

Features = dict[str, npt.NDArray[np.float32]]


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of a video and what the model says of it.

    Attributes:
        start_seconds: Where it starts.
        end_seconds: Where it ends.
        logits: float32 (C,).
    """

    start_seconds: float
    end_seconds: float
    logits: Logits


@dataclasses.dataclass(frozen=True)
class WindowPlan:
    """Which stored frames the windows of a video take: all of them lie on one grid.

    Attributes:
        length: Frames of a window (T).
        stride: Distance of neighbouring ones, in stored frames.
        offset: The first of a window, in stored frames from its start.
        hop: Distance of neighbouring windows, in frames of the grid.
        fps: Stored frames per second.
    """

    length: int
    stride: int
    offset: int
    hop: int
    fps: float

    @property
    def window_seconds(self) -> float:
        """Length of a window."""
        return self.length * self.stride / self.fps

    @property
    def hop_seconds(self) -> float:
        """Distance of neighbouring windows."""
        return self.hop * self.stride / self.fps


def plan_windows(
    clip: ClipConfig, fps: float, *, window_seconds: float, overlap: float
) -> WindowPlan:
    """Chooses windows such that evaluation would cut the same clip of each.

    Args:
        clip: How the clips of the run are cut.
        fps: Stored frames per second.
        window_seconds: About how long a window is; a dense clip has a length of its own.
        overlap: Share of a window that the next one has in common with it, from 0 to below 1.

    Raises:
        ConfigError: A value is out of range.

    Example:
        >>> plan_windows(ClipConfig(num_frames=16), 15, window_seconds=3.1, overlap=0.75)
        WindowPlan(length=16, stride=3, offset=1, hop=4, fps=15)
    """
    expect(window_seconds > 0, "--window must be above 0 seconds", window_seconds)
    expect(0 <= overlap < 1, "--overlap must be from 0 to below 1", overlap)
    length = clip.num_frames
    stride = max(1, round(window_seconds * fps / length))
    if clip.sampling == "dense":
        stride = clip.stride
    (first, *_), _ = sample_clip(length * stride, clip)
    return WindowPlan(length, stride, int(first), max(1, round(length * (1 - overlap))), fps)


def slide(
    stored: Iterable[Mapping[str, bytes]],
    model: ClipModel,
    plan: WindowPlan,
    *,
    at_once: int = AT_ONCE,
) -> Iterator[Window]:
    """Classifies the windows of a video, in constant memory.

    The last window ends where the video does; a video that is shorter than a window is one.

    Args:
        stored: What is stored of each moment, see `pipeline.data.frames.stored_frames`.
        model: The model.
        plan: Which windows.
        at_once: Frames that the backbone waits for; 1 where each window is needed soon.

    Yields:
        The windows in their order.
    """
    grid = _Grid(model, plan)
    start = 0
    for batch in _batches(_on_grid(stored, model.bundle, plan), at_once):
        grid.add(batch)
        while start + plan.length <= grid.end:
            yield grid.window(start)
            start += plan.hop
    last_end = start - plan.hop + plan.length if start else 0
    if grid.end > last_end:
        yield grid.window(max(0, grid.end - plan.length))


def _on_grid(
    stored: Iterable[Mapping[str, bytes]], bundle: Bundle, plan: WindowPlan
) -> Iterator[Images]:
    for moment in itertools.islice(stored, plan.offset, None, plan.stride):
        yield decode_images(moment, bundle)


def step_through(
    stored: Iterable[Mapping[str, bytes]], model: ClipModel, plan: WindowPlan, *, restart: int
) -> Iterator[Window]:
    """Reads a video frame by frame, with the same work for each, however long it is.

    After as many frames as a window has, the logits are those of the window; and so for fewer or
    more, as the clip of all frames since the start.

    Args:
        stored: What is stored of each moment, see `pipeline.data.frames.stored_frames`.
        model: A model that never looks ahead.
        plan: Which frames, and how often to say something: every `hop` of them.
        restart: Frames after which it forgets, and starts anew.

    Yields:
        What was read since the start, and what the model says of it.

    Raises:
        ConfigError: The model looks ahead.
    """
    runtime = model.runtime
    if runtime.state_size is None:
        raise ConfigError(
            "--stateful takes a model that never looks ahead: temporal.kind lstm, gru or mean, and "
            "an export that is not litert-int8"
        )
    before: Images | None = None
    state, start, count = np.zeros(runtime.state_size, np.float32), 0, 0
    for number, moment in enumerate(_on_grid(stored, model.bundle, plan)):
        if count == restart:
            before, state, start, count = None, np.zeros_like(state), number, 0
        found = runtime.features(pairs_of([moment], before))
        logits, state = runtime.step({name: rows[0] for name, rows in found.items()}, state)
        before, count = moment, count + 1
        if count % plan.hop == 0 or count == restart:
            yield Window(
                start_seconds=start * plan.stride / plan.fps,
                end_seconds=(number + 1) * plan.stride / plan.fps,
                logits=logits,
            )


def _batches(moments: Iterator[Images], at_once: int) -> Iterator[list[Images]]:
    while batch := list(itertools.islice(moments, at_once)):
        yield batch


class _Grid:
    """The features of the latest frames of the grid.

    Attributes:
        end: Number of the frames so far.
    """

    def __init__(self, model: ClipModel, plan: WindowPlan) -> None:
        self._model, self._plan = model, plan
        self.end = 0
        kept = plan.length + plan.hop + AT_ONCE
        self._images: deque[Images] = deque(maxlen=kept)
        self._features: deque[Features] = deque(maxlen=kept)
        self._still: Features = {}

    def add(self, moments: list[Images]) -> None:
        """Takes in the frames that come next."""
        before = self._images[-1] if self._images else None
        found = self._model.runtime.features(pairs_of(moments, before))
        self._images += moments
        self._features += [
            {name: rows[number] for name, rows in found.items()} for number in range(len(moments))
        ]
        self.end += len(moments)

    def window(self, start: int) -> Window:
        """Classifies the frames from one of them on, as many as there are up to a whole window."""
        plan = self._plan
        skipped = start - (self.end - len(self._features))
        rows = list(itertools.islice(self._features, skipped, skipped + plan.length))
        rows[0] = self._first(rows[0], self._images[skipped])
        mask = np.arange(plan.length) < len(rows)
        features = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        seconds = start * plan.stride / plan.fps
        return Window(
            start_seconds=seconds,
            end_seconds=seconds + len(rows) * plan.stride / plan.fps,
            logits=self._model.runtime.logits(padded(features, plan.length), mask),
        )

    def _first(self, features: Features, images: Images) -> Features:
        """The features of a frame as the first one of a clip, which follows no other."""
        first = dict(features)
        for stream in self._model.bundle.model.streams:
            name = f"{stream}_features"
            if stream == "difference" or (stream == "flow" and not self._plan.offset):
                first[name] = self._of_stillness(images)[name]
            elif stream == "both":
                first[name] = self._model.runtime.features(pairs_of([images]))[name][0]
        return first

    def _of_stillness(self, images: Images) -> Features:
        """The features of no motion, which are the same for all frames."""
        if not self._still:
            quality = self._model.bundle.frames.jpeg_quality
            still = {
                name: decode_flow(encode_flow(flow_image(image, image), quality=quality))
                if name == "flow"
                else image
                for name, image in images.items()
            }
            found = self._model.runtime.features(pairs_of([still]))
            self._still = {name: rows[0] for name, rows in found.items()}
        return self._still
