"""Broken files, each with the line that says what is wrong."""

from __future__ import annotations

import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.reading import read_events
from pipeline.sources.events.text import NoTextError, read_any_text

HEAD = "video,start_seconds,end_seconds,label"
BORIS = "Observation id,Subject,Behavior,Behavior type,Time,Media file name"
BOUTS = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)"
EAF = "<ANNOTATION_DOCUMENT><HEADER/>{}</ANNOTATION_DOCUMENT>"
SLOT = '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="{}"/></TIME_ORDER>'
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
VIA = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,metadata"
PROJECT = '{{"behaviors_conf":{{}},"observations":{{"o":{}}}}}'
STATE = '{{"behaviors_conf":{{"0":{{"code":"s","type":"Point event"}}}},"observations":{{"o":{}}}}}'
DATABASE = '{{"database":{{"a":{}}}}}'
STUDIO = '[{{"data":{{}},"annotations":[{{"result":[{}]}}]}}]'

BROKEN = {
    "no number": (
        f"{HEAD}\na.mp4,soon,2,walk",
        ", line 2: expected start_seconds, such as 12.5, got 'soon'.",
    ),
    "a clock": (
        f"{HEAD}\na.mp4,0:01:02,2,walk",
        ", line 2: expected start_seconds, such as 12.5, got '0:01:02'.",
    ),
    "NaN": (
        f"{HEAD}\na.mp4,1,nan,walk",
        ", line 2: expected end_seconds, such as 12.5, got 'nan'.",
    ),
    "beyond any recording": (
        f"{HEAD}\na.mp4,1,1e300,walk",
        ", line 2: expected end_seconds, such as 12.5, got '1e300'.",
    ),
    "a number for programmers": (
        f"{HEAD}\na.mp4,1,1_0,walk",
        ", line 2: expected end_seconds, such as 12.5, got '1_0'.",
    ),
    "below zero": (
        f"{HEAD}\na.mp4,-1,2,walk",
        ", line 2: expected start_seconds of 0 or more, got '-1'.",
    ),
    "end before start": (
        f"{HEAD}\na.mp4,3,2,walk",
        (
            ", line 2: expected an event to end after its start, got 3 to 2. Correct it where it "
            "was marked."
        ),
    ),
    "no label": (f"{HEAD}\na.mp4,1,2,", ", line 2: expected a label, got an empty cell."),
    "watched backwards": (
        f"{HEAD}\na.mp4,2,1,*",
        ", line 2: expected a time that ends after its start.",
    ),
    "a time alone": (f"{HEAD}\na.mp4,1,,", ", line 2: expected a label, got an empty cell."),
    "an end alone": (f"{HEAD}\na.mp4,,2,", ", line 2: expected a label, got an empty cell."),
    "a label alone": (
        f"{HEAD}\na.mp4,,,walk",
        ", line 2: expected start_seconds, such as 12.5, got ''.",
    ),
    "no video": (f"{HEAD}\n,1,2,walk", ", line 2: expected a video, got an empty cell."),
    "a column missing": (
        "video;start_seconds;label\na.mp4;1;walk",
        (
            ", line 1: expected the columns video, start_seconds, end_seconds, label, got video, "
            "start_seconds, label; end_seconds is missing."
        ),
    ),
    "a column twice": (
        f"{HEAD},Label\na.mp4,1,2,walk,run",
        ", line 1: expected each column once, got 'label' repeatedly.",
    ),
    "decimal commas between commas": (
        f"{HEAD}\na.mp4,1,5,2,5,walk",
        (
            ", line 2: expected at most 4 cells, got 6. A cell that holds the separator, such as a "
            "decimal comma, needs double quotes around it."
        ),
    ),
    "a quote that is not closed": (
        f'{HEAD}\na.mp4,1,2,"walk',
        (
            ", line 2: expected a table: unexpected end of data. A cell with quotes in it needs "
            "quotes around it, and those inside doubled."
        ),
    ),
    "no split": (
        f"{HEAD},split\na.mp4,1,2,walk,half",
        ", line 2: expected a split of train, val, test or an empty cell, got 'half'.",
    ),
    "two splits": (
        f"{HEAD},split\na.mp4,1,2,walk,train\na.mp4,2,3,walk,test",
        ", line 3: expected one split for a.mp4, got 'train' and 'test'.",
    ),
    "two groups": (
        f"{HEAD},group\na.mp4,1,2,walk,p 1\na.mp4,2,3,walk,p 2",
        ", line 3: expected one group for a.mp4, got 'p 1' and 'p 2'.",
    ),
    "BORIS without its events": (
        "Observation id\to\nPlayer #1\ta.mp4",
        ": expected a table of BORIS with the columns Subject and Behavior, found none.",
    ),
    "BORIS without times": (
        "Observation id,Subject,Behavior,Behavior type\no,,s,START",
        (
            ", line 1: expected the columns time, behavior type, got Observation id, Subject, "
            "Behavior, Behavior type; time is missing."
        ),
    ),
    "BORIS with another status": (
        f"{BORIS}\no,,s,PAUSE,1,a.mp4",
        ", line 2: expected an event of type START, STOP, POINT, got 'PAUSE'. Export again.",
    ),
    "BORIS aggregated with another type": (
        f"{BOUTS}\no,,s,START,1,2",
        ", line 2: expected an event of type STATE, POINT, got 'START'. Export again.",
    ),
    "BORIS with a clock": (
        f"{BORIS}\no,,s,START,00:00:01.5,a.mp4",
        ", line 2: expected a time in seconds, such as 12.5, got '00:00:01.5'.",
    ),
    "BORIS aggregated, end before start": (
        f"{BOUTS}\no,,s,STATE,3,2",
        (
            ", line 2: expected an event to end after its start, got 3 to 2. Correct it where it "
            "was marked."
        ),
    ),
    "BORIS with an odd offset": (
        "Observation id,Time offset (s),Subject,Behavior,Behavior type,Time\no,x,,s,START,1",
        ", line 2: expected a time offset in seconds, such as 12.5, got 'x'.",
    ),
    "a project without ethogram": (
        '{"project_format_version":"7.0","observations":{}}',
        ": expected behaviors_conf, an object, got 'None'.",
    ),
    "a project whose events are none": (
        PROJECT.format('{"events":{}}'),
        ", observation o: expected events, a list, got '{}'.",
    ),
    "an event of a project that is too short": (
        PROJECT.format('{"events":[[1,""]]}'),
        ", observation o, event 1: expected time, subject, behaviour and modifier, got [1, ''].",
    ),
    "a name over two lines": (
        '{"behaviors_conf":{},"observations":{"a\\nb\\u001b":1}}',
        ", observation a\\u000ab\\u001b: expected an observation, an object, got '1'.",
    ),
    "an infinite time in a project": (
        STATE.format('{"events":[[Infinity,"","s",""]]}'),
        ", observation o, event 1: expected a time in seconds, such as 12.5, got 'inf'.",
    ),
    "a truth value for a time": (
        STATE.format('{"events":[[true,"","s",""]]}'),
        ", observation o, event 1: expected a time in seconds, such as 12.5, got 'True'.",
    ),
    "XML that is cut off": (
        EAF.format("<TIER>"),
        ": expected XML: mismatched tag: line 1, column 38. Save it again in ELAN.",
    ),
    "an entity bomb": (
        f"{BOMB}<ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>",
        ": expected a document as ELAN writes it, got one with a DOCTYPE.",
    ),
    "another root": (
        "<x><ANNOTATION_DOCUMENT/></x>",
        ": expected a document of ELAN, got 'x'.",
    ),
    "another unit": (
        EAF.replace("<HEADER/>", '<HEADER TIME_UNITS="PAL-frames"/>'),
        ": expected times in milliseconds, got 'PAL-frames'.",
    ),
    "an odd time slot": (
        EAF.format(SLOT.format("1 s")),
        ", time slot t1: expected milliseconds, such as 12.5, got '1 s'.",
    ),
    "VIA without files": (
        f'{VIA}\n"x","[""a.mp4""]"',
        (
            ", line 2: expected the columns file_list and metadata below a line # CSV_HEADER, got "
            "metadata_id, file_list. Export it again."
        ),
    ),
    "VIA with half a quote": (
        f'{VIA}\n"x","[',
        ", line 2: expected CSV: unexpected end of data. Export it again.",
    ),
    "VIA with three times": (
        f'{VIA}\n"x","[""a.mp4""]",0,"[1,2,3]","{{}}"',
        ", line 2: expected one time or two, got 3.",
    ),
    "VIA with a list for attributes": (
        f'{VIA}\n"x","[""a.mp4""]",0,"[1,2]","[]"',
        ", line 2: expected its attributes, an object, got '[]'.",
    ),
    "VIA with a view of no file": (
        '{"metadata":{},"view":{"1":{"fid_list":["2"]}},"file":{}}',
        ", view 1: expected file 2, an object, got 'None'.",
    ),
    "Label Studio without a frame": (
        STUDIO.format('{"id":"r","value":{"ranges":[{"start":1}]}}'),
        ", task 1, result r: expected the frame end, such as 12.5, got 'None'.",
    ),
    "Label Studio without a value": (
        STUDIO.format('{"id":"r"}'),
        ", task 1, result r: expected its value, an object, got 'None'.",
    ),
    "half a segment": (
        DATABASE.format('{"annotations":[{"segment":[1],"label":"x"}]}'),
        ", a, annotation 1: expected a time in seconds, such as 12.5, got 'None'.",
    ),
    "a segment below zero": (
        DATABASE.format('{"annotations":[{"segment":[-1,2],"label":"x"}]}'),
        ", a, annotation 1: expected a time in seconds of 0 or more, got '-1'.",
    ),
    "half a character": (
        DATABASE.format('{"subset":"\\ud83d"}'),
        ": expected JSON, got half of a character in it.",
    ),
    "a frame of DeepEthogram": (
        ",background,walk\n0,1,0\n1,2,0",
        ", line 3: expected 0, 1 or -1 below each label, got 1, 2, 0.",
    ),
    "DeepEthogram without frames": (
        ",background,walk",
        ": expected a line for each frame, got only the names of columns.",
    ),
    "a frame without label": (
        "a\na\na\n\na\na\na\n",
        ", line 4: expected a label, got an empty line.",
    ),
    "an empty file": ("", ": expected events, got an empty file."),
    "blanks": (" \n\t\n", ": expected events, got an empty file."),
    "binary data": ("\0\0\1ftypisom", ": expected text, got binary data."),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_file(write, name):
    text, line = BROKEN[name]
    path = write("file.txt", text, newline="")

    with pytest.raises(DataError, match=f"^{re.escape(f'{path}{line}')}$"):
        read_events(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[" * 5000 + "]" * 5000, "expected JSON of events, got lists in lists too deep."),
        ('{"a": 1,', "expected JSON: Expecting property name .* Export it again."),
        ("9" * 5000, "expected a table with .* got a file that starts with '9{60}'."),
        ("[" + "9" * 5000 + "]", "expected JSON: Exceeds the limit .* Export it again."),
        ("{}", "expected a table with .* got a file that starts with '{}'."),
        (",,\n,", "expected a table with .* got a file that starts with ',,'."),
    ],
)
def test_json_that_is_none_of_events(write, text, line):
    path = write("file.json", text)

    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: {line}$"):
        read_events(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="none does not exist: expected a table with the columns"):
        read_events(tmp_path / "none")


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", b"a\x81b", b"a" * 5000 + b"\0"]
)
def test_bytes_that_are_no_text(tmp_path, data):
    path = tmp_path / "file.csv"
    path.write_bytes(data)

    with pytest.raises(NoTextError, match=r"expected text, got binary data\."):
        read_any_text(path)


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    path.write_text("a" * 5000)
    monkeypatch.setattr("pipeline.sources.events.text._MOST_BYTES", 4999)

    with pytest.raises(NoTextError, match="expected at most 0 MiB of text"):
        read_any_text(path)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_any_text(tmp_path)
