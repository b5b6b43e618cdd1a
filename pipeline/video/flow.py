"""Optical flow from one frame to the next, as images that are stored beside the frames."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np

from pipeline.video.images import decode_image

FULL_SCALE = 1 / 12
"""The shift at which an image of flow saturates, as a share of the frame's longer side.

On real video of people, 15 frames a second, 1 of 10,000 values is beyond it.
"""

_STILL = (128, 128, 0)
_GREY = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


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
    planes = decode_image(data, _GREY[shrink])
    return np.stack(np.split(planes, 3), axis=-1)
