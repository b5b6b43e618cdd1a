from __future__ import annotations

import dataclasses

from pipeline.sources.events.event import Event, Notice, Recording
from pipeline.sources.events.subjects import by_subject, where_known, with_lengths

ANN, BOB, LIGHT = Event(1, 2, "walk", "ann"), Event(1, 3, "eat", "bob"), Event(2, 2, "light")


def recording(*events, **fields):
    return Recording(media="a.mp4", name="o", events=events, **fields)


def test_a_recording_for_each_subject():
    ann, bob = by_subject([recording(ANN, BOB, LIGHT, group="pen")])
    assert (ann.subject, ann.events, ann.media) == ("ann", (ANN, LIGHT), "a.mp4")
    assert (bob.subject, bob.events, bob.group) == ("bob", (BOB, LIGHT), "pen")
    notice = Notice("without a subject", "o: 1 event of no subject belong to each")
    assert ann.notices == bob.notices == (notice,)


def test_recordings_without_subjects_stay():
    assert by_subject([recording(LIGHT), recording()]) == [recording(LIGHT), recording()]
    assert by_subject([recording(ANN)])[0].notices == ()


def test_points_are_given_a_length():
    points = recording(Event(0.1, 0.1, "p"), ANN, Event(9.9, 9.9, "p", "ann"), duration_seconds=10)
    assert with_lengths(points, 1.0).events == (
        *(Event(0, 0.6, "p"), ANN, Event(9.4, 10, "p", "ann")),
    )
    assert with_lengths(points, 1.0, anchor="start").events == (
        *(Event(0.1, 1.1, "p"), ANN, Event(9.9, 10, "p", "ann")),
    )
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
