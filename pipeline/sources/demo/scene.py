"""A camera, light and a lens: how a frame is made of what is acted and of where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from pipeline.sources.demo.body import FloatArray, rotation
from pipeline.sources.demo.drawing import Canvas, Image, Solid
from pipeline.sources.demo.place import Bounds, Painting, paint_place

_DARKNESS: Final = 0.4
_SHIFT: Final = 4  # binary digits after the point in OpenCV's coordinates
_MAX_OFFSET: Final = 64  # pixels by which the grain of one frame differs from that of the next


@dataclasses.dataclass(frozen=True, kw_only=True)
class Camera:
    """A camera that looks slightly down; the picture plane is in metres, y down.

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
        return np.diag([1.0, -1.0, 1.0]) @ rotation(0, self.elevation)

    def sees(self, solid: Solid) -> Solid:
        """A solid of the world, in pixels of the frames."""
        turn, scale = rotation(2, self.roll), self.scale[:, None]
        middle = (turn @ np.pad(self.centre, ((0, 0), (0, 1)))[..., None])[..., 0]
        return solid.seen(turn @ self.view, scale, np.array([*self.size, 0]) / 2 - scale * middle)

    def view_of(self, painting: Painting, frame: int) -> Image:
        """A painting on the picture plane as it is seen in one frame."""
        linear = self.scale[frame] / painting.scale * rotation(2, self.roll[frame])[:2, :2]
        middle = painting.scale * (self.centre[frame] - [painting.left, -painting.top])
        affine = np.column_stack([linear, np.array(self.size) / 2 - linear @ middle])
        edge = cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpAffine(painting.image, affine, self.size, borderMode=edge))

    def bounds(self) -> Bounds:
        """Bounds that a painting must cover so that no frame looks past its edges."""
        reach = 0.56 * np.array(self.size) / self.scale[:, None]
        left, top = (self.centre - reach).min(axis=0).tolist()
        right, bottom = (self.centre + reach).max(axis=0).tolist()
        return left, right, -bottom, -top

    def at_rest(self, painting: Painting) -> Camera:
        """One that sees what a painting shows, without roll."""
        middle = [(painting.left + painting.right) / 2, -(painting.top + painting.bottom) / 2]
        return Camera(
            elevation=self.elevation,
            centre=np.array([middle]),
            scale=np.array([painting.scale]),
            roll=np.zeros(1),
            size=(painting.image.shape[1], painting.image.shape[0]),
        )


def draw_camera(
    path: FloatArray, height: float, size: tuple[int, int], rng: np.random.Generator
) -> Camera:
    """Draws a camera that keeps a figure in view: it follows, drifts, zooms and shakes.

    Args:
        path: float64 (T, 3), where the figure is.
        height: The figure's, in metres.
        size: Width and height of a frame in pixels.
        rng: Draws framing, drift, zoom and shake.
    """
    # A tall figure looks tall, but not as much as it is.
    scale = rng.uniform(0.7, 0.79) * (height / 1.7) ** 0.4 * size[1] / height
    width_m, height_m = size[0] / scale, size[1] / scale
    # It follows a walking figure at least so far that this one stays within half of the frame.
    follow = max(rng.uniform(0, 1), 1 - 0.5 * width_m / max(float(np.ptp(path[:, 0])), 1e-9))
    share = np.linspace(-1, 1, len(path))
    drift_x, drift_y, turn = rng.normal(0, 0.8, (3, 1)) * np.sin(
        share + rng.uniform(0, 6.3, (3, 1))
    )
    middle = path[:, 0].mean() + rng.uniform(-0.08, 0.08) * width_m
    x = middle + follow * (path[:, 0] - path[:, 0].mean()) + 0.03 * height * drift_x
    # The feet are near the lower edge; what comes nearer moves down.
    elevation = np.radians(rng.uniform(7, 15))
    y = path[:, 2] * np.sin(elevation) + (rng.uniform(0.07, 0.12) - 0.5) * height_m
    y = y + 0.015 * height * drift_y
    return Camera(
        elevation=elevation,
        centre=np.stack([x, y], axis=1) + _shake(len(path), height, rng),
        scale=scale * (1 + rng.uniform(-0.045, 0.045) * share),
        roll=np.radians(rng.normal(0, 1.2) + 0.3 * turn),
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
    width_m = max(right - left, 1.45 * height * size[0] / size[1]) * rng.uniform(1, 1.08)
    middle = [(left + right) / 2, (rng.uniform(0.09, 0.13) - 0.5) * width_m * size[1] / size[0]]
    return Camera(
        elevation=np.radians(rng.uniform(7, 15)),
        centre=np.array(middle) + _shake(num_frames, height, rng),
        scale=np.full(num_frames, size[0] / width_m),
        roll=np.full(num_frames, np.radians(rng.normal(0, 1.2))),
        size=size,
    )


def _shake(num_frames: int, height: float, rng: np.random.Generator) -> FloatArray:
    return rng.normal(0, rng.uniform(0, 0.003) * height, (num_frames, 2))


class Scene:
    """A scene, of which any frame can be rendered in any order.

    Args:
        acting: What moves, in the world.
        standing: What never moves, and stands behind it.
        camera: Who sees it.
        rng: Draws the place, the light, the lens and the noise.
    """

    def __init__(
        self,
        acting: Sequence[Solid],
        standing: Sequence[Solid],
        camera: Camera,
        rng: np.random.Generator,
    ) -> None:
        light = np.array([rng.uniform(-0.6, 0.6), 1.0, rng.uniform(0.1, 0.6)])
        self._camera, self._light = camera, light / np.linalg.norm(light)
        self._acting = [camera.sees(solid) for solid in acting]
        self._shadows = [camera.sees(_fallen(solid, self._light)) for solid in acting]
        self._place = Painting(camera.bounds(), float(camera.scale.mean()))
        paint_place(self._place, rng)
        fixed = camera.at_rest(self._place)
        shadows = [fixed.sees(_fallen(solid, self._light)) for solid in standing]
        picture = _darkened(self._place.image, shadows, 0, self._place.scale)
        self._draw([fixed.sees(solid) for solid in standing], 0, self._place.scale, picture)
        self._place.image = picture
        # The lens: exposure and colour temperature, then noise.
        warmth = rng.normal(0, 0.05)
        gains = rng.uniform(0.8, 1.12) * np.array([1 + warmth, 1, 1 - warmth])
        levels = np.linspace(0, 1, 256)[:, None, None] ** rng.uniform(0.85, 1.15)
        self._response: Image = np.clip(255 * levels * gains, 0, 255).astype(np.uint8)
        shape = (camera.size[1] + _MAX_OFFSET, camera.size[0] + _MAX_OFFSET, 3)
        self._grain = rng.normal(0, rng.uniform(1, 5), shape).astype(np.int16)
        self._offsets = rng.integers(0, _MAX_OFFSET + 1, (len(camera.scale), 2)).tolist()

    def render(self, frame: int) -> Image:
        """One frame: uint8 (H, W, 3), RGB."""
        scale = float(self._camera.scale[frame])
        picture = self._camera.view_of(self._place, frame)
        picture = _darkened(picture, self._shadows, frame, scale)
        self._draw(self._acting, frame, scale, picture)
        (top, left), (height, width) = self._offsets[frame], picture.shape[:2]
        grain = self._grain[top : top + height, left : left + width]
        picture = cv2.LUT(picture, self._response)
        return np.asarray(cv2.add(picture, grain, dtype=cv2.CV_8U), np.uint8)

    def _draw(self, solids: Sequence[Solid], frame: int, scale: float, picture: Image) -> None:
        canvas = Canvas((picture.shape[1], picture.shape[0]), self._camera.view @ self._light)
        for solid in solids:
            canvas.draw(solid, frame, scale)
        canvas.compose(picture)


def _fallen(solid: Solid, light: FloatArray) -> Solid:
    """A solid pressed onto the floor along the light."""
    width = 0.0
    if solid.across is not None:
        width = float(np.linalg.norm(solid.across[0])) * max(solid.widths)
    radius = (sum(solid.radii) + width) / 2
    start, end = (points - points[:, 1:2] / light[1] * light for points in (solid.start, solid.end))
    return Solid(start, end, (radius, radius), solid.colour)


def _darkened(picture: Image, shadows: Sequence[Solid], frame: int, scale: float) -> Image:
    """A picture, uint8 (H, W, 3), with soft shadows, which are drawn at half its size."""
    height, width = picture.shape[:2]
    mask = np.zeros((height // 2, width // 2), np.uint8)
    for solid in shadows:
        ends = solid.start[frame, :2].tolist(), solid.end[frame, :2].tolist()
        start, end = ([round(at * 2 ** (_SHIFT - 1)) for at in each] for each in ends)
        thickness = max(round(0.8 * solid.radii[0] * scale), 1)
        cv2.line(mask, start, end, 255, thickness, cv2.LINE_AA, _SHIFT)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.018 * scale, 0.6))
    mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    light = cv2.convertScaleAbs(mask, alpha=-_DARKNESS, beta=255)
    return np.asarray(cv2.multiply(picture, cv2.merge([light] * 3), scale=1 / 255), np.uint8)
