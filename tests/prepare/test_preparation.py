"""What a preparation makes, keeps and redoes, and what is wrong with videos, tables and folders."""

import csv
import dataclasses
import os
import re
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.config import FramesConfig, SplitConfig
from pipeline.dataset.videos import open_data, recording_frames
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.prepare import prepared
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.prepared import PARTIAL, held_open, open_prepared
from pipeline.prepare.publish import check_folder
from pipeline.prepare.summary import CheckReport
from pipeline.video import VideoReader, encode_jpeg
from tests.prepare.people import configure, decode_but_ann, of_table, render, tree, writes
from tests.prepare.recordings import config_of

posix = pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")
pytestmark = pytest.mark.usefixtures("quick_workers")


def test_prepares_class_folders_and_does_nothing_the_second_time(people, people_store, tmp_path):
    config = configure(people, tmp_path / "out", workers=2)
    report = prepare(config)
    store = report.store
    assert str(report).splitlines() == [
        f"{store.path} is ready: 11 videos, 2 classes, 6 groups",
        "  train  7 videos, 2 classes, 4 groups",
        "  val    2 videos, 2 classes, 1 group",
        "  test   2 videos, 2 classes, 1 group",
        "a random split would put 2 of 2 test videos beside training videos of the same group",
        "11 videos decoded",
        f"1 video left out, listed in {store.path}/quarantine.csv",
    ]
    assert {row.group for row in store.manifest.rows if row.split == "test"} == {"eve"}
    assert (store.frames.fps, store.frames.size, store.frames.jpeg_quality) == (5, 16, 95)
    with (store.path / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        (left_out,) = csv.DictReader(file)
    assert left_out["path"] == str(people / "run" / "cid 1.avi")
    assert (left_out["status"], left_out["problem"]) == ("left out", "unreadable")
    assert "it is text, not a video" in left_out["reason"]
    files = tree(store.path)
    assert sorted(path for path in files if "/clipline-" not in path) == [
        *("data_report.json", "data_report.md", "files.jsonl", "frames/dataset_info.json"),
        *("frames/features.json", "manifest.csv", "prepare.json", "quarantine.csv"),
    ]
    assert len(files) == 8 + 2 * 11
    assert files == tree(people_store.path), "whatever the number of workers"
    before = writes(config.out)
    again = prepare(dataclasses.replace(config, workers=1))
    assert again.up_to_date
    assert str(again).startswith(f"{config.out} is up to date: 11 videos")
    assert (writes(config.out), tree(config.out)) == (before, files)


def test_the_same_videos_elsewhere_are_the_same_data_set(people_store, root):
    """Else evaluation takes them for others that the run may have been trained on."""
    for video in root.glob("*/*"):
        os.utime(video)
    config = configure(root, "mine")
    store = prepare(config).store
    assert store.fingerprint == people_store.fingerprint
    video = root / "run" / "ann 1.avi"
    content, times = video.read_bytes(), video.stat()
    video.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # as long, and no frame differs
    os.utime(video, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert prepare(config).store.fingerprint != store.fingerprint
    video.write_bytes(content)
    assert prepare(config).store.fingerprint == store.fingerprint


def test_changed_settings_and_rights_redo_what_differs(copied, tmp_path, monkeypatch):
    changed = dataclasses.replace(copied, size=24, seed=1)
    fresh = dataclasses.replace(changed, out=str(tmp_path / "fresh"))
    report = prepare(dataclasses.replace(changed, prune=True))
    assert (report.up_to_date, report.num_decoded) == (False, 11)
    assert report.freed > 1000
    assert "MB of frames removed that no video needs" in str(report)
    assert prepare(fresh).num_decoded == 0, "a data set beside it has the same frames"
    assert tree(changed.out) == tree(fresh.out)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _: not path.endswith("bob 1.avi"))
        assert not prepare(changed).up_to_date
    assert not prepare(changed).up_to_date
    assert prepare(changed).up_to_date


@pytest.mark.parametrize(
    ("lost", "content"),
    [
        *(("frames/*.tfrecord*", b""), ("frames/*.index", b"{}"), ("frames/*.index", None)),
        *(("manifest.csv", b""), ("files.jsonl", b"["), ("prepare.json", None)),
        *((f"prepare.json {name}", b"[]") for name in ("files.jsonl", "frames/features.json")),
    ],
)
def test_what_was_lost_is_written_again(copied, people_store, lost, content):
    for path in [path for name in lost.split() for path in Path(copied.out).glob(name)]:
        path.unlink() if content is None else path.write_bytes(content)
    # Without it, only what is said of files is looked for again, once there is something to do.
    assert prepare(copied).up_to_date == (lost == "files.jsonl")
    mine, whole = tree(copied.out), tree(people_store.path)
    assert mine.keys() == whole.keys()
    same = {name for name in whole if mine[name] == whole[name]}
    assert same == whole.keys() - ({lost} if lost == "files.jsonl" else set())
    assert not open_prepared(copied.out).missing_file()
    assert prepare(copied).up_to_date


def test_a_preparation_that_fails_leaves_what_was_prepared(copied):
    before = tree(copied.out)
    videos = Path(copied.out).parent / "spoiled"
    shutil.copytree(copied.path, videos)
    for video in (videos / "run").iterdir():
        video.write_text("no video")
    spoiled = dataclasses.replace(copied, path=str(videos))
    with pytest.raises(ConfigError, match="holds a data set of other videos"):
        prepare(spoiled)
    assert tree(copied.out) == before
    with pytest.raises(DataError, match="readable training video of each class, got none of 'run'"):
        prepare(dataclasses.replace(spoiled, overwrite=True, max_bad_fraction=1))
    after = tree(copied.out)
    assert {name: after[name] for name in before} == before
    assert prepare(copied).up_to_date
    assert tree(copied.out) == before


def test_whatever_else_is_raised_at_a_video_costs_it_alone(people, tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.prepare.decode_all.decode_file", decode_but_ann)
    store = prepare(configure(people, tmp_path / "out", max_bad_fraction=0.5)).store
    lost = [each for each in store.report["left_out"] if each["problem"] == "lost"]
    assert [each["video"] for each in lost] == ["run/ann 1.avi", "wälk fast/ann 1.avi"]
    assert {each["reason"] for each in lost} == {"there is not enough memory to decode it."}


def test_frames_that_are_too_large_are_left_out_unless_they_are_allowed(people, tmp_path):
    with pytest.raises(ConfigError, match="--max-pixels must be at least 1"):
        configure(people, max_pixels=0)
    config = configure(people, tmp_path / "large", fps=0.0, max_pixels=32 * 24 - 1)
    (*others, text) = sorted(each["reason"] for each in check_videos(config).report["left_out"])
    assert len(others) == 11
    assert text.startswith("its frames have 32 x 24 pixels, 768 in all, and 767 are allowed; allow")
    assert "allow more with --max-pixels, or make them smaller" in text
    config = dataclasses.replace(config, max_pixels=32 * 24)
    assert len(check_videos(config).report["left_out"]) == 1


def test_what_another_preparation_left_behind_is_never_put_in_place(root, monkeypatch):
    """Shards of one name but of another split would bring test videos into training."""

    def die(*_, **__):
        raise KeyboardInterrupt

    config = configure(root)
    prepare(config)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.prepare.preparation.put_in_place", die)
        with pytest.raises(KeyboardInterrupt):
            prepare(dataclasses.replace(config, seed=5, test_groups=("ann",)))
    os.utime(root / "run" / "eve 1.avi")
    prepare(config)
    fresh = configure(root, "fresh")
    prepare(fresh)
    mine, wanted = (
        {name: data for name, data in tree(each.out).items() if "clipline-" in name}
        for each in (config, fresh)
    )
    assert mine == wanted
    rows = [splits_of(open_prepared(each.out)) for each in (config, fresh)]
    assert rows[0] == rows[1]


def test_nothing_but_new_pixels_is_ever_decoded(root):
    config = configure(root)
    prepare(config)
    frames = writes(config.out)
    (root / "run").rename(root / "sprint")
    report = prepare(config)
    assert report.store.class_names == ("sprint", "wälk fast")
    shutil.move(root / "sprint" / "ann 1.avi", root / "wälk fast" / "ann 2.avi")
    for changes in (
        {},
        {"test_groups": ("ann",)},
        {"test_groups": (), "folds": 3, "fold": 2},
        {"test_groups": (), "val_fraction": 0.0, "test_fraction": 0.4},
        {"group_regex": r"(\w+ \d)", "test_groups": ("eve 1",), "seed": 3},
    ):
        report = prepare(dataclasses.replace(config, **changes))
        assert (report.up_to_date, report.num_decoded) == (False, 0), changes
        assert "0 videos decoded" in str(report)
    assert writes(config.out) == frames
    render(root / "sprint" / "gus 1.avi", 97)
    assert prepare(config).num_decoded == 1
    (root / "sprint" / "gus 1.avi").unlink()
    assert prepare(config).freed is None
    pruning = dataclasses.replace(config, prune=True)
    report = prepare(pruning)
    assert report.up_to_date
    assert report.freed > 1000
    assert writes(config.out) == frames
    assert prepare(pruning).freed == 0
    assert not open_prepared(config.out).missing_file()


def test_two_data_sets_of_the_same_videos_share_frames_and_stay_whole_alone(root):
    first = configure(root, "a/first")
    prepare(first)
    for report in (
        prepare(configure(root, "a/beside", test_groups=("ann",))),
        prepare(configure(root, "b/named", frames=first.out)),
        prepare(configure(root, "c/named", frames=f"{first.out}/frames")),
    ):
        assert report.num_decoded == 0
    sizes = [file.stat().st_nlink for file in Path(first.out).glob("frames/*.tfrecord*")]
    assert set(sizes) == {4}
    shutil.rmtree(first.out)
    elsewhere = shutil.copytree(root.parent / "b" / "named", root.parent / "elsewhere")
    store = open_prepared(elsewhere)
    for clip in store.clips:
        assert recording_frames(store, clip, [0, clip.num_frames - 1])
    for wrong in (root, root / "nothing"):
        with pytest.raises(ConfigError, match="--frames: (no frames|expected the folder)"):
            prepare(configure(root, "e/named", frames=str(wrong)))
    assert prepare(configure(root, "d/alone")).num_decoded == 11


def test_videos_added_changed_and_removed_decode_what_is_new(root):
    config = configure(root)
    first = prepare(config).store
    before = writes(config.out)
    (root / "run" / "dan 1.avi").unlink()
    render(root / "run" / "bob 1.avi", 99)
    render(root / "wälk fast" / "gus 1.avi", 97)
    report = prepare(config)
    assert report.store.report["changes"] == {
        "added": ["wälk fast/gus 1.avi"],
        "changed": ["run/bob 1.avi"],
        "removed": ["run/dan 1.avi"],
    }
    assert "since the last time: 1 added, 1 changed, 1 removed" in str(report)
    assert "since the last time" not in str(prepare(config))
    quarantine = (Path(config.out) / "quarantine.csv").read_text(encoding="utf-8")
    assert re.search(r"bob 1.avi,run,\w+,kept,changed,the file changed since", quarantine)
    after = writes(config.out)
    assert {name: after[name] for name in before} == before
    assert (report.num_decoded, len(after) - len(before)) == (2, 2)
    assert splits_of(report.store) == {**splits_of(first), "gus": "train"}


def splits_of(store):
    return {row.group: row.split for row in store.manifest.rows}


def test_neither_more_classes_nor_fewer_videos_nor_a_lost_file_cost_the_splits(root):
    config = configure(root, test_groups=(), test_fraction=0.3, val_fraction=0)
    for number in range(7):
        for label in ("run", "wälk fast", "jump"):
            render(root / label / f"new{number} 1.avi", 100 + 10 * number + len(label))
    some = splits_of(prepare(dataclasses.replace(config, classes=("run", "wälk fast"))).store)
    everything = splits_of(prepare(config).store)
    assert {group: everything[group] for group in some} == some
    for video in root.glob("*/new[0-2]*"):
        video.unlink()
    fewer = splits_of(prepare(config).store)
    assert fewer == {group: everything[group] for group in fewer}
    next(Path(config.out).glob("frames/*.tfrecord*")).unlink()
    assert splits_of(prepare(config).store) == fewer
    fresh = dataclasses.replace(config, out=str(root.parent / "fresh"))
    assert splits_of(prepare(fresh).store) != fewer, "a fresh draw gives other splits"


def test_no_more_frames_are_stored_than_nearly_all_videos_have(root):
    config = configure(root, fps=0.0, test_groups=("cid",), val_fraction=0)  # They have 10.
    report = prepare(config)
    assert "  test   1 video, 1 class (none of run), 1 group" in str(report).splitlines()
    assert report.store.frames.fps == 10
    assert "10 frames a second are stored, as many as nearly all videos have (--fps)" in str(report)
    assert not report.store.report["repeating"]
    assert prepare(config).up_to_date
    assert prepare(dataclasses.replace(config, seed=3)).num_decoded == 0, "the rate is known"
    report = prepare(dataclasses.replace(config, fps=15.0))
    assert "11 videos of fewer frames a second than are stored, so that some repeat" in str(report)


def test_some_classes_only_replace_no_data_set_of_more(root):
    for number, video in enumerate(sorted((root / "run").iterdir())):
        render(root / "jump" / video.name, 100 + number)
    config = configure(root)
    prepare(config)
    before = tree(config.out)
    fewer = dataclasses.replace(config, classes=("wälk fast", "jump"))
    message = r"--classes: .*/out also holds videos of 'run', which would go. Name another"
    with pytest.raises(ConfigError, match=message):
        prepare(fewer)
    assert tree(config.out) == before
    same = dataclasses.replace(config, classes=("jump", "run", "wälk fast"))
    assert prepare(same).store.class_names == ("jump", "run", "wälk fast")
    store = prepare(dataclasses.replace(fewer, overwrite=True)).store
    assert (store.class_names, store.report["total"]["videos"]) == (("jump", "wälk fast"), 12)
    again = dataclasses.replace(config, classes=("jump", "wälk fast", "jump"))
    assert prepare(again).up_to_date, "neither their order nor repeats matter"
    assert len(prepare(config).store.class_names) == 3, "more classes take nothing away"
    shutil.rmtree(root / "jump")
    assert len(prepare(config).store.class_names) == 2, "its videos went, which is told"
    with pytest.raises(DataError, match="no videos of class 'ru'. Did you mean 'run'?"):
        prepare(dataclasses.replace(config, classes=("wälk fast", "ru")))
    with pytest.raises(DataError, match="have no labels to choose classes by"):
        check_videos(dataclasses.replace(fewer, path=str(root / "run"), check=True))


def test_only_a_data_set_of_recordings_may_lie_beside_them(people, recording_store, tmp_path):
    for out in ("", "out"):
        with pytest.raises(ConfigError, match="--out: expected a folder outside of .*, where the"):
            prepare(configure(people, people / out))
    with pytest.raises(DataError, match="avi is not a folder. Expected one folder a class"):
        prepare(configure(next(people.glob("*/*.*")), tmp_path / "out"))
    root = shutil.copytree(recording_store.path.parent / "videos", tmp_path / "videos")
    table = config_of(root, root / "data" / "a", size=32)
    assert not check_videos(table).obstacle
    assert prepare(table).store.num_videos == recording_store.num_videos
    folder = dataclasses.replace(table, path=str(root), out=str(root / "data" / "b"))
    assert prepare(folder).store.num_videos == recording_store.num_videos


@posix
def test_no_pipe_is_waited_for_and_a_picture_is_told(root):
    os.mkfifo(root / "run" / "pipe 1.avi")
    picture = encode_jpeg(np.zeros((32, 32, 3), np.uint8), quality=90)
    (root / "run" / "pic 1.mp4").write_bytes(picture)
    report = prepare(configure(root, max_bad_fraction=0.2))
    assert "1 video of one frame, as of a picture (--min-frames 2 leaves them out)" in str(report)
    quarantine = (report.store.path / "quarantine.csv").read_text(encoding="utf-8")
    assert re.search(r"pipe 1.avi,run,\w+,left out,unreadable,.*a pipe or a device", quarantine)
    assert re.search(r"pic 1.mp4,run,\w+,kept,a picture,it has one frame", quarantine)


def test_too_many_bad_videos_or_a_copy_in_another_split_stop_the_preparation(root):
    config = configure(root, max_bad_fraction=0.08)
    message = r"1 of 12 .* more than --max-bad-fraction 0.08; .*\.md says why: run/cid 1\.avi: it"
    with pytest.raises(DataError, match=message):
        prepare(config)
    quarantine = Path(config.out) / "clipline-partial/quarantine.csv"
    assert "cid 1.avi" in quarantine.read_text(encoding="utf-8")
    fewer = dataclasses.replace(config, max_bad_fraction=0.09)
    assert len(prepare(fewer).store.manifest.rows) == 11
    config = configure(root, "other")
    shutil.copyfile(root / "run/ann 1.avi", root / "run/eve 2.avi")
    message = r"1 leak: run/ann 1.avi \(.*, run/eve 2.avi \(.* content; .*json names all. Mend the"
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
    given = {"frames": FramesConfig(size=16), "cache": root.parent / "cache"}
    assert not open_data(table, **given).leaks
    with pytest.raises(DataError, match=r"zoe 1.avi \(train run\) have the same content. Remove"):
        open_data(table, split=SplitConfig(folds="groups", fold=1), **given)


def test_groups_that_cross_official_splits_and_a_single_class_are_refused(root):
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
    config = of_table(root, "path,label", "run/ann 1.avi,run", "run/bob 1.avi,run")
    for make in (prepare, check_videos):
        with pytest.raises(DataError, match="expected two classes or more, got only 'run'"):
            make(config)


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


def test_a_check_reports_keeps_what_it_decoded_and_needs_no_labels(root):
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
    names = ["data_report.json", "data_report.md", "files.jsonl", "quarantine.csv"]
    assert sorted(path.name for path in Path(config.out, "check").iterdir()) == names
    assert sorted(path.name for path in Path(config.out).iterdir()) == ["check", "frames"]
    preparing = dataclasses.replace(config, check=False, max_bad_fraction=0.1, allow_leaks=True)
    report = prepare(preparing)
    assert (report.num_decoded, len(report.store.clips)) == (0, 13)
    config = configure(root / "run", "checked", check=True, group_regex="", test_groups=())
    report = check_videos(config)
    assert report.report["total"]["videos"] == 7
    assert not report.report["splits"]
    assert not report.report["leaks"]
    assert (report.folder / "data_report.md").is_file()
    # A name of two lines takes one in a list.
    fewer = {"video": "two\nlines.avi", "decoded": 1, "declared": 3, "damaged": False}
    empty = ("left_out", "repeating", "broken_clocks", "leaks", "copies")
    report = {"total": {"videos": 1}, "splits": {}, **{name: [] for name in empty}}
    report["fewer_frames_than_declared"] = [fewer]
    text = str(CheckReport(report=report, folder=Path("check"), obstacle=""))
    assert "  two\\u000alines.avi (1 of 3 frames)" in text.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such folder")
def test_a_check_that_cannot_be_written_reads_no_video(root, monkeypatch, hold):
    monkeypatch.setattr("pipeline.prepare.preparation._decoded", pytest.fail)
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


SPLITS = {
    "run/ann 1.avi": "train",
    "run/cid 1.avi": "val",  # It cannot be read.
    "run/dan 1.avi": "test",
    "wälk fast/ann 1.avi": "train",
    "wälk fast/cid 1.avi": "train",
    "wälk fast/fay 1.avi": "train",
}


def test_tensorflow_datasets_reads_a_store_whose_validation_has_no_readable_video(root):
    lines = [f"{name},{name.split('/')[0]},{name},{split}" for name, split in SPLITS.items()]
    config = of_table(root, "path,label,group,split", *lines, fps=5.0)
    config = dataclasses.replace(config, max_bad_fraction=0.2)
    store = prepare(config).store
    assert store == open_prepared(config.out)
    readable = {name: split for name, split in SPLITS.items() if split != "val"}
    assert [row.path for row in store.manifest.rows] == [str(root / name) for name in readable]
    found = {}
    builder = tfds.builder_from_directory(store.frames_folder)
    names = {clip.frames: clip for clip in store.clips}
    for chunk in tfds.as_numpy(builder.as_dataset(split="all")):
        clip = names[chunk["video"].decode()]
        found[clip.name] = clip.row.split
        assert chunk["file"].decode() == Path(clip.row.path).name
        assert (chunk["first_frame"], chunk["fps"]) == (0, 10)
        with VideoReader(clip.row.path) as reader:
            frames = np.stack(list(reader.frames(fps=5, size=(16, 16))))
        assert chunk["frames"].shape == frames.shape == (4, 16, 16, 3)
        assert np.abs(chunk["frames"].astype(int) - frames).mean() < 8
    assert found == readable
    assert prepare(config).up_to_date


def test_stale_files_are_cleared_and_what_is_put_in_place_meanwhile_is_noticed(copied, monkeypatch):
    out = Path(copied.out)
    (out / PARTIAL).mkdir()
    old = ("clipline-train.tfrecord-00000-of-00001", "features.json", "shards/x.json")
    (out / "shards").mkdir()
    for name in (*old, "frames/clipline-x.index.0a.tmp", "notes.txt"):
        (out / name).touch()
    prepare(dataclasses.replace(copied, seed=1))
    names = ["data_report.json", "data_report.md", "files.jsonl", "frames", "manifest.csv"]
    names += ["notes.txt", "prepare.json", "quarantine.csv"]
    assert sorted(path.name for path in out.iterdir()) == names, "nor what older versions stored"
    assert not list(out.glob("frames/*.tmp"))
    with held_open():
        assert open_prepared(copied.out) is open_prepared(copied.out)
    describe = prepared.describe_prepared

    def described_before(out):
        found = describe(out)
        os.utime(Path(out, "prepare.json"), ns=(0, 1))  # as a preparation that has ended since
        return found

    monkeypatch.setattr(prepared, "describe_prepared", described_before)
    with pytest.raises(DataError, match=r"out: is being prepared\. Run the same command again"):
        open_prepared(copied.out)


def test_a_folder_that_holds_something_else_is_refused(people_store, tmp_path):
    origin = {name: people_store.settings[name] for name in ("source", "path")}
    check_folder(tmp_path / "new", origin, overwrite=False)
    check_folder(tmp_path, origin, overwrite=False)
    (tmp_path / "killed" / "frames").mkdir(parents=True)  # before any frame was written
    check_folder(tmp_path / "killed", origin, overwrite=False)
    (tmp_path / "notes.txt").touch()
    for folder in ("shards", "partial"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train-0001.json").touch()
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds something else than a data set. Name a new"):
            check_folder(tmp_path, origin, overwrite=overwrite)
    with pytest.raises(ConfigError, match=r"notes.txt is a file. Name a folder"):
        check_folder(tmp_path / "notes.txt", origin, overwrite=True)
    check_folder(people_store.path, origin, overwrite=False)
    other, old = {**origin, "path": "/other"}, origin["path"]
    with pytest.raises(ConfigError, match=rf"of other videos \(folder {old}\).* --overwrite"):
        check_folder(people_store.path, other, overwrite=False)
    check_folder(people_store.path, other, overwrite=True)


CHECKED = ("manifest.csv", "data_report.json")
CHANGED = "missing, or changed since it was written"
OTHER = "prepared by another version.* Run the same clipline"
DAMAGED = r"prepare.json: damaged. Run the same clipline"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("frames/*tfr*", lambda whole: whole[:-1], r"00001: missing or cut off\. Run the same"),
        ("frames/*.index", None, r"index: missing or cut off\. Run the same"),
        *((file, lambda whole: whole[:-2] + b"xx", CHANGED) for file in CHECKED),
        ("prepare.json", lambda _: b"[]", DAMAGED),
        ("prepare.json", lambda _: b'{"settings": null}', DAMAGED),
        ("prepare.json", lambda whole: whole[:-5], DAMAGED),
        ("prepare.json", lambda whole: whole.replace(b'"format": 6', b'"format": 5'), OTHER),
        ("prepare.json", lambda whole: whole.replace(b'"format": 6,', b""), OTHER),
        ("prepare.json", None, r"not finished, or is going on\. Run the same"),
    ],
)
def test_store_that_is_not_whole(copied, file, change, message):
    for path in Path(copied.out).glob(file):
        path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(DataError, match=message):
        open_prepared(copied.out)


def test_videos_that_are_not_prepared_are_the_ones_to_prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="not a prepared data set. Make one with: clipline"):
        open_prepared(tmp_path)
    for folder in ("V", "data/V"):
        video = Path(folder, "walk", "1.MP4")
        video.parent.mkdir(parents=True)
        video.touch()
    with pytest.raises(DataError, match=r"--source folder --path V --out data/V$"):
        open_prepared("V")
    with pytest.raises(DataError, match=r"--source folder --path data/V --out data/NAME$"):
        open_prepared("data/V")
