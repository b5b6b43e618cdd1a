"""Stretches of recordings: what is read of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, AugmentConfig, Change, ClipConfig, ModelConfig, RunConfig
from pipeline.config.file import load_config
from pipeline.dataset.clip_batches import (
    augmented_clips,
    chance,
    epoch_size,
    evaluation_clips,
    training_batches,
)
from pipeline.dataset.recordings import around_chunks, recording_labels, windows_of
from pipeline.dataset.videos import VideoReader, resolve
from pipeline.errors import ConfigError
from pipeline.manifest.annotation import IGNORED_LABEL
from pipeline.prepare.prepared import open_prepared
from pipeline.video import decode_jpeg
from tests.prepare.recordings import LENGTHS, prepare_greys


@pytest.fixture(scope="module")
def store(made):
    return open_prepared(made("grey recordings", prepare_greys) / "store")


def configure(store, augment=NO_AUGMENT, **clip):
    clip = {"num_frames": 16, "sampling": "dense", "stride": 1, "views": 1, **clip}
    config = RunConfig(
        data=str(store.path),
        clip=ClipConfig(**clip),
        model=ModelConfig(streams=("rgb",)),
        augment=augment,
    )
    return resolve(config)[1]


def halves_of(inputs):
    """The greys of both halves of each frame; of those, the darker one is its number."""
    frames = inputs["frames"].numpy().astype(int)
    return frames[..., 8, 4, 0], frames[..., 8, 12, 0]


def greys_of(inputs):
    return np.minimum(*halves_of(inputs))


def labels_of_test(store):
    (labels,) = recording_labels(store, store.of_split("test"))
    return labels


def test_the_task_is_that_of_the_data_set(store, blob_store):
    config = configure(store)
    assert (config.model.task, config.model.background) == ("frames", "background")
    with pytest.raises(ConfigError, match=r"of recordings; .*\(--config recordings\)"):
        resolve(dataclasses.replace(config, model=ModelConfig(task="video")))
    with pytest.raises(ConfigError, match="frames in a row: --config recordings"):
        resolve(RunConfig(data=str(store.path)))
    # A video is no recording, which is said first, whatever else does not go together.
    for values, message in (
        ({"model.task": "frames"}, r"with one label each: it is for video \(--config small"),
        ({}, "^temporal.stages is for recordings.*--config small"),
    ):
        config = load_config("recordings", {"data": str(blob_store.path), **values})
        with pytest.raises(ConfigError, match=message):
            resolve(config)
    values = {"temporal.stages": 1, "data": str(store.path), "model.streams": ["rgb"]}
    for key, value, message in (
        ("temporal.kind", "mean", "takes a temporal.kind that tells frames apart"),
        ("clip.short", "loop", "takes clip.short mask"),
    ):
        with pytest.raises(ConfigError, match=f"task frames {message}"):
            resolve(load_config("recordings", {**values, key: value}))


def test_stretches_hold_any_window_that_meets_their_chunk(store):
    records = store.of_split("train")
    for length, stride in ((5, 3), (64, 4)):
        reach = (length - 1) * stride
        stretches = iter(around_chunks(records, configure(store, num_frames=length, stride=stride)))
        for record in records:
            for first in range(0, record.num_frames, 128):
                found = next(stretches)
                assert found.first == max(0, first - reach)
                end = min(record.num_frames, first + 128)
                assert found.first + found.num_frames == min(record.num_frames, end + reach)
        assert not list(stretches)
    # A slower clip reaches further.
    slower = configure(store, AugmentConfig(speed=Change(strength=0.5)))
    one, other = (around_chunks(records, c) for c in (configure(store), slower))
    assert max(each.num_frames for each in other) > max(each.num_frames for each in one)
    # What is read of a stretch are its frames and labels.
    config = configure(store, num_frames=150)
    reader = VideoReader(store, "test", config, at_random=False)
    (stretch,) = windows_of(store.of_split("test"), config)
    found = reader.describe(tf.constant(0))
    assert found["num_frames"] == stretch.num_frames == 130
    np.testing.assert_array_equal(found["label"], labels_of_test(store))
    read = reader(tf.constant(0), {"frames": tf.constant([129, 0], tf.int64)})["frames"].numpy()
    greys = [decode_jpeg(image)[8, 4, 0] for image in read]
    np.testing.assert_allclose(greys, [29 * 5, 0], atol=2)


@pytest.mark.parametrize(("length", "stride"), [(16, 3), (200, 1)])
def test_windows_of_evaluation_show_their_frames_with_their_labels(store, length, stride):
    config = configure(store, num_frames=length, stride=stride)
    truth = labels_of_test(store)
    seen = set()
    for inputs, labels, source in evaluation_clips(store, config, "test"):
        for row, first in enumerate(source["first_frame"].numpy()):
            mask = inputs["mask"][row].numpy()
            frames = first + (stride - 1) // 2 + np.arange(length)[mask] * stride
            greys = greys_of(inputs)[row][mask]
            np.testing.assert_allclose(greys, frames % 50 * 5, atol=2)
            np.testing.assert_array_equal(labels[row][mask], truth[frames])
            assert (labels[row].numpy()[~mask] == IGNORED_LABEL).all()
            seen |= set(frames.tolist())
    assert seen == set(range((stride - 1) // 2, LENGTHS["b"], stride))


@pytest.mark.parametrize("pairs", [(), (("tick", "background"),)])
def test_labels_of_training_follow_their_frames(store, pairs):
    augment = dataclasses.replace(
        NO_AUGMENT,
        flip=0.5,
        flip_labels=pairs,
        speed=Change(strength=0.4),
        drop_frames=Change(strength=0.3),
    )
    config, found = configure(store, augment), set()
    tick = store.class_names.index("tick")
    for epoch in range(2):
        for inputs, labels in augmented_clips(store, config, epoch=epoch):
            mask, (left, right) = inputs["mask"].numpy(), halves_of(inputs)
            mirrored = left[0] > right[0]
            numbers = np.rint(np.minimum(left, right) / 5)[mask].astype(int)
            # Each tenth frame has a grey of its own, as has each frame of fifty.
            known = numbers != 45  # It may be of the third class.
            is_tick = (numbers % 10 == 0) ^ (mirrored and bool(pairs))
            np.testing.assert_array_equal(labels.numpy()[mask][known, tick], is_tick[known])
            assert (labels.numpy()[~mask] == IGNORED_LABEL).all()
            found.add((mirrored, tuple(np.diff(numbers))))
    assert len(found) > 10, "there was something to follow"
    assert {mirrored for mirrored, _ in found} == {True, False}


def test_rare_classes_are_shown_more_often_and_all_frames_are_shown(store):
    """One of four chunks has the third class: it is shown sqrt(0.75 / 0.25) times as often.

    Chance is the share of the most frequent one.
    """
    config = configure(store)
    balanced = dataclasses.replace(config.train, balanced=True)
    assert epoch_size(store, config) == 4
    assert epoch_size(store, dataclasses.replace(config, train=balanced)) == 5
    assert chance(store, config) == pytest.approx((320 - 32 - 1) / 320)
    batches = training_batches(store, configure(store)).take(30)
    seen = {grey for inputs, _ in batches for grey in np.rint(greys_of(inputs) / 5).flat}
    assert seen == set(range(50))
