"""Where a person is: the turned square that the network of landmarks looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.video import crop

Floats = npt.NDArray[np.float32]

_MARGIN = 1.25  # of the circle around a person


@dataclass(frozen=True)
class Region:
    """A square of a frame.

    Attributes:
        x: Its middle, in pixels from the left of the frame.
        y: Its middle, in pixels from the top of the frame.
        side: Its length in pixels.
        angle: By how much its upper edge is turned clockwise, in radians; 0 for one who stands.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    @classmethod
    def around(cls, hips: npt.ArrayLike, rim: npt.ArrayLike) -> Region:
        """The region of a person.

        Args:
            hips: x and y of the point between the hips, in pixels.
            rim: A point of the circle around the whole body, in the direction of the head.
        """
        (x, y), (across, down) = np.asarray(hips), np.subtract(rim, hips)
        side = max(1, 2 * _MARGIN * np.hypot(across, down))
        return cls(float(x), float(y), float(side), float(np.arctan2(across, -down)))

    @classmethod
    def whole(cls, height: int, width: int) -> Region:
        """The smallest upright square around a frame."""
        return cls(width / 2, height / 2, max(height, width))

    def cut(self, frame: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
        """What it shows, uint8 (size, size, 3)."""
        return crop(frame, (self.x, self.y), self.side, self.angle, size)

    def to_frame(self, points: Floats) -> Floats:
        """Points of the square, x and y from 0 to 1, float32 (N, 2), in pixels of the frame."""
        return (self.side * self.turned(points - 0.5) + (self.x, self.y)).astype(np.float32)

    def turned(self, vectors: Floats) -> Floats:
        """Directions in the square, x and y first, float32 (N, 2 or 3), as they are in the frame.

        Example:
            >>> quarter = Region(0, 0, 1, np.pi / 2)
            >>> quarter.turned(np.float32([[0, -1], [1, 0]])).round().astype(int).tolist()
            [[1, 0], [0, 1]]
        """
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        turned = vectors.copy()
        turned[:, 0] = cos * vectors[:, 0] - sin * vectors[:, 1]
        turned[:, 1] = sin * vectors[:, 0] + cos * vectors[:, 1]
        return turned
