"""Own table, VIA, Label Studio, ActivityNet, DeepEthogram, MS-TCN: what is particular to each."""

import json

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.event import Event
from tests.sources.events.formats import kinds

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
    assert (first.media, first.group, first.split) == ("a.mp4", "pen 1", "test")
    events = Event(0, 0, "sit"), Event(1.5, 1.5, "jump"), Event(3, 4.5, "walk", "ann")
    assert first.events == events
    assert kinds(first) == ["column left alone", "without length"]
    assert (second.media, second.events, second.split) == ("b, c.mp4", (), "val")


def test_own_table_with_its_separator_in_cells_and_a_column_without_a_name(read):
    (recording,) = read("e.tsv", HEAD.replace(",", "\t"), '"a\tb.mp4"\t1\t2\t"a\tb"')
    assert recording.media == "a\tb.mp4"
    assert recording.events == (Event(1, 2, "a\tb"),)
    (recording,) = read("e.csv", f"{HEAD},", "a.mp4,1,2,walk,")
    assert recording.events == (Event(1, 2, "walk"),)
    assert recording.notices == ()


def via(*metadata, files=None, views=None, attribute=None):
    project = {
        "project": {},
        "attribute": attribute,
        "file": files or {"1": {"fid": 1, "fname": "a.mp4"}},
        "view": views or {"1": {"fid_list": [1]}},
        "metadata": dict(enumerate(metadata)),
    }
    return json.dumps(project)


def test_via_points_regions_and_several_labels(read):
    attribute = {"1": {"aname": "b", "options": {"0": "walk", "1": "eat"}}, "2": {"aname": "note"}}
    text = via(
        {"vid": "1", "z": [2.5], "xy": [], "av": {"1": "1"}},
        {"vid": "1", "z": [3, 4], "xy": [], "av": {"1": "0,1", "2": "fast"}},
        {"vid": "1", "z": [3], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}},
        {"vid": "1", "z": [], "xy": [], "av": {"2": "dark"}},
        {"vid": "1", "z": [5, 6], "xy": [], "av": {}},
        attribute=attribute,
    )
    (recording,) = read("p.json", text)
    labels = "eat", "fast", "walk"
    assert recording.events == (Event(2.5, 2.5, "eat"), *(Event(3, 4, label) for label in labels))
    assert kinds(recording) == ["region", "of the whole file", "without a label"]


def test_via_views_of_several_files_and_without_events(read):
    files = {"1": {"fname": "a.mp4"}, "2": {"fname": "b.mp4"}, "3": {"src": "http://x/c.mp4"}}
    views = {"1": {"fid_list": ["1", "2"]}, "2": {"fid_list": ["3"]}}
    first, second = read("p.json", via(files=files, views=views))
    assert (first.media, second.media, second.events) == ("a.mp4", "http://x/c.mp4", ())
    assert kinds(first) == ["other cameras"]


def test_via_table_of_an_older_version_names_attributes_alone(read):
    columns = "metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata"
    lines = ['# ATTRIBUTES = {"1":"behaviour"}', f"# CSV_HEADER = {columns}"]
    lines += ['"1_x","[""a.mp4""]",0,"[4.5]","[]","{""1"":""walk""}"', ""]
    lines += ['"1_y","[""a.mp4""]",0,"[5]","[2,1,1,5,5]","{""1"":""walk""}"']
    (recording,) = read("v.csv", *lines)
    assert recording.events == (Event(4.5, 4.5, "walk"),)
    assert kinds(recording) == ["region"]


def studio(*annotations, **task):
    return json.dumps([{"id": 1, "annotations": annotations, "data": {"video": "a.mp4"}, **task}])


def result(start, end, label="walk"):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": "r", "type": "timelinelabels", "value": value}


def test_label_studio_counts_frames_from_one_and_includes_the_last(read):
    box = {"id": "b", "type": "videorectangle", "value": {"sequence": []}}
    results = [box, result(1, 1), result(5, 15), result(0, 3)]
    (recording,) = read("s.json", studio({"result": results}))
    assert recording.unit == "frames"
    assert recording.events == (Event(0, 1, "walk"), Event(0, 3, "walk"), Event(4, 15, "walk"))
    assert kinds(recording) == ["no event"], "results that are no spans are told"


def test_label_studio_takes_the_truth_or_else_the_last_annotation(read):
    truth = {"result": [result(1, 2, "true")], "ground_truth": True}
    last = {"result": [result(1, 2, "last")]}
    cancelled = {"result": [result(1, 2, "cancelled")], "was_cancelled": True}
    (recording,) = read("s.json", studio(truth, last))
    assert recording.events[0].label == "true"
    annotations = {"result": []}, last, cancelled
    (recording,) = read("s.json", studio(*annotations, predictions=[{}, {}]))
    assert recording.events[0].label == "last"
    assert kinds(recording) == ["cancelled", "one of several", "prediction"]
    assert recording.known is None
    (nothing,) = read("s.json", studio(cancelled))
    assert (nothing.events, nothing.known) == ((), ())
    assert kinds(nothing) == ["cancelled", "not annotated"]
    predicted = [{"data": {"video": "a.mp4"}, "annotations": [], "predictions": [{"result": []}]}]
    with pytest.raises(DataError, match="only predictions, no annotations: save them as annota"):
        read("e.json", json.dumps(predicted))


@pytest.mark.parametrize(
    ("data", "media"),
    [
        ({"video": "/data/upload/3/0a1b2c3d-my%20film.mp4"}, "my film.mp4"),
        ({"film": "/data/local-files/?d=dir/a.mp4", "text": "x"}, "dir/a.mp4"),
        ({"video": "s3://bucket/dir/a.MP4", "fps": 25}, "s3://bucket/dir/a.MP4"),
        ({"video": "deadbeef-a.mp4"}, "deadbeef-a.mp4"),
        ({"video": "no suffix"}, "no suffix"),
    ],
)
def test_label_studio_media(read, data, media):
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
    a, b, c, d = read("a.json", json.dumps({"database": database}))
    assert (a.media, a.split, a.duration_seconds, a.fps) == ("a", "val", 9.5, 30)
    assert a.events == (Event(1, 2, "walk"),)
    assert (b.split, b.known, kinds(b)) == ("test", (), ["not annotated"])
    assert (c.split, c.known) == ("train", None)
    assert (d.split, d.known, kinds(d)) == ("test", None, ["without a label"])


def test_deepethogram_frames_that_are_not_known_yet(read):
    lines = ["background,Walk,eat", "1,0,0", "0,1,0", "0,1,1", "-1,-1,-1", "0.0,0.0,1.0"]
    (recording,) = read("film_labels.csv", *lines)
    assert (recording.media, recording.unit, recording.duration_seconds) == ("film", "frames", 5)
    assert recording.events == (Event(1, 3, "Walk"), Event(2, 3, "eat"), Event(4, 5, "eat"))
    assert recording.known == ((0, 3), (4, 5))
    assert kinds(recording) == []


def test_deepethogram_background_that_disagrees_is_told(read):
    (recording,) = read("a.csv", "background,walk", "1,1", "0,0", "0,1", "1,0")
    assert recording.events == (Event(0, 1, "walk"), Event(2, 3, "walk"))
    assert kinds(recording) == ["background disagrees"]
    assert "2 frames with a label and background, or with neither" in recording.notices[0].text


def test_a_label_a_frame(read):
    lines = ["take_cup"] * 3 + ["background"] * 2 + ["pour"] * 3
    (recording,) = read("rgb-01-1.txt", *lines)
    assert (recording.media, recording.duration_seconds) == ("rgb-01-1", 8)
    assert recording.events == (Event(0, 3, "take_cup"), Event(5, 8, "pour"))


@pytest.mark.parametrize("lines", [("a", "b", "c", "d"), ("a b", "a b"), ("a",)])
def test_other_words_are_no_labels_of_frames(read, lines):
    with pytest.raises(DataError, match="or a text with a label a frame, got a file that starts"):
        read("words.txt", *lines)
