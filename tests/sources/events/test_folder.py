import pytest

from pipeline.errors import DataError
from pipeline.sources.events.reading import read_events

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


def test_a_broken_file_in_a_folder_stops_reading(write):
    write("a.csv", TABLE, "a.mp4,1,2,walk")
    file = write("b.csv", TABLE, "a.mp4,x,2,walk")
    with pytest.raises(DataError, match="b.csv, line 2: expected start_seconds"):
        read_events(file.parent)


def test_a_folder_without_events(write):
    root = write("a.mp4").parent
    with pytest.raises(DataError, match=r"or a text with a label a frame, found none\.$"):
        read_events(root)
    write("notes.md", "# Notes")
    with pytest.raises(DataError, match=r"found none, only notes.md\.$"):
        read_events(root)
