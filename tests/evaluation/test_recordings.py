import numpy as np
import pytest

from pipeline.evaluation.recordings import Recording

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
