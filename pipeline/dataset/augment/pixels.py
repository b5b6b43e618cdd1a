"""The drawn changes, applied to the pixels of a clip; runs eagerly and inside tf.data."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipeline.config import AugmentConfig
from pipeline.dataset.augment.draw import Pixels

_GREY = (128, 128, 128)
_NO_MOTION = (128, 128, 0)
_STILL = 0.5  # Shorter vectors of optical flow have no direction.


def change_clip(
    inputs: dict[str, tf.Tensor], changes: Pixels, config: AugmentConfig
) -> dict[str, tf.Tensor]:
    """Changes all frames of a clip alike. What is switched off costs nothing.

    What a frame shows beyond its border is the border itself.

    Args:
        inputs: `frames`, `flow` as in `move_flow`, or both, uint8 (T, H, W, 3); and what stays as
            it is.
        changes: What was drawn with this configuration.
        config: What can have been drawn.

    Returns:
        The same, changed.
    """
    changed = dict(inputs)
    if "frames" in inputs:
        frames = _change_frames(inputs["frames"], changes, config)
        changed["frames"] = _erase(frames, changes, config, _GREY)
    if "flow" in inputs:
        flow = move_flow(inputs["flow"], changes.transform) if _moves(config) else inputs["flow"]
        changed["flow"] = _erase(flow, changes, config, _NO_MOTION)
    return {name: tf.ensure_shape(changed[name], inputs[name].shape) for name in inputs}


def move_flow(flow: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
    """Moves optical flow as the frames are moved, and turns and stretches its vectors likewise.

    Args:
        flow: uint8 (T, H, W, 3): dx and dy, where 128 means none, and the magnitude from 0.
        transform: float32 (8,), an affine map, as `Pixels.transform`.

    Returns:
        uint8 (T, H, W, 3).
    """
    moved = _warp(flow, transform)
    linear = tf.reshape(tf.gather(transform, (0, 1, 3, 4)), (2, 2))
    # The transform leads from the output to the input; what moves in the picture goes with it.
    outward = tf.linalg.inv(linear)
    before = moved[..., :2] - 128
    after = tf.linalg.matvec(outward, before)
    lengths = tf.norm(before, axis=-1, keepdims=True)
    # The unit of the magnitude is not known here: it grows by the factor by which vectors do.
    growth = tf.where(
        lengths < _STILL,
        tf.sqrt(tf.abs(tf.linalg.det(outward))),
        tf.norm(after, axis=-1, keepdims=True) / tf.maximum(lengths, _STILL),
    )
    return _to_uint8(tf.concat([after + 128, moved[..., 2:] * growth], axis=-1))


def reverse_flow(flow: tf.Tensor) -> tf.Tensor:
    """Negates the vectors of optical flow, as of a clip that is shown backwards.

    This is approximate: a vector lies where its object was in the frame that the flow came from,
    which is now the frame that it leads to.

    Args:
        flow: uint8 (T, H, W, 3), as that of `move_flow`.

    Returns:
        uint8 (T, H, W, 3); -128, which has no opposite, becomes 127.
    """
    vectors, magnitude = flow[..., :2], flow[..., 2:]
    opposite = 255 - tf.maximum(vectors, 1) + 1  # 256 - v, within uint8
    return tf.concat([opposite, magnitude], axis=-1)


def _change_frames(frames: tf.Tensor, changes: Pixels, config: AugmentConfig) -> tf.Tensor:
    coloured = config.saturation.on or config.hue.on or config.greyscale > 0
    lit = coloured or config.contrast.on or config.brightness.on
    moves = _moves(config)
    if not (moves or lit or config.noise.on):
        return frames
    pixels = _warp(frames, changes.transform) if moves else tf.cast(frames, tf.float32)
    if lit:
        pixels = _light(pixels, changes, config, coloured=coloured)
    if config.noise.on:
        noise = tf.random.stateless_normal((*frames.shape[:3], 1), changes.noise_seed)
        pixels += noise * (255 * changes.noise)
    return _to_uint8(pixels)


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
