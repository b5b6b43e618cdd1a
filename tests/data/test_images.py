"""Optical flow on its way from a prepared data set, or from video files, into a clip."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from pipeline.config import ModelConfig
from pipeline.data.augment.pixels import reverse_flow
from pipeline.data.dataset import evaluation_clips, training_batches
from pipeline.data.frames import encode_video
from pipeline.data.images import check_images
from pipeline.data.sampling import sample_clip
from pipeline.data.videos import open_data
from pipeline.errors import DataError
from pipeline.video import decode_flow, decode_jpeg

SKIP = {"frames": tfds.decode.SkipDecoding(), "flow": tfds.decode.SkipDecoding()}


@pytest.fixture
def config(blob_config):
    return dataclasses.replace(blob_config, model=ModelConfig(input="rgb+flow"))


def test_the_store_holds_what_classifying_computes(flow_store, blob_videos):
    records = flow_store.builder.as_dataset(split="test", decoders=SKIP).as_numpy_iterator()
    count = 0
    for record in records:
        images, _ = encode_video(blob_videos / record["video"].decode(), flow_store.frames)
        assert list(record["frames"]) == images["frames"]
        assert list(record["flow"]) == images["flow"]
        count += 1
    assert count == 16


def test_tensorflow_datasets_reads_flow_as_images(flow_store):
    record = next(flow_store.builder.as_dataset(split="test").as_numpy_iterator())
    flow = record["flow"]
    assert flow.shape == (len(record["frames"]), 96, 32, 1)
    assert (flow[0, :64] == 128).all(), "the first frame: no motion"
    assert (flow[0, 64:] == 0).all()
    assert flow[1:].std() > 20


def test_a_store_says_whether_it_has_flow(flow_store, blob_store):
    assert flow_store.frames == dataclasses.replace(blob_store.frames, flow=True)
    assert "with optical flow" in str(flow_store.frames)
    assert "flow" not in str(blob_store.frames)
    assert json.loads((flow_store.path / "prepare.json").read_text())["settings"]["flow"]
    assert set(flow_store.builder.info.features) == {*blob_store.builder.info.features, "flow"}


@pytest.mark.parametrize(
    ("name", "images"),
    [("rgb", {"frames"}), ("flow", {"flow"}), ("rgb+flow", {"frames", "flow"})],
)
def test_a_clip_holds_what_the_model_takes(flow_store, config, name, images):
    """The frames of the clip, each with its own flow."""
    config = dataclasses.replace(config, model=ModelConfig(input=name))
    records = flow_store.builder.as_dataset(split="test", decoders=SKIP).as_numpy_iterator()
    clips = evaluation_clips(flow_store, config, "test").unbatch()
    assert set(clips.element_spec[0]) == {*images, "mask"}
    decode = {"frames": decode_jpeg, "flow": decode_flow}
    for record, (inputs, _, _) in zip(records, clips.as_numpy_iterator(), strict=True):
        indices, _ = sample_clip(len(record["frames"]), config.clip)
        for image in images:
            wanted = [decode[image](record[image][index]) for index in indices]
            np.testing.assert_array_equal(inputs[image], wanted)


def test_flow_of_a_reversed_clip_points_the_other_way_and_of_a_shuffled_one_it_stays(
    flow_store, config
):
    def clips(order):
        found = evaluation_clips(flow_store, config, "test", order=order).unbatch()
        return [
            {name: inputs[name][inputs["mask"]] for name in ("frames", "flow")}
            for inputs, *_ in found.as_numpy_iterator()
        ]

    def pairs(clip):
        both = zip(clip["frames"], clip["flow"], strict=True)
        return {(frame.tobytes(), flow.tobytes()) for frame, flow in both}

    orders = map(clips, ("in_order", "reversed", "shuffled"))
    for plain, backwards, shuffled in zip(*orders, strict=True):
        np.testing.assert_array_equal(backwards["frames"], plain["frames"][::-1])
        np.testing.assert_array_equal(backwards["flow"], reverse_flow(plain["flow"][::-1]))
        assert pairs(shuffled) == pairs(plain)


def test_training_takes_flow(flow_store, config):
    inputs, _ = next(iter(training_batches(flow_store, config)))
    assert inputs["flow"].shape == inputs["frames"].shape == (8, 8, 32, 32, 3)
    assert inputs["flow"].dtype == tf.uint8
    assert not np.array_equal(inputs["flow"], inputs["frames"])


def test_files_give_the_flow_of_the_store(flow_store, blob_videos, config, tmp_path):
    shutil.copytree(blob_videos, tmp_path / "videos")
    rows = flow_store.manifest.rows
    columns = [
        (f"videos/{row.path.split('videos/')[-1]}", row.label, row.group, row.split) for row in rows
    ]
    lines = ["path,label,group,split", *map(",".join, columns)]
    (tmp_path / "videos.csv").write_text("\n".join(lines))
    files = open_data(tmp_path / "videos.csv", dataclasses.replace(flow_store.frames, flow=False))
    check_images(files, config.model.images)

    def flow(data):
        clips = evaluation_clips(data, config, "test").unbatch().as_numpy_iterator()
        return {
            source["video"].decode().removeprefix("videos/"): inputs["flow"]
            for inputs, _, source in clips
        }

    of_store = flow(flow_store)
    assert len(of_store) == 16
    np.testing.assert_equal(flow(files), of_store)


def test_a_data_set_without_flow(blob_store, flow_store):
    with pytest.raises(DataError, match=r"store: model.input needs .* Prepare it with --flow"):
        check_images(blob_store, ("frames", "flow"))
    check_images(blob_store, ("frames",))
    check_images(flow_store, ("flow",))
