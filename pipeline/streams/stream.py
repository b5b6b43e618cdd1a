"""The base classes of streams, and of the images that they are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import tensorflow as tf

Image = npt.NDArray[np.uint8]


class StoredImage(ABC):
    """An image that is stored of each frame of a video, as JPEG.

    Decoded, it is uint8 (H, W, 3).

    Attributes:
        name: What it is called in records, clips and batches, and in `FramesConfig`.
        title: What it is called in messages.
        is_motion: Whether it shows what moved since the frame before, not what is there. Of the
            first frame, and of one that repeats, it shows that nothing did.
        erased: Its value where augmentation takes the picture away.
        is_lit: Whether light, colours and noise change it.
    """

    name: str
    title: str
    is_motion = False
    erased = (128, 128, 128)
    is_lit = True

    @abstractmethod
    def encode(self, frame: Image, before: Image | None, *, quality: int) -> bytes:
        """Makes the image of a frame and encodes it.

        Args:
            frame: uint8 (H, W, 3), RGB.
            before: The frame before it; None: there is none, or it is the same.
            quality: Of the JPEG, 1 to 100.
        """

    @abstractmethod
    def decode(self, data: bytes) -> Image:
        """Decodes it with NumPy and OpenCV.

        Returns:
            uint8 (H, W, 3).

        Raises:
            DataError: The bytes are not a JPEG image.
        """

    def jpeg_shape(self, size: int) -> tuple[int, int, int]:
        """Height, width and channels of its JPEG, for frames of `size` pixels a side."""
        return (size, size, 3)

    def decode_tensors(self, jpegs: tf.Tensor, size: int) -> tf.Tensor:
        """Decodes some inside TensorFlow: the same pixels as `decode`.

        Args:
            jpegs: string (T,), T static.
            size: Height and width of a frame in pixels.

        Returns:
            uint8 (T, size, size, 3).
        """
        import tensorflow as tf

        shape, number = self.jpeg_shape(size), jpegs.shape[0]
        # One decode after another is faster than `tf.map_fn`.
        images = tf.stack(
            [
                tf.io.decode_jpeg(jpegs[i], channels=shape[-1], dct_method="INTEGER_ACCURATE")
                for i in range(number)
            ]
        )
        images = self._unpacked(tf.ensure_shape(images, (number, *shape)), size)
        return tf.ensure_shape(images, (number, size, size, 3))

    def _unpacked(self, images: tf.Tensor, size: int) -> tf.Tensor:  # noqa: ARG002
        """Contents of JPEGs, uint8 (T, *jpeg_shape), as uint8 (T, size, size, 3)."""
        return images

    def still(self, image: Image) -> Image:
        """The image of the same frame if nothing moved, uint8 (..., H, W, 3)."""
        return image

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
        """Images of another video.

        Args:
            images: uint8 (N, H, W, 3), which stay in their order.
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
    """

    name: str
    image: StoredImage
    channels = 3
    needs_frame_before = False
    is_motion = False

    @abstractmethod
    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """Scales images to what a backbone takes.

        Whole numbers to 256 are exact in half precision, too; what is scaled first is not. So
        values are subtracted before they are scaled.

        Args:
            pixels: float (B, T, H, W, 3), from 0 to 255, of any precision.
            gain: Factor on the differences of frames in [0, 1].

        Returns:
            float (B, T, H, W, C).
        """
