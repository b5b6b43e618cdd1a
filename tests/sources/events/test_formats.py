"""The same six events from all formats; a broken file of any leads to nothing but a line."""

from __future__ import annotations

import dataclasses
import random
import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from pipeline.tables import NoTextError, read_any_text
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


def test_encodings_and_ends_of_lines_of_other_systems(a_format):
    _, path = a_format
    before = read_events(path)
    text = path.read_text(encoding="utf-8")
    for encoding, newline in (("utf-8-sig", "\r\n"), ("utf-16", "\r"), ("cp1252", "\n")):
        path.write_text(text, encoding=encoding, newline=newline)
        after = read_events(path)
        assert [(r.media, r.events) for r in after] == [(r.media, r.events) for r in before]
        told = any(notice.kind == "encoding" for each in after for notice in each.notices)
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
            new = rng.choice((b"", b"\0", b'"', b",", b"NaN", b"-1", b"1e300", b"\xff", b"[", b"<"))
            changed[place : place + rng.randint(0, 3)] = new
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
HEAD = "video,start_seconds,end_seconds,label"


def test_a_folder_is_read_below_too_and_other_files_are_told(write):
    write("b/events.csv", HEAD, "b.mp4,1,2,walk")
    write("a.csv", HEAD, "a.mp4,1,2,walk")
    write(".hidden/c.csv", HEAD, "c.mp4,1,2,walk")
    write("a.mp4", HEAD, "never looked into,1,2,walk")
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
    some = "config.ini, empty.txt, package.json, page.html, quote.txt, ..."
    (told,) = (str(warning.message) for warning in found)
    assert told == f"{root}: passed over 13 files without events: {some}"
    write("c.csv", HEAD, "a.mp4,x,2,walk")
    with pytest.raises(DataError, match="c.csv, line 2: expected start_seconds"):
        read_events(root)


BACKWARDS = "an event to end after its start, got 3 to 2. Correct it where it was marked."
CELLS = "A cell that holds the separator, such as a decimal comma, needs double quotes around it."
QUOTES = "A cell with quotes in it needs quotes around it, and those inside doubled."
COLUMNS = (
    "video, start_seconds, end_seconds, label, got video, start_seconds, label; "
    "end_seconds is missing."
)
TIMES = (
    "time, behavior type, got Observation id, Subject, Behavior, Behavior type; time is missing."
)
FILES = "file_list, metadata, got metadata_id, file_list; metadata is missing."
WITHOUT_COLUMNS = "with the columns Subject and Behavior, found none."
OWN = [  # the second line of a table of one's own, and what is expected instead
    ("a.mp4,soon,2,walk", "start_seconds, such as 12.5, got 'soon'."),
    ("a.mp4,0:01:02,2,walk", "start_seconds, such as 12.5, got '0:01:02'."),
    ("a.mp4,1,nan,walk", "end_seconds, such as 12.5, got 'nan'."),
    ("a.mp4,1,1e300,walk", "end_seconds, such as 12.5, got '1e300'."),
    ("a.mp4,1,1_0,walk", "end_seconds, such as 12.5, got '1_0'."),
    ("a.mp4,-1,2,walk", "start_seconds of 0 or more, got '-1'."),
    ("a.mp4,3,2,walk", BACKWARDS),
    ("a.mp4,1,2,", "a label, got an empty cell."),
    ("a.mp4,2,1,*", "a time that ends after its start."),
    ("a.mp4,1,,", "a label, got an empty cell."),
    ("a.mp4,,2,", "a label, got an empty cell."),
    ("a.mp4,,,walk", "start_seconds, such as 12.5, got ''."),
    (",1,2,walk", "a video, got an empty cell."),
    ("a.mp4,1,5,2,5,walk", f"at most 4 cells, got 6. {CELLS}"),
    ('a.mp4,1,2,"walk', f"a table: unexpected end of data. {QUOTES}"),
]
GIVEN = f"{HEAD},{{0}}\na.mp4,1,2,walk,{{1}}\na.mp4,2,3,walk,{{2}}".format
BORIS = "Observation id,Subject,Behavior,Behavior type,Time\no,,s,"
BOUTS = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)\no,,s,"
OFFSET = "Observation id,Time offset (s),Subject,Behavior,Behavior type,Time\n"
EAF = "<ANNOTATION_DOCUMENT><HEADER/>{}</ANNOTATION_DOCUMENT>".format
UNIT = '<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="PAL-frames"/></ANNOTATION_DOCUMENT>'
SLOT = '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="{}"/></TIME_ORDER>'.format
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
VIA = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,metadata\n"
VIEW = '{"metadata":{},"view":{"1":{"fid_list":["2"]}},"file":{}}'
NO_CODES = '{"project_format_version":"7.0","observations":{}}'
PROJECT = '{{"behaviors_conf":{{}},"observations":{{"o":{}}}}}'.format
TWO_LINES = '{"behaviors_conf":{},"observations":{"a\\nb\\u001b":1}}'
OF_STATE = '{"behaviors_conf":{"0":{"code":"s","type":"Point event"}},"observations":{"o":%s}}'
STATE = (OF_STATE % '{"events":[[<time>,"","s",""]]}').replace
SUBSET = '{"database":{"a":{"subset":"\\ud83d"}}}'
SEGMENT = '{{"database":{{"a":{{"annotations":[{{"segment":{},"label":"x"}}]}}}}}}'.format
STUDIO = '[{{"data":{{}},"annotations":[{{"result":[{}]}}]}}]'.format

EXPECTED = {  # by place: files, and what is expected there
    ", line 1": [
        (f"{HEAD},Label\na.mp4,1,2,walk,run", "each column once, got 'label' repeatedly."),
        ("video;start_seconds;label\na.mp4;1;walk", f"the columns {COLUMNS}"),
        ("Observation id,Subject,Behavior,Behavior type\no,,s,START", f"the columns {TIMES}"),
        ("# CSV_HEADER = metadata_id,file_list\n", f"the columns {FILES}"),
    ],
    ", line 2": [
        *((f"{HEAD}\n{line}", expected) for line, expected in OWN),
        (GIVEN("split", "half", ""), "a split of train, val, test or an empty cell, got 'half'."),
        (f"{BORIS}PAUSE,1", "an event of type START, STOP, POINT, got 'PAUSE'. Export again."),
        (f"{BORIS}START,00:00:01.5", "a time in seconds, such as 12.5, got '00:00:01.5'."),
        (f"{BOUTS}START,1,2", "an event of type STATE, POINT, got 'START'. Export again."),
        (f"{BOUTS}STATE,3,2", BACKWARDS),
        (f"{OFFSET}o,x,,s,START,1", "a time offset in seconds, such as 12.5, got 'x'."),
        (f'{VIA}"x","[', f"a table: unexpected end of data. {QUOTES}"),
        (f'{VIA}"x","[""a""]",0,"[1,2,3]","{{}}"', "one time or two, got 3."),
        (f'{VIA}"x","[""a""]",0,"[1,2]","[]"', "its attributes, an object, got '[]'."),
    ],
    ", line 3": [
        (GIVEN("split", "train", "test"), "one split for a.mp4, got 'train' and 'test'."),
        (GIVEN("group", "p 1", "p 2"), "one group for a.mp4, got 'p 1' and 'p 2'."),
        (",background,walk\n0,1,0\n1,2,0", "0, 1 or -1 below each label, got 1, 2, 0."),
    ],
    ", line 4": [("a\na\na\n\na\na\na\n", "a label, got an empty line.")],
    ", observation a\\u000ab\\u001b": [(TWO_LINES, "an observation, an object, got '1'.")],
    ", observation o": [(PROJECT('{"events":{}}'), "events, a list, got '{}'.")],
    ", observation o, event 1": [
        (PROJECT('{"events":[[1,""]]}'), "time, subject, behaviour and modifier, got [1, '']."),
        (STATE("<time>", "Infinity"), "a time in seconds, such as 12.5, got 'inf'."),
        (STATE("<time>", "true"), "a time in seconds, such as 12.5, got 'True'."),
    ],
    ", time slot t1": [(EAF(SLOT("1 s")), "milliseconds, such as 12.5, got '1 s'.")],
    ", view 1": [(VIEW, "file 2, an object, got 'None'.")],
    ", task 1, result r": [
        (
            STUDIO('{"id":"r","value":{"ranges":[{"start":1}]}}'),
            "the frame end, such as 12.5, got 'None'.",
        ),
        (STUDIO('{"id":"r"}'), "its value, an object, got 'None'."),
    ],
    ", a, annotation 1": [
        (SEGMENT("[1]"), "a time in seconds, such as 12.5, got 'None'."),
        (SEGMENT("[-1,2]"), "a time in seconds of 0 or more, got '-1'."),
    ],
    "": [
        ("Observation id\to\nPlayer #1\ta.mp4", f"a table of BORIS {WITHOUT_COLUMNS}"),
        (NO_CODES, "behaviors_conf, an object, got 'None'."),
        (EAF("<TIER>"), "XML: mismatched tag: line 1, column 38. Save it again in ELAN."),
        (f"{BOMB}{EAF('&b;')}", "a document as ELAN writes it, got one with a DOCTYPE."),
        ("<x><ANNOTATION_DOCUMENT/></x>", "a document of ELAN, got 'x'."),
        (UNIT, "times in milliseconds, got 'PAL-frames'."),
        (SUBSET, "JSON, got half of a character in it."),
        (",background,walk", "a line for each frame, got only the names of columns."),
        ("", "events, got an empty file."),
        (" \n\t\n", "events, got an empty file."),
        ("\0\0\1ftypisom", "text, got binary data."),
    ],
}


NONE = {
    "[" * 5000 + "]" * 5000: "expected JSON of events, got lists in lists too deep.",
    '{"a": 1,': "expected JSON: Expecting property name .* Export it again.",
    "9" * 5000: "expected a table with .* got a file that starts with '9{60}'.",
    "[" + "9" * 5000 + "]": "expected JSON: Exceeds the limit .* Export it again.",
    "{}": "expected a table with .* got a file that starts with '{}'.",
    ",,\n,": "expected a table with .* got a file that starts with ',,'.",
}


def test_files_that_are_broken_of_something_else_not_there_or_large(write, tmp_path, monkeypatch):
    broken = [(place, *each) for place, found in EXPECTED.items() for each in found]
    for place, text, expected in broken:
        path = write("file.txt", text, newline="")
        told = re.escape(f"{path}{place}: expected {expected}")
        with pytest.raises(DataError, match=f"^{told}$"):
            read_events(path)
    for text, line in NONE.items():
        path = write("file.json", text)
        with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {line}$"):
            read_events(path)
    for data in (b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", b"a\x81b", b"a" * 5000 + b"\0"):
        (tmp_path / "file.csv").write_bytes(data)
        with pytest.raises(NoTextError, match=r"expected text, got binary data\."):
            read_any_text(tmp_path / "file.csv")
    with pytest.raises(DataError, match="none does not exist: expected a table with the columns"):
        read_events(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_any_text(tmp_path)
    monkeypatch.setattr("pipeline.tables._MOST_BYTES", 4999)
    with pytest.raises(NoTextError, match="expected at most 0 MiB of text"):
        read_any_text(write("file.csv", "a" * 5000))
