"""Frames as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.streams.stream import Image, StoredImage, Stream
from pipeline.video import decode_jpeg, encode_jpeg

if TYPE_CHECKING:
    import tensorflow as tf


class Frames(StoredImage):
    """The frames of a video, RGB."""

    name = "frames"
    title = "frames"

    def encode(self, frame: Image, before: Image | None, *, quality: int) -> bytes:  # noqa: ARG002
        """See `StoredImage`."""
        return encode_jpeg(frame, quality=quality)

    def decode(self, data: bytes) -> Image:
        """See `StoredImage`."""
        return decode_jpeg(data)


FRAMES = Frames()


class Rgb(Stream):
    """Each frame, scaled to [-1, 1]."""

    name = "rgb"
    image = FRAMES

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:  # noqa: ARG002
        """See `Stream`."""
        return (pixels - 127.5) / 127.5
