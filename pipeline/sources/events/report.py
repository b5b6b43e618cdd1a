"""What was found in files of events, as plain data and as lines."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipeline.sources.events.event import Event, Recording
from pipeline.text import counted, listed, visible


def report(matched: Iterable[Recording], unmatched: Iterable[Recording]) -> dict[str, Any]:
    """Returns what was found as JSON can hold it.

    Args:
        matched: Recordings whose video is there; their times are seconds.
        unmatched: The others.

    Returns:
        `recordings` and `unmatched`, lists of what is known of each: `media`, `path`, `name`,
        `subject`, `unit`, `events` (by label: `count`, `points` and `total`, in the unit),
        `overlaps` (by pair of labels: for how long both hold) and `notices` (by kind: texts).
        And `without_events`, the media of matched recordings that have none.
    """
    rows = [_describe(recording) for recording in matched]
    return {
        "recordings": rows,
        "unmatched": [_describe(recording) for recording in unmatched],
        "without_events": [row["media"] for row in rows if not row["events"]],
    }


def _describe(recording: Recording) -> dict[str, Any]:
    events: dict[str, dict[str, float]] = {}
    for event in sorted(recording.events, key=lambda event: event.label):
        row = events.setdefault(event.label, {"count": 0, "points": 0, "total": 0.0})
        row["count"] += 1
        row["points"] += event.is_point
        row["total"] += event.end_seconds - event.start_seconds
    notices = defaultdict(list)
    for kind, text in recording.notices:
        notices[kind].append(text)
    names = ("media", "path", "name", "subject", "unit")
    return {
        **{name: getattr(recording, name) for name in names},
        "events": events,
        "overlaps": overlaps(recording.events),
        "notices": dict(notices),
    }


def overlaps(events: Sequence[Event]) -> dict[str, float]:
    """Returns for how long two labels hold at a time, by both names; one may overlap itself."""
    together: Counter[str] = Counter()
    running: list[Event] = []
    for event in sorted(events):
        running = [other for other in running if other.end_seconds > event.start_seconds]
        for other in running:
            length = min(event.end_seconds, other.end_seconds) - event.start_seconds
            if length > 0:
                together[" + ".join(sorted((event.label, other.label)))] += length  # type: ignore[assignment]
        running.append(event)
    return dict(sorted(together.items()))


def report_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yields a report as lines of text, each notice once with an example."""
    for row in (*found["recordings"], *found["unmatched"]):
        unit = "s" if row["unit"] == "seconds" else "frames"
        title = row["media"] or row["name"]
        yield visible(f"{title} ({row['subject']})" if row["subject"] else title)
        for label, events in row["events"].items():
            points = f", {counted(events['points'], 'point')}" if events["points"] else ""
            yield visible(f"  {label}: {events['count']:,}, {events['total']:,.1f} {unit}{points}")
        if not row["events"]:
            yield "  no events"
        for labels, length in row["overlaps"].items():
            yield visible(f"  at the same time: {labels}, {length:,.1f} {unit}")
        for kind, texts in row["notices"].items():
            yield visible(f"  {kind}: {len(texts):,}, {listed(texts, most=1)}")
