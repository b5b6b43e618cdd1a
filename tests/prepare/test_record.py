"""Records, read back by TensorFlow and by Protocol Buffers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.prepare.record import write_record
from pipeline.prepare.shard_file import ShardFile
from pipeline.prepare.stored_frames import FrameSpool

OTHERS = {
    "label": 3,
    "video": "wälk/a.avi",
    "group": "ann",
    "num_frames": 90,
    "fps": 30.0,
    "duration_seconds": 3.0,
}


def write(path: Path, images: list[bytes], times: int = 1) -> int:
    with path.open("wb") as file, FrameSpool() as spool:
        for image in images:
            spool.append(image)
        for _ in range(times):
            num_bytes = write_record(file, {"frames": spool}, OTHERS)
    return num_bytes


def noise(*lengths: int) -> list[bytes]:
    rng = np.random.default_rng(0)
    return [rng.bytes(length) for length in lengths]


@pytest.mark.parametrize(
    "lengths",
    [(1,), (0, 127, 128), (16_383, 16_384, 5), (2_100_000, 3), (600_000, 600_000)],
)
def test_tensorflow_reads_what_was_written(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    images = noise(*lengths)
    num_bytes = write(tmp_path / "x.tfrecord", images, times=2)

    records = [record.numpy() for record in tf.data.TFRecordDataset(str(tmp_path / "x.tfrecord"))]

    assert [len(record) for record in records] == [num_bytes] * 2
    example = tf.train.Example.FromString(records[0])
    features = example.features.feature
    assert set(features) == {*OTHERS, "frames"}
    assert list(features["frames"].bytes_list.value) == images
    assert features["label"].int64_list.value == [3]
    assert features["video"].bytes_list.value == ["wälk/a.avi".encode()]
    assert features["group"].bytes_list.value == [b"ann"]
    assert features["num_frames"].int64_list.value == [90]
    assert features["fps"].float_list.value == [30.0]
    assert features["duration_seconds"].float_list.value == [3.0]
    # The parser of tf.data is another one.
    parsed = tf.io.parse_single_example(records[0], {"frames": tf.io.RaggedFeature(tf.string)})
    assert parsed["frames"].numpy().tolist() == images
    assert len(example.SerializeToString()) == num_bytes, "as short as it can be"


def test_flow_lies_beside_the_frames(tmp_path: Path) -> None:
    images = {"frames": noise(300, 5, 20_000), "flow": noise(7, 128, 0)}
    with (tmp_path / "x").open("wb") as file, FrameSpool() as frames, FrameSpool() as flow:
        spools = {"frames": frames, "flow": flow}
        for name, spool in spools.items():
            for image in images[name]:
                spool.append(image)
        num_bytes = write_record(file, spools, OTHERS)

    (record,) = tf.data.TFRecordDataset(str(tmp_path / "x")).as_numpy_iterator()

    example = tf.train.Example.FromString(record)
    features = example.features.feature
    assert set(features) == {*OTHERS, "frames", "flow"}
    assert {name: list(features[name].bytes_list.value) for name in images} == images
    assert len(example.SerializeToString()) == len(record) == num_bytes


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, noise(10, 20))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_changed_byte_and_every_cut_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "x.tfrecord"
    write(path, noise(5, 6), times=2)
    content = path.read_bytes()
    assert len([*ShardFile(path).records(0, 2)]) == 2
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 16
        path.write_bytes(changed)
        with pytest.raises(DataError, match=r"x.tfrecord: damaged\. Delete this"):
            print(place, [*ShardFile(path).records(0, 2)])
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"x.tfrecord: damaged\."):
            print(length, [*ShardFile(path).records(0, 2)])


def test_frames_of_a_spool_come_back_in_any_order() -> None:
    images = noise(700_000, 1, 700_000, 0)  # more than is held in memory
    with FrameSpool() as spool:
        for image in images:
            spool.append(image)
        assert spool.num_bytes == 1_400_001
        assert [spool[index] for index in (3, 0, 2)] == [images[i] for i in (3, 0, 2)]
        assert list(spool) == images
