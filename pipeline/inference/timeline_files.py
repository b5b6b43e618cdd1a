"""A timeline as JSON, a table, subtitles or a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.atomic import atomic_write
from pipeline.config.checks import expect_folder_of
from pipeline.errors import ConfigError
from pipeline.inference.timeline import Timeline


def write_timeline(timeline: Timeline, path: Path) -> None:
    """Writes a timeline as .json, .csv, .srt (subtitles) or .png, as the name of the file ends.

    Raises:
        ConfigError: It ends in something else.
        OSError: It cannot be written.
    """
    content = _WRITERS[check_output(path)](timeline)
    with atomic_write(path) as file:
        file.write(content)


def check_output(path: Path) -> str:
    """The suffix of a file that a timeline can be written to.

    Raises:
        ConfigError: It cannot.
    """
    suffix = path.suffix.lower()
    if suffix not in _WRITERS:
        raise ConfigError(
            f"--out: expected names that end in {', '.join(_WRITERS)}, got {str(path)!r}"
        )
    expect_folder_of(path, "--out")
    return suffix


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
