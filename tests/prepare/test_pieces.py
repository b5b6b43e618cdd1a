"""Stored frames: their rate, their flow, records of them, and the pieces of recordings."""

import contextlib
import dataclasses
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from pipeline.config import FramesConfig
from pipeline.dataset.records import recording_frames, recording_labels
from pipeline.errors import DataError
from pipeline.manifest.annotation import Annotation
from pipeline.prepare import pieces
from pipeline.prepare.preparation import prepare
from pipeline.prepare.prepared import open_store
from pipeline.prepare.rate import chosen_rate, stored_rate
from pipeline.prepare.record import write_record
from pipeline.prepare.shard_file import ShardFile
from pipeline.prepare.stored_frames import FrameSpool, encode_video
from pipeline.video import (
    VideoReader,
    decode_flow,
    decode_jpeg,
    encode_flow,
    encode_jpeg,
    flow_image,
    iter_frames,
    write_video,
)
from tests.prepare.people import FRAMES, configure, render
from tests.prepare.recordings import config_of, prepare_greys
from tests.prepare.recordings import render as render_grey

STILL = (128, 128, 0)


@pytest.fixture
def video(tmp_path):
    """A picture that slides to the right, by two pixels a frame."""
    cells = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    picture = cells.repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, 2 * index, axis=1) for index in range(6)])
    write_video(tmp_path / "slide.avi", frames, fps=4, codec="FFV1")
    return tmp_path / "slide.avi"


def test_frames_are_those_of_a_reader_as_jpeg(tmp_path):
    for num_frames, fps, stored_fps, first_of_each in (
        (8, 10, 5, [0, 1, 2, 3]),
        (3, 2, 6, [0, 0, 0, 3, 3, 3, 6, 6, 6]),
    ):
        path = render(tmp_path / "a.avi", 1, num_frames=num_frames, fps=fps)
        with VideoReader(path) as reader:
            frames = reader.frames(fps=stored_fps, size=(16, 16))
            expected = [encode_jpeg(frame, quality=90) for frame in frames]
        found, info = encode_video(path, dataclasses.replace(FRAMES, fps=stored_fps))
        images = found["frames"]
        assert found == {"frames": expected}
        assert [images.index(image) for image in images] == first_of_each
        assert all(images[index] is images[first] for index, first in enumerate(first_of_each))
        assert info.num_frames == num_frames
        assert decode_jpeg(images[0]).shape == (16, 16, 3)


def test_flow_leads_from_the_stored_frame_before_and_is_none_where_one_repeats(video, monkeypatch):
    """From that of two frames before, then, which is another motion."""
    frames = FramesConfig(fps=2, size=32, jpeg_quality=60, flow=True)
    stored = list(iter_frames(video, fps=2, size=(32, 32)))
    assert len(stored) == 3
    images, _ = encode_video(video, frames)
    pairs = zip([stored[0], *stored], stored, strict=False)
    assert images["flow"] == [encode_flow(flow_image(*pair), quality=60) for pair in pairs]
    assert np.median(decode_flow(images["flow"][2])[..., 0]) == 255, "4 pixels of 32"
    without, _ = encode_video(video, dataclasses.replace(frames, flow=False))
    assert without == {"frames": images["frames"]}
    looked_at = []

    def look(before, frame):
        looked_at.append(not np.array_equal(before, frame))
        return flow_image(before, frame)

    monkeypatch.setattr("pipeline.streams.pictures.flow_image", look)
    images, _ = encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    assert looked_at == [True] * 5
    still = [bool((decode_flow(image) == STILL).all()) for image in images["flow"]]
    assert still == [True, True] + [False, True] * 5, "nor in the first one"


def test_stored_rate_of_those_of_files(tmp_path, monkeypatch):
    for rates, expected in (
        ([], 15),
        ([30, 25, 60], 15),
        ([14.985] * 3, 15),  # half of what television has: as good as 15
        ([14] * 3, 14),
        ([0.1] * 5 + [30] * 6, 7.5),  # half of what most would get
        ([0.1] * 6 + [30] * 5, 0.1),
        ([5] * 2 + [30] * 38, 15),  # one in twenty
        ([9] * 2 + [30] * 37, 9),
    ):
        assert stored_rate(rates) == expected, rates
    # Evenly chosen where there are many; one that cannot be read is passed over.
    monkeypatch.setattr("pipeline.prepare.rate._LOOKED_AT", 3)
    paths = [str(tmp_path / f"{rate}.avi") for rate in (14, 10, 12, 11, 13, 15)]
    for path in paths:
        rate = float(Path(path).stem)
        write_video(path, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=rate, codec="FFV1")
    Path(paths[2]).write_text("no video")
    assert chosen_rate(paths, configure(tmp_path)) == 13


OTHERS = {"label": 3, "video": "wälk/a.avi", "num_frames": 90, "fps": 30.0}


def write(path, times=1, **images):
    with path.open("wb") as file, contextlib.ExitStack() as stack:
        spools = {name: stack.enter_context(FrameSpool()) for name in images}
        for name, spool in spools.items():
            for image in images[name]:
                spool.append(image)
        for _ in range(times):
            num_bytes = write_record(file, spools, OTHERS)
    return num_bytes


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.bytes(length) for length in lengths]


def test_tensorflow_reads_what_was_written(tmp_path):
    for images in (
        {"frames": noise(1)},
        {"frames": noise(0, 127, 128, 16_383, 16_384)},
        {"frames": noise(2_100_000, 3)},
        {"frames": noise(300, 5, 20_000), "flow": noise(7, 128, 0)},
    ):
        num_bytes = write(tmp_path / "x.tfrecord", times=2, **images)
        first, second = tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord")).as_numpy_iterator()
        assert first == second, "the same frames give the same bytes"
        assert len(first) == num_bytes
        example = tf.train.Example.FromString(first)
        features = example.features.feature
        assert set(features) == {*OTHERS, *images}
        assert {name: list(features[name].bytes_list.value) for name in images} == images
        assert features["label"].int64_list.value == [3]
        assert features["video"].bytes_list.value == ["wälk/a.avi".encode()]
        assert features["num_frames"].int64_list.value == [90]
        assert features["fps"].float_list.value == [30.0]
        # The parser of tf.data is another one.
        parsed = tf.io.parse_single_example(first, {"frames": tf.io.RaggedFeature(tf.string)})
        assert parsed["frames"].numpy().tolist() == images["frames"]
        assert len(example.SerializeToString()) == num_bytes, "as short as it can be"


def test_every_changed_byte_or_cut_is_noticed_and_a_spool_gives_frames_in_any_order(tmp_path):
    path = tmp_path / "x.tfrecord"
    write(path, times=2, frames=noise(5, 6))
    content = path.read_bytes()
    assert len([*ShardFile(path).records(0, 2)]) == 2
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 16
        for damaged in (changed, content[:place]):
            path.write_bytes(damaged)
            with pytest.raises(DataError, match=r"x.tfrecord: damaged\. Delete this"):
                print(place, [*ShardFile(path).records(0, 2)])
    images = noise(700_000, 1, 700_000, 0)  # more than is held in memory
    with FrameSpool() as spool:
        for image in images:
            spool.append(image)
        assert spool.num_bytes == 1_400_001
        assert [spool[index] for index in (3, 0, 2)] == [images[i] for i in (3, 0, 2)]
        assert list(spool) == images


@pytest.fixture(scope="module")
def folder(made):
    return made("grey recordings", prepare_greys)


@pytest.fixture(scope="module")
def store(folder):
    return open_store(folder / "store")


def test_a_recording_is_one_row_with_all_its_classes_and_records_of_bounded_length(folder, store):
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


def is_read_whole(record):
    found = [len(each) for each in record.shard.records(record.start, len(record.pieces))]
    return found == [piece.num_bytes for piece in record.pieces]


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
    render_grey(root / "d.avi", 8)
    store = prepare(config_of(root, tmp_path / "new", min_frames=10, max_bad_fraction=0.5)).store
    assert [left["video"] for left in store.report["left_out"]] == ["d.avi"]
    assert len(store.records) == 3
    assert all(map(is_read_whole, store.records))


def test_frames_that_tell_recordings_apart_are_from_end_to_end_and_memory_is_bounded(monkeypatch):
    for num_frames in (1, 5, 127, 129, 1000, 5003):
        written = pieces.StoredPieces(FramesConfig())
        for first in range(0, num_frames, 128):
            number = min(128, num_frames - first)
            with pieces.FrameSpool() as spool:
                for frame in range(first, first + number):
                    spool.append(frame.to_bytes(4))
                written.add({"frames": spool}, np.zeros((number, 1), np.uint8), 0)
        shown = [int.from_bytes(frame) for frame in written.shown()]
        assert np.abs(shown - pieces.hash_positions(num_frames)).max() < max(1, num_frames / 64)
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
