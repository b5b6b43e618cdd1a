import cv2
import numpy as np
import pytest

from pipeline.video import resize


def area(frame, size):
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b).mean())


def scene(height, width):
    """Detail at every scale, as in photographs."""
    rng = np.random.default_rng(0)
    image = np.zeros((height, width, 3))
    cells = 2
    while cells < max(height, width):
        noise = rng.normal(size=(cells, cells, 3))
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.4
        cells *= 2
    return np.clip(128 + 60 * image / image.std(), 0, 255).astype(np.uint8)


SHRINKING = [
    ((240, 320), (112, 112)),
    ((121, 161), (112, 112)),
    ((256, 454), (112, 112)),
    ((480, 640), (112, 112)),
    ((720, 1280), (112, 112)),
    ((1080, 1920), (112, 112)),
    ((1920, 1080), (224, 224)),
    ((720, 1280), (64, 64)),
    ((100, 1920), (64, 64)),
    ((1920, 100), (64, 64)),
    ((333, 501), (37, 41)),
]


@pytest.mark.parametrize(("height_width", "size"), SHRINKING)
def test_shrinking_is_close_to_the_area_average(height_width, size):
    frame = scene(*height_width)
    result = resize(frame, size)
    assert result.shape == (*size, 3)
    assert result.dtype == np.uint8
    # Linear interpolation alone gives as little as 26.
    assert psnr(result, area(frame, size)) > 33


@pytest.mark.parametrize(("height_width", "size"), SHRINKING)
def test_shrinking_does_not_shift(height_width, size):
    height, width = height_width
    ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
    frame = np.repeat(ramp[..., None], 3, axis=2).round().astype(np.uint8)
    assert np.abs(resize(frame, size).astype(int) - area(frame, size)).max() <= 2


@pytest.mark.parametrize("factor", [2, 4])
def test_shrinking_by_a_power_of_two_is_the_area_average(factor):
    frame = scene(48 * factor, 64 * factor)
    difference = resize(frame, (48, 64)).astype(int) - area(frame, (48, 64))
    assert np.abs(difference).max() <= 1  # rounded once for each halving


def test_growing_is_linear():
    frame = scene(48, 64)
    expected = cv2.resize(frame, (200, 100), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize(frame, (100, 200)), expected)


def test_one_side_grows_while_the_other_shrinks():
    stripes = np.zeros((20, 400, 3), np.uint8)
    stripes[:, ::2] = 200  # finer than the result can show: their mean is left
    result = resize(stripes, (40, 50))
    assert result.shape == (40, 50, 3)
    assert np.abs(result.astype(int) - 100).max() <= 1


def test_the_size_it_has():
    frame = scene(48, 64)
    assert resize(frame, (48, 64)) is frame
