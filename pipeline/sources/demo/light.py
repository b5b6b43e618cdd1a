"""Light and colour: shadows on the floor, and the colours of things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from pipeline.sources.demo.camera import Camera
from pipeline.sources.demo.drawing import Image, Solid
from pipeline.sources.demo.figure import FloatArray
from pipeline.sources.demo.wardrobe import CARTON, TAPE, WOOD, Look

_SHIFT: Final = 4  # binary digits after the point in OpenCV's coordinates
_DARKNESS: Final = 0.4
_CARTONS: Final = ((204, 160, 104), (204, 160, 104), (196, 92, 70), (86, 130, 186), (226, 220, 206))


class Shadows:
    """The soft shadows that solids throw onto the floor.

    Args:
        solids: In the world.
        light: Where the light comes from, in the world, float64 (3,), of length 1.
        camera: Who sees them.
    """

    def __init__(self, solids: Sequence[Solid], light: FloatArray, camera: Camera) -> None:
        seen = [camera.sees(_fallen(solid, light)) for solid in solids]
        ends = np.zeros((2, len(camera.scale), len(seen), 3))
        for index, solid in enumerate(seen):
            ends[:, :, index] = solid.start, solid.end
        # Drawn at half the size, which is soft enough.
        self._ends = np.round(ends[..., :2] / 2 * 2**_SHIFT).astype(np.int32)
        self._widths = [0.8 * solid.radii[0] for solid in seen]
        self._scale = camera.scale

    def onto(self, picture: Image, frame: int) -> Image:
        """The picture, uint8 (H, W, 3), darkened where the shadows of one frame fall."""
        height, width = picture.shape[:2]
        scale = float(self._scale[frame])
        mask = np.zeros((height // 2, width // 2), np.uint8)
        starts, ends = self._ends[:, frame].tolist()
        for start, end, wide in zip(starts, ends, self._widths, strict=True):
            thickness = max(round(wide * scale), 1)
            cv2.line(mask, start, end, 255, thickness, cv2.LINE_AA, _SHIFT)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.018 * scale, 0.6))
        mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        light = cv2.convertScaleAbs(mask, alpha=-_DARKNESS, beta=255)
        return np.asarray(cv2.multiply(picture, cv2.merge([light] * 3), scale=1 / 255), np.uint8)


def _fallen(solid: Solid, light: FloatArray) -> Solid:
    """A solid pressed onto the floor along the light."""
    width = 0.0
    if solid.across is not None:
        width = float(np.linalg.norm(solid.across[0])) * max(solid.widths)
    radius = (sum(solid.radii) + width) / 2
    start, end = (points - points[:, 1:2] / light[1] * light for points in (solid.start, solid.end))
    return Solid(start, end, (radius, radius), solid.colour)


def draw_light(rng: np.random.Generator) -> FloatArray:
    """Direction of the light, float64 (3,), of length 1: from above, mostly."""
    light = np.array([rng.uniform(-0.6, 0.6), 1.0, rng.uniform(0.1, 0.6)])
    return light / np.linalg.norm(light)


def draw_palette(look: Look, rng: np.random.Generator) -> Image:
    """The colours of a figure and of things by their numbers, uint8 (256, 3), RGB."""
    palette = np.zeros((256, 3), np.uint8)
    for number, colour in look.colours.items():
        palette[number] = colour
    paper = np.array(_CARTONS[rng.integers(len(_CARTONS))])
    palette[CARTON] = np.clip(paper * rng.uniform(0.85, 1.12), 0, 255)
    palette[TAPE] = np.clip(0.4 * paper + 140, 0, 255)
    palette[WOOD] = np.clip(np.array([150, 100, 62]) * rng.uniform(0.6, 1.4, 3), 0, 255)
    return palette
