"""Recordings with their events as rows of a manifest; or each event as a part of its video."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.annotation import Annotation
from pipeline.manifest.rows import Manifest, Row, relative_path
from pipeline.sources import Source
from pipeline.sources.events.event import LOST, Event, Notice, Recording, overlapping
from pipeline.sources.events.media import by_subject, lasting, match_media, where_known
from pipeline.sources.events.reading import ReadingOptions, read_events
from pipeline.sources.events.report import report
from pipeline.sources.events.text_tables import BACKGROUND
from pipeline.text import counted, listed, suggestion
from pipeline.video import NO_LIMITS, Limits
from pipeline.video.paths import LeftOutWarning
from pipeline.workers.pool import probe_each

_MOST_OVERLAP: Final = 0.1
"""Of an event, that another label may have in common with it."""


def scan_events(
    path: str | os.PathLike[str],
    videos: str | os.PathLike[str],
    *,
    options: ReadingOptions | None = None,
    point_seconds: float = 0.0,
    subjects: bool = False,
    background: str = "",
    not_annotated: Collection[str] = (),
    cut: bool = False,
    limits: Limits = NO_LIMITS,
) -> Manifest:
    """Lists the recordings in which people marked events.

    The group of a recording is its video, where none is given. Where events are cut out, one during
    which another label holds is left out, since it has no one label; where two labels meet, the
    second begins when the first ends. A recording of whose events none can be used is left out; one
    without any is all background.

    Args:
        path: The file of events, or a folder of such files.
        videos: The folder in which, or below which, the videos lie.
        options: How to understand some formats.
        point_seconds: Length that events without one are given, around their time; 0: none, and
            they are left out.
        subjects: Whether the events of each subject are a recording of their own.
        background: Class of what no event covers; empty: none. Events of the usual name,
            `background`, are no events.
        not_annotated: Labels of stretches of which nothing is known.
        cut: Whether each event is a row, as a part of its video.
        limits: How large the frames of a video may be.

    Returns:
        The recordings, sorted by video, with their annotations; or the events, sorted by video and
        time. And a report on the files of events.

    Raises:
        ConfigError: A label is the name of the background, and not the usual one.
        DataError: A file cannot be read, or no event of it can be used.
    """
    matched, unmatched = match_media(
        read_events(path, options), videos, probe=partial(probe_each, limits=limits)
    )
    if point_seconds:
        matched = [lasting(recording, point_seconds) for recording in matched]
    _expect_labels(matched, not_annotated if matched else ())
    matched = [where_known(recording, not_annotated) for recording in matched]
    if background and not cut:
        matched = [_without_background(recording, background) for recording in matched]
    if subjects:
        matched = by_subject(matched)
    told, unusable, rows = [], [], []
    root = Path(videos).absolute()
    for recording in matched:
        kept, notices = (_with_one_label if cut else _with_length)(recording)
        telling = recording.telling(*notices)
        if not kept and _lost(telling):
            # Its frames are not the background that they seem to be.
            text = f"{recording.media}: no event of it can be used: {', '.join(_lost(telling))}"
            unusable.append(telling.telling(Notice("left out", text)))
            continue
        told.append(telling)
        rows += _cuts(recording, kept, root) if cut else [_row(recording, kept, root, background)]
    annotations = report(told, unmatched, unusable)
    if annotations["left_out"]:
        count = counted(len(annotations["left_out"]), "recording")
        message = f"{path}: left out {count}: {listed(annotations['left_out'], most=3)}"
        warnings.warn(message, LeftOutWarning, stacklevel=2)
    if not any(set(row.labels) - {background} for row in rows):
        why = _why_none((*told, *unusable), videos, not_annotated)
        raise DataError(f"{path}: expected events to learn from, got none: {why}.")
    return Manifest(rows=tuple(rows), annotations=annotations)


def _expect_labels(recordings: Iterable[Recording], asked: Collection[str]) -> None:
    """Makes sure that there are events of some labels."""
    known = {event.label for recording in recordings for event in recording.events}
    for label in asked:
        if label not in known:
            message = f"--not-annotated: no event has the label {label!r}."
            raise DataError(f"{message} {suggestion(label, sorted(known), repr)}")


def _why_none(
    recordings: Sequence[Recording], videos: str | os.PathLike[str], not_annotated: Collection[str]
) -> str:
    """Why no event of recordings can be learned from, and what to do."""
    if not recordings:
        return f"their videos are not below {videos}. Name the folder of the videos (--videos)"
    kinds = {kind for each in recordings for kind, _ in each.notices}
    if "POINT" in kinds:
        return "they are points in time. Give them a length (--point-seconds)"
    if not_annotated and "not annotated" in kinds:
        return "nothing is known where they hold (--not-annotated)"
    lost = listed(f"events {LOST[kind]}" for kind in LOST if kind in kinds)
    return f"{lost or 'there is none'}; a check lists them (--check)"


def _without_background(recording: Recording, background: str) -> Recording:
    """Returns a recording without events of that label: it holds where no other one does."""
    known_of = tuple(
        each
        for each in recording.known_of  # That it does not hold says of no class which one does.
        if _class_name(each.label) != background or each in recording.events
    )
    recording = dataclasses.replace(recording, known_of=known_of)
    events = tuple(e for e in recording.events if _class_name(e.label) != background)
    number = len(recording.events) - len(events)
    if not number:
        return recording
    if background != BACKGROUND:
        raise ConfigError(
            f"--background {background} is also the label of events: choose another name"
        )
    text = f"{recording.media}: {counted(number, 'event')}, background where no other one holds"
    return recording.telling(Notice("background", text), events=events)


def _lost(recording: Recording) -> list[str]:
    """Why events of a recording cannot be used, and how many each."""
    kinds = Counter(kind for kind, _ in recording.notices if kind in LOST)
    return [f"{counted(number, 'event')} {LOST[kind]}" for kind, number in kinds.items()]


def _with_length(recording: Recording) -> tuple[list[Event], list[Notice]]:
    """The events that last; and what of the others."""
    kept, notices = [], []
    for event in recording.events:
        if event.is_point:
            notices.append(_point(recording, event))
        else:
            kept.append(event)
    return kept, notices


def _point(recording: Recording, event: Event) -> Notice:
    where = f"{recording.media}: {event.label} at {event.start_seconds:g} s is left out"
    return Notice("POINT", f"{where}: give points a length (--point-seconds)")


def _with_one_label(recording: Recording) -> tuple[list[Event], list[Notice]]:
    """The events that can be cut out of the video, each with one label; and what of the others."""
    kept: list[Event] = []
    notices = []
    ends: dict[str, float] = {}
    for event, overlap in zip(recording.events, _overlaps(recording.events), strict=True):
        where = f"{recording.media}: {event.label} at {event.start_seconds:g} s is left out"
        if event.is_point:
            notices.append(_point(recording, event))
        elif overlap > _MOST_OVERLAP * (event.end_seconds - event.start_seconds):
            notices.append(Notice("two labels at once", where))
        else:
            others = (end for label, end in ends.items() if label != event.label)
            start = max(event.start_seconds, *others, 0.0)
            kept.append(dataclasses.replace(event, start_seconds=start))
            ends[event.label] = max(ends.get(event.label, 0.0), event.end_seconds)
    return kept, notices


def _overlaps(events: Sequence[Event]) -> list[float]:
    """For how many seconds another label holds during each event, the longest one.

    Args:
        events: In order of their start.
    """
    longest = [0.0] * len(events)
    for first, second, seconds in overlapping(events):
        if events[first].label != events[second].label:
            longest[first] = max(longest[first], seconds)
            longest[second] = max(longest[second], seconds)
    return longest


def _row(recording: Recording, events: Iterable[Event], root: Path, background: str) -> Row:
    annotation = Annotation(
        events=tuple((e.start_seconds, e.end_seconds, _class_name(e.label)) for e in events),
        known=recording.known,
        known_of=tuple(
            (e.start_seconds, e.end_seconds, _class_name(e.label)) for e in recording.known_of
        ),
        background=background,
        subject=recording.subject,
    )
    return _unlabelled(recording, root).labelled(annotation.class_names, annotation)


def _unlabelled(recording: Recording, root: Path) -> Row:
    group = recording.group or relative_path(recording.path, root)
    return Row(path=recording.path, label="", group=group, split=recording.split)


def _class_name(label: str) -> str:
    """A label as the name of one class: a semicolon stands between several."""
    return label.replace(";", ",")


def _cuts(recording: Recording, events: Iterable[Event], root: Path) -> list[Row]:
    whole = _unlabelled(recording, root)
    times = ((each, each.start_seconds, each.end_seconds) for each in events)
    return [
        dataclasses.replace(whole, label=each.label, start_seconds=start, end_seconds=end)
        for each, start, end in times
    ]


RECORDED: Final = ("background", "cut_events")
"""Settings of any recordings, those of the demo as well."""

_MARKED = ("videos", "point_seconds", "modifiers", "tiers", "subjects", "not_annotated")


def scan_marked(config: PrepareConfig, videos: Path, path: str | Path = "") -> Manifest:
    """As `scan_events`, by the settings of `prepare`; `path`: events in place of those set."""
    return scan_events(
        path or config.path,
        videos,
        options=ReadingOptions(modifiers=config.modifiers, tiers=config.tiers),
        point_seconds=config.point_seconds,
        subjects=config.subjects,
        background=config.background,
        not_annotated=config.not_annotated,
        cut=config.cut_events,
        limits=config.limits,
    )


SOURCE = Source("events", scan_marked, takes=(*_MARKED, *RECORDED))
