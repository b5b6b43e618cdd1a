"""What becomes of recordings: by subject, with lengths, reported, and written for other tools."""

import dataclasses
import json
import xml.etree.ElementTree as ET

import pytest

from pipeline.sources.events.event import Event, Notice, Recording
from pipeline.sources.events.reading import read_events
from pipeline.sources.events.report import report, report_lines
from pipeline.sources.events.subjects import by_subject, where_known, with_lengths
from pipeline.sources.events.writing import WRITERS, WrittenEvent, WrittenRecording

ANN, BOB, LIGHT = Event(1, 2, "walk", "ann"), Event(1, 3, "eat", "bob"), Event(2, 2, "light")


def recording(*events, **fields):
    return Recording(**{"media": "a.mp4", "name": "o", "events": events, **fields})


def test_a_recording_for_each_subject():
    ann, bob = by_subject([recording(ANN, BOB, LIGHT, group="pen")])
    assert (ann.subject, ann.events, ann.media) == ("ann", (ANN, LIGHT), "a.mp4")
    assert (bob.subject, bob.events, bob.group) == ("bob", (BOB, LIGHT), "pen")
    notice = Notice("without a subject", "o: 1 event of no subject belong to each")
    assert ann.notices == bob.notices == (notice,)
    assert by_subject([recording(LIGHT), recording()]) == [recording(LIGHT), recording()]
    assert by_subject([recording(ANN)])[0].notices == ()


def test_points_are_given_a_length():
    points = recording(Event(0.1, 0.1, "p"), ANN, Event(9.9, 9.9, "p", "ann"), duration_seconds=10)
    middle = Event(0, 0.6, "p"), ANN, Event(9.4, 10, "p", "ann")
    assert with_lengths(points, 1.0).events == middle
    start = Event(0.1, 1.1, "p"), ANN, Event(9.9, 10, "p", "ann")
    assert with_lengths(points, 1.0, anchor="start").events == start
    assert with_lengths(recording(LIGHT), 1.0).events == (Event(1.5, 2.5, "light"),)


def test_nothing_is_known_where_nobody_watched():
    events = (Event(1, 4, "walk"), Event(3, 5, "break"), Event(8, 12, "break"))
    found = where_known(recording(*events, duration_seconds=10.0), ["break"])
    assert found.known == ((0, 3), (5, 8))
    assert found.events == (events[0],)
    assert found.notices == (Notice("not annotated", "o: 2 events say where nothing is known"),)
    part = where_known(recording(*events, known=((2.0, 9.0),)), ["break"])
    assert part.known == ((2, 3), (5, 8))
    assert where_known(recording(ANN), ["break"]) == recording(ANN)


def test_what_is_known_of_one_class_follows_its_events():
    point, shared = Event(5, 5, "p"), Event(0, 9, "q")
    known = recording(ANN, known=(), known_of=(ANN, point, shared), duration_seconds=10.0)
    ann, bob = by_subject([dataclasses.replace(known, events=(ANN, BOB))])
    assert (ann.known_of, bob.known_of) == ((ANN, point, shared), (point, shared))
    assert Event(4.5, 5.5, "p") in with_lengths(known, 1.0).known_of
    gap = dataclasses.replace(known, events=(Event(2, 4, "break"),))
    found = where_known(gap, ["break"])
    assert [e for e in found.known_of if e.label == "q"] == [Event(0, 2, "q"), Event(4, 9, "q")]


def test_report():
    events = Event(1, 3, "walk"), Event(2, 4, "eat"), Event(2, 2, "eat"), Event(5, 6, "eat")
    notices = Notice("k", "one"), Notice("l", "two"), Notice("k", "three\n")
    matched = [
        recording(*events, path="/v/a.mp4", subject="ann", notices=notices),
        recording(media="b.mp4", name="p"),
        recording(media="c.mp4", name="p", known=((1.0, 3.5), (4.0, 5.0))),
    ]
    unmatched = [recording(Event(0, 1200, "\x1b"), media="", name="q", unit="frames")]

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
    many = [Event(number, number + 1, f"label {number:02d}") for number in range(30)]
    assert [*report_lines(report([recording(*many)], []))][21:] == ["  and 10 more"]


def test_overlaps():
    first = [Event(0, 10, "a"), Event(2, 4, "b"), Event(3, 6, "b"), Event(10, 11, "c")]
    second = [Event(0, 1, "a"), Event(1, 2, "a"), Event(1, 1, "b")]
    # A label that overlaps itself is no two at once.
    third = [Event(0, 3, "walk"), Event(2, 4, "walk"), Event(2, 5, "eat")]
    wanted = ({"a + b": 5, "b + b": 1}, 5), ({}, 0), ({"eat + walk": 3, "walk + walk": 1}, 3)
    rows = report([recording(*events) for events in (first, second, third)], [])["recordings"]
    assert [(row["overlaps"], row["at_once"]) for row in rows] == list(wanted)


FPS = 10.0
MARKED = (
    WrittenEvent(start_seconds=0.5, end_seconds=2.0, label="walk", subject="Ann"),
    WrittenEvent(start_seconds=1.0, end_seconds=3.0, label="walk", subject="Bob & <Co>"),
    WrittenEvent(start_seconds=1.5, end_seconds=1.5, label="peck", notes="a\ttab"),
    WrittenEvent(start_seconds=3.0, end_seconds=3.4, label="walk"),
)


def written(end, events=MARKED):
    names = tuple(sorted({event.label for event in events}))
    about = {"path": "/videos/day 1.avi", "fps": FPS, "duration_seconds": 4.0}
    return WRITERS[end](WrittenRecording(**about, class_names=names, events=events))


@pytest.mark.parametrize("events", [MARKED, MARKED[:1], MARKED[:2], MARKED[2:]])
@pytest.mark.parametrize("end", WRITERS)
def test_what_was_marked_reads_back(tmp_path, end, events):
    path = tmp_path / f"out{end}"
    path.write_bytes(written(end, events))
    (found,) = read_events(path)
    assert found.media.endswith("day 1.avi")
    rate = FPS if found.unit == "frames" else 1
    read = sorted(
        (round(e.start_seconds / rate, 3), round(e.end_seconds / rate, 3), e.label, e.subject)
        for e in found.events
    )
    has_points, has_subjects = end in (".boris.tsv", ".via.json"), end != ".label-studio.json"
    lengths = [0.1 if event.is_point and not has_points else 0 for event in events]
    assert read == sorted(
        (e.start_seconds, round(e.end_seconds + more, 3), e.label, e.subject * has_subjects)
        for e, more in zip(events, lengths, strict=True)
    )


def test_notes_go_into_the_comments_of_boris_and_elan_names_its_schema():
    assert '"a\ttab"' in written(".boris.tsv").decode()
    root = ET.fromstring(written(".eaf"))  # noqa: S314
    name = "{http://www.w3.org/2001/XMLSchema-instance}noNamespaceSchemaLocation"
    assert root.get(name) == "http://www.mpi.nl/tools/elan/EAFv3.0.xsd", "pympi wants it"
