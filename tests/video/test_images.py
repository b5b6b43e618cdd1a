"""Frames on their own: resized, encoded, as optical flow; and what describes them."""

import cv2
import numpy as np
import pytest

from pipeline.errors import DataError, VideoDecodeError
from pipeline.video import decode_flow, decode_jpeg, encode_flow, encode_jpeg, flow_image, resize
from pipeline.video.descriptors import FPS, SIZE, describe, keep_descriptors, kept_descriptors
from pipeline.video.images import FULL_SCALE
from pipeline.video.paths import file_mark
from tests.video.videos import lossless, noise


def area(frame, size):
    return cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA)


def scene(height, width):
    """Detail at every scale, as in photographs."""
    rng = np.random.default_rng(0)
    image = np.zeros((height, width, 3))
    cells = 2
    while cells < max(height, width):
        detail = rng.normal(size=(cells, cells, 3))
        image += cv2.resize(detail, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.4
        cells *= 2
    return np.clip(128 + 60 * image / image.std(), 0, 255).astype(np.uint8)


def test_frames_shrink_to_about_the_area_average_without_a_shift_or_grow():
    for height_width, size in (
        *(((121, 161), (112, 112)), ((720, 1280), (64, 64)), ((1080, 600), (224, 224))),
        *(((100, 1920), (64, 64)), ((1920, 100), (64, 64)), ((333, 501), (37, 41))),
    ):
        frame = scene(*height_width)
        result = resize(frame, size)
        assert result.shape == (*size, 3)
        assert result.dtype == np.uint8
        error = np.square(result.astype(float) - area(frame, size)).mean()
        assert 10 * np.log10(255**2 / error) > 33, "linear interpolation alone gives but 26"
        height, width = height_width
        ramp = np.add.outer(np.linspace(0, 120, height), np.linspace(0, 120, width))
        frame = np.repeat(ramp[..., None], 3, axis=2).round().astype(np.uint8)
        assert np.abs(resize(frame, size).astype(int) - area(frame, size)).max() <= 2
    frame = scene(48, 64)
    expected = cv2.resize(frame, (200, 100), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(resize(frame, (100, 200)), expected)
    assert resize(frame, (48, 64)) is frame
    stripes = np.zeros((20, 400, 3), np.uint8)
    stripes[:, ::2] = 200  # finer than the result can show: their mean is left
    result = resize(stripes, (40, 50))
    assert result.shape == (40, 50, 3)
    assert np.abs(result.astype(int) - 100).max() <= 1
    for factor in (2, 4):  # The area average, rounded once for each halving.
        frame = scene(48 * factor, 64 * factor)
        difference = resize(frame, (48, 64)).astype(int) - area(frame, (48, 64))
        assert np.abs(difference).max() <= 1


def errors(decode, data, image):
    return np.abs(decode(data).astype(int) - image)


def test_colours_and_quality_of_jpegs():
    red = np.full((16, 16, 3), (250, 10, 20), np.uint8)
    assert errors(decode_jpeg, encode_jpeg(red, quality=95), red).max() <= 2
    columns = np.zeros((32, 32, 3), np.uint8)
    columns[:, ::2] = (200, 60, 60)
    columns[:, 1::2] = (60, 60, 200)  # as bright: only colour tells them apart, at full resolution
    assert errors(decode_jpeg, encode_jpeg(columns, quality=95), columns).mean() < 4
    frame = scene(70, 90)
    files = [encode_jpeg(frame, quality=quality) for quality in (20, 60, 95)]
    worst, middle, best = (errors(decode_jpeg, data, frame).mean() for data in files)
    assert len(files[0]) < len(files[1]) < len(files[2])
    assert worst > middle > best
    for data in (b"", b"no picture at all"):
        with pytest.raises(DataError, match="expected the bytes of a JPEG image"):
            decode_jpeg(data)


STILL = (128, 128, 0)


def texture(size, seed):
    """Smooth grey blotches of an eighth of the side, (size, size, 3)."""
    blotches = np.random.default_rng(seed).uniform(0, 255, (8, 8))
    smooth = cv2.resize(blotches, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=-1)


def square(size, right, down):
    """A textured square of half the side in the middle of a still background, shifted."""
    frame, quarter = texture(size, seed=0), size // 4
    moved = texture(size // 2, seed=1)
    frame[quarter + down :, quarter + right :][: size // 2, : size // 2] = moved
    return frame


def flow_of(size, right, down):
    return flow_image(square(size, 0, 0), square(size, right, down))


def middle(image):
    """The mean (3,) over the middle of the square."""
    size = len(image)
    low, high = round(0.4 * size), round(0.6 * size)
    return image[low:high, low:high].mean(axis=(0, 1))


def levels(right, down, size):
    full, length = FULL_SCALE * size, float(np.hypot(right, down))
    return [128 + 127 * right / full, 128 + 127 * down / full, 255 * length / full]


def test_motion_looks_the_same_at_any_size():
    for right, down in ((3, -2), (-3, 1), (0, 4), (1, 0)):
        image = flow_of(64, right, down)
        assert (image.dtype, image.shape) == (np.uint8, (64, 64, 3))
        np.testing.assert_allclose(middle(image), levels(right, down, 64), atol=0.55)
        np.testing.assert_allclose(image[:8].mean(axis=(0, 1)), STILL, atol=1)
    np.testing.assert_allclose(middle(flow_of(48, 2, -1)), middle(flow_of(144, 6, -3)), atol=1)
    # A long frame counts its longer side.
    wide = [np.hstack([square(64, shift, 0), texture(64, seed=2)]) for shift in (0, 3)]
    np.testing.assert_allclose(middle(flow_image(*wide)[:, :64]), levels(3, 0, 128), atol=1)
    # Faster motion saturates, at a twelfth of the side, which is 5.3 pixels.
    assert middle(flow_of(64, 6, -6)).tolist() == [255, 1, 255]
    for size in (8, 9, 64):
        (frame,) = noise(1, size, size)
        assert (flow_image(frame, frame) == STILL).all()


def test_encoding_keeps_the_channels_of_flow_apart():
    """As colours, still pixels would move, and errors be twice as large."""
    image = flow_of(64, 3, -2)
    error = errors(decode_flow, encode_flow(image, quality=95), image)
    assert error.max() <= 10
    assert error.mean() < 0.5 * errors(decode_jpeg, encode_jpeg(image, quality=95), image).mean()
    still = np.full((64, 64, 3), STILL, np.uint8)
    assert (decode_flow(encode_flow(still, quality=50)) == STILL).all()
    low, high = (encode_flow(image, quality=quality) for quality in (50, 95))
    assert len(low) < len(high)


LOOK, FLOW, OUTLINE = (slice(start, start + SIZE // 3) for start in (0, SIZE // 3, 2 * SIZE // 3))


def moving(num_frames, *, step):
    """A square that moves to the right in the upper half, before grey."""
    frames = np.full((num_frames, 72, 96, 3), 90, np.uint8)
    for number, frame in enumerate(frames):
        left = 8 + step * number
        frame[8:24, left : left + 16] = 220
    return frames


def described(tmp_path, frames, fps=10):
    return np.array(list(describe(lossless(tmp_path / "video.avi", frames, fps))))


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_there_are_ten_a_second_whatever_the_rate(tmp_path, fps):
    found = described(tmp_path, moving(3 * fps, step=0), fps=fps)
    assert found.shape == (3 * FPS, SIZE)
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    # What rests has looks and no motion; nor does the first frame move.
    assert found[:, LOOK].max() > 0.1
    assert found[5, OUTLINE].max() == 0
    assert found[5, FLOW].max() < 0.1
    np.testing.assert_array_equal(found[0], found[5])


def test_outlines_and_motion_where_it_is_and_which_way_it_goes(tmp_path):
    """Outlines are the same whichever side is brighter."""
    ramp = np.add.outer(0.9 * np.arange(72), 1.5 * np.arange(96)).astype(np.uint8)
    rising = np.broadcast_to(ramp[..., None], (3, 72, 96, 3))
    for frames in (rising, 255 - rising):
        look = described(tmp_path, np.ascontiguousarray(frames))[1, LOOK].astype(float)
        shares = (look.reshape(12, 8) ** 2).sum(axis=0)
        assert shares[1] > 0.9  # at 31 degrees, of 180 in 8 parts
    found = described(tmp_path, moving(20, step=3))[8]
    flow = found[FLOW].reshape(3, 4, 8).astype(float)
    assert flow[0].sum() > 5 * flow[2].sum()
    right, left = flow[..., [0, 7]].sum(), flow[..., [3, 4]].sum()
    assert right > 3 * left
    back = described(tmp_path, moving(20, step=3)[::-1])[10]
    flow = back[FLOW].reshape(3, 4, 8).astype(float)
    assert flow[..., [3, 4]].sum() > 3 * flow[..., [0, 7]].sum()
    assert found[OUTLINE].reshape(3, 4, 8)[0].sum() > 0.5


def test_what_is_kept_is_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "video.avi"
    found = described(tmp_path, moving(10, step=2))
    assert kept_descriptors(path) is None
    keep_descriptors(path, found)
    np.testing.assert_array_equal(kept_descriptors(path), found)
    lossless(path, moving(12, step=1))
    assert kept_descriptors(path) is None
    keep_descriptors(path, found)
    for content in (b"", b"x" * 100):
        (kept,) = (tmp_path / "cache").rglob(f"{file_mark(path)}.npy")
        kept.write_bytes(content)
        assert kept_descriptors(path) is None
    path.write_bytes(b"x" * 1000)
    with pytest.raises(VideoDecodeError):
        list(describe(path))
