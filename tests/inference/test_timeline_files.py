"""What is written for annotation programs reads back as the same events."""

import csv
import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.inference.annotate import annotate
from pipeline.inference.segments import Curve, Segment
from pipeline.inference.timeline import Timeline
from pipeline.inference.timeline_files import check_output, write_timeline
from pipeline.sources.events.event import Event
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from pipeline.video import iter_frames, probe, write_video

FPS = 10.0
SEGMENTS = (
    Segment(0.0, 1.2, "wälk & <wave>", 0.9, 5.0),
    Segment(1.2, 2.5, "unknown", 0.5, 1.0),
    Segment(2.5, 3.0, "jump", 0.8, 4.0),
    Segment(3.0, 4.0, "wälk & <wave>", 0.7, 3.0),
)
ENDS = (".boris.tsv", ".eaf", ".via.json", ".label-studio.json")


@pytest.fixture
def timeline(tmp_path):
    (tmp_path / "videos").mkdir()
    path = tmp_path / "videos" / "day 1.avi"
    write_video(path, np.zeros((40, 16, 16, 3), np.uint8), fps=FPS, codec="FFV1")
    return Timeline(
        path=str(path),
        info=probe(path),
        window_seconds=1.0,
        windows=(),
        curve=Curve(1.0, 4.0, np.zeros((0, 2)), np.zeros(0)),
        segments=SEGMENTS,
        class_names=("jump", "wälk & <wave>"),
    )


def corrected(path):
    """As a person leaves the file of Label Studio who agrees with each prediction."""
    if path.name.endswith(".label-studio.json"):
        tasks = json.loads(path.read_text(encoding="utf-8"))
        tasks[0]["annotations"] = [{"id": 1, "result": tasks[0]["predictions"][0]["result"]}]
        path.write_text(json.dumps(tasks), encoding="utf-8")
    return path


AT_ONCE = (
    Segment(0.5, 2.0, "jump", 0.9, 5.0),
    Segment(0.5, 3.0, "wälk & <wave>", 0.8, 5.0),
    Segment(2.5, 3.5, "jump", 0.7, 5.0),
)


@pytest.mark.parametrize("segments", [SEGMENTS, AT_ONCE])
@pytest.mark.parametrize("end", ENDS)
def test_what_was_found_reads_back_as_the_same_events(timeline, tmp_path, end, segments):
    path = tmp_path / f"out{end}"
    write_timeline(dataclasses.replace(timeline, segments=segments), path)
    matched, unmatched = match_media(read_events(corrected(path)), tmp_path / "videos")
    assert unmatched == []
    assert [recording.path for recording in matched] == [timeline.path]
    events = [(e.start_seconds, e.end_seconds, e.label) for e in matched[0].events]
    assert sorted(events) == [
        (pytest.approx(s.start_seconds), pytest.approx(s.end_seconds), s.label)
        for s in segments
        if s.label != "unknown"
    ]
    assert isinstance(matched[0].events[0], Event)
    told = {notice.kind for notice in matched[0].notices}
    assert told <= {"tier", "prediction"}, "lengths and rates agree"


def test_the_table_is_one_of_events(timeline, tmp_path):
    write_timeline(dataclasses.replace(timeline, segments=AT_ONCE), tmp_path / "out.csv")
    (recording,), unmatched = match_media(read_events(tmp_path / "out.csv"), tmp_path / "videos")
    assert (recording.path, unmatched) == (timeline.path, [])
    events = sorted((e.start_seconds, e.end_seconds, e.label) for e in recording.events)
    assert events == sorted((s.start_seconds, s.end_seconds, s.label) for s in AT_ONCE)


def test_one_class_alone_keeps_its_name_in_elan(timeline, tmp_path):
    alone = dataclasses.replace(timeline, segments=SEGMENTS[:1])
    write_timeline(alone, tmp_path / "out.eaf")
    (recording,) = read_events(tmp_path / "out.eaf")
    assert [event.label for event in recording.events] == ["wälk & <wave>"]


def test_a_timeline_without_answers_is_an_empty_file_of_its_program(timeline, tmp_path):
    nothing = dataclasses.replace(timeline, segments=SEGMENTS[1:2])
    for end in ENDS:
        path = tmp_path / f"out{end}"
        write_timeline(nothing, path)
        assert [event for each in read_events(corrected(path)) for event in each.events] == []


def test_the_end_of_a_name_says_what_is_written(tmp_path):
    assert check_output(tmp_path / "a.VIA.json") == ".via.json"
    assert check_output(tmp_path / "a.json") == ".json"
    with pytest.raises(ConfigError, match=r"end in .json, .* .boris.tsv, .eaf"):
        check_output(tmp_path / "a.tsv")


def test_subtitles_of_several_at_once_are_joined(timeline, tmp_path):
    write_timeline(dataclasses.replace(timeline, segments=AT_ONCE), tmp_path / "out.srt")
    blocks = (tmp_path / "out.srt").read_text(encoding="utf-8").split("\n\n")
    told = [block.strip().splitlines()[1:] for block in blocks]
    assert [lines[1:] for lines in told] == [
        ["jump 0.90", "wälk & <wave> 0.80"],
        ["wälk & <wave> 0.80"],
        ["wälk & <wave> 0.80", "jump 0.70"],
        ["jump 0.70"],
    ]
    assert [lines[0] for lines in told][1:3] == [
        "00:00:02,000 --> 00:00:02,500",
        "00:00:02,500 --> 00:00:03,000",
    ]


def test_a_table_of_bouts(timeline, tmp_path):
    curve = Curve(0.1, 4.0, np.zeros((40, 2)), np.zeros(40))
    several = dataclasses.replace(timeline, segments=AT_ONCE, curve=curve)
    write_timeline(several, tmp_path / "out.bouts.csv", bin_seconds=3)
    with (tmp_path / "out.bouts.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["bin"]) for row in rows] == [
        *(("jump", each) for each in ("whole", "1", "2")),
        *(("wälk & <wave>", each) for each in ("whole", "1", "2")),
    ]
    whole, first, second = rows[:3]
    assert (whole["count"], whole["total_seconds"], whole["mean_seconds"]) == (
        "2",
        "2.500",
        "1.250",
    )
    assert (whole["latency_seconds"], whole["share"]) == ("0.500", "0.625")
    assert [(row["count"], row["total_seconds"]) for row in (first, second)] == [
        ("2", "2.000"),
        ("0", "0.500"),
    ]
    assert (first["mean_seconds"], second["end_seconds"]) == ("", "4.000")
    plain = dataclasses.replace(several, background="jump")
    write_timeline(plain, tmp_path / "plain.bouts.csv")
    assert len((tmp_path / "plain.bouts.csv").read_text(encoding="utf-8").splitlines()) == 2


def test_pictures_of_several_at_once(timeline, tmp_path):
    """Each label in the frames at which it holds; a row a class below."""
    curve = Curve(0.1, 4.0, np.full((40, 2), 0.5), np.zeros(40))
    large = tmp_path / "large.avi"
    write_video(large, np.full((40, 240, 320, 3), 255, np.uint8), fps=FPS, codec="FFV1")
    path = tmp_path / "drawn.avi"
    annotate(dataclasses.replace(timeline, path=str(large), segments=AT_ONCE, curve=curve), path)
    heights = []
    for frame in iter_frames(path):
        dark = (frame[:120, :30].mean(axis=-1) < 100).any(axis=1)
        heights.append(int(dark.sum()))
    one, two = heights[22], heights[10]
    assert [heights[at] for at in (0, 36, 39)] == [0, 0, 0]
    assert two > 1.8 * one > 0
    assert heights[32] == pytest.approx(one, abs=8)
    empty = dataclasses.replace(timeline, segments=(), curve=curve)
    for each in (empty, dataclasses.replace(empty, segments=AT_ONCE)):
        write_timeline(each, tmp_path / "out.png")
        assert matplotlib.image.imread(tmp_path / "out.png").shape[1] == 1440
