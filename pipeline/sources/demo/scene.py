"""A performance on its stage: the place, the things in it, the light; and how a frame is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from pipeline.sources.demo import props
from pipeline.sources.demo.backdrop import paint_backdrop
from pipeline.sources.demo.camera import Camera, Sensor, draw_camera
from pipeline.sources.demo.drawing import Canvas, Image, Solid
from pipeline.sources.demo.figure import Body, FloatArray, rotation
from pipeline.sources.demo.foreground import paint_foreground
from pipeline.sources.demo.light import Shadows, draw_light, draw_palette
from pipeline.sources.demo.painting import Painting
from pipeline.sources.demo.performance import Performance
from pipeline.sources.demo.wardrobe import CARTON, TAPE, WOOD, Look, dress


def draw_heading(rng: np.random.Generator) -> float:
    """Draws where a figure faces: to the left or to the right, a little towards the viewer."""
    return float(rng.choice([-1, 1]) * np.radians(rng.uniform(28, 66)))


def stage(
    performance: Performance,
    body: Body,
    look: Look,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Scene:
    """The scene of one action.

    Args:
        performance: What is done.
        body: Who does it.
        look: What this figure wears.
        size: Width and height of a frame in pixels.
        rng: Draws the place, the light, the camera and the noise.
    """
    facing = rotation(1, draw_heading(rng))
    skeleton = performance.skeleton.turned(facing)
    path = skeleton.joints["pelvis"]

    def standing(rng: np.random.Generator) -> list[Solid]:
        seat = [solid.turned(facing) for solid in _seat(performance, body, rng)]
        return seat + _bystanders(path, rng)

    camera = draw_camera(path, body.height, size, rng)
    acting = dress(body, look, skeleton) + [s.turned(facing) for s in _handled(performance)]
    return Scene(acting, standing, camera, look, rng)


class Scene:
    """A scene, of which any frame can be rendered in any order.

    Args:
        acting: What moves, in the world.
        standing: Draws what never moves and stands behind it.
        camera: Who sees it.
        look: The figure's colours.
        rng: Draws the place, the light and the noise.
    """

    def __init__(
        self,
        acting: Sequence[Solid],
        standing: Callable[[np.random.Generator], list[Solid]],
        camera: Camera,
        look: Look,
        rng: np.random.Generator,
    ) -> None:
        self._camera = camera
        self._light = draw_light(rng)
        self._palette = draw_palette(look, rng)
        self._sensor = Sensor(camera.size, len(camera.scale), rng)
        self._acting = [self._camera.sees(solid) for solid in acting]
        self._shadows = Shadows(acting, self._light, self._camera)
        bounds, scale = self._camera.bounds(), float(self._camera.scale.mean())
        self._backdrop = Painting(bounds, scale)
        paint_backdrop(self._backdrop, rng)
        self._furnish(standing(rng))
        self._foreground = paint_foreground(bounds, scale, rng)
        self._parallax = rng.uniform(1.2, 1.6)

    def render(self, frame: int) -> Image:
        """One frame: uint8 (H, W, 3), RGB."""
        picture = self._camera.view_of(self._backdrop, frame)
        picture = self._shadows.onto(picture, frame)
        scale = float(self._camera.scale[frame])
        canvas = Canvas(self._camera.size, self._camera.view @ self._light)
        for solid in self._acting:
            canvas.draw(solid, frame, scale)
        canvas.compose(picture, self._palette)
        if self._foreground is not None:
            front, cover = (
                self._camera.view_of(painting, frame, self._parallax)
                for painting in self._foreground
            )
            behind = cv2.multiply(picture, 255 - cover, scale=1 / 255)
            picture = cv2.add(behind, cv2.multiply(front, cover, scale=1 / 255))
        return self._sensor.record(picture, frame)

    def _furnish(self, solids: Sequence[Solid]) -> None:
        """Paints things that never move, and stand behind the figure, onto the backdrop."""
        painting = self._backdrop
        height, width = painting.image.shape[:2]
        middle = [(painting.left + painting.right) / 2, -(painting.top + painting.bottom) / 2]
        camera = Camera(
            elevation=self._camera.elevation,
            centre=np.array([middle]),
            scale=np.array([painting.scale]),
            roll=np.zeros(1),
            size=(width, height),
        )
        painting.image = Shadows(solids, self._light, camera).onto(painting.image, 0)
        canvas = Canvas(camera.size, camera.view @ self._light)
        for solid in solids:
            canvas.draw(camera.sees(solid), 0, painting.scale)
        canvas.compose(painting.image, self._palette)


def _handled(performance: Performance) -> list[Solid]:
    """The carton that is carried and what it stands on, in the figure's axes."""
    carton = performance.carton
    if carton is None:
        return []
    solids = props.box(carton.centre, carton.half, CARTON, TAPE)
    if carton.support > 0:
        half = carton.half * [1.25, 0, 1.25] + np.array([0, carton.support / 2, 0])
        foot = carton.centre[0] * [1, 0, 1] + np.array([0, half[1], 0])
        solids += props.box(np.tile(foot, (len(carton.centre), 1)), half, WOOD, WOOD)
    return solids


def _seat(performance: Performance, body: Body, rng: np.random.Generator) -> list[Solid]:
    """The chair that is sat on, in the figure's axes."""
    if performance.seat is None:
        return []
    return props.chair(performance.seat + below_pelvis(body), body.height, rng)


def below_pelvis(body: Body) -> FloatArray:
    """From the pelvis to the middle of the seat that is sat on, in the figure's axes, (3,)."""
    return np.array([0, -0.055 * body.height * body.build, 0.06 * body.height])


def _bystanders(path: FloatArray, rng: np.random.Generator) -> list[Solid]:
    """Things that have no part in the action, so that a chair or a carton gives nothing away."""
    chair = props.chair(np.array([0, 0.43, 0]), 1.7, rng)
    half = rng.uniform(0.13, 0.2, 3)
    carton = props.box(np.array([[0, half[1], 0]]), half, CARTON, TAPE)
    solids = []
    for thing in (chair, carton):
        turn = rotation(1, rng.uniform(-1.1, 1.1))
        x = path[:, 0].mean() + rng.choice([-1, 1]) * rng.uniform(0.5, 1.4)
        place = np.array([x, 0, -rng.uniform(0.4, 0.8)])
        if rng.uniform() < 0.35:
            solids += [solid.turned(turn).moved(place) for solid in thing]
    return solids
