"""A camera that looks slightly down, follows, drifts, zooms and shakes."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from pipeline.sources.demo.drawing import Image, Solid
from pipeline.sources.demo.figure import FloatArray, rotation
from pipeline.sources.demo.painting import Bounds, Painting

_MAX_OFFSET = 64  # pixels by which the grain of one frame differs from that of the next


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera over the frames of a video; the picture plane is in metres, y down.

    Attributes:
        elevation: Radians by which it looks down.
        centre: float64 (T, 2), the point of the picture plane in the middle of the frame.
        scale: float64 (T,), pixels per metre.
        roll: float64 (T,), radians.
        size: Width and height of a frame in pixels.
    """

    elevation: float
    centre: FloatArray
    scale: FloatArray
    roll: FloatArray
    size: tuple[int, int]

    @property
    def view(self) -> FloatArray:
        """From the world (x right, y up, z to the viewer) to (x, y down, depth); (3, 3)."""
        return np.diag([1.0, -1.0, 1.0]) @ rotation(0, np.asarray(self.elevation))

    def sees(self, solid: Solid) -> Solid:
        """A solid of the world, in pixels of the frames."""
        turn = rotation(2, self.roll)
        middle = np.pad(self.centre, ((0, 0), (0, 1)))
        origin = np.array([*self.size, 0]) / 2
        origin = origin - self.scale[:, None] * (turn @ middle[..., None])[..., 0]
        return solid.seen(turn @ self.view, self.scale, origin)

    def view_of(self, painting: Painting, frame: int, parallax: float = 1.0) -> Image:
        """A painting on the picture plane as it is seen in one frame.

        Args:
            painting: What is seen.
            frame: Which frame.
            parallax: How far it moves for one metre of the camera; 1 where the figure stands.
        """
        mean = self.centre.mean(axis=0)
        centre = mean + parallax * (self.centre[frame] - mean)
        zoom = float(self.scale[frame]) / painting.scale
        linear = zoom * rotation(2, self.roll[frame])[:2, :2]
        middle = painting.scale * (centre - [painting.left, -painting.top])
        affine = np.column_stack([linear, np.array(self.size) / 2 - linear @ middle])
        return np.asarray(
            cv2.warpAffine(
                painting.image,
                affine,
                self.size,
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )

    def bounds(self) -> Bounds:
        """Bounds that a painting must cover so that no frame looks past its edges."""
        reach = 0.56 * np.array(self.size) / self.scale[:, None]
        left, top = (self.centre - reach).min(axis=0).tolist()
        right, bottom = (self.centre + reach).max(axis=0).tolist()
        return left, right, -bottom, -top


def draw_camera(
    path: FloatArray, height: float, size: tuple[int, int], rng: np.random.Generator
) -> Camera:
    """Draws a camera that keeps a figure in view.

    Args:
        path: float64 (T, 3), where the figure is.
        height: The figure's, in metres.
        size: Width and height of a frame in pixels.
        rng: Draws framing, drift, zoom and shake.
    """
    num_frames = len(path)
    elevation = np.radians(rng.uniform(7, 15))
    # A tall figure looks tall, but not as much as it is.
    scale = rng.uniform(0.7, 0.79) * (height / 1.7) ** 0.4 * size[1] / height
    width_m, height_m = size[0] / scale, size[1] / scale
    # It follows a walking figure at least so far that this one stays within half of the frame.
    travel = float(np.ptp(path[:, 0]))
    follow = max(rng.uniform(0, 1), 1 - 0.5 * width_m / max(travel, 1e-9))
    middle = path[:, 0].mean()
    drift_x, drift_y = 0.03 * height * _wander(num_frames, rng)
    x = middle + follow * (path[:, 0] - middle) + rng.uniform(-0.08, 0.08) * width_m + drift_x
    # The feet are near the lower edge; what comes nearer moves down.
    feet = path[:, 2] * np.sin(elevation)
    y = feet + (rng.uniform(0.07, 0.12) - 0.5) * height_m + 0.5 * drift_y
    shake = rng.normal(0, rng.uniform(0, 0.003) * height, (num_frames, 2))
    zoom = 1 + rng.uniform(-0.045, 0.045) * np.linspace(-1, 1, num_frames)
    roll = np.radians(rng.normal(0, 1.2) + 0.3 * _wander(num_frames, rng)[0])
    return Camera(
        elevation=elevation,
        centre=np.stack([x, y], axis=1) + shake,
        scale=scale * zoom,
        roll=roll,
        size=size,
    )


def draw_fixed_camera(
    span: tuple[float, float],
    num_frames: int,
    height: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Camera:
    """Draws a camera that stays where it is, but for a slight shake.

    Args:
        span: Left and right end in metres of what it must see.
        num_frames: Number of frames.
        height: The figure's, in metres.
        size: Width and height of a frame in pixels.
        rng: Draws framing and shake.
    """
    left, right = span
    elevation = np.radians(rng.uniform(7, 15))
    width_m = max(right - left, 1.45 * height * size[0] / size[1]) * rng.uniform(1, 1.08)
    middle = [(left + right) / 2, (rng.uniform(0.09, 0.13) - 0.5) * width_m * size[1] / size[0]]
    shake = rng.normal(0, rng.uniform(0, 0.003) * height, (num_frames, 2))
    return Camera(
        elevation=elevation,
        centre=np.array(middle) + shake,
        scale=np.full(num_frames, size[0] / width_m),
        roll=np.full(num_frames, np.radians(rng.normal(0, 1.2))),
        size=size,
    )


def _wander(num_frames: int, rng: np.random.Generator) -> FloatArray:
    """Two slow, smooth paths around 0, float64 (2, num_frames), within about -2 and 2."""
    share = np.linspace(-1, 1, num_frames)
    slope, swing, phase = rng.normal(0, 0.8, 2), rng.normal(0, 0.5, 2), rng.uniform(0, 6.3, 2)
    return slope[:, None] * share + swing[:, None] * np.sin(np.pi * share + phase[:, None])


class Sensor:
    """Turns light into grey levels: exposure, colour temperature, a soft lens, noise.

    Args:
        size: Width and height of a frame in pixels.
        num_frames: Number of frames.
        rng: Draws its qualities, and the noise.
    """

    def __init__(self, size: tuple[int, int], num_frames: int, rng: np.random.Generator) -> None:
        warmth = rng.normal(0, 0.05)
        gains = rng.uniform(0.8, 1.12) * np.array([1 + warmth, 1, 1 - warmth])
        levels = np.linspace(0, 1, 256)[:, None, None] ** rng.uniform(0.85, 1.15)
        self._response: Image = np.clip(255 * levels * gains, 0, 255).astype(np.uint8)
        self._blur = rng.uniform(0, 0.7)
        shape = (size[1] + _MAX_OFFSET, size[0] + _MAX_OFFSET)
        grain = rng.normal(0, rng.uniform(1, 5), (*shape, 1))
        grain = grain + rng.normal(0, rng.uniform(0, 2), (*shape, 3))
        self._grain = grain.astype(np.int16)
        self._offsets = rng.integers(0, _MAX_OFFSET + 1, (num_frames, 2)).tolist()

    def record(self, picture: Image, frame: int) -> Image:
        """A frame, uint8 (H, W, 3), as it comes from the camera."""
        height, width = picture.shape[:2]
        top, left = self._offsets[frame]
        if self._blur > 0.35:
            picture = cv2.GaussianBlur(picture, (3, 3), self._blur)
        picture = cv2.LUT(picture, self._response)
        grain = self._grain[top : top + height, left : left + width]
        return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U), np.uint8)
