"""Key points that are stored of a frame: of people that BlazePose finds, or from tables."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError, DataError
from pipeline.key_points import VALUES
from pipeline.pose.skeleton import NUM_POINTS, POINTS, mirrored
from pipeline.streams.stream import Encode, Frames, Image, Shown, Stored
from pipeline.video import resize

if TYPE_CHECKING:
    import tensorflow as tf

METRIC: Final = 7
"""Values of a point of people, which has a place in metres."""

_LARGEST: Final = 640
"""Pixels of the longer side of the frames in which people are looked for."""
_LENGTH: Final = 3.5
"""Of an animal, in sizes: that of a line of points is the root of 12."""

_LOCAL = threading.local()


class PosePoints(Stored):
    """The key points of up to P people, or animals, float32 (P, N, V); 0 where there is nobody.

    Of people it is (P, 33, 7), in the order of `pose.skeleton.POINTS`: of each point x and y from
    the centre of the frame, in heights of the frame; visibility from 0 to 1; x, y and z in metres
    from between the hips; and how sure it is that there is someone. Of points from tables of other
    tools it is (P, N, 5), see `pipeline.key_points.KeyPoints`.
    """

    name = "pose"
    title = "key points"
    dtype = "float32"

    def needs_whole(self, frames: Frames) -> bool:
        """See `Stored`."""
        return not frames.key_points

    def shape(self, frames: Frames) -> tuple[int, ...]:
        """See `Stored`."""
        if frames.key_points:
            return (frames.pose, len(frames.key_points), VALUES)
        return (frames.pose, NUM_POINTS, METRIC)

    def encoder(self, frames: Frames) -> Encode:
        """See `Stored`; it follows people from frame to frame, or takes what a table says."""
        if frames.key_points:
            return _from_table
        from pipeline.pose import PoseEstimator  # takes a while

        estimate = PoseEstimator(*_networks(), max_people=frames.pose)

        def encode(shown: Shown, before: Image | None) -> bytes:
            del before
            if shown.whole is None:
                raise TypeError("expected a frame as it is in the file")
            frame = _at_most(shown.whole)
            poses = estimate(frame)
            height, width = frame.shape[:2]
            points = np.zeros(self.shape(frames), np.float16)
            seen = poses.flags > 0
            points[..., :6] = poses.points
            points[..., :2] = (poses.points[..., :2] - 0.5) * (width / height, 1)
            points[..., 6] = poses.flags[:, None]
            points[~seen] = 0
            return points.tobytes()

        return encode

    def decode(self, data: bytes, frames: Frames) -> npt.NDArray[np.float32]:
        """See `Stored`."""
        try:
            values = np.frombuffer(data, _dtype(frames)).reshape(self.shape(frames))
        except ValueError:
            raise DataError("expected key points of people, got something else") from None
        return values.astype(np.float32)

    def decode_tensors(self, data: tf.Tensor, frames: Frames) -> tf.Tensor:
        """See `Stored`."""
        import tensorflow as tf

        values = tf.cast(tf.io.decode_raw(data, _dtype(frames)), tf.float32)
        return tf.reshape(values, (data.shape[0], *self.shape(frames)))

    def feature(self, frames: Frames) -> Any:
        """See `Stored`."""
        import tensorflow_datasets as tfds  # takes a while

        shape, dtype = self.shape(frames), _dtype(frames)
        return tfds.features.Tensor(shape=shape, dtype=dtype, encoding="bytes")

    def stilled(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Stored`: each person in the mean pose and place, in the frames that have them."""
        there = images[:, :, :1, -1:] > 0
        mean = images.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        return np.asarray(np.where(there, mean, 0), np.float32)

    def moved(
        self,
        points: tf.Tensor,
        transform: tf.Tensor,
        size: tf.Tensor,
        names: Sequence[str] = (),
    ) -> tf.Tensor:
        """Points as a geometric change of the frames moves them.

        In a mirror, left and right change their names as well.

        Args:
            points: float32 (T, P, N, V).
            transform: float32 (8,), the affine map from output to input pixels.
            size: int32 (), pixels of a side of the frame.
            names: Of the points, see `pipeline.config.FramesConfig.key_points`.
        """
        import tensorflow as tf

        a = tf.ensure_shape(transform, (8,))
        linear = tf.linalg.inv(tf.reshape(tf.gather(a, (0, 1, 3, 4)), (2, 2)))
        size = tf.cast(size, tf.float32)
        half = (size - 1) / 2
        middle = tf.stack([half - a[2], half - a[5]])
        shift = tf.linalg.matvec(linear, middle) / size - half / size
        flag = points[..., -1:]
        seen = tf.cast(flag > 0, tf.float32)
        flat = (tf.linalg.matvec(linear, points[..., :2]) + shift) * seen
        larger = tf.sqrt(tf.abs(tf.linalg.det(linear)))
        if names:
            values = [flat, points[..., 2:3], larger * points[..., 3:4], flag]
        else:
            world = tf.linalg.matvec(linear / larger, points[..., 3:5])
            values = [flat, points[..., 2:3], world * seen, points[..., 5:6], flag]
        moved = tf.concat(values, axis=-1)
        return tf.where(tf.linalg.det(linear) < 0, _exchanged(moved, names), moved)

    def displaced(self, points: tf.Tensor, by: tf.Tensor, names: Sequence[str] = ()) -> tf.Tensor:
        """Points elsewhere, but where there is nobody.

        Args:
            points: float32 (T, P, N, V).
            by: float32 (T, P, N, 2), in heights of the frame, of points from tables in lengths of
                the individual.
            names: As of `moved`.
        """
        import tensorflow as tf

        by *= _LENGTH * points[..., 3:4] if names else 1.0
        there = tf.cast(points[..., -1:] > 0, tf.float32)
        return tf.concat([points[..., :2] + by * there, points[..., 2:]], axis=-1)


def _exchanged(points: tf.Tensor, names: Sequence[str]) -> tf.Tensor:
    """Left and right points in each other's place; and people, who are in order from the left.

    Where there is one person, or a place is free all the time, people stay where they are; so do
    individuals of a table, which are in its order.
    """
    import tensorflow as tf

    points = tf.gather(points, mirrored(tuple(names) or POINTS), axis=-2)
    if names:
        return points
    present = tf.reduce_any(points[..., 0, 6] > 0, axis=0)
    return tf.where(tf.reduce_all(present), points[:, ::-1], points)


def _dtype(frames: Frames) -> type[np.floating[Any]]:
    """Of what is stored; a fly in a wide arena moves by less than half precision tells."""
    return np.float32 if frames.key_points else np.float16


def _from_table(shown: Shown, before: Image | None) -> bytes:
    del before
    if shown.points is None:
        raise ConfigError(
            "this run takes key points from tables, which only a video file has: clipline classify "
            "VIDEO --key-points TABLES"
        )
    return shown.points.tobytes()


def highest_flags(stored: Iterable[bytes], frames: Frames) -> list[float]:
    """Of each frame, how sure it is that there is someone, by what `PosePoints` stored of it."""
    decode = PosePoints().decode
    return [float(decode(each, frames)[:, 0, -1].max()) for each in stored]


def _at_most(frame: Image) -> Image:
    height, width = frame.shape[:2]
    factor = _LARGEST / max(height, width)
    if factor >= 1:
        return frame
    return resize(frame, (max(1, round(height * factor)), max(1, round(width * factor))))


def _networks() -> tuple[Any, Any]:
    """The two networks of this thread, which serve one video after another."""
    from pipeline.pose.models import load_networks

    if not hasattr(_LOCAL, "networks"):
        _LOCAL.networks = load_networks()
    networks: tuple[Any, Any] = _LOCAL.networks
    return networks
