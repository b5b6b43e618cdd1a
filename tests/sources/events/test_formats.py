"""The same six events from all formats; no broken file of any leads to anything but a line."""

from __future__ import annotations

import dataclasses
import random

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from tests.sources.events.formats import EVENTS, WITHOUT_SUBJECTS


def test_the_same_events_from_each_format(a_format, touch, write, infos):
    name, path = a_format
    folder = touch("videos/trial 1/ä 1.mp4", "videos/trial 2/ä 2.mp4") / "videos"
    matched, unmatched = match_media(read_events(path), folder, probe=infos)
    events = tuple(
        dataclasses.replace(event, subject="") if name in WITHOUT_SUBJECTS else event
        for event in EVENTS
    )
    assert unmatched == []
    assert [recording.path for recording in matched] == [str(folder / "trial 1/ä 1.mp4")]
    assert matched[0].events == events
    assert (matched[0].unit, matched[0].fps, matched[0].duration_seconds) == ("seconds", 10, 20)
    assert matched[0].known is None
    assert {notice.kind for notice in matched[0].notices} <= {"tier"}  # ELAN says how it was read
    write("notes/README.md", "Nothing of interest")
    with pytest.warns(match="passed over 1 file without events: notes/README.md"):
        assert read_events(path.parent) == read_events(path)


@pytest.mark.parametrize(
    ("encoding", "newline"), [("utf-8-sig", "\r\n"), ("utf-16", "\r"), ("cp1252", "\n")]
)
def test_encodings_and_ends_of_lines_of_other_systems(a_format, encoding, newline):
    _, path = a_format
    before = read_events(path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text, encoding=encoding, newline=newline)
    after = read_events(path)
    assert [(r.media, r.events) for r in after] == [(r.media, r.events) for r in before]
    told = any(notice.kind == "encoding" for recording in after for notice in recording.notices)
    assert told == (encoding == "cp1252" and not text.isascii())


def test_a_file_that_is_cut_off_or_changed_gives_a_line_or_events(a_format):
    _, path = a_format
    data = path.read_bytes()
    rng = random.Random(0)
    broken = [data[: len(data) * part // 20] for part in range(20)]
    for _ in range(60):
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(len(data))
            some = rng.choice(
                (b"", b"\0", b'"', b",", b"NaN", b"-1", b"1e300", b"\xff", b"[", b"<")
            )
            changed[place : place + rng.randint(0, 3)] = some
        broken.append(bytes(changed))
    messages = []
    for each in broken:
        path.write_bytes(each)
        try:
            recordings = read_events(path)
        except DataError as error:
            messages.append(str(error))
            continue
        times = [(e.start_seconds, e.end_seconds) for r in recordings for e in r.events]
        assert all(0 <= start <= end for start, end in times)
    assert messages
    assert all(str(path) in message and "\n" not in message for message in messages)


def test_a_class_that_was_looked_for_and_has_no_event_is_told(read):
    lines = ["video,start_seconds,end_seconds,label", "a.mp4,1,2,walk", "a.mp4,4,5,* walk"]
    first, second = read("events.csv", *lines, "b.mp4,4,5,* wlak")
    assert not first.notices
    ((kind, text),) = second.notices
    said = "* wlak, and no event of the table is called so"
    assert (kind, text.partition(": ")[2]) == ("class without events", said)


OTHERS = (
    "Text that speaks of <ANNOTATION_DOCUMENT> and # CSV_HEADER",
    "background\nwalk\neat",
    "[]",
    "[1]",
    '[{"annotations": []}]',
    '[{"data": {}}]',
    '{"annotations": []}',
    '"metadata"',
)
TABLE = "video,start_seconds,end_seconds,label"


def test_a_folder_is_read_below_too_and_other_files_are_told(write):
    write("b/events.csv", TABLE, "b.mp4,1,2,walk")
    write("a.csv", TABLE, "a.mp4,1,2,walk")
    write(".hidden/c.csv", TABLE, "c.mp4,1,2,walk")
    write("a.mp4", TABLE, "never looked into,1,2,walk")
    write("config.ini", "[section]", "a = 1")
    write("package.json", '{"name": "x"}')
    write("page.html", "<html></html>")
    write("quote.txt", '"Not closed')
    root = write("empty.txt").parent
    with pytest.raises(DataError, match=r"or a text with a label a frame, found none\.$"):
        read_events(write("none/a.mp4").parent)
    (root / "none/notes.md").write_text("# Notes")
    with pytest.raises(DataError, match=r"found none, only notes.md\.$"):
        read_events(root / "none")
    (root / "none/notes.md").unlink()
    for number, text in enumerate(OTHERS):
        write(f"z/{number}.txt", text)

    with pytest.warns() as found:
        recordings = read_events(root)

    assert [recording.media for recording in recordings] == ["a.mp4", "b.mp4"]
    assert [str(warning.message) for warning in found] == [
        (
            f"{root}: passed over 13 files without events: "
            "config.ini, empty.txt, package.json, page.html, quote.txt, ..."
        )
    ]
    write("c.csv", TABLE, "a.mp4,x,2,walk")
    with pytest.raises(DataError, match="c.csv, line 2: expected start_seconds"):
        read_events(root)
