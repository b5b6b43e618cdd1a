"""Optical flow on its way from a prepared data set, or from video files, into a clip."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds

from pipeline.config import NO_AUGMENT, ClipConfig, ModelConfig, TrainConfig
from pipeline.dataset.clip_batches import evaluation_clips, training_batches
from pipeline.dataset.sampling import sample_clip
from pipeline.dataset.videos import resolve
from pipeline.errors import DataError
from pipeline.video import decode_flow, decode_jpeg

FLOW = ("frames", "flow")
SKIP = {"frames": tfds.decode.SkipDecoding(), "flow": tfds.decode.SkipDecoding()}


def records_of(store, **options):
    """The chunks of the test videos, one each, as TensorFlow Datasets reads them."""
    builder = tfds.builder_from_directory(store.frames_folder)
    chunks = builder.as_dataset(split="all", **options).as_numpy_iterator()
    of_video = {chunk["video"].decode(): chunk for chunk in chunks}
    return iter([of_video[clip.frames] for clip in store.of_split("test")])


@pytest.fixture
def config(blob_config):
    return dataclasses.replace(blob_config, model=ModelConfig(streams=("rgb", "flow")))


def test_a_store_says_whether_it_has_flow_which_tensorflow_datasets_reads(
    flow_store, blob_store, config
):
    assert flow_store.frames == dataclasses.replace(blob_store.frames, flow=True)
    assert "with optical flow" in str(flow_store.frames)
    assert "flow" not in str(blob_store.frames)
    assert json.loads((flow_store.path / "prepare.json").read_text())["settings"]["flow"]
    record = next(records_of(flow_store))
    assert set(record) == {*next(records_of(blob_store)), "flow"}
    flow = record["flow"]
    assert flow.shape == (len(record["frames"]), 96, 32, 1)
    assert (flow[0, :64] == 128).all(), "the first frame: no motion"
    assert (flow[0, 64:] == 0).all()
    assert flow[1:].std() > 20
    with pytest.raises(DataError, match=r"store .*: model.streams needs .* Prepare it with --flow"):
        resolve(dataclasses.replace(config, data=str(blob_store.path)))
    _, found = resolve(dataclasses.replace(config, data=str(flow_store.path)))
    assert found.frames == flow_store.frames


@pytest.mark.parametrize("images", [{"flow"}, {"frames", "flow"}])
def test_a_clip_holds_what_the_model_takes(flow_store, config, images):
    """The frames of the clip, each with its own flow."""
    streams = ("rgb", "flow") if "frames" in images else ("flow",)
    config = dataclasses.replace(config, model=ModelConfig(streams=streams))
    records = records_of(flow_store, decoders=SKIP)
    clips = evaluation_clips(flow_store, config, "test").unbatch()
    assert set(clips.element_spec[0]) == {*images, "mask"}
    decode = {"frames": decode_jpeg, "flow": decode_flow}
    for record, (inputs, _, _) in zip(records, clips.as_numpy_iterator(), strict=True):
        indices, _ = sample_clip(len(record["frames"]), config.clip)
        for image in images:
            wanted = [decode[image](record[image][index]) for index in indices]
            np.testing.assert_array_equal(inputs[image], wanted)


def clips_by_name(store, config, order):
    """The real frames and flow of the test clips, by the names of the videos."""
    found = evaluation_clips(store, config, "test", order=order).unbatch().as_numpy_iterator()
    return {
        source["video"].decode(): {name: inputs[name][inputs["mask"]] for name in FLOW}
        for inputs, _, source in found
    }


def motion(flow):
    """How far all pixels of each frame moved in the mean, (T, 2), in grey levels."""
    return flow[..., :2].mean((1, 2)) - 128


def partner(name):
    return name.replace("left", "LEFT").replace("right", "left").replace("LEFT", "right")


def test_flow_of_a_clip_in_another_order(flow_store, config):
    """Each video is there in both directions, under the same name in the other class.

    Backwards it is that of the reversed video; shuffled it stays with its frames.
    """
    config = dataclasses.replace(config, clip=ClipConfig(num_frames=8, views=1))
    orders = ("in_order", "reversed", "shuffled")
    plain, backwards, shuffled = (clips_by_name(flow_store, config, order) for order in orders)
    for name, clip in backwards.items():
        np.testing.assert_array_equal(clip["frames"], plain[partner(name)]["frames"])
        np.testing.assert_array_equal(clip["flow"][0], (128, 128, 0) + 0 * clip["flow"][0])
        wanted = motion(plain[partner(name)]["flow"])
        assert np.abs(motion(clip["flow"]) - wanted).max() < 0.5 * np.abs(wanted).max(), name
    for name, clip in shuffled.items():
        both = (zip(each["frames"], each["flow"], strict=True) for each in (clip, plain[name]))
        mixed, wanted = ({(frame.tobytes(), flow.tobytes()) for frame, flow in b} for b in both)
        assert mixed == wanted


def test_a_part_of_a_file_backwards_begins_without_motion(flow_store, config):
    whole = flow_store.of_split("test")
    parts = [
        dataclasses.replace(clip, first_frame=3, num_frames=clip.num_frames - 3) for clip in whole
    ]
    store = dataclasses.replace(flow_store, clips=tuple(parts))
    config = dataclasses.replace(config, clip=ClipConfig(num_frames=12, views=1))
    forwards, backwards = (clips_by_name(store, config, o) for o in ("in_order", "reversed"))
    is_still = [(clip["flow"][0] == (128, 128, 0)).all() for clip in backwards.values()]
    assert all(is_still)
    assert not any((clip["flow"][0] == (128, 128, 0)).all() for clip in forwards.values())


def test_training_shows_what_evaluation_does_of_a_reversed_clip(flow_store, config):
    pairs = (("left", "right"),)
    whole = ClipConfig(num_frames=12, views=1)  # There is but one such clip of a video.
    config = dataclasses.replace(config, clip=whole, train=TrainConfig(batch_size=48))
    augment = dataclasses.replace(NO_AUGMENT, reverse=1.0, reverse_labels=pairs)
    shown = dataclasses.replace(config, augment=augment)
    ((inputs, labels),) = training_batches(flow_store, shown).take(1).as_numpy_iterator()
    clips = evaluation_clips(flow_store, config, "train", order="reversed").unbatch()
    wanted = {
        (*(clip[name][clip["mask"]].tobytes() for name in FLOW), 1 - label)
        for clip, label, _ in clips.as_numpy_iterator()
    }
    found = zip(inputs["mask"], inputs["frames"], inputs["flow"], labels, strict=True)
    assert {(f[mask].tobytes(), flow[mask].tobytes(), n) for mask, f, flow, n in found} == wanted
