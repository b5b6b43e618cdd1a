import dataclasses
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, AugmentConfig, Change
from pipeline.dataset.augment.draw import draw
from pipeline.dataset.augment.pixels import change_clip

SIZE = 24
IDENTITY = np.array([1, 0, 0, 0, 1, 0, 0, 0], np.float32)


def only(**changes):
    return dataclasses.replace(
        NO_AUGMENT,
        **{
            name: value if name in ("flip", "greyscale") else Change(strength=value)
            for name, value in changes.items()
        },
    )


@pytest.fixture
def clip():
    """Every frame is the same smooth picture, so that frames differ only by what is done."""
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    frame = np.stack([255 * x, 255 * y, 128 + 0 * x], axis=-1)
    return np.repeat(frame[None], 3, axis=0).astype(np.uint8)


def inputs_changed(inputs, config, seed=0):
    drawn = draw(config, SIZE, np.random.default_rng(seed))
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    changed = change_clip(tensors, drawn.pixels, config)
    return {name: value.numpy() for name, value in changed.items()}


def changed(clip, config, seed=0):
    return inputs_changed({"frames": clip}, config, seed)["frames"]


def test_all_off_changes_nothing(clip):
    np.testing.assert_array_equal(changed(clip, NO_AUGMENT), clip)


def test_flip_mirrors_left_and_right(clip):
    np.testing.assert_array_equal(changed(clip, only(flip=1)), clip[:, :, ::-1])


@pytest.mark.parametrize(
    "config",
    [
        *(
            only(**{name: strength})
            for name, strength in {
                "crop": 0.5,
                "scale": 0.5,
                "translate": 0.5,
                "rotation": 90,
                "brightness": 0.5,
                "contrast": 2,
                "saturation": 2,
                "hue": 0.5,
                "erase": 0.5,
            }.items()
        ),
        AugmentConfig(),
    ],
)
def test_one_draw_serves_all_frames_and_draws_differ(clip, config):
    results = [changed(clip, config, seed) for seed in range(3)]
    for result in results:
        assert result.dtype == np.uint8
        assert (result == result[0]).all()
        assert (result != clip).any()
    assert (results[0] != results[1]).any()


def test_the_picture_moves_as_that_of_tensorflow():
    noise = np.random.default_rng(0).integers(256, size=(3, SIZE, SIZE, 3), dtype=np.uint8)
    config = only(flip=0.5, crop=0.4, scale=0.5, translate=0.3, rotation=60)
    for seed in range(10):
        expected = tf.raw_ops.ImageProjectiveTransformV3(
            images=noise.astype(np.float32),
            transforms=[draw(config, SIZE, np.random.default_rng(seed)).pixels.transform],
            output_shape=(SIZE, SIZE),
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )
        np.testing.assert_allclose(changed(noise, config, seed), expected, atol=0.6)


def test_translation_moves_the_picture_as_a_whole(clip):
    middle = slice(SIZE // 3, -SIZE // 3)
    for seed in range(5):
        change = changed(clip, only(translate=0.2), seed)[0].astype(int) - clip[0]
        across, down = change[middle, middle, 0], change[middle, middle, 1]
        assert np.ptp(across) <= 2
        assert np.ptp(down) <= 2
        assert 0 < abs(across.mean()) <= 0.2 * 255 * SIZE / (SIZE - 1)
        assert abs(across.mean() - down.mean()) > 1, "two draws"


def test_rotation_turns_about_the_centre(clip):
    turned = changed(clip, only(rotation=180), seed=3)[0].astype(int)
    centre = slice(SIZE // 2 - 1, SIZE // 2 + 1)
    before = clip[0, centre, centre].astype(int).mean(axis=(0, 1))
    np.testing.assert_allclose(turned[centre, centre].mean(axis=(0, 1)), before, atol=2)


def test_brightness_shifts_and_contrast_stretches(clip):
    grey = np.full_like(clip, 100)
    np.testing.assert_array_equal(changed(grey, only(contrast=3)), grey)
    assert changed(clip, only(contrast=3)).std() != pytest.approx(clip.std(), rel=0.05)
    shift = changed(grey, only(brightness=0.2)).astype(int) - 100
    assert (shift == shift[0, 0, 0, 0]).all()
    assert 0 < abs(shift[0, 0, 0, 0]) <= 51


def test_values_never_wrap_around():
    config = only(brightness=1)
    for level in (0, 255):
        for seed in range(10):
            added = draw(config, SIZE, np.random.default_rng(seed)).pixels.brightness
            found = changed(np.full((1, SIZE, SIZE, 3), level, np.uint8), config, seed)
            np.testing.assert_allclose(found, np.clip(level + 255 * added, 0, 255), atol=0.6)


def test_greyscale_leaves_the_brightness_of_colours(clip):
    expected = np.rint(clip @ [0.299, 0.587, 0.114])
    for channel in np.moveaxis(changed(clip, only(greyscale=1)), -1, 0):
        np.testing.assert_allclose(channel, expected, atol=1)


def test_colours_and_contrast_are_changed_together(clip):
    both = changed(clip, only(saturation=0.3, contrast=0.3)).astype(int)
    one_by_one = changed(changed(clip, only(saturation=0.3)), only(contrast=0.3)).astype(int)
    middle = (one_by_one > 5) & (one_by_one < 250)
    assert np.abs(both - one_by_one)[middle].max() <= 2


def test_noise_is_another_in_each_frame_and_of_the_drawn_strength():
    grey = np.full((4, SIZE, SIZE, 3), 128, np.uint8)
    config = only(noise=0.1)
    noise = changed(grey, config, seed=1).astype(int) - 128
    deviation = 255 * draw(config, SIZE, np.random.default_rng(1)).pixels.noise
    assert 0 < deviation <= 25.5
    np.testing.assert_allclose(noise.std(axis=(1, 2)), deviation, rtol=0.15)
    assert abs(np.corrcoef(noise[0, ..., 0].flat, noise[1, ..., 0].flat)[0, 1]) < 0.2
    np.testing.assert_array_equal(noise + 128, changed(grey, config, seed=1))
    other = changed(grey, config, seed=2).astype(int)
    assert abs(np.corrcoef(noise.flat, other.flat)[0, 1]) < 0.2


def test_what_is_erased_is_grey(clip):
    config = only(erase=0.8)
    erased = draw(config, SIZE, np.random.default_rng(0)).pixels.erased
    expected = np.where(erased[..., None], 128, clip)
    np.testing.assert_array_equal(changed(clip, config), expected)


@pytest.mark.parametrize(
    ("config", "costs"),
    [
        (NO_AUGMENT, set()),
        (only(flip=0.5), {"GatherV2", "Round"}),
        (only(brightness=0.1), {"Round"}),
        (only(hue=0.1), {"Round", "Conv2D"}),
        (only(noise=0.1), {"Round", "StatelessRandomNormalV2"}),
        (only(erase=0.1), {"SelectV2"}),
        (AugmentConfig(), {"GatherV2", "Round", "Mean"}),
        (dataclasses.replace(NO_AUGMENT, crop=Change(probability=0, strength=0.5)), set()),
    ],
)
def test_what_is_switched_off_costs_nothing(config, costs):
    drawn = draw(config, SIZE, np.random.default_rng(0))

    @tf.function(input_signature=[tf.TensorSpec((3, SIZE, SIZE, 3), tf.uint8)])
    def change(frames):
        return change_clip({"frames": frames}, drawn.pixels, config)["frames"]

    kinds = {each.type for each in change.get_concrete_function().graph.get_operations()}
    dear = {"GatherV2", "Round", "Mean", "Conv2D", "StatelessRandomNormalV2", "SelectV2"}
    assert kinds & dear == costs


# Optical flow.


def flow_of(dx, dy, num_frames=2):
    """The same motion everywhere, in levels."""
    levels = [128 + dx, 128 + dy, round(np.hypot(dx, dy))]
    return np.full((num_frames, SIZE, SIZE, 3), levels, np.uint8)


def test_flip_negates_the_motion_across_and_mirrors_its_place():
    flow = flow_of(0, 0)
    flow[:, :, :4] = (168, 108, 45)
    moved = inputs_changed({"flow": flow}, only(flip=1))["flow"]
    expected = flow_of(0, 0)
    expected[:, :, -4:] = (88, 108, 45)
    np.testing.assert_array_equal(moved, expected)


@pytest.mark.parametrize("seed", range(6))
def test_vectors_follow_the_picture(seed):
    """A spot in two frames moves by what the flow says, however the picture is changed."""
    size, begin, step = 96, np.array([44, 44]), np.array([10, 6])
    config = only(flip=0.5, crop=0.3, scale=0.4, rotation=90)
    drawn = draw(config, size, np.random.default_rng(seed)).pixels
    frames = np.zeros((2, size, size, 3), np.uint8)
    for frame, (x, y) in zip(frames, (begin, begin + step), strict=True):
        frame[y - 1 : y + 2, x - 1 : x + 2] = 255
    flow = np.full_like(frames, (128 + step[0], 128 + step[1], 50))

    moved = change_clip({"frames": tf.constant(frames), "flow": tf.constant(flow)}, drawn, config)
    weights = moved["frames"].numpy()[..., 0] / 255
    y, x = np.mgrid[:size, :size]
    places = [[(w * x).sum() / w.sum(), (w * y).sum() / w.sum()] for w in weights]
    vector = moved["flow"].numpy()[0, size // 2, size // 2].astype(float)
    np.testing.assert_allclose(vector[:2] - 128, np.subtract(*places[::-1]), atol=0.8)
    growth = np.hypot(*np.subtract(*places)) / np.hypot(*step)
    assert vector[2] == pytest.approx(50 * growth, abs=3)


def enlarged(flow):
    """Flow in a picture that is shown at twice its size."""
    config = only(flip=1)  # that anything moves
    drawn = draw(config, SIZE, np.random.default_rng(0)).pixels
    drawn = drawn._replace(transform=IDENTITY * np.float32(0.5))
    return change_clip({"flow": tf.constant(flow)}, drawn, config)["flow"].numpy()


def test_what_stands_still_still_stands():
    """Its magnitude has no direction: it grows as the picture does."""
    still = flow_of(0, 0)
    still[..., 2] = 10
    assert (enlarged(still) == (128, 128, 20)).all()


def test_strong_motion_never_wraps_around():
    assert (enlarged(flow_of(120, -120)) == (255, 0, 255)).all()


def test_light_leaves_the_motion_and_erasing_takes_it():
    flow, mask = flow_of(20, -30), np.array([True, False])
    light = only(brightness=0.5, contrast=1, saturation=1, hue=0.5, noise=0.5)
    found = inputs_changed({"flow": flow, "mask": mask}, light)
    np.testing.assert_array_equal(found["flow"], flow)
    np.testing.assert_array_equal(found["mask"], mask)

    config = only(erase=0.8)
    erased = draw(config, SIZE, np.random.default_rng(0)).pixels.erased
    expected = np.where(erased[..., None], (128, 128, 0), flow)
    np.testing.assert_array_equal(inputs_changed({"flow": flow}, config)["flow"], expected)


_TWO_STREAMS = """
import hashlib, numpy as np, tensorflow as tf
from pipeline.config import AugmentConfig
from pipeline.dataset.augment.draw import draw
from pipeline.dataset.augment.pixels import change_clip

config, rng, digest = AugmentConfig(), np.random.default_rng(0), hashlib.sha256()
images = {
    name: rng.integers(256, size=(16, 64, 64, 3)).astype(np.uint8) for name in ("frames", "flow")
}
drawn = [draw(config, 64, rng).pixels for _ in range(8)]
data = tf.data.Dataset.from_tensor_slices(tuple(np.stack(part) for part in zip(*drawn)))
pixels = type(drawn[0])
for clip in data.map(lambda *parts: change_clip(images, pixels(*parts), config)):
    for name in images:
        digest.update(clip[name].numpy().tobytes())
print(digest.hexdigest())
"""


def test_a_clip_is_changed_alike_in_every_process():
    # Python goes through a set of names in another order with another seed of its hashes.
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", _TWO_STREAMS],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        for seed in ("0", "1")
    ]
    first, second = (run.communicate()[0] for run in runs)
    assert first == second != b""
