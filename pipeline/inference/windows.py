"""Sliding windows over a video of any length; what the backbone sees of a frame, it sees once."""

from __future__ import annotations

import dataclasses
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pipeline.inference.bundle import Bundle
from pipeline.inference.clips import ClipModel, Images, decode_clip, pairs_of
from pipeline.inference.runtime import Floats, Logits
from pipeline.inference.window_plan import WindowPlan
from pipeline.streams import IMAGES, STREAMS

AT_ONCE = 16
"""Frames in a call of the backbone, which is faster than one by one."""


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """A part of a video and what the model says of it.

    Attributes:
        start_seconds: Where it starts.
        end_seconds: Where it ends.
        logits: float32 (C,); where there is an answer at every frame, those of its real frames,
            (up to T, C).
    """

    start_seconds: float
    end_seconds: float
    logits: Logits

    @property
    def newest(self) -> Logits:
        """float32 (C,): its logits, or those of its last frame."""
        return self.logits if self.logits.ndim == 1 else self.logits[-1]


def slide(
    stored: Iterable[Mapping[str, bytes]],
    model: ClipModel,
    plan: WindowPlan,
    *,
    at_once: int = AT_ONCE,
) -> Iterator[Window]:
    """Classifies the windows of a video, in constant memory.

    The last window ends where the video does; a video that is shorter than a window has none,
    unless there is an answer at every frame.

    Args:
        stored: What is stored of each frame, see `pipeline.frames.encoding.stored_frames`.
        model: The model.
        plan: Which windows.
        at_once: Frames that the backbone waits for; 1 where each window is needed soon.

    Yields:
        The windows in their order.
    """
    grid = _Grid(model, plan, at_once)
    start = 0
    for images in _on_grid(stored, model.bundle, plan, at_once):
        grid.add(images)
        while start + plan.length <= grid.end:
            yield grid.window(start)
            start += plan.hop
    yield from map(grid.window, plan.last_starts(start, grid.end))


def _on_grid(
    stored: Iterable[Mapping[str, bytes]], bundle: Bundle, plan: WindowPlan, at_once: int
) -> Iterator[Images]:
    """The frames of the grid, so many at once."""
    frames = _grid_frames(stored, plan)
    while batch := list(itertools.islice(frames, at_once)):
        yield decode_clip({name: [frame[name] for frame in batch] for name in batch[0]}, bundle)


def _grid_frames(
    stored: Iterable[Mapping[str, bytes]], plan: WindowPlan
) -> Iterator[Mapping[str, bytes]]:
    number, frame = 0, None
    for number, frame in enumerate(stored):
        if number >= plan.offset and not (number - plan.offset) % plan.stride:
            yield frame
    if frame and number < plan.offset and plan.per_frame:  # a video of a frame or two
        yield frame


def _rows(found: Floats) -> list[Floats]:
    return [dict(zip(found, rows, strict=True)) for rows in zip(*found.values(), strict=True)]


class _Grid:
    """The features of the latest frames of the grid.

    Attributes:
        end: Number of the frames so far.
    """

    def __init__(self, model: ClipModel, plan: WindowPlan, at_once: int) -> None:
        self._model, self._plan = model, plan
        self.end = 0
        kept = plan.length + plan.hop + at_once
        self._images: deque[Images] = deque(maxlen=kept)
        self._features: deque[Floats] = deque(maxlen=kept)
        self._first = _FirstOfClip(model, plan)

    def add(self, images: Images) -> None:
        """Takes in the frames that come next."""
        before = self._images[-1] if self._images else None
        found = _rows(self._model.runtime.features(pairs_of(images, before)))
        self._images += [
            {name: each[number : number + 1] for name, each in images.items()}
            for number in range(len(found))
        ]
        self._features += found
        self.end += len(found)

    def window(self, start: int) -> Window:
        """Classifies the window from one of the frames on, which may be cut short."""
        plan = self._plan
        skipped = start - (self.end - len(self._features))
        rows = list(itertools.islice(self._features, skipped, skipped + plan.length))
        rows[0] = self._first(rows[0], self._images[skipped])
        number = len(rows)
        logits = self._model.temporal_logits(
            {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        )
        return Window(
            start_seconds=start * plan.stride / plan.fps,
            end_seconds=(start + number) * plan.stride / plan.fps,
            logits=logits[:number] if plan.per_frame else logits,
        )


class _FirstOfClip:
    """The features of a frame as the first one of a clip, which follows no other."""

    def __init__(self, model: ClipModel, plan: WindowPlan) -> None:
        self._model, self._plan = model, plan
        self._still: Floats = {}

    def __call__(self, features: Floats, images: Images) -> Floats:
        """The same where they are of the frame after another one."""
        first = dict(features)
        for name in features:
            stream = STREAMS[name.removesuffix("_features")]
            # Motion that is stored is of the frame before, also where a clip begins later, as all
            # windows of a recording do.
            plan = self._plan
            is_first = stream.needs_frame_before or not (plan.offset or plan.per_frame)
            if stream.is_motion and is_first:
                first[name] = self._of_stillness(images)[name]
            elif stream.needs_frame_before:
                first[name] = self._model.runtime.features(pairs_of(images))[name][0]
        return first

    def _of_stillness(self, images: Images) -> Floats:
        """The features of no motion, which are the same for all frames."""
        if not self._still:
            still = {
                name: IMAGES[name].still(each[:1]) if IMAGES[name].is_motion else each
                for name, each in images.items()
            }
            (self._still,) = _rows(self._model.runtime.features(pairs_of(still)))
        return self._still
