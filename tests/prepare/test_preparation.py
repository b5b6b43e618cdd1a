"""What a preparation makes, keeps and redoes."""

import csv
import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.prepared import open_store
from tests.prepare.people import configure, render, tree, writes
from tests.prepare.recordings import config_of

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
    assert sorted(path for path in files if "shards/" not in path) == [
        "clipline-test.tfrecord-00000-of-00001",
        *(f"clipline-train.tfrecord-0000{number}-of-00004" for number in range(4)),
        *("clipline-val.tfrecord-00000-of-00001", "data_report.json", "data_report.md"),
        *("dataset_info.json", "features.json", "label.labels.txt", "manifest.csv"),
        *("prepare.json", "quarantine.csv"),
    ]
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
    changed = dataclasses.replace(copied, size=24, shard_videos=3, seed=1)
    fresh = dataclasses.replace(changed, out=str(tmp_path / "fresh"))
    assert not prepare(changed).up_to_date
    prepare(fresh)
    assert tree(changed.out) == tree(fresh.out)
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, _: not path.endswith("bob 1.avi"))
        assert not prepare(changed).up_to_date
    assert not prepare(changed).up_to_date
    assert prepare(changed).up_to_date


@pytest.mark.parametrize(
    ("lost", "content"),
    [
        *(("clipline-test*", b""), ("features.json", b"{}"), ("prepare.json", None)),
        *(("shards/*train*2-of*", content) for content in (b"{", None)),
        *(("prepare.json shards/*train*2-of*", content) for content in (b"{}", b"[]")),
    ],
)
def test_what_was_lost_is_written_again(copied, people_store, lost, content):
    for path in [path for name in lost.split() for path in Path(copied.out).glob(name)]:
        path.unlink() if content is None else path.write_bytes(content)
    assert not prepare(copied).up_to_date
    mine, whole = tree(copied.out), tree(people_store.path)
    assert mine.keys() == whole.keys()
    # Videos of which there was no report are told to be new.
    told = {"data_report.json", "data_report.md", "prepare.json"} if content is None else set()
    assert {name for name in whole if mine[name] != whole[name]} <= told
    assert open_store(copied.out).records
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


def test_what_another_preparation_left_behind_is_never_put_in_place(root, monkeypatch):
    """Shards of one name but of another split would bring test videos into training."""

    def die(*_, **__):
        raise KeyboardInterrupt

    config = configure(root)
    prepare(config)
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.prepare.preparation.finish_store", die)
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
    # Reports tell when the file was written.
    shards = [name for name in wanted if "shards/" not in name]
    assert mine.keys() == wanted.keys()
    assert [mine[name] for name in shards] == [wanted[name] for name in shards]


def test_videos_added_changed_and_removed_redo_their_shards_only(root):
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
    assert splits_of(report.store) == {**splits_of(first), "gus": "train"}


def splits_of(store):
    return {row.group: row.split for row in store.manifest.rows}


def test_neither_more_classes_nor_fewer_videos_nor_a_lost_shard_cost_the_splits(root):
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
    next(Path(config.out).glob("clipline-train*")).unlink()
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


def test_only_a_data_set_of_recordings_with_events_may_lie_beside_them(
    people, recording_store, tmp_path
):
    for out in ("", "out"):
        with pytest.raises(ConfigError, match="--out: expected a folder outside of .*, where the"):
            prepare(configure(people, people / out))
    root = shutil.copytree(recording_store.path.parent / "videos", tmp_path / "videos")
    table = config_of(root, root / "data" / "a", size=32)
    assert not check_videos(table).obstacle
    assert prepare(table).store.num_videos == recording_store.num_videos
    folder = dataclasses.replace(table, path=str(root), out=str(root / "data" / "b"))
    assert prepare(folder).store.num_videos == recording_store.num_videos
