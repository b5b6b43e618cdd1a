"""The images of a clip: whether they are there, and decoding them."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from pipeline.dataset.unprepared import VideoFiles
from pipeline.errors import DataError
from pipeline.prepare.prepared import Store
from pipeline.streams import IMAGES


def check_images(data: Store | VideoFiles, names: Sequence[str]) -> None:
    """Makes sure that videos have the images that a model takes.

    Those of videos that come straight from their files are made as they are read.

    Args:
        data: The videos.
        names: See `ModelConfig.images`.

    Raises:
        DataError: One is not in the prepared data set.
    """
    for name in set(names) - set(data.frames.images) if isinstance(data, Store) else ():
        raise DataError(
            f"{data.path}: model.streams needs {IMAGES[name].title}, which is not in this data "
            f"set. Prepare it with --{name}, or choose other streams"
        )


def decode_images(name: str, jpegs: tf.Tensor, indices: tf.Tensor, size: int) -> tf.Tensor:
    """Decodes some images of a video, and no others.

    Args:
        name: Of the images, as in `IMAGES`.
        jpegs: string (N,), as `pipeline.prepare.stored_frames.stored_frames` gives them.
        indices: int64 (T,), T static.
        size: Height and width in pixels.

    Returns:
        uint8 (T, size, size, 3), the pixels that `StoredImage.decode` gives.
    """
    return IMAGES[name].decode_tensors(tf.gather(jpegs, indices), size)
