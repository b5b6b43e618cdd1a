"""The drawn changes, applied to the pixels of a clip; runs eagerly and inside tf.data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipeline.config import AugmentConfig
from pipeline.dataset.augment.draw import Pixels
from pipeline.streams import IMAGES, PosePoints, StoredImage


def change_clip(
    inputs: dict[str, tf.Tensor],
    changes: Pixels,
    config: AugmentConfig,
    key_points: Sequence[str] = (),
) -> dict[str, tf.Tensor]:
    """Changes all frames of a clip alike. What is switched off costs nothing.

    What a frame shows beyond its border is the border itself.

    Args:
        inputs: Some of `IMAGES` by name, such as uint8 (T, H, W, 3); and what stays as it is.
        changes: What was drawn with this configuration.
        config: What can have been drawn.
        key_points: See `pipeline.config.FramesConfig`.

    Returns:
        The same, changed.
    """
    changed = dict(inputs)
    # Always in the same order: that in which TensorFlow is given its operations decides rounding.
    for name in [name for name in IMAGES if name in inputs]:
        kind = IMAGES[name]
        if isinstance(kind, StoredImage):
            images = _change(inputs[name], kind, changes, config)
        elif isinstance(kind, PosePoints):
            points = inputs[name]
            if _moves(config):
                size = tf.shape(changes.erased)[0]
                points = kind.moved(points, changes.transform, size, key_points)
            if config.jitter.on:
                noise = tf.random.stateless_normal((*points.shape[:-1], 2), changes.noise_seed)
                points = kind.displaced(points, changes.jitter * noise, key_points)
            images = points
        changed[name] = tf.ensure_shape(images, inputs[name].shape)
    return changed


def _change(
    images: tf.Tensor, kind: StoredImage, changes: Pixels, config: AugmentConfig
) -> tf.Tensor:
    coloured = config.saturation.on or config.hue.on or config.greyscale > 0
    lit = kind.is_lit and (coloured or config.contrast.on or config.brightness.on)
    noisy = kind.is_lit and config.noise.on
    if _moves(config):
        pixels = kind.moved(_warp(images, changes.transform), changes.transform)
    elif lit or noisy:
        pixels = tf.cast(images, tf.float32)
    else:
        return _erase(images, changes, config, kind.erased)
    if lit:
        pixels = _light(pixels, changes, config, coloured=coloured)
    if noisy:
        noise = tf.random.stateless_normal((*images.shape[:3], 1), changes.noise_seed)
        pixels += noise * (255 * changes.noise)
    return _erase(_to_uint8(pixels), changes, config, kind.erased)


def _moves(config: AugmentConfig) -> bool:
    changes = (config.crop, config.scale, config.translate, config.rotation)
    return config.flip > 0 or any(change.on for change in changes)


def _warp(clip: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
    """Bilinear interpolation, float32 (T, H, W, 3).

    `ImageProjectiveTransformV3` does the same; but it finds the place of each value of each frame
    anew, which takes more than twice the time.
    """
    height, width = clip.shape[1:3]
    a = tf.ensure_shape(transform, (8,))
    ys, xs = tf.range(float(height))[:, None], tf.range(float(width))
    x = tf.clip_by_value(a[0] * xs + a[1] * ys + a[2], 0, width - 1)
    y = tf.clip_by_value(a[3] * xs + a[4] * ys + a[5], 0, height - 1)
    left, top = tf.minimum(tf.floor(x), width - 2), tf.minimum(tf.floor(y), height - 2)
    right, down = tf.reshape(x - left, (-1, 1)), tf.reshape(y - top, (-1, 1))

    # One row for each place in the picture, with the colours of all frames.
    places = tf.reshape(tf.transpose(clip, (1, 2, 0, 3)), (height * width, -1))
    places = tf.cast(places, tf.float32)
    corner = tf.reshape(tf.cast(top * width + left, tf.int32), (-1,))
    nw, ne, sw, se = (tf.gather(places, corner + step) for step in (0, 1, width, width + 1))
    north, south = nw + right * (ne - nw), sw + right * (se - sw)
    warped = tf.reshape(north + down * (south - north), (height, width, -1, 3))
    return tf.transpose(warped, (2, 0, 1, 3))


def _light(
    pixels: tf.Tensor, changes: Pixels, config: AugmentConfig, *, coloured: bool
) -> tf.Tensor:
    """Colours, contrast and brightness: one matrix, or only a factor, and what is added."""
    mean = tf.reduce_mean(pixels) if config.contrast.on else 0.0
    added = (1 - changes.contrast) * mean + 255 * changes.brightness
    if not coloured:
        return pixels * changes.contrast + added
    # A 1x1 convolution is the fastest way to multiply each pixel by a matrix.
    matrix = tf.transpose(tf.reshape(changes.colours, (3, 3)) * changes.contrast)
    return tf.nn.conv2d(pixels, matrix[None, None], 1, "VALID") + added


def _erase(
    clip: tf.Tensor, changes: Pixels, config: AugmentConfig, blank: tuple[int, int, int]
) -> tf.Tensor:
    if not config.erase.on:
        return clip
    erased = tf.ensure_shape(changes.erased, clip.shape[1:3])[..., None]
    return tf.where(erased, tf.zeros_like(clip[0]) + np.array(blank, np.uint8), clip)


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    return tf.saturate_cast(tf.round(pixels), tf.uint8)
