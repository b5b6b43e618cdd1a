from __future__ import annotations

import json

from pipeline.sources.events.event import Event, Notice, Recording
from pipeline.sources.events.report import overlaps, report, report_lines


def test_report():
    matched = [
        Recording(
            media="a.mp4",
            name="o",
            path="/v/a.mp4",
            subject="ann",
            events=(
                Event(1, 3, "walk"),
                Event(2, 4, "eat"),
                Event(2, 2, "eat"),
                Event(5, 6, "eat"),
            ),
            notices=(Notice("k", "one"), Notice("l", "two"), Notice("k", "three\n")),
        ),
        Recording(media="b.mp4", name="p"),
        Recording(media="c.mp4", name="p", known=((1.0, 3.5), (4.0, 5.0))),
    ]
    unmatched = [Recording(media="", name="q", unit="frames", events=(Event(0, 1200, "\x1b"),))]

    found = report(matched, unmatched)

    assert json.loads(json.dumps(found)) == found
    assert found["without_events"] == ["b.mp4", "c.mp4"]
    assert found["recordings"][0] == {
        "media": "a.mp4",
        "path": "/v/a.mp4",
        "name": "o",
        "subject": "ann",
        "unit": "seconds",
        "events": {
            "eat": {"count": 3, "points": 1, "total": 3},
            "walk": {"count": 1, "points": 0, "total": 2},
        },
        "overlaps": {"eat + walk": 1},
        "at_once": 1,
        "known": None,
        "notices": {"k": ["one", "three\n"], "l": ["two"]},
    }
    assert list(report_lines(found)) == [
        "a.mp4 (ann)",
        "  eat: 3, 3.0 s, 1 point",
        "  walk: 1, 2.0 s",
        "  at the same time: eat + walk, 1.0 s",
        "  k: 2, one, ...",
        "  l: 1, two",
        "b.mp4",
        "  no events",
        "c.mp4",
        "  watched in part: 3.5 s, no events",
        "q",
        "  \\u001b: 1, 1,200.0 frames",
    ]


def test_a_report_stays_short():
    events = tuple(Event(n, n + 1, f"label {n:02d}") for n in range(30))
    lines = list(report_lines(report([Recording(media="a", name="a", events=events)], [])))
    assert len(lines) == 22
    assert lines[-1] == "  and 10 more"


def test_overlaps():
    events = [Event(0, 10, "a"), Event(2, 4, "b"), Event(3, 6, "b"), Event(10, 11, "c")]
    assert overlaps(events) == {"a + b": 5, "b + b": 1}
    assert overlaps([Event(0, 1, "a"), Event(1, 2, "a"), Event(1, 1, "b")]) == {}


def test_a_label_that_overlaps_itself_is_no_two_at_once():
    events = (Event(0, 3, "walk"), Event(2, 4, "walk"), Event(2, 5, "eat"))
    (row,) = report([Recording(media="a.mp4", name="o", events=events)], [])["recordings"]
    assert row["overlaps"] == {"eat + walk": 3, "walk + walk": 1}
    assert row["at_once"] == 3
