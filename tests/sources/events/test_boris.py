import pytest

from tests.sources.events.formats import boris_project, kinds, said

NEW = (
    "Observation id\tSource\tTime offset (s)\tMedia duration (s)\tFPS\tSubject\tBehavior\t"
    "Modifier #1\tModifier #2\tBehavior type\tTime\tMedia file name"
)
OLD = "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tModifiers\tStatus"
AGGREGATED = (
    "Observation id\tMedia file\tTotal length\tFPS\tSubject\tBehavior\tModifiers\tBehavior type\t"
    "Start (s)\tStop (s)"
)
TWO = "player #1:a.mp4;b.mp4"


@pytest.fixture
def new(read):
    """Reads lines of an observation in a new table, by subject, behaviour, two modifiers and so."""

    def new(*lines, source=TWO, offset="0.0", lengths="10.000;20.000", rates="25.000;30.000", **of):
        head = f"o\t{source}\t{offset}\t{lengths}\t{rates}"
        return read("o.tsv", NEW, *(f"{head}\t{line}" for line in lines), **of)

    return new


@pytest.fixture
def project(read):
    """Reads a project of one observation."""
    return lambda name="p.boris", **changes: read(name, boris_project(**changes))


def test_events_go_to_the_file_that_they_fall_into(new):
    first, second = new(
        "ann\ts\t\t\tSTART\t1\ta.mp4",
        "ann\ts\t\t\tSTOP\t2.5\ta.mp4",
        "\tp\t\t\tPOINT\t10.0\tb.mp4",
        "No focal subject\ts\t\t\tSTART\t8\ta.mp4",
        "No focal subject\ts\t\t\tSTOP\t12.5\tb.mp4",
        "bob\ts\t\t\tSTART\t15\tb.mp4",
        "bob\ts\t\t\tSTOP\t40\tb.mp4",
    )
    assert (first.name, first.fps, first.duration_seconds) == ("o", 25, 10)
    assert (second.name, second.fps, second.duration_seconds) == ("o", 30, 20)
    assert said([first, second]) == [
        "a.mp4: 1-2.5 s of ann, 8-10 s",
        "b.mp4: 0-0 p, 0-2.5 s, 5-30 s of bob ['over two files']",
    ]


def test_files_of_other_players_are_told_and_an_offset_is_taken_off(new):
    path = "C:\\v\\a.mp4"
    source = f"player #1:{path}|player #2:c.mp4;d.mp4"
    lengths, rates = "10.000|20.000;5.000", "25.000|30.000;30.000"
    (found,) = new(f"\tp\t\t\tPOINT\t3\t{path}", source=source, lengths=lengths, rates=rates)
    assert (found.media, found.duration_seconds, found.fps) == (path, 10, 25)
    told = [notice.text for notice in found.notices]
    assert told == [f"o: the events are taken for {path}, not c.mp4, d.mp4"]
    marks = [("START", 98), ("STOP", 99), ("START", 99.5), ("STOP", 101), ("POINT", 105.5)]
    found = new(*(f"\ts\t\t\t{mark}\t{time}\ta.mp4" for mark, time in marks), offset="100.0")
    assert said(found)[0] == "a.mp4: 0-1 s, 5.5-5.5 s ['before the start', 'cut at the start']"


def test_modifiers_pair_marks_and_unpaired_ones_are_told(new):
    lines = [
        "\teat\tgrass\tNone\tSTART\t1\ta.mp4",
        "\teat\tleaf\tfast\tSTART\t2\ta.mp4",
        "\teat\tgrass\tNone\tSTOP\t3\ta.mp4",
        "\teat\tleaf\tfast\tSTOP\t4\ta.mp4",
    ]
    assert said(new(*lines))[0] == "a.mp4: 1-3 eat, 2-4 eat"
    assert said(new(*lines, modifiers=True))[0] == "a.mp4: 1-3 eat grass, 2-4 eat leaf|fast"
    marks = [("STOP", 1), ("START", 2), ("START", 3), ("STOP", 4), ("START", 5)]
    found, _ = new(*(f"\ts\t\t\t{mark}\t{time}\ta.mp4" for mark, time in marks))
    start, stop = "START without STOP", "STOP without START"
    assert said([found]) == [f"a.mp4: 3-4 s {[stop, start, start]}"]
    told = [notice.text.partition(", line ")[2] for notice in found.notices]
    assert told == ["2: s at 1 is left out", "3: s at 2 is left out", "6: s at 5 is left out"]


def test_several_observations_in_a_table(read):
    lines = [
        "o 1\tplayer #1:a.mp4\t0\t10\t25\t\tp\t\t\tPOINT\t1\ta.mp4",
        "o 2\tplayer #1:b.mp4\t0\t20\t30\t\tp\t\t\tPOINT\t2\tb.mp4",
        "o 1\tplayer #1:a.mp4\t0\t10\t25\t\tp\t\t\tPOINT\t3\ta.mp4",
    ]
    found = read("o.tsv", NEW, *lines, NEW, lines[0].replace("o 1", "o 3"))
    assert [recording.name for recording in found] == ["o 1", "o 2", "o 3"]
    assert said(found) == ["a.mp4: 1-1 p, 3-3 p", "b.mp4: 2-2 p", "a.mp4: 1-1 p"]
    (nothing,) = read("o.tsv", NEW)
    assert (nothing.name, nothing.media, nothing.events) == ("o.tsv", "", ())
    columns = "Time,Media file path,FPS,Subject,Behavior,Status"  # without observations
    found = read("o.csv", columns, "3,a.mp4,25,,p,POINT", "4,b.mp4,30,,p,POINT")
    assert said(found) == ["a.mp4: 3-3 p", "b.mp4: 4-4 p"]
    assert [recording.fps for recording in found] == [25, 30]


def test_old_tables(read):
    one = ["Observation id\to 1", "Player #1\ta.mp4", "Time offset (s)\t2.0", OLD]
    one += ["3\ta.mp4\t10\t25.0\t\tp\t\tPOINT"]
    two = ["Observation id\to 2", "Player #1\tb.mp4", "Player #2\tc.mp4", OLD]
    found = read("o.tsv", *one, "", *two)
    assert [recording.name for recording in found] == ["o 1", "o 2"]
    assert said(found) == ["a.mp4: 1-1 p", "b.mp4:  ['other cameras']"]
    # Later files of one have no known place.
    lines = ["Observation id\to", "Player #1\ta.mp4", "Player #1\tb.mp4", OLD]
    lines += ["3\ta.mp4\t30\t25.0;25.0\t\tp\t\tPOINT", "13\tb.mp4\t30\t25.0;25.0\t\tp\t\tPOINT"]
    first, second = read("o.tsv", *lines)
    assert (first.fps, first.duration_seconds, first.known, second.known) == (25, None, None, ())
    assert said([first, second]) == ["a.mp4: 3-3 p ['place unknown']", "b.mp4: "]


def test_aggregated_events_without_times_are_told(read):
    line = "o\ta.mp4\t10\t25\t\t{}\t\t{}\t{}\t{}"
    events = [("s", "STATE", "1", "2"), ("s", "STATE", "3", "NA"), ("p", "POINT", "NA", "NA")]
    events += [("p", "POINT", "4.000", "4.000"), ("s", "STATE", "5", "5")]
    (found,) = read("o.tsv", AGGREGATED, *(line.format(*e) for e in events))
    assert said([found])[0].startswith("a.mp4: 1-2 s, 4-4 p, 5-5 s [")
    told = ["START without STOP", "without a time", "without a time", "without length"]
    assert sorted(kinds(found)) == told
    assert found.duration_seconds == 10


def test_live_observations_have_no_media(new, project):
    found = new("\tp\t\t\tPOINT\t3\tNA", source="NA", lengths="NA", rates="NA")
    assert said(found) == [": 3-3 p ['without media']"]
    events = [["NA", "", "p", "", ""], [float("nan"), "", "p", "", ""]]
    (found,) = project(file=[], type="LIVE", events=events)
    assert kinds(found) == ["without media", "without a time", "without a time"]
    (found,) = project(file={"2": ["c.mp4"]}, events=[])
    assert found.media == ""
    assert [notice.text for notice in found.notices] == [
        "t 1: a live observation, or one of pictures",
        "t 1: the events are taken for nothing, not c.mp4",
    ]


def test_projects_with_two_files_of_a_player_and_an_interval_or_unknown_lengths(project):
    first, second = project(
        file={"1": ["a.mp4", "b.mp4"], "2": ["c.mp4"]},
        events=[[12.5, "", "p", "", "", 312], [18, "", "x", "", ""], [19, "", "walk", "", ""]],
        media_info={"length": {"a.mp4": 10.0, "b.mp4": 10.0}, "fps": {"a.mp4": 25.0}},
        **{"time offset": 2.0, "observation time interval": [7, 17]},
    )
    assert (first.known, first.fps, second.known, second.fps) == (((5, 10),), 25, ((0, 5),), None)
    told = ["other cameras", "unknown behaviour", "START without STOP"]
    assert said([first, second]) == [f"a.mp4:  {told}", "b.mp4: 0.5-0.5 p"]
    info = {"length": {"a.mp4": "NA"}, "fps": {"a.mp4": 0}}  # not known
    (found,) = project(file={"1": ["a.mp4"]}, media_info=info, events=[[1, None, "p", None, ""]])
    assert (found.fps, found.duration_seconds) == (None, None)
    assert said([found]) == ["a.mp4: 1-1 p"]
    assert project("p.txt")[0].name == "t 1", "a project is told by its content"
