import numpy as np
import pytest

from pipeline.errors import VideoDecodeError
from pipeline.video.descriptors import FPS, SIZE, describe, keep_descriptors, kept_descriptors
from pipeline.video.paths import file_mark
from tests.video.videos import lossless

LOOK, FLOW, OUTLINE = (slice(start, start + SIZE // 3) for start in (0, SIZE // 3, 2 * SIZE // 3))


def moving(num_frames, *, step):
    """A square that moves to the right in the upper half, before grey."""
    frames = np.full((num_frames, 72, 96, 3), 90, np.uint8)
    for number, frame in enumerate(frames):
        left = 8 + step * number
        frame[8:24, left : left + 16] = 220
    return frames


def described(tmp_path, frames, fps=10):
    return np.array(list(describe(lossless(tmp_path / "video.avi", frames, fps))))


@pytest.mark.parametrize("fps", [5, 10, 30])
def test_there_are_ten_a_second_whatever_the_rate(tmp_path, fps):
    found = described(tmp_path, moving(3 * fps, step=0), fps=fps)
    assert found.shape == (3 * FPS, SIZE)
    assert found.dtype == np.float16
    assert np.isfinite(found).all()
    # What rests has looks and no motion; nor does the first frame move.
    assert found[:, LOOK].max() > 0.1
    assert found[5, OUTLINE].max() == 0
    assert found[5, FLOW].max() < 0.1
    np.testing.assert_array_equal(found[0], found[5])


def test_outlines_are_the_same_whichever_side_is_brighter(tmp_path):
    ramp = np.add.outer(0.9 * np.arange(72), 1.5 * np.arange(96)).astype(np.uint8)
    rising = np.broadcast_to(ramp[..., None], (3, 72, 96, 3))
    for frames in (rising, 255 - rising):
        look = described(tmp_path, np.ascontiguousarray(frames))[1, LOOK].astype(float)
        shares = (look.reshape(12, 8) ** 2).sum(axis=0)
        assert shares[1] > 0.9  # at 31 degrees, of 180 in 8 parts


def test_motion_shows_where_it_is_and_which_way_it_goes(tmp_path):
    found = described(tmp_path, moving(20, step=3))[8]
    flow = found[FLOW].reshape(3, 4, 8).astype(float)
    assert flow[0].sum() > 5 * flow[2].sum()
    right, left = flow[..., [0, 7]].sum(), flow[..., [3, 4]].sum()
    assert right > 3 * left
    back = described(tmp_path, moving(20, step=3)[::-1])[10]
    flow = back[FLOW].reshape(3, 4, 8).astype(float)
    assert flow[..., [3, 4]].sum() > 3 * flow[..., [0, 7]].sum()
    assert found[OUTLINE].reshape(3, 4, 8)[0].sum() > 0.5


def test_what_is_kept_is_that_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "video.avi"
    found = described(tmp_path, moving(10, step=2))
    assert kept_descriptors(path) is None
    keep_descriptors(path, found)
    np.testing.assert_array_equal(kept_descriptors(path), found)
    lossless(path, moving(12, step=1))
    assert kept_descriptors(path) is None
    keep_descriptors(path, found)
    for content in (b"", b"x" * 100):
        (kept,) = (tmp_path / "cache").rglob(f"{file_mark(path)}.npy")
        kept.write_bytes(content)
        assert kept_descriptors(path) is None
    path.write_bytes(b"x" * 1000)
    with pytest.raises(VideoDecodeError):
        list(describe(path))
