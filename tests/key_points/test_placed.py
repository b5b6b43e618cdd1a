"""What is stored of the rows of a table."""

from contextlib import nullcontext

import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.key_points import KeyPoints, Tables
from pipeline.key_points.table import Table, clean
from pipeline.video import VideoInfo
from tests.key_points.tables import NAMES, some_points, write_deeplabcut, write_sleap_h5


def info(frames=20):
    return VideoInfo(
        path="a.mp4",
        width=64,
        height=48,
        fps=10,
        declared_frames=frames,
        num_frames=None,
        duration_seconds=1,
        codec="FFV1",
    )


def placed(points, individuals, names=NAMES):
    table = Table(names, clean(points[..., :2], points[..., 2]), is_whole=True)
    return KeyPoints(table, individuals, 48, 64)


def test_places_are_in_heights_of_the_frame_from_its_centre():
    points = some_points(3, 1)
    points[1, 0, 2] = np.nan
    found = placed(points, 2)
    shown = found.at(0)
    assert shown.shape == (2, 4, 5)
    assert shown.dtype == np.float32
    np.testing.assert_allclose(shown[0, :, :2], (points[0, 0, :, :2] - (32, 24)) / 48, rtol=1e-5)
    np.testing.assert_allclose(shown[0, :, 2], points[0, 0, :, 2], rtol=1e-5)
    np.testing.assert_allclose(shown[0, :, 4], points[0, 0, :, 2].mean(), rtol=1e-5)
    assert not shown[1].any(), "there is one"
    assert not found.at(1)[0, 2, :3].any(), "the point is missing"
    assert not found.at(3).any(), "the table has ended"
    points = some_points(10, 3)
    points[3:, 0] = np.nan  # of three, two are seen more
    np.testing.assert_allclose(placed(points, 2).at(0)[..., 2], points[0, 1:, :, 2], rtol=1e-5)
    np.testing.assert_allclose(placed(points, 3).at(5)[0], 0)


def test_the_size_of_an_animal_is_one_for_the_whole_video():
    square = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]], float)
    points = np.ones((9, 1, 4, 3))
    points[..., :2] = square + np.arange(9)[:, None, None, None] + 10
    points[3, 0, :, :2] *= 9  # a frame that went wrong
    points[4:6, 0, 1:] = np.nan  # hardly seen
    points[6:8, 0, 0] = (40, 40, 0.01)  # elsewhere, but hardly likely
    found = placed(points, 1)
    sizes = [found.at(frame)[0, 0, 3] for frame in range(9)]
    np.testing.assert_allclose(sizes, np.sqrt(18) / 48, rtol=0.02)
    one = placed(points[..., :1, :], 1, NAMES[:1])
    assert one.at(0)[0, 0, 3] == 1


def test_points_are_taken_by_their_names(tmp_path):
    points = some_points(20)
    tables, order = Tables(write_deeplabcut(tmp_path / "a.csv", points)), [2, 0, 1, 3]
    found = KeyPoints.open(tables, info(), [NAMES[number] for number in order], 1).at(0)
    np.testing.assert_allclose(found[0, :, 2], points[0, 0, order, 2], rtol=1e-5)
    with pytest.raises(VideoDecodeError, match="its points are nose, earL, .*the others nose, ta"):
        KeyPoints.open(tables, info(), ("nose", "tail"), 1)


@pytest.mark.parametrize(
    ("write", "rows", "frames", "good"),
    [
        (write_deeplabcut, 20, 23, True),
        (write_deeplabcut, 23, 20, True),
        (write_deeplabcut, 20, 40, False),
        (write_deeplabcut, 40, 20, False),
        (write_deeplabcut, 95, 100, True),
        (write_deeplabcut, 85, 100, False),
        (write_sleap_h5, 20, 40, True),
        (write_sleap_h5, 40, 20, False),
        (write_deeplabcut, 40, None, True),
    ],
)
def test_a_table_of_another_length(tmp_path, write, rows, frames, good):
    path = tmp_path / ("a.h5" if write is write_sleap_h5 else "a.csv")
    tables = Tables(write(path, some_points(rows)))
    said = pytest.raises(VideoDecodeError, match=f"to frame {rows}, and the file has {frames}")
    with nullcontext() if good else said:
        KeyPoints.open(tables, info(frames), NAMES, 1)


def test_a_table_of_larger_frames(tmp_path):
    points = some_points(20)
    points[..., :2] *= 10
    tables = Tables(write_deeplabcut(tmp_path / "a.csv", points))
    with pytest.raises(VideoDecodeError, match="lie outside of frames of 64 x 48 pixels"):
        KeyPoints.open(tables, info(), NAMES, 1)
    points[:] = np.nan
    tables = Tables(write_deeplabcut(tmp_path / "b.csv", points))
    assert not KeyPoints.open(tables, info(), NAMES, 1).at(0).any(), "nobody in any frame"
