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

from pipeline.sources.demo.figure import FloatArray

Plane = npt.NDArray[np.floating[Any]]  # float32, which type checkers lose on the way
Image = npt.NDArray[np.uint8]
Vector = tuple[float, float, float]

_SCALE: Final = 2  # drawn this much larger than shown, against jagged edges
_NEUTRAL: Final = 160  # the shade that leaves a colour as it is


@dataclasses.dataclass(frozen=True)
class Band:
    """A ring of another colour, from `start` to `end`, where a solid is 0 to 1 long."""

    start: float
    end: float
    colour: int


@dataclasses.dataclass(frozen=True)
class Cap:
    """Another colour where the surface faces `direction`, float64 (T, 3) of length 1.

    Attributes:
        direction: Which way.
        cosine: Of the largest angle between the surface normal and the direction.
        colour: Number of the colour.
    """

    direction: FloatArray
    cosine: float
    colour: int


@dataclasses.dataclass(frozen=True)
class Solid:
    """The solid that a sphere leaves when it moves from `start` to `end`, frame by frame.

    Attributes:
        start: float64 (T, 3).
        end: float64 (T, 3).
        radii: The sphere's radius at the start and at the end.
        colour: Number of the colour in the palette, 1 to 255.
        across: float64 (T, 3) or None; with it the solid is a plate, as wide to both sides.
        widths: Factors of `across` at the start and at the end.
        bands: Rings of other colours.
        caps: Patches of other colours.
    """

    start: FloatArray
    end: FloatArray
    radii: tuple[float, float]
    colour: int
    across: FloatArray | None = None
    widths: tuple[float, float] = (1.0, 1.0)
    bands: tuple[Band, ...] = ()
    caps: tuple[Cap, ...] = ()

    def moved(self, offset: FloatArray) -> Solid:
        """The solid, shifted by `offset`, float64 (3,)."""
        return dataclasses.replace(self, start=self.start + offset, end=self.end + offset)

    def turned(self, rotation: FloatArray) -> Solid:
        """The solid, turned about the origin by `rotation`, float64 (3, 3)."""
        return self.seen(rotation[None], np.ones(1), np.zeros((1, 3)))

    def seen(self, rotation: FloatArray, scale: FloatArray, origin: FloatArray) -> Solid:
        """The solid in the coordinates of a canvas.

        Args:
            rotation: float64 (T, 3, 3).
            scale: float64 (T,), pixels per unit of length.
            origin: float64 (T, 3), where the point 0 is on the canvas.
        """

        def turned(vectors: FloatArray) -> FloatArray:
            return (rotation @ vectors[..., None])[..., 0]

        factor = scale[:, None]
        return dataclasses.replace(
            self,
            start=factor * turned(self.start) + origin,
            end=factor * turned(self.end) + origin,
            across=None if self.across is None else factor * turned(self.across),
            caps=tuple(
                dataclasses.replace(cap, direction=turned(cap.direction)) for cap in self.caps
            ),
        )


class Canvas:
    """Pixels with a depth, a shade and the number of a colour.

    Args:
        size: Width and height in pixels of the picture that it will be composed onto.
        light: Where the light comes from, float64 (3,), of length 1.
    """

    def __init__(self, size: tuple[int, int], light: FloatArray) -> None:
        shape = (size[1] * _SCALE, size[0] * _SCALE)
        self._depth = np.full(shape, -np.inf, np.float32)
        self._shade = np.zeros(shape, np.uint8)
        self._colour = np.zeros(shape, np.uint8)
        self._light = _vector(light)

    def draw(self, solid: Solid, frame: int, scale: float) -> None:
        """Draws a solid, `seen` at `scale` in pixels of the picture, as it is in one frame."""
        start, end = _vector(solid.start[frame] * _SCALE), _vector(solid.end[frame] * _SCALE)
        side = None if solid.across is None else _vector(solid.across[frame] * _SCALE)
        first, last = (radius * scale * _SCALE for radius in solid.radii)
        window = self._window(start, end, side, max(first, last), max(solid.widths))
        if window is None:
            return
        x, y = _offsets(*window, start)
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
        depth = self._depth[window]
        hit = (square > 0) & (z > depth)
        outward = dx, dy, rise
        np.copyto(depth, z, where=hit)
        np.copyto(self._shade[window], self._shaded(outward, radius), where=hit)
        np.copyto(self._colour[window], _colours(solid, frame, along, outward, radius), where=hit)

    def compose(self, picture: Image, palette: Image) -> None:
        """Puts what was drawn onto the picture, uint8 (H, W, 3); palette uint8 (256, 3)."""
        x, y, width, height = cv2.boundingRect(self._colour)
        left, top, right, bottom = x // _SCALE, y // _SCALE, x + width, y + height
        right, bottom = -(-right // _SCALE), -(-bottom // _SCALE)
        if left == right:
            return
        part = picture[top:bottom, left:right]
        drawn = np.s_[top * _SCALE : bottom * _SCALE, left * _SCALE : right * _SCALE]
        colour, shade = self._colour[drawn], self._shade[drawn]
        solid = cv2.LUT(cv2.merge([colour] * 3), palette[:, None])
        solid = cv2.multiply(solid, cv2.merge([shade] * 3), scale=1 / _NEUTRAL)
        cover = cv2.threshold(colour, 0, 255, cv2.THRESH_BINARY)[1]
        size = (right - left, bottom - top)
        solid = cv2.resize(solid, size, interpolation=cv2.INTER_AREA)
        cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
        behind = cv2.multiply(part, cv2.merge([255 - cover] * 3), scale=1 / 255)
        part[:] = cv2.add(behind, solid)

    def _window(
        self, start: Vector, end: Vector, side: Vector | None, radius: float, width: float
    ) -> tuple[slice, slice] | None:
        """The rows and columns that a solid can touch; None where nothing of it is in sight."""
        slices = []
        for axis in (1, 0):
            reach = radius + (abs(side[axis]) * width if side else 0)
            low = math.floor(min(start[axis], end[axis]) - reach)
            high = math.ceil(max(start[axis], end[axis]) + reach)
            slices.append(slice(max(low, 0), min(high, self._colour.shape[1 - axis])))
        rows, columns = slices
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return None
        return rows, columns

    def _shaded(self, outward: tuple[Plane, Plane, Plane], radius: Plane) -> Image:
        """The shade of a surface that faces `outward`, a vector of length `radius`."""
        x, y, z = (_NEUTRAL * 0.46 * part for part in self._light)
        # Some light comes from the source, a little from the viewer, the rest from all around.
        shade = outward[0] * x + outward[1] * y + outward[2] * (z + _NEUTRAL * 0.15)
        return (shade / radius + _NEUTRAL * 0.47).astype(np.uint8)


def _offsets(rows: slice, columns: slice, origin: Vector) -> tuple[Plane, Plane]:
    """Offsets of the pixels' middles from a point: x (W,) and y (H, 1)."""
    x = np.arange(columns.start, columns.stop, dtype=np.float32)
    y = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
    return x + (0.5 - origin[0]), y + (0.5 - origin[1])


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


def _colours(
    solid: Solid, frame: int, along: Plane, outward: tuple[Plane, Plane, Plane], radius: Plane
) -> Image | np.uint8:
    if not solid.bands and not solid.caps:
        return np.uint8(solid.colour)
    colours = np.full(along.shape, solid.colour, np.uint8)
    for band in solid.bands:
        colours[(along >= band.start) & (along < band.end)] = band.colour
    for cap in solid.caps:
        x, y, z = cap.direction[frame].tolist()
        facing = outward[0] * x + outward[1] * y + outward[2] * z
        colours[facing > cap.cosine * radius] = cap.colour
    return colours
