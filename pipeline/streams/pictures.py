"""Streams of pictures: frames, what changes from one to the next, and optical flow."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from pipeline.streams.stream import Image, StoredImage, Stream
from pipeline.video import (
    decode_flow,
    decode_jpeg,
    encode_flow,
    encode_jpeg,
    flow_image,
    no_flow,
)

if TYPE_CHECKING:
    import tensorflow as tf

_SHORT = 0.5  # Shorter vectors have no direction.


class Frames(StoredImage):
    """The frames of a video, RGB."""

    name = "frames"
    title = "frames"

    def encode(self, frame: Image, before: Image | None, *, quality: int) -> bytes:  # noqa: ARG002
        """See `StoredImage`."""
        return encode_jpeg(frame, quality=quality)

    def decode_image(self, data: bytes, *, shrink: int) -> Image:
        """See `StoredImage`."""
        return decode_jpeg(data, shrink=shrink)


FRAMES = Frames()


class Rgb(Stream):
    """Each frame, scaled to [-1, 1]."""

    name = "rgb"
    image = FRAMES

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:  # noqa: ARG002
        """See `Stream`."""
        return (pixels - 127.5) / 127.5


class Difference(Stream):
    """Each frame less the one before it, scaled to [-gain, gain]; 0 for the first frame."""

    name = "difference"
    image = FRAMES
    needs_frame_before = True
    is_motion = True

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        steps = (pixels[:, 1:] - pixels[:, :-1]) * (gain / 255)
        return ops.concatenate([ops.zeros_like(pixels[:, :1]), steps], axis=1)


class RgbDifference(Stream):
    """The channels of `Rgb`, then those of `Difference`, for one backbone."""

    name = "rgb_difference"
    image = FRAMES
    channels = 6
    needs_frame_before = True

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        seen = [stream.see(pixels, gain) for stream in (Rgb(), Difference())]
        return ops.concatenate(seen, axis=-1)


class FlowImage(StoredImage):
    """Optical flow, see `pipeline.video.flow_image`: dx and dy, where 128 means none, and length.

    It leads from the stored frame before to its own, also where a clip leaves frames out: it is the
    motion at a frame of the video, not from one frame of the clip to the next.
    """

    name = "flow"
    title = "optical flow"
    is_motion = True
    erased = (128, 128, 0)
    is_lit = False

    def encode(self, frame: Image, before: Image | None, *, quality: int) -> bytes:
        """See `StoredImage`."""
        if before is None:
            return _encoded_still(frame.shape, quality)
        return encode_flow(flow_image(before, frame), quality=quality)

    def decode_image(self, data: bytes, *, shrink: int) -> Image:
        """See `StoredImage`."""
        return decode_flow(data, shrink=shrink)

    def jpeg_shape(self, size: int) -> tuple[int, int, int]:
        """Its channels lie one below the other."""
        return (3 * size, size, 1)

    def _unpacked(self, images: tf.Tensor, size: int) -> tf.Tensor:
        import tensorflow as tf

        return tf.transpose(tf.reshape(images, (-1, 3, size, size)), (0, 2, 3, 1))

    def still(self, image: Image) -> Image:
        """No motion anywhere."""
        return no_flow(image)

    def moved(self, pixels: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:
        """Turns and stretches the vectors as the frames are."""
        import tensorflow as tf

        linear = tf.reshape(tf.gather(transform, (0, 1, 3, 4)), (2, 2))
        # The transform leads from the output to the input; what moves in the picture goes with it.
        outward = tf.linalg.inv(linear)
        before = pixels[..., :2] - 128
        after = tf.linalg.matvec(outward, before)
        lengths = tf.norm(before, axis=-1, keepdims=True)
        # The unit of the magnitude is not known here: it grows by the factor by which vectors do.
        growth = tf.where(
            lengths < _SHORT,
            tf.sqrt(tf.abs(tf.linalg.det(outward))),
            tf.norm(after, axis=-1, keepdims=True) / tf.maximum(lengths, _SHORT),
        )
        return tf.concat([after + 128, pixels[..., 2:] * growth], axis=-1)

    def turned(
        self, images: tf.Tensor, *, mirrored: bool = False, backwards: bool = False
    ) -> tf.Tensor:
        """The vectors turn as the motion does.

        Backwards, this is approximate: a vector lies where its object was in the frame that the
        flow came from, which is now the frame that it leads to.
        """
        import tensorflow as tf

        images = super().turned(images, mirrored=mirrored)
        x, y, length = tf.split(images, 3, axis=-1)
        x = _opposite(x) if mirrored != backwards else x
        y = _opposite(y) if backwards else y
        return tf.concat([x, y, length], axis=-1)


@functools.lru_cache(maxsize=8)
def _encoded_still(shape: tuple[int, ...], quality: int) -> bytes:
    return encode_flow(no_flow(np.zeros(shape, np.uint8)), quality=quality)


def _opposite(values: tf.Tensor) -> tf.Tensor:
    """256 - v within uint8; -128, which has no opposite, becomes 127."""
    import tensorflow as tf

    return 255 - tf.maximum(values, 1) + 1


class Flow(Stream):
    """Optical flow, where 128 means no motion, scaled to [-1, 1]."""

    name = "flow"
    image = FlowImage()
    is_motion = True

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:  # noqa: ARG002
        """See `Stream`."""
        from keras import ops

        return ops.maximum((pixels - 128) / 127, -1)
