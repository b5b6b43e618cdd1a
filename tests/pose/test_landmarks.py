"""What is made of the outputs of the network of landmarks."""

import numpy as np
import pytest

from pipeline.pose.landmarks import Landmarks
from pipeline.pose.region import Region


def test_a_person():
    seen = []

    def network(image):
        seen.append(image)
        points, world = np.zeros((39, 5), np.float32), np.zeros((39, 3), np.float32)
        points[0, :4] = (256, 128, 0, np.log(3))
        points[1:33, :2] = 128
        points[16, :2] = 0  # of a hand
        points[33, :2], points[34, :2] = (128, 128), (192, 128)
        world[0] = (1, 0, 5)
        return points.ravel(), np.float32([0.75]), world.ravel()

    frame = np.full((200, 200, 3), 255, np.uint8)
    person = Landmarks(network)(frame, Region(100, 80, 64, np.pi / 2))
    assert (seen[0].shape, seen[0].max()) == ((256, 256, 3), 1)
    np.testing.assert_allclose(person.pixels[0], [100, 112], atol=1e-4)
    np.testing.assert_allclose(person.world[0], [0, 1, 5], atol=1e-6)
    assert person.visibility[:2] == pytest.approx([0.75, 0.5])
    assert person.seen == pytest.approx((25 * 0.5 + 0.25) / 25)
    assert (person.flag, len(person.pixels), len(person.world)) == (0.75, 33, 33)
    # 64 of 256 pixels to the right in the square: 16 down in the frame, where the head is now.
    assert (person.region.x, person.region.y) == pytest.approx((100, 80))
    assert person.region.side == pytest.approx(40)
    # From (128, 128) to (256, 128), of which 32 pixels are down in the frame.
    np.testing.assert_allclose(person.box, [[100, 80], [100, 112]], atol=1e-4)
    assert person.region.angle == pytest.approx(np.pi)
