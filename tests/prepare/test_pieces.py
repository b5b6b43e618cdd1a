"""Recordings in a prepared data set: pieces of bounded length, and the labels of their frames."""

from __future__ import annotations

import dataclasses
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.config import FramesConfig
from pipeline.config.prepare import PrepareConfig
from pipeline.dataset.records import recording_frames, recording_labels
from pipeline.manifest.annotation import Annotation
from pipeline.prepare import pieces
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import Store, open_store
from pipeline.prepare.record_index import Record
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import decode_jpeg, write_video

FPS = 10
LENGTHS = {"a.avi": 300, "b.avi": 128, "c.avi": 20}
TABLE = """video,start_seconds,end_seconds,label,group,split
a.avi,0.5,13.5,walk,ann,train
a.avi,12,14,wave,ann,train
b.avi,1,2,jump,bob,train
c.avi,0.5,1.5,wave,cleo,test
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recordings") / "videos"
    root.mkdir()
    for seed, (name, length) in enumerate(LENGTHS.items()):
        rng = np.random.default_rng(seed)
        frames = rng.integers(256, size=(length, 2, 2, 3), dtype=np.uint8)
        write_video(root / name, frames.repeat(8, axis=1).repeat(8, axis=2), fps=FPS, codec="FFV1")
    (root / "events.csv").write_text(TABLE)
    return root


def configure(root: Path, **options: object) -> PrepareConfig:
    path = str(root / "events.csv")
    settings: dict = {"size": 16, "fps": FPS, "workers": 1, **options}
    return PrepareConfig(source="events", path=path, out=str(root.parent / "out"), **settings)


@pytest.fixture(scope="module")
def store(root: Path) -> Store:
    return prepare(configure(root)).store


def test_a_recording_is_one_row_with_all_its_classes(store: Store) -> None:
    rows = [(row.label, row.labels, row.group, row.split) for row in store.manifest.rows]
    assert rows == [
        ("background;walk;wave", ("background", "walk", "wave"), "ann", "train"),
        ("background;jump", ("background", "jump"), "bob", "train"),
        ("background;wave", ("background", "wave"), "cleo", "test"),
    ]
    assert store.labelling == "frames"
    assert store.background == "background"
    assert store.num_videos == {"train": 2, "test": 1}
    assert open_store(store.path).manifest == store.manifest


def is_read_whole(record: Record) -> bool:
    found = [len(each) for each in record.shard.records(record.start, len(record.pieces))]
    return found == [piece.num_bytes for piece in record.pieces]


def test_records_are_of_bounded_length_and_follow_one_another(store: Store) -> None:
    found = {record.name: [piece.num_frames for piece in record.pieces] for record in store.records}
    assert found == {"a.avi": [128, 128, 44], "b.avi": [128], "c.avi": [20]}
    assert all(map(is_read_whole, store.records))


def test_tensorflow_datasets_reads_the_frames_with_their_labels(root: Path, store: Store) -> None:
    frames = encode_video(root / "a.avi", store.frames)[0]["frames"]
    read = tfds.builder_from_directory(store.path).as_dataset(split="train")
    records = [each for each in tfds.as_numpy(read) if each["video"] == b"a.avi"]

    assert [each["first_frame"] for each in records] == [0, 128, 256]
    shown = np.concatenate([each["frames"] for each in records])
    np.testing.assert_array_equal(shown, [decode_jpeg(frame) for frame in frames])
    labels = np.concatenate([each["labels"] for each in records])
    walk, wave = (labels[:, store.class_names.index(name)] for name in ("walk", "wave"))
    assert np.flatnonzero(walk).tolist() == list(range(5, 135))
    assert np.flatnonzero(wave).tolist() == list(range(120, 140))
    background = labels[:, store.class_names.index("background")]
    np.testing.assert_array_equal(background, (walk + wave) == 0)


def test_labels_and_frames_can_be_had_by_recording(root: Path, store: Store) -> None:
    first, second = recording_labels(store, "train")
    names = [record.name for record in store.of_split("train")]
    by_name = dict(zip(names, (first, second), strict=True))
    assert {name: len(labels) for name, labels in by_name.items()} == {"a.avi": 300, "b.avi": 128}
    assert by_name["b.avi"][:, store.class_names.index("jump")].sum() == FPS

    record = store.of_split("train")[names.index("a.avi")]
    frames = encode_video(root / "a.avi", store.frames)[0]["frames"]
    for number, frame in zip(
        (0, 127, 128, 299), recording_frames(store, record, (0, 127, 128, 299)), strict=True
    ):
        np.testing.assert_array_equal(frame, decode_jpeg(frames[number]))


def test_the_report_counts_time_of_classes(store: Store) -> None:
    classes = store.report["splits"]["train"]["classes"]
    assert classes["walk"] == {"videos": 1, "groups": 1, "seconds": 13.0}
    page = (store.path / "data_report.md").read_text()
    assert page.startswith("# Data report\n\n3 recordings of 3 groups, 44.8 s; 0 left out.")


def test_other_events_are_another_data_set(root: Path, store: Store, tmp_path: Path) -> None:
    assert prepare(configure(root)).up_to_date
    try:
        (root / "events.csv").write_text(TABLE.replace("12,14", "12,14.1"))
        report = prepare(configure(root))
        assert not report.up_to_date
        assert report.store.fingerprint != store.fingerprint
        sums = {label.sum() for label in recording_labels(report.store, "test")}
        assert sums == {label.sum() for label in recording_labels(store, "test")}
    finally:
        (root / "events.csv").write_text(TABLE)
        prepare(configure(root))


def test_a_recording_that_is_too_short_leaves_nothing_behind(root: Path, tmp_path: Path) -> None:
    table = TABLE + "d.avi,0.5,1,wave,dan,train\n"
    (root / "more.csv").write_text(table)
    rng = np.random.default_rng(9)
    frames = rng.integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    write_video(root / "d.avi", frames, fps=FPS, codec="FFV1")
    config = configure(root, min_frames=10, max_bad_fraction=0.5)
    config = dataclasses.replace(config, path=str(root / "more.csv"), out=str(tmp_path / "out"))

    report = prepare(config)

    assert [left["video"] for left in report.store.report["left_out"]] == ["d.avi"]
    assert len(report.store.records) == 3
    assert all(map(is_read_whole, report.store.records))
    (root / "d.avi").unlink()


def test_memory_does_not_grow_with_the_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "write_record", lambda *_: 1000)
    label = Annotation(events=((1.0, 2.0, "a"),)).by_frame(10, ["a"])

    def peak(num_frames: int) -> int:
        stored = ({"frames": bytes(1000)} for _ in range(num_frames))
        tracemalloc.start()
        pieces.write_pieces(None, stored, FramesConfig(), label, {}, on_piece=lambda: None)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(20_000) < 1.5 * peak(2_000)


def test_frames_that_tell_a_recording_from_others_are_from_end_to_end() -> None:
    for num_frames in (1, 5, 127, 129, 1000, 5003):
        written = pieces.StoredPieces(FramesConfig())
        for first in range(0, num_frames, 128):
            number = min(128, num_frames - first)
            with pieces.FrameSpool() as spool:
                for frame in range(first, first + number):
                    spool.append(frame.to_bytes(4))
                written.add({"frames": spool}, np.zeros((number, 1), np.uint8), 0)
        shown = [int.from_bytes(frame) for frame in written.shown()]
        wanted = pieces.hash_positions(num_frames)
        assert np.abs(shown - wanted).max() < max(1, num_frames / 64)
