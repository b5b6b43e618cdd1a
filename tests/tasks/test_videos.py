"""Answers for a video: their temperature and threshold, what is kept of both, and of several."""

import dataclasses
import math

import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.metrics import calibration_error
from pipeline.run import Run
from pipeline.tasks.calibration import (
    Calibration,
    fit_logit_threshold,
    read_calibration,
    write_calibration,
)
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.frames import Frames
from pipeline.tasks.fusion import Fusion, expect_alike
from pipeline.tasks.independent import Independent
from pipeline.tasks.task import task_of

TASK = Exclusive()


def drawn(temperature, num_videos=20_000, num_classes=4):
    """Logits, and labels that are drawn from what they say after division by a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(num_videos, num_classes))
    shares = TASK.probabilities(logits, temperature)
    labels = (rng.random((num_videos, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_labels_were_drawn_with_is_found(temperature):
    logits, labels = drawn(temperature)
    assert TASK.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
    shares = TASK.probabilities(logits, temperature).max(axis=1)
    assert calibration_error(shares, TASK.is_right(logits, labels)) < 0.02


def test_an_answer_is_the_class_of_the_highest_logit_which_is_its_score():
    assert isinstance(task_of(ModelConfig()), Exclusive)
    logits = np.array([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    np.testing.assert_array_equal(TASK.answers(logits), [1, 0])
    np.testing.assert_array_equal(TASK.is_right(logits, np.array([1, 2])), [True, False])
    logits = np.array([[[9.0, 8.9], [-3.0, 2.0]], [[0.0, 0.0], [-7.0, -8.0]]])
    np.testing.assert_array_equal(TASK.score(logits), [[9, 2], [0, -7]])
    found = TASK.probabilities(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])
    found = TASK.targets(np.array([1]), 4, smoothing=0.2).numpy()
    np.testing.assert_allclose(found, [[0.05, 0.85, 0.05, 0.05]])
    # The temperature of few videos that are all right, and of one class.
    logits = np.eye(3)[[0, 1, 2, 0]] * 2
    temperature = TASK.fit_temperature(logits, np.array([0, 1, 2, 0]))
    highest = TASK.probabilities(logits, temperature).max()
    assert highest == pytest.approx(5 / 6, abs=0.01), "four of four: (4 + 1) / (4 + 2)"
    assert TASK.fit_temperature(np.ones((3, 1)), np.zeros(3, int)) == 1


FOUND = np.array([5.0, 9.0, 7.0, 7.0, -3.0])
CORRECT = np.array([True, True, False, True, False])


def test_the_logit_threshold_and_scores_from_it_on():
    """Right of those answered, from the highest: 1 of 1; 2 of 3, for two are alike; 3 of 4; 3 of 5.

    That of 5 is right, so that 0.75 of the answers are from there on, more than from 7 on.
    """
    for aim, target, least in (
        *(("off", 0.5, None), ("coverage", 1.0, -3.0), ("coverage", 0.8, 5.0)),
        *(("coverage", 0.5, 7.0), ("coverage", 0.01, 9.0), ("precision", 0.5, -3.0)),
        *(("precision", 0.7, 5.0), ("precision", 0.76, 9.0), ("precision", 1.0, 9.0)),
    ):
        assert fit_logit_threshold(FOUND, CORRECT, aim, target) == least
    correct = np.array([False, False, True])  # so precise is none: the best there is
    assert fit_logit_threshold(np.array([9.0, 8.0, 7.0]), correct, "precision", 0.9) == 7
    # Of 100, 55 are 0.55, though 0.55 times 100 is a little more as floats go.
    assert fit_logit_threshold(np.arange(100.0), np.ones(100, bool), "coverage", 0.55) == 45
    scores = np.array([[9.0, 2.0], [0.0, -7.0]])
    enough = Calibration(temperature=3.0, logit_threshold=2.0).is_enough(scores)
    np.testing.assert_array_equal(enough, [[True, True], [False, False]])
    assert Calibration().is_enough(scores).all()
    enough = Calibration(logit_threshold=0.0).is_enough(scores)
    np.testing.assert_array_equal(enough, [[True, True], [True, False]])


DAMAGED = (
    "",
    "[1]",
    '{"temperature": 1, "other": 2}',
    '{"temperature": -1}',
    '{"threshold": 0.5}',
    '{"logit_threshold": NaN}',
    '{"logit_threshold": "much"}',
    '{"clip_seconds": 0}',
)


def test_what_is_kept_is_read_unless_it_is_damaged(tmp_path):
    run = Run(tmp_path)
    assert read_calibration(run) == Calibration()
    for least in (None, -0.25):
        kept = Calibration(temperature=1.5, logit_threshold=least, num_videos=7)
        write_calibration(run, kept)
        assert read_calibration(run) == kept
    for content in DAMAGED:
        run.calibration_file.write_text(content)
        with pytest.raises(DataError, match=r"n.json: damaged, or of another version. Make it"):
            read_calibration(run)


def test_a_threshold_is_a_number():
    for least in (math.inf, math.nan):
        with pytest.raises(
            ConfigError, match=r"logit_threshold must be finite. Received: (inf|nan)"
        ):
            Calibration(logit_threshold=least)


SURE, UNSURE = np.log([0.9, 0.1]), np.log([0.4, 0.6])


def test_probabilities_of_classes_that_exclude_each_other():
    for rule, weights, expected in (
        ("average", (1, 1), 0.65),
        ("average", (3, 1), 0.775),
        ("average", (6, 2), 0.775),
        # sqrt(0.9 * 0.4) against sqrt(0.1 * 0.6)
        ("product", (1, 1), 0.6 / (0.6 + 0.06**0.5)),
    ):
        fusion = Fusion(rule=rule, weights=weights, temperatures=(1, 1))
        fused = TASK.probabilities(fusion.logits([SURE, UNSURE], TASK))
        np.testing.assert_allclose(fused, [expected, 1 - expected])
        frames = Frames(TASK)
        found = frames.probabilities(fusion.logits([SURE, UNSURE], frames))
        np.testing.assert_allclose(found, fused)
        # Each is calibrated before.
        sharp = dataclasses.replace(fusion, temperatures=(2.0, 1.0))
        sharpened = TASK.probabilities(sharp.logits([2 * SURE, UNSURE], TASK))
        np.testing.assert_allclose(sharpened, fused)


def test_probabilities_of_classes_that_may_hold_at_once():
    logits = [np.array([np.log(9), 0.0]), np.array([0.0, -np.log(3)])]  # 0.9 0.5, 0.5 0.25
    average = Fusion(weights=(1, 1), temperatures=(1, 1))
    task = Independent()
    shares = task.probabilities(average.logits(logits, task))
    np.testing.assert_allclose(shares, [0.7, 0.375])
    product = dataclasses.replace(average, rule="product")
    odds = np.array([9.0, 1 / 3]) ** 0.5
    np.testing.assert_allclose(task.probabilities(product.logits(logits, task)), odds / (1 + odds))


@pytest.mark.parametrize("rule", ["average", "product"])
def test_low_logits_of_all_stay_low_and_one_fused_with_itself_as_it_is(rule):
    """Low ones are of a video of no class, which probabilities do not show."""
    fusion = Fusion(rule=rule, weights=(1, 2), temperatures=(1, 1))
    low, high = (TASK.score(fusion.logits([SURE + by, UNSURE + by], TASK)) for by in (0, 7))
    assert high - low == pytest.approx(7)
    logits = np.array([[3.0, -1.0, 200.0], [-600.0, 0.0, 1.0]])
    np.testing.assert_allclose(fusion.logits([logits, logits], TASK), logits)
    assert fusion.scores([np.array([1.0]), np.array([4.0])]).tolist() == [3.0]


def test_what_cannot_be_fused():
    for changes, message in (
        ({"rule": "sum"}, "the rule must be one of average, product. Received: 'sum'"),
        ({"weights": (1, 1, 1)}, "there must be a weight for each run"),
        ({"weights": (1, 0)}, "each weight"),
        ({"temperatures": (1, -1)}, "each temperature"),
    ):
        with pytest.raises(ConfigError, match=message):
            Fusion(**{"weights": (1, 1), "temperatures": (1, 1), **changes})
    video = ModelConfig(task="video")
    for model, names, message in (
        (ModelConfig(task="frames"), "ab", "a and b cannot be fused: they are of tasks video and"),
        (video, "abc", "their classes differ: only b has 'c'"),
        (video, "ba", "they are in another order"),
    ):
        with pytest.raises(DataError, match=message):
            expect_alike(["a", "b"], [video, model], ["ab", names])
