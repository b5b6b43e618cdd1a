"""Files of chunks: what others read in them, single frames, damage, and what is missing."""

import math
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow as tf

from pipeline.errors import DataError
from pipeline.frames import chunks
from pipeline.frames.chunks import StoredVideo, add_segment, no_chunks, read_index, write_index
from pipeline.frames.store import missing_chunks, stored_index, take_from, unneeded_files

KEY = f"{'a' * 24}_{'b' * 8}"
OTHERS = {"video": "wälk/a.avi", "fps": 30.0}


def noise(*lengths):
    rng = np.random.default_rng(0)
    return [rng.bytes(length) for length in lengths]


def write(folder, *segments, known=None):
    """Segments, each of chunks by their numbers."""
    index = no_chunks(KEY, tuple(next(iter(segments[0].values()))))
    for segment in segments:
        index = add_segment(folder, index, iter(segment.items()), OTHERS)
    index = index._replace(known=known or {})
    write_index(folder, index)
    return index


def test_tensorflow_reads_what_was_written_and_the_index_says_where_each_frame_lies(tmp_path):
    for images in (
        {"frames": noise(1)},
        {"frames": noise(0, 127, 128, 16_383, 16_384)},
        {"frames": noise(2_100_000, 3)},
        {"frames": noise(300, 5, 20_000), "flow": noise(7, 128, 0)},
    ):
        write(tmp_path, {3: images, 4: images})
        file = chunks.segment_file(tmp_path, KEY, 3)
        first, second = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
        example = tf.train.Example.FromString(first)
        features = example.features.feature
        assert set(features) == {*OTHERS, "first_frame", *images}
        assert {name: list(features[name].bytes_list.value) for name in images} == images
        assert features["first_frame"].int64_list.value == [3 * 128]
        assert features["video"].bytes_list.value == ["wälk/a.avi".encode()]
        assert features["fps"].float_list.value == [30.0]
        # The parser of tf.data is another one.
        parsed = tf.io.parse_single_example(second, {"frames": tf.io.RaggedFeature(tf.string)})
        assert parsed["frames"].numpy().tolist() == images["frames"]
        assert len(example.SerializeToString()) == len(first), "as short as it can be"
        video, number = StoredVideo(tmp_path, KEY), len(images["frames"])
        order = [4 * 128 + number - 1, 3 * 128, 4 * 128 + number - 1]
        for name, each in images.items():
            assert video.read(order, [name]) == [[each[-1], each[0], each[-1]]]


def test_a_frame_is_read_without_the_others(tmp_path, monkeypatch):
    images = {"frames": noise(*range(1000, 1128))}
    write(tmp_path, {0: images}, {9: images})
    read, reading, told = [], chunks._Opened.read, []
    monkeypatch.setattr(
        chunks._Opened, "read", lambda file, *at: read.append(at[1]) or reading(file, *at)
    )
    monkeypatch.setattr(
        chunks.os, "posix_fadvise", lambda _, *at: told.append(at[1]), raising=False
    )
    (found,) = StoredVideo(tmp_path, KEY).read([5, 9 * 128 + 7, 5, 6], ["frames"])
    assert found == [images["frames"][number] for number in (5, 7, 5, 6)]
    assert read == [1005, 1007, 1006]
    assert told == [1005 + 3 + 1006, 1007], "in one go, with the three bytes between them"


def test_every_changed_byte_of_a_frame_or_an_index_is_noticed(tmp_path):
    index = write(tmp_path, {0: {"frames": noise(5, 6)}})
    file = chunks.segment_file(tmp_path, KEY, 0)
    content = file.read_bytes()
    (start,), (length,) = index.entries["start"][1], index.entries["length"][1]
    for place in range(start, start + length):
        for damaged in (content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :],):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=rf"{file.name}: damaged\. Delete this"):
                StoredVideo(tmp_path, KEY).read([1], ["frames"])
            assert StoredVideo(tmp_path, KEY).read([0], ["frames"]) == [[noise(5, 6)[0]]]
    file.write_bytes(content)
    file.write_bytes(content[:start])
    assert not stored_index(tmp_path, KEY).chunks, "it is cut off"
    chunks._opened.cache_clear()
    file.unlink()
    assert not stored_index(tmp_path, KEY).chunks
    with pytest.raises(DataError, match="not there any more"):
        StoredVideo(tmp_path, KEY).read([0], ["frames"])
    content = chunks.index_file(tmp_path, KEY).read_bytes()
    for damaged in (
        content[:-1],
        content[:-1] + bytes([content[-1] ^ 1]),
        b"",
        b"{}\n",
        content[:9],
    ):
        chunks.index_file(tmp_path, KEY).write_bytes(damaged)
        assert read_index(tmp_path, KEY) is None
        with pytest.raises(DataError, match="index: missing or damaged. Run the same"):
            StoredVideo(tmp_path, KEY)


def test_what_is_lost_of_several_files_alone_is_missing(tmp_path):
    images = {"frames": noise(*range(10, 138))}
    write(tmp_path, {0: images, 1: images}, {3: images}, {2: images})
    chunks.segment_file(tmp_path, KEY, 3).unlink()
    index = stored_index(tmp_path, KEY)
    assert index.chunks == {0: 128, 1: 128, 2: 128}
    write_index(tmp_path, index)
    assert StoredVideo(tmp_path, KEY).read([2 * 128 + 4], ["frames"]) == [[images["frames"][4]]]


def test_chunks_that_are_missing(tmp_path):
    for there, spans, known, expected in (
        ((), [(0, math.inf)], None, [(0, math.inf)]),
        ((), [(0, math.inf)], 300, [(0, 3)]),
        ((), [(0, 1), (127, 128)], None, [(0, 1)]),
        ((), [(127, 129)], None, [(0, 2)]),
        ((), [(300, 301), (0, 128)], None, [(0, 1), (2, 3)]),
        ((1,), [(0, 300)], None, [(0, 1), (2, 3)]),
        ((0, 1, 2), [(0, 300), (10, 20)], None, []),
        ((0, 1, 2), [(0, math.inf)], None, [(3, math.inf)]),
        ((0, 1, 2), [(0, math.inf)], 300, []),
        ((), [(900, 901)], 300, []),
    ):
        index = no_chunks(KEY, ["frames"])
        segments = tuple(chunks.Segment(number, 0, ((number, 1),)) for number in there)
        known = {} if known is None else {"stored_frames": known}
        index = index._replace(segments=segments, known=known)
        assert missing_chunks(index, spans) == expected, (there, spans, known)


def test_frames_of_another_folder_take_no_room_and_stay_when_it_goes(tmp_path, monkeypatch):
    images = {"frames": noise(5, 6)}
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    first, second, third = folders
    index = write(first, {0: images}, {2: images})
    take_from(second, KEY, [str(tmp_path / "none"), str(third), str(first)])
    files = {file.name: file.stat().st_ino for file in first.iterdir()}
    assert {file.name: file.stat().st_ino for file in second.iterdir()} == files
    # Without links they are copied.
    monkeypatch.setattr("os.link", Mock(side_effect=OSError(95, "Operation not supported")))
    take_from(third, KEY, [str(first)])
    assert {file.name for file in third.iterdir()} == set(files)
    for file in first.iterdir():
        file.unlink()
    for folder in (second, third):
        assert stored_index(folder, KEY).chunks == index.chunks
        assert StoredVideo(folder, KEY).read([257], ["frames"]) == [[images["frames"][1]]]
    (second / "clipline-x.index.tmp").touch()
    (second / "dataset_info.json").touch()
    assert [file.name for file in unneeded_files(second, {KEY})] == ["clipline-x.index.tmp"]
    assert {file.name for file in unneeded_files(second, {"other"})} > set(files)
    assert not list(unneeded_files(tmp_path / "none", {KEY}))
