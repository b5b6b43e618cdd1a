"""What is in place when all shards are written, and what a folder that is not whole says."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.errors import ConfigError, DataError
from pipeline.prepare import prepared
from pipeline.prepare.plan import finished_report
from pipeline.prepare.prepared import FINDINGS, PARTIAL, held_open, open_store
from pipeline.prepare.publish import check_folder, clear_partial, finish_store
from pipeline.prepare.shard_writer import write_shard
from pipeline.video import VideoReader
from tests.prepare.shards import FRAMES, SPLITS, plan


def write(root, out, splits, shard_videos=2):
    tasks = plan(root, out, splits, shard_videos)
    clear_partial(out, tasks)
    reports = [finished_report(task, out) or write_shard(task) for task in tasks]
    settings = {"source": "folder", "path": str(root)}
    for name in FINDINGS:
        (out / PARTIAL / name).write_text("{}")
    return finish_store(
        out, tasks, reports, settings=settings, leaks=["x"], duplicates=(), made_of="f"
    )


def test_open_store_whose_validation_has_no_readable_video(videos, tmp_path):
    splits = {**SPLITS, "run/no.avi": "val"}
    written = write(videos, tmp_path / "out", splits)
    store = open_store(tmp_path / "out")
    assert store == written
    assert store.frames == FRAMES
    assert store.class_names == ("run", "wälk fast")
    assert store.num_videos == {"train": 5, "test": 2}
    assert store.settings["path"] == str(videos)
    assert store.leaks == ("x",)
    assert [row.path for row in store.manifest.rows] == [str(videos / n) for n in sorted(SPLITS)]
    assert not list(store.path.glob("clipline-val*"))
    assert all(finished_report(task, store.path) for task in plan(videos, store.path, splits))


def test_tensorflow_datasets_reads_the_store(videos, tmp_path):
    # Some training shards and the whole of val have no video that can be read.
    out = tmp_path / "out"
    unreadable = {"run/no.avi": "val", "wälk fast/none.avi": "train"}
    store = write(videos, out, {**SPLITS, **unreadable}, shard_videos=1)
    reports = [json.loads(path.read_text()) for path in (out / "shards").glob("*train*")]
    assert sorted(report["num_records"] for report in reports) == [0, 0, 0, 1, 1, 1, 1, 1]
    builder = tfds.builder_from_directory(store.path)
    found = {}
    for split in store.num_videos:
        for video in builder.as_dataset(split=split).as_numpy_iterator():
            name = video["video"].decode()
            found[name] = split
            assert store.class_names[video["label"]] == name.split("/")[0]
            assert video["group"].decode() == f"g {name}"
            assert (video["num_frames"], video["fps"]) == (12, 10)
            assert video["duration_seconds"] == pytest.approx(1.2)
            with VideoReader(videos / name) as reader:
                frames = np.stack(list(reader.frames(fps=5, size=(16, 16))))
            assert video["frames"].shape == frames.shape == (6, 16, 16, 3)
            assert np.abs(video["frames"].astype(int) - frames).mean() < 8
    assert found == SPLITS
    assert list(builder.info.splits) == ["train", "test"]
    assert builder.info.features["label"].names == list(store.class_names)


def test_stale_files_are_cleared(videos, tmp_path):
    out = tmp_path / "out"
    write(videos, out, SPLITS, shard_videos=1)
    (out / PARTIAL / "shards").mkdir(parents=True)
    stale = ("00003.tmp", "00003.json.tmp")
    for folder, end in zip((out / PARTIAL, out / PARTIAL / "shards"), stale, strict=True):
        (folder / f"clipline-train.tfrecord-00001-of-{end}").touch()
    (out / "notes.txt").touch()
    write(videos, out, SPLITS, shard_videos=9)
    shards = ["clipline-test.tfrecord-00000-of-00001", "clipline-train.tfrecord-00000-of-00001"]
    assert sorted(path.name for path in out.glob("clipline*")) == shards
    assert sorted(path.stem for path in out.glob("shards/*")) == shards
    assert (out / "notes.txt").exists()
    assert not (out / PARTIAL).exists()


def test_a_folder_that_holds_something_else_is_refused(videos, tmp_path):
    origin = {"source": "folder", "path": str(videos)}
    check_folder(tmp_path / "new", origin, overwrite=False)
    check_folder(tmp_path, origin, overwrite=False)
    (tmp_path / "notes.txt").touch()
    for folder in ("shards", "partial"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train-0001.json").touch()
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds something else than a data set. Name a new"):
            check_folder(tmp_path, origin, overwrite=overwrite)
    with pytest.raises(ConfigError, match=r"notes.txt is a file. Name a folder"):
        check_folder(tmp_path / "notes.txt", origin, overwrite=True)
    write(videos, tmp_path / "out", SPLITS)
    check_folder(tmp_path / "out", origin, overwrite=False)
    other = {**origin, "path": "/other"}
    with pytest.raises(ConfigError, match=rf"of other videos \(folder {videos}\).* --overwrite"):
        check_folder(tmp_path / "out", other, overwrite=False)
    check_folder(tmp_path / "out", other, overwrite=True)


def test_store_that_is_not_whole(videos, tmp_path):
    out = tmp_path / "out"
    write(videos, out, SPLITS)
    state = out / "prepare.json"
    shard = out / "clipline-test.tfrecord-00000-of-00001"
    content = shard.read_bytes()
    shard.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"00001: missing or cut off\. Run the same clipline"):
        open_store(out)
    shard.write_bytes(content)
    assert open_store(out).num_videos["test"] == 2
    for name in ("manifest.csv", "features.json", "label.labels.txt", "dataset_info.json"):
        content = (out / name).read_bytes()
        (out / name).write_bytes(content[:-2] + b"xx")
        with pytest.raises(DataError, match=f"{name}: missing, or changed since it was written"):
            open_store(out)
        (out / name).write_bytes(content)
    report = next((out / "shards").glob("*train*"))
    whole = report.read_text()
    report.write_text("{}")
    with pytest.raises(DataError, match=r"shards/.*: missing or damaged. Run the same"):
        open_store(out)
    report.write_text(whole)
    whole = state.read_text()
    for damaged in ("", "{}", "[]", '{"settings": null}', whole[:-5]):
        state.write_text(damaged)
        with pytest.raises(DataError, match=r"prepare.json: damaged. Run the same clipline"):
            open_store(out)
    for version in (0, 4):
        state.write_text(json.dumps({**json.loads(whole), "format": version}))
        with pytest.raises(DataError, match="prepared by another version.* Run the same clipline"):
            open_store(out)
    with pytest.raises(DataError, match="not a prepared data set. Make one with: clipline"):
        open_store(tmp_path)
    state.unlink()
    with pytest.raises(DataError, match=r"not finished, or is going on\. Run the same"):
        open_store(out)


def test_what_is_put_in_its_place_meanwhile(videos, tmp_path, monkeypatch):
    store, state = write(videos, tmp_path / "out", SPLITS), tmp_path / "out" / "prepare.json"
    with held_open():
        assert open_store(store.path) is open_store(store.path)
    describe = prepared.describe_store

    def described_before(out):
        found = describe(out)
        os.utime(state, ns=(0, 1))  # as a preparation that has ended since
        return found

    monkeypatch.setattr(prepared, "describe_store", described_before)
    with pytest.raises(DataError, match=r"out: is being prepared\. Run the same command again"):
        open_store(store.path)


def test_videos_that_are_not_prepared_are_the_ones_to_prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("V", "data/V"):
        video = Path(folder, "walk", "1.MP4")
        video.parent.mkdir(parents=True)
        video.touch()
    with pytest.raises(DataError, match=r"--source folder --path V --out data/V$"):
        open_store("V")
    with pytest.raises(DataError, match=r"--source folder --path data/V --out data/NAME$"):
        open_store("data/V")
