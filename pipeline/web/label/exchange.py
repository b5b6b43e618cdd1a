"""Events from and to the files of annotation programs."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.errors import DataError
from pipeline.sources.events.event import Event, Recording, WrittenRecording
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import WRITERS, read_events
from pipeline.sources.events.text_tables import IN_PART
from pipeline.video import VideoInfo
from pipeline.web.label.marked import MarkedEvent, VideoEvents
from pipeline.web.label.table import EventsTable


@dataclasses.dataclass(frozen=True)
class Imported:
    """What came of a file.

    Attributes:
        added: Events that were not there yet, by the name of the video.
        notices: What a person should know of, a line each.
    """

    added: dict[str, int]
    notices: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return dataclasses.asdict(self)


def import_events(folder: Path, name: str, content: bytes) -> Imported:
    """Adds the events of a file to the table of a folder.

    Args:
        folder: The folder of the recordings.
        name: What the file is called, which some formats say something by.
        content: What is in it.

    Raises:
        DataError: It holds no events that can be read, or none of these recordings.
    """
    with tempfile.TemporaryDirectory() as place:
        # The last part of the name alone, so that it leads nowhere.
        file = Path(place) / (PurePosixPath(name.replace("\\", "/")).name.lstrip(".") or "events")
        try:
            file.write_bytes(content)
        except (OSError, ValueError):
            raise DataError(f"{name[:80]!r}: rename the file, and import it again") from None
        try:
            recordings = read_events(file)
        except DataError as error:
            raise DataError(str(error).replace(str(file), file.name)) from None
        matched, others = match_media(recordings, folder)
    here = (each for each in matched if Path(each.path).parent.resolve() == folder.resolve())
    try:
        found = {Path(each.path).name: _marked(each) for each in here}
    except DataError as error:
        raise DataError(f"{file.name}: {error}") from None
    table = EventsTable(folder)
    added = {video: table.add(video, events) for video, events in found.items()}
    if not added:
        told = _told(others, file) or ("",)
        raise DataError(f"{file.name}: it is of none of the recordings here. {told[0]}")
    return Imported(added, _told([*matched, *others], file))


def export_events(path: Path, info: VideoInfo, end: str, class_names: tuple[str, ...]) -> bytes:
    """The events of a recording as a file of an annotation program.

    Args:
        path: The recording.
        info: What is known of it.
        end: How the name of the file to write ends, see `WRITERS`.
        class_names: All classes of the folder.

    Raises:
        DataError: There is no such format.
    """
    if end not in WRITERS:
        raise DataError(f"expected a format of {', '.join(WRITERS)}")
    events = EventsTable(path.parent).read([path.name])[path.name].events
    names = dict.fromkeys([*class_names, *(event.label for event in events)])
    return WRITERS[end](
        WrittenRecording(
            path=str(path),
            fps=info.fps,
            duration_seconds=info.duration_seconds,
            class_names=tuple(names),
            events=tuple(map(_written, events)),
        )
    )


def _written(event: MarkedEvent) -> Event:
    return Event(
        start_seconds=event.start,
        end_seconds=event.start if event.end is None else event.end,
        label=event.label,
        subject=event.subject,
        notes=event.notes,
    )


def _marked(recording: Recording) -> VideoEvents:
    """The events of a recording as a person could have marked them.

    Raises:
        DataError: One is not so.
    """
    events = tuple(map(_event, recording.events))
    if recording.known is None:
        return VideoEvents(events, True)
    decided = map(_event, set(recording.known_of) - set(recording.events))
    spans = sorted((each.start, each.end or each.start, each.label) for each in decided)
    return VideoEvents(events, True, recording.known or IN_PART, tuple(spans))


def _event(event: Event) -> MarkedEvent:
    start, end = round(event.start_seconds, 3), round(event.end_seconds, 3)
    times = {"start": start, "end": end if end > start else None}
    return MarkedEvent.checked({**times, "label": event.label, "subject": event.subject})


def _told(recordings: list[Recording], file: Path) -> tuple[str, ...]:
    """The notices, a line for each kind: the first of them, and how many more there are."""
    by_kind: dict[str, dict[str, None]] = {}
    for kind, text in (notice for recording in recordings for notice in recording.notices):
        by_kind.setdefault(kind, {})[text.replace(str(file), file.name)] = None
    return tuple(
        f"{kind}: {texts[0]}" + (f" (and {len(texts) - 1:,} more)" if texts[1:] else "")
        for kind, texts in ((kind, list(found)) for kind, found in by_kind.items())
    )
