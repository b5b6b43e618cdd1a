"""Frames as JPEG bytes and back."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.errors import DataError


def encode_jpeg(frame: np.ndarray, *, quality: int) -> bytes:
    """Encodes a frame as JPEG with chroma at full resolution (4:4:4).

    Args:
        frame: uint8 (H, W, 3), RGB.
        quality: 1 (smallest) to 100 (best).

    Returns:
        The bytes of a JPEG file.
    """
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), parameters)
    return data.tobytes()


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decodes JPEG bytes.

    Args:
        data: The bytes of a JPEG file.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        DataError: The bytes are not a JPEG image.
    """
    frame = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise DataError(f"expected a JPEG image, got {len(data)} bytes that are none.")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
