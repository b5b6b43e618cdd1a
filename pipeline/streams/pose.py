"""Key points of people, or animals: where they are, how they move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.pose.skeleton import NUM_POINTS, POINTS
from pipeline.streams.pose_points import METRIC, PosePoints
from pipeline.streams.stream import Stream

if TYPE_CHECKING:
    import tensorflow as tf

_HIPS = tuple(POINTS.index(f"{side}_hip") for side in ("left", "right"))
_SHOULDERS = tuple(POINTS.index(f"{side}_shoulder") for side in ("left", "right"))
_LEAST_TORSO: Final = 0.04
"""Of the height of the frame: of somebody who is seen from above, the torso has no length."""
PLACE: Final = 3
"""Numbers of an individual that say where its middle is and how large it is, after the one that
says whether it is there."""
_LEAST: Final = 1e-6
"""Of what is divided by, where there is nobody."""


class _Posture(NamedTuple):
    """What is seen of each of P individuals, each (B, T, P, ...).

    Attributes:
        each: What follows one another: points (N, 2), how they moved (N, 2), how the individual as
            a whole did (1, 2), and what else there is.
        middle: Where it is, (1, 2).
        size: In the same unit, (1, 1).
        there: 1 where it is there, else 0, (1, 1).
    """

    each: list[tf.Tensor]
    middle: tf.Tensor
    size: tf.Tensor
    there: tf.Tensor


class Pose(Stream):
    """Key points as numbers, F for a frame: those of each of P individuals, one after the other.

    Of people: the points from between the hips, in lengths of the torso; how they moved since the
    frame before, and the person as a whole; the points in metres; how visible each is; and whether
    there is someone. Of points from tables, which may be those of any animal: the points from their
    middle, in sizes of the animal, each as much as it is likely; and the same of their motion. The
    last `PLACE` numbers of each say where it is, and how large.
    """

    name = "pose"
    image = PosePoints()
    needs_frame_before = True
    is_picture = False

    def see(self, pixels: tf.Tensor, gain: float) -> tf.Tensor:
        """See `Stream`."""
        from keras import ops

        look = _person if pixels.shape[-1] == METRIC else _animal
        each, middle, size, there = look(pixels, gain)
        seen = [_joined(values, 3) for values in (*each, there, middle, size)]
        return _joined(ops.concatenate(seen, axis=-1), 2)

    def seen_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """See `Stream`."""
        people, points, values = (side or 0 for side in shape[2:])
        of_point = 8 if values == METRIC else 5
        return (*shape[:2], people * (points * of_point + 3 + PLACE))


def _person(pixels: tf.Tensor, gain: float) -> _Posture:
    """People whose hips and shoulders are known."""
    from keras import ops

    flat, visibility, world = pixels[..., :2], pixels[..., 2], pixels[..., 3:6]
    there = ops.cast(pixels[..., :1, 6:] > 0, pixels.dtype)  # (B, T, P, 1, 1)
    hips = _middle(flat, _HIPS)
    trunk = _middle(flat, _SHOULDERS) - hips
    torso = ops.maximum(ops.sqrt(ops.sum(trunk * trunk, -1, keepdims=True)), _LEAST_TORSO)
    points = (flat - hips) / torso * there
    steps = gain * _since_before(points, there)
    walks = gain * _since_before(hips, there) / torso
    return _Posture([points, steps, walks, world, visibility], hips, torso, there)


def _animal(pixels: tf.Tensor, gain: float) -> _Posture:
    """Whoever has these points, of which any may be missing: what is not seen moves nothing."""
    from keras import ops

    flat, likely = pixels[..., :2], pixels[..., 2:3]
    there = ops.cast(pixels[..., :1, 4:] > 0, pixels.dtype)
    size = ops.maximum(pixels[..., :1, 3:4], _LEAST)

    def middle_of(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        total = ops.sum(weights, axis=-2, keepdims=True)
        return ops.sum(values * weights, axis=-2, keepdims=True) / ops.maximum(total, _LEAST)

    middle = middle_of(flat, likely)
    points = (flat - middle) / size * likely
    both = ops.concatenate([0 * likely[:, :1], likely[:, 1:] * likely[:, :-1]], axis=1)
    moves = flat - ops.concatenate([flat[:, :1], flat[:, :-1]], axis=1)
    walks = middle_of(moves, both)
    steps = gain * (moves - walks) / size * both
    return _Posture([points, steps, gain * walks / size, likely], middle, size, there)


def point_shares(people: int) -> npt.NDArray[np.float32]:
    """Whose each number is that `Pose` sees of people, float32 (F, P, 33); each row adds up to 1.

    What is of a person as a whole belongs to both hips, by which the person's place is told.
    """
    points = np.eye(NUM_POINTS, dtype=np.float32)
    hips = points[list(_HIPS)].mean(axis=0, keepdims=True)
    # Points, steps, walks, world, visibility, there, middle and size: as they are joined.
    parts = ((points, 2), (points, 2), (hips, 2), (points, 3), (points, 1), (hips, 1 + PLACE))
    each = np.concatenate([np.repeat(rows, number, axis=0) for rows, number in parts])
    persons = np.eye(people, dtype=np.float32)
    return np.einsum("pq,fn->pfqn", persons, each).reshape(-1, people, NUM_POINTS)


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
