"""Recordings made ready for training: by subject, points with a length, and what is not known."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable
from typing import Final, Literal

from pipeline.sources.events.event import Event, Notice, Recording, Spans
from pipeline.text import counted

Anchor = Literal["centre", "start"]

_MOST_SECONDS: Final = 1e9


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


def with_lengths(recording: Recording, seconds: float, *, anchor: Anchor = "centre") -> Recording:
    """Returns a recording, its times seconds, whose points last some seconds.

    Args:
        recording: As matched with its video, which says where it ends.
        seconds: How long; cut at both ends of the media file.
        anchor: Whether the point is the middle of it, or its start.
    """
    before = seconds / 2 if anchor == "centre" else 0.0
    most = recording.duration_seconds or math.inf

    def lasting(event: Event) -> Event:
        if not event.is_point:
            return event
        start = max(0.0, event.start_seconds - before)
        end = min(most, event.start_seconds - before + seconds)
        return Event(start, end, event.label, event.subject)

    events, known_of = (sorted(map(lasting, e)) for e in (recording.events, recording.known_of))
    return dataclasses.replace(recording, events=tuple(events), known_of=tuple(known_of))
