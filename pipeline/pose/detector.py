"""Finding people in a frame, and the turned squares in which their landmarks are looked for.

Source: BlazePose (Bazarevsky et al. 2020, arXiv 2006.10204); its detector is that of BlazeFace
(Bazarevsky et al. 2019, arXiv 1907.05047), where boxes that overlap are averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.pose.models import Floats, ImageNetwork
from pipeline.video import crop, resize

DETECTOR_SIZE = 224
"""Height and width of what the detector sees, in pixels."""

_MARGIN = 1.25  # of the circle around a person
_THRESHOLD = 0.05  # Low: the network of landmarks says whether there is someone.
_OVERLAP = 0.3
_LOGITS = 80.0  # Larger ones are cut off: their exponential does not fit in float32.
_GRIDS = ((8, 2), (16, 2), (32, 6))
"""Steps in pixels from cell to cell, and how many boxes each cell proposes."""


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


@dataclass(frozen=True)
class Detection:
    """A person that the detector proposes.

    Attributes:
        region: Where to look for landmarks.
        score: From 0 to 1.
    """

    region: Region
    score: float


class Detector:
    """Finds people by a network with the outputs boxes (2254, 12) and logits (2254, 1)."""

    def __init__(self, network: ImageNetwork) -> None:
        self._network = network
        self._anchors = anchors()

    def __call__(self, frame: npt.NDArray[np.uint8]) -> list[Detection]:
        """The people of a frame, uint8 (H, W, 3), RGB; the surest first."""
        image, scale, offset = letterbox(frame, DETECTOR_SIZE)
        boxes, logits = self._network(image.astype(np.float32) / 127.5 - 1)
        scores = sigmoid(logits[:, 0])
        likely = scores > _THRESHOLD
        points = decode(boxes[likely], self._anchors[likely])
        found = suppress(points, scores[likely], _OVERLAP)
        return [
            Detection(Region.around(*((corners[2:4] - offset) / scale)), score)
            for corners, score in found
        ]


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), which does not overflow."""
    return (1 / (1 + np.exp(-np.clip(logits, -_LOGITS, _LOGITS)))).astype(np.float32)


def anchors() -> Floats:
    """The middle of the cell of each box, x and y in pixels, float32 (2254, 2), row by row."""
    parts = []
    for step, number in _GRIDS:
        middles = (np.arange(DETECTOR_SIZE // step) + 0.5) * step
        grid = np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2)
        parts.append(grid.repeat(number, axis=0))
    return np.concatenate(parts).astype(np.float32)


def letterbox(
    frame: npt.NDArray[np.uint8], size: int
) -> tuple[npt.NDArray[np.uint8], Floats, Floats]:
    """A frame in the middle of a black square.

    Returns:
        The square, uint8 (size, size, 3), and scale and offset, each of x and y: where a point of
        the frame is in it.
    """
    height, width = frame.shape[:2]
    factor = size / max(height, width)
    rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
    top, left = (size - rows) // 2, (size - columns) // 2
    square = np.zeros((size, size, 3), np.uint8)
    square[top : top + rows, left : left + columns] = resize(frame, (rows, columns))
    scale = np.array([columns / width, rows / height], np.float32)
    return square, scale, np.array([left, top], np.float32)


def decode(boxes: Floats, middles: Floats) -> Floats:
    """Boxes as the network gives them, as points in pixels.

    Args:
        boxes: float32 (N, 12): x and y of the middle, width, height, x and y of four points; all
            but the size are relative to `middles`.
        middles: float32 (N, 2), see `anchors`.

    Returns:
        float32 (N, 6, 2): the upper left and the lower right corner; between the hips; the rim of
        the circle around the body; between the shoulders; the rim of that around the upper body.
    """
    middle, half = boxes[:, :2] + middles, boxes[:, 2:4] / 2
    points = boxes[:, 4:].reshape(-1, 4, 2) + middles[:, None]
    return np.concatenate([(middle - half)[:, None], (middle + half)[:, None], points], axis=1)


def suppress(points: Floats, scores: Floats, overlap: float) -> list[tuple[Floats, float]]:
    """Makes one of each set of boxes that overlap: their mean, weighted by their scores.

    Args:
        points: float32 (N, 6, 2), the first two of each the corners of a box.
        scores: float32 (N,).
        overlap: Intersection over union with the surest of them, above which a box is of its set.

    Returns:
        Points, float32 (6, 2), and score of the surest, for each set; the surest set first.
    """
    found = []
    left = np.argsort(-scores, kind="stable")
    while left.size:
        same = intersection_over_union(points[left[0], :2], points[left, :2]) > overlap
        same[0] = True  # Of an empty box, too, so that this ends.
        mean = np.average(points[left[same]], axis=0, weights=scores[left[same]])
        found.append((mean.astype(np.float32), float(scores[left[0]])))
        left = left[~same]
    return found


def intersection_over_union(box: Floats, boxes: Floats) -> Floats:
    """How much a box, float32 (2, 2), overlaps with others, (N, 2, 2): float32 (N,)."""
    upper_left = np.maximum(box[0], boxes[:, 0])
    lower_right = np.minimum(box[1], boxes[:, 1])
    common = np.maximum(lower_right - upper_left, 0).prod(axis=-1)
    areas = np.maximum(boxes[:, 1] - boxes[:, 0], 0).prod(axis=-1)
    own = np.maximum(box[1] - box[0], 0).prod()
    return common / np.maximum(areas + own - common, 1e-9)
