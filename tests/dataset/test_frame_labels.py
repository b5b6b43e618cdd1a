"""The labels of a clip of a recording are those of its frames, whatever becomes of them."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import (
    NO_AUGMENT,
    Change,
    ClipConfig,
    FramesConfig,
    ModelConfig,
    RunConfig,
    TemporalConfig,
)
from pipeline.dataset.clips import random_clip
from pipeline.video import encode_jpeg

LENGTH, SIZE, STEP = 40, 16, 6
CLASSES = ("left", "right", "rest")
UNKNOWN = [255] * 3


def labels_of(numbers):
    """Frames 0 to 9 go left, 10 to 19 right, 20 to 29 rest; of the others nothing is known."""
    table = [*np.eye(3, dtype=int).tolist(), UNKNOWN]
    return np.array([table[number // 10] for number in numbers], np.uint8)


def recording():
    """Frames whose level is their number; the left half of each is darker."""
    frames = np.zeros((LENGTH, SIZE, SIZE, 3), np.uint8)
    frames += (STEP * np.arange(LENGTH)).astype(np.uint8)[:, None, None, None]
    frames[:, :, SIZE // 2 :] += 16
    return {
        "frames": tf.constant([encode_jpeg(frame, quality=95) for frame in frames]),
        "label": tf.constant(labels_of(range(LENGTH))),
        "num_frames": tf.constant(LENGTH),
    }


def clips(num_frames=16, **changes):
    """(number of each real frame, mask, labels, whether it is mirrored) of many clips."""
    config = RunConfig(
        clip=ClipConfig(num_frames=num_frames, sampling="dense", stride=1),
        model=ModelConfig(task="frames", streams=("rgb",)),
        temporal=TemporalConfig(kind="tcn"),
        augment=dataclasses.replace(NO_AUGMENT, **changes),
    )
    make, video = random_clip(config, FramesConfig(size=SIZE), CLASSES, 1), recording()
    number = tf.constant(0, tf.int64)
    for inputs, labels in tf.data.Dataset.range(30).map(lambda at: make(at, (number, video))):
        frames, mask = inputs["frames"].numpy().astype(int), inputs["mask"].numpy()
        left, right = (frames[:, :, at].mean(axis=(1, 2, 3)) for at in np.split(np.arange(SIZE), 2))
        mirrored = left > right
        numbers = np.rint(np.minimum(left, right) / STEP).astype(int)
        yield numbers[mask], mask, labels.numpy(), bool(mirrored[0])


@pytest.mark.parametrize("change", ["speed", "drop_frames"])
def test_they_follow_the_frames(change):
    steps = set()
    for numbers, mask, labels, _ in clips(**{change: Change(strength=0.6)}):
        np.testing.assert_array_equal(labels[mask], labels_of(numbers))
        assert (labels[~mask] == 255).all()
        steps.add(tuple(np.diff(numbers)))
    assert len(steps) > 5, "there was something to follow"


def test_of_what_is_padded_nothing_is_known():
    for numbers, mask, labels, _ in clips(num_frames=64):
        assert numbers.tolist() == list(range(LENGTH))
        assert mask.sum() == LENGTH
        assert (labels[LENGTH:] == 255).all()


def test_a_mirrored_clip_has_the_labels_of_the_partners():
    seen = set()
    pairs = (("left", "right"),)
    for numbers, _, labels, mirrored in clips(flip=0.5, flip_labels=pairs):
        seen.add(mirrored)
        wanted = labels_of(numbers)
        np.testing.assert_array_equal(labels, wanted[:, [1, 0, 2]] if mirrored else wanted)
    assert seen == {True, False}
    for numbers, _, labels, _ in clips(flip=0.5):
        np.testing.assert_array_equal(labels, labels_of(numbers))
