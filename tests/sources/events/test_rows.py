"""Events as parts of their videos: what is cut, what is left out, and a data set of them."""

import dataclasses
import json
import re
import shutil
from contextlib import nullcontext

import numpy as np
import pytest

from pipeline.cli.prepare import main
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.recordings import recording_labels
from pipeline.errors import ConfigError, DataError
from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.prepare.preparation import prepare
from pipeline.sources.events.report import report_lines
from pipeline.sources.events.rows import scan_events
from pipeline.sources.reading import folder_of_videos, read_manifest
from pipeline.video import write_video
from pipeline.video.paths import LeftOutWarning

HEAD = "video,start_seconds,end_seconds,label\n"
OF_A = """a.avi,0,1,wave
a.avi,0.95,2,jump
a.avi,2,3,wave
a.avi,3,4,jump
a.avi,3.5,4.5,wave
a.avi,4.8,4.8,wave
"""
TABLE = f"{HEAD}{OF_A}b.avi,1,2,jump\nb.avi,3,4,wave\n"


def render(folder):
    """Two recordings of five seconds."""
    folder.mkdir()
    for seed, name in enumerate(("a.avi", "b.avi")):
        frames = np.random.default_rng(seed).integers(256, size=(50, 2, 2, 3), dtype=np.uint8)
        frames = frames.repeat(8, axis=1).repeat(8, axis=2)
        write_video(folder / name, frames, fps=10, codec="FFV1")


@pytest.fixture
def root(made, tmp_path, in_this_process):
    """A folder with recordings in `videos`, of which everything is done in this process."""
    shutil.copytree(made("recordings of events", render), tmp_path / "videos")
    return tmp_path


def mark(root, table=TABLE):
    """Writes what happens in the recordings."""
    (root / "events.csv").write_text(table)


def scan(root, table=TABLE, **options):
    mark(root, table)
    return scan_events(root / "events.csv", root / "videos", **options)


def cut(manifest):
    return [(row.group, row.start_seconds, row.end_seconds, row.label) for row in manifest.rows]


def configure(root, table=TABLE, **options):
    mark(root, table)
    return PrepareConfig(
        source="events",
        path=str(root / "events.csv"),
        out=str(root / "out"),
        size=16,
        fps=10,
        workers=1,
        **{"videos": str(root / "videos"), "test_groups": ("b.avi",), **options},
    )


def page_of(root):
    return (root / "out" / "data_report.md").read_text()


def test_each_event_is_a_part_of_its_video_and_without_that_it_is_left_out(root):
    manifest = scan(root, cut=True)
    of_a = [(0, 1, "wave"), (1, 2, "jump"), (2, 3, "wave")]  # Each begins where another ends.
    of_b = [(1, 2, "jump"), (3, 4, "wave")]
    assert cut(manifest) == [("a.avi", *e) for e in of_a] + [("b.avi", *e) for e in of_b]
    found = manifest.annotations["recordings"][0]  # What is left out is told.
    assert found["events"]["wave"] == {"count": 4, "points": 1, "total": 3.0}
    assert found["overlaps"]["jump + wave"] == pytest.approx(0.55)
    at_once = found["notices"]["two labels at once"]
    assert [text.partition(" at ")[0] for text in at_once] == ["a.avi: jump", "a.avi: wave"]
    assert "--point-seconds" in found["notices"]["POINT"][0]
    rows = cut(scan(root, cut=True, point_seconds=0.2))
    assert ("a.avi", pytest.approx(4.7), pytest.approx(4.9), "wave") in rows
    point, wave = f"{HEAD}a.avi,1,1,wave\n", f"{HEAD}a.avi,1,2,wave\n"
    for table, options, message in (
        (point, {"cut": True}, "they are points in time. Give them .*--point-seconds"),
        (wave, {"not_annotated": ("wave",)}, r"nothing is known where they hold \(--not-ann"),
        (wave, {"not_annotated": ("wvae",)}, "no event has the label 'wvae'. Did you mean 'wave'"),
        (f"{HEAD}a.avi,7,8,wave\n", {}, "none: events past the end of the video left out; a check"),
    ):
        warned = pytest.warns(LeftOutWarning) if "not_annotated" not in options else nullcontext()
        with warned, pytest.raises(DataError, match=message):
            scan(root, table, **options)
    with pytest.raises(DataError, match="expected events to learn from"):
        scan(root, f"{HEAD}b.avi,,,\n", background="rest")
    (root / "videos" / "b.avi").rename(root / "videos" / "bb.avi")
    with pytest.warns(LeftOutWarning, match=r"b.avi is not there; the nearest name is bb.avi"):
        found = scan(root, cut=True)
    assert {row.group for row in found.rows} == {"a.avi"}
    assert [each["media"] for each in found.annotations["unmatched"]] == ["b.avi"]
    message = r"their videos are not below .*videos\. .*--videos"
    with pytest.warns(LeftOutWarning), pytest.raises(DataError, match=message):
        scan(root, TABLE.replace(".avi", ".mkv").replace("a.m", "x.m"), cut=True)


def test_settings_that_are_mistyped_and_a_check_that_needs_no_split(root, capsys):
    config = configure(root, videos=str(root / "vidoes"))
    with pytest.raises(ConfigError, match="--videos: .*vidoes is no folder"):
        prepare(config)
    assert folder_of_videos(configure(root, videos="")) == root
    with pytest.raises(ConfigError, match="--point-seconds must be from 0 to 3600"):
        configure(root, point_seconds=-1.0)
    mark(root, f"{HEAD}{OF_A}")
    folders = [f"--{name}={root / name}" for name in ("videos", "out")]
    source = ["--source=events", f"--path={root / 'events.csv'}", "--workers=1"]
    assert main([*source, *folders, "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "1 readable video, 0 that would be left out" in lines
    assert "group" in lines[-1]


def test_recordings_without_a_video_that_can_be_read_are_bad_ones(root):
    (root / "videos" / "c.avi").write_text("no video")
    config = configure(root, f"{TABLE}c.avi,1,2,wave\n", max_bad_fraction=0.3)
    message = "1 of 3 videos .*, more than --max-bad-fraction 0.3; .* says why: .*c.avi: "
    with pytest.warns(LeftOutWarning), pytest.raises(DataError, match=message):
        prepare(config)
    with pytest.warns(LeftOutWarning):
        report = prepare(dataclasses.replace(config, max_bad_fraction=0.34))
    lines = str(report).splitlines()
    assert "1 recording left out, without a video that can be read" in lines
    quarantine = (root / "out" / "quarantine.csv").read_text()
    assert re.search(r"^c.avi,,,left out,recording,.*c.avi: it is text", quarantine, re.M)
    assert not any(line.startswith("0 recordings") for line in lines)
    assert "c.avi" in page_of(root)
    assert "media unreadable: 1, " in page_of(root)


def test_events_behind_what_can_be_read_are_told(root):
    path = root / "videos" / "b.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = prepare(configure(root))
    assert "2 events after the end of what can be read of recordings cut short: b" in str(report)
    told = "## Events that end behind what can be read\n\n- `b.avi`: 2 events behind 0."
    assert told in page_of(root)


def test_a_data_set_of_events(root):
    report = prepare(configure(root, cut_events=True))
    splits = [(row.group, row.split) for row in report.store.manifest.rows]
    assert sorted(splits) == [("a.avi", "train")] * 3 + [("b.avi", "test")] * 2
    lines = str(report).splitlines()
    assert "2 recordings with 8 events" in lines
    assert "  2 events with two labels at once left out" in lines
    assert "  1 event without a length left out: --point-seconds" in lines
    assert any(line.endswith("wave at 4.8 is taken for a point") for line in lines)
    config = configure(root, classes=("wave",))
    fewer = prepare(dataclasses.replace(config, out=str(root / "fewer")))
    assert "2 recordings with 5 events" in str(fewer).splitlines()
    told = "## Events\n\n- `a.avi`\n  - jump: 2, 2.0 s\n"
    assert told in page_of(root).replace("2.1", "2.0")
    settings = json.loads((root / "out" / "prepare.json").read_text())["settings"]
    assert settings["videos"] == str(root / "videos")
    assert prepare(configure(root, cut_events=True)).up_to_date
    assert not prepare(configure(root, cut_events=True, point_seconds=0.2)).up_to_date


def test_recordings_are_listed_whole_with_what_holds_when_or_is_background(root):
    manifest = scan(root, background="rest")
    first, second = manifest.rows
    assert (first.label, first.group) == ("jump;rest;wave", "a.avi")
    assert (first.start_seconds, first.is_trim) == (0, False)
    assert first.annotation.events[:3] == ((0, 1, "wave"), (0.95, 2, "jump"), (2, 3, "wave"))
    assert len(first.annotation.events) == 5, "all but the one without length"
    assert second.annotation.background == "rest"
    found = manifest.annotations["recordings"][0]
    assert set(found["notices"]) == {"POINT", "without length"}, "several labels may hold at once"
    assert found["at_once"] == pytest.approx(0.55)
    with pytest.raises(ConfigError, match="--background jump is also the label of events: choose"):
        scan(root, background="jump")
    manifest = scan(root, f"{TABLE}b.avi,1.5,4.5,background\n", background="background")
    row = manifest.rows[1]
    assert [label for _, _, label in row.annotation.events] == ["jump", "wave"]
    labels = row.annotation.by_frame(10, manifest.class_names)(0, 50)
    assert (labels.sum(axis=1) == 1).all(), "background never holds beside something else"
    (told,) = manifest.annotations["recordings"][1]["notices"]["background"]
    assert told == "b.avi: 1 event, background where no other one holds"
    # That it was not the background says nothing of what it was.
    manifest = scan(root, f"{TABLE}b.avi,4,5,* background\n", background="background")
    labels = manifest.rows[1].annotation.by_frame(10, manifest.class_names)(40, 10)
    assert (labels == IGNORED_LABEL).all()


def test_each_subject_has_a_recording_of_its_own(root):
    subjects = ("subject", "ann", "ann", "bob", "bob", "bob", "ann", "ann", "")
    lines = zip(TABLE.splitlines(), subjects, strict=True)
    table = "\n".join(f"{line},{subject}" for line, subject in lines)
    store = prepare(configure(root, table, subjects=True)).store
    labels = dict(zip(store.clips, recording_labels(store, store.clips), strict=True))
    assert [clip.name for clip in store.clips] == [
        "a.avi#subject=ann",
        "a.avi#subject=bob",
        "b.avi#subject=ann",
    ]
    assert {row.group for row in store.manifest.rows} == {"a.avi", "b.avi"}
    jump = store.class_names.index("jump")
    frames = {clip.name: (each[:, jump] == 1).sum() for clip, each in labels.items()}
    assert frames["a.avi#subject=ann"] == 11, "from 0.95 to 2 s, 10 a second"
    assert frames["a.avi#subject=bob"] == 10


def test_a_recording_all_of_whose_events_are_lost_is_no_background(root):
    table = f"{HEAD}{OF_A}b.avi,1,1,wave\nb.avi,9,9,wave\n"
    reasons = "1 event past the end of .*, 1 event without a length left out: --point-seconds"
    with pytest.warns(LeftOutWarning, match=rf"b.avi: no event of it can be used: {reasons}"):
        found = scan(root, table, background="rest")
    assert [row.group for row in found.rows] == ["a.avi"]
    assert [each["media"] for each in found.annotations["unusable"]] == ["b.avi"]
    assert "b.avi" in report_lines(found.annotations)
    one = {"test_groups": (), "test_fraction": 0.0, "max_bad_fraction": 0.5}
    with pytest.warns(LeftOutWarning):
        summary = str(prepare(configure(root, table, **one)))
    assert "1 recording left out, of whose events none can be used: b.avi" in summary
    assert "left out 1" not in summary, "it is told already"
    rows = scan(root, table, background="rest", point_seconds=1.0).rows
    assert [row.group for row in rows] == ["a.avi", "b.avi"]
    rows = scan(root, f"{HEAD}{OF_A}b.avi,,,\n", background="rest").rows
    assert rows[1].labels == ("rest",), "there were none"


def test_other_classes_become_background_and_frames_that_nobody_watched_are_not_known(root):
    (first, _) = read_manifest(configure(root, classes=("wave",))).rows
    assert first.labels == ("background", "wave")
    assert {label for _, _, label in first.annotation.events} == {"wave"}
    # A semicolon in a label is no second label.
    assert scan(root, TABLE.replace("jump", "jump; high")).rows[0].labels == ("jump, high", "wave")
    config = configure(root, f"{TABLE}b.avi,2.5,3.5,pause\n", not_annotated=("pause",))
    store = prepare(config).store
    (labels,) = recording_labels(store, store.of_split("test"))
    counts = dict(zip(store.class_names, (labels == 1).sum(axis=0), strict=True))
    assert counts == {"background": 25, "jump": 10, "wave": 5}, "of 50 frames, 10 are not known"
