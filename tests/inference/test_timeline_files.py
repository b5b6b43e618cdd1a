"""What is written of a timeline: for programs, which read the same events, and for people."""

import dataclasses
import json
import re

import matplotlib.image
import numpy as np
import pytest

from pipeline.cli.timelines import format_timeline
from pipeline.errors import ConfigError
from pipeline.inference.annotate import annotate
from pipeline.inference.segments import Curve, Segment
from pipeline.inference.timeline import Timeline
from pipeline.inference.timeline_files import check_output, write_timeline
from pipeline.sources.events.media import match_media
from pipeline.sources.events.reading import read_events
from pipeline.video import iter_frames, probe, write_video
from tests.inference.videos import rows

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
        curve=Curve(0.1, 4.0, np.full((40, 2), 0.5), np.zeros(40)),
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


@pytest.mark.parametrize("end", [*ENDS, ".csv"])
def test_what_was_found_reads_back_as_the_same_events(timeline, tmp_path, end):
    path = tmp_path / f"out{end}"
    for segments in (AT_ONCE,) if end == ".csv" else (SEGMENTS, AT_ONCE):
        write_timeline(dataclasses.replace(timeline, segments=segments), path)
        (found,), unmatched = match_media(read_events(corrected(path)), tmp_path / "videos")
        assert (found.path, unmatched) == (timeline.path, [])
        events = [(e.start_seconds, e.end_seconds, e.label) for e in found.events]
        assert sorted(events) == [
            (pytest.approx(s.start_seconds), pytest.approx(s.end_seconds), s.label)
            for s in segments
            if s.label != "unknown"
        ]
        told = {notice.kind for notice in found.notices}
        assert told <= {"tier", "prediction", "column left alone"}, "lengths and rates agree"


def test_a_timeline_of_one_class_or_none(timeline, tmp_path):
    write_timeline(dataclasses.replace(timeline, segments=SEGMENTS[:1]), tmp_path / "out.eaf")
    (recording,) = read_events(tmp_path / "out.eaf")
    assert [event.label for event in recording.events] == ["wälk & <wave>"], "its name, in ELAN"
    nothing = dataclasses.replace(timeline, segments=SEGMENTS[1:2])
    for end in ENDS:
        path = tmp_path / f"out{end}"
        write_timeline(nothing, path)
        assert [event for each in read_events(corrected(path)) for event in each.events] == []
    write_timeline(nothing, tmp_path / "out.srt")
    assert (tmp_path / "out.srt").read_text().endswith("\nunknown\n"), "without a probability"
    assert format_timeline(nothing) == "0:01.2 to 0:02.5   unknown"


def test_the_end_of_a_name_says_what_is_written(timeline, tmp_path):
    assert check_output(tmp_path / "a.VIA.json") == ".via.json"
    assert check_output(tmp_path / "a.json") == ".json"
    with pytest.raises(ConfigError, match=r"end in .json, .* .boris.tsv, .eaf"):
        check_output(tmp_path / "a.tsv")
    with pytest.raises(ConfigError, match="expected names that end in .json, .csv, .srt, .png"):
        write_timeline(timeline, tmp_path / "out.doc")


def test_every_format_says_the_same(timeline, tmp_path):
    for suffix in ("json", "csv", "srt", "PNG"):
        write_timeline(timeline, tmp_path / f"out.{suffix}")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content == timeline.as_json()
    assert (content["path"], len(content["segments"])) == (timeline.path, 4)
    subtitles = (tmp_path / "out.srt").read_text(encoding="utf-8").split("\n\n")
    for number, (segment, line, subtitle) in enumerate(
        zip(SEGMENTS, rows(tmp_path / "out.csv"), subtitles, strict=True), start=1
    ):
        assert line["label"] == segment.label
        assert line == {**line, "probability": f"{segment.probability:.4f}"}
        for name in ("start_seconds", "end_seconds", "max_logit"):
            assert float(line[name]) == pytest.approx(getattr(segment, name), abs=1e-3)
        place = rf"{number}\n00:00:(\S+) --> 00:00:(\S+)\n{segment.label}( 0\.\d0)?\n?"
        *times, probability = re.fullmatch(place, subtitle).groups()
        found = [float(each.replace(",", ".")) for each in times]
        assert found == [segment.start_seconds, segment.end_seconds]
        known = segment.label != "unknown"
        assert probability == (f" {segment.probability:.2f}" if known else None)
    assert matplotlib.image.imread(tmp_path / "out.PNG").shape[1] == 1440


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
    several = dataclasses.replace(timeline, segments=AT_ONCE)
    write_timeline(several, tmp_path / "out.bouts.csv", bin_seconds=3)
    found = rows(tmp_path / "out.bouts.csv")
    assert [(row["class"], row["bin"]) for row in found] == [
        (name, each) for name in timeline.class_names for each in ("whole", "1", "2")
    ]
    whole, first, second = found[:3]
    columns = ("count", "total_seconds", "mean_seconds", "latency_seconds", "share")
    assert [whole[name] for name in columns] == ["2", "2.500", "1.250", "0.500", "0.625"]
    assert [first[name] for name in columns[:3]] == ["2", "2.000", ""]
    assert [second[name] for name in columns[:2]] == ["0", "0.500"]
    assert second["end_seconds"] == "4.000"
    plain = dataclasses.replace(several, background="jump")
    write_timeline(plain, tmp_path / "plain.bouts.csv")
    assert len(rows(tmp_path / "plain.bouts.csv")) == 1


def test_pictures_of_several_at_once(timeline, tmp_path):
    """Each label in the frames at which it holds; a row a class below."""
    large = tmp_path / "large.avi"
    write_video(large, np.full((40, 240, 320, 3), 255, np.uint8), fps=FPS, codec="FFV1")
    path = tmp_path / "drawn.avi"
    annotate(dataclasses.replace(timeline, path=str(large), segments=AT_ONCE), path)
    dark = [frame[:120, :30].mean(axis=-1) < 100 for frame in iter_frames(path)]
    heights = [int(each.any(axis=1).sum()) for each in dark]
    one, two = heights[22], heights[10]
    assert [heights[at] for at in (0, 36, 39)] == [0, 0, 0]
    assert two > 1.8 * one > 0
    assert heights[32] == pytest.approx(one, abs=8)
    for segments in ((), AT_ONCE):
        write_timeline(dataclasses.replace(timeline, segments=segments), tmp_path / "out.png")
        assert matplotlib.image.imread(tmp_path / "out.png").shape[1] == 1440
