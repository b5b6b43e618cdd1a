"""The key points of the person in a region.

Source: BlazePose (Bazarevsky et al. 2020, arXiv 2006.10204).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.pose.detector import sigmoid
from pipeline.pose.models import Floats, ImageNetwork
from pipeline.pose.region import Region
from pipeline.pose.skeleton import HANDS, NUM_POINTS

LANDMARKS_SIZE = 256
"""Height and width of what the network of landmarks sees, in pixels."""

_ALL = 39  # The points; two that lead to the next region; four that nothing is made of.


@dataclass(frozen=True)
class Person:
    """The landmarks of a person.

    Attributes:
        pixels: x and y in pixels of the frame, float32 (33, 2).
        visibility: From 0 to 1, float32 (33,).
        world: x, y and z in metres from the point between the hips, float32 (33, 3).
        flag: How sure it is that there is someone, from 0 to 1.
        region: Where to look in the next frame.
    """

    pixels: Floats
    visibility: Floats
    world: Floats
    flag: float
    region: Region

    @property
    def seen(self) -> float:
        """Mean visibility of all but the hands."""
        return float(np.delete(self.visibility, HANDS).mean())

    @property
    def box(self) -> Floats:
        """The upper left and the lower right corner of all but the hands, float32 (2, 2)."""
        body = np.delete(self.pixels, HANDS, axis=0)
        return np.stack([body.min(axis=0), body.max(axis=0)])


class Landmarks:
    """Finds key points by a network with the outputs points (195,), flag (1,) and world (117,)."""

    def __init__(self, network: ImageNetwork) -> None:
        self._network = network

    def __call__(self, frame: npt.NDArray[np.uint8], region: Region) -> Person:
        """The person in a region of a frame, uint8 (H, W, 3), RGB; the flag says if there is one.

        Example:
            >>> middle = np.tile(np.float32([128, 128, 0, 0, 0]), 39)
            >>> stand_in = lambda image: (middle, np.float32([0.9]), np.zeros(117, np.float32))
            >>> frame = np.zeros((60, 80, 3), np.uint8)
            >>> Landmarks(stand_in)(frame, Region(30, 20, 40)).pixels[0].tolist()
            [30.0, 20.0]
        """
        image = region.cut(frame, LANDMARKS_SIZE).astype(np.float32) / np.float32(255)
        points, flag, world = self._network(image)
        points = points.reshape(_ALL, -1)
        pixels = region.to_frame(points[:, :2] / np.float32(LANDMARKS_SIZE))
        return Person(
            pixels[:NUM_POINTS],
            sigmoid(points[:NUM_POINTS, 3]),
            region.turned(world.reshape(_ALL, 3)[:NUM_POINTS]),
            float(flag[0]),
            Region.around(pixels[NUM_POINTS], pixels[NUM_POINTS + 1]),
        )
