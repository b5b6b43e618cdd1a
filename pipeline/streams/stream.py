"""The base classes of streams, and of the images that they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tensorflow as tf

Array = npt.NDArray[Any]
Image = npt.NDArray[np.uint8]


class Frames(Protocol):
    """What of `pipeline.config.FramesConfig` says how what is stored looks."""

    @property
    def size(self) -> int:
        """Height and width of a frame in pixels."""

    @property
    def shrink(self) -> int:
        """What its sides are divided by where it is read: 1, 2, 4 or 8."""

    @property
    def side(self) -> int:
        """Height and width of a frame as it is read."""

    @property
    def jpeg_quality(self) -> int:
        """Of JPEGs, 1 to 100."""

    @property
    def pose(self) -> int:
        """People whose key points are stored, at most; 0: none."""

    @property
    def key_points(self) -> tuple[str, ...]:
        """Names of these points where they are from tables; none: those of BlazePose."""


class Shown(NamedTuple):
    """A frame of a video, as what is stored is made of it.

    Attributes:
        frame: uint8 (size, size, 3), RGB.
        whole: uint8 (H, W, 3), the same as it is in the file; None where nothing needs it.
        points: Its key points from a table, see `pipeline.key_points.KeyPoints`; None: there is
            none.
    """

    frame: Image
    whole: Image | None = None
    points: npt.NDArray[np.float32] | None = None


Encode = Callable[[Shown, Image | None], bytes]
"""From a frame, and the small one before it, None where there is none or it is the same, to bytes;
called with one frame of a video after the other."""


class Stored(ABC):
    """What is stored of each frame of a video.

    Attributes:
        name: What it is called in records, clips and batches, and in `FramesConfig`.
        title: What it is called in messages.
        dtype: Of what is decoded.
        is_motion: Whether it shows what moved since the frame before, not what is there. Of the
            first frame, and of one that repeats, it shows that nothing did.
    """

    name: str
    title: str
    dtype: str = "uint8"
    is_motion = False

    def needs_whole(self, frames: Frames) -> bool:  # noqa: ARG002
        """Whether it is made of frames as they are in the file."""
        return False

    @abstractmethod
    def shape(self, frames: Frames) -> tuple[int, ...]:
        """The shape of one, decoded."""

    @abstractmethod
    def encoder(self, frames: Frames) -> Encode:
        """What makes one of each frame of a video.

        Raises:
            DataError: What makes it is not there.
        """

    @abstractmethod
    def decode(self, data: bytes, frames: Frames) -> Array:
        """Decodes one with NumPy and OpenCV; of an image, the sides are divided by `shrink`.

        Raises:
            DataError: The bytes are none.
        """

    @abstractmethod
    def decode_tensors(self, data: tf.Tensor, frames: Frames) -> tf.Tensor:
        """Decodes some, string (T,) with T static, inside TensorFlow: the same as `decode`."""

    @abstractmethod
    def feature(self, frames: Frames) -> Any:
        """What TensorFlow Datasets is told of one."""

    def still(self, image: Array) -> Array:
        """That of the same frame if nothing moved, (..., *shape)."""
        return image

    @abstractmethod
    def stilled(self, images: Array) -> Array:
        """Those of as many frames, (N, *shape), if all were alike, and nothing moved in them."""


class StoredImage(Stored):
    """An image that is stored of each frame of a video, as JPEG; decoded, uint8 (H, W, 3).

    Attributes:
        erased: Its value where augmentation takes the picture away.
        is_lit: Whether light, colours and noise change it.
    """

    erased = (128, 128, 128)
    is_lit = True

    def shape(self, frames: Frames) -> tuple[int, ...]:
        """See `Stored`."""
        return (frames.side, frames.side, 3)

    def encoder(self, frames: Frames) -> Encode:
        """See `Stored`."""
        quality = frames.jpeg_quality
        return lambda shown, before: self.encode(shown.frame, before, quality=quality)

    def decode(self, data: bytes, frames: Frames | None = None) -> Image:
        """See `Stored`; as large as it is stored where no more is said."""
        return self.decode_image(data, shrink=frames.shrink if frames else 1)

    @abstractmethod
    def decode_image(self, data: bytes, *, shrink: int) -> Image:
        """Decodes one to uint8 (H, W, 3), whose sides are divided by `shrink`: 1, 2, 4 or 8."""

    @abstractmethod
    def encode(self, frame: Image, before: Image | None, *, quality: int) -> bytes:
        """Makes the image of a frame and encodes it.

        Args:
            frame: uint8 (H, W, 3), RGB.
            before: The frame before it; None: there is none, or it is the same.
            quality: Of the JPEG, 1 to 100.
        """

    def feature(self, frames: Frames) -> Any:
        """See `Stored`."""
        import tensorflow_datasets as tfds  # takes a while

        return tfds.features.Image(shape=self.jpeg_shape(frames.size), encoding_format="jpeg")

    def jpeg_shape(self, size: int) -> tuple[int, int, int]:
        """Height, width and channels of its JPEG, for frames of `size` pixels a side."""
        return (size, size, 3)

    def decode_tensors(self, data: tf.Tensor, frames: Frames) -> tf.Tensor:
        """See `Stored`."""
        import tensorflow as tf

        size, shrink = frames.side, frames.shrink
        shape, number = self.jpeg_shape(size), data.shape[0]
        # One decode after another is faster than `tf.map_fn`.
        images = tf.stack(
            [
                tf.io.decode_jpeg(
                    data[i], channels=shape[-1], ratio=shrink, dct_method="INTEGER_ACCURATE"
                )
                for i in range(number)
            ]
        )
        images = self._unpacked(tf.ensure_shape(images, (number, *shape)), size)
        return tf.ensure_shape(images, (number, size, size, 3))

    def _unpacked(self, images: tf.Tensor, size: int) -> tf.Tensor:  # noqa: ARG002
        """Contents of JPEGs, uint8 (T, *jpeg_shape), as uint8 (T, size, size, 3)."""
        return images

    def stilled(self, images: Array) -> Array:
        """See `Stored`: the mean frame."""
        frame = np.rint(images.mean(axis=0)).astype(np.uint8)
        return np.stack([self.still(frame)] * len(images))

    def moved(self, pixels: tf.Tensor, transform: tf.Tensor) -> tf.Tensor:  # noqa: ARG002
        """Images with their values changed as a geometric change asks, besides moving them.

        Args:
            pixels: float32 (T, H, W, 3), moved already.
            transform: float32 (8,), the affine map from output to input pixels.
        """
        return pixels

    def turned(
        self,
        images: tf.Tensor,
        *,
        mirrored: bool = False,
        backwards: bool = False,  # noqa: ARG002
    ) -> tf.Tensor:
        """Those of another video.

        Args:
            images: Of its frames, (N, *shape), which stay in their order.
            mirrored: Whether left and right are swapped.
            backwards: Whether the video is shown backwards.
        """
        return images[:, :, ::-1] if mirrored else images


class Stream(ABC):
    """A network stream: what one branch of a network sees.

    Attributes:
        name: What it is called in `model.streams`; its layers and tables begin with it.
        image: What it is made of.
        channels: Of what it sees (C).
        needs_frame_before: Whether what it sees of a frame depends on the frame of the clip before.
        is_motion: Whether it sees motion alone, so that all that stands still looks the same.
        is_picture: Whether it sees pictures, which a backbone turns into features; else numbers,
            which are features.
    """

    name: str
    image: Stored
    channels = 3
    needs_frame_before = False
    is_motion = False
    is_picture = True

    @abstractmethod
    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """Scales images to what a backbone takes.

        Whole numbers to 256 are exact in half precision, too; what is scaled first is not. So
        values are subtracted before they are scaled.

        Args:
            pixels: float (B, T, *shape), such as (B, T, H, W, 3) from 0 to 255; pictures of any
                precision, other numbers of float32.
            gain: Factor on the differences of frames in [0, 1].

        Returns:
            float (B, T, H, W, C), or (B, T, F) of numbers.
        """

    def seen_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of what it sees, (B, T, ...), by that of what it is made of."""
        return (*shape[:-1], self.channels)
