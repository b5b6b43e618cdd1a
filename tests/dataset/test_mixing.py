"""Clips of a batch that are mixed with each other, and what their labels become."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, Change, RunConfig, TrainConfig
from pipeline.dataset.augment.mixing import draw_mixing, mix, training_targets

BOTH = dataclasses.replace(NO_AUGMENT, mixup=Change(strength=0.8), cutmix=Change(strength=1.0))
MIXUP = dataclasses.replace(BOTH, cutmix=Change())
CUTMIX = dataclasses.replace(BOTH, mixup=Change())
SIZE = 12


def draws(augment, batch_size=200, seed=0):
    return draw_mixing(augment, batch_size, SIZE, SIZE, np.random.default_rng(seed))


@pytest.fixture
def batches():
    """Four of three clips; every value of a clip is that of its label, and so is its length."""
    labels = np.arange(12).reshape(4, 3) % 3
    frames = np.zeros((4, 3, 4, SIZE, SIZE, 3), np.uint8)
    frames += (100 * labels).astype(np.uint8)[..., None, None, None, None]
    mask = np.arange(4) <= labels[..., None]
    return tf.data.Dataset.from_tensor_slices(({"frames": frames, "mask": mask}, labels))


def targets_of(batches, config, **options):
    pairs = training_targets(batches, config, 3, **options).as_numpy_iterator()
    return [(inputs["frames"], inputs["mask"], targets) for inputs, targets in pairs]


def test_labels_become_smoothed_targets(batches):
    """By default nothing is mixed."""
    config = RunConfig(train=TrainConfig(label_smoothing=0.3))
    found = targets_of(batches, config)
    assert len(found) == 4
    for (frames, mask, targets), (inputs, label) in zip(found, batches, strict=True):
        np.testing.assert_array_equal(frames, inputs["frames"])
        np.testing.assert_array_equal(mask, inputs["mask"])
        assert targets.dtype == np.float32
        np.testing.assert_allclose(targets, 0.7 * np.eye(3)[label] + 0.1, atol=1e-6)


@pytest.mark.parametrize("augment", [MIXUP, BOTH])
def test_pixels_and_targets_are_mixed_in_the_same_shares(batches, augment):
    """The label of each clip is its colour, so that what it shows says what it should be."""
    inputs, targets = training_targets(batches, RunConfig(augment=augment), 3).element_spec
    assert inputs["frames"].shape == (3, 4, SIZE, SIZE, 3), "known in advance"
    assert targets.shape[1:] == (3,)
    mixed = 0
    for frames, mask, targets in targets_of(batches, RunConfig(augment=augment)):
        assert (frames.shape, mask.shape, targets.shape) == ((3, 4, SIZE, SIZE, 3), (3, 4), (3, 3))
        assert frames.dtype == np.uint8
        np.testing.assert_allclose(targets.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(
            frames.mean(axis=(1, 2, 3, 4)), targets @ [0, 100, 200], atol=0.5
        )
        assert (frames == frames[:, :1]).all(), "the same window in all frames"
        longest = [np.flatnonzero(target > 1e-6).max() for target in targets]
        np.testing.assert_array_equal(mask, np.arange(4) <= np.array(longest)[:, None])
        mixed += ((targets > 0.01).sum(1) == 2).sum()
    assert mixed >= 4


def test_flow_is_mixed_beside_frames_or_without(batches):
    with_flow = batches.map(lambda inputs, label: ({**inputs, "flow": inputs["frames"]}, label))
    alone = with_flow.map(lambda inputs, label: ({k: inputs[k] for k in ("flow", "mask")}, label))
    config = RunConfig(augment=BOTH)
    pairs = (training_targets(each, config, 3) for each in (with_flow, alone))
    for (inputs, _), (flow, _) in zip(*pairs, strict=True):
        np.testing.assert_array_equal(inputs["flow"], inputs["frames"])
        np.testing.assert_array_equal(inputs["flow"], flow["flow"])


def test_seed_and_number_of_the_batch_decide(batches):
    whole = targets_of(batches, RunConfig(augment=BOTH))
    again = targets_of(batches, RunConfig(augment=BOTH))
    later = targets_of(batches.skip(2), RunConfig(augment=BOTH), first_step=2)
    reseeded = targets_of(batches, RunConfig(augment=BOTH, seed=1))
    np.testing.assert_array_equal([t for *_, t in again], [t for *_, t in whole])
    np.testing.assert_array_equal([t for *_, t in later], [t for *_, t in whole[2:]])
    assert not np.allclose([t for *_, t in reseeded], [t for *_, t in whole])
    assert not np.allclose(whole[0][2], whole[1][2]), "another draw in each batch"


def test_a_window_is_a_rectangle_of_the_drawn_area_anywhere():
    _, own = draws(CUTMIX)
    taken = own == 0
    assert set(np.unique(own)) == {0, 1}
    heights, widths = taken.any(2).sum(1), taken.any(1).sum(1)
    np.testing.assert_array_equal(taken.sum((1, 2)), heights * widths)
    np.testing.assert_array_equal(heights, widths)
    shares = taken.mean((1, 2))
    assert 0.4 < shares.mean() < 0.6, "Beta(1, 1) is uniform"
    assert taken[shares < 0.3].any(0).mean() > 0.9


def test_each_clip_is_mixed_in_one_way_with_a_clip_that_is_not_itself():
    partner, own = draws(BOTH)
    assert sorted(partner) == list(range(200))
    assert (partner != np.arange(200)).all()
    cut = (own == 0).any((1, 2))
    blended = ((own > 0) & (own < 1)).any((1, 2))
    assert not (cut & blended).any()
    assert 0.4 < cut.mean() < 0.6
    assert draws(BOTH, batch_size=1)[0].tolist() == [0], "one clip has nobody to mix with"
    _, own = draws(dataclasses.replace(MIXUP, mixup=Change(probability=0.3, strength=0.8)))
    assert 0.2 < (own < 1).any((1, 2)).mean() < 0.4


def test_switching_one_off_leaves_the_draws_of_the_other():
    (partner, both), (same, blend), (_, cut) = draws(BOTH), draws(MIXUP), draws(CUTMIX)
    np.testing.assert_array_equal(partner, same)
    is_cut = (both == 0).any((1, 2))
    np.testing.assert_array_equal(both[is_cut], cut[is_cut])
    np.testing.assert_array_equal(both[~is_cut], blend[~is_cut])


def test_mix_rounds_and_keeps_what_is_real_in_either():
    frames = np.array([[[[[10, 0, 255]]]], [[[[13, 255, 255]]]]], np.uint8)
    inputs = {"frames": tf.constant(frames), "mask": tf.constant([[True], [False]])}
    own = np.array([[[0.5]], [[1]]], np.float32)
    mixed, targets = mix(inputs, tf.eye(2), tf.constant([1, 0], tf.int64), tf.constant(own))
    assert mixed["frames"][0, 0, 0, 0].numpy().tolist() == [12, 128, 255]
    assert mixed["frames"][1].numpy().tolist() == frames[1].tolist()
    assert mixed["mask"].numpy().tolist() == [[True], [False]]
    assert targets.numpy().tolist() == [[0.5, 0.5], [0, 1]]


def test_a_frame_of_a_recording_is_known_where_all_that_it_shows_is():
    """Of three clips the first and the last are mixed, each with the next one, by share."""
    one, other, unknown = [1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]
    targets = tf.constant([[one, one], [unknown, other], [one, unknown]])
    frames, mask = tf.zeros((3, 2, 1, 1, 3), tf.uint8), tf.ones((3, 2), tf.bool)
    own = tf.constant([[[0.25]], [[1.0]], [[0.25]]])
    partner = tf.constant([1, 2, 0], tf.int64)
    _, mixed = mix({"frames": frames, "mask": mask}, targets, partner, own)
    wanted = [[unknown, [0.25, 0.75]], [unknown, other], [one, unknown]]
    assert mixed.numpy().tolist() == wanted
