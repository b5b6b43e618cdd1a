"""Broken files, each with the line that says what is wrong."""

import re

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.reading import read_events
from pipeline.sources.events.text import NoTextError, read_any_text

HEAD = "video,start_seconds,end_seconds,label"
BACKWARDS = "expected an event to end after its start, got 3 to 2. Correct it where it was marked."
OWN = [  # the second line of a table of one's own, and what is said of it
    ("a.mp4,soon,2,walk", "expected start_seconds, such as 12.5, got 'soon'."),
    ("a.mp4,0:01:02,2,walk", "expected start_seconds, such as 12.5, got '0:01:02'."),
    ("a.mp4,1,nan,walk", "expected end_seconds, such as 12.5, got 'nan'."),
    ("a.mp4,1,1e300,walk", "expected end_seconds, such as 12.5, got '1e300'."),
    ("a.mp4,1,1_0,walk", "expected end_seconds, such as 12.5, got '1_0'."),
    ("a.mp4,-1,2,walk", "expected start_seconds of 0 or more, got '-1'."),
    ("a.mp4,3,2,walk", BACKWARDS),
    ("a.mp4,1,2,", "expected a label, got an empty cell."),
    ("a.mp4,2,1,*", "expected a time that ends after its start."),
    ("a.mp4,1,,", "expected a label, got an empty cell."),
    ("a.mp4,,2,", "expected a label, got an empty cell."),
    ("a.mp4,,,walk", "expected start_seconds, such as 12.5, got ''."),
    (",1,2,walk", "expected a video, got an empty cell."),
    (
        "a.mp4,1,5,2,5,walk",
        (
            "expected at most 4 cells, got 6. A cell that holds the separator, such as a decimal "
            "comma, needs double quotes around it."
        ),
    ),
    (
        'a.mp4,1,2,"walk',
        (
            "expected a table: unexpected end of data. A cell with quotes in it needs quotes "
            "around it, and those inside doubled."
        ),
    ),
]
COLUMNS = [  # what follows the names of columns, and what is said of the file
    (",Label\na.mp4,1,2,walk,run", "line 1: expected each column once, got 'label' repeatedly."),
    (
        ",split\na.mp4,1,2,walk,half",
        "line 2: expected a split of train, val, test or an empty cell, got 'half'.",
    ),
    (
        ",split\na.mp4,1,2,walk,train\na.mp4,2,3,walk,test",
        "line 3: expected one split for a.mp4, got 'train' and 'test'.",
    ),
    (
        ",group\na.mp4,1,2,walk,p 1\na.mp4,2,3,walk,p 2",
        "line 3: expected one group for a.mp4, got 'p 1' and 'p 2'.",
    ),
]
BORIS = "Observation id,Subject,Behavior,Behavior type,Time,Media file name\n"
BOUTS = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
OFFSET = "Observation id,Time offset (s),Subject,Behavior,Behavior type,Time\n"
EAF = "<ANNOTATION_DOCUMENT><HEADER/>{}</ANNOTATION_DOCUMENT>"
SLOT = '<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t1" TIME_VALUE="{}"/></TIME_ORDER>'
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
VIA = "# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,metadata\n"
VIEW = '{"metadata":{},"view":{"1":{"fid_list":["2"]}},"file":{}}'
PROJECT = '{{"behaviors_conf":{{}},"observations":{{"o":{}}}}}'
STATE = '{{"behaviors_conf":{{"0":{{"code":"s","type":"Point event"}}}},"observations":{{"o":{}}}}}'
DATABASE = '{{"database":{{"a":{}}}}}'
SEGMENT = '{{"database":{{"a":{{"annotations":[{{"segment":{},"label":"x"}}]}}}}}}'
STUDIO = '[{{"data":{{}},"annotations":[{{"result":[{}]}}]}}]'

BROKEN = [
    *((f"{HEAD}\n{line}", f", line 2: {said}") for line, said in OWN),
    *((f"{HEAD}{more}", f", {said}") for more, said in COLUMNS),
    (
        "video;start_seconds;label\na.mp4;1;walk",
        (
            ", line 1: expected the columns video, start_seconds, end_seconds, label, got video, "
            "start_seconds, label; end_seconds is missing."
        ),
    ),
    (
        "Observation id\to\nPlayer #1\ta.mp4",
        ": expected a table of BORIS with the columns Subject and Behavior, found none.",
    ),
    (
        "Observation id,Subject,Behavior,Behavior type\no,,s,START",
        (
            ", line 1: expected the columns time, behavior type, got Observation id, Subject, "
            "Behavior, Behavior type; time is missing."
        ),
    ),
    (
        f"{BORIS}o,,s,PAUSE,1,a.mp4",
        ", line 2: expected an event of type START, STOP, POINT, got 'PAUSE'. Export again.",
    ),
    (
        f"{BOUTS}o,,s,START,1,2",
        ", line 2: expected an event of type STATE, POINT, got 'START'. Export again.",
    ),
    (
        f"{BORIS}o,,s,START,00:00:01.5,a.mp4",
        ", line 2: expected a time in seconds, such as 12.5, got '00:00:01.5'.",
    ),
    (f"{BOUTS}o,,s,STATE,3,2", f", line 2: {BACKWARDS}"),
    (
        f"{OFFSET}o,x,,s,START,1",
        ", line 2: expected a time offset in seconds, such as 12.5, got 'x'.",
    ),
    (
        '{"project_format_version":"7.0","observations":{}}',
        ": expected behaviors_conf, an object, got 'None'.",
    ),
    (PROJECT.format('{"events":{}}'), ", observation o: expected events, a list, got '{}'."),
    (
        PROJECT.format('{"events":[[1,""]]}'),
        ", observation o, event 1: expected time, subject, behaviour and modifier, got [1, ''].",
    ),
    (  # a name over two lines
        '{"behaviors_conf":{},"observations":{"a\\nb\\u001b":1}}',
        ", observation a\\u000ab\\u001b: expected an observation, an object, got '1'.",
    ),
    (
        STATE.format('{"events":[[Infinity,"","s",""]]}'),
        ", observation o, event 1: expected a time in seconds, such as 12.5, got 'inf'.",
    ),
    (
        STATE.format('{"events":[[true,"","s",""]]}'),
        ", observation o, event 1: expected a time in seconds, such as 12.5, got 'True'.",
    ),
    (
        EAF.format("<TIER>"),
        ": expected XML: mismatched tag: line 1, column 38. Save it again in ELAN.",
    ),
    (
        f"{BOMB}<ANNOTATION_DOCUMENT>&b;</ANNOTATION_DOCUMENT>",
        ": expected a document as ELAN writes it, got one with a DOCTYPE.",
    ),
    ("<x><ANNOTATION_DOCUMENT/></x>", ": expected a document of ELAN, got 'x'."),
    (
        EAF.replace("<HEADER/>", '<HEADER TIME_UNITS="PAL-frames"/>'),
        ": expected times in milliseconds, got 'PAL-frames'.",
    ),
    (
        EAF.format(SLOT.format("1 s")),
        ", time slot t1: expected milliseconds, such as 12.5, got '1 s'.",
    ),
    (
        f'{VIA}"x","[""a.mp4""]"',
        (
            ", line 2: expected the columns file_list and metadata below a line # CSV_HEADER, got "
            "metadata_id, file_list. Export it again."
        ),
    ),
    (f'{VIA}"x","[', ", line 2: expected CSV: unexpected end of data. Export it again."),
    (f'{VIA}"x","[""a""]",0,"[1,2,3]","{{}}"', ", line 2: expected one time or two, got 3."),
    (
        f'{VIA}"x","[""a""]",0,"[1,2]","[]"',
        ", line 2: expected its attributes, an object, got '[]'.",
    ),
    (VIEW, ", view 1: expected file 2, an object, got 'None'."),
    (
        STUDIO.format('{"id":"r","value":{"ranges":[{"start":1}]}}'),
        ", task 1, result r: expected the frame end, such as 12.5, got 'None'.",
    ),
    (STUDIO.format('{"id":"r"}'), ", task 1, result r: expected its value, an object, got 'None'."),
    (
        SEGMENT.format("[1]"),
        ", a, annotation 1: expected a time in seconds, such as 12.5, got 'None'.",
    ),
    (
        SEGMENT.format("[-1,2]"),
        ", a, annotation 1: expected a time in seconds of 0 or more, got '-1'.",
    ),
    (DATABASE.format('{"subset":"\\ud83d"}'), ": expected JSON, got half of a character in it."),
    (
        ",background,walk\n0,1,0\n1,2,0",
        ", line 3: expected 0, 1 or -1 below each label, got 1, 2, 0.",
    ),
    (
        ",background,walk",
        ": expected a line for each frame, got only the names of columns.",
    ),
    ("a\na\na\n\na\na\na\n", ", line 4: expected a label, got an empty line."),
    ("", ": expected events, got an empty file."),
    (" \n\t\n", ": expected events, got an empty file."),
    ("\0\0\1ftypisom", ": expected text, got binary data."),
]


@pytest.mark.parametrize(("text", "said"), BROKEN)
def test_broken_file(write, text, said):
    path = write("file.txt", text, newline="")
    with pytest.raises(DataError, match=f"^{re.escape(f'{path}{said}')}$"):
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


@pytest.mark.parametrize(
    "data", [b"\xff\xfe\x00", b"\xfe\xff\xd8\x00", b"a\x81b", b"a" * 5000 + b"\0"]
)
def test_bytes_that_are_no_text(tmp_path, data):
    (tmp_path / "file.csv").write_bytes(data)
    with pytest.raises(NoTextError, match=r"expected text, got binary data\."):
        read_any_text(tmp_path / "file.csv")


def test_files_that_are_not_there_too_large_or_cannot_be_read(write, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="none does not exist: expected a table with the columns"):
        read_events(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read: Is a directory"):
        read_any_text(tmp_path)
    monkeypatch.setattr("pipeline.sources.events.text._MOST_BYTES", 4999)
    with pytest.raises(NoTextError, match="expected at most 0 MiB of text"):
        read_any_text(write("file.csv", "a" * 5000))
