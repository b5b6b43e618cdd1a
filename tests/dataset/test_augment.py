"""What changes a clip in training: what is drawn, what becomes of its pixels, and of its label."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import NO_AUGMENT, AugmentConfig, Change, RunConfig, TrainConfig
from pipeline.dataset.augment import pixels
from pipeline.dataset.augment.draw import PIXEL_TYPES, draw
from pipeline.dataset.augment.mixing import draw_mixing, mix, training_targets
from pipeline.dataset.augment.pixels import change_clip
from pipeline.errors import ConfigError

SIZE = 24
STRONG = AugmentConfig(
    flip=1,
    crop=Change(strength=0.5),
    scale=Change(strength=0.5),
    translate=Change(strength=0.2),
    rotation=Change(strength=20),
    brightness=Change(strength=0.3),
    contrast=Change(strength=1),
    saturation=Change(strength=1),
    hue=Change(strength=0.3),
    greyscale=0.5,
    noise=Change(strength=0.2),
    erase=Change(strength=0.5),
    speed=Change(strength=0.5),
    drop_frames=Change(strength=0.5),
    reverse=0.5,
    reverse_labels=(("a", "b"),),
)
GOVERNED = {
    "flip": {"mirrored", "transform"},
    **dict.fromkeys(("crop", "scale", "translate", "rotation"), ("transform",)),
    **dict.fromkeys(("saturation", "hue", "greyscale"), ("colours",)),
    "erase": {"erased"},
}
CHANGES = [
    field.name
    for field in dataclasses.fields(AugmentConfig)
    if not field.name.endswith("_labels") and field.name not in ("mixup", "cutmix")
]


def only(**changes):
    return dataclasses.replace(
        NO_AUGMENT,
        **{
            name: value if name in ("flip", "greyscale") else Change(strength=value)
            for name, value in changes.items()
        },
    )


def drawn_with(config, seed=0, size=SIZE):
    return draw(config, size, np.random.default_rng(seed))


def draws(config, count=500):
    rng = np.random.default_rng(0)
    return [draw(config, SIZE, rng) for _ in range(count)]


def fields(drawn):
    return {**drawn._asdict(), **drawn.pixels._asdict()}


@pytest.mark.parametrize("name", CHANGES)
def test_switching_one_off_leaves_the_draws_of_the_others(name):
    off = 0 if isinstance(getattr(STRONG, name), int | float) else Change()
    with_it, without = (
        [fields(each) for each in draws(config, 20)]
        for config in (STRONG, dataclasses.replace(STRONG, **{name: off}))
    )
    governed = GOVERNED.get(name, {name})
    for key in set(with_it[0]) - {"pixels"}:
        pairs = zip(with_it, without, strict=True)
        same = all(np.array_equal(one[key], other[key]) for one, other in pairs)
        assert same == (key not in governed), key


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"flip", "greyscale", "reverse"}))
def test_a_change_happens_as_often_as_its_probability_says(name):
    change = dataclasses.replace(getattr(STRONG, name), probability=0.3)
    nothing = fields(drawn_with(NO_AUGMENT))
    (key,) = GOVERNED.get(name, {name})
    config = dataclasses.replace(NO_AUGMENT, **{name: change})
    happened = [not np.array_equal(fields(each)[key], nothing[key]) for each in draws(config)]
    assert 0.22 < np.mean(happened) < 0.38


def test_draws_cover_the_whole_range_and_all_off_draws_nothing():
    found = [fields(each) for each in draws(dataclasses.replace(STRONG, flip=0.5))]
    ranges = {"brightness": (-0.3, 0.3), "contrast": (0.5, 2), "noise": (0, 0.2), "speed": (0.5, 2)}
    for name, (low, high) in ranges.items():
        values = [each[name] for each in found]
        assert low <= min(values) < low + 0.02, name
        assert high - 0.02 < max(values) <= high, name
    for name in ("mirrored", "reverse"):
        assert 0.4 < np.mean([each[name] for each in found]) < 0.6
    drawn = drawn_with(NO_AUGMENT)
    assert drawn[:4] == (False, False, 1.0, 0.0)
    assert drawn.pixels.transform.tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert drawn.pixels.colours.tolist() == np.eye(3).tolist()
    assert drawn.pixels[2:5] == (1, 0, 0)
    assert not drawn.pixels.erased.any()
    types = [value.dtype for value in drawn_with(STRONG).pixels]
    assert types == [np.dtype(kind) for kind in PIXEL_TYPES], "as TensorFlow is told"


def test_a_crop_is_a_window_within_the_frame_of_any_aspect_ratio():
    transforms = np.array([each.pixels.transform for each in draws(only(crop=0.5))])
    width, left, height, top = transforms[:, [0, 2, 4, 5]].T
    for share, begin in ((width, left), (height, top)):
        assert 0.5 <= share.min() < 0.52
        assert 0.98 < share.max() <= 1
        # The outer edges of the first and the last pixel; those of the frame are half a pixel out.
        first, last = begin - share / 2, begin + share * (SIZE - 0.5)
        small = share < 0.6
        assert -0.501 < first.min() <= first[small].min() < -0.2
        assert SIZE - 0.8 < last[small].max() <= last.max() < SIZE - 0.499
    assert abs(np.corrcoef(width, height)[0, 1]) < 0.2
    places = [(begin + share * SIZE / 2) for share, begin in ((width, left), (height, top))]
    assert abs(np.corrcoef(*places)[0, 1]) < 0.2
    # The picture is shifted as a whole, and turned about its centre.
    found = np.array([each.pixels.transform for each in draws(only(translate=0.2))])
    np.testing.assert_array_equal(found[:, [0, 1, 3, 4]], [[1, 0, 0, 1]] * len(found))
    across, down = found[:, [2, 5]].T
    assert 0.18 * SIZE < np.abs(across).max() <= 0.2 * SIZE
    assert abs(np.corrcoef(across, down)[0, 1]) < 0.2, "two draws"
    found = np.array([each.pixels.transform for each in draws(only(rotation=180))])
    turned = found[:, :6].reshape(-1, 2, 3) @ [(SIZE - 1) / 2, (SIZE - 1) / 2, 1]
    np.testing.assert_allclose(turned, (SIZE - 1) / 2, atol=1e-4)
    assert np.abs(found[:, 1]).max() > 0.99
    np.testing.assert_allclose(np.hypot(found[:, 0], found[:, 1]), 1, rtol=1e-5)
    # An erased rectangle has any place, and up to its share of each side.
    erased = np.array([each.pixels.erased for each in draws(only(erase=0.5))])
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)
    assert (erased.sum((1, 2)) == heights * widths).all(), "a rectangle"
    assert (heights.max(), widths.max()) == (12, 12)
    assert erased.any((0, 1)).all()
    assert erased.any((0, 2)).all()


def test_colours_keep_grey_and_brightness():
    """Saturation is a factor on the distance from grey, and hue turns red into green."""
    luma = np.array([0.299, 0.587, 0.114])
    for each in draws(only(saturation=1, hue=0.5), 50):
        np.testing.assert_allclose(each.pixels.colours @ np.ones(3), np.ones(3), atol=1e-3)
        np.testing.assert_allclose(luma @ each.pixels.colours, luma, atol=1e-3)
    grey = draws(only(greyscale=1), 1)[0].pixels.colours
    np.testing.assert_allclose(grey, np.stack([luma] * 3), atol=1e-3)
    colours = [each.pixels.colours @ [1.0, 0.5, 0.25] for each in draws(only(saturation=1))]
    factors = [(colour[0] - colour[2]) / 0.75 for colour in colours]
    assert 0.5 <= min(factors) < 0.52
    assert 1.95 < max(factors) <= 2.001
    turned = [each.pixels.colours @ [1.0, 0, 0] for each in draws(only(hue=0.5))]
    assert {int(np.argmax(colour)) for colour in turned} == {0, 1, 2}


def test_settings_that_do_not_go_together():
    for name in ("flip_labels", "reverse_labels"):
        message = f"augment.{name} must name each class in one pair only"
        with pytest.raises(ConfigError, match=message):
            AugmentConfig(**{name: (("a", "b"), ("b", "c"))})
    with pytest.raises(ConfigError, match=r"augment.reverse takes augment.reverse_labels"):
        AugmentConfig(reverse=0.5)
    AugmentConfig(reverse=0.5, reverse_labels=(("wave", "wave"),))


@pytest.fixture
def clip():
    """Every frame is the same smooth picture, so that frames differ only by what is done."""
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1)
    frame = np.stack([255 * x, 255 * y, 128 + 0 * x], axis=-1)
    return np.repeat(frame[None], 3, axis=0).astype(np.uint8)


def inputs_changed(inputs, config, seed=0):
    tensors = {name: tf.constant(value) for name, value in inputs.items()}
    changed = change_clip(tensors, drawn_with(config, seed).pixels, config)
    return {name: value.numpy() for name, value in changed.items()}


def changed(clip, config, seed=0):
    return inputs_changed({"frames": clip}, config, seed)["frames"]


MANY = {"crop": 0.5, "scale": 0.5, "translate": 0.5, "rotation": 90, "brightness": 0.5}
MANY |= {"contrast": 2, "saturation": 2, "hue": 0.5, "erase": 0.5}


@pytest.mark.parametrize("name", MANY)
def test_one_draw_serves_all_frames_and_draws_differ(clip, name):
    results = [changed(clip, only(**{name: MANY[name]}), seed) for seed in range(3)]
    for result in results:
        assert result.dtype == np.uint8
        assert (result == result[0]).all()
        assert (result != clip).any()
    assert (results[0] != results[1]).any()


def test_the_picture_moves_as_that_of_tensorflow_and_a_flip_mirrors_left_and_right(clip):
    np.testing.assert_array_equal(changed(clip, NO_AUGMENT), clip)
    np.testing.assert_array_equal(changed(clip, only(flip=1)), clip[:, :, ::-1])
    noise = np.random.default_rng(0).integers(256, size=(3, SIZE, SIZE, 3), dtype=np.uint8)
    config = only(flip=0.5, crop=0.4, scale=0.5, translate=0.3, rotation=60)
    for seed in range(10):
        expected = tf.raw_ops.ImageProjectiveTransformV3(
            images=noise.astype(np.float32),
            transforms=[drawn_with(config, seed).pixels.transform],
            output_shape=(SIZE, SIZE),
            interpolation="BILINEAR",
            fill_mode="NEAREST",
            fill_value=0.0,
        )
        np.testing.assert_allclose(changed(noise, config, seed), expected, atol=0.6)


def test_brightness_shifts_contrast_stretches_and_greyscale_leaves_the_brightness(clip):
    grey = np.full_like(clip, 100)
    np.testing.assert_array_equal(changed(grey, only(contrast=3)), grey)
    assert changed(clip, only(contrast=3)).std() != pytest.approx(clip.std(), rel=0.05)
    config = only(brightness=1)
    for level in (0, 100, 255):
        for seed in range(10):  # and values never wrap around
            added = drawn_with(config, seed).pixels.brightness
            found = changed(np.full((1, SIZE, SIZE, 3), level, np.uint8), config, seed)
            np.testing.assert_allclose(found, np.clip(level + 255 * added, 0, 255), atol=0.6)
    # Colours and contrast are changed together.
    expected = np.rint(clip @ [0.299, 0.587, 0.114])
    for channel in np.moveaxis(changed(clip, only(greyscale=1)), -1, 0):
        np.testing.assert_allclose(channel, expected, atol=1)
    both = changed(clip, only(saturation=0.3, contrast=0.3)).astype(int)
    one_by_one = changed(changed(clip, only(saturation=0.3)), only(contrast=0.3)).astype(int)
    middle = (one_by_one > 5) & (one_by_one < 250)
    assert np.abs(both - one_by_one)[middle].max() <= 2
    # Noise is another in each frame, and of the drawn strength.
    grey = np.full((4, SIZE, SIZE, 3), 128, np.uint8)
    config = only(noise=0.1)
    noise = changed(grey, config, seed=1).astype(int) - 128
    deviation = 255 * drawn_with(config, 1).pixels.noise
    assert 0 < deviation <= 25.5
    np.testing.assert_allclose(noise.std(axis=(1, 2)), deviation, rtol=0.15)
    assert abs(np.corrcoef(noise[0, ..., 0].flat, noise[1, ..., 0].flat)[0, 1]) < 0.2
    np.testing.assert_array_equal(noise + 128, changed(grey, config, seed=1))
    other = changed(grey, config, seed=2).astype(int)
    assert abs(np.corrcoef(noise.flat, other.flat)[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("config", "costs"),
    [
        (NO_AUGMENT, set()),
        (only(flip=0.5), {"GatherV2", "Round"}),
        (only(hue=0.1), {"Round", "Conv2D"}),
        (only(noise=0.1), {"Round", "StatelessRandomNormalV2"}),
        (only(erase=0.1), {"SelectV2"}),
        (AugmentConfig(), {"GatherV2", "Round", "Mean"}),
        (dataclasses.replace(NO_AUGMENT, crop=Change(probability=0, strength=0.5)), set()),
    ],
)
def test_what_is_switched_off_costs_nothing(config, costs):
    drawn = drawn_with(config)

    @tf.function(input_signature=[tf.TensorSpec((3, SIZE, SIZE, 3), tf.uint8)])
    def change(frames):
        return change_clip({"frames": frames}, drawn.pixels, config)["frames"]

    kinds = {each.type for each in change.get_concrete_function().graph.get_operations()}
    dear = {"GatherV2", "Round", "Mean", "Conv2D", "StatelessRandomNormalV2", "SelectV2"}
    assert kinds & dear == costs


def flow_of(dx, dy, num_frames=2):
    """The same motion everywhere, in levels."""
    levels = [128 + dx, 128 + dy, round(np.hypot(dx, dy))]
    return np.full((num_frames, SIZE, SIZE, 3), levels, np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_vectors_follow_the_picture(seed):
    """A spot in two frames moves by what the flow says, however the picture is changed."""
    size, begin, step = 96, np.array([44, 44]), np.array([10, 6])
    config = only(flip=0.5, crop=0.3, scale=0.4, rotation=90)
    drawn = drawn_with(config, seed, size).pixels
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


def test_of_an_enlarged_picture_magnitudes_grow_and_strong_motion_never_wraps_around(clip):
    config = only(flip=1)  # that anything moves
    twice = np.array([0.5, 0, 0, 0, 0.5, 0, 0, 0], np.float32)
    drawn = drawn_with(config).pixels._replace(transform=twice)
    still = flow_of(0, 0)
    still[..., 2] = 10
    for flow, wanted in ((still, (128, 128, 20)), (flow_of(120, -120), (255, 0, 255))):
        found = change_clip({"flow": tf.constant(flow)}, drawn, config)["flow"].numpy()
        assert (found == wanted).all()
    # Light leaves the motion, and erasing takes it.
    flow, mask = flow_of(20, -30, 3), np.array([True, False, False])
    light = only(brightness=0.5, contrast=1, saturation=1, hue=0.5, noise=0.5)
    found = inputs_changed({"flow": flow, "mask": mask}, light)
    np.testing.assert_array_equal(found["flow"], flow)
    np.testing.assert_array_equal(found["mask"], mask)
    config = only(erase=0.8)
    erased = drawn_with(config).pixels.erased[..., None]
    found = inputs_changed({"flow": flow, "frames": clip}, config)
    np.testing.assert_array_equal(found["flow"], np.where(erased, (128, 128, 0), flow))
    np.testing.assert_array_equal(found["frames"], np.where(erased, 128, clip))


def test_images_are_changed_in_one_order_in_every_process(clip, monkeypatch):
    """Rounding depends on it; and a set of names has another order in another process."""
    order = []
    monkeypatch.setattr(pixels, "_change", lambda images, kind, *_: order.append(kind) or images)
    names = [name for name in pixels.IMAGES if isinstance(pixels.IMAGES[name], pixels.StoredImage)]
    for given in (names, names[::-1]):
        change_clip(dict.fromkeys(given, tf.constant(clip)), drawn_with(STRONG).pixels, STRONG)
    assert order == 2 * [pixels.IMAGES[name] for name in names]


# Clips of a batch are mixed with each other.

BOTH = dataclasses.replace(NO_AUGMENT, mixup=Change(strength=0.8), cutmix=Change(strength=1.0))
MIXUP = dataclasses.replace(BOTH, cutmix=Change())
CUTMIX = dataclasses.replace(BOTH, mixup=Change())
SIDE = 12


def mixings(augment, batch_size=200, seed=0):
    return draw_mixing(augment, batch_size, SIDE, SIDE, np.random.default_rng(seed))


@pytest.fixture
def batches():
    """Four of three clips; every value of a clip is that of its label, and so is its length."""
    labels = np.arange(12).reshape(4, 3) % 3
    frames = np.zeros((4, 3, 4, SIDE, SIDE, 3), np.uint8)
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
    # Seed and number of the batch decide.
    whole = targets_of(batches, RunConfig(augment=BOTH))
    again = targets_of(batches, RunConfig(augment=BOTH))
    later = targets_of(batches.skip(2), RunConfig(augment=BOTH), first_step=2)
    reseeded = targets_of(batches, RunConfig(augment=BOTH, seed=1))
    np.testing.assert_array_equal([t for *_, t in again], [t for *_, t in whole])
    np.testing.assert_array_equal([t for *_, t in later], [t for *_, t in whole[2:]])
    assert not np.allclose([t for *_, t in reseeded], [t for *_, t in whole])
    assert not np.allclose(whole[0][2], whole[1][2]), "another draw in each batch"
    # Flow is mixed beside frames or without.
    with_flow = batches.map(lambda inputs, label: ({**inputs, "flow": inputs["frames"]}, label))
    alone = with_flow.map(lambda inputs, label: ({k: inputs[k] for k in ("flow", "mask")}, label))
    config = RunConfig(augment=BOTH)
    pairs = (training_targets(each, config, 3) for each in (with_flow, alone))
    for (inputs, _), (flow, _) in zip(*pairs, strict=True):
        np.testing.assert_array_equal(inputs["flow"], inputs["frames"])
        np.testing.assert_array_equal(inputs["flow"], flow["flow"])


@pytest.mark.parametrize("augment", [MIXUP, BOTH])
def test_pixels_and_targets_are_mixed_in_the_same_shares(batches, augment):
    """The label of each clip is its colour, so that what it shows says what it should be."""
    inputs, targets = training_targets(batches, RunConfig(augment=augment), 3).element_spec
    assert inputs["frames"].shape == (3, 4, SIDE, SIDE, 3), "known in advance"
    assert targets.shape[1:] == (3,)
    mixed = 0
    for frames, mask, targets in targets_of(batches, RunConfig(augment=augment)):
        assert (frames.shape, mask.shape, targets.shape) == ((3, 4, SIDE, SIDE, 3), (3, 4), (3, 3))
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


def test_each_clip_is_mixed_in_one_way_with_a_clip_that_is_not_itself():
    partner, own = mixings(BOTH)
    assert sorted(partner) == list(range(200))
    assert (partner != np.arange(200)).all()
    cut = (own == 0).any((1, 2))
    blended = ((own > 0) & (own < 1)).any((1, 2))
    assert not (cut & blended).any()
    assert 0.4 < cut.mean() < 0.6
    assert mixings(BOTH, batch_size=1)[0].tolist() == [0], "one clip has nobody to mix with"
    _, own = mixings(dataclasses.replace(MIXUP, mixup=Change(probability=0.3, strength=0.8)))
    assert 0.2 < (own < 1).any((1, 2)).mean() < 0.4
    # Switching one off leaves the draws of the other.
    (partner, both), (same, blend), (_, cut) = mixings(BOTH), mixings(MIXUP), mixings(CUTMIX)
    np.testing.assert_array_equal(partner, same)
    is_cut = (both == 0).any((1, 2))
    np.testing.assert_array_equal(both[is_cut], cut[is_cut])
    np.testing.assert_array_equal(both[~is_cut], blend[~is_cut])
    # A window is a rectangle of the drawn area anywhere.
    _, own = mixings(CUTMIX)
    taken = own == 0
    assert set(np.unique(own)) == {0, 1}
    heights, widths = taken.any(2).sum(1), taken.any(1).sum(1)
    np.testing.assert_array_equal(taken.sum((1, 2)), heights * widths)
    np.testing.assert_array_equal(heights, widths)
    shares = taken.mean((1, 2))
    assert 0.4 < shares.mean() < 0.6, "Beta(1, 1) is uniform"
    assert taken[shares < 0.3].any(0).mean() > 0.9


def test_mix_rounds_and_keeps_what_is_real_in_either():
    frames = np.array([[[[[10, 0, 255]]]], [[[[13, 255, 255]]]]], np.uint8)
    inputs = {"frames": tf.constant(frames), "mask": tf.constant([[True], [False]])}
    own = np.array([[[0.5]], [[1]]], np.float32)
    mixed, targets = mix(inputs, tf.eye(2), tf.constant([1, 0], tf.int64), tf.constant(own))
    assert mixed["frames"][0, 0, 0, 0].numpy().tolist() == [12, 128, 255]
    assert mixed["frames"][1].numpy().tolist() == frames[1].tolist()
    assert mixed["mask"].numpy().tolist() == [[True], [False]]
    assert targets.numpy().tolist() == [[0.5, 0.5], [0, 1]]
    # A frame of a recording is known where all is: the first and the last clip are mixed.
    one, other, unknown = [1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]
    targets = tf.constant([[one, one], [unknown, other], [one, unknown]])
    frames, mask = tf.zeros((3, 2, 1, 1, 3), tf.uint8), tf.ones((3, 2), tf.bool)
    own = tf.constant([[[0.25]], [[1.0]], [[0.25]]])
    partner = tf.constant([1, 2, 0], tf.int64)
    _, mixed = mix({"frames": frames, "mask": mask}, targets, partner, own)
    wanted = [[unknown, [0.25, 0.75]], [unknown, other], [one, unknown]]
    assert mixed.numpy().tolist() == wanted
