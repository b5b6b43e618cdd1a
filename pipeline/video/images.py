"""Frames as images: resized, a square cut out, as JPEG and back; and the flow between them."""

from __future__ import annotations

from typing import Final, cast

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError

# Colour at full resolution (4:4:4): the usual half of it is coarse for frames of 100 pixels or so.
_SAMPLING: Final = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)

_REDUCED: Final = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

FULL_SCALE: Final = 1 / 12
"""The shift at which an image of flow saturates, as a share of the frame's longer side.

On real video of people, 15 frames a second, 1 of 10,000 values is beyond it.
"""

_STILL: Final = (128, 128, 0)
_GREY: Final = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


def resize(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes a frame: averages when it shrinks, interpolates linearly when it grows.

    OpenCV's area average can cost more than decoding the frame. Here a frame is first halved, which
    is an order of magnitude faster, as often as that leaves it no smaller than `size`; only the
    small rest is resized by an uneven factor. On real video, at 112 x 112, the result differs from
    the area average by 0.4 to 2 grey levels in the mean (36 to 50 dB).

    Args:
        frame: uint8 (H, W, 3).
        size: (height, width) of the result, in pixels.

    Returns:
        uint8 (height, width, 3); `frame` itself if it has that size.

    Example:
        >>> resize(np.zeros((240, 320, 3), np.uint8), (112, 96)).shape
        (112, 96, 3)
    """
    height, width = size
    while (ratio := min(frame.shape[0] / height, frame.shape[1] / width)) >= 2:
        # A quarter in one step reads only the middle 2 x 2 of 4 x 4 pixels. That is enough where
        # the steps that follow average over several of them.
        step = 4 if ratio >= 8 else 2
        frame = _linear(frame, frame.shape[0] // step, frame.shape[1] // step)
    # One side can still be several times too long.
    rows = height * _power_of_two(frame.shape[0] / height)
    columns = width * _power_of_two(frame.shape[1] / width)
    frame = _linear(frame, rows, columns)
    while frame.shape[:2] != (height, width):
        frame = _linear(frame, max(height, frame.shape[0] // 2), max(width, frame.shape[1] // 2))
    return frame


def _linear(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Linear interpolation; at half the size, it is the mean of 2 x 2 pixels."""
    if frame.shape[:2] == (height, width):
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)


def _power_of_two(ratio: float) -> int:
    """The largest power of two that is at most `ratio`, and at least 1."""
    return 1 << max(0, int(ratio).bit_length() - 1)


def crop(
    frame: npt.NDArray[np.uint8], centre: tuple[float, float], side: float, angle: float, size: int
) -> npt.NDArray[np.uint8]:
    """Cuts a square out of a frame, interpolating linearly; what lies outside of it is black.

    Args:
        frame: uint8 (H, W, 3).
        centre: x and y of its middle in pixels, counted from the corner of the frame.
        side: Its length in pixels.
        angle: By how much its upper edge is turned clockwise, in radians.
        size: Height and width of the result in pixels.

    Returns:
        uint8 (size, size, 3).

    Example:
        >>> frame = np.arange(16, dtype=np.uint8).reshape(4, 4, 1).repeat(3, axis=2)
        >>> crop(frame, (3, 1), 2, 0, 2)[..., 0].tolist()
        [[2, 3], [6, 7]]
    """
    step = side / size
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * step
    # OpenCV counts from the middle of the first pixel.
    offset = np.asarray(centre) - 0.5 - turn @ np.full(2, (size - 1) / 2)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, np.column_stack([turn, offset]), (size, size), flags=flags)


def encode_jpeg(frame: np.ndarray, *, quality: int) -> bytes:
    """Encodes a frame as JPEG.

    Args:
        frame: uint8 (H, W, 3), RGB.
        quality: 1 (smallest) to 100 (best).

    Returns:
        The bytes of a JPEG file.

    Example:
        >>> frame = np.full((48, 64, 3), (200, 100, 50), np.uint8)
        >>> decode_jpeg(encode_jpeg(frame, quality=90))[0, 0].tolist()
        [200, 100, 50]
    """
    parameters = (cv2.IMWRITE_JPEG_QUALITY, quality, *_SAMPLING)
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), parameters)
    return data.tobytes()


def decode_jpeg(data: bytes, *, shrink: int = 1) -> np.ndarray:
    """Decodes a JPEG file.

    Args:
        data: The bytes of the file.
        shrink: What height and width are divided by, and rounded up: 1, 2, 4 or 8.

    Returns:
        uint8 (H, W, 3), RGB: the pixels that `tf.io.decode_jpeg` gives with
        `dct_method="INTEGER_ACCURATE"`, and with `ratio` where they shrink.

    Raises:
        DataError: The bytes are not a JPEG image.
    """
    if shrink == 1:
        return _decode_image(data, cv2.IMREAD_COLOR_RGB)
    return cv2.cvtColor(_decode_image(data, _REDUCED[shrink]), cv2.COLOR_BGR2RGB)


def decode_grey_jpeg(data: bytes) -> np.ndarray:
    """Decodes the brightness of a JPEG file, uint8 (H, W), in a third of the time."""
    return _decode_image(data, cv2.IMREAD_GRAYSCALE)


def _decode_image(data: bytes, mode: int) -> np.ndarray:
    """As `decode_jpeg`, in the mode of `cv2.imdecode` that is asked for."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if image is None:
        raise DataError(f"expected the bytes of a JPEG image, got {data[:16]!r}...")
    return image


def flow_image(before: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Estimates where each pixel of a frame went in the next one: dense inverse search.

    A shift is a share of the side, not a number of pixels, so that the same motion looks the same
    at any size of the frames. Finer steps and smaller patches than OpenCV's presets have, which are
    for large images: those lose most of the motion at 64 pixels a side.

    Args:
        before: uint8 (H, W, 3), RGB.
        frame: uint8 (H, W, 3), RGB; H and W are at least 8.

    Returns:
        uint8 (H, W, 3): the shift to the right, the shift downwards, each 128 where there is none
        and 127 more or less at `FULL_SCALE`, and the length of the shift, 0 to 255 at `FULL_SCALE`.

    Source: Kroeger, Timofte, Dai and Van Gool (2016), Fast optical flow using dense inverse search.

    Example:
        >>> frame = np.zeros((32, 32, 3), np.uint8)
        >>> np.array_equal(flow_image(frame, frame), no_flow(frame))
        True
    """
    first, second = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (before, frame))
    no_guess = cast(np.ndarray, None)  # OpenCV takes None, which its types leave out.
    shift = _estimator().calc(first, second, no_guess) / (FULL_SCALE * max(first.shape))
    length = np.linalg.norm(shift, axis=-1, keepdims=True)
    levels = (128 + 127 * np.clip(shift, -1, 1), 255 * np.minimum(length, 1))
    return np.rint(np.concatenate(levels, axis=-1)).astype(np.uint8)


def no_flow(frame: np.ndarray) -> np.ndarray:
    """The image of flow, as of `flow_image`, of a frame that repeats, and of a first one."""
    return np.full_like(frame, _STILL)


def _estimator() -> cv2.DISOpticalFlow:
    """A new one for each pair of frames: it holds memory that threads must not share."""
    estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    estimator.setFinestScale(0)  # the image as it is; the preset stops at half of it
    estimator.setPatchSize(4)
    estimator.setPatchStride(2)
    return estimator


def encode_flow(image: np.ndarray, *, quality: int) -> bytes:
    """Encodes an image of flow as one grey JPEG, its channels one below the other.

    As colours, the channels would be mixed and rounded: on real video, at quality 95, that is an
    error of 0.6 levels in the mean where this has 0.2, and 0.4 where nothing moves at all.

    Args:
        image: uint8 (H, W, 3), of `flow_image`.
        quality: 1 (smallest) to 100 (best).

    Returns:
        The bytes of a JPEG file of (3 H, W) pixels.
    """
    planes = np.concatenate(np.moveaxis(image, -1, 0))
    _, data = cv2.imencode(".jpg", planes, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return data.tobytes()


def decode_flow(data: bytes, *, shrink: int = 1) -> np.ndarray:
    """Decodes what `encode_flow` gives: uint8 (H, W, 3), as `decode_jpeg` does a frame."""
    planes = _decode_image(data, _GREY[shrink])
    return np.stack(np.split(planes, 3), axis=-1)
