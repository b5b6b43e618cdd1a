"""A video with what happens in it written into its frames."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from pipeline.config import FramesConfig
from pipeline.figures import font_families
from pipeline.inference.plots import colours_of
from pipeline.inference.segments import cues
from pipeline.key_points import KeyPoints, Tables
from pipeline.manifest.class_names import UNKNOWN
from pipeline.pose import PoseEstimator
from pipeline.pose.drawing import draw_marks, draw_poses
from pipeline.video import VideoReader, write_video

if TYPE_CHECKING:
    from pipeline.inference.segments import Segment
    from pipeline.inference.timeline import Timeline

Frame = npt.NDArray[np.uint8]

_SOON = 1e-6  # seconds by which times are rounded


def annotate(
    timeline: Timeline,
    path: Path,
    *,
    each: Sequence[FramesConfig] = (),
    tables: Tables | None = None,
) -> None:
    """Writes the video of a timeline anew, with what holds above and the timeline below.

    Args:
        timeline: What to write into it.
        path: The video to write.
        each: What the runs take of a frame: key points among it are drawn.
        tables: Those of key points, where these are not looked for in the frames.

    Raises:
        VideoWriteError: It cannot be written.
        VideoDecodeError: The video cannot be read any more.
    """
    shown = list(cues(timeline.segments))
    starts = [start for start, _, _ in shown]
    brush = functools.cache(lambda height, width: _Brush(timeline, height, width))

    key_points = _key_points(timeline, each, tables)

    def draw(frame: Frame, seconds: float, index: int) -> Frame:
        for mark in key_points:
            frame = mark(frame, index)
        number = bisect_right(starts, seconds + _SOON) - 1
        _, end, segments = shown[number] if number >= 0 else (0.0, 0.0, ())
        holding = segments if seconds + _SOON < end else ()
        return brush(*frame.shape[:2]).draw(frame, holding, seconds)

    redraw(timeline.path, path, draw)


def _key_points(
    timeline: Timeline, each: Sequence[FramesConfig], tables: Tables | None
) -> list[Callable[[Frame, int], Frame]]:
    """What draws key points on a frame, by its number in the file."""
    marks: list[Callable[[Frame, int], Frame]] = []
    people = max((frames.pose for frames in each if not frames.key_points), default=0)
    if people:
        estimate = PoseEstimator.load(max_people=people)
        marks.append(lambda frame, _: draw_poses(frame, estimate(frame)))
    of_tables = [frames for frames in each if frames.key_points]
    if of_tables and tables:
        most = max(of_tables, key=lambda frames: frames.pose)
        names = most.key_points
        found = KeyPoints.open(tables, timeline.info, names, most.pose)
        marks.append(lambda frame, index: draw_marks(frame, found.at(index), names))
    return marks


def redraw(source: str, path: Path, draw: Callable[[Frame, float, int], Frame]) -> None:
    """Writes a video anew, with what `draw` makes of each frame.

    Args:
        source: The video.
        path: The one to write.
        draw: Takes the frame, uint8 (H, W, 3), its seconds, and its number in the file.

    Raises:
        VideoWriteError: It cannot be written.
        VideoDecodeError: The video cannot be read.
    """
    with VideoReader(source) as reader:
        fps = reader.info.fps
        frames = enumerate(reader.frames(fps=fps))
        drawn = (draw(frame, number / fps, reader.index) for number, frame in frames)
        write_video(path, drawn, fps=fps)


class _Brush:
    """Draws on frames of one size."""

    def __init__(self, timeline: Timeline, height: int, width: int) -> None:
        self._height, self._width = height, width
        self._whole = timeline.info.duration_seconds
        name = findfont(FontProperties(family=font_families()))
        self._font = ImageFont.truetype(name, max(10, height // 16))
        self._colours = {
            name: tuple(int(255 * part) for part in to_rgb(colour))
            for name, colour in colours_of(timeline.class_names).items()
        }
        self._strip = self._draw_strip(timeline)

    def draw(self, frame: Frame, holding: Sequence[Segment], seconds: float) -> Frame:
        """The frame with the labels that hold, one below the other, and the timeline."""
        image = Image.fromarray(frame)
        pen = ImageDraw.Draw(image)
        margin = self._font.size // 2
        top = margin
        for segment in holding:
            box = pen.textbbox((margin, top), str(segment), font=self._font)
            pen.rectangle(
                (
                    box[0] - margin / 2,
                    box[1] - margin / 2,
                    box[2] + margin / 2,
                    box[3] + margin / 2,
                ),
                fill=(0, 0, 0),
                outline=self._colours[segment.label],
            )
            pen.text((margin, top), str(segment), font=self._font, fill=(255, 255, 255))
            top = box[3] + 2 * margin
        image.paste(self._strip, (0, self._height - self._strip.height))
        now = self._width * seconds / self._whole
        above = self._height // 32
        pen.rectangle(
            (now - 1, self._height - self._strip.height - above, now + 1, self._height),
            fill="white",
        )
        return np.asarray(image)

    def _draw_strip(self, timeline: Timeline) -> Image.Image:
        """The timeline as it lies below each frame, a row a class where several hold at once."""
        rows = _rows(timeline)
        num_rows = max(rows.values(), default=0) + 1
        height = min(max(4, self._height // 32), max(2, self._height // 6 // num_rows))
        strip = Image.new("RGB", (self._width, height * num_rows))
        pen = ImageDraw.Draw(strip)
        for each in timeline.segments:
            ends = (each.start_seconds, each.end_seconds)
            start, end = (self._width * seconds / self._whole for seconds in ends)
            top = height * rows[each.label]
            pen.rectangle(
                (start, top, max(start, end - 1), top + height - 1 - (num_rows > 1)),
                fill=self._colours[each.label],
            )
        return strip


def _rows(timeline: Timeline) -> dict[str, int]:
    """The row of each label that holds at some time: one for all unless several hold at once."""
    several = any(len(holding) > 1 for _, _, holding in cues(timeline.segments))
    labels = [*timeline.class_names, UNKNOWN]
    used = {segment.label for segment in timeline.segments}
    return {
        label: number if several else 0
        for number, label in enumerate(label for label in labels if label in used)
    }
