"""The images of a clip, frames and optical flow: whether they are there, and decoding them."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from pipeline.dataset.unprepared import VideoFiles
from pipeline.errors import DataError
from pipeline.prepare.prepared import Store


def check_images(data: Store | VideoFiles, names: Sequence[str]) -> None:
    """Makes sure that videos have the images that a model takes.

    The optical flow of videos that come straight from their files is computed as they are read.

    Args:
        data: The videos.
        names: `frames`, `flow` or both, see `ModelConfig.images`.

    Raises:
        DataError: The model takes flow, and there is none in the prepared data set.
    """
    if "flow" in names and isinstance(data, Store) and not data.frames.flow:
        raise DataError(
            f"{data.path}: model.input needs optical flow, which is not in this data set. "
            "Prepare it with --flow, or choose another model.input"
        )


def decode_images(name: str, jpegs: tf.Tensor, indices: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes some images of a video, and no others.

    Flow leads from the stored frame before to that of its index, also where a clip leaves frames
    out: it is the motion at a moment, not from one frame of the clip to the next.

    Args:
        name: `frames` or `flow`.
        jpegs: string (N,), as `pipeline.video.stored_frames.stored_frames` gives them.
        indices: int64 (T,), T static.
        size: Height and width in pixels.

    Returns:
        uint8 (T, size, size, 3), the pixels that `decode_jpeg` and `decode_flow` of
        `pipeline.video` give.
    """
    chosen = tf.gather(jpegs, indices)
    channels = 1 if name == "flow" else 3
    # One decode after another is faster than `tf.map_fn`.
    images = tf.stack(
        [
            tf.io.decode_jpeg(chosen[i], channels=channels, dct_method="INTEGER_ACCURATE")
            for i in range(indices.shape[0])
        ]
    )
    if name == "flow":
        planes = tf.ensure_shape(images, (indices.shape[0], 3 * size, size, 1))
        planes = tf.reshape(planes, (-1, 3, size, size))
        images = tf.transpose(planes, (0, 2, 3, 1))
    return tf.ensure_shape(images, (indices.shape[0], size, size, 3))
