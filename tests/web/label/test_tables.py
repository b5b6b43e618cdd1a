"""The tables of events and of clips, which pages write and `prepare` reads."""

import dataclasses
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.manifest.rows import read_csv
from pipeline.sources.events.event import Event
from pipeline.sources.events.reading import read_events
from pipeline.video import write_video
from pipeline.web.errors import ChangedError
from pipeline.web.label.classes import LabelClass, change_settings, read_settings
from pipeline.web.label.clips import NAME as CLIPS
from pipeline.web.label.clips import ClipTable, checked_label
from pipeline.web.label.exchange import import_events
from pipeline.web.label.marked import MarkedEvent, VideoEvents
from pipeline.web.label.renaming import rename_class
from pipeline.web.label.table import NAME, EventsTable

WALK = MarkedEvent(1.0, 2.5, "walk")
JUMP = MarkedEvent(4.04, None, "jump", "Ann", 'a "note", with all')
NONE = VideoEvents()
HEAD = "video,start_seconds,end_seconds,label"


def events(*found):
    return VideoEvents(tuple(found), bool(found))


@pytest.fixture
def table(tmp_path):
    return EventsTable(tmp_path)


def test_what_is_saved_is_read_again_as_by_prepare_and_what_others_wrote_stays(table, tmp_path):
    nothing = VideoEvents((), is_listed=True)
    version = table.save("b.mp4", events(WALK, JUMP), version=NONE.version)
    # The same once more is no conflict, as after an answer that was lost on its way.
    assert table.save("b.mp4", events(WALK, JUMP), version=NONE.version) == version
    table.save("a.mp4", nothing, version=NONE.version)
    table.save("d.mp4", NONE, version=table.save("d.mp4", events(WALK), version=NONE.version))
    found = EventsTable(tmp_path).read(["a.mp4", "b.mp4", "c.mp4", "d.mp4"])
    assert found == {"a.mp4": nothing, "b.mp4": events(WALK, JUMP), "c.mp4": NONE, "d.mp4": NONE}
    assert len((tmp_path / NAME).read_text().splitlines()) == 4
    (other, first) = sorted(read_events(tmp_path / NAME), key=lambda each: each.media)
    assert (other.media, other.events) == ("a.mp4", ())
    assert [(e.start_seconds, e.end_seconds, e.label, e.subject) for e in first.events] == [
        (1.0, 2.5, "walk", ""),
        (4.04, 4.04, "jump", "Ann"),
    ]
    assert not first.notices
    # What others wrote stays.
    (tmp_path / NAME).write_text(
        "Video;start_seconds;end_seconds;label;split;temperature\n"
        "day/b.mp4;1;2,5;walk;train;20\n"
        "c;0;1;jump;;21\n"
        "b;7;8;sit;;22\n"
    )
    found = table.read(["b.mp4", "c.avi"])
    sit = MarkedEvent(7.0, 8.0, "sit")
    assert found == {"b.mp4": events(WALK, sit), "c.avi": events(MarkedEvent(0.0, 1.0, "jump"))}
    table.save("b.mp4", events(WALK, JUMP), version=found["b.mp4"].version)
    assert (tmp_path / NAME).read_text().splitlines() == [
        "video;start_seconds;end_seconds;label;split;temperature;subject;notes",
        "c;0;1;jump;;21;;",
        "day/b.mp4;1.000;2.500;walk;train;20;;",
        'day/b.mp4;4.040;;jump;train;;Ann;"a ""note"", with all"',
    ]


def test_nobody_writes_over_what_others_changed_or_what_is_damaged(table, tmp_path):
    other = EventsTable(tmp_path)
    version = table.save("a.mp4", events(WALK), version=NONE.version)
    with pytest.raises(ChangedError, match=r"a.mp4: its events were changed in another window"):
        other.save("a.mp4", events(JUMP), version=NONE.version)
    other.save("b.mp4", events(JUMP), version=NONE.version)
    assert table.save("a.mp4", events(WALK, JUMP), version=version) != version
    assert table.read(["a.mp4", "b.mp4"]) == {"a.mp4": events(WALK, JUMP), "b.mp4": events(JUMP)}
    names = [f"{number}.mp4" for number in range(12)]

    def save(name):
        EventsTable(tmp_path).save(name, events(WALK), version=NONE.version)

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(save, names))
    assert table.read(names) == dict.fromkeys(names, events(WALK))
    path = tmp_path / NAME
    for content in (b"a,b\n1,2\n", b"\x00\x01", f"{HEAD}\na,x,1,l\n".encode()):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected"):
            table.save("a.mp4", events(WALK), version=NONE.version)
        assert path.read_bytes() == content
    for label, message in (("a\x1bb", "that can be seen"), ("a" * 1001, "of at most 1000 char")):
        path.write_text(f"{HEAD}\na,0,1,*\na,0,1,{label}\n")
        with pytest.raises(DataError, match=rf"events\.csv, line 3: expected a .*{message}"):
            table.read(["a.mp4"])
        (tmp_path / CLIPS).write_text(f"path,label\na.mp4,{label}\n")
        with pytest.raises(DataError, match=rf"labels\.csv, line 2: expected a .*{message}"):
            ClipTable(tmp_path).read(["a.mp4"])
    path.write_bytes(b"")
    table.save("a.mp4", events(WALK), version=NONE.version)
    assert table.read(["a.mp4"]) == {"a.mp4": events(WALK)}


def test_a_class_has_one_name_whatever_its_blanks(table, tmp_path):
    (tmp_path / NAME).write_text(f"{HEAD},notes\na,1,2.5,a  b,c  d\na,4,5,sit,\n")
    (tmp_path / CLIPS).write_text("path;label\na.mp4;a  b\n")
    assert table.read(["a.mp4"])["a.mp4"].events == (
        *(MarkedEvent(1.0, 2.5, "a b", "", "c d"), MarkedEvent(4.0, 5.0, "sit")),
    )
    assert ClipTable(tmp_path).read(["a.mp4"]) == {"a.mp4": "a b"}
    ClipTable(tmp_path).save("b.mp4", "a b", before="")
    classes = [LabelClass("a b", "a"), LabelClass("c", "c")]
    change_settings(tmp_path, {"classes": [dataclasses.asdict(each) for each in classes]})
    begun = {"a": [{"start": 1, "end": None, "label": "a b"}]}
    rejected = {"a": [{"start": 3, "end": 4, "label": "a b"}]}
    change_settings(tmp_path, {"begun": begun, "rejected": rejected})
    for old, name, message in (
        ("a b", "c", "is a class c"),
        ("a b", "sit", "is a class sit"),
        ("a b", " ", "have a label"),
        ("z", "y", "there is no class z"),
    ):
        with pytest.raises(DataError, match=message):
            rename_class(tmp_path, old, name)
    settings = rename_class(tmp_path, "a b", "new")
    assert settings == read_settings(tmp_path)
    assert settings.classes == (LabelClass("new", "a"), classes[1])
    assert settings.begun == {"a": (MarkedEvent(1.0, None, "new"),)}
    assert settings.rejected == {"a": (MarkedEvent(3.0, 4.0, "new"),)}
    lines = f"{HEAD},notes,subject\na,1,2.5,new,c  d,\na,4,5,sit,,\n"
    assert (tmp_path / NAME).read_text() == lines
    assert (tmp_path / CLIPS).read_text() == "path;label\na.mp4;new\nb.mp4;new\n"
    assert [row.label for row in read_csv(tmp_path / CLIPS).rows] == ["new", "new"]


def test_what_was_watched_in_part_is_read_again_and_prepare_reads_it(table, tmp_path):
    partly = VideoEvents((WALK,), True, ((3.0, 6.0),))
    version = table.save("a.mp4", partly, version=NONE.version)
    nothing = VideoEvents((), True, ((0.0, 4.0), (8.0, 9.5)))
    table.save("b.mp4", nothing, version=NONE.version)
    assert table.read(["a.mp4", "b.mp4"]) == {"a.mp4": partly, "b.mp4": nothing}
    first, second = sorted(read_events(tmp_path / NAME), key=lambda each: each.media)
    assert (first.known, second.known) == (partly.watched, nothing.watched)
    assert [each.label for each in first.known_of] == ["walk"]  # It happens; no more is known.
    assert [len(each.events) for each in (first, second)] == [1, 0]
    assert partly.annotation.known == first.known
    assert partly.annotation.known_of == ((1.0, 2.5, "walk"),)
    assert NONE.annotation is None
    assert events(WALK).annotation.known is None
    assert table.add("a.mp4", events(JUMP)) == 1  # What was watched stays.
    found = table.read(["a.mp4"])["a.mp4"]
    assert (found.watched, found.events) == (partly.watched, (WALK, JUMP))
    table.add("c.mp4", partly)
    assert table.read(["c.mp4"])["c.mp4"] == partly  # As it was imported.
    table.save("d.mp4", events(JUMP), version=NONE.version)
    table.add("d.mp4", partly)
    assert table.read(["d.mp4"])["d.mp4"].watched == ()  # It was watched as a whole before.
    whole = VideoEvents((WALK,), True)
    assert whole.version != version
    table.save("a.mp4", whole, version=found.version)
    assert table.read(["a.mp4"])["a.mp4"] == whole


def test_what_was_decided_of_a_class_is_read_again_renamed_and_imported(table, tmp_path):
    folder = tmp_path / "other"
    found = VideoEvents.checked({"events": [], "decided": [[1, 3, "sit"], [1, 3, "sit"]]})
    assert (found.decided, found.is_listed, found.is_whole) == (((1.0, 3.0, "sit"),), True, False)
    decided = dataclasses.replace(found, events=(WALK,))
    table.save("a.avi", decided, version=NONE.version)
    lines = ["a.avi,1.000,2.500,walk,,", "a.avi,1.000,3.000,* sit,,"]
    assert (tmp_path / NAME).read_text().splitlines()[1:] == lines
    assert table.read(["a.avi"]) == {"a.avi": decided}
    (recording,) = read_events(tmp_path / NAME)
    assert recording.known == ()
    assert recording.known_of == (Event(1.0, 3.0, "sit"), Event(1.0, 2.5, "walk"))
    change_settings(tmp_path, {"add": [{"name": "sit", "key": "s"}]})
    rename_class(tmp_path, "sit", "rest")
    decided = dataclasses.replace(decided, decided=((1.0, 3.0, "rest"),))
    assert table.read(["a.avi"]) == {"a.avi": decided}
    folder.mkdir()
    write_video(folder / "a.avi", np.zeros((40, 16, 16, 3), np.uint8), fps=10, codec="FFV1")
    import_events(folder, NAME, (tmp_path / NAME).read_bytes())
    imported = EventsTable(folder).read(["a.avi"])["a.avi"]
    assert (imported.events, imported.decided) == (decided.events, decided.decided)
    assert not imported.is_whole
    assert imported.annotation.by_frame(2, ["walk", "rest"])(0, 8).T.tolist() == [
        *([255, 255, 1, 1, 1, 255, 255, 255], [255, 255, 0, 0, 0, 0, 255, 255])
    ]


def test_texts_stay_in_their_line_times_have_thousandths_and_what_are_no_events_is_told():
    found = VideoEvents.checked(
        {
            "events": [
                {"start": 2, "end": None, "label": " a\r\n b ", "notes": "x\n,y"},
                {"start": 0.12345, "end": 1, "label": "é"},
            ],
            "watched": [[4, 6], [0, 2], [1.5, 3], [5, 5.5]],
        }
    )
    marked = MarkedEvent(0.123, 1.0, "é"), MarkedEvent(2.0, None, "a b", "", "x ,y")
    assert found == VideoEvents(marked, True, ((0.0, 3.0), (4.0, 6.0)))
    assert VideoEvents.checked({"events": [{"start": 1, "end": 2, "label": "a"}]}).is_listed
    assert VideoEvents.checked({"events": [], "watched": [[1, 2]]}).is_listed
    for value, message in (
        *((each, MANY) for each in (None, [], {}, {"events": {}}, {"events": [{}] * 100_001})),
        *(
            ({"events": [], "watched": each}, "expected")
            for each in (3, [3], [[2, 1]], [[1]], [[-1, 2]], [["1", 2]], [[0, 1, 2]])
        ),
        ({"events": [3]}, "expected an event, an object"),
        *(
            ({"events": [{**A, "start": each, "end": None}]}, "a time in seconds")
            for each in (-1, math.nan, math.inf, True, "1", 10**400)
        ),
        *(({"events": [{**A, "end": each}]}, "to end after its start") for each in (1.0001, 0.5)),
        *(({"events": [{**A, "label": each}]}, "to have a label") for each in (" ", "*", "* a")),
        *(
            ({"events": [{**A, "label": each}]}, "a label of at most")
            for each in (None, "a" * 1001)
        ),
        ({"events": [{**A, "label": "a\x1bb"}]}, "a label of characters that can be seen"),
        ({"events": [{**A, "notes": "\ud800"}]}, "notes in UTF-8"),
    ):
        with pytest.raises(DataError, match=message):
            VideoEvents.checked(value)


A = {"start": 1, "end": 2, "label": "a"}
MANY = "expected a list of at most 100,000 events"


def test_labels_of_clips_are_those_that_prepare_reads(tmp_path):
    table = ClipTable(tmp_path)
    table.save("b.mp4", "walk", before="")
    table.save("a.mp4", "jump, high", before="")
    table.save("b.mp4", "run", before="walk")
    found = ClipTable(tmp_path).read(["a.mp4", "b.mp4", "c.mp4"])
    assert found == {"a.mp4": "jump, high", "b.mp4": "run", "c.mp4": ""}
    rows = [(row.path.rpartition("/")[2], row.label) for row in read_csv(tmp_path / CLIPS).rows]
    assert rows == [("a.mp4", "jump, high"), ("b.mp4", "run")]
    table.save("a.mp4", "", before="jump, high")
    assert table.read(["a.mp4", "b.mp4"]) == {"a.mp4": "", "b.mp4": "run"}
    with pytest.raises(ChangedError, match="b.mp4: somebody else called it run meanwhile"):
        ClipTable(tmp_path).save("b.mp4", "walk", before="")
    ClipTable(tmp_path).save("b.mp4", "run", before="")
    assert ClipTable(tmp_path).read(["b.mp4"]) == {"b.mp4": "run"}
    # Other columns and clips stay.
    (tmp_path / CLIPS).write_text("label,path,group\nwalk,clips/b.mp4,ann\nrun,z.mp4,bob\n")
    table.save("b.mp4", "jump", before="walk")
    table.save("c.mp4", "run", before="")
    assert (tmp_path / CLIPS).read_text().splitlines() == [
        *("label,path,group", "run,z.mp4,bob", "jump,clips/b.mp4,ann", "run,c.mp4,")
    ]
    assert [checked_label(each) for each in (" a  b ", "")] == ["a b", ""]
    for value in (None, 3, "a\x00", "x" * 2000):
        with pytest.raises(DataError, match="expected a label"):
            checked_label(value)
