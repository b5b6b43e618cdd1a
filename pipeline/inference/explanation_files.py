"""Pictures of an explanation: strips of frames, and the video anew."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure, SubFigure

from pipeline.figures import PLAIN, any_script
from pipeline.inference.annotate import redraw
from pipeline.inference.explain import Explanation, Strip
from pipeline.inference.heat_drawing import Floats, Frame, dimmed, warm, warm_people
from pipeline.inference.people import People
from pipeline.video import resize

_DPI = 110
_PICTURES = (16, 1.1)
"""Frames in a row, at most, and the width of one in inches."""
_PEOPLE = (8, 2.2)
"""The same where people are drawn."""
_BARS, _TITLE = 0.8, 0.3
"""Inches high."""
_VISIBLE = 0.5
"""From where on a point counts for which part of the frames is drawn."""
_MARGIN = 0.15
"""Around these points, of how far they reach."""
_LEAST = 8
"""Pixels of that part."""


class _Line(NamedTuple):
    """Frames side by side, in some ways one below the other, over how much each matters.

    Attributes:
        title: Whose they are.
        rows: Of each way, the pictures, uint8 (H, W, 3), all of one shape.
        seconds: Where they are in the video.
        importance: See `Strip`.
        limits: Of the bars.
        columns: Places for frames.
        inches: Width of one.
    """

    title: str
    rows: list[list[Frame]]
    seconds: Floats
    importance: Floats
    limits: tuple[float, float]
    columns: int
    inches: float

    @property
    def heights(self) -> list[float]:
        """Of its rows and its bars, in inches."""
        shapes = [row[0].shape for row in self.rows]
        return [*(self.inches * height / width for height, width, _ in shapes), _BARS]


def draw_strip(explanation: Explanation, path: Path) -> None:
    """Draws the frames of the clip under their heat, and how much each frame matters."""
    lines = [line for strip in explanation.strips for line in _lines(strip)]
    if len(explanation.strips) == 1:
        lines = [line._replace(title="") for line in lines]
    width = max(6.0, *(line.columns * line.inches for line in lines))
    heights = [sum(line.heights) + _TITLE * (1 + bool(line.title)) for line in lines]
    with any_script():
        figure = Figure(figsize=(width, sum(heights) + 0.4), layout="constrained")
        figure.suptitle(
            f"{explanation.path}: why {explanation.label} {explanation.probability:.2f}",
            **PLAIN,
        )
        parts = figure.subfigures(len(lines), 1, squeeze=False, height_ratios=heights)
        for part, line in zip(parts.flat, lines, strict=True):
            _draw_line(part, line)
        figure.savefig(path, dpi=_DPI)


def _lines(strip: Strip) -> list[_Line]:
    number = len(strip.frames)
    most, inches = _PEOPLE if strip.people else _PICTURES
    columns = math.ceil(number / math.ceil(number / most))
    rows = _rows(strip)
    values = strip.importance
    room = 0.05 * max(float(np.ptp([*values, 0.0])), 1e-9)
    limits = (min(0.0, float(values.min())) - room, max(0.0, float(values.max())) + room)
    return [
        _Line(
            title="" if start else f"{strip.run}: {strip.probability:.2f}",
            rows=[row[start : start + columns] for row in rows],
            seconds=strip.seconds[start : start + columns],
            importance=values[start : start + columns],
            limits=limits,
            columns=columns,
            inches=inches,
        )
        for start in range(0, number, columns)
    ]


def _rows(strip: Strip) -> list[list[Frame]]:
    """The clip as it is, and as it is seen: pictures under their heat, and people."""
    people, rows = strip.people, []
    if strip.heat is not None:
        rows = [list(strip.frames), list(map(warm, strip.frames, strip.heat))]
    if people:
        box = _box(people)
        drawn = map(warm_people, map(dimmed, people.frames), people.points, people.heat)
        rows.append([frame[box] for frame in drawn])
    return rows


def _box(people: People) -> tuple[slice, slice]:
    """The part of the frames where people are in the clip, rows and columns."""
    size = np.array(people.frames.shape[1:3])
    seen = people.points[(people.points[..., 6] > 0) & (people.points[..., 2] > _VISIBLE)]
    if not len(seen):
        return slice(None), slice(None)
    places = np.clip(seen[:, 1::-1] * size[0] + size / 2, 0, size - _LEAST)
    low, high = places.min(axis=0), places.max(axis=0)
    margin = _MARGIN * (high - low).max()
    starts = np.maximum(low - margin, 0).astype(int).tolist()
    ends = (np.minimum(high + margin, size - _LEAST) + _LEAST).astype(int).tolist()
    return slice(starts[0], ends[0]), slice(starts[1], ends[1])


def _draw_line(part: SubFigure, line: _Line) -> None:
    if line.title:
        part.suptitle(line.title, fontsize=10, x=0.01, ha="left", **PLAIN)
    grid = part.add_gridspec(len(line.heights), line.columns, height_ratios=line.heights)
    for number, row in enumerate(line.rows):
        for column, picture in enumerate(row):
            axes = part.add_subplot(grid[number, column])
            axes.imshow(picture)
            axes.axis("off")
            if not number:
                axes.set_title(f"{line.seconds[column]:.1f} s", fontsize=8)
    below = part.add_subplot(grid[-1, :])
    colours = ["#1f5a94" if value > 0 else "#c9a06a" for value in line.importance]
    below.bar(np.arange(len(line.importance)), line.importance, 0.6, color=colours)
    below.axhline(0, color="0.5", linewidth=0.8)
    below.set_xlim(-0.5, line.columns - 0.5)
    below.set_ylim(line.limits)
    below.set_xticks([])
    below.set_ylabel("logit lost\nwithout it", fontsize=8)
    below.tick_params(labelsize=8)
    below.spines[["top", "right", "bottom"]].set_visible(False)


def write_heat_video(explanation: Explanation, path: Path) -> None:
    """Writes the video anew, each frame under the heat of the nearest frame of the clip.

    Of fused runs, the heat of those that see pictures is averaged, and people are drawn on it.

    Raises:
        VideoWriteError: It cannot be written.
    """

    def draw(frame: Frame, seconds: float, _: int) -> Frame:
        strips = explanation.strips
        heats = [each for strip in strips if (each := _heat_at(strip, seconds, frame)) is not None]
        frame = warm(frame, np.mean(heats, axis=0)) if heats else dimmed(frame)
        for strip in strips:
            if strip.people:
                frame = _people_at(strip, strip.people, seconds, frame)
        return frame

    redraw(explanation.path, path, draw)


def _heat_at(strip: Strip, seconds: float, frame: Frame) -> Floats | None:
    if strip.heat is None:
        return None
    levels = (255 * strip.heat[_nearest(strip, seconds)]).astype(np.uint8)
    large = resize(levels[..., None].repeat(3, axis=-1), frame.shape[:2])
    return np.asarray(large[..., 0].astype(np.float32) / 255)


def _people_at(strip: Strip, people: People, seconds: float, frame: Frame) -> Frame:
    place = min(round(seconds * people.fps), len(people.all_points) - 1)
    return warm_people(frame, people.all_points[place], people.heat[_nearest(strip, seconds)])


def _nearest(strip: Strip, seconds: float) -> int:
    """The frame of the clip that is nearest to a time."""
    return int(np.abs(strip.seconds - seconds).argmin())
