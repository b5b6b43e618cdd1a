"""The report on files of events, as plain data and as lines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pipeline.manifest.annotation import merged
from pipeline.sources.events.event import Event, Recording, overlapping
from pipeline.text import counted, listed, visible

_MOST_LINES: Final = 20


def report(
    matched: Iterable[Recording],
    unmatched: Iterable[Recording],
    unusable: Iterable[Recording] = (),
) -> dict[str, Any]:
    """Returns what was found as JSON can hold it.

    Args:
        matched: Recordings whose video is there; their times are seconds.
        unmatched: The others.
        unusable: Recordings whose video is there, but of whose events none can be used.

    Returns:
        `recordings`, `unmatched` and `unusable`, lists of what is known of each: `media`, `path`,
        `name`, `subject`, `unit`, `events` (by label: `count`, `points` and `total`, in the unit),
        `overlaps` (by pair of labels: for how long both hold), `at_once` (for how long two
        different labels do, over all pairs), `known` (for how long the annotation holds, of some
        label at least; None: everywhere) and `notices` (by kind: texts).
        `left_out`, why each of the last two is, in their order.
        And `without_events`, the media of matched recordings that have none.
    """
    rows = [_describe(recording) for recording in matched]
    unmatched, unusable = tuple(unmatched), tuple(unusable)
    return {
        "recordings": rows,
        "unmatched": [_describe(recording) for recording in unmatched],
        "unusable": [_describe(recording) for recording in unusable],
        "left_out": [
            notice.text for each in (*unmatched, *unusable) for notice in each.notices[-1:]
        ],
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
        "overlaps": _overlaps(recording.events),
        "at_once": _at_once(recording.events),
        "known": _known_length(recording),
        "notices": dict(notices),
    }


def _overlaps(events: Sequence[Event]) -> dict[str, float]:
    """For how long two labels hold at a time, by both names; one may overlap itself."""
    together: dict[str, float] = defaultdict(float)
    for first, second, length in overlapping(events):
        together[" + ".join(sorted((events[first].label, events[second].label)))] += length
    return dict(sorted(together.items()))


def _at_once(events: Sequence[Event]) -> float:
    pairs = overlapping(events)
    return sum(length for a, b, length in pairs if events[a].label != events[b].label)


def report_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yields a report as lines of text: of each recording the first labels and pairs of labels.

    Notices of one kind are a line with their number and an example.
    """
    for row in (*found["recordings"], *found["unusable"], *found["unmatched"]):
        title = row["media"] or row["name"]
        yield visible(f"{title} ({row['subject']})" if row["subject"] else title)
        yield from _label_lines(row)
        for kind, texts in row["notices"].items():
            yield visible(f"  {kind}: {len(texts):,}, {listed(texts, most=1)}")


def _known_length(recording: Recording) -> float | None:
    if recording.known is None:
        return None
    of_one = ((event.start_seconds, event.end_seconds) for event in recording.known_of)
    return sum(end - start for start, end in merged((*recording.known, *of_one)))


def _label_lines(row: dict[str, Any]) -> Iterator[str]:
    unit = "s" if row["unit"] == "seconds" else "frames"
    if (known := row["known"]) is not None:
        yield f"  watched in part: {known:,.1f} {unit}" + ("" if row["events"] else ", no events")
    elif not row["events"]:
        yield "  no events"
    labels = [
        f"  {label}: {events['count']:,}, {events['total']:,.1f} {unit}"
        + (f", {counted(events['points'], 'point')}" if events["points"] else "")
        for label, events in row["events"].items()
    ]
    pairs = [
        f"  at the same time: {pair}, {length:,.1f} {unit}"
        for pair, length in row["overlaps"].items()
    ]
    for lines in (labels, pairs):
        yield from map(visible, lines[:_MOST_LINES])
        if lines[_MOST_LINES:]:
            yield f"  and {len(lines) - _MOST_LINES:,} more"
