import cv2
import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.video import decode_jpeg, encode_jpeg


def picture(seed: int) -> np.ndarray:
    """Smooth colours and some noise, (70, 90, 3)."""
    rng = np.random.default_rng(seed)
    smooth = cv2.resize(rng.uniform(0, 255, (5, 6, 3)), (90, 70), interpolation=cv2.INTER_LINEAR)
    return np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)


def test_red_stays_red():
    red = np.full((16, 16, 3), (250, 10, 20), np.uint8)
    assert np.abs(decode_jpeg(encode_jpeg(red, quality=95)).astype(int) - red).max() <= 2


def test_quality():
    frame = picture(0)
    files = [encode_jpeg(frame, quality=quality) for quality in (20, 60, 95)]
    errors = [np.abs(decode_jpeg(data).astype(int) - frame).mean() for data in files]
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert errors[0] > errors[1] > errors[2]


def test_colour_keeps_its_full_resolution():
    columns = np.zeros((32, 32, 3), np.uint8)
    columns[:, ::2] = (200, 60, 60)
    columns[:, 1::2] = (60, 60, 200)  # as bright: only colour tells them apart
    difference = decode_jpeg(encode_jpeg(columns, quality=95)).astype(int) - columns
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_what_is_no_jpeg(data):
    with pytest.raises(DataError, match="expected the bytes of a JPEG image"):
        decode_jpeg(data)


@pytest.mark.parametrize("quality", [40, 75, 90, 100])
def test_tensorflow_decodes_the_same_pixels(quality):
    tensorflow = pytest.importorskip("tensorflow")
    for seed in range(5):
        data = encode_jpeg(picture(seed), quality=quality)
        pixels = tensorflow.io.decode_jpeg(data, dct_method="INTEGER_ACCURATE").numpy()
        assert np.array_equal(pixels, decode_jpeg(data))
