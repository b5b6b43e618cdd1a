"""What becomes of recordings: with their videos, by subject, with lengths, reported, written."""

import dataclasses
import json
import xml.etree.ElementTree as ET

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.event import Event, Notice, Recording, WrittenRecording
from pipeline.sources.events.media import by_subject, in_seconds, lasting, match_media, where_known
from pipeline.sources.events.reading import WRITERS, read_events
from pipeline.sources.events.report import report, report_lines

WALK = Event(1, 2, "walk")


def recording(media, *events, name="o", **fields):
    return Recording(media=media, name=name, events=events, **fields)


FILES = ("x/a.mp4", "y/a.mp4", "b.mp4", "v.1.webm", "c.avi", "notes.txt", "d.MP4", "D.mp4")


def test_videos_are_found(touch, infos):
    root = touch(*FILES, "ä.mp4", "e.avi", "e.mp4")
    for media, found in (
        *(("x/a.mp4", "x/a.mp4"), ("/elsewhere/x/a.mp4", "x/a.mp4"), ("../y/a.mp4", "y/a.mp4")),
        *(("C:\\videos\\y\\a.mp4", "y/a.mp4"), ("D:/b.mp4", "b.mp4"), ("b.avi", "b.mp4")),
        *(("b", "b.mp4"), ("v.1", "v.1.webm"), ("Y/A.MP4", "y/a.mp4"), ("C", "c.avi")),
        *(("C.avi", "c.avi"), ("d.mp4", "d.MP4"), ("e.avi", "e.avi"), ("d.MP4", "d.MP4")),
        ("a\u0308.mp4", "\u00e4.mp4"),
    ):
        matched, unmatched = match_media([recording(media, WALK)], root, probe=infos)
        assert [r.path for r in matched] == [str(root / found)]
        assert unmatched == []


def test_missing_videos_are_told_and_a_table_without_lines_names_its_own(touch, read, infos):
    root = touch("x/a.mp4", "y/a.mp4", "b.mp4", ".hidden/c.mp4", "c.txt")
    given = [recording(media) for media in ("z/a.mp4", "bb.mp4", "c.mp4", "")]
    matched, unmatched = match_media(given, root, probe=infos)
    assert matched == []
    assert [r.notices for r in unmatched] == [
        (Notice("media ambiguous", "o: z/a.mp4 may be x/a.mp4, y/a.mp4"),),
        (Notice("media missing", "o: bb.mp4 is not there; the nearest name is b.mp4"),),
        (Notice("media missing", "o: c.mp4 is not there; the nearest name is b.mp4"),),
        (Notice("media missing", "o: no media file is named there"),),
    ]
    many = [recording(f"a{n}.mp4") for n in range(60)]
    _, unmatched = match_media(many, root, probe=infos)
    assert [" nearest " in r.notices[0].text for r in unmatched] == [True] * 50 + [False] * 10
    _, unmatched = match_media(many[:1], touch("none/notes.txt") / "none", probe=infos)
    assert unmatched[0].notices[0].text == "o: a0.mp4 is not there"
    # A table without lines speaks of the video of its name.
    root, head = touch("e.mp4"), "video,start_seconds,end_seconds,label"
    (found,), _ = match_media(read("e.csv", head), root, probe=infos)
    assert (found.path, found.events, found.known) == (str(root / "e.mp4"), (), None)
    message = r"f.csv: there are only the names of columns\. Expected a line for each event"
    with pytest.raises(DataError, match=message):
        match_media(read("f.csv", head), root, probe=infos)


def test_frames_become_seconds_and_what_disagrees_or_is_past_the_end_is_told(info):
    about = {"unit": "frames", "duration_seconds": 200.0, "known": ((0, 50),)}
    placed = in_seconds(recording("a", Event(5, 10, "walk"), **about), info())
    assert placed.events == (Event(0.5, 1, "walk"),)
    assert (placed.unit, placed.known, placed.duration_seconds) == ("seconds", ((0, 5),), 20)
    assert placed.notices == ()
    for fields, seconds, told in (
        ({"fps": 10.1, "duration_seconds": 20.2}, 20, []),
        ({"fps": 10.2}, 20, ["a: 10.2 and 10 fps"]),
        ({"duration_seconds": 20.9}, 20, []),
        ({"duration_seconds": 21.5}, 20, ["a: 21.5 s and 20.0 s"]),
        ({"duration_seconds": 250, "unit": "frames"}, 20, ["a: 25.0 s and 20.0 s"]),
        ({"duration_seconds": 1005}, 1000, []),
    ):
        placed = in_seconds(recording("a", **fields), info(duration_seconds=seconds))
        assert [text for _, text in placed.notices] == told
    events = [Event(1, 20.05, "slightly"), Event(19, 21, "cut"), Event(20, 20, "point")]
    events.append(Event(30, 31, "gone", "ann"))
    placed = in_seconds(recording("a", *events, known=((0, 30), (40, 50))), info())
    assert placed.events == (Event(1, 20, "slightly"), Event(19, 20, "cut"))
    assert placed.known == ((0, 20),)
    assert [text for _, text in placed.notices] == [
        "a: cut from 19 to 21 s is cut at 20 s",
        "a: point from 20 to 20 s is left out at 20 s",
        "a: gone from 30 to 31 s is left out at 20 s",
    ]
    given = recording("a", Event(30, 31, "walk"), duration_seconds=40)
    placed = in_seconds(given, info(duration_seconds=0))
    assert placed.events == (Event(30, 31, "walk"),), "the length is not known"
    assert (placed.duration_seconds, placed.notices) == (None, ())


def test_what_several_files_say_of_a_video_is_merged(touch, infos):
    root = touch("a.mp4", "b.mp4")
    given = [
        recording("b.mp4", WALK),
        recording("a.mp4", Event(3, 4, "eat"), WALK, group="g", known=((5, 9), (0, 1))),
        recording("x/a.mp4", Event(1.0004, 2, "walk"), name="p", split="val", known=((0, 1),)),
    ]
    (a, b), _ = match_media(given, root, probe=infos)
    assert b.notices == ()
    assert (a.name, a.group, a.split) == ("o, p", "g", "val")
    assert a.events == (Event(1.0004, 2, "walk"), Event(3, 4, "eat"))
    assert a.known == ((0, 1), (5, 9))
    assert a.notices == (
        Notice("several files", "a.mp4: merged from o, p"),
        Notice("there twice", "a.mp4: 1 event kept once"),
    )
    given = [recording("a.mp4", known=((0, 1),)), recording("a.mp4", WALK)]
    (a,), _ = match_media(given, root, probe=infos)
    assert a.known is None
    for what, values in (("group", ("g", "h")), ("split", ("test", "train"))):
        given = [recording("a.mp4", **{what: value}) for value in values[::-1]]
        told = f"a.mp4: expected one {what}, got {', '.join(values)} in its files"
        with pytest.raises(DataError, match=told):
            match_media(given, root, probe=infos)


ANN, BOB, LIGHT = Event(1, 2, "walk", "ann"), Event(1, 3, "eat", "bob"), Event(2, 2, "light")


def recorded(*events, media="a.mp4", **fields):
    return recording(media, *events, **fields)


def test_a_recording_for_each_subject_points_with_a_length_and_where_nobody_watched():
    ann, bob = by_subject([recorded(ANN, BOB, LIGHT, group="pen")])
    assert (ann.subject, ann.events, ann.media) == ("ann", (ANN, LIGHT), "a.mp4")
    assert (bob.subject, bob.events, bob.group) == ("bob", (BOB, LIGHT), "pen")
    notice = Notice("without a subject", "o: 1 event of no subject belong to each")
    assert ann.notices == bob.notices == (notice,)
    assert by_subject([recorded(LIGHT), recorded()]) == [recorded(LIGHT), recorded()]
    assert by_subject([recorded(ANN)])[0].notices == ()
    # What is known of one class follows its events.
    point, shared = Event(5, 5, "p"), Event(0, 9, "q")
    known = recorded(ANN, known=(), known_of=(ANN, point, shared), duration_seconds=10.0)
    ann, bob = by_subject([dataclasses.replace(known, events=(ANN, BOB))])
    assert (ann.known_of, bob.known_of) == ((ANN, point, shared), (point, shared))
    assert Event(4.5, 5.5, "p") in lasting(known, 1.0).known_of
    found = where_known(dataclasses.replace(known, events=(Event(2, 4, "break"),)), ["break"])
    assert [e for e in found.known_of if e.label == "q"] == [Event(0, 2, "q"), Event(4, 9, "q")]
    # Points are given a length, and nothing is known where nobody watched.
    points = recorded(Event(0.1, 0.1, "p"), ANN, Event(9.9, 9.9, "p", "ann"), duration_seconds=10)
    middle = Event(0, 0.6, "p"), ANN, Event(9.4, 10, "p", "ann")
    assert lasting(points, 1.0).events == middle
    assert lasting(recorded(LIGHT), 1.0).events == (Event(1.5, 2.5, "light"),)
    events = (Event(1, 4, "walk"), Event(3, 5, "break"), Event(8, 12, "break"))
    found = where_known(recorded(*events, duration_seconds=10.0), ["break"])
    assert found.known == ((0, 3), (5, 8))
    assert found.events == (events[0],)
    assert found.notices == (Notice("not annotated", "o: 2 events say where nothing is known"),)
    part = where_known(recorded(*events, known=((2.0, 9.0),)), ["break"])
    assert part.known == ((2, 3), (5, 8))
    assert where_known(recorded(ANN), ["break"]) == recorded(ANN)


def test_report():
    events = Event(1, 3, "walk"), Event(2, 4, "eat"), Event(2, 2, "eat"), Event(5, 6, "eat")
    notices = Notice("k", "one"), Notice("l", "two"), Notice("k", "three\n")
    matched = [
        recorded(*events, path="/v/a.mp4", subject="ann", notices=notices),
        recorded(media="b.mp4", name="p"),
        recorded(media="c.mp4", name="p", known=((1.0, 3.5), (4.0, 5.0))),
    ]
    unmatched = [recorded(Event(0, 1200, "\x1b"), media="", name="q", unit="frames")]
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
    assert [*report_lines(report([recorded(*many)], []))][21:] == ["  and 10 more"]
    first = [Event(0, 10, "a"), Event(2, 4, "b"), Event(3, 6, "b"), Event(10, 11, "c")]
    second = [Event(0, 1, "a"), Event(1, 2, "a"), Event(1, 1, "b")]
    # A label that overlaps itself is no two at once.
    third = [Event(0, 3, "walk"), Event(2, 4, "walk"), Event(2, 5, "eat")]
    wanted = ({"a + b": 5, "b + b": 1}, 5), ({}, 0), ({"eat + walk": 3, "walk + walk": 1}, 3)
    rows = report([recorded(*events) for events in (first, second, third)], [])["recordings"]
    assert [(row["overlaps"], row["at_once"]) for row in rows] == list(wanted)


FPS = 10.0
MARKED = (
    Event(start_seconds=0.5, end_seconds=2.0, label="walk", subject="Ann"),
    Event(start_seconds=1.0, end_seconds=3.0, label="walk", subject="Bob & <Co>"),
    Event(start_seconds=1.5, end_seconds=1.5, label="peck", notes="a\ttab"),
    Event(start_seconds=3.0, end_seconds=3.4, label="walk"),
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
