"""The image that most streams are made of: the frame itself."""

from __future__ import annotations

from pipeline.streams.stream import Image, StoredImage
from pipeline.video import decode_jpeg, encode_jpeg


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
