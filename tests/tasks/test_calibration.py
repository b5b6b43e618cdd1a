"""When an answer is given, and what is kept of it."""

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.run import Run
from pipeline.tasks.calibration import (
    Calibration,
    fit_logit_threshold,
    read_calibration,
    write_calibration,
)

FOUND = np.array([5.0, 9.0, 7.0, 7.0, -3.0])
CORRECT = np.array([True, True, False, True, False])


@pytest.mark.parametrize(
    ("aim", "target", "least"),
    [
        ("off", 0.5, None),
        ("coverage", 1.0, -3.0),
        ("coverage", 0.8, 5.0),
        ("coverage", 0.5, 7.0),
        ("coverage", 0.01, 9.0),
        ("precision", 0.5, -3.0),
        ("precision", 0.7, 5.0),
        ("precision", 0.76, 9.0),
        ("precision", 1.0, 9.0),
    ],
)
def test_the_logit_threshold_by_hand(aim, target, least):
    """Right of those answered, from the highest: 1 of 1; 2 of 3, for two are alike; 3 of 4; 3 of 5.

    That of 5 is right, so that 0.75 of the answers are from there on, more than from 7 on.
    """
    assert fit_logit_threshold(FOUND, CORRECT, aim, target) == least


def test_the_logit_threshold_where_it_is_close():
    """The best there is where a precision is out of reach; a share of videos is counted exactly.

    Of 100, 55 are 0.55, though 0.55 times 100 is a little more as floats go.
    """
    correct = np.array([False, False, True])
    assert fit_logit_threshold(np.array([9.0, 8.0, 7.0]), correct, "precision", 0.9) == 7
    assert fit_logit_threshold(np.arange(100.0), np.ones(100, bool), "coverage", 0.55) == 45


def test_scores_from_the_threshold_on_are_enough():
    scores = np.array([[9.0, 2.0], [0.0, -7.0]])
    enough = Calibration(temperature=3.0, logit_threshold=2.0).is_enough(scores)
    np.testing.assert_array_equal(enough, [[True, True], [False, False]])
    assert Calibration().is_enough(scores).all()
    enough = Calibration(logit_threshold=0.0).is_enough(scores)
    np.testing.assert_array_equal(enough, [[True, True], [True, False]])


def test_what_is_kept_is_read(tmp_path):
    run = Run(tmp_path)
    assert read_calibration(run) == Calibration()
    for least in (None, -0.25):
        kept = Calibration(temperature=1.5, logit_threshold=least, num_videos=7)
        write_calibration(run, kept)
        assert read_calibration(run) == kept


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        '{"temperature": 1, "other": 2}',
        '{"temperature": -1}',
        '{"threshold": 0.5}',
        '{"temperature": 1.0, "least_evidence": 0.5, "num_videos": 3, "clip_seconds": 2.0}',
        '{"logit_threshold": NaN}',
        '{"logit_threshold": "much"}',
        '{"clip_seconds": 0}',
    ],
)
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "calibration.json").write_text(content)
    with pytest.raises(
        DataError, match=r"calibration.json: damaged, or of another version. Make it"
    ):
        read_calibration(Run(tmp_path))
