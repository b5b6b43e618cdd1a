"""Frames as JPEG bytes and back."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from pipeline.errors import DataError

# Colour at full resolution (4:4:4): the usual half of it is coarse for frames of 100 pixels or so.
_SAMPLING: Final = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


_REDUCED: Final = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


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
        return decode_image(data, cv2.IMREAD_COLOR_RGB)
    return cv2.cvtColor(decode_image(data, _REDUCED[shrink]), cv2.COLOR_BGR2RGB)


def decode_grey_jpeg(data: bytes) -> np.ndarray:
    """Decodes the brightness of a JPEG file, uint8 (H, W), in a third of the time."""
    return decode_image(data, cv2.IMREAD_GRAYSCALE)


def decode_image(data: bytes, mode: int) -> np.ndarray:
    """As `decode_jpeg`, in the mode of `cv2.imdecode` that is asked for."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), mode) if data else None
    if image is None:
        raise DataError(f"expected the bytes of a JPEG image, got {data[:16]!r}...")
    return image
