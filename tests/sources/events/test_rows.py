"""Events as parts of their videos: what is cut, what is left out, and a data set of them."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pipeline.cli.prepare import main
from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.annotation import UNKNOWN_LABEL
from pipeline.prepare.preparation import prepare
from pipeline.sources.events.report import report_lines
from pipeline.sources.events.rows import scan_events
from pipeline.sources.reading import folder_of_videos, read_manifest
from pipeline.video import write_video
from pipeline.video.paths import LeftOutWarning

TABLE = """video,start_seconds,end_seconds,label
a.avi,0,1,wave
a.avi,0.95,2,jump
a.avi,2,3,wave
a.avi,3,4,jump
a.avi,3.5,4.5,wave
a.avi,4.8,4.8,wave
b.avi,1,2,jump
b.avi,3,4,wave
"""


@pytest.fixture
def recordings(tmp_path):
    """Two recordings of five seconds, and a table of what happens in them."""
    (tmp_path / "videos").mkdir()
    for seed, name in enumerate(("a.avi", "b.avi")):
        frames = np.random.default_rng(seed).integers(256, size=(50, 2, 2, 3), dtype=np.uint8)
        path = tmp_path / "videos" / name
        write_video(path, frames.repeat(8, axis=1).repeat(8, axis=2), fps=10, codec="FFV1")
    (tmp_path / "events.csv").write_text(TABLE)
    return tmp_path


def scan(root, **options):
    return scan_events(root / "events.csv", root / "videos", **{"cut": True, **options})


def cut(manifest):
    return [(row.group, row.start_seconds, row.end_seconds, row.label) for row in manifest.rows]


def test_each_event_is_a_part_of_its_video_with_one_label(recordings):
    assert cut(scan(recordings)) == [
        ("a.avi", 0, 1, "wave"),
        ("a.avi", 1, 2, "jump"),  # begins where the one before it ends
        ("a.avi", 2, 3, "wave"),
        ("b.avi", 1, 2, "jump"),
        ("b.avi", 3, 4, "wave"),
    ]


def test_what_is_left_out_is_told(recordings):
    found = scan(recordings).annotations["recordings"][0]
    assert found["events"]["wave"] == {"count": 4, "points": 1, "total": 3.0}
    assert found["overlaps"]["jump + wave"] == pytest.approx(0.55)
    at_once = found["notices"]["two labels at once"]
    assert [text.partition(" at ")[0] for text in at_once] == ["a.avi: jump", "a.avi: wave"]
    assert "--point-seconds" in found["notices"]["POINT"][0]


def test_points_are_given_a_length(recordings):
    rows = cut(scan(recordings, point_seconds=0.2))
    assert ("a.avi", pytest.approx(4.7), pytest.approx(4.9), "wave") in rows


def test_a_recording_without_its_video_is_named(recordings):
    (recordings / "videos" / "b.avi").rename(recordings / "videos" / "bb.avi")
    with pytest.warns(LeftOutWarning, match=r"b.avi is not there; the nearest name is bb.avi"):
        found = scan(recordings)
    assert {row.group for row in found.rows} == {"a.avi"}
    assert [each["media"] for each in found.annotations["unmatched"]] == ["b.avi"]


def test_nothing_to_learn_from(recordings):
    (recordings / "events.csv").write_text(TABLE[: TABLE.index("a.avi")] + "a.avi,1,1,wave\n")
    message = r"none can be cut out of its video\. .*--point-seconds"
    with pytest.warns(LeftOutWarning), pytest.raises(DataError, match=message):
        scan(recordings)
    (recordings / "events.csv").write_text(TABLE.replace(".avi", ".mkv").replace("a.m", "x.m"))
    (recordings / "videos" / "b.avi").unlink()
    with (
        pytest.warns(LeftOutWarning),
        pytest.raises(DataError, match=r"their videos are not there\. .*--videos"),
    ):
        scan(recordings)


def test_a_mistyped_folder_of_videos_is_told(recordings):
    config = configure(recordings, videos=str(recordings / "vidoes"))
    with pytest.raises(ConfigError, match="--videos: .*vidoes is no folder"):
        prepare(config)
    assert folder_of_videos(configure(recordings, videos="")) == recordings


def test_recordings_without_a_video_that_can_be_read_are_bad_ones(recordings):
    (recordings / "videos" / "c.avi").write_text("no video")
    (recordings / "events.csv").write_text(f"{TABLE}c.avi,1,2,wave\n")
    config = configure(recordings, cut_events=False, max_bad_fraction=0.3)
    message = (
        "1 of 3 videos would be left out, more than --max-bad-fraction 0.3; .* says why: .*c.avi: "
    )
    with pytest.warns(LeftOutWarning), pytest.raises(DataError, match=message):
        prepare(config)
    with pytest.warns(LeftOutWarning):
        report = prepare(dataclasses.replace(config, max_bad_fraction=0.34))
    lines = str(report).splitlines()
    assert "1 recording left out: their video is not there or cannot be read" in lines
    assert not any(line.startswith("0 recordings") for line in lines)
    assert "c.avi" in (recordings / "out" / "data_report.md").read_text()


def test_events_behind_what_can_be_read_are_told(recordings):
    path = recordings / "videos" / "b.avi"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    report = prepare(configure(recordings, cut_events=False))
    assert "of recordings cut short, 2 events end behind what can be read: b.avi" in str(report)
    page = (recordings / "out" / "data_report.md").read_text()
    assert "## Events that end behind what can be read\n\n- `b.avi`: 2 events behind 0." in page


def test_a_check_of_one_recording_needs_no_split(recordings, capsys):
    (recordings / "events.csv").write_text(TABLE[: TABLE.index("b.avi")])
    folders = [f"--{name}={recordings / name}" for name in ("videos", "out")]
    source = ["--source=events", f"--path={recordings / 'events.csv'}", "--workers=1"]
    assert main([*source, *folders, "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "1 readable video, 0 that would be left out" in lines
    assert "group" in lines[-1]


def configure(root, **options):
    return PrepareConfig(
        source="events",
        path=str(root / "events.csv"),
        out=str(root / "out"),
        size=16,
        fps=10,
        workers=1,
        **{
            "videos": str(root / "videos"),
            "test_groups": ("b.avi",),
            "cut_events": True,
            **options,
        },
    )


def test_a_data_set_of_events(recordings):
    report = prepare(configure(recordings))
    rows = report.store.manifest.rows
    assert sorted((row.split, row.start_seconds, row.label) for row in rows) == [
        ("test", 1, "jump"),
        ("test", 3, "wave"),
        ("train", 0, "wave"),
        ("train", 1, "jump"),
        ("train", 2, "wave"),
    ]
    lines = str(report).splitlines()
    assert "2 recordings with 8 events" in lines
    assert "  2 events with two labels at once left out" in lines
    assert "  1 event without a length left out: --point-seconds" in lines
    assert "  without length 1; data_report.md names them" in lines
    page = (recordings / "out" / "data_report.md").read_text()
    assert "## Events\n\n- `a.avi`\n  - jump: 2, 2.0 s\n" in page.replace("2.1", "2.0")
    assert prepare(configure(recordings)).up_to_date
    assert not prepare(configure(recordings, point_seconds=0.2)).up_to_date


def test_a_data_set_says_where_its_videos_were(recordings):
    prepare(configure(recordings))
    settings = json.loads((recordings / "out" / "prepare.json").read_text())["settings"]
    assert settings["videos"] == str(recordings / "videos")


def test_options_of_events_are_refused_elsewhere(tmp_path):
    given = {"videos": "v", "point_seconds": 1.0, "modifiers": True, "tiers": ("a",)}
    for name, value in given.items():
        config = PrepareConfig(source="folder", path=str(tmp_path), out="x", **{name: value})
        option = f"--{name.replace('_', '-')} is for --source events"
        with pytest.raises(ConfigError, match=option):
            read_manifest(config)
    with pytest.raises(ConfigError, match="--point-seconds must be from 0 to 3600"):
        configure(tmp_path, point_seconds=-1.0)


def test_recordings_are_listed_whole_with_what_holds_when(recordings):
    first, second = scan(recordings, cut=False, background="rest").rows
    assert (first.label, first.group) == ("jump;rest;wave", "a.avi")
    assert (first.start_seconds, first.is_trim) == (0, False)
    assert first.annotation.events[:3] == ((0, 1, "wave"), (0.95, 2, "jump"), (2, 3, "wave"))
    assert len(first.annotation.events) == 5, "all but the one without length"
    assert second.annotation.background == "rest"


def test_labels_at_once_are_no_reason_to_leave_one_out(recordings):
    found = scan(recordings, cut=False).annotations["recordings"][0]
    assert set(found["notices"]) == {"POINT", "without length"}
    assert found["at_once"] == pytest.approx(0.55)


def test_each_subject_has_a_recording_of_its_own(recordings):
    lines = TABLE.splitlines()
    subjects = ("subject", "ann", "ann", "bob", "bob", "bob", "ann", "ann", "")
    table = [f"{line},{subject}" for line, subject in zip(lines, subjects, strict=True)]
    (recordings / "events.csv").write_text("\n".join(table))
    report = prepare(configure(recordings, cut_events=False, subjects=True))
    names = [record.name for record in report.store.records]
    assert sorted(names) == ["a.avi#subject=ann", "a.avi#subject=bob", "b.avi#subject=ann"]
    assert {row.group for row in report.store.manifest.rows} == {"a.avi", "b.avi"}
    jump = report.store.class_names.index("jump")
    frames = {
        record.name: sum(piece.counts[jump] for piece in record.pieces)
        for record in report.store.records
    }
    assert frames["a.avi#subject=ann"] == 11, "from 0.95 to 2 s, 10 a second"
    assert frames["a.avi#subject=bob"] == 10


def test_a_recording_without_events_is_background(recordings):
    table = TABLE.replace("b.avi,1,2,jump\nb.avi,3,4,wave\n", "b.avi,,,\n")
    (recordings / "events.csv").write_text(table)
    rows = scan(recordings, cut=False, background="rest").rows
    assert [row.labels for row in rows] == [("jump", "rest", "wave"), ("rest",)]
    (recordings / "events.csv").write_text(TABLE.splitlines()[0] + "\nb.avi,,,\n")
    with pytest.raises(DataError, match="expected events to learn from"):
        scan(recordings, cut=False, background="rest")


def test_a_recording_all_of_whose_events_are_lost_is_no_background(recordings):
    table = TABLE.replace("b.avi,1,2,jump\nb.avi,3,4,wave\n", "b.avi,1,1,wave\nb.avi,9,9,wave\n")
    (recordings / "events.csv").write_text(table)
    reasons = "1 event past the end of .*, 1 event without a length left out: --point-seconds"
    with pytest.warns(LeftOutWarning, match=rf"b.avi: no event of it can be used: {reasons}"):
        found = scan(recordings, cut=False, background="rest")
    assert [row.group for row in found.rows] == ["a.avi"]
    assert [each["media"] for each in found.annotations["unusable"]] == ["b.avi"]
    assert "b.avi" in report_lines(found.annotations)
    one = {"test_groups": (), "test_fraction": 0.0, "max_bad_fraction": 0.5}
    with pytest.warns(LeftOutWarning):
        summary = str(prepare(configure(recordings, cut_events=False, **one)))
    assert "1 recording left out, of whose events none can be used: b.avi" in summary
    assert "left out 1" not in summary, "it is told already"
    rows = scan(recordings, cut=False, background="rest", point_seconds=1.0).rows
    assert [row.group for row in rows] == ["a.avi", "b.avi"]


def test_that_it_was_not_the_background_says_nothing_of_it(recordings):
    (recordings / "events.csv").write_text(f"{TABLE}b.avi,4,5,* background\n")
    manifest = scan(recordings, cut=False, background="background")
    labels = manifest.rows[1].annotation.by_frame(10, manifest.class_names)(40, 10)
    assert (labels == UNKNOWN_LABEL).all()


def test_events_of_the_background(recordings):
    with pytest.raises(ConfigError, match="--background jump is also the label of events: choose"):
        scan(recordings, cut=False, background="jump")
    (recordings / "events.csv").write_text(f"{TABLE}b.avi,1.5,4.5,background\n")
    manifest = scan(recordings, cut=False, background="background")
    row = manifest.rows[1]
    assert [label for _, _, label in row.annotation.events] == ["jump", "wave"]
    labels = row.annotation.by_frame(10, manifest.class_names)(0, 50)
    assert (labels.sum(axis=1) == 1).all(), "background never holds beside something else"
    (told,) = manifest.annotations["recordings"][1]["notices"]["background"]
    assert told == "b.avi: 1 event, background where no other one holds"


def test_other_classes_become_background(recordings):
    config = configure(recordings, cut_events=False, classes=("wave",))
    (first, _) = read_manifest(config).rows
    assert first.labels == ("background", "wave")
    assert {label for _, _, label in first.annotation.events} == {"wave"}


def test_a_semicolon_in_a_label_is_no_second_label(recordings):
    (recordings / "events.csv").write_text(TABLE.replace("jump", "jump; high"))
    assert scan(recordings, cut=False).rows[0].labels == ("jump, high", "wave")


def test_where_nobody_watched_frames_are_not_known(recordings):
    (recordings / "events.csv").write_text(f"{TABLE}b.avi,2.5,3.5,pause\n")
    config = configure(recordings, cut_events=False, not_annotated=("pause",))
    store = prepare(config).store
    (record,) = store.of_split("test")
    counts = dict(zip(store.class_names, record.pieces[0].counts, strict=True))
    assert counts == {"background": 25, "jump": 10, "wave": 5}, "of 50 frames, 10 are not known"
