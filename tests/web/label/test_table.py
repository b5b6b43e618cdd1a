import dataclasses
import math
import threading

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.sources.events.event import Event
from pipeline.sources.events.reading import read_events
from pipeline.video import write_video
from pipeline.web.errors import ChangedError
from pipeline.web.label.classes import LabelClass, change_settings, read_settings
from pipeline.web.label.clips import ClipTable
from pipeline.web.label.exchange import import_events
from pipeline.web.label.marked import MarkedEvent, VideoEvents
from pipeline.web.label.renaming import rename_class
from pipeline.web.label.table import NAME, EventsTable

WALK = MarkedEvent(1.0, 2.5, "walk")
JUMP = MarkedEvent(4.04, None, "jump", "Ann", 'a "note", with all')


def events(*found):
    return VideoEvents(tuple(found), bool(found))


NONE = VideoEvents()


def test_what_is_saved_is_read_again_and_prepare_reads_it(tmp_path):
    table = EventsTable(tmp_path)
    table.save("b.mp4", events(WALK, JUMP), version=NONE.version)
    table.save("a.mp4", VideoEvents((), is_listed=True), version=NONE.version)
    found = EventsTable(tmp_path).read(["a.mp4", "b.mp4", "c.mp4"])
    assert found == {
        "a.mp4": VideoEvents((), is_listed=True),
        "b.mp4": events(WALK, JUMP),
        "c.mp4": NONE,
    }
    (other, first) = sorted(read_events(tmp_path / NAME), key=lambda each: each.media)
    assert (other.media, other.events) == ("a.mp4", ())
    assert [(e.start_seconds, e.end_seconds, e.label, e.subject) for e in first.events] == [
        (1.0, 2.5, "walk", ""),
        (4.04, 4.04, "jump", "Ann"),
    ]
    assert not first.notices


def test_what_others_wrote_stays(tmp_path):
    (tmp_path / "events.csv").write_text(
        "Video;start_seconds;end_seconds;label;split;temperature\n"
        "day/b.mp4;1;2,5;walk;train;20\n"
        "c;0;1;jump;;21\n"
        "b;7;8;sit;;22\n"
    )
    table = EventsTable(tmp_path)
    found = table.read(["b.mp4", "c.avi"])
    sit = MarkedEvent(7.0, 8.0, "sit")
    assert found == {"b.mp4": events(WALK, sit), "c.avi": events(MarkedEvent(0.0, 1.0, "jump"))}
    table.save("b.mp4", events(WALK, JUMP), version=found["b.mp4"].version)
    lines = (tmp_path / NAME).read_text().splitlines()
    assert lines == [
        "video;start_seconds;end_seconds;label;split;temperature;subject;notes",
        "c;0;1;jump;;21;;",
        "day/b.mp4;1.000;2.500;walk;train;20;;",
        'day/b.mp4;4.040;;jump;train;;Ann;"a ""note"", with all"',
    ]


def test_nothing_is_left_of_a_video_without_anything(tmp_path):
    table = EventsTable(tmp_path)
    version = table.save("a.mp4", events(WALK), version=NONE.version)
    table.save("a.mp4", NONE, version=version)
    assert table.read(["a.mp4"]) == {"a.mp4": NONE}
    assert len((tmp_path / NAME).read_text().splitlines()) == 1
    assert table.save("a.mp4", events(WALK), version=NONE.version) == version


def test_what_somebody_else_changed_is_not_written_over(tmp_path):
    one, other = EventsTable(tmp_path), EventsTable(tmp_path)
    version = one.save("a.mp4", events(WALK), version=NONE.version)
    with pytest.raises(ChangedError, match=r"a.mp4: its events were changed in another window"):
        other.save("a.mp4", events(JUMP), version=NONE.version)
    other.save("b.mp4", events(JUMP), version=NONE.version)
    assert one.save("a.mp4", events(WALK, JUMP), version=version) != version
    assert one.read(["a.mp4", "b.mp4"]) == {"a.mp4": events(WALK, JUMP), "b.mp4": events(JUMP)}


def test_the_same_once_more_is_no_conflict(tmp_path):
    """As after an answer that was lost on its way."""
    table = EventsTable(tmp_path)
    version = table.save("a.mp4", events(WALK), version=NONE.version)
    assert table.save("a.mp4", events(WALK), version=NONE.version) == version


def test_those_who_save_at_once_lose_nothing(tmp_path):
    names = [f"{number}.mp4" for number in range(12)]

    def save(name):
        EventsTable(tmp_path).save(name, events(WALK), version=NONE.version)

    threads = [threading.Thread(target=save, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert EventsTable(tmp_path).read(names) == dict.fromkeys(names, events(WALK))


def test_a_table_that_is_damaged_stays_as_it_is(tmp_path):
    path = tmp_path / "events.csv"
    for content in (
        b"a,b\n1,2\n",
        b"\x00\x01",
        b"video,start_seconds,end_seconds,label\na,x,1,l\n",
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected"):
            EventsTable(tmp_path).save("a.mp4", events(WALK), version=NONE.version)
        assert path.read_bytes() == content
    path.write_bytes(b"")
    EventsTable(tmp_path).save("a.mp4", events(WALK), version=NONE.version)
    assert EventsTable(tmp_path).read(["a.mp4"]) == {"a.mp4": events(WALK)}


@pytest.mark.parametrize(
    ("label", "message"),
    [("a\x1bb", "characters that can be seen"), ("a" * 1001, "of at most 1000 char")],
)
def test_what_the_page_cannot_take_is_told_with_its_line(tmp_path, label, message):
    (tmp_path / "events.csv").write_text(
        f"video,start_seconds,end_seconds,label\na,0,1,*\na,0,1,{label}\n"
    )
    with pytest.raises(DataError, match=rf"events\.csv, line 3: expected a .*{message}"):
        EventsTable(tmp_path).read(["a.mp4"])
    (tmp_path / "labels.csv").write_text(f"path,label\na.mp4,{label}\n")
    with pytest.raises(DataError, match=rf"labels\.csv, line 2: expected a .*{message}"):
        ClipTable(tmp_path).read(["a.mp4"])


def test_a_class_has_one_name_whatever_its_blanks(tmp_path):
    (tmp_path / "events.csv").write_text(
        "video,start_seconds,end_seconds,label,notes\na,1,2.5,a  b,c  d\na,4,5,sit,\n"
    )
    (tmp_path / "labels.csv").write_text("path;label\na.mp4;a  b\n")
    found = EventsTable(tmp_path).read(["a.mp4"])["a.mp4"].events
    assert found == (MarkedEvent(1.0, 2.5, "a b", "", "c d"), MarkedEvent(4.0, 5.0, "sit"))
    assert ClipTable(tmp_path).read(["a.mp4"]) == {"a.mp4": "a b"}
    ClipTable(tmp_path).save("b.mp4", "a b", before="")
    classes = [LabelClass("a b", "a"), LabelClass("c", "c")]
    change_settings(tmp_path, {"classes": [dataclasses.asdict(each) for each in classes]})
    begun, rejected = (
        {"start": 1, "end": None, "label": "a b"},
        {"start": 3, "end": 4, "label": "a b"},
    )
    change_settings(tmp_path, {"begun": {"a": [begun]}, "rejected": {"a": [rejected]}})
    for name, message in (("c", "is a class c"), ("sit", "is a class sit"), (" ", "have a label")):
        with pytest.raises(DataError, match=message):
            rename_class(tmp_path, "a b", name)
    with pytest.raises(DataError, match="there is no class z"):
        rename_class(tmp_path, "z", "y")
    settings = rename_class(tmp_path, "a b", "new")
    assert settings == read_settings(tmp_path)
    assert settings.classes == (LabelClass("new", "a"), classes[1])
    assert settings.begun == {"a": (MarkedEvent(1.0, None, "new"),)}
    assert settings.rejected == {"a": (MarkedEvent(3.0, 4.0, "new"),)}
    assert (tmp_path / "events.csv").read_text() == (
        "video,start_seconds,end_seconds,label,notes,subject\na,1,2.5,new,c  d,\na,4,5,sit,,\n"
    )
    # With commas, since `prepare` reads no others there.
    assert (tmp_path / "labels.csv").read_text() == "path,label\na.mp4,new\nb.mp4,new\n"


def test_what_was_watched_in_part_is_read_again_and_prepare_reads_it(tmp_path):
    table = EventsTable(tmp_path)
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


def test_what_was_decided_of_a_class_is_read_again_renamed_and_imported(tmp_path):
    table, folder = EventsTable(tmp_path), tmp_path / "other"
    found = VideoEvents.checked({"events": [], "decided": [[1, 3, "sit"], [1, 3, "sit"]]})
    assert (found.decided, found.is_listed, found.is_whole) == (((1.0, 3.0, "sit"),), True, False)
    decided = dataclasses.replace(found, events=(WALK,))
    table.save("a.avi", decided, version=NONE.version)
    assert (tmp_path / NAME).read_text().splitlines()[1:] == [
        *("a.avi,1.000,2.500,walk,,", "a.avi,1.000,3.000,* sit,,")
    ]
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


def test_what_was_watched_is_merged():
    spans = [[4, 6], [0, 2], [1.5, 3], [5, 5.5]]
    found = VideoEvents.checked({"events": [], "watched": spans})
    assert found == VideoEvents((), True, ((0.0, 3.0), (4.0, 6.0)))


@pytest.mark.parametrize("value", [3, [3], [[2, 1]], [[1]], [[-1, 2]], [["1", 2]], [[0, 1, 2]]])
def test_what_was_not_watched(value):
    with pytest.raises(DataError, match="expected"):
        VideoEvents.checked({"events": [], "watched": value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "expected an event, an object"),
        ({"start": -1, "end": None, "label": "a"}, "a time in seconds"),
        ({"start": math.nan, "end": None, "label": "a"}, "a time in seconds"),
        ({"start": math.inf, "end": None, "label": "a"}, "a time in seconds"),
        ({"start": True, "end": None, "label": "a"}, "a time in seconds"),
        ({"start": "1", "end": None, "label": "a"}, "a time in seconds"),
        ({"start": 10**400, "end": None, "label": "a"}, "a time in seconds"),
        ({"start": 1, "end": 1.0001, "label": "a"}, "to end after its start"),
        ({"start": 1, "end": 0.5, "label": "a"}, "to end after its start"),
        ({"start": 1, "end": 2, "label": " "}, "to have a label"),
        ({"start": 1, "end": 2, "label": "*"}, "to have a label"),
        ({"start": 1, "end": 2, "label": "* a"}, "to have a label"),
        ({"start": 1, "end": 2, "label": None}, "a label of at most"),
        ({"start": 1, "end": 2, "label": "a" * 1001}, "a label of at most"),
        ({"start": 1, "end": 2, "label": "a\x1bb"}, "a label of characters that can be seen"),
        ({"start": 1, "end": 2, "label": "a", "notes": "\ud800"}, "notes in UTF-8"),
    ],
)
def test_what_is_no_event(value, message):
    with pytest.raises(DataError, match=message):
        VideoEvents.checked({"events": [value]})


@pytest.mark.parametrize("value", [None, [], {}, {"events": {}}, {"events": [{}] * 100_001}])
def test_what_are_no_events(value):
    with pytest.raises(DataError, match="expected a list of at most 100,000 events"):
        VideoEvents.checked(value)


def test_texts_stay_in_their_line_and_times_have_thousandths():
    found = VideoEvents.checked(
        {
            "events": [
                {"start": 2, "end": None, "label": " a\r\n b ", "notes": "x\n,y"},
                {"start": 0.12345, "end": 1, "label": "é"},
            ]
        }
    )
    assert found.events == (MarkedEvent(0.123, 1.0, "é"), MarkedEvent(2.0, None, "a b", "", "x ,y"))
    assert found.is_listed
