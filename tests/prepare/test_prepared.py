"""What is in place when all shards are written, and what a folder that is not whole says."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.errors import ConfigError, DataError
from pipeline.prepare import prepared
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import PARTIAL, held_open, open_store
from pipeline.prepare.publish import check_folder
from pipeline.video import VideoReader
from tests.prepare.people import of_table

pytestmark = pytest.mark.usefixtures("quick_workers")
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
    config = of_table(root, "path,label,group,split", *lines, fps=5.0, shard_videos=1)
    config = dataclasses.replace(config, max_bad_fraction=0.2)
    store = prepare(config).store
    assert store == open_store(config.out)
    readable = {name: split for name, split in SPLITS.items() if split != "val"}
    assert [row.path for row in store.manifest.rows] == [str(root / name) for name in readable]
    assert not list(store.path.glob("clipline-val*"))
    reports = [json.loads(path.read_text()) for path in store.path.glob("shards/*train*")]
    assert min(report["num_records"] for report in reports) == 0
    builder = tfds.builder_from_directory(store.path)
    found = {}
    for split in store.num_videos:
        for video in builder.as_dataset(split=split).as_numpy_iterator():
            name = video["video"].decode()
            found[name] = split
            assert store.class_names[video["label"]] == name.split("/")[0]
            assert video["group"].decode() == name
            assert (video["num_frames"], video["fps"]) == (8, 10)
            assert video["duration_seconds"] == pytest.approx(0.8)
            with VideoReader(root / name) as reader:
                frames = np.stack(list(reader.frames(fps=5, size=(16, 16))))
            assert video["frames"].shape == frames.shape == (4, 16, 16, 3)
            assert np.abs(video["frames"].astype(int) - frames).mean() < 8
    assert found == readable
    assert list(builder.info.splits) == ["train", "test"]
    assert builder.info.features["label"].names == list(store.class_names)
    assert prepare(config).up_to_date


def test_stale_files_are_cleared(copied):
    out = Path(copied.out)
    (out / PARTIAL / "shards").mkdir(parents=True)
    stale = ("00003.tmp", "00003.json.tmp")
    for folder, end in zip((out / PARTIAL, out / PARTIAL / "shards"), stale, strict=True):
        (folder / f"clipline-train.tfrecord-00001-of-{end}").touch()
    (out / "notes.txt").touch()
    prepare(dataclasses.replace(copied, shard_videos=9))
    names = [f"clipline-{s}.tfrecord-00000-of-00001" for s in ("test", "train", "val")]
    assert sorted(path.name for path in out.glob("clipline*")) == names
    assert sorted(path.stem for path in out.glob("shards/*")) == names
    assert (out / "notes.txt").exists()


def test_a_folder_that_holds_something_else_is_refused(people_store, tmp_path):
    origin = {name: people_store.settings[name] for name in ("source", "path")}
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
    check_folder(people_store.path, origin, overwrite=False)
    other, old = {**origin, "path": "/other"}, origin["path"]
    with pytest.raises(ConfigError, match=rf"of other videos \(folder {old}\).* --overwrite"):
        check_folder(people_store.path, other, overwrite=False)
    check_folder(people_store.path, other, overwrite=True)


CHECKED = ("manifest.csv", "features.json", "label.labels.txt", "dataset_info.json")
CHANGED = "missing, or changed since it was written"
OTHER = "prepared by another version.* Run the same clipline"
DAMAGED = r"prepare.json: damaged. Run the same clipline"


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("clipline-test*", lambda whole: whole[:-1], r"00001: missing or cut off\. Run the same"),
        *((file, lambda whole: whole[:-2] + b"xx", CHANGED) for file in CHECKED),
        ("shards/*train*", lambda _: b"{}", r"shards/.*: missing or damaged. Run the same"),
        ("prepare.json", lambda _: b"[]", DAMAGED),
        ("prepare.json", lambda _: b'{"settings": null}', DAMAGED),
        ("prepare.json", lambda whole: whole[:-5], DAMAGED),
        ("prepare.json", lambda whole: whole.replace(b'"format": 5', b'"format": 4'), OTHER),
        ("prepare.json", lambda whole: whole.replace(b'"format": 5,', b""), OTHER),
        ("prepare.json", None, r"not finished, or is going on\. Run the same"),
    ],
)
def test_store_that_is_not_whole(copied, file, change, message):
    for path in Path(copied.out).glob(file):
        path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(DataError, match=message):
        open_store(copied.out)


def test_what_is_put_in_its_place_meanwhile(copied, monkeypatch):
    with held_open():
        assert open_store(copied.out) is open_store(copied.out)
    describe = prepared.describe_store

    def described_before(out):
        found = describe(out)
        os.utime(Path(out, "prepare.json"), ns=(0, 1))  # as a preparation that has ended since
        return found

    monkeypatch.setattr(prepared, "describe_store", described_before)
    with pytest.raises(DataError, match=r"out: is being prepared\. Run the same command again"):
        open_store(copied.out)


def test_videos_that_are_not_prepared_are_the_ones_to_prepare(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="not a prepared data set. Make one with: clipline"):
        open_store(tmp_path)
    for folder in ("V", "data/V"):
        video = Path(folder, "walk", "1.MP4")
        video.parent.mkdir(parents=True)
        video.touch()
    with pytest.raises(DataError, match=r"--source folder --path V --out data/V$"):
        open_store("V")
    with pytest.raises(DataError, match=r"--source folder --path data/V --out data/NAME$"):
        open_store("data/V")
