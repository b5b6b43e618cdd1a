import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.sources.events.event import Event, Notice, Recording
from pipeline.sources.events.media import in_seconds, match_media
from pipeline.video import write_video

WALK = Event(1, 2, "walk")


def recording(media, *events, name="o", **fields):
    return Recording(media=media, name=name, events=events, **fields)


FILES = ("x/a.mp4", "y/a.mp4", "b.mp4", "v.1.webm", "c.avi", "notes.txt", "d.MP4", "D.mp4")


@pytest.mark.parametrize(
    ("media", "found"),
    [
        ("x/a.mp4", "x/a.mp4"),
        ("/elsewhere/x/a.mp4", "x/a.mp4"),
        ("../y/a.mp4", "y/a.mp4"),
        ("C:\\videos\\y\\a.mp4", "y/a.mp4"),
        ("D:/b.mp4", "b.mp4"),
        ("b.avi", "b.mp4"),
        ("b", "b.mp4"),
        ("v.1", "v.1.webm"),
        ("Y/A.MP4", "y/a.mp4"),
        ("C", "c.avi"),
        ("C.avi", "c.avi"),
        ("d.mp4", "d.MP4"),
        ("e.avi", "e.avi"),
        ("a\u0308.mp4", "\u00e4.mp4"),
        ("d.MP4", "d.MP4"),
    ],
)
def test_videos_are_found(touch, infos, media, found):
    root = touch(*FILES, "ä.mp4", "e.avi", "e.mp4")
    matched, unmatched = match_media([recording(media, WALK)], root, probe=infos)
    assert [r.path for r in matched] == [str(root / found)]
    assert unmatched == []


def test_ambiguous_and_missing_videos_are_told(touch, infos):
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


def test_a_table_without_lines_speaks_of_the_video_of_its_name(touch, read, infos):
    root, head = touch("a.mp4"), "video,start_seconds,end_seconds,label"
    (found,), _ = match_media(read("a.csv", head), root, probe=infos)
    assert (found.path, found.events, found.known) == (str(root / "a.mp4"), (), None)
    message = r"b.csv: there are only the names of columns\. Expected a line for each event"
    with pytest.raises(DataError, match=message):
        match_media(read("b.csv", head), root, probe=infos)


def test_real_videos_say_their_rate_and_length_or_that_they_cannot_be_read(touch, tmp_path):
    root = touch("b.mp4")
    frames = np.zeros((30, 16, 16, 3), np.uint8)
    write_video(tmp_path / "a.avi", frames, fps=10, codec="FFV1")
    given = [recording("a", Event(5, 30, "walk"), unit="frames"), recording("b.mp4")]
    (matched,), (*_, unmatched) = match_media([*given, recording("b")], root)
    assert (matched.events, matched.fps) == ((Event(0.5, 3, "walk"),), 10)
    assert matched.duration_seconds == 3
    ((kind, text),) = unmatched.notices
    assert kind == "media unreadable"
    assert text.startswith(f"{root / 'b.mp4'}: ")


def test_frames_become_seconds_and_what_disagrees_is_told(info):
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


def test_events_past_the_end_are_cut_or_left_out_and_told(info):
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
