"""Random changes of a training clip: one draw of parameters, the same for all of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.config import AugmentConfig

if TYPE_CHECKING:
    import tensorflow as tf


class Augmentation(NamedTuple):
    """What happens to one clip.

    Attributes:
        transform: float32 (8,), the projective map from output to input pixels, in the order of
            `tf.raw_ops.ImageProjectiveTransformV3`.
        brightness: Added to every value, as a share of the full range.
        contrast: Factor on the distance of every value from the clip's mean.
    """

    transform: npt.NDArray[np.float32]
    brightness: np.float32
    contrast: np.float32


def draw(config: AugmentConfig, size: int, rng: np.random.Generator) -> Augmentation:
    """Draws the parameters for one clip of frames `size` pixels high and wide."""
    # The numbers are drawn in a fixed order and always, so that switching one change off leaves
    # the others as they were.
    flip, crop, zoom, turn, brightness, contrast = rng.random(6)
    window = 1 - crop * config.crop.strength
    shift = rng.uniform(-0.5, 0.5, 2) * (1 - window) * size
    zoom_factor = (1 + config.scale.strength) ** (2 * zoom - 1)
    angle = np.radians((2 * turn - 1) * config.rotation.strength)
    mirror = -1.0 if flip < config.flip else 1.0
    return Augmentation(
        _affine(window / zoom_factor, angle, mirror, shift, size),
        np.float32((2 * brightness - 1) * config.brightness.strength),
        np.float32((1 + config.contrast.strength) ** (2 * contrast - 1)),
    )


def _affine(
    factor: float, angle: float, mirror: float, shift: npt.NDArray[Any], size: int
) -> npt.NDArray[np.float32]:
    """Input pixel = centre + shift + factor * rotation * mirror * (output pixel - centre)."""
    cos, sin = factor * np.cos(angle), factor * np.sin(angle)
    linear = np.array([[cos * mirror, -sin], [sin * mirror, cos]])
    centre = np.full(2, (size - 1) / 2)
    (a0, a1), (b0, b1) = linear
    a2, b2 = centre + shift - linear @ centre
    return np.array([a0, a1, a2, b0, b1, b2, 0, 0], np.float32)


def apply(clip: tf.Tensor, augmentation: Augmentation) -> tf.Tensor:
    """Changes all frames of a clip alike; runs eagerly and inside tf.data.

    What a frame shows beyond its border is the border itself.

    Args:
        clip: uint8 (T, H, W, 3).
        augmentation: The parameters, as arrays or tensors.

    Returns:
        uint8 (T, H, W, 3).
    """
    import tensorflow as tf

    transform, brightness, contrast = augmentation
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(clip, tf.float32),
        transforms=tf.reshape(transform, (1, 8)),
        output_shape=tf.shape(clip)[1:3],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
    mean = tf.reduce_mean(moved)
    lit = (moved - mean) * contrast + (mean + 255 * brightness)
    lit = tf.saturate_cast(tf.round(lit), tf.uint8)
    return tf.ensure_shape(lit, clip.shape)
