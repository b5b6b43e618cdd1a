"""What a preparation, or a check, finds wrong with videos and tables."""

import dataclasses
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import FramesConfig, SplitConfig
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.summary import CheckReport
from pipeline.video import encode_jpeg
from tests.prepare.people import configure, of_table

posix = pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")
pytestmark = pytest.mark.usefixtures("quick_workers")


def test_too_many_bad_videos_stop_the_preparation(root):
    config = configure(root, max_bad_fraction=0.08)
    message = (
        r"1 of 12 videos would be left out, more than --max-bad-fraction 0.08; .*report\.md "
        r"says why: run/cid 1\.avi: it is text, not a video"
    )
    with pytest.raises(DataError, match=message):
        prepare(config)
    quarantine = Path(config.out) / "clipline-partial/quarantine.csv"
    assert "cid 1.avi" in quarantine.read_text(encoding="utf-8")
    fewer = dataclasses.replace(config, max_bad_fraction=0.09)
    assert len(prepare(fewer).store.manifest.rows) == 11


def test_a_copy_in_another_split_is_refused(root):
    config = configure(root)
    shutil.copyfile(root / "run/ann 1.avi", root / "run/eve 2.avi")
    message = (
        r"1 leak: run/ann 1.avi \(train run\), run/eve 2.avi \(test run\) have the same content; "
        r".*data_report.json names all. Mend the splits or remove the copies"
    )
    with pytest.raises(DataError, match=message):
        prepare(config)
    assert not (Path(config.out) / "prepare.json").exists()
    page = Path(config.out) / "clipline-partial/data_report.md"
    assert "have the same content" in page.read_text()
    report = prepare(dataclasses.replace(config, allow_leaks=True))
    assert len(report.store.leaks) == 1
    assert "1 leak between splits or labels\n  run/ann 1.avi (train run), run/eve" in str(report)


def test_copies_that_folds_of_a_run_would_part_are_refused(root):
    """Of a prepared data set, and of a table of videos."""
    shutil.copyfile(root / "run/ann 1.avi", root / "run/zoe 1.avi")
    config = configure(root, test_groups=("bob",), val_fraction=0)
    report = prepare(config)  # ann and zoe both train, which is no leak
    assert len(report.store.manifest.rows) == 12
    assert "1 video more than once in a split and class, listed in data_report.md" in str(report)
    page = (report.store.path / "data_report.md").read_text(encoding="utf-8")
    assert "- run/ann 1.avi (train run), run/zoe 1.avi (train run) are the same, or nearly" in page

    def opened(fold):
        return open_data(Path(config.out), split=SplitConfig(folds="groups", fold=fold)).leaks

    assert opened(2) == ()  # bob
    message = r"with these folds, .*ann 1.avi \(test run\), .*zoe 1.avi \(train run\) have the same"
    with pytest.raises(DataError, match=message):
        opened(1)
    prepare(dataclasses.replace(config, allow_leaks=True))
    assert len(opened(1)) == 1
    assert opened(2) == ()
    rows = [f"{row.path},{row.label},{row.group},{row.split}" for row in report.store.manifest.rows]
    table = Path(of_table(root, "path,label,group,split", *rows).path)
    frames = FramesConfig(size=16)
    assert not open_data(table, frames).leaks
    with pytest.raises(DataError, match=r"ann 1.avi \(test run\) have the same content. Remove"):
        open_data(table, frames, SplitConfig(folds="groups", fold=1))


def test_groups_that_cross_official_splits_are_refused(root):
    config = of_table(
        root,
        *("path,label,group,split", "run/ann 1.avi,run,a,train"),
        *("wälk fast/ann 1.avi,walk,a,train", "run/bob 1.avi,run,a,test"),
    )
    with pytest.raises(DataError, match="1 leak: group 'a' is in train and test. Mend the splits"):
        prepare(config)
    assert not Path(config.out).exists()
    store = prepare(dataclasses.replace(config, allow_leaks=True)).store
    assert store.leaks == ("group 'a' is in train and test",)


def test_a_table_with_parts_of_files_of_which_one_ends_early(root):
    config = of_table(
        root,  # The files are 0.8 seconds long.
        *("path,label,split,start_seconds,end_seconds", "run/ann 1.avi,run,train,0,0.4"),
        *("run/ann 1.avi,walk,train,0.4,", "run/bob 1.avi,run,test,0.2,0.7"),
        *("run/dan 1.avi,run,train,0.4,1", "run/fay 1.avi,walk,train,0.4,0.9"),
        "raw.mjpeg,run,train,0.4,0.8",
    )
    pictures = np.zeros((30, 24, 32, 3), np.uint8)  # 25 a second; how many, the file does not say.
    (root / "raw.mjpeg").write_bytes(b"".join(encode_jpeg(p, quality=95) for p in pictures))
    report = prepare(config)
    store = report.store
    assert store.num_videos == {"train": 5, "test": 1}
    rows = [(row.path.rpartition("/")[2], *row.trim_cells) for row in store.manifest.rows]
    assert rows[1:4] == [("ann 1.avi", 0, 0.4), ("ann 1.avi", 0.4, ""), ("bob 1.avi", 0.2, 0.7)]
    assert {row.group for row in store.manifest.rows} > {"run/ann 1.avi", "run/bob 1.avi"}
    assert prepare(config).up_to_date
    named = "1 damaged or shorter than asked, kept with what is: run/dan 1.avi#t=0.4,1 (4 of 6"
    assert named in str(report)
    fewer = {"fewer_frames_than_declared": 4 * store.report["fewer_frames_than_declared"]}
    several = dataclasses.replace(store, report={**store.report, **fewer})
    several = dataclasses.replace(report, store=several)
    assert str(several).count("(4 of 6 frames)") == 3  # The others are in the data report.
    lines = (store.path / "quarantine.csv").read_text(encoding="utf-8").splitlines()
    assert [line.partition("train,")[2] for line in lines[1:]] == [
        "kept,shorter than asked,decoded 4 of 6 frames: the file ends,0.4,1.0"
    ]


@posix
def test_a_table_with_backslashes_beside_which_the_data_set_lies(root):
    (root / "run\\bad.avi").write_text("no video")
    lines = ("run\\ann 1.avi,a,train", "run\\bad.avi,a,train")
    lines += ("run/bob 1.avi,a,train", "run/dan 1.avi,b,train")
    out = str(root / "data" / "mine")
    config = of_table(root, "path,label,split", *lines, out=out, max_bad_fraction=0.5)
    report = prepare(config)
    missing, bad = (video["reason"] for video in report.store.report["left_out"])
    assert missing.endswith("No such file or directory. Write its path with forward slashes.")
    assert "slashes" not in bad
    assert report.store.num_videos == {"train": 2}
    assert "no test videos: see --test-fraction" in str(report)
    assert prepare(config).up_to_date


def test_a_check_reports_and_prepares_nothing(root):
    shutil.copyfile(root / "run/ann 1.avi", root / "run/eve 2.avi")
    waits = cv2.Animation()
    waits.frames = [np.full((24, 32, 3), level, np.uint8) for level in (50, 100, 150)]
    waits.durations = [200, 600_000, 200]  # milliseconds
    cv2.imwriteanimation(str(root / "run" / "dan 2.gif"), waits)
    config = configure(root, check=True, max_bad_fraction=0.01)
    report = check_videos(config)
    text = str(report)
    assert text.splitlines()[:2] == [
        "13 readable videos, 1 that would be left out",
        "  run/cid 1.avi: it is text, not a video; it starts with 'no video'.",
    ]
    assert "1 of 14 videos would be left out, more than --max-bad-fraction 0.01" in text
    assert "have the same content" in text
    assert "1 with a clock that jumps, kept without the gaps: run/dan 2.gif" in text
    quarantine = Path(config.out, "check", "quarantine.csv").read_text(encoding="utf-8")
    assert "dan 2.gif,run,val,kept,damaged,its clock jumps ahead" in quarantine
    assert sorted(path.name for path in Path(config.out).rglob("*")) == [
        "check",
        "data_report.json",
        "data_report.md",
        "quarantine.csv",
    ]


def test_a_single_class_is_refused(root):
    config = of_table(root, "path,label", "run/ann 1.avi,run", "run/bob 1.avi,run")
    for make in (prepare, check_videos):
        with pytest.raises(DataError, match="expected two classes or more, got only 'run'"):
            make(config)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such folder")
def test_a_check_that_cannot_be_written_reads_no_video(root, monkeypatch, hold):
    monkeypatch.setattr("pipeline.prepare.preparation._plan", pytest.fail)
    with pytest.raises(ConfigError, match=r"^/proc/y cannot be written: .* another folder \(--out"):
        check_videos(dataclasses.replace(configure(root, check=True), out="/proc/y"))
    config = configure(root, check=True)
    Path(config.out).mkdir()
    Path(config.out, "check").touch()
    with pytest.raises(PipelineError, match=r"check: File exists. .* run the same command again.$"):
        check_videos(config)
    Path(config.out, "check").unlink()
    Path(config.out, "check").symlink_to("/proc")
    with pytest.raises(PipelineError, match=r"check/data_report.md: No such"):
        check_videos(config)
    Path(config.out, "check").unlink()
    hold(Path(config.out))
    with pytest.raises(ConfigError, match="another process is preparing or checking .*out. Wait"):
        check_videos(config)


def test_a_name_of_two_lines_takes_one_in_a_list():
    fewer = {"video": "two\nlines.avi", "decoded": 1, "declared": 3, "damaged": False}
    empty = ("left_out", "repeating", "broken_clocks", "leaks", "copies")
    report = {"total": {"videos": 1}, "splits": {}, **{name: [] for name in empty}}
    report["fewer_frames_than_declared"] = [fewer]
    text = str(CheckReport(report=report, folder=Path("check"), obstacle=""))
    assert "  two\\u000alines.avi (1 of 3 frames)" in text.splitlines()


def test_a_check_needs_no_labels(root):
    config = configure(root / "run", "checked", check=True, group_regex="", test_groups=())
    report = check_videos(config)
    assert report.report["total"]["videos"] == 5
    assert not report.report["splits"]
    assert not report.report["leaks"]
    assert (report.folder / "data_report.md").is_file()
