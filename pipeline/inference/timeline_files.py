"""A timeline as JSON, a table, subtitles, a picture, or a file of an annotation program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.atomic import atomic_write
from pipeline.config.checks import expect_output
from pipeline.errors import ConfigError
from pipeline.inference.annotation_files import as_boris, as_elan, as_label_studio, as_via
from pipeline.inference.timeline import Timeline


def write_timeline(timeline: Timeline, path: Path) -> None:
    """Writes a timeline as the name of the file ends.

    `.json`, `.csv`, `.srt` (subtitles), `.png`; `.boris.tsv`, `.eaf` (ELAN), `.via.json` and
    `.label-studio.json` for annotation programs.

    Raises:
        ConfigError: It ends in something else.
        OSError: It cannot be written.
    """
    content = _WRITERS[check_output(path)](timeline)
    with atomic_write(path) as file:
        file.write(content)


def check_output(path: Path) -> str:
    """The end of the name of a file that a timeline can be written to.

    Raises:
        ConfigError: It cannot.
    """
    ends = [end for end in _WRITERS if path.name.lower().endswith(end)]
    if not ends:
        raise ConfigError(
            f"--out: expected names that end in {', '.join(_WRITERS)}, got {str(path)!r}"
        )
    expect_output(path, "--out")
    return max(ends, key=len)


def _json(timeline: Timeline) -> bytes:
    return json.dumps(timeline.as_json(), indent=2, ensure_ascii=False).encode()


def _csv(timeline: Timeline) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["start_seconds", "end_seconds", "label", "probability", "max_logit"])
    for segment in timeline.segments:
        start, end = f"{segment.start_seconds:.3f}", f"{segment.end_seconds:.3f}"
        sure = f"{segment.probability:.4f}", f"{segment.max_logit:.4f}"
        writer.writerow([start, end, segment.label, *sure])
    return text.getvalue().encode()


def _srt(timeline: Timeline) -> bytes:
    blocks = [
        f"{number}\n{_subtitle_time(segment.start_seconds)} --> "
        f"{_subtitle_time(segment.end_seconds)}\n{segment}\n"
        for number, segment in enumerate(timeline.segments, start=1)
    ]
    return "\n".join(blocks).encode()


def _png(timeline: Timeline) -> bytes:
    from pipeline.inference.plots import draw_timeline

    return draw_timeline(timeline)


_WRITERS: Mapping[str, Callable[[Timeline], bytes]] = {
    ".json": _json,
    ".csv": _csv,
    ".srt": _srt,
    ".png": _png,
    ".boris.tsv": as_boris,
    ".eaf": as_elan,
    ".via.json": as_via,
    ".label-studio.json": as_label_studio,
}


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
