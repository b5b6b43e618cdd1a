import numpy as np
import pytest

from pipeline.evaluation.recordings import Recording, read_recordings, write_recordings

LABELS = np.array([[1, 0], [1, 1], [0, 0], [255, 255]], np.uint8)


def test_what_is_known_of_frames():
    recording = Recording("a.mp4", "a", 2.0, LABELS, LABELS / 255, LABELS > 0)
    assert recording.known(exclusive=True).tolist() == [True, False, False, False]
    assert recording.known(exclusive=False).tolist() == [True, True, True, False]
    assert recording.holds.tolist() == [[True, False], [True, True], [False] * 2, [False] * 2]
    assert recording.duration_seconds == 2


def test_arrays_of_other_shapes():
    with pytest.raises(ValueError, match="a.mp4: expected three arrays"):
        Recording("a.mp4", "a", 2.0, LABELS, LABELS / 255, LABELS[1:] > 0)
    with pytest.raises(ValueError, match="a.mp4"):
        Recording("a.mp4", "a", 2.0, LABELS[0], LABELS[0] / 255, LABELS[0] > 0)


def test_recordings_are_read_as_they_were_written(tmp_path):
    rng = np.random.default_rng(0)
    written = [
        Recording(
            name,
            group,
            fps,
            rng.choice(np.array([0, 1, 255], np.uint8), (length, 2)),
            rng.random((length, 2)),
            rng.random((length, 2)) < 0.5,
        )
        for name, group, fps, length in (("ä.mp4", "a", 7.5, 3), ("b.mp4, cat", "b", 30.0, 1))
    ]
    write_recordings(tmp_path / "frames.npz", written)
    found = read_recordings(tmp_path / "frames.npz")
    assert [(each.name, each.group, each.fps) for each in found] == [
        (each.name, each.group, each.fps) for each in written
    ]
    for one, other in zip(found, written, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.answers, other.answers)
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-6)
