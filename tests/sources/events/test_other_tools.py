"""What is particular to ELAN, own tables, VIA, Label Studio, ActivityNet, DeepEthogram, MS-TCN."""

import itertools
import json
import re

import pytest

from pipeline.errors import DataError
from tests.sources.events.formats import aligned, document, kinds, result, said, studio, via


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


def test_tiers_with_one_value_or_none_are_labels_and_can_be_chosen(one):
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


def test_tiers_with_several_values_are_subjects_unless_it_is_said(one):
    text = document(
        SLOTS,
        m1=[[aligned("a1", "t1", "t2", " walk\n"), aligned("a2", "t2", "t3", "eat")]],
        m2=[[aligned("a3", "t1", "t3", "walk")], 'PARTICIPANT="bob"'],
        flash=[[aligned("a4", "t2", "t3")]],
    )
    assert events_of(one(text)) == "1-2 walk of m1, 1-4 walk of bob, 2-4 eat of m1, 2-4 flash"
    text = document(SLOTS, m=[[aligned("a1", "t1", "t2", "walk"), SECOND]])
    recording = one(text, tier_as="subject")
    assert events_of(recording) == "1-2 walk of m"
    assert told(recording) == ["without a label"]
    assert said([one(text, tier_as="label")]) == ["/v/a.mp4: 1-2 m, 2-4 m ['tier']"]
    recording = one(document(SLOTS, "", walk=[[aligned("a1", "t3", "t4")]]))
    assert said([recording])[0].startswith(": 4-4 walk [")
    assert told(recording) == ["without length"]


def test_times_that_are_not_given_or_referred_to(one):
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


def test_the_first_video_is_taken_and_documents_may_be_deep_and_wide(one):
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
    names = enumerate(itertools.pairwise(slots))
    chain = [aligned(f"a{n}", a, b) for n, (a, b) in names]
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


def test_label_studio_counts_frames_from_one_and_takes_the_truth_or_else_the_last_annotation(read):
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


def test_label_studio_media(read):
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


def test_activitynet_splits_and_what_nobody_annotated(read):
    walk = {"segment": [1, 2], "label": "walk"}
    database = {
        "a": {"subset": "validation", "duration": 9.5, "fps": 30, "annotations": [walk]},
        "b": {"subset": "testing", "annotations": []},
        "c": {"subset": "training", "annotations": []},
        "d": {"subset": "testing", "annotations": [walk, {"segment": [3, 4]}]},
    }
    found = read("a.json", json.dumps({"database": database}))
    assert said(found) == [
        *("a: 1-2 walk", "b:  ['not annotated']", "c: ", "d: 1-2 walk ['without a label']")
    ]
    assert [recording.split for recording in found] == ["val", "test", "train", "test"]
    assert [recording.known for recording in found] == [None, (), None, None]
    assert (found[0].duration_seconds, found[0].fps) == (9.5, 30)


def test_deepethogram(read):
    lines = ["background,Walk,eat", "1,0,0", "0,1,0", "0,1,1", "-1,-1,-1", "0.0,0.0,1.0"]
    (recording,) = read("film_labels.csv", *lines)
    assert said([recording]) == ["film: 1-3 Walk, 2-3 eat, 4-5 eat"]
    assert (recording.unit, recording.duration_seconds) == ("frames", 5)
    assert recording.known == ((0, 3), (4, 5))
    (recording,) = read("a.csv", "background,walk", "1,1", "0,0", "0,1", "1,0")
    assert said([recording]) == ["a: 0-1 walk, 2-3 walk ['background disagrees']"]
    assert "2 frames with a label and background, or with neither" in recording.notices[0].text


def test_a_label_a_frame(read):
    lines = ["take_cup"] * 3 + ["background"] * 2 + ["pour"] * 3
    (recording,) = read("rgb-01-1.txt", *lines)
    assert said([recording]) == ["rgb-01-1: 0-3 take_cup, 5-8 pour"]
    assert recording.duration_seconds == 8
    for lines in (("a", "b", "c", "d"), ("a b", "a b"), ("a",)):
        with pytest.raises(DataError, match="or a text with a label a frame, got a file that sta"):
            read("words.txt", *lines)
