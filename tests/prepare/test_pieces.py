"""Recordings in a prepared data set: pieces of bounded length, and the labels of their frames."""

import shutil
import tracemalloc

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.config import FramesConfig
from pipeline.dataset.records import recording_frames, recording_labels
from pipeline.manifest.annotation import Annotation
from pipeline.prepare import pieces
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_store
from pipeline.prepare.stored_frames import encode_video
from pipeline.video import decode_jpeg
from tests.prepare.recordings import config_of, prepare_greys, render


@pytest.fixture(scope="module")
def folder(made):
    return made("grey recordings", prepare_greys)


@pytest.fixture(scope="module")
def store(folder):
    return open_store(folder / "store")


def test_a_recording_is_one_row_with_all_its_classes(store):
    rows = [(row.label, row.labels, row.group, row.split) for row in store.manifest.rows]
    assert rows == [
        ("background;tick;tock", ("background", "tick", "tock"), "a.avi", "train"),
        ("background;tick", ("background", "tick"), "b.avi", "test"),
        ("background;tick", ("background", "tick"), "c.avi", "train"),
    ]
    assert (store.labelling, store.background) == ("frames", "background")
    assert store.num_videos == {"train": 2, "test": 1}
    classes = store.report["splits"]["train"]["classes"]
    assert classes["tick"] == {"videos": 2, "groups": 2, "seconds": 3.2}
    page = (store.path / "data_report.md").read_text()
    assert page.startswith("# Data report\n\n3 recordings of 3 groups, 45.0 s; 0 left out.")


def is_read_whole(record):
    found = [len(each) for each in record.shard.records(record.start, len(record.pieces))]
    return found == [piece.num_bytes for piece in record.pieces]


def test_tensorflow_datasets_reads_records_of_bounded_length_with_their_labels(folder, store):
    found = {record.name: [piece.num_frames for piece in record.pieces] for record in store.records}
    assert found == {"a.avi": [128, 128, 44], "b.avi": [128, 2], "c.avi": [20]}
    assert all(map(is_read_whole, store.records))
    frames = encode_video(folder / "videos" / "a.avi", store.frames)[0]["frames"]
    read = tfds.builder_from_directory(store.path).as_dataset(split="train")
    records = [each for each in tfds.as_numpy(read) if each["video"] == b"a.avi"]
    assert [each["first_frame"] for each in records] == [0, 128, 256]
    shown = np.concatenate([each["frames"] for each in records])
    np.testing.assert_array_equal(shown, [decode_jpeg(frame) for frame in frames])
    labels = np.concatenate([each["labels"] for each in records])
    background, tick, tock = labels.T
    assert np.flatnonzero(tick).tolist() == list(range(0, 300, 10))
    assert np.flatnonzero(tock).tolist() == [295]
    np.testing.assert_array_equal(background, (tick + tock) == 0)
    place = [record.name for record in store.of_split("train")].index("a.avi")
    np.testing.assert_array_equal(recording_labels(store, "train")[place], labels)
    numbers = (0, 127, 128, 299)
    some = recording_frames(store, store.of_split("train")[place], numbers)
    np.testing.assert_array_equal(some, shown[list(numbers)])


@pytest.mark.usefixtures("quick_workers")
def test_other_events_and_recordings_are_another_data_set(folder, store, tmp_path):
    root = shutil.copytree(folder / "videos", tmp_path / "videos")
    assert prepare(config_of(root, tmp_path / "out")).store.fingerprint == store.fingerprint
    text = (root / "events.csv").read_text()
    (root / "events.csv").write_text(text.replace("29.5,29.6", "29.4,29.6"))
    report = prepare(config_of(root, tmp_path / "out"))
    assert not report.up_to_date
    assert report.store.fingerprint != store.fingerprint
    labels = [recording_labels(each, "test") for each in (report.store, store)]
    np.testing.assert_array_equal(*labels)
    # One that is too short leaves nothing behind.
    with (root / "events.csv").open("a") as file:
        file.write("\nd.avi,0.5,1,tick,train\n")
    render(root / "d.avi", 8)
    store = prepare(config_of(root, tmp_path / "new", min_frames=10, max_bad_fraction=0.5)).store
    assert [left["video"] for left in store.report["left_out"]] == ["d.avi"]
    assert len(store.records) == 3
    assert all(map(is_read_whole, store.records))


def test_memory_does_not_grow_with_the_length(monkeypatch):
    monkeypatch.setattr(pieces, "write_record", lambda *_: 1000)
    label = Annotation(events=((1.0, 2.0, "a"),)).by_frame(10, ["a"])

    def peak(num_frames):
        stored = ({"frames": bytes(1000)} for _ in range(num_frames))
        tracemalloc.start()
        pieces.write_pieces(None, stored, FramesConfig(), label, {}, on_piece=lambda: None)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(10_000) < 1.5 * peak(1_000)


def test_frames_that_tell_a_recording_from_others_are_from_end_to_end():
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
