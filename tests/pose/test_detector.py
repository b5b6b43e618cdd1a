"""The detector around its network, against numbers reckoned by hand."""

import numpy as np
import pytest

from pipeline.pose.detector import (
    Detector,
    anchors,
    decode,
    intersection_over_union,
    letterbox,
    sigmoid,
    suppress,
)


def test_anchors():
    found = anchors()
    assert found.shape == (28 * 28 * 2 + 14 * 14 * 2 + 7 * 7 * 6, 2)
    assert found[:3].tolist() == [[4, 4], [4, 4], [12, 4]]
    assert found[56].tolist() == [4, 12]  # the second row
    assert found[1568].tolist() == [8, 8]
    assert found[1960].tolist() == found[1965].tolist() == [16, 16]
    assert found[-1].tolist() == [208, 208]


def test_boxes_are_relative_to_their_anchors():
    box = np.float32([[10, 20, 8, 6, 1, 2, 3, 4, 5, 6, 7, 8]])
    assert decode(box, np.float32([[100, 50]])).tolist() == [
        [[106, 67], [114, 73], [101, 52], [103, 54], [105, 56], [107, 58]]
    ]


def test_scores_do_not_overflow():
    np.testing.assert_allclose(
        sigmoid(np.float32([-1e4, 0, np.log(3), 1e4])), [0, 0.5, 0.75, 1], atol=1e-7
    )


def test_overlap():
    boxes = np.float32([[[0, 0], [4, 4]], [[2, 0], [6, 4]], [[4, 4], [8, 8]], [[1, 1], [1, 1]]])
    expected = [1, 8 / 24, 0, 0]
    np.testing.assert_allclose(intersection_over_union(boxes[0], boxes), expected)


def box(x, y, side, hips):
    return np.float32([[x, y], [x + side, y + side], *[[hips, hips]] * 4])


def test_boxes_that_overlap_become_their_weighted_mean():
    points = np.stack([box(0, 0, 10, 4), box(50, 50, 10, 55), box(2, 0, 10, 8)])
    found = suppress(points, np.float32([0.2, 0.5, 0.6]), 0.3)
    assert [score for _, score in found] == pytest.approx([0.6, 0.5])
    np.testing.assert_allclose(found[0][0][0], [1.5, 0])  # (0.6 * 2 + 0.2 * 0) / 0.8
    np.testing.assert_allclose(found[0][0][2], [7, 7])  # (0.6 * 8 + 0.2 * 4) / 0.8
    np.testing.assert_allclose(found[1][0], points[1])


def test_empty_boxes_end_too():
    points = np.stack([box(5, 5, 0, 5), box(5, 5, 0, 5)])
    assert len(suppress(points, np.float32([0.5, 0.4]), 0.3)) == 2


def test_the_frame_stands_in_the_middle_of_a_square():
    frame = np.full((60, 120, 3), 7, np.uint8)
    square, scale, offset = letterbox(frame, 224)
    assert scale.tolist() == pytest.approx([224 / 120, 112 / 60])
    assert offset.tolist() == [0, 56]
    assert square[:, 0, 0].tolist() == [0] * 56 + [7] * 112 + [0] * 56


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (224, 224), (3, 2)])
def test_frames_of_any_shape(shape):
    square, _, _ = letterbox(np.zeros((*shape, 3), np.uint8), 224)
    assert square.shape == (224, 224, 3)


def test_regions_lie_in_the_frame():
    """A square of 224 is 120 x 60 pixels of the frame, 56 of it black above."""
    seen = []

    def network(image):
        seen.append(image)
        boxes, logits = np.zeros((2254, 12), np.float32), np.full((2254, 1), -9, np.float32)
        for number, logit in ((0, 2.0), (1000, -2.9), (2000, -3.0)):
            logits[number] = logit
            # hips in the middle of the frame, the rim 28 above them: 15 pixels of the frame
            points = np.array([[112, 112], [112, 84], [0, 0], [0, 0]]) - anchors()[number]
            boxes[number] = (number / 10, 0, 20, 20, *points.ravel())
        return boxes, logits

    frame = np.full((60, 120, 3), 255, np.uint8)
    found = Detector(network)(frame)
    assert [each.score for each in found] == pytest.approx([0.8808, 0.0522], abs=1e-4)
    region = found[0].region
    assert (region.x, region.y) == pytest.approx((60, 30), abs=1e-3)
    assert region.side == pytest.approx(2 * 1.25 * 15, abs=1e-3)
    assert (seen[0].min(), seen[0].max()) == (-1, 1)
