"""A timeline as JSON, a table, subtitles, a picture, or a file of an annotation program."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from pipeline.atomic import atomic_write, expect_output
from pipeline.errors import ConfigError
from pipeline.inference.segments import cues
from pipeline.inference.timeline import Timeline
from pipeline.manifest.class_names import UNKNOWN
from pipeline.sources.events.event import Event, WrittenRecording
from pipeline.sources.events.reading import WRITERS
from pipeline.tasks.amounts import Amount, Spans

BOUTS: Final = ".bouts.csv"
"""The end of the name of a table of bouts."""


def write_timeline(timeline: Timeline, path: Path, *, bin_seconds: float | None = None) -> None:
    """Writes a timeline as the name of the file ends.

    `.json`, `.csv`, `.srt` (subtitles), `.png`; `.eaf` (ELAN), `.via.json` and
    `.label-studio.json` for annotation programs; `.boris.tsv`, a table as BORIS exports, but does
    not open; `.bouts.csv`, how often and how long each class holds, see
    `pipeline.tasks.amounts.Amount`.

    Args:
        timeline: The timeline.
        path: The file.
        bin_seconds: Of `.bouts.csv`: length of the bins of time to count in besides, above 0.

    Raises:
        ConfigError: It ends in something else.
        OSError: It cannot be written.
    """
    end = check_output(path)
    if end == BOUTS:
        content = _bouts(timeline, bin_seconds)
    elif end in WRITERS:
        content = WRITERS[end](_written(timeline))
    else:
        content = _WRITERS[end](timeline)
    with atomic_write(path) as file:
        file.write(content)


def check_output(path: Path) -> str:
    """The end of the name of a file that a timeline can be written to.

    Raises:
        ConfigError: It cannot.
    """
    known = (*_WRITERS, *WRITERS, BOUTS)
    ends = [end for end in known if path.name.lower().endswith(end)]
    if not ends:
        raise ConfigError(
            f"--out: expected names that end in {', '.join(known)}, got {str(path)!r}"
        )
    expect_output(path, "--out")
    return max(ends, key=len)


def _json(timeline: Timeline) -> bytes:
    text = io.StringIO()  # in pieces: all at once takes ten times its length
    json.dump(timeline.as_json(), text, indent=2, ensure_ascii=False)
    return text.getvalue().encode()


def _csv(timeline: Timeline) -> bytes:
    """A line for each segment; `prepare` reads it as a table of events."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    columns = ("video", "start_seconds", "end_seconds", "label", "probability", "max_logit")
    writer.writerow(columns)
    for segment in timeline.segments:
        start, end = f"{segment.start_seconds:.3f}", f"{segment.end_seconds:.3f}"
        sure = f"{segment.probability:.4f}", f"{segment.max_logit:.4f}"
        writer.writerow([Path(timeline.path).name, start, end, segment.label, *sure])
    return text.getvalue().encode()


def _srt(timeline: Timeline) -> bytes:
    """A subtitle for each time at which the same segments hold: players show but one at a time."""
    blocks = [
        f"{number}\n{_subtitle_time(start)} --> {_subtitle_time(end)}\n"
        + "".join(f"{segment}\n" for segment in holding)
        for number, (start, end, holding) in enumerate(cues(timeline.segments), start=1)
    ]
    return "\n".join(blocks).encode()


def _bouts(timeline: Timeline, bin_seconds: float | None) -> bytes:
    """A table: a line for each class and the whole video, and for each bin of its time."""
    curve = timeline.curve
    cells = np.arange(len(curve.scores))
    spans = Spans(cells, 1 / curve.cell_seconds, timeline.info.duration_seconds, bin_seconds)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    about = ("bin", "start_seconds", "end_seconds")
    found = tuple(field.name for field in dataclasses.fields(Amount))
    writer.writerow(["class", *about, *found])
    for name in timeline.class_names:
        if name == timeline.background:
            continue
        track = np.zeros(len(cells), np.bool_)
        for each in timeline.segments:
            if each.label == name:
                track[curve.cells(each.start_seconds) : curve.cells(each.end_seconds)] = True
        for span, amount in zip(spans.spans, spans.amounts(track), strict=True):
            values = [getattr(span, key) for key in about] + [getattr(amount, key) for key in found]
            writer.writerow([name, *(f"{x:.3f}" if isinstance(x, float) else x for x in values)])
    return text.getvalue().encode()


def _png(timeline: Timeline) -> bytes:
    from pipeline.inference.plots import draw_timeline

    return draw_timeline(timeline)


_WRITERS: Mapping[str, Callable[[Timeline], bytes]] = {
    ".json": _json,
    ".csv": _csv,
    ".srt": _srt,
    ".png": _png,
}


def _written(timeline: Timeline) -> WrittenRecording:
    """A timeline for annotation programs; where the answer is `unknown`, nothing is written."""
    events = (
        Event(
            start_seconds=segment.start_seconds,
            end_seconds=segment.end_seconds,
            label=segment.label,
            probability=segment.probability,
        )
        for segment in timeline.segments
        if segment.label != UNKNOWN
    )
    return WrittenRecording(
        path=timeline.path,
        fps=timeline.info.fps,
        duration_seconds=timeline.info.duration_seconds,
        class_names=timeline.class_names,
        events=tuple(events),
    )


def _subtitle_time(seconds: float) -> str:
    """Seconds as subtitles give them.

    Example:
        >>> _subtitle_time(3675.0625)
        '01:01:15,062'
    """
    milliseconds = int(seconds * 1000)
    rest, milliseconds = divmod(milliseconds, 1000)
    minutes, whole = divmod(rest, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{whole:02d},{milliseconds:03d}"
