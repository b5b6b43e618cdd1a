"""Stand-ins for the networks, which see discs in place of people."""

import numpy as np

from pipeline.pose.detector import anchors

HEIGHT, WIDTH = 120, 160
GREYS = (100, 200)
"""Each person is a disc of another brightness."""


def draw(*people):
    """A frame with people, each the x and y of its middle; None: it is not there."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for grey, place in zip(GREYS, people, strict=False):
        if place:
            frame[np.hypot(x - place[0], y - place[1]) < 6] = grey
    return frame


def middles(image, scale):
    """The middle of each disc in an image, in pixels."""
    for grey in GREYS:
        rows, columns = np.nonzero(np.abs(image[..., 0] * scale - grey) < 8)
        if rows.size > 20:
            yield np.array([columns.mean(), rows.mean()]) + 0.5


class Detector:
    """Proposes a box of each disc, or one at each of some offsets; `blind`, none."""

    def __init__(self):
        self.calls, self.blind = 0, False
        self.offsets = [0]

    def __call__(self, image):
        self.calls += 1
        boxes = np.zeros((2254, 12), np.float32)
        logits = np.full((2254, 1), -9, np.float32)
        found = [
            middle + np.array([offset, 0])
            for middle in middles((image + 1) / 2, 255)
            for offset in self.offsets
        ]
        for number, middle in enumerate(found):
            if not self.blind:
                boxes[number] = (*middle, 20, 20, *middle, *(middle - (0, 28)), *middle, *middle)
                boxes[number, [0, 1, 4, 5, 6, 7]] -= np.tile(anchors()[number], 3)
                logits[number] = 3 - number
        return boxes, logits


class Landmarks:
    """All points of a person lie around the disc that is nearest to the middle of the region."""

    def __init__(self):
        self.calls = 0
        self.sees = 90  # pixels
        self.visibility = 0.9

    def __call__(self, image):
        self.calls += 1
        points, world = np.zeros((39, 5), np.float32), np.zeros((39, 3), np.float32)
        found = sorted(middles(image, 255), key=lambda each: np.hypot(*(each - 128)))
        away = np.hypot(*(found[0] - 128)) if found else np.inf
        if away > self.sees:
            return points.ravel(), np.float32([0.1]), world.ravel()
        points[:, :2] = found[0]
        points[:, 3] = np.log(self.visibility / (1 - self.visibility))
        points[11, :2] -= (20, 40)  # A body of 40 x 80 pixels.
        points[28, :2] += (20, 40)
        points[34, 1] -= 256 / 2.5  # The next region is as large as this one.
        world[:, 0] = 1
        return points.ravel(), np.float32([0.9 - away / 1000]), world.ravel()
