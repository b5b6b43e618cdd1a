"""Shaded solids in a depth buffer: spheres swept along a line or over a plane.

A canvas looks straight along an axis: x to the right and y down in pixels, z towards the viewer
in the same unit.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from pipeline.sources.demo.body import FloatArray

Plane = npt.NDArray[np.floating[Any]]  # float32, which type checkers lose on the way
Image = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]  # RGB, 0 to 255
Vector = tuple[float, float, float]

_SCALE: Final = 2  # drawn this much larger than shown, against jagged edges
_NEUTRAL: Final = 160  # the shade that leaves a colour as it is


@dataclasses.dataclass(frozen=True)
class Solid:
    """The solid that a sphere leaves when it moves from `start` to `end`, frame by frame.

    Attributes:
        start: float64 (T, 3).
        end: float64 (T, 3).
        radii: The sphere's radius at the start and at the end.
        colour: Of its surface.
        across: float64 (T, 3) or None; with it the solid is a plate, as wide to both sides.
        widths: Factors of `across` at the start and at the end.
    """

    start: FloatArray
    end: FloatArray
    radii: tuple[float, float]
    colour: Colour
    across: FloatArray | None = None
    widths: tuple[float, float] = (1.0, 1.0)

    def part(self, low: float, high: float, colour: Colour, thicker: float = 1.05) -> Solid:
        """A solid around a part of this one, which is 0 to 1 long, such as a sleeve."""
        way, (first, last) = self.end - self.start, self.radii
        radii = (first + share * (last - first) for share in (low, high))
        return Solid(
            self.start + low * way,
            self.start + high * way,
            (next(radii) * thicker, next(radii) * thicker),
            colour,
        )

    def seen(
        self, turn: FloatArray, scale: FloatArray | float = 1.0, origin: FloatArray | float = 0.0
    ) -> Solid:
        """The solid turned, scaled and moved.

        Args:
            turn: float64 (T, 3, 3) or (3, 3).
            scale: float64 (T, 1).
            origin: float64 (T, 3) or (3,), where the point 0 is then.
        """

        def turned(vectors: FloatArray) -> FloatArray:
            return scale * (turn @ vectors[..., None])[..., 0]

        across = None if self.across is None else turned(self.across)
        start, end = turned(self.start) + origin, turned(self.end) + origin
        return dataclasses.replace(self, start=start, end=end, across=across)


class Canvas:
    """Pixels with a depth and a colour.

    Args:
        size: Width and height in pixels of the picture that it will be composed onto.
        light: Where the light comes from, float64 (3,), of length 1.
    """

    def __init__(self, size: tuple[int, int], light: FloatArray) -> None:
        shape = (size[1] * _SCALE, size[0] * _SCALE)
        self._light = _vector(light)
        self._depth = np.full(shape, -np.inf, np.float32)
        self._shade = np.zeros(shape, np.uint8)
        self._number = np.zeros(shape, np.uint8)  # of a colour of the palette
        self._palette = np.zeros((256, 1, 3), np.uint8)
        self._num_solids = 0

    def draw(self, solid: Solid, frame: int, scale: float) -> None:
        """Draws a solid, `seen` at `scale` in pixels of the picture, as it is in one frame."""
        start, end = _vector(solid.start[frame] * _SCALE), _vector(solid.end[frame] * _SCALE)
        side = None if solid.across is None else _vector(solid.across[frame] * _SCALE)
        first, last = (radius * scale * _SCALE for radius in solid.radii)
        window = self._window(start, end, side, max(first, last), max(solid.widths))
        rows, columns = window
        x = np.arange(columns.start, columns.stop, dtype=np.float32) + (0.5 - start[0])
        y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + (0.5 - start[1])
        if not (x.size and y.size):
            return
        axis = end[0] - start[0], end[1] - start[1], end[2] - start[2]
        if side is None:
            along, centre = _along_line(x, y, axis, (first + last) / 2)
        else:
            along, centre = _over_plane(x, y, axis, side, (first + last) / 2, solid.widths)
        radius = first + along * (last - first)
        dx, dy = x - centre[0], y - centre[1]
        square = radius * radius - dx * dx - dy * dy
        rise = np.sqrt(np.maximum(square, 0))
        z = centre[2] + rise + start[2]
        hit = (square > 0) & (z > self._depth[window])
        # Some light comes from the source, a little from the viewer, the rest from all around.
        light = [0.46 * _NEUTRAL * part for part in self._light]
        shade = dx * light[0] + dy * light[1] + rise * (light[2] + 0.15 * _NEUTRAL)
        shade = (shade / radius + 0.47 * _NEUTRAL).astype(np.uint8)
        self._num_solids += 1  # 255 at most; there are 80 in a scene
        self._palette[self._num_solids] = solid.colour
        np.copyto(self._depth[window], z, where=hit)
        np.copyto(self._shade[window], shade, where=hit)
        np.copyto(self._number[window], self._num_solids, where=hit)

    def compose(self, picture: Image) -> None:
        """Puts what was drawn onto the picture, uint8 (H, W, 3)."""
        x, y, width, height = cv2.boundingRect(self._number)
        left, top, right, bottom = (
            edge // _SCALE for edge in (x, y, x + width + _SCALE - 1, y + height + _SCALE - 1)
        )
        if left == right:
            return
        drawn = np.s_[top * _SCALE : bottom * _SCALE, left * _SCALE : right * _SCALE]
        number, part = self._number[drawn], picture[top:bottom, left:right]
        colour = cv2.LUT(cv2.merge([number] * 3), self._palette)
        colour = cv2.multiply(colour, cv2.merge([self._shade[drawn]] * 3), scale=1 / _NEUTRAL)
        cover = cv2.threshold(number, 0, 255, cv2.THRESH_BINARY)[1]
        colour, cover = (
            cv2.resize(each, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
            for each in (colour, cover)
        )
        behind = cv2.multiply(part, cv2.merge([255 - cover] * 3), scale=1 / 255)
        part[:] = cv2.add(behind, colour)

    def _window(
        self, start: Vector, end: Vector, side: Vector | None, radius: float, width: float
    ) -> tuple[slice, slice]:
        """The rows and columns that a solid can touch."""
        slices = []
        for axis in (1, 0):
            reach = radius + (abs(side[axis]) * width if side else 0)
            low = math.floor(min(start[axis], end[axis]) - reach)
            high = math.ceil(max(start[axis], end[axis]) + reach)
            most = self._depth.shape[1 - axis]
            slices.append(slice(min(max(low, 0), most), max(min(high, most), 0)))
        return slices[0], slices[1]


def _vector(array: FloatArray) -> Vector:
    """Python's numbers, with which float32 arrays stay float32."""
    x, y, z = array.tolist()
    return x, y, z


def _along_line(
    x: Plane, y: Plane, axis: Vector, radius: float
) -> tuple[Plane, tuple[Plane, Plane, Plane]]:
    """The sphere that shows at each pixel: its place on the line, 0 to 1, and its centre."""
    ax, ay, az = axis
    length = max(math.hypot(ax, ay), 1e-3)
    ux, uy = ax / length, ay / length
    aside = x * uy - y * ux
    # A line that comes towards the viewer shows its nearer spheres.
    tilt = az / math.hypot(length, az)
    bulge = np.sqrt(np.maximum(radius * radius - aside * aside, 0))
    along = np.clip((x * ux + y * uy + tilt * bulge) / length, 0, 1)
    return along, (along * ax, along * ay, along * az)


def _over_plane(
    x: Plane, y: Plane, axis: Vector, side: Vector, radius: float, widths: tuple[float, float]
) -> tuple[Plane, tuple[Plane, Plane, Plane]]:
    """The sphere that shows at each pixel: its place along the plate, 0 to 1, and its centre."""
    (ax, ay, az), (sx, sy, sz) = axis, side
    nx, ny, area = ay * sz - az * sy, az * sx - ax * sz, ax * sy - ay * sx
    # Its visible face lies one radius before it.
    before = math.copysign(radius / math.hypot(nx, ny, area), area)
    x, y = x - before * nx, y - before * ny
    along = np.clip((x * sy - y * sx) / area, 0, 1)
    reach = widths[0] + along * (widths[1] - widths[0])
    aside = np.clip((y * ax - x * ay) / area, -reach, reach)
    return along, (along * ax + aside * sx, along * ay + aside * sy, along * az + aside * sz)
