"""Answers for a video or at every frame: on logits and tracks that can be reckoned by hand."""

import dataclasses
import math

import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.metrics import calibration_error
from pipeline.run import Run
from pipeline.tasks.amounts import Spans
from pipeline.tasks.bouts import runs_of, without_short, without_short_exclusive
from pipeline.tasks.calibration import (
    Calibration,
    fit_logit_threshold,
    read_calibration,
    write_calibration,
)
from pipeline.tasks.frames import Frames
from pipeline.tasks.fusion import Fusion, expect_alike
from pipeline.tasks.multi_class import MultiClass
from pipeline.tasks.multi_label import MultiLabel
from pipeline.tasks.task import task_of

TASK = MultiClass()


def drawn(temperature, num_videos=20_000, num_classes=4):
    """Logits, and labels that are drawn from what they say after division by a temperature."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(num_videos, num_classes))
    shares = TASK.probabilities(logits, temperature)
    labels = (rng.random((num_videos, 1)) > shares.cumsum(axis=1)).sum(axis=1)
    return logits, labels


def test_an_answer_is_the_class_of_the_highest_logit_which_is_its_score():
    assert isinstance(task_of(ModelConfig()), MultiClass)
    logits = np.array([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    np.testing.assert_array_equal(TASK.answers(logits), [1, 0])
    np.testing.assert_array_equal(TASK.is_right(logits, np.array([1, 2])), [True, False])
    logits = np.array([[[9.0, 8.9], [-3.0, 2.0]], [[0.0, 0.0], [-7.0, -8.0]]])
    np.testing.assert_array_equal(TASK.score(logits), [[9, 2], [0, -7]])
    found = TASK.probabilities(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    np.testing.assert_array_equal(found, [[1, 0], [1, 0]])
    found = TASK.targets(np.array([1]), 4, smoothing=0.2).numpy()
    np.testing.assert_allclose(found, [[0.05, 0.85, 0.05, 0.05]])
    # The temperature that labels were drawn with is found; and of few videos, and of one class.
    for temperature in (0.5, 2.5):
        logits, labels = drawn(temperature)
        assert TASK.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
        shares = TASK.probabilities(logits, temperature).max(axis=1)
        assert calibration_error(shares, TASK.is_right(logits, labels)) < 0.02
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
    for least in (math.inf, math.nan):
        with pytest.raises(
            ConfigError, match=r"logit_threshold must be finite. Received: (inf|nan)"
        ):
            Calibration(logit_threshold=least)


SURE, UNSURE = np.log([0.9, 0.1]), np.log([0.4, 0.6])


def test_probabilities_of_classes_that_exclude_each_other_or_may_hold_at_once():
    for rule, expected in (
        ("average", 0.65),
        # sqrt(0.9 * 0.4) against sqrt(0.1 * 0.6)
        ("product", 0.6 / (0.6 + 0.06**0.5)),
    ):
        fusion = Fusion(rule=rule, temperatures=(1, 1))
        fused = TASK.probabilities(fusion.logits([SURE, UNSURE], TASK))
        np.testing.assert_allclose(fused, [expected, 1 - expected])
        frames = Frames(TASK)
        found = frames.probabilities(fusion.logits([SURE, UNSURE], frames))
        np.testing.assert_allclose(found, fused)
        # Each is calibrated before.
        sharp = dataclasses.replace(fusion, temperatures=(2.0, 1.0))
        sharpened = TASK.probabilities(sharp.logits([2 * SURE, UNSURE], TASK))
        np.testing.assert_allclose(sharpened, fused)
    logits = [np.array([np.log(9), 0.0]), np.array([0.0, -np.log(3)])]  # 0.9 0.5, 0.5 0.25
    average = Fusion(temperatures=(1, 1))
    task = MultiLabel()
    shares = task.probabilities(average.logits(logits, task))
    np.testing.assert_allclose(shares, [0.7, 0.375])
    product = dataclasses.replace(average, rule="product")
    odds = np.array([9.0, 1 / 3]) ** 0.5
    np.testing.assert_allclose(task.probabilities(product.logits(logits, task)), odds / (1 + odds))


def test_low_logits_of_all_stay_low_and_what_cannot_be_fused():
    """Low ones are of a video of no class, which probabilities do not show."""
    for rule in ("average", "product"):
        fusion = Fusion(rule=rule, temperatures=(1, 1))
        low, high = (TASK.score(fusion.logits([SURE + by, UNSURE + by], TASK)) for by in (0, 7))
        assert high - low == pytest.approx(7)
        logits = np.array([[3.0, -1.0, 200.0], [-600.0, 0.0, 1.0]])
        np.testing.assert_allclose(fusion.logits([logits, logits], TASK), logits)
        assert fusion.scores([np.array([1.0]), np.array([4.0])]).tolist() == [2.5]
    for changes, message in (
        ({"rule": "sum"}, "the rule must be one of average, product. Received: 'sum'"),
        ({"temperatures": ()}, "there must be a temperature for each run"),
        ({"temperatures": (1, -1)}, "each temperature"),
    ):
        with pytest.raises(ConfigError, match=message):
            Fusion(**{"temperatures": (1, 1), **changes})
    video = ModelConfig(task="video")
    for model, names, message in (
        (ModelConfig(task="frames"), "ab", "a and b cannot be fused: they are of tasks video and"),
        (video, "abc", "their classes differ: only b has 'c'"),
        (video, "ba", "they are in another order"),
    ):
        with pytest.raises(DataError, match=message):
            expect_alike(["a", "b"], [video, model], ["ab", names])


# Answers at every frame, and bouts.

LABELS = np.array([[[1, 0], [1, 1], [0, 0], [255, 255]]], np.uint8)
"""One recording of four frames: class 0, both at once, none, and nothing is known."""


def frames_task(several):
    return task_of(ModelConfig(task="frames-multilabel" if several else "frames"))


def test_targets_are_smoothed_and_the_loss_is_the_mean_over_known_frames_of_the_sum():
    one, several = (
        frames_task(each).targets(LABELS, 2, smoothing=0.2).numpy() for each in (False, True)
    )
    np.testing.assert_allclose(one, [[[0.9, 0.1], [-1, -1], [-1, -1], [-1, -1]]])
    np.testing.assert_allclose(several, [[[0.9, 0.1], [0.9, 0.9], [0.1, 0.1], [-1, -1]]])
    task = frames_task(several=False)
    logits = np.array([[[np.log(3), 0.0], [9, 9], [9, 0], [0, 9]]], np.float32)
    assert float(task.loss()(task.targets(LABELS, 2), logits)) == pytest.approx(np.log(4 / 3))
    task = frames_task(several=True)
    targets = task.targets(np.array([[[1, 0]]], np.uint8), 2)
    found = float(task.loss()(targets, np.array([[[0.0, np.log(3)]]], np.float32)))
    assert found == pytest.approx(np.log(2) + np.log(4))
    task = frames_task(several=False)
    targets = task.targets(LABELS, 2)
    logits = np.random.default_rng(0).normal(size=(1, 3, 4, 2)).astype(np.float32)
    alone = [float(task.loss(0.3)(targets, logits[:, stage])) for stage in range(3)]
    assert float(task.loss(0.3)(targets, logits)) == pytest.approx(np.mean(alone), rel=1e-5)
    # Frames of which nothing is known cost nothing.
    logits = logits[:, 0]
    for task in (frames_task(several=False), frames_task(several=True)):
        targets, loss, changed = task.targets(LABELS, 2), task.loss(0.5), logits.copy()
        changed[0, -1] = 50
        assert float(loss(targets, logits)) == pytest.approx(float(loss(targets, changed)))
        changed[0, 0] = 50
        assert float(loss(targets, logits)) != pytest.approx(float(loss(targets, changed)))


def test_the_penalty_grows_up_to_its_limit_and_accuracy_is_that_of_the_last_stage():
    task = frames_task(several=True)
    targets = task.targets(np.zeros((1, 2, 1), np.uint8), 1)

    def penalty(first, second):
        logits = np.array([[[first], [second]]], np.float32)
        return float(task.loss(1.0)(targets, logits)) - float(task.loss()(targets, logits))

    assert penalty(-7.0, -7.0) == 0
    assert penalty(-9.0, -7.0) == pytest.approx(4, rel=0.01)
    assert penalty(-40.0, -7.0) == 16
    for several, right in ((False, 1.0), (True, 5 / 6)):
        (metric,) = (task := frames_task(several)).metrics()
        logits = np.zeros((1, 2, 4, 2), np.float32)
        logits[0, 0, 0] = [-5, 5]  # wrong, but not the last
        logits[0, 1] = [[5, -5], [5, 5], [-5, 5], [5, 5]]
        metric.update_state(task.targets(LABELS, 2), logits)
        assert float(metric.result()) == pytest.approx(right)


def test_independent_classes():
    task = task_of(ModelConfig(task="video-multilabel"))
    assert isinstance(task, MultiLabel)
    assert not isinstance(task, Frames)
    probabilities = np.array([[0.2, 0.7], [0.4, 0.1]])
    np.testing.assert_array_equal(task.holds(probabilities, 0.3), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(task.holds(probabilities, np.array([0.1, 0.9])), [[1, 0], [1, 0]])
    # The temperature that labels were drawn with is found.
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(20_000, 3))
    labels = (rng.random(logits.shape) < task.probabilities(logits, 2.0)).astype(np.uint8)
    assert task.fit_temperature(logits, labels) == pytest.approx(2.0, rel=0.05)
    # Where classes exclude each other, one that holds is all; one that does not says nothing.
    labels = np.array([[[1, 255], [0, 255], [255, 1]]], np.uint8)
    one, several = (frames_task(each) for each in (False, True))
    assert one.known(labels[0]).tolist() == [True, False, True]
    assert several.known(labels[0]).tolist() == [False, False, False]
    assert one.targets(labels, 2).numpy().tolist() == [[[1, 0], [-1, -1], [0, 1]]]
    assert several.targets(labels, 2).numpy().tolist() == [[[1, -1], [0, -1], [-1, 1]]]
    logits = np.array([[[np.log(3), 7.0], [np.log(3), 7.0], [7.0, np.log(3)]]], np.float32)
    # The mean of what is known, for each of the classes: two of three answers are right.
    wanted = 2 * np.mean([np.log(4 / 3), np.log(4), np.log(4 / 3)])
    loss = several.loss(transition_penalty=0.0)(several.targets(labels, 2), logits)
    assert float(loss) == pytest.approx(wanted)
    (metric,) = several.metrics()
    metric.update_state(several.targets(labels, 2), logits)
    assert float(metric.result()) == pytest.approx(2 / 3)


def track(text):
    return np.array([sign == "#" for sign in text])


def test_gaps_are_filled_and_a_short_bout_goes_to_its_more_probable_neighbour():
    shares = np.array([[0.9, 0.1, 0.0], [0.3, 0.4, 0.3], [0.2, 0.1, 0.7], [0.2, 0.1, 0.7]])
    labels = np.array([0, 1, 2, 2])
    assert without_short_exclusive(labels, shares, np.array([0, 2, 0, 0])).tolist() == [0, 0, 2, 2]
    shares[1] = [0.2, 0.4, 0.4]
    assert without_short_exclusive(labels, shares, np.array([0, 2, 0, 0])).tolist() == [0, 2, 2, 2]
    assert without_short_exclusive(labels, shares, np.array([9, 1, 0, 0])).tolist() == [1, 1, 2, 2]
    assert labels.tolist() == [0, 1, 2, 2], "what was given is not changed"
    # None is no more probable than nothing.
    shares, labels = np.array([[0.9], [0.2], [0.9]]), np.array([-1, 0, -1])
    assert without_short_exclusive(labels, shares, np.array([2, 0])).tolist() == [-1, -1, -1]
    assert without_short_exclusive(-1 - labels, shares, np.array([0, 2])).tolist() == [0, 0, 0]
    for text, least, gap, wanted in (
        ("#.##...#", 2, 1, [[2, 4]]),
        ("#.##...#", 2, 2, [[0, 4]]),
        ("#.##...#", 1, 3, [[0, 4], [7, 8]]),
        ("#.##...#", 1, 4, [[0, 8]]),
        (".#...#..", 2, 1, []),
        ("#.......", 0, 0, [[0, 1]]),
        ("", 0, 0, []),
        ("....", 0, 0, []),
        ("#..#", 0, 0, [[0, 1], [3, 4]]),
    ):
        assert without_short(runs_of(track(text)), least, gap).tolist() == wanted
    # Amounts of a whole recording, and of its bins.
    spans = Spans(np.arange(10), 2.0, 5.0, 2.0)
    whole, *binned = spans.amounts(track(".##.#....#"))
    assert (whole.count, whole.total_seconds, whole.latency_seconds) == (3, 2.0, 0.5)
    assert [(each.count, each.total_seconds) for each in binned] == [(1, 1.0), (1, 0.5), (1, 0.5)]
    assert [span.bin for span in spans.spans] == ["whole", 1, 2, 3]
    # Answers are the bouts of what is probable enough.
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    calibration = Calibration(
        thresholds=(0.2, 0.3, 0.4), least_seconds=(0.2, 0.3, 0.4), gap_seconds=(0.1, 0.2, 0.3)
    )
    for task in (Frames(MultiClass()), Frames(MultiLabel())):
        answers = task.answers(shares, calibration, 10)
        for column, least in zip(answers.T, (2, 3, 4), strict=True):
            lengths = np.diff(runs_of(column), axis=1)
            assert len(lengths)
            assert lengths.min() >= least
        assert not task.is_exclusive or (answers.sum(axis=1) == 1).all()
