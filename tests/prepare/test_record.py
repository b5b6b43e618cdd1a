"""Records, read back by TensorFlow and by Protocol Buffers."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.prepare.record import write_record
from pipeline.prepare.shard_file import ShardFile
from pipeline.prepare.stored_frames import FrameSpool

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
