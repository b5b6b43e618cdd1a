"""The frames that are stored of a video, their rate, their flow, and records of them."""

import contextlib
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import FramesConfig
from pipeline.errors import DataError
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

STILL = (128, 128, 0)


@pytest.fixture
def video(tmp_path):
    """A picture that slides to the right, by two pixels a frame."""
    cells = np.random.default_rng(0).integers(256, size=(8, 8, 3), dtype=np.uint8)
    picture = cells.repeat(4, 0).repeat(4, 1)
    frames = np.stack([np.roll(picture, 2 * index, axis=1) for index in range(6)])
    write_video(tmp_path / "slide.avi", frames, fps=4, codec="FFV1")
    return tmp_path / "slide.avi"


@pytest.mark.parametrize(
    ("num_frames", "fps", "stored_fps", "first_of_each"),
    [(8, 10, 5, [0, 1, 2, 3]), (3, 2, 6, [0, 0, 0, 3, 3, 3, 6, 6, 6])],
)
def test_frames_are_those_of_the_reader_as_jpeg(
    tmp_path, num_frames, fps, stored_fps, first_of_each
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


def test_flow_leads_from_the_stored_frame_before(video):
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


def test_no_motion_is_looked_for_where_a_frame_repeats(video, monkeypatch):
    looked_at = []

    def look(before, frame):
        looked_at.append(not np.array_equal(before, frame))
        return flow_image(before, frame)

    monkeypatch.setattr("pipeline.streams.flow.flow_image", look)
    images, _ = encode_video(video, FramesConfig(fps=8, size=32, jpeg_quality=95, flow=True))
    assert looked_at == [True] * 5
    still = [bool((decode_flow(image) == STILL).all()) for image in images["flow"]]
    assert still == [True, True] + [False, True] * 5, "nor in the first one"


# The rate that is chosen of those that videos have.


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([], 15),
        ([30, 25, 60], 15),
        ([14.985] * 3, 15),  # half of what television has: as good as 15
        ([14] * 3, 14),
        ([0.1] * 5 + [30] * 6, 7.5),  # half of what most would get
        ([0.1] * 6 + [30] * 5, 0.1),
        ([5] * 2 + [30] * 38, 15),  # one in twenty
        ([9] * 2 + [30] * 37, 9),
    ],
)
def test_stored_rate(rates, expected):
    assert stored_rate(rates) == expected


def test_rate_of_files(tmp_path, monkeypatch):
    """Evenly chosen where there are many; one that cannot be read is passed over."""
    monkeypatch.setattr("pipeline.prepare.rate._LOOKED_AT", 3)
    paths = [str(tmp_path / f"{rate}.avi") for rate in (14, 10, 12, 11, 13, 15)]
    for path in paths:
        rate = float(Path(path).stem)
        write_video(path, [np.zeros((16, 16, 3), np.uint8)] * 2, fps=rate, codec="FFV1")
    Path(paths[2]).write_text("no video")
    config = configure(tmp_path)
    assert chosen_rate(paths, config) == 13


# Records, read back by TensorFlow and by Protocol Buffers.

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


@pytest.mark.parametrize(
    "images",
    [
        {"frames": noise(1)},
        {"frames": noise(0, 127, 128, 16_383, 16_384)},
        {"frames": noise(2_100_000, 3)},
        {"frames": noise(300, 5, 20_000), "flow": noise(7, 128, 0)},
    ],
    ids=["short", "of lengths around those of varints", "long", "with flow"],
)
def test_tensorflow_reads_what_was_written(tmp_path, images):
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


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path):
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


def test_frames_of_a_spool_come_back_in_any_order():
    images = noise(700_000, 1, 700_000, 0)  # more than is held in memory
    with FrameSpool() as spool:
        for image in images:
            spool.append(image)
        assert spool.num_bytes == 1_400_001
        assert [spool[index] for index in (3, 0, 2)] == [images[i] for i in (3, 0, 2)]
        assert list(spool) == images
