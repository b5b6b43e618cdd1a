"""A video with what happens in it written into its frames."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.font_manager import FontProperties, findfont
from PIL import Image, ImageDraw, ImageFont

from pipeline.figures import font_families
from pipeline.inference.plots import colours_of
from pipeline.video import VideoReader, write_video

if TYPE_CHECKING:
    from pipeline.inference.segments import Segment
    from pipeline.inference.timeline import Timeline

Frame = npt.NDArray[np.uint8]


def annotate(timeline: Timeline, path: Path) -> None:
    """Writes the video of a timeline anew, with a label above and the timeline below.

    Raises:
        VideoWriteError: It cannot be written.
        VideoDecodeError: The video cannot be read any more.
    """
    ends = [segment.end_seconds for segment in timeline.segments[:-1]]
    brush = functools.cache(lambda height, width: _Brush(timeline, height, width))

    def draw(frame: Frame, seconds: float) -> Frame:
        segment = timeline.segments[bisect_right(ends, seconds)]
        return brush(*frame.shape[:2]).draw(frame, segment, seconds)

    redraw(timeline.path, path, draw)


def redraw(source: str, path: Path, draw: Callable[[Frame, float], Frame]) -> None:
    """Writes a video anew, with what `draw` makes of each frame, uint8 (H, W, 3), and its seconds.

    Raises:
        VideoWriteError: It cannot be written.
        VideoDecodeError: The video cannot be read.
    """
    with VideoReader(source) as reader:
        fps = reader.info.fps
        frames = enumerate(reader.frames(fps=fps))
        write_video(path, (draw(frame, number / fps) for number, frame in frames), fps=fps)


class _Brush:
    """Draws on frames of one size."""

    def __init__(self, timeline: Timeline, height: int, width: int) -> None:
        self._height, self._width = height, width
        self._whole = timeline.segments[-1].end_seconds
        name = findfont(FontProperties(family=font_families()))
        self._font = ImageFont.truetype(name, max(10, height // 16))
        self._colours = {
            name: tuple(int(255 * part) for part in to_rgb(colour))
            for name, colour in colours_of(timeline.class_names).items()
        }
        self._strip = self._draw_strip(timeline)

    def draw(self, frame: Frame, segment: Segment, seconds: float) -> Frame:
        """The frame with its label and the timeline."""
        image = Image.fromarray(frame)
        pen, text = ImageDraw.Draw(image), str(segment)
        margin = self._font.size // 2
        left, top, right, bottom = pen.textbbox((margin, margin), text, font=self._font)
        pen.rectangle(
            (left - margin / 2, top - margin / 2, right + margin / 2, bottom + margin / 2),
            fill=(0, 0, 0),
            outline=self._colours[segment.label],
        )
        pen.text((margin, margin), text, font=self._font, fill=(255, 255, 255))
        image.paste(self._strip, (0, self._height - self._strip.height))
        now = self._width * seconds / self._whole
        top = self._height - 2 * self._strip.height
        pen.rectangle((now - 1, top, now + 1, self._height), fill="white")
        return np.asarray(image)

    def _draw_strip(self, timeline: Timeline) -> Image.Image:
        """The timeline as it lies below each frame."""
        strip = Image.new("RGB", (self._width, max(4, self._height // 32)))
        pen = ImageDraw.Draw(strip)
        for each in timeline.segments:
            ends = (each.start_seconds, each.end_seconds)
            start, end = (self._width * seconds / self._whole for seconds in ends)
            pen.rectangle(
                (start, 0, max(start, end - 1), strip.height), fill=self._colours[each.label]
            )
        return strip
