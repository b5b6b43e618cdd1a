"""Key points of people: where they are, how they move."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.pose.skeleton import MIRRORED, NUM_POINTS, POINTS
from pipeline.streams.stream import Encode, Frames, Image, Shown, Stored, Stream
from pipeline.video import resize

if TYPE_CHECKING:
    import tensorflow as tf

_LARGEST: Final = 640
"""Pixels of the longer side of the frames in which people are looked for."""
_VALUES: Final = 7
_HIPS = tuple(POINTS.index(f"{side}_hip") for side in ("left", "right"))
_SHOULDERS = tuple(POINTS.index(f"{side}_shoulder") for side in ("left", "right"))
_LEAST_TORSO: Final = 0.04
"""Of the height of the frame: of somebody who is seen from above, the torso has no length."""

_LOCAL = threading.local()


class PosePoints(Stored):
    """The key points of up to P people, float32 (P, 33, 7), in the order of `pose.skeleton.POINTS`.

    Of each point x and y from the centre of the frame, in heights of the frame; visibility from 0
    to 1; x, y and z in metres from between the hips; and how sure it is that there is someone, 0
    where there is nobody, whose points are all 0.
    """

    name = "pose"
    title = "key points"
    dtype = "float32"
    needs_whole = True

    def shape(self, frames: Frames) -> tuple[int, ...]:
        """See `Stored`."""
        return (frames.pose, NUM_POINTS, _VALUES)

    def encoder(self, frames: Frames) -> Encode:
        """See `Stored`; it follows people from frame to frame."""
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

    def decode(self, data: bytes, shrink: int = 1) -> npt.NDArray[np.float32]:  # noqa: ARG002
        """See `Stored`."""
        try:
            values = np.frombuffer(data, np.float16).reshape(-1, NUM_POINTS, _VALUES)
        except ValueError:
            raise DataError("expected key points of people, got something else") from None
        return values.astype(np.float32)

    def decode_tensors(self, data: tf.Tensor, frames: Frames) -> tf.Tensor:
        """See `Stored`."""
        import tensorflow as tf

        values = tf.cast(tf.io.decode_raw(data, tf.float16), tf.float32)
        return tf.reshape(values, (data.shape[0], *self.shape(frames)))

    def feature(self, frames: Frames) -> Any:
        """See `Stored`."""
        import tensorflow_datasets as tfds  # takes a while

        shape = self.shape(frames)
        return tfds.features.Tensor(shape=shape, dtype=np.float16, encoding="bytes")

    def stilled(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """See `Stored`: each person in the mean pose and place, in the frames that have them."""
        there = images[:, :, :1, 6:] > 0
        mean = images.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
        return np.asarray(np.where(there, mean, 0), np.float32)

    def turned(
        self,
        images: tf.Tensor,
        *,
        mirrored: bool = False,
        backwards: bool = False,  # noqa: ARG002
    ) -> tf.Tensor:
        """See `Stored`; left and right change their names as well."""
        return self._with_sides_exchanged(images) if mirrored else images

    def moved(self, points: tf.Tensor, transform: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        """Points as a geometric change of the frames moves them.

        Args:
            points: float32 (T, P, 33, 7).
            transform: float32 (8,), the affine map from output to input pixels.
            size: int32 (), pixels of a side of the frame.
        """
        import tensorflow as tf

        a = tf.ensure_shape(transform, (8,))
        linear = tf.linalg.inv(tf.reshape(tf.gather(a, (0, 1, 3, 4)), (2, 2)))
        size = tf.cast(size, tf.float32)
        half = (size - 1) / 2
        middle = tf.stack([half - a[2], half - a[5]])
        shift = tf.linalg.matvec(linear, middle) / size - half / size
        flag = points[..., 6:]
        seen = tf.cast(flag > 0, tf.float32)
        flat = tf.linalg.matvec(linear, points[..., :2]) + shift
        turn = linear / tf.sqrt(tf.abs(tf.linalg.det(linear)))
        world = tf.linalg.matvec(turn, points[..., 3:5])
        moved = tf.concat(
            [flat * seen, points[..., 2:3], world * seen, points[..., 5:6], flag], axis=-1
        )
        exchanged = self._exchanged(moved)
        return tf.where(tf.linalg.det(linear) < 0, exchanged, moved)

    def _with_sides_exchanged(self, points: tf.Tensor) -> tf.Tensor:
        signs = np.array([-1, 1, 1, -1, 1, 1, 1], np.float32)
        return self._exchanged(points * signs)

    def _exchanged(self, points: tf.Tensor) -> tf.Tensor:
        """Left and right points in each other's place; and people, who are in order from the left.

        Where there is one person, or a place is free all the time, people stay where they are.
        """
        import tensorflow as tf

        points = tf.gather(points, MIRRORED, axis=-2)
        present = tf.reduce_any(points[..., 0, 6] > 0, axis=0)
        return tf.where(tf.reduce_all(present), points[:, ::-1], points)


def highest_flags(stored: Iterable[bytes]) -> list[float]:
    """Of each frame, how sure it is that there is someone, by what `PosePoints` stored of it."""
    shape = (-1, NUM_POINTS, _VALUES)
    return [float(np.frombuffer(each, np.float16).reshape(shape)[:, 0, 6].max()) for each in stored]


class Pose(Stream):
    """Key points as numbers, F for a frame.

    Of each of P people: the points from between the hips, in lengths of the torso; how they moved
    since the frame before, and the person as a whole; the points in metres; how visible each is;
    and whether there is someone. Then where the others are, seen from the first.
    """

    name = "pose"
    image = PosePoints()
    needs_frame_before = True
    is_picture = False

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        flat, visibility, world = pixels[..., :2], pixels[..., 2], pixels[..., 3:6]
        there = ops.cast(pixels[..., :1, 6:] > 0, pixels.dtype)  # (B, T, P, 1, 1)
        hips = _middle(flat, _HIPS)
        trunk = _middle(flat, _SHOULDERS) - hips
        torso = ops.maximum(ops.sqrt(ops.sum(trunk * trunk, -1, keepdims=True)), _LEAST_TORSO)
        points = (flat - hips) / torso * there
        steps = gain * _since_before(points, there)
        walks = gain * _since_before(hips, there) / torso
        each = (points, steps, walks, world, visibility, there)
        seen = [_joined(values, 3) for values in each]
        seen = [_joined(ops.concatenate(seen, axis=-1), 2)]
        if pixels.shape[2] > 1:
            others = (hips[:, :, 1:] - hips[:, :, :1]) / torso[:, :, :1]
            seen.append(_joined(others * there[:, :, 1:] * there[:, :, :1], 2))
        return ops.concatenate(seen, axis=-1)

    def seen_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See `Stream`."""
        people = shape[2] or 0
        return (*shape[:2], people * (NUM_POINTS * 8 + 3) + 2 * (people - 1))


def point_shares(people: int) -> npt.NDArray[np.float32]:
    """Whose each number is that `Pose` sees, float32 (F, P, 33); each row adds up to 1.

    What is of a person as a whole belongs to both hips, by which the person's place is told, and
    where one is, seen from another, to the hips of both.
    """
    points = np.eye(NUM_POINTS, dtype=np.float32)
    hips = points[list(_HIPS)].mean(axis=0, keepdims=True)
    # Points, steps, walks, world, visibility, there: as they are joined.
    parts = ((points, 2), (points, 2), (hips, 2), (points, 3), (points, 1), (hips, 1))
    each = np.concatenate([np.repeat(rows, number, axis=0) for rows, number in parts])
    persons = np.eye(people, dtype=np.float32)
    own = np.einsum("pq,fn->pfqn", persons, each).reshape(-1, people, NUM_POINTS)
    pairs = np.repeat((persons[1:] + persons[0]) / 2, 2, axis=0)
    return np.concatenate([own, np.einsum("fq,n->fqn", pairs, hips[0])])


def _middle(points: tf.Tensor, between: Sequence[int]) -> tf.Tensor:
    """The middle of two points, (B, T, P, 1, 2)."""
    first, second = between
    return (points[..., first : first + 1, :] + points[..., second : second + 1, :]) / 2


def _since_before(values: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
    """How values, (B, T, P, ...), changed since the frame before; 0 for who was not there."""
    from keras import ops

    steps = (values[:, 1:] - values[:, :-1]) * there[:, 1:] * there[:, :-1]
    return ops.concatenate([ops.zeros_like(values[:, :1]), steps], axis=1)


def _joined(values: tf.Tensor, kept: int) -> tf.Tensor:
    """Values with the axes after the first few made one."""
    from keras import ops

    return ops.reshape(values, (-1, *values.shape[1:kept], int(np.prod(values.shape[kept:]))))


def _at_most(frame: Image) -> Image:
    height, width = frame.shape[:2]
    factor = _LARGEST / max(height, width)
    if factor >= 1:
        return frame
    return resize(frame, (max(1, round(height * factor)), max(1, round(width * factor))))


def _networks() -> tuple[Any, Any]:
    """The two networks of this thread, which serve one video after another."""
    from pipeline.pose.estimator import load_networks

    if not hasattr(_LOCAL, "networks"):
        _LOCAL.networks = load_networks()
    networks: tuple[Any, Any] = _LOCAL.networks
    return networks
