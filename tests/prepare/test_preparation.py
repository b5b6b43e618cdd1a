"""What a preparation makes, keeps and redoes."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from pipeline.config.prepare import PrepareConfig
from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.prepared import Store, open_store
from pipeline.prepare.summary import PrepareReport
from tests.prepare.people import configure, render, tree, writes

VIDEOS = os.environ.get("PIPELINE_VIDEOS")


def test_prepares_class_folders(prepared: PrepareReport) -> None:
    store = prepared.store

    assert str(prepared).splitlines() == [
        f"{store.path} is ready: 11 videos, 2 classes, 6 groups",
        "  train  7 videos, 2 classes, 4 groups",
        "  val    2 videos, 2 classes, 1 group",
        "  test   2 videos, 2 classes, 1 group",
        "a random split would put 2 of 2 test videos beside training videos of the same group",
        f"1 video left out, listed in {store.path}/quarantine.csv",
    ]
    assert {row.group for row in store.manifest.rows if row.split == "test"} == {"eve"}
    assert (store.frames.fps, store.frames.size, store.frames.jpeg_quality) == (5, 16, 95)
    with (store.path / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        (left_out,) = csv.DictReader(file)
    assert left_out["path"] == str(store.path.parent / "videos" / "run" / "cid 1.avi")
    assert (left_out["status"], left_out["problem"]) == ("left out", "unreadable")
    assert "it is text, not a video" in left_out["reason"]
    assert sorted(path for path in tree(store.path) if "shards/" not in path) == [
        "clipline-test.tfrecord-00000-of-00001",
        "clipline-train.tfrecord-00000-of-00004",
        "clipline-train.tfrecord-00001-of-00004",
        "clipline-train.tfrecord-00002-of-00004",
        "clipline-train.tfrecord-00003-of-00004",
        "clipline-val.tfrecord-00000-of-00001",
        "data_report.json",
        "data_report.md",
        "dataset_info.json",
        "features.json",
        "label.labels.txt",
        "manifest.csv",
        "prepare.json",
        "quarantine.csv",
    ]


def test_split_that_lacks_a_class_says_so(root: Path) -> None:
    report = prepare(configure(root, test_groups=("cid",), val_fraction=0))

    assert "  test   1 video, 1 class (none of run), 1 group" in str(report).splitlines()


def test_second_run_does_nothing(prepared: PrepareReport) -> None:
    config = configure(prepared.store.path.parent / "videos")
    before, files = writes(config.out), tree(config.out)

    report = prepare(dataclasses.replace(config, workers=1))

    assert report.up_to_date
    assert str(report).startswith(f"{config.out} is up to date: 11 videos")
    assert (writes(config.out), tree(config.out)) == (before, files)


def test_bytes_do_not_depend_on_the_number_of_workers(
    prepared: PrepareReport, tmp_path: Path
) -> None:
    config = configure(prepared.store.path.parent / "videos")
    config = dataclasses.replace(config, out=str(tmp_path / "out"), workers=1)

    prepare(config)

    assert tree(config.out) == tree(prepared.store.path)


def test_the_same_videos_elsewhere_are_the_same_data_set(
    prepared: PrepareReport, tmp_path: Path
) -> None:
    """Else evaluation takes them for others that the run may have been trained on."""
    root = tmp_path / "elsewhere"
    shutil.copytree(prepared.store.settings["path"], root)  # at another time
    for video in root.glob("*/*"):
        os.utime(video)
    config = configure(root, "mine", workers=1)
    store = prepare(config).store
    assert store.fingerprint == prepared.store.fingerprint

    video = root / "run" / "ann 1.avi"
    content, times = video.read_bytes(), video.stat()
    video.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # as long, and no frame differs
    os.utime(video, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert prepare(config).store.fingerprint != store.fingerprint
    video.write_bytes(content)
    assert prepare(config).store.fingerprint == store.fingerprint


def test_changed_settings_redo_what_differs(copied: PrepareConfig, tmp_path: Path) -> None:
    changed = dataclasses.replace(copied, size=24, shard_videos=3, seed=1)
    fresh = dataclasses.replace(changed, out=str(tmp_path / "fresh"))

    assert not prepare(changed).up_to_date
    prepare(fresh)

    assert tree(changed.out) == tree(fresh.out)


@pytest.mark.parametrize(
    ("lost", "content"),
    [
        *(("clipline-test*", b""), ("features.json", b"{}"), ("manifest.csv", b"")),
        *(("prepare.json", content) for content in (b"", b"{}", b"[]")),
        *(("shards/*train*2-of*", content) for content in (b"", b"{}", b"[]")),
    ],
)
def test_what_was_lost_is_written_again(
    copied: PrepareConfig, prepared: PrepareReport, lost: str, content: bytes
) -> None:
    for path in Path(copied.out).glob(lost):
        path.write_bytes(content)
        if "shards" in lost:
            (Path(copied.out) / "prepare.json").unlink(missing_ok=True)

    assert not prepare(copied).up_to_date
    assert tree(copied.out) == tree(prepared.store.path)


def test_a_data_set_of_another_version_is_prepared_anew(
    copied: PrepareConfig, prepared: PrepareReport
) -> None:
    state = Path(copied.out) / "prepare.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "format": 4}))

    assert not prepare(copied).up_to_date
    assert tree(copied.out) == tree(prepared.store.path)


def test_a_preparation_that_fails_leaves_what_was_prepared(copied: PrepareConfig) -> None:
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


def kill_before_it_is_put_in_place(config: PrepareConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.prepare.preparation.finish_store", die)
        with pytest.raises(KeyboardInterrupt):
            prepare(config)


def test_what_another_preparation_left_behind_is_never_put_in_place(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shards of one name but of another split would bring test videos into training."""
    config = configure(root)
    prepare(config)
    other = dataclasses.replace(config, seed=5, test_groups=("ann",))
    kill_before_it_is_put_in_place(other, monkeypatch)
    os.utime(root / "run" / "eve 1.avi")

    prepare(config)

    fresh = configure(root, "fresh")
    prepare(fresh)
    mine, wanted = tree(config.out), tree(fresh.out)
    shards = [name for name in wanted if "clipline-" in name]
    assert {name: mine.get(name) for name in shards} == {name: wanted[name] for name in shards}
    assert len(shards) == len([name for name in mine if "clipline-" in name])


def test_videos_added_changed_and_removed_redo_their_shards_only(root: Path) -> None:
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
    assert before.keys() == after.keys()
    assert 1 <= sum(before[name] != after[name] for name in before) <= 4
    splits = {row.group: row.split for row in report.store.manifest.rows}
    assert splits == {**{row.group: row.split for row in first.manifest.rows}, "gus": "train"}


def test_classes_that_are_added_leave_groups_in_their_splits(root: Path) -> None:
    config = configure(root, test_groups=(), test_fraction=0.3, val_fraction=0)
    for number in range(7):
        for label in ("run", "wälk fast", "jump"):
            render(root / label / f"new{number} 1.avi", 100 + 10 * number + len(label))
    some = prepare(dataclasses.replace(config, classes=("run", "wälk fast"))).store
    everything = prepare(config).store
    before, after = (
        {row.group: row.split for row in store.manifest.rows} for store in (some, everything)
    )
    assert {group: after[group] for group in before} == before
    others = prepare(dataclasses.replace(config, out=str(root.parent / "fresh"))).store.manifest
    assert others != everything.manifest, "a fresh draw gives other splits"


def test_a_report_that_is_gone_or_damaged_is_made_again(root: Path) -> None:
    config = configure(root)
    prepare(config)
    whole = tree(config.out)
    reports = sorted((Path(config.out) / "shards").iterdir())
    reports[0].unlink()
    reports[1].write_text("{")

    assert not prepare(config).up_to_date
    assert tree(config.out).keys() == whole.keys()
    assert open_store(config.out).records
    assert prepare(config).up_to_date


def test_a_lost_shard_does_not_cost_the_splits(root: Path) -> None:
    config = configure(root, test_groups=(), test_fraction=0.3, val_fraction=0)
    for number in range(7):
        render(root / "run" / f"new{number} 1.avi", 100 + number)
    prepare(config)
    for video in root.glob("*/new*"):
        video.unlink()
    before = prepare(config).store.manifest
    others = prepare(dataclasses.replace(config, out=str(root.parent / "fresh"))).store.manifest
    assert before != others  # A fresh draw gives other splits.
    next(Path(config.out).glob("clipline-train*")).unlink()

    assert prepare(config).store.manifest == before


def test_a_file_that_may_be_read_now_is_tried_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(root)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _: not path.endswith("bob 1.avi"))
        prepare(config)
    assert not prepare(config).up_to_date
    assert prepare(config).up_to_date


def test_no_more_frames_are_stored_than_nearly_all_videos_have(root: Path) -> None:
    config = configure(root, fps=0.0, workers=1)  # They have 10 a second.

    report = prepare(config)

    assert report.store.frames.fps == 10
    assert "10 frames a second are stored, as many as nearly all videos have (--fps)" in str(report)
    assert not report.store.report["repeating"]
    assert prepare(config).up_to_date

    report = prepare(dataclasses.replace(config, fps=15.0))

    assert "11 videos of fewer frames a second than are stored, so that some repeat" in str(report)


def test_some_classes_only(root: Path) -> None:
    shutil.copytree(root / "run", root / "jump")
    for number, video in enumerate(sorted((root / "jump").iterdir())):
        render(video, 100 + number)
    config = configure(root, classes=("wälk fast", "jump"), group_regex="")
    store = prepare(dataclasses.replace(config, test_groups=())).store
    assert store.class_names == ("jump", "wälk fast")
    assert store.report["total"]["videos"] == 12
    again = dataclasses.replace(config, test_groups=(), classes=("jump", "wälk fast", "jump"))
    assert prepare(again).up_to_date, "neither their order nor repeats matter"
    with pytest.raises(DataError, match="no videos of class 'jum'. Did you mean 'jump'?"):
        prepare(dataclasses.replace(config, classes=("run", "jum")))
    with pytest.raises(DataError, match="have no labels to choose classes by"):
        check_videos(dataclasses.replace(config, path=str(root / "run"), check=True))


def test_fewer_classes_replace_no_data_set_of_more(root: Path) -> None:
    for number, video in enumerate(sorted((root / "run").iterdir())):
        render(root / "jump" / video.name, 100 + number)
    config = configure(root)
    prepare(config)
    before = tree(config.out)
    fewer = dataclasses.replace(config, classes=("jump", "run"))
    message = r"--classes: .*/out also holds videos of 'wälk fast', which would go. Name another"
    with pytest.raises(ConfigError, match=message):
        prepare(fewer)
    assert tree(config.out) == before

    same = dataclasses.replace(config, classes=("jump", "run", "wälk fast"))
    assert prepare(same).store.class_names == ("jump", "run", "wälk fast")
    store = prepare(dataclasses.replace(fewer, overwrite=True)).store
    assert store.class_names == ("jump", "run")
    assert len(prepare(config).store.class_names) == 3, "more classes take nothing away"
    shutil.rmtree(root / "jump")
    assert len(prepare(config).store.class_names) == 2, "its videos went, which is told"


@pytest.mark.parametrize("out", ["videos", "videos/out"])
def test_out_within_the_videos(root: Path, out: str) -> None:
    with pytest.raises(
        ConfigError, match="--out: expected a folder outside of .*, where the videos are"
    ):
        prepare(configure(root, out))


def test_recordings_with_events_may_have_their_data_sets_beside_them(
    recording_store: Store, tmp_path: Path
) -> None:
    root = shutil.copytree(recording_store.path.parent / "videos", tmp_path / "videos")
    table = PrepareConfig(
        source="events",
        path=str(root / "events.csv"),
        out=str(root / "data" / "a"),
        fps=10,
        size=32,
        workers=1,
    )
    assert not check_videos(table).obstacle
    assert prepare(table).store.num_videos == recording_store.num_videos
    folder = dataclasses.replace(table, path=str(root), out=str(root / "data" / "b"))
    assert prepare(folder).store.num_videos == recording_store.num_videos


@pytest.mark.skipif(not VIDEOS, reason="PIPELINE_VIDEOS is not set")
def test_real_videos(tmp_path: Path) -> None:
    report = prepare(
        PrepareConfig(
            source="folder",
            path=f"{VIDEOS}/ut_interaction",
            out=str(tmp_path / "out"),
            group_regex=r"seq\d+",
            test_groups=("seq01", "seq06", "seq11", "seq16"),
            fps=3,
            size=16,
        )
    )

    assert str(report).splitlines()[0].endswith(": 120 videos, 6 classes, 20 groups")
    assert report.store.num_videos == {"train": 97, "test": 23}
    assert not report.store.report["left_out"]
