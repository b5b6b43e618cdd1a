"""What is written for annotation programs reads back as the same events."""

import dataclasses
import json

import numpy as np
import pytest

from pipeline.errors import ConfigError
from pipeline.inference.segments import Curve, Segment
from pipeline.inference.timeline import Timeline
from pipeline.inference.timeline_files import check_output, write_timeline
from pipeline.sources.events.event import Event
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from pipeline.video import probe, write_video

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


@pytest.mark.parametrize("end", ENDS)
def test_what_was_found_reads_back_as_the_same_events(timeline, tmp_path, end):
    path = tmp_path / f"out{end}"
    write_timeline(timeline, path)
    matched, unmatched = match_media(read_events(corrected(path)), tmp_path / "videos")
    assert unmatched == []
    assert [recording.path for recording in matched] == [timeline.path]
    events = [(e.label, e.start_seconds, e.end_seconds) for e in matched[0].events]
    assert events == [
        (s.label, pytest.approx(s.start_seconds), pytest.approx(s.end_seconds))
        for s in SEGMENTS
        if s.label != "unknown"
    ]
    assert isinstance(matched[0].events[0], Event)
    told = {notice.kind for notice in matched[0].notices}
    assert told <= {"tier", "prediction"}, "lengths and rates agree"


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
