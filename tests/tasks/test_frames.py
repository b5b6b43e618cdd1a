"""Answers at every frame, and bouts: on logits and tracks that can be reckoned by hand."""

import numpy as np
import pytest

from pipeline.config import ModelConfig
from pipeline.tasks.amounts import Spans
from pipeline.tasks.bouts import runs_of, without_short, without_short_exclusive
from pipeline.tasks.calibration import Calibration
from pipeline.tasks.exclusive import Exclusive
from pipeline.tasks.frames import Frames
from pipeline.tasks.independent import Independent
from pipeline.tasks.task import task_of

# One recording of four frames: class 0, both at once, none, and nothing is known.
LABELS = np.array([[[1, 0], [1, 1], [0, 0], [255, 255]]], np.uint8)


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


@pytest.mark.parametrize("several", [False, True])
def test_frames_of_which_nothing_is_known_cost_nothing(several):
    task = frames_task(several)
    targets = task.targets(LABELS, 2)
    loss = task.loss(transition_penalty=0.5)
    logits = np.random.default_rng(0).normal(size=(1, 4, 2)).astype(np.float32)
    changed = logits.copy()
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
    assert isinstance(task, Independent)
    assert not isinstance(task, Frames)
    probabilities = np.array([[0.2, 0.7], [0.4, 0.1]])
    np.testing.assert_array_equal(task.holds(probabilities, 0.3), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(task.holds(probabilities, np.array([0.1, 0.9])), [[1, 0], [1, 0]])
    # The temperature that labels were drawn with is found.
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(20_000, 3))
    labels = (rng.random(logits.shape) < task.probabilities(logits, 2.0)).astype(np.uint8)
    assert task.fit_temperature(logits, labels) == pytest.approx(2.0, rel=0.05)


def test_of_a_frame_one_class_may_be_known_alone():
    """Where classes exclude each other, one that holds is all; one that does not says nothing."""
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


def test_gaps_are_filled_before_short_bouts_go():
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


def test_a_short_bout_goes_to_its_more_probable_neighbour():
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


@pytest.mark.parametrize("each", [Exclusive(), Independent()])
def test_answers_are_the_bouts_of_what_is_probable_enough(each):
    task, rng = Frames(each), np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(3), 200)
    calibration = Calibration(
        thresholds=(0.2, 0.3, 0.4), least_seconds=(0.2, 0.3, 0.4), gap_seconds=(0.1, 0.2, 0.3)
    )
    answers = task.answers(shares, calibration, 10)
    for column, least in zip(answers.T, (2, 3, 4), strict=True):
        lengths = np.diff(runs_of(column), axis=1)
        assert len(lengths)
        assert lengths.min() >= least
    assert not task.is_exclusive or (answers.sum(axis=1) == 1).all()


def test_amounts_of_a_whole_recording_and_its_bins():
    spans = Spans(np.arange(10), 2.0, 5.0, 2.0)
    whole, *binned = spans.amounts(track(".##.#....#"))
    assert (whole.count, whole.total_seconds, whole.latency_seconds) == (3, 2.0, 0.5)
    assert [(each.count, each.total_seconds) for each in binned] == [(1, 1.0), (1, 0.5), (1, 0.5)]
    assert [span.bin for span in spans.spans] == ["whole", 1, 2, 3]
