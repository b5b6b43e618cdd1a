import dataclasses

import numpy as np
import pytest

from pipeline.config import NO_AUGMENT, AugmentConfig, Change
from pipeline.dataset.augment.draw import PIXEL_TYPES, draw
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
    "crop": {"transform"},
    "scale": {"transform"},
    "translate": {"transform"},
    "rotation": {"transform"},
    "saturation": {"colours"},
    "hue": {"colours"},
    "greyscale": {"colours"},
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


def draws(config, count=500):
    rng = np.random.default_rng(0)
    return [draw(config, SIZE, rng) for _ in range(count)]


def fields(drawn):
    return {**drawn._asdict(), **drawn.pixels._asdict()}


def test_all_off_changes_nothing():
    drawn = draw(NO_AUGMENT, SIZE, np.random.default_rng(0))
    assert drawn[:4] == (False, False, 1.0, 0.0)
    assert drawn.pixels.transform.tolist() == [1, 0, 0, 0, 1, 0, 0, 0]
    assert drawn.pixels.colours.tolist() == np.eye(3).tolist()
    assert drawn.pixels[2:5] == (1, 0, 0)
    assert not drawn.pixels.erased.any()


def test_types_are_those_that_tensorflow_is_told():
    drawn = draw(STRONG, SIZE, np.random.default_rng(0))
    assert [value.dtype for value in drawn.pixels] == [np.dtype(kind) for kind in PIXEL_TYPES]


@pytest.mark.parametrize("name", CHANGES)
def test_switching_one_off_leaves_the_draws_of_the_others(name):
    off = 0 if isinstance(getattr(STRONG, name), int | float) else Change()
    with_it, without = (
        [fields(each) for each in draws(config, 20)]
        for config in (STRONG, dataclasses.replace(STRONG, **{name: off}))
    )
    governed = GOVERNED.get(name, {name})
    for key in set(with_it[0]) - {"pixels"}:
        same = all(
            np.array_equal(one[key], other[key])
            for one, other in zip(with_it, without, strict=True)
        )
        assert same == (key not in governed), key


@pytest.mark.parametrize("name", sorted(set(CHANGES) - {"flip", "greyscale", "reverse"}))
def test_a_change_happens_as_often_as_its_probability_says(name):
    change = dataclasses.replace(getattr(STRONG, name), probability=0.3)
    nothing = fields(draw(NO_AUGMENT, SIZE, np.random.default_rng(0)))
    (key,) = GOVERNED.get(name, {name})
    config = dataclasses.replace(NO_AUGMENT, **{name: change})
    happened = [not np.array_equal(fields(each)[key], nothing[key]) for each in draws(config)]
    assert 0.22 < np.mean(happened) < 0.38


def test_draws_cover_the_whole_range():
    drawn = draws(dataclasses.replace(STRONG, flip=0.5))
    for name, low, high in (
        ("brightness", -0.3, 0.3),
        ("contrast", 0.5, 2),
        ("noise", 0, 0.2),
        ("speed", 0.5, 2),
    ):
        values = [fields(each)[name] for each in drawn]
        assert low <= min(values) < low + 0.02, name
        assert high - 0.02 < max(values) <= high, name
    for name in ("mirrored", "reverse"):
        assert 0.4 < np.mean([fields(each)[name] for each in drawn]) < 0.6


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


def test_colours_keep_grey_and_brightness():
    luma = np.array([0.299, 0.587, 0.114])
    for each in draws(only(saturation=1, hue=0.5), 50):
        np.testing.assert_allclose(each.pixels.colours @ np.ones(3), np.ones(3), atol=1e-3)
        np.testing.assert_allclose(luma @ each.pixels.colours, luma, atol=1e-3)
    grey = draws(only(greyscale=1), 1)[0].pixels.colours
    np.testing.assert_allclose(grey, np.stack([luma] * 3), atol=1e-3)


def test_saturation_is_a_factor_on_the_distance_from_grey():
    factors = []
    for each in draws(only(saturation=1)):
        colour = each.pixels.colours @ [1.0, 0.5, 0.25]
        factors.append((colour[0] - colour[2]) / 0.75)
    assert 0.5 <= min(factors) < 0.52
    assert 1.95 < max(factors) <= 2.001


def test_a_hue_of_a_third_makes_green_of_red():
    turned = [each.pixels.colours @ [1.0, 0, 0] for each in draws(only(hue=0.5))]
    assert {int(np.argmax(colour)) for colour in turned} == {0, 1, 2}


def test_an_erased_rectangle_has_any_place_and_up_to_its_share_of_each_side():
    erased = np.array([each.pixels.erased for each in draws(only(erase=0.5))])
    heights, widths = erased.any(2).sum(1), erased.any(1).sum(1)
    assert (erased.sum((1, 2)) == heights * widths).all(), "a rectangle"
    assert (heights.max(), widths.max()) == (12, 12)
    assert erased.any((0, 1)).all()
    assert erased.any((0, 2)).all()


@pytest.mark.parametrize("name", ["flip_labels", "reverse_labels"])
def test_a_class_in_two_pairs_is_refused(name):
    with pytest.raises(ConfigError, match=f"augment.{name} must name each class in one pair only"):
        AugmentConfig(**{name: (("a", "b"), ("b", "c"))})


def test_reverse_without_classes_is_refused():
    with pytest.raises(ConfigError, match=r"augment.reverse takes augment.reverse_labels"):
        AugmentConfig(reverse=0.5)
    AugmentConfig(reverse=0.5, reverse_labels=(("wave", "wave"),))
