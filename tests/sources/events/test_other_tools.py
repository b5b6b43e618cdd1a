"""Own table, VIA, Label Studio, ActivityNet, DeepEthogram, MS-TCN: what is particular to each."""

from __future__ import annotations

import json

import pytest

from pipeline.errors import DataError
from pipeline.sources.events.event import Event
from pipeline.sources.events.reading import read_events

PREDICTED = {"data": {"video": "a.mp4"}, "annotations": [], "predictions": [{"result": []}]}
HEAD = "video,start_seconds,end_seconds,label"


def kinds(recording):
    return [notice.kind for notice in recording.notices]


def test_own_table(write):
    path = write(
        "e.csv",
        " Video ,start_seconds,end_seconds,LABEL,subject,group,split,note",
        "a.mp4,3,4.5, walk ,ann,,,",
        "",
        '"b, c.mp4",,,,,,validation,so',
        'a.mp4,"1,5",,jump,,pen 1,Test,""',
        "a.mp4,0,0,sit,,pen 1,test,",
    )
    first, second = read_events(path)

    assert (first.media, first.group, first.split) == ("a.mp4", "pen 1", "test")
    assert first.events == (
        *(Event(0, 0, "sit"), Event(1.5, 1.5, "jump"), Event(3, 4.5, "walk", "ann")),
    )
    assert kinds(first) == ["column left alone", "without length"]
    assert (second.media, second.events, second.split) == ("b, c.mp4", (), "val")


def test_own_table_whose_cells_hold_its_separator(write):
    (recording,) = read_events(write("e.tsv", HEAD.replace(",", "\t"), '"a\tb.mp4"\t1\t2\t"a\tb"'))
    assert recording.media == "a\tb.mp4"
    assert recording.events == (Event(1, 2, "a\tb"),)


def test_own_table_with_a_column_without_a_name(write):
    (recording,) = read_events(write("e.csv", f"{HEAD},", "a.mp4,1,2,walk,"))
    assert recording.events == (Event(1, 2, "walk"),)
    assert recording.notices == ()


def via(*metadata, files=None, views=None, attribute=None):
    return json.dumps(
        {
            "project": {},
            "attribute": attribute,
            "file": files or {"1": {"fid": 1, "fname": "a.mp4"}},
            "view": views or {"1": {"fid_list": [1]}},
            "metadata": dict(enumerate(metadata)),
        }
    )


def test_via_points_regions_and_several_labels(write):
    attribute = {"1": {"aname": "b", "options": {"0": "walk", "1": "eat"}}, "2": {"aname": "note"}}
    path = write(
        "p.json",
        via(
            {"vid": "1", "z": [2.5], "xy": [], "av": {"1": "1"}},
            {"vid": "1", "z": [3, 4], "xy": [], "av": {"1": "0,1", "2": "fast"}},
            {"vid": "1", "z": [3], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}},
            {"vid": "1", "z": [], "xy": [], "av": {"2": "dark"}},
            {"vid": "1", "z": [5, 6], "xy": [], "av": {}},
            attribute=attribute,
        ),
    )
    (recording,) = read_events(path)

    assert recording.events == (
        *(Event(2.5, 2.5, "eat"), Event(3, 4, "eat"), Event(3, 4, "fast"), Event(3, 4, "walk")),
    )
    assert kinds(recording) == ["region", "of the whole file", "without a label"]


def test_via_views_of_several_files_and_without_events(write):
    files = {"1": {"fname": "a.mp4"}, "2": {"fname": "b.mp4"}, "3": {"src": "http://x/c.mp4"}}
    views = {"1": {"fid_list": ["1", "2"]}, "2": {"fid_list": ["3"]}}
    first, second = read_events(write("p.json", via(files=files, views=views)))
    assert (first.media, second.media, second.events) == ("a.mp4", "http://x/c.mp4", ())
    assert kinds(first) == ["other cameras"]


def test_via_table_of_an_older_version_names_attributes_alone(write):
    lines = ['# ATTRIBUTES = {"1":"behaviour"}', ("# CSV_HEADER = metadata_id,file_list,flags,"
             "temporal_coordinates,spatial_coordinates,metadata")]  # fmt: skip
    lines += ['"1_x","[""a.mp4""]",0,"[4.5]","[]","{""1"":""walk""}"', ""]
    lines += ['"1_y","[""a.mp4""]",0,"[5]","[2,1,1,5,5]","{""1"":""walk""}"']
    (recording,) = read_events(write("v.csv", *lines))
    assert recording.events == (Event(4.5, 4.5, "walk"),)
    assert kinds(recording) == ["region"]


def studio(*annotations, **task):
    return json.dumps([{"id": 1, "annotations": annotations, "data": {"video": "a.mp4"}, **task}])


def result(start, end, label="walk"):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": "r", "type": "timelinelabels", "value": value}


def test_label_studio_counts_frames_from_one_and_includes_the_last(write):
    path = write("s.json", studio({"result": [result(1, 1), result(5, 15), result(0, 3)]}))
    (recording,) = read_events(path)
    assert recording.unit == "frames"
    assert recording.events == (Event(0, 1, "walk"), Event(0, 3, "walk"), Event(4, 15, "walk"))


def test_label_studio_takes_the_truth_or_else_the_last_annotation(write):
    truth = {"result": [result(1, 2, "true")], "ground_truth": True}
    last = {"result": [result(1, 2, "last")]}
    cancelled = {"result": [result(1, 2, "cancelled")], "was_cancelled": True}

    def read(*annotations, **task):
        return read_events(write("s.json", studio(*annotations, **task)))[0]

    assert read(truth, last).events[0].label == "true"
    recording = read({"result": []}, last, cancelled, predictions=[{}, {}])
    assert recording.events[0].label == "last"
    assert kinds(recording) == ["cancelled", "one of several", "prediction"]
    assert recording.known is None
    nothing = read(cancelled)
    assert (nothing.events, nothing.known) == ((), ())
    assert kinds(nothing) == ["cancelled", "not annotated"]


def test_label_studio_results_that_are_no_spans_are_told(write):
    box = {"id": "b", "type": "videorectangle", "value": {"sequence": []}}
    (recording,) = read_events(write("s.json", studio({"result": [box, result(1, 2)]})))
    assert len(recording.events) == 1
    assert kinds(recording) == ["no event"]


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
def test_label_studio_media(write, data, media):
    (recording,) = read_events(write("s.json", studio(data=data)))
    assert recording.media == media
    assert recording.fps == data.get("fps")


def test_activitynet_splits_and_what_nobody_annotated(write):
    walk = {"segment": [1, 2], "label": "walk"}
    database = {
        "a": {"subset": "validation", "duration": 9.5, "fps": 30, "annotations": [walk]},
        "b": {"subset": "testing", "annotations": []},
        "c": {"subset": "training", "annotations": []},
        "d": {"subset": "testing", "annotations": [walk, {"segment": [3, 4]}]},
    }
    a, b, c, d = read_events(write("a.json", json.dumps({"database": database})))
    assert (a.media, a.split, a.duration_seconds, a.fps) == ("a", "val", 9.5, 30)
    assert a.events == (Event(1, 2, "walk"),)
    assert (b.split, b.known, kinds(b)) == ("test", (), ["not annotated"])
    assert (c.split, c.known) == ("train", None)
    assert (d.split, d.known, kinds(d)) == ("test", None, ["without a label"])


def test_deepethogram_frames_that_are_not_known_yet(write):
    lines = ["background,Walk,eat", "1,0,0", "0,1,0", "0,1,1", "-1,-1,-1", "0.0,0.0,1.0"]
    (recording,) = read_events(write("film_labels.csv", *lines))
    assert (recording.media, recording.unit, recording.duration_seconds) == ("film", "frames", 5)
    assert recording.events == (Event(1, 3, "Walk"), Event(2, 3, "eat"), Event(4, 5, "eat"))
    assert recording.known == ((0, 3), (4, 5))
    assert kinds(recording) == []


def test_deepethogram_background_that_disagrees_is_told(write):
    (recording,) = read_events(write("a.csv", "background,walk", "1,1", "0,0", "0,1", "1,0"))
    assert recording.events == (Event(0, 1, "walk"), Event(2, 3, "walk"))
    assert kinds(recording) == ["background disagrees"]
    assert "2 frames with a label and background, or with neither" in recording.notices[0].text


def test_a_label_a_frame(write):
    path = write("rgb-01-1.txt", *["take_cup"] * 3, *["background"] * 2, *["pour"] * 3)
    (recording,) = read_events(path)
    assert (recording.media, recording.duration_seconds) == ("rgb-01-1", 8)
    assert recording.events == (Event(0, 3, "take_cup"), Event(5, 8, "pour"))


@pytest.mark.parametrize("lines", [("a", "b", "c", "d"), ("a b", "a b"), ("a",)])
def test_other_words_are_no_labels_of_frames(write, lines):
    with pytest.raises(DataError, match="or a text with a label a frame, got a file that starts"):
        read_events(write("words.txt", *lines))


def test_label_studio_with_predictions_alone(write):
    with pytest.raises(DataError, match="only predictions, no annotations: save them as annota"):
        read_events(write("e.json", json.dumps([PREDICTED])))
