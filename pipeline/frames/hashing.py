"""What tells videos apart: their bytes, and their pictures, whatever they are encoded in.

The hash of a video holds one perceptual hash of its mean frame, which tells places apart, and one
for each of the slowest ways in which its pixels change, which tell videos of one place apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

_NUM_FRAMES: Final = 32
NUM_WAVES: Final = 3
HASH_SIZE: Final = 16
NUM_BITS: Final = (1 + NUM_WAVES) * HASH_SIZE**2

_SIDE: Final = 4 * HASH_SIZE
# The first rows of a discrete cosine transform (DCT-II).
_COSINES: Final = np.cos(np.pi / _SIDE * np.arange(HASH_SIZE)[:, None] * (np.arange(_SIDE) + 0.5))

# How much of the mean frame is mixed into a wave. Where nothing moves, that is what is hashed, in
# place of the noise; more of it would drown small movements.
_STILL_SHARE: Final = 0.05

# In grey levels. Real and rendered scenes have 3 to 60, noise on one colour has about 1.
_LEAST_DETAIL: Final = 1.5


def file_digest(path: str) -> str:
    """The SHA-256 of a file, in hexadecimal digits.

    Raises:
        OSError: It cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_positions(num_frames: int) -> np.ndarray:
    """Returns which frames of a video `video_hash` wants: the middles of 32 equal stretches.

    Args:
        num_frames: Frames of the video, 1 or more. Of fewer than 32, some are wanted repeatedly.

    Returns:
        int64 (32,): indices from 0 to `num_frames` - 1, in order.

    Example:
        >>> hash_positions(128)[:4].tolist(), hash_positions(2)[14:18].tolist()
        ([2, 6, 10, 14], [0, 0, 1, 1])
    """
    return (2 * np.arange(_NUM_FRAMES) + 1) * num_frames // (2 * _NUM_FRAMES)


def video_hash(images: Sequence[np.ndarray] | np.ndarray) -> str | None:
    """Returns what stays nearly the same when a video is encoded anew.

    Source: the low frequencies in space and time, as in Coskun, Sankur and Memon (2006), "Spatio-
    temporal transform based video hashing".

    Args:
        images: The frames at `hash_positions`, each uint8 (H, W), grey.

    Returns:
        Hexadecimal digits, 256 of them; None if there is nothing to tell the video by: its mean
        frame is one colour, stripes, a smooth shade or noise.
    """
    mean, *waves = _pictures(np.asarray(images, np.float32))
    if _detail(mean) < _LEAST_DETAIL:
        return None
    return "".join(map(_image_hash, (mean, *waves)))


def _pictures(frames: np.ndarray) -> np.ndarray:
    """Returns the mean frame and the waves over time, uint8 (1 + waves, H, W).

    A wave is how much a pixel follows a cosine of one half, two halves, ... of a turn. The first
    has the opposite sign in a video that is played backwards.
    """
    time = (np.arange(len(frames), dtype=np.float32) + 0.5) / len(frames)
    cosines = np.cos(np.pi * np.arange(1 + NUM_WAVES, dtype=np.float32)[:, None] * time)
    # A matrix product would wake the threads of BLAS, in every worker process at once.
    mean, *waves = np.einsum("wt,t...->w...", cosines / len(frames), frames)
    still = _STILL_SHARE * (mean - mean.mean())
    pictures = [mean, *(128 + 2 * wave + still for wave in waves)]
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def _image_hash(picture: np.ndarray) -> str:
    """The perceptual hash of a picture: which of its lowest frequencies are above their median.

    Source: Zauner (2010), "Implementation and Benchmarking of Perceptual Image Hash Functions".
    """
    small = Image.fromarray(picture).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    pixels = np.asarray(small, np.float64)
    frequencies = np.einsum("ur,rv->uv", _COSINES, np.einsum("rc,vc->rv", pixels, _COSINES))
    return np.packbits(frequencies > np.median(frequencies)).tobytes().hex()


def _detail(picture: np.ndarray) -> float:
    """Rest of each pixel beside the means of its row and column, in grey levels."""
    grey = picture.astype(np.float32)
    rest = grey - grey.mean(axis=0) - grey.mean(axis=1, keepdims=True) + grey.mean()
    return float(rest.std())
