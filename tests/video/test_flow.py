import cv2
import numpy as np
import pytest

from pipeline.video import decode_flow, decode_jpeg, encode_flow, encode_jpeg, flow_image
from pipeline.video.flow import FULL_SCALE

STILL = (128, 128, 0)


def texture(size: int, seed: int) -> np.ndarray:
    """Smooth grey blotches of an eighth of the side, (size, size, 3)."""
    blotches = np.random.default_rng(seed).uniform(0, 255, (8, 8))
    smooth = cv2.resize(blotches, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1)


def square(size: int, right: int, down: int) -> np.ndarray:
    """A textured square of half the side in the middle of a still background, shifted."""
    frame, quarter = texture(size, seed=0), size // 4
    moved = texture(size // 2, seed=1)
    frame[quarter + down :, quarter + right :][: size // 2, : size // 2] = moved
    return frame


def middle(image: np.ndarray) -> np.ndarray:
    """The mean (3,) over the middle of the square."""
    size = len(image)
    low, high = round(0.4 * size), round(0.6 * size)
    return image[low:high, low:high].mean(axis=(0, 1))


def levels(right: float, down: float, size: int) -> list[float]:
    full = FULL_SCALE * size
    length = float(np.hypot(right, down))
    return [128 + 127 * right / full, 128 + 127 * down / full, 255 * length / full]


@pytest.mark.parametrize(("right", "down"), [(3, -2), (-3, 1), (0, 4), (1, 0)])
def test_a_moving_square(right: int, down: int) -> None:
    image = flow_image(square(64, 0, 0), square(64, right, down))
    assert (image.dtype, image.shape) == (np.uint8, (64, 64, 3))
    np.testing.assert_allclose(middle(image), levels(right, down, 64), atol=0.55)
    np.testing.assert_allclose(image[:8].mean(axis=(0, 1)), STILL, atol=1)


def test_the_same_motion_looks_the_same_at_any_size() -> None:
    small = flow_image(square(48, 0, 0), square(48, 2, -1))
    large = flow_image(square(144, 0, 0), square(144, 6, -3))
    np.testing.assert_allclose(middle(small), middle(large), atol=1)


@pytest.mark.parametrize("size", [8, 9, 64])
def test_the_same_frame_twice_is_no_motion(size: int) -> None:
    frame = np.random.default_rng(0).integers(256, size=(size, size, 3), dtype=np.uint8)
    assert (flow_image(frame, frame) == STILL).all()


def test_faster_motion_saturates() -> None:
    """At a twelfth of the side, which is 5.3 pixels."""
    image = flow_image(square(64, 0, 0), square(64, 6, -6))
    assert middle(image).tolist() == [255, 1, 255]


def test_a_long_frame_counts_its_longer_side() -> None:
    wide = [np.hstack([square(64, shift, 0), texture(64, seed=2)]) for shift in (0, 3)]
    np.testing.assert_allclose(middle(flow_image(*wide)[:, :64]), levels(3, 0, 128), atol=1)


def moving() -> np.ndarray:
    return flow_image(square(64, 0, 0), square(64, 3, -2))


def test_encoding_keeps_the_channels_apart() -> None:
    """As colours, still pixels would move, and errors be twice as large."""
    image = moving()
    error = np.abs(decode_flow(encode_flow(image, quality=95)).astype(int) - image)
    as_colour = np.abs(decode_jpeg(encode_jpeg(image, quality=95)).astype(int) - image)
    assert error.max() <= 10
    assert error.mean() < 0.5 * as_colour.mean()
    still = np.full((64, 64, 3), STILL, np.uint8)
    assert (decode_flow(encode_flow(still, quality=50)) == STILL).all()


def test_quality() -> None:
    low, high = (encode_flow(moving(), quality=quality) for quality in (50, 95))
    assert len(low) < len(high)
