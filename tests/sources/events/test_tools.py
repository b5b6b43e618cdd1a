"""What is particular to BORIS, ELAN, own tables, VIA, Label Studio, ActivityNet and texts."""

import itertools
import json
import re

import pytest

from pipeline.errors import DataError
from tests.sources.events.formats import aligned, boris, document, kinds, result, said, studio, via

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
    return lambda name="p.boris", **changes: read(name, boris(**changes))


def test_events_go_to_the_file_that_they_fall_into_without_the_offset(new):
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


def test_several_observations_in_a_table_old_ones_and_aggregated_events(read):
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
    line = "o\ta.mp4\t10\t25\t\t{}\t\t{}\t{}\t{}"
    events = [("s", "STATE", "1", "2"), ("s", "STATE", "3", "NA"), ("p", "POINT", "NA", "NA")]
    events += [("p", "POINT", "4.000", "4.000"), ("s", "STATE", "5", "5")]
    (found,) = read("o.tsv", AGGREGATED, *(line.format(*e) for e in events))
    assert said([found])[0].startswith("a.mp4: 1-2 s, 4-4 p, 5-5 s [")
    told = ["START without STOP", "without a time", "without a time", "without length"]
    assert sorted(kinds(found)) == told
    assert found.duration_seconds == 10


def test_live_observations_and_projects_with_two_files_of_a_player(new, project):
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


def referring(name, to, value):
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{to}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


SLOTS = {"t1": 1000, "t2": 2000, "t3": 4000, "t4": 4000}


@pytest.fixture
def one(read):
    """Reads a document with one recording."""
    return lambda text, **options: read("a.eaf", text, **options)[0]


def told(recording):
    return [kind for kind in kinds(recording) if kind != "tier"]


def events_of(recording):
    return said([recording])[0].partition(": ")[2].partition(" [")[0]


FIRST, SECOND = aligned("a1", "t1", "t2"), aligned("a2", "t2", "t3")


def test_tiers_with_one_value_are_labels_and_with_several_subjects(one):
    eat = [[aligned("a3", "t1", "t3", "x")], 'PARTICIPANT="ann"']
    recording = one(document(SLOTS, walk=[[FIRST, SECOND]], eat=eat))
    assert recording.media == "/v/a.mp4"
    assert events_of(recording) == "1-2 walk, 1-4 eat of ann, 2-4 walk"
    texts = [notice.text.rpartition(": ")[2] for notice in recording.notices]
    assert texts == ["walk is taken for a label", "eat is taken for a label"]
    text = document(SLOTS, a=[[FIRST]], b=[[SECOND]])
    recording = one(text, tiers=("b",))
    assert events_of(recording) == "2-4 b"
    assert recording.notices[0].kind == "tier left alone"
    assert recording.notices[0].text.endswith(": a, 1 annotation")
    with pytest.raises(DataError, match=r"expected a tier 'bb', there is none. Did you mean 'b'"):
        one(text, tiers=("bb",))
    text = document(
        SLOTS,
        m1=[[aligned("a1", "t1", "t2", " walk\n"), aligned("a2", "t2", "t3", "eat")]],
        m2=[[aligned("a3", "t1", "t3", "walk")], 'PARTICIPANT="bob"'],
        flash=[[aligned("a4", "t2", "t3")]],
    )
    assert events_of(one(text)) == "1-2 walk of m1, 1-4 walk of bob, 2-4 eat of m1, 2-4 flash"
    texts = [
        aligned(f"a{n}", f"t{n}", f"t{n + 1}", text) for n, text in enumerate(("walk", "eat"), 1)
    ]
    recording = one(document(SLOTS, m=[[*texts, aligned("a3", "t3", "t4")]]))
    assert events_of(recording) == "1-2 walk of m, 2-4 eat of m"
    assert told(recording) == ["without a label"]
    recording = one(document(SLOTS, "", walk=[[aligned("a1", "t3", "t4")]]))
    assert said([recording])[0].startswith(": 4-4 walk [")
    assert told(recording) == ["without length"]


def test_times_of_elan_that_are_not_given_its_first_video_and_deep_and_wide_documents(one):
    slots = {"t1": 1000, "x1": None, "x2": None, "t4": 4000, "y": None, "z": None}
    parts = [aligned("a1", "t1", "x1", "p"), aligned("a2", "x1", "x2", "q")]
    lost = [aligned("b1", "y", "z"), aligned("b2", "z", "t4")]
    recording = one(document(slots, m=[[*parts, aligned("a3", "x2", "t4", "r")], ""], n=[lost]))
    assert events_of(recording) == "1-2 p of m, 2-3 q of m, 3-4 r of m"
    assert told(recording) == ["times between others", "without a time", "without a time"]
    assert "2 times not given" in recording.notices[0].text
    circle = [aligned("a1", "t1", "x1"), aligned("a2", "x1", "x2"), aligned("a3", "x2", "x1")]
    assert told(one(document(slots, m=[circle]))) == ["without a time"] * 3
    circle = [referring("c1", "c2", "lost"), referring("c2", "c1", "lost")]
    text = document(
        SLOTS,
        m=[[aligned("a1", "t1", "t2", "p"), aligned("a2", "t2", "t3", "q")]],
        deep=[[referring("b2", "b1", "s"), *circle]],
        n=[[referring("b1", "a2", "r"), referring("b3", "none", "lost")]],
    )
    recording = one(text)
    assert events_of(recording) == "1-2 p of m, 2-4 q of m, 2-4 r of n, 2-4 s of deep"
    assert told(recording) == ["without a time"] * 3
    media = (
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/a.wav" MIME_TYPE="audio/x-wav"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/v/b%20c.mpg" MIME_TYPE="video/mpeg" '
        'RELATIVE_MEDIA_URL="" TIME_ORIGIN="500"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/d.mp4" MIME_TYPE="unknown"/>'
        '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/e" MIME_TYPE="video/quicktime"/>'
    )
    recording = one(document(SLOTS, media, walk=[[FIRST]]))
    assert said([recording])[0].startswith("/C:/v/b c.mpg: 1.5-2.5 walk [")
    assert re.search(r"not /v/d.mp4, /v/e, /v/a.wav$", recording.notices[0].text)
    deep = "<a>" * 5_000 + "</a>" * 5_000
    text = document(SLOTS, walk=[[FIRST]])
    assert events_of(one(text.replace("<HEADER", f"{deep}<HEADER"))) == "1-2 walk"
    slots = {"t0": 0, **{f"t{n}": None for n in range(1, 3_000)}, "t3000": 3_000_000}
    chain = [aligned(f"a{n}", a, b) for n, (a, b) in enumerate(itertools.pairwise(slots))]
    assert events_of(one(document(slots, walk=[chain]))).endswith(", 2999-3000 walk")


HEAD = "video,start_seconds,end_seconds,label"


def test_own_table(read):
    first, second = read(
        "e.csv",
        " Video ,start_seconds,end_seconds,LABEL,subject,group,split,note",
        "a.mp4,3,4.5, walk ,ann,,,",
        "",
        '"b, c.mp4",,,,,,validation,so',
        'a.mp4,"1,5",,jump,,pen 1,Test,""',
        "a.mp4,0,0,sit,,pen 1,test,",
    )
    assert (first.group, first.split, second.split) == ("pen 1", "test", "val")
    told = ["column left alone", "without length"]
    events = f"a.mp4: 0-0 sit, 1.5-1.5 jump, 3-4.5 walk of ann {told}"
    assert said([first, second]) == [events, "b, c.mp4:  ['column left alone']"]
    found = read("e.tsv", HEAD.replace(",", "\t"), '"a\tb.mp4"\t1\t2\t"a\tb"')
    assert said(found) == ["a\tb.mp4: 1-2 a\tb"]
    assert said(read("e.csv", f"{HEAD},", "a.mp4,1,2,walk,")) == ["a.mp4: 1-2 walk"]
    # A class that was looked for and has no event is told.
    lines = ["a.mp4,1,2,walk", "a.mp4,4,5,* walk", "b.mp4,4,5,* wlak"]
    first, second = read("events.csv", HEAD, *lines)
    assert not first.notices
    ((kind, text),) = second.notices
    told = "* wlak, and no event of the table is called so"
    assert (kind, text.partition(": ")[2]) == ("class without events", told)


def test_via(read):
    attribute = {"1": {"aname": "b", "options": {"0": "walk", "1": "eat"}}, "2": {"aname": "note"}}
    text = via(
        {"vid": "1", "z": [2.5], "xy": [], "av": {"1": "1"}},
        {"vid": "1", "z": [3, 4], "xy": [], "av": {"1": "0,1", "2": "fast"}},
        {"vid": "1", "z": [3], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}},
        {"vid": "1", "z": [], "xy": [], "av": {"2": "dark"}},
        {"vid": "1", "z": [5, 6], "xy": [], "av": {}},
        attribute=attribute,
    )
    told = ["region", "of the whole file", "without a label"]
    assert said(read("p.json", text)) == [f"a.mp4: 2.5-2.5 eat, 3-4 eat, 3-4 fast, 3-4 walk {told}"]
    files = {"1": {"fname": "a.mp4"}, "2": {"fname": "b.mp4"}, "3": {"src": "http://x/c.mp4"}}
    views = {"1": {"fid_list": ["1", "2"]}, "2": {"fid_list": ["3"]}}
    found = read("p.json", via(files=files, views=views))
    assert said(found) == ["a.mp4:  ['other cameras']", "http://x/c.mp4: "]
    # A table of an older version names attributes alone.
    columns = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
    lines = ['# ATTRIBUTES = {"1":"behaviour"}', f"# CSV_HEADER = {columns}"]
    lines += ['"1_x","[""a.mp4""]",0,"[4.5]","[]","{""1"":""walk""}"', ""]
    lines += ['"1_y","[""a.mp4""]",0,"[5]","[2,1,1,5,5]","{""1"":""walk""}"']
    assert said(read("v.csv", *lines)) == ["a.mp4: 4.5-4.5 walk ['region']"]


def test_label_studio_counts_from_one_takes_the_truth_or_else_the_last_and_names_media(read):
    box = {"id": "b", "type": "videorectangle", "value": {"sequence": []}}
    results = [box, result(1, 1), result(5, 15), result(0, 3)]
    (recording,) = read("s.json", studio({"result": results}))
    assert recording.unit == "frames"
    assert said([recording]) == ["a.mp4: 0-1 walk, 0-3 walk, 4-15 walk ['no event']"]
    truth = {"result": [result(1, 2, "true")], "ground_truth": True}
    last = {"result": [result(1, 2, "last")]}
    cancelled = {"result": [result(1, 2, "cancelled")], "was_cancelled": True}
    assert said(read("s.json", studio(truth, last))) == ["a.mp4: 0-2 true ['one of several']"]
    text = studio({"result": []}, last, cancelled, predictions=[{}, {}])
    (recording,) = read("s.json", text)
    told = ["cancelled", "one of several", "prediction"]
    assert (said([recording]), recording.known) == ([f"a.mp4: 0-2 last {told}"], None)
    (nothing,) = read("s.json", studio(cancelled))
    assert (nothing.events, nothing.known) == ((), ())
    assert kinds(nothing) == ["cancelled", "not annotated"]
    predicted = [{"data": {"video": "a.mp4"}, "annotations": [], "predictions": [{"result": []}]}]
    with pytest.raises(DataError, match="only predictions, no annotations: save them as annota"):
        read("e.json", json.dumps(predicted))
    for data, media in (
        ({"video": "/data/upload/3/0a1b2c3d-my%20film.mp4"}, "my film.mp4"),
        ({"film": "/data/local-files/?d=dir/a.mp4", "text": "x"}, "dir/a.mp4"),
        ({"video": "s3://bucket/dir/a.MP4", "fps": 25}, "s3://bucket/dir/a.MP4"),
        ({"video": "deadbeef-a.mp4"}, "deadbeef-a.mp4"),
        ({"video": "no suffix"}, "no suffix"),
    ):
        (recording,) = read("s.json", studio(data=data))
        assert recording.media == media
        assert recording.fps == data.get("fps")


def test_activitynet_deepethogram_and_a_label_a_frame(read):
    walk = {"segment": [1, 2], "label": "walk"}
    database = {
        "a": {"subset": "validation", "duration": 9.5, "fps": 30, "annotations": [walk]},
        "b": {"subset": "testing", "annotations": []},
        "c": {"subset": "training", "annotations": []},
        "d": {"subset": "testing", "annotations": [walk, {"segment": [3, 4]}]},
    }
    found = read("a.json", json.dumps({"database": database}))
    told = ["a: 1-2 walk", "b:  ['not annotated']", "c: ", "d: 1-2 walk ['without a label']"]
    assert said(found) == told
    assert [recording.split for recording in found] == ["val", "test", "train", "test"]
    assert [recording.known for recording in found] == [None, (), None, None]
    assert (found[0].duration_seconds, found[0].fps) == (9.5, 30)
    lines = ["background,Walk,eat", "1,0,0", "0,1,0", "0,1,1", "-1,-1,-1", "0.0,0.0,1.0"]
    (recording,) = read("film_labels.csv", *lines)
    assert said([recording]) == ["film: 1-3 Walk, 2-3 eat, 4-5 eat"]
    assert (recording.unit, recording.duration_seconds) == ("frames", 5)
    assert recording.known == ((0, 3), (4, 5))
    (recording,) = read("a.csv", "background,walk", "1,1", "0,0", "0,1", "1,0")
    assert said([recording]) == ["a: 0-1 walk, 2-3 walk ['background disagrees']"]
    assert "2 frames with a label and background, or with neither" in recording.notices[0].text
    lines = ["take_cup"] * 3 + ["background"] * 2 + ["pour"] * 3
    (recording,) = read("rgb-01-1.txt", *lines)
    assert said([recording]) == ["rgb-01-1: 0-3 take_cup, 5-8 pour"]
    assert recording.duration_seconds == 8
    for lines in (("a", "b", "c", "d"), ("a b", "a b"), ("a",)):
        with pytest.raises(DataError, match="or a text with a label a frame, got a file that sta"):
            read("words.txt", *lines)
