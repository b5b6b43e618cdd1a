"""Finding the videos of recordings, and making ready for training what was marked in them."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pipeline.errors import DataError, VideoDecodeError
from pipeline.sources.events.event import Event, Notice, Recording, Spans
from pipeline.sources.events.text_tables import NO_LINES
from pipeline.text import counted, listed, nearest
from pipeline.video import VideoInfo
from pipeline.video.paths import VIDEO_SUFFIXES, named_files
from pipeline.workers.pool import probe_each

Fold = Callable[[str], str]
Index = tuple[Fold, dict[str, list[PurePosixPath]]]

_MOST_DISAGREEMENT: Final = 0.01
_MOST_HINTS: Final = 50
_MOST_SECONDS: Final = 1e9


def match_media(
    recordings: Iterable[Recording],
    folder: str | os.PathLike[str],
    *,
    probe: Callable[[Iterable[str]], Mapping[str, VideoInfo | VideoDecodeError]] = probe_each,
) -> tuple[list[Recording], list[Recording]]:
    """Finds the videos: by as much of their path as possible, by name, without suffix, in any case.

    Args:
        recordings: As read.
        folder: Where the videos lie, and below it.
        probe: Says what is known of video files, or why they cannot be read.

    Returns:
        Those whose video is there, one for each video, sorted by path: times are seconds and end
        with the video, as its container declares; what several files say of one is merged. And the
        others, with a notice that says why.

    Raises:
        DataError: Two files disagree about the group or split of a video; or a table without lines
            is named like no video.
    """
    root = Path(folder).absolute()
    files = sorted((f for f in named_files(root) if f.suffix.lower() in VIDEO_SUFFIXES), key=str)
    indices = [_index(files, fold) for fold in (str, _folded)]
    by_path: dict[str, list[Recording]] = {}
    unmatched: list[Recording] = []
    for recording in recordings:
        found = _find(recording.media, indices)
        if len(found) == 1:
            by_path.setdefault(str(root / found[0]), []).append(recording)
            continue
        if problem := dict(recording.notices).get(NO_LINES):
            raise DataError(
                f"{problem}. Expected a line for each event, or a video named like the file."
            )
        # Each nearest name takes a while.
        names = [file.name for file in files] if len(unmatched) < _MOST_HINTS else []
        unmatched.append(recording.telling(_missing(recording, found, names)))
    matched = []
    for path, info in sorted(probe(by_path).items()):
        if isinstance(info, VideoDecodeError):
            notice = Notice("media unreadable", str(info))
            unmatched += [recording.telling(notice) for recording in by_path[path]]
        else:
            placed = [in_seconds(recording, info) for recording in by_path[path]]
            matched.append(_merge([dataclasses.replace(each, path=path) for each in placed]))
    return matched, unmatched


def _index(files: Iterable[PurePosixPath], fold: Fold) -> Index:
    """Returns the files by name, and by stem with a mark before it that no name has."""
    found: dict[str, list[PurePosixPath]] = {}
    for file in files:
        found.setdefault(fold(file.name), []).append(file)
        found.setdefault("/" + fold(file.stem), []).append(file)
    return fold, found


def _folded(name: str) -> str:
    """A name in any case, its accents as letters of their own or not, as systems differ."""
    return unicodedata.normalize("NFC", name).casefold()


def _find(media: str, indices: Iterable[Index]) -> list[PurePosixPath]:
    """Returns the file that fits best; none, or several among which nothing decides."""
    written = PurePosixPath(media.replace("\\", "/"))
    for fold, files in indices:
        for key in (written.name, f"/{written.name}", f"/{written.stem}"):
            found = files.get(fold(key), [])
            if found:
                shared = [_num_shared(file.parent, written.parent, fold) for file in found]
                best = max(shared)
                return [f for f, number in zip(found, shared, strict=True) if number == best]
    return []


def _num_shared(first: PurePosixPath, second: PurePosixPath, fold: Fold) -> int:
    """How many folders two paths share from their ends on."""
    pairs = zip(reversed(first.parts), reversed(second.parts), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: fold(pair[0]) == fold(pair[1]), pairs))


def _missing(recording: Recording, found: Sequence[PurePosixPath], names: Sequence[str]) -> Notice:
    media = f"{recording.name}: {recording.media}"
    if found:
        return Notice("media ambiguous", f"{media} may be {listed(map(str, found))}")
    if not recording.media:
        return Notice("media missing", f"{media}no media file is named there")
    hint = f"; the nearest name is {nearest(recording.media, names)}" if names else ""
    return Notice("media missing", f"{media} is not there{hint}")


def in_seconds(recording: Recording, info: VideoInfo) -> Recording:
    """Returns a recording whose times are seconds and end with the video.

    Args:
        recording: As read.
        info: What is known of its video; a length of 0 is not known.
    """
    notices = []
    rate = info.fps if recording.unit == "frames" else 1.0
    if recording.fps and _disagree(recording.fps, info.fps):
        notices.append(
            Notice("rates disagree", f"{recording.media}: {recording.fps:g} and {info.fps:g} fps")
        )
    length, declared = info.duration_seconds, (recording.duration_seconds or 0) / rate
    if length and declared and _disagree(declared, length) and abs(declared - length) > 1:
        notices.append(
            Notice("lengths disagree", f"{recording.media}: {declared:.1f} s and {length:.1f} s")
        )
    end = length or float("inf")
    events = []
    for event in recording.events:
        first, last = event.start_seconds / rate, event.end_seconds / rate
        if last > end + 1 / info.fps or first >= end:
            done = "left out" if first >= end else "cut"
            where = f"{recording.media}: {event.label} from {first:g} to {last:g} s"
            kind = "past the end" if first >= end else "cut at the end"
            notices.append(Notice(kind, f"{where} is {done} at {end:g} s"))
        if first < end:
            events.append(_cut(event, rate, end))
    known, known_of = recording.known, recording.known_of
    return recording.telling(
        *notices,
        unit="seconds",
        events=tuple(events),
        fps=info.fps,
        duration_seconds=length or None,
        known=known and tuple((a / rate, min(b / rate, end)) for a, b in known if a / rate < end),
        known_of=tuple(
            _cut(each, rate, end) for each in known_of if each.start_seconds / rate < end
        ),
    )


def _cut(event: Event, rate: float, end: float) -> Event:
    """An event in seconds, which ends with its video."""
    times = event.start_seconds / rate, min(event.end_seconds / rate, end)
    return Event(*times, event.label, event.subject)


def _disagree(first: float, second: float) -> bool:
    return abs(first - second) > _MOST_DISAGREEMENT * second


def _merge(recordings: Sequence[Recording]) -> Recording:
    """Returns one recording for what several files say of a video."""
    first = recordings[0]
    if len(recordings) == 1:
        return first
    events = [event for recording in recordings for event in recording.events]
    once = {
        (e.label, e.subject, round(e.start_seconds, 3), round(e.end_seconds, 3)): e for e in events
    }
    notices = [notice for recording in recordings for notice in recording.notices]
    names = listed(dict.fromkeys(recording.name for recording in recordings))
    notices.append(Notice("several files", f"{first.media}: merged from {names}"))
    if len(once) < len(events):
        count = counted(len(events) - len(once), "event")
        notices.append(Notice("there twice", f"{first.media}: {count} kept once"))
    spans: list[Spans | None] = [recording.known for recording in recordings]
    return dataclasses.replace(
        first,
        name=names,
        events=tuple(sorted(once.values())),
        notices=tuple(dict.fromkeys(notices)),
        group=_only("group", first.path, (recording.group for recording in recordings)),
        split=_only("split", first.path, (recording.split for recording in recordings)),
        known=None
        if None in spans
        else tuple(sorted({span for each in spans for span in each or ()})),
        known_of=tuple(sorted({event for each in recordings for event in each.known_of})),
    )


def _only(what: str, path: str, values: Iterable[str]) -> Any:
    given = set(values) - {""}
    if len(given) > 1:
        raise DataError(f"{path}: expected one {what}, got {listed(sorted(given))} in its files.")
    return next(iter(given), "")


def by_subject(recordings: Iterable[Recording]) -> list[Recording]:
    """Returns a recording of the events of each subject.

    Events of no subject happen to all: each recording has them, and says so. A recording without
    any subject stays as it is. What must not cross splits is still the media file, whose frames
    all of them share.
    """
    divided = []
    for recording in recordings:
        subjects = sorted({event.subject for event in recording.events} - {""})
        shared = sum(not event.subject for event in recording.events)
        text = f"{recording.name}: {counted(shared, 'event')} of no subject belong to each"
        notices = (Notice("without a subject", text),) if shared else ()
        divided += [
            recording.telling(
                *notices,
                subject=subject,
                events=_of_subject(recording.events, subject),
                known_of=_of_subject(recording.known_of, subject),
            )
            for subject in subjects
        ] or [recording]
    return divided


def _of_subject(events: Iterable[Event], subject: str) -> tuple[Event, ...]:
    return tuple(event for event in events if event.subject in ("", subject))


def where_known(recording: Recording, labels: Collection[str]) -> Recording:
    """Returns a recording, its times seconds, of which nothing is known where some labels hold.

    Args:
        recording: As matched with its video.
        labels: Of events that say that nobody watched; they are no events any more.
    """
    unknown = [event for event in recording.events if event.label in labels]
    if not unknown:
        return recording
    whole: Spans = ((0.0, recording.duration_seconds or _MOST_SECONDS),)
    known = whole if recording.known is None else recording.known
    text = f"{recording.name}: {counted(len(unknown), 'event')} say where nothing is known"
    return recording.telling(
        Notice("not annotated", text),
        known=_without(known, unknown),
        known_of=tuple(
            dataclasses.replace(event, start_seconds=start, end_seconds=end)
            for event in recording.known_of
            for start, end in _without([(event.start_seconds, event.end_seconds)], unknown)
        ),
        events=tuple(event for event in recording.events if event.label not in labels),
    )


def _without(spans: Iterable[tuple[float, float]], gaps: Iterable[Event]) -> Spans:
    """What is left of spans outside of some events."""
    left = tuple(spans)
    for gap in gaps:
        parts = (
            (max(start, low), min(end, high))
            for start, end in left
            for low, high in ((0.0, gap.start_seconds), (gap.end_seconds, _MOST_SECONDS))
        )
        left = tuple((start, end) for start, end in parts if start < end)
    return left


def lasting(recording: Recording, seconds: float) -> Recording:
    """Returns a recording, its times seconds, whose points last some seconds.

    Args:
        recording: As matched with its video, which says where it ends.
        seconds: How long, around the point; cut at both ends of the media file.
    """
    most = recording.duration_seconds or math.inf

    def long(event: Event) -> Event:
        if not event.is_point:
            return event
        start = max(0.0, event.start_seconds - seconds / 2)
        end = min(most, event.start_seconds - seconds / 2 + seconds)
        return Event(start, end, event.label, event.subject)

    events, known_of = (sorted(map(long, e)) for e in (recording.events, recording.known_of))
    return dataclasses.replace(recording, events=tuple(events), known_of=tuple(known_of))
