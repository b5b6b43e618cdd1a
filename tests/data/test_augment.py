import dataclasses

import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, AugmentConfig, Change
from pipeline.data.augment import apply, draw

SIZE = 24


def only(**kwargs):
    changes = {
        name: value if name == "flip" else Change(strength=value) for name, value in kwargs.items()
    }
    return dataclasses.replace(NO_AUGMENT, **changes)


@pytest.fixture
def clip():
    """Every frame is the same smooth picture, so that frames differ only by what is done."""
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    frame = np.stack([255 * x, 255 * y, 128 + 0 * x], axis=-1)
    return np.repeat(frame[None], 3, axis=0).astype(np.uint8)


def changed(clip, config, seed=0):
    drawn = draw(config, SIZE, np.random.default_rng(seed))
    return apply(clip, drawn).numpy()


def test_all_off_changes_nothing(clip):
    np.testing.assert_array_equal(changed(clip, NO_AUGMENT), clip)


def test_flip_mirrors_left_and_right(clip):
    np.testing.assert_array_equal(changed(clip, only(flip=1)), clip[:, :, ::-1])


@pytest.mark.parametrize(
    "config",
    [
        only(crop=0.5),
        only(scale=0.5),
        only(rotation=90),
        only(brightness=0.5),
        only(contrast=2),
        AugmentConfig(),
    ],
    ids=["crop", "scale", "rotation", "brightness", "contrast", "defaults"],
)
def test_one_draw_serves_all_frames_and_draws_differ(clip, config):
    results = [changed(clip, config, seed) for seed in range(3)]
    for result in results:
        assert result.dtype == np.uint8
        assert (result == result[0]).all()
        assert (result != clip).any()
    assert (results[0] != results[1]).any()


def test_crop_shows_a_part_of_the_picture_at_full_size(clip):
    for seed in range(20):
        x = changed(clip, only(crop=0.5), seed)[0, 0, :, 0].astype(int)
        assert 0.45 * 255 < x[-1] - x[0] < 1.01 * 255
    np.testing.assert_allclose(np.diff(x), np.diff(x).mean(), atol=1.5)


def test_rotation_turns_about_the_centre(clip):
    turned = changed(clip, only(rotation=180), seed=3)[0].astype(int)
    centre = slice(SIZE // 2 - 1, SIZE // 2 + 1)
    before = clip[0, centre, centre].astype(int).mean(axis=(0, 1))
    np.testing.assert_allclose(turned[centre, centre].mean(axis=(0, 1)), before, atol=2)


def test_brightness_shifts_and_contrast_stretches(clip):
    grey = np.full_like(clip, 100)
    np.testing.assert_array_equal(changed(grey, only(contrast=3)), grey)
    shift = changed(grey, only(brightness=0.2)).astype(int) - 100
    assert (shift == shift[0, 0, 0, 0]).all()
    assert 0 < abs(shift[0, 0, 0, 0]) <= 51


def test_values_never_wrap_around():
    white, black = (
        np.full((1, SIZE, SIZE, 3), 255, np.uint8),
        np.zeros((1, SIZE, SIZE, 3), np.uint8),
    )
    for seed in range(20):
        assert changed(white, only(brightness=0.4), seed).min() > 100
        assert changed(black, only(brightness=0.4), seed).max() < 150


def test_draws_cover_the_whole_range():
    rng = np.random.default_rng(0)
    config = only(flip=0.5, brightness=0.3, contrast=1.0)
    draws = [draw(config, SIZE, rng) for _ in range(500)]
    brightness = np.array([each.brightness for each in draws])
    contrast = np.array([each.contrast for each in draws])
    flipped = np.mean([each.transform[0] < 0 for each in draws])
    assert -0.3 <= brightness.min() < -0.28
    assert 0.28 < brightness.max() <= 0.3
    assert 0.5 <= contrast.min() < 0.52
    assert 1.9 < contrast.max() <= 2
    assert 0.4 < flipped < 0.6


def test_the_same_inside_tf_data(clip):
    import tensorflow as tf

    drawn = draw(AugmentConfig(), SIZE, np.random.default_rng(5))
    inside = next(iter(tf.data.Dataset.from_tensors(clip).map(lambda c: apply(c, drawn))))
    np.testing.assert_array_equal(inside.numpy(), apply(clip, drawn).numpy())
