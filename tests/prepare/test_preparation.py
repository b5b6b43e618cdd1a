from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.config import FramesConfig, SplitConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.videos import open_data
from pipeline.errors import ConfigError, DataError
from pipeline.prepare.preparation import check_videos, prepare
from pipeline.prepare.summary import PrepareReport
from pipeline.video import encode_jpeg, write_video

VIDEOS = os.environ.get("PIPELINE_VIDEOS")
SCRIPT = Path(__file__).parents[2] / "scripts" / "prepare.py"
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
posix = pytest.mark.skipif(os.name != "posix", reason="named pipes and signals of POSIX")


def render(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    frames = rng.integers(256, size=(8, 3, 4, 3), dtype=np.uint8)
    codec = ("MJPG", "FFV1")[seed % 2]
    write_video(path, frames.repeat(8, axis=1).repeat(8, axis=2), fps=10, codec=codec)


def render_all(root: Path) -> Path:
    """Two classes acted by six people; what `cid` does in `run` is no video."""
    for index, person in enumerate(("ann", "bob", "cid", "dan", "eve", "fay")):
        for number, label in enumerate(("run", "wälk fast")):
            render(root / label / f"{person} 1.avi", 2 * index + number)
    (root / "run" / "cid 1.avi").write_text("no video")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return render_all(tmp_path / "videos")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PrepareReport:
    """Prepared once with two workers; not to be changed."""
    return prepare(configure(render_all(tmp_path_factory.mktemp("prepared") / "videos")))


def configuration(prepared: PrepareReport) -> PrepareConfig:
    return configure(prepared.store.path.parent / "videos")


@pytest.fixture
def copied(prepared: PrepareReport, tmp_path: Path) -> PrepareConfig:
    """The configuration of a copy of the prepared data set, with the same videos."""
    shutil.copytree(prepared.store.path, tmp_path / "out")
    return dataclasses.replace(configuration(prepared), out=str(tmp_path / "out"))


def configure(root: Path, out: str = "out", **changes: object) -> PrepareConfig:
    config = PrepareConfig(
        source="folder",
        path=str(root),
        out=str(root.parent / out),
        group_regex=r"(\w+) \d",
        test_groups=("eve",),
        val_fraction=0.2,
        fps=5.0,
        size=16,
        shard_videos=2,
        max_bad_fraction=0.1,
        workers=2,
    )
    return dataclasses.replace(config, **changes)  # type: ignore[arg-type]


def tree(out: Path | str) -> dict[str, bytes]:
    files = (path for path in Path(out).rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def writes(out: Path | str) -> dict[str, tuple[int, int]]:
    """Changes for each shard that is written again."""
    return {
        path.name: (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in Path(out).glob("**/clipline-*[0-9]")
    }


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
    config = configuration(prepared)
    before, files = writes(config.out), tree(config.out)

    report = prepare(dataclasses.replace(config, workers=1))

    assert report.up_to_date
    assert str(report).startswith(f"{config.out} is up to date: 11 videos")
    assert (writes(config.out), tree(config.out)) == (before, files)


def test_bytes_do_not_depend_on_the_number_of_workers(
    prepared: PrepareReport, tmp_path: Path
) -> None:
    config = configuration(prepared)
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


def as_of_an_older_version(out: Path) -> None:
    """What files hold was not looked at, and there was one fingerprint."""
    state = json.loads((out / "prepare.json").read_text())
    state["fingerprint"] = state.pop("made_of")
    (out / "prepare.json").write_text(json.dumps(state))
    for path in (out / "shards").iterdir():
        report = json.loads(path.read_text())
        for video in report["videos"]:
            del video["digest"], video["record_bytes"]
        path.write_text(json.dumps(report, indent=1))


def test_a_data_set_of_an_older_version_opens_and_is_redone_when_videos_change(
    copied: PrepareConfig, prepared: PrepareReport
) -> None:
    as_of_an_older_version(Path(copied.out))
    assert open_data(Path(copied.out)).num_videos == prepared.store.num_videos
    assert prepare(copied).up_to_date
    state = json.loads((Path(copied.out) / "prepare.json").read_text())
    (Path(copied.out) / "prepare.json").write_text(json.dumps({**state, "fingerprint": "other"}))

    assert not prepare(copied).up_to_date

    assert tree(copied.out) == tree(prepared.store.path)


def test_changed_video_redoes_its_shard_only(root: Path) -> None:
    config = configure(root)
    prepare(config)
    before = writes(config.out)
    render(root / "run" / "bob 1.avi", 99)

    report = prepare(config)

    assert not report.up_to_date
    after = writes(config.out)
    assert before.keys() == after.keys()
    assert sum(before[name] != after[name] for name in before) == 1


def test_changed_settings_redo_what_differs(copied: PrepareConfig, tmp_path: Path) -> None:
    changed = dataclasses.replace(copied, size=24, shard_videos=3, seed=1)
    fresh = dataclasses.replace(changed, out=str(tmp_path / "fresh"))

    assert not prepare(changed).up_to_date
    prepare(fresh)

    assert tree(changed.out) == tree(fresh.out)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]"])
@pytest.mark.parametrize(
    "lost",
    ["clipline-test*", "features.json", "prepare.json", "manifest.csv", "shards/*train*2-of*"],
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


def test_rendering_the_demo_destroys_nothing(copied: PrepareConfig) -> None:
    before = tree(copied.out)
    with pytest.raises(ConfigError, match="--overwrite"):
        prepare(PrepareConfig(out=copied.out))
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


@linux
def test_two_preparations_at_once(root: Path, start: Callable) -> None:
    config = configure(root)
    video, content = block(root)
    process = start(config)
    wait_until(lambda: only_the_test_shard_is_missing(config))

    with pytest.raises(ConfigError, match="another process is preparing .*out. Wait until it"):
        prepare(config)

    process.kill()
    process.communicate()
    video.unlink()
    video.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


@pytest.mark.parametrize("name", ["run\nfast", " run", "run\t"])
def test_class_names_that_break_lists(root: Path, name: str) -> None:
    (root / "run").rename(root / name)
    with pytest.raises(DataError, match="without line breaks, and without spaces around them, got"):
        prepare(configure(root))


def test_too_many_bad_videos_stop_the_preparation(root: Path) -> None:
    config = configure(root, max_bad_fraction=0.08)
    message = (
        r"1 of 12 videos would be left out, more than --max-bad-fraction 0.08; .*quarantine\.csv "
        r"says why. The first is run/cid 1\.avi: it is text, not a video"
    )

    with pytest.raises(DataError, match=message):
        prepare(config)

    assert "cid 1.avi" in (Path(config.out) / "clipline-partial/quarantine.csv").read_text(
        encoding="utf-8"
    )
    assert (
        len(prepare(dataclasses.replace(config, max_bad_fraction=0.09)).store.manifest.rows) == 11
    )


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


def test_groups_that_are_added_leave_the_others_in_their_splits(root: Path) -> None:
    """Else a test video of today could have been trained on yesterday."""
    config = configure(root, test_groups=(), test_fraction=0.3, val_fraction=0)
    first = prepare(config).store
    for number in range(7):
        for label in ("run", "wälk fast"):
            render(root / label / f"new{number} 1.avi", 100 + 2 * number + (label == "run"))

    second = prepare(config).store

    before, after = (
        {row.group: row.split for row in store.manifest.rows} for store in (first, second)
    )
    assert {group: after[group] for group in before} == before
    added = [after[group] for group in after if group not in before]
    assert (len(added), added.count("test")) == (7, 2)


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


def copied_into(root: Path, source: str, target: str) -> None:
    shutil.copyfile(root / source, root / target)


def test_a_copy_in_another_split_is_refused(root: Path) -> None:
    config = configure(root)
    copied_into(root, "run/ann 1.avi", "run/eve 2.avi")
    message = (
        r"1 leak: run/ann 1.avi \(train run\), run/eve 2.avi \(test run\) have the same content; "
        r".*data_report.md names all. Mend the splits or remove the copies"
    )

    with pytest.raises(DataError, match=message):
        prepare(config)

    assert not (Path(config.out) / "prepare.json").exists()
    assert (
        "have the same content"
        in (Path(config.out) / "clipline-partial/data_report.md").read_text()
    )
    report = prepare(dataclasses.replace(config, allow_leaks=True))
    assert len(report.store.leaks) == 1
    assert "1 leak between splits or labels\n  run/ann 1.avi (train run), run/eve" in str(report)


def test_a_copy_with_another_label_is_refused(root: Path) -> None:
    copied_into(root, "run/ann 1.avi", "wälk fast/ann 2.avi")
    with pytest.raises(DataError, match=r"\(train run\), wälk fast/ann 2.avi \(train wälk fast\)"):
        prepare(configure(root))


def test_a_copy_beside_its_original_is_no_leak(root: Path) -> None:
    copied_into(root, "run/ann 1.avi", "run/ann 2.avi")
    report = prepare(configure(root))
    assert len(report.store.manifest.rows) == 12
    assert "1 video more than once in a split and class, listed in data_report.md" in str(report)
    page = (report.store.path / "data_report.md").read_text(encoding="utf-8")
    assert "- run/ann 1.avi (train run), run/ann 2.avi (train run) are the same, or nearly" in page


def test_copies_that_folds_of_a_run_would_part_are_refused(root: Path) -> None:
    copied_into(root, "run/ann 1.avi", "run/zoe 1.avi")
    config = configure(root, test_groups=("bob",), val_fraction=0)
    prepare(config)  # ann and zoe both train

    def opened(fold: int) -> tuple[str, ...]:
        return open_data(Path(config.out), split=SplitConfig(folds="groups", fold=fold)).leaks

    assert opened(2) == ()  # bob
    message = r"with these folds, .*ann 1.avi \(test run\), .*zoe 1.avi \(train run\) have the same"
    with pytest.raises(DataError, match=message):
        opened(1)

    prepare(dataclasses.replace(config, allow_leaks=True))
    assert len(opened(1)) == 1
    assert opened(2) == ()


def test_copies_in_a_table_that_folds_of_a_run_would_part_are_refused(root: Path) -> None:
    copied_into(root, "run/ann 1.avi", "run/zoe 1.avi")
    table = root / "table.csv"
    rows = [
        f"{label}/{name} 1.avi,{label},{name},{'test' if name == 'bob' else 'train'}\n"
        for label, names in (("run", ("ann", "bob", "zoe")), ("wälk fast", ("ann", "bob", "cid")))
        for name in names
    ]
    table.write_text("path,label,group,split\n" + "".join(rows), encoding="utf-8")
    frames = FramesConfig(size=16)
    assert not open_data(table, frames).leaks
    with pytest.raises(
        DataError, match=r"ann 1.avi \(test run\) have the same content. Remove the copies"
    ):
        open_data(table, frames, SplitConfig(folds="groups", fold=1))


def test_groups_that_cross_official_splits_are_refused(root: Path) -> None:
    table = root / "table.csv"
    table.write_text(
        "path,label,group,split\n"
        "run/ann 1.avi,run,a,train\nwälk fast/ann 1.avi,walk,a,train\n"
        "run/bob 1.avi,run,a,test\nwälk fast/bob 1.avi,walk,b,test\n",
        encoding="utf-8",
    )
    config = PrepareConfig(source="csv", path=str(table), out=str(root.parent / "out"), size=16)
    with pytest.raises(DataError, match="1 leak: group 'a' is in train and test. Mend the splits"):
        prepare(config)
    assert not Path(config.out).exists()
    store = prepare(dataclasses.replace(config, allow_leaks=True)).store
    assert store.leaks == ("group 'a' is in train and test",)


def test_a_table_with_parts_of_files(root: Path) -> None:
    table = root / "table.csv"
    table.write_text(
        "path,label,split,start_seconds,end_seconds\n"
        "run/ann 1.avi,run,train,0,0.4\nrun/ann 1.avi,walk,train,0.4,\n"
        "run/bob 1.avi,run,test,0.2,0.7\n"
    )
    config = PrepareConfig(source="csv", path=str(table), out=str(root.parent / "out"), fps=10)

    store = prepare(config).store

    assert store.num_videos == {"train": 2, "test": 1}
    rows = [(Path(r.path).name, r.start_seconds, r.end_seconds) for r in store.manifest.rows]
    assert rows == [
        ("ann 1.avi", 0, 0.4),
        ("ann 1.avi", 0.4, math.inf),
        ("bob 1.avi", 0.2, 0.7),
    ]
    assert {row.group for row in store.manifest.rows} == {"run/ann 1.avi", "run/bob 1.avi"}
    assert prepare(config).up_to_date


def test_a_part_that_ends_after_its_file_is_kept_and_listed(root: Path) -> None:
    table = root / "table.csv"  # The files are 0.8 seconds long.
    table.write_text(
        "path,label,start_seconds,end_seconds\n"
        "run/ann 1.avi,run,0.4,1\nrun/bob 1.avi,walk,0.4,0.9\nrun/eve 1.avi,run,0.4,\n"
        "raw.mjpeg,run,0.4,0.8\n"
    )
    pictures = np.zeros((30, 24, 32, 3), np.uint8)  # 25 a second; how many, the file does not say.
    (root / "raw.mjpeg").write_bytes(b"".join(encode_jpeg(p, quality=95) for p in pictures))
    config = PrepareConfig(source="csv", path=str(table), out=str(root.parent / "out"), fps=10)

    report = prepare(dataclasses.replace(config, test_fraction=0))

    named = "1 damaged or shorter than asked, kept with what is: run/ann 1.avi#t=0.4,1 (4 of 6"
    assert named in str(report)
    lines = (report.store.path / "quarantine.csv").read_text(encoding="utf-8").splitlines()
    assert [line.partition("train,")[2] for line in lines[1:]] == [
        "kept,shorter than asked,decoded 4 of 6 frames: the file ends,0.4,1.0"
    ]


@posix
def test_a_path_with_backslashes(root: Path) -> None:
    table = root / "table.csv"
    (root / "run\\bad.avi").write_text("no video")
    table.write_text(
        "path,label\nrun\\ann 1.avi,a\nrun\\bad.avi,a\nrun/bob 1.avi,a\nrun/dan 1.avi,b\n"
    )
    config = PrepareConfig(source="csv", path=str(table), out=str(root / "out"), check=True)
    missing, bad = (video["reason"] for video in check_videos(config).report["left_out"])
    assert missing.endswith("No such file or directory. Write its path with forward slashes.")
    assert "slashes" not in bad


def test_a_data_set_may_lie_beside_the_table_it_is_made_of(root: Path) -> None:
    table = root / "table.csv"
    table.write_text("path,label,split\nrun/ann 1.avi,a,train\nrun/bob 1.avi,b,train\n")
    config = PrepareConfig(source="csv", path=str(table), out=str(root / "data" / "mine"))
    report = prepare(config)
    assert report.store.num_videos == {"train": 2}
    assert "no test videos: see --test-fraction" in str(report)
    assert prepare(config).up_to_date


def test_each_fold_is_another_test_split(root: Path) -> None:
    tested = []
    for fold in (1, 2, 3):
        config = configure(root, f"fold{fold}", test_groups=(), folds=3, fold=fold, val_fraction=0)
        rows = prepare(config).store.manifest.rows
        tested += [row.path for row in rows if row.split == "test"]
    assert len(tested) == len(set(tested)) == 11


def test_a_check_reports_and_prepares_nothing(root: Path) -> None:
    copied_into(root, "run/ann 1.avi", "run/eve 2.avi")
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


@pytest.mark.parametrize("make", [prepare, check_videos])
def test_a_single_class_is_refused(root: Path, make: Callable) -> None:
    table = root / "table.csv"
    table.write_text("path,label\nrun/ann 1.avi,run\nrun/bob 1.avi,run\n")
    config = PrepareConfig(source="csv", path=str(table), out=str(root.parent / "out"))
    with pytest.raises(DataError, match="expected two classes or more, got only 'run'"):
        make(config)


def test_a_check_needs_no_labels(root: Path) -> None:
    config = configure(root / "run", "checked", check=True, group_regex="", test_groups=())

    report = check_videos(config)

    assert report.report["total"]["videos"] == 5
    assert not report.report["splits"]
    assert not report.report["leaks"]
    assert (report.folder / "data_report.md").is_file()


@pytest.mark.parametrize("out", ["videos", "videos/out"])
def test_out_within_the_videos(root: Path, out: str) -> None:
    with pytest.raises(
        ConfigError, match="--out: expected a folder outside of .*, where the videos are"
    ):
        prepare(configure(root, out))


# Runs of their own process: killed, stopped, without space, without a terminal.


def options(config: PrepareConfig) -> Iterator[str]:
    """The command line of a configuration."""
    for name, value in dataclasses.asdict(config).items():
        if value not in ("", (), False):
            text = ",".join(value) if isinstance(value, tuple) else value
            yield f"--{name.replace('_', '-')}={text}"


@pytest.fixture
def start(root: Path) -> Iterator[Callable[[PrepareConfig], subprocess.Popen[str]]]:
    started = []

    def start(config: PrepareConfig) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *options(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def block(root: Path) -> tuple[Path, bytes]:
    """Puts a list of a pipe that nobody writes to in place of the last test video: FFmpeg hangs."""
    video = root / "wälk fast" / "eve 1.avi"
    content = video.read_bytes()
    hidden = video.with_name("__MACOSX")
    hidden.mkdir()
    os.mkfifo(hidden / "pipe")
    video.write_text(f"ffconcat version 1.0\nfile {hidden.name}/pipe\n")
    return video, content


def only_the_test_shard_is_missing(config: PrepareConfig) -> bool:
    return len(list(Path(config.out).glob("clipline-partial/shards/*.json"))) == 5


def alive(processes: list[int]) -> list[int]:
    def is_alive(process: int) -> bool:
        try:
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False

    return [process for process in processes if is_alive(process)]


def workers_of(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


@linux
def test_killed_run_goes_on_to_the_same_store(root: Path, start: Callable) -> None:
    config = configure(root)
    video, content = block(root)
    process = start(config)
    begun = Path(config.out) / "clipline-partial"
    wait_until(lambda: only_the_test_shard_is_missing(config) and any(begun.glob("*.tmp")))
    workers = workers_of(process.pid)
    assert workers

    process.kill()
    process.communicate()
    wait_until(lambda: not alive(workers))
    assert len(list(begun.glob("*test*.tmp"))) == 1
    assert not (Path(config.out) / "prepare.json").exists()
    before = writes(config.out)
    video.unlink()
    video.write_bytes(content)

    prepare(config)

    after = writes(config.out)
    assert {name: after[name] for name in before if "train" in name} == {
        name: before[name] for name in before if "train" in name
    }
    undisturbed = configure(root, "undisturbed")
    prepare(undisturbed)
    assert tree(config.out) == tree(undisturbed.out)


@linux
def test_ctrl_c_ends_the_workers_and_keeps_finished_shards(root: Path, start: Callable) -> None:
    config = configure(root)
    block(root)
    process = start(config)
    wait_until(lambda: only_the_test_shard_is_missing(config))
    workers = workers_of(process.pid)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not alive(workers)
    assert only_the_test_shard_is_missing(config)


@linux
def test_ctrl_c_while_a_worker_starts(root: Path, start: Callable) -> None:
    def is_importing(worker: int) -> bool:
        return "numpy" in Path(f"/proc/{worker}/maps").read_text()

    block(root)
    process = start(configure(root))
    wait_until(lambda: any(map(is_importing, workers_of(process.pid))))
    workers = workers_of(process.pid)

    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (130, "interrupted\n")
    assert not alive(workers)


def lost_videos(config: PrepareConfig) -> list[tuple[str, str]]:
    with (Path(config.out) / "quarantine.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return [(Path(x["path"]).name, x["reason"]) for x in lines if x["problem"] == "lost"]


@linux
def test_a_decoder_that_crashes_costs_its_video_only(root: Path, start: Callable) -> None:
    config = configure(root, max_bad_fraction=0.2, workers=1)
    video, content = block(root)
    process = start(config)
    writer: list[int] = []
    wait_until(lambda: is_read(video.with_name("__MACOSX") / "pipe", writer))

    (worker,) = workers_of(process.pid)
    os.kill(worker, signal.SIGSEGV)
    output, errors = process.communicate(timeout=60)
    os.close(writer[0])

    assert (process.returncode, errors) == (0, "")
    assert "10 videos, 2 classes, 6 groups" in output
    assert output.splitlines()[-1].startswith("2 videos left out")
    assert lost_videos(config) == [("eve 1.avi", "its decoder crashed (SIGSEGV).")]
    video.unlink()
    video.write_bytes(content)
    assert len(prepare(config).store.manifest.rows) == 11


def is_read(pipe: Path, writer: list[int]) -> bool:
    """Whether somebody has opened a pipe to read it; he then waits for what never comes."""
    try:
        writer.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:  # nobody has
        return False
    return True


@posix
def test_a_decoder_that_hangs_costs_its_video_only(root: Path) -> None:
    config = configure(root, max_bad_fraction=0.2, seconds_per_video=5)
    block(root)

    report = prepare(config)

    assert len(report.store.manifest.rows) == 10
    ((name, reason),) = lost_videos(config)
    assert (name, reason) == ("eve 1.avi", "it took longer than 5 seconds.")


@posix
@pytest.mark.parametrize("most", [0.1, 0.2])
def test_a_video_that_cost_a_worker_is_tried_again(root: Path, most: float) -> None:
    """Whether or not the preparation came to an end, and though nothing else changed."""
    config = configure(root, max_bad_fraction=most, seconds_per_video=1)
    block(root)
    with nullcontext() if most == 0.2 else pytest.raises(DataError, match="2 of 12 videos would"):
        prepare(config)
    before = writes(config.out)

    prepare(dataclasses.replace(config, max_bad_fraction=0.2, seconds_per_video=2))

    assert lost_videos(config) == [("eve 1.avi", "it took longer than 2 seconds.")]
    kept = [inode for name, inode in writes(config.out).items() if "-test" not in name]
    assert kept == [inode for name, inode in before.items() if "-test" not in name]


@posix
def test_disk_that_is_full(prepared: PrepareReport, root: Path, start: Callable) -> None:
    """As far as one file is concerned: the largest shard does not fit."""
    import resource

    sizes = {path.name: path.stat().st_size for path in prepared.store.path.glob("clipline-*")}
    largest = max(sizes, key=lambda name: sizes[name])
    config = configure(root, workers=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (sizes[largest] - 1, limits[1]))
    try:
        process = start(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    output, errors = process.communicate(timeout=60)

    assert (process.returncode, output) == (2, "")
    assert "File too large. Make sure that it can be written and that there is free" in errors
    assert errors.count("\n") == 1
    finished = writes(config.out)
    order = [
        name for split in ("train", "val", "test") for name in sorted(sizes) if f"-{split}." in name
    ]
    assert sorted(finished) == sorted(order[: order.index(largest)])
    assert finished
    prepare(config)
    after = writes(config.out)
    assert {name: after[name] for name in finished} == finished
    assert tree(config.out) == tree(prepare(configure(root, "undisturbed")).store.path)


def test_folder_that_cannot_be_written(root: Path, start: Callable) -> None:
    (root.parent / "out").write_text("a file")

    _, errors = start(configure(root)).communicate(timeout=60)

    assert "out is a file. Name a folder" in errors
    assert errors.count("\n") == 1


def test_without_a_terminal_there_is_only_the_summary(root: Path, start: Callable) -> None:
    process = start(configure(root))

    output, errors = process.communicate(timeout=60)

    assert (process.returncode, errors) == (0, "")
    assert len(output.splitlines()) == 6


def test_preparing_needs_no_tensorflow(root: Path) -> None:
    code = """
import json, sys
from pipeline.config.prepare import PrepareConfig
from pipeline.prepare.preparation import prepare
prepare(PrepareConfig(**json.loads(sys.argv[1])))
sys.exit("tensorflow" in sys.modules)
"""
    config = json.dumps(dataclasses.asdict(configure(root)))
    assert subprocess.run([sys.executable, "-c", code, config]).returncode == 0


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
