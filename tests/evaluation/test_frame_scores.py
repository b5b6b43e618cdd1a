import dataclasses

import numpy as np
import pytest
from sklearn import metrics

from pipeline.errors import DataError
from pipeline.evaluation.frame_scores import frame_scores, score_recordings, video_scores
from pipeline.evaluation.intervals import accuracy_ends, accuracy_interval
from pipeline.evaluation.recordings import Recording
from tests.evaluation.recordings import NAMES, at_once, exclusive, recording

EXCLUSIVE = [exclusive("aabb?", "abbba", fps=2.0), exclusive("c", "c", name="b.mp4", fps=2.0)]


def test_one_class_at_each_frame():
    """By hand: a is one of two found, b is answered once too often, one frame is not known."""
    scores = frame_scores(EXCLUSIVE, NAMES, background="c", exclusive=True)
    rows = scores.pop("per_class")
    assert (scores.pop("exclusive"), scores.pop("background")) == (True, "c")
    assert scores == pytest.approx(
        {
            "accuracy": 4 / 5,
            "accuracy_interval95": None,
            "chance": 2 / 5,
            "macro_f1": (2 / 3 + 4 / 5 + 1) / 3,
            "macro_f1_without_background": (2 / 3 + 4 / 5) / 2,
            "mean_average_precision": (0.7 + 2 / 3 + 1) / 3,
            "mean_average_precision_without_background": (0.7 + 2 / 3) / 2,
            "kappa": (0.8 - 0.36) / (1 - 0.36),
            "num_frames": 5,
            "num_unknown_frames": 1,
            "num_recordings": 2,
            "num_groups": 1,
            "seconds": 2.5,
        }
    )
    of_a = {"precision": 1, "recall": 0.5, "f1": 2 / 3, "num_frames": 2, "share": 2 / 5}
    of_a |= {"average_precision": 0.5 + 0.5 * 2 / 5, "kappa": (0.8 - 0.56) / (1 - 0.56)}
    assert rows["a"] == pytest.approx(of_a)


def test_several_classes_at_once():
    """By hand: one frame lacks a, one has it too much; nobody ever says c."""
    human, machine = at_once("##..", ".#..", "...."), at_once("#.#.", ".#..", "....")
    frames = frame_scores([recording(human, machine)], NAMES, exclusive=False)
    assert frames["accuracy"] == 0.5
    assert frames["chance"] == 0.5
    assert frames["kappa"] == pytest.approx((0 + 1) / 2)
    assert frames["macro_f1"] == frames["macro_f1_without_background"] == pytest.approx(0.75)
    assert frames["mean_average_precision"] == pytest.approx((0.5 * 0.5 + 0.5 * 0.5 + 1) / 2)
    undefined = ("precision", "recall", "f1", "average_precision", "kappa")
    nothing = dict.fromkeys(undefined) | {"num_frames": 0, "share": 0.0}
    assert frames["per_class"]["c"] == nothing
    # A frame of several labels is known where classes may hold at once, and there alone.
    assert frame_scores([recording(human, machine)], NAMES, exclusive=True)["num_frames"] == 1
    # The same of videos.
    groups = list("wxyz")
    scores = video_scores(human.astype(int), machine * 0.8 + 0.1, machine, groups, NAMES)
    right = np.array([True, False, False, True])
    assert scores.pop("accuracy_interval95") == accuracy_interval(right, groups)
    assert (scores.pop("num_videos"), scores.pop("num_groups")) == (4, 4)
    assert [row.pop("num_videos") for row in scores["per_class"].values()] == [2, 1, 0]
    for row in frames["per_class"].values():
        row.pop("num_frames")
    assert scores == {key: frames[key] for key in scores}


def test_a_class_that_is_never_answered_or_not_there():
    """The one counts as not found, the other not at all; nor does anything where all is empty."""
    scores = frame_scores([exclusive("aab", "aaa")], NAMES, exclusive=True)
    assert scores["macro_f1"] == pytest.approx((0.8 + 0) / 2)
    assert scores["per_class"]["b"]["precision"] is None
    assert scores["per_class"]["b"]["recall"] == 0
    scores = frame_scores([exclusive("aab", "aac")], NAMES, exclusive=True)
    assert scores["macro_f1"] == pytest.approx((1 + 0) / 2)
    assert scores["per_class"]["c"]["precision"] == 0
    empty = at_once("...", "...", "...")
    scores = frame_scores([recording(empty, empty)], NAMES, exclusive=False)
    assert scores["accuracy"] == 1
    assert {scores[key] for key in ("macro_f1", "mean_average_precision", "kappa")} == {None}


def test_all_scores_together_and_where_nothing_is_known():
    scores = score_recordings(EXCLUSIVE, NAMES, background="c", exclusive=True)
    assert scores["frames"] == frame_scores(EXCLUSIVE, NAMES, background="c", exclusive=True)
    assert scores["segments"]["num_segments"] == {"human": 2, "machine": 2, "matched": 2}
    assert list(scores["bouts"]["agreement"]) == ["a", "b"]
    plain = score_recordings(EXCLUSIVE, NAMES, exclusive=True)
    assert plain["segments"]["num_segments"] == {"human": 3, "machine": 3, "matched": 3}
    unknown = exclusive("???", "aaa", name="b.mp4")
    with pytest.raises(DataError, match="of any frame of 1 recording,"):
        frame_scores([unknown], NAMES, exclusive=True)
    scores = score_recordings([exclusive("aab", "aaa"), unknown], NAMES, exclusive=True)
    assert scores["frames"]["num_recordings"] == 1
    assert scores["frames"]["num_unknown_frames"] == 3
    assert [row["recording"] for row in scores["segments"]["f1_50_by_recording"]] == ["a.mp4"]
    assert scores["bouts"]["recordings"][1]["known_seconds"] == 0


GROUPED = [
    exclusive("aabb", "aabb", group="1"),
    exclusive("aaaa", "aaab", group="2"),
    exclusive("abab", "aaab", group="3"),
    exclusive("cc", "cb", group="3"),
]


def test_interval_counts_stretches_of_the_same_labels():
    """Stretches: 2, 1 and 4 + 1, of 14 frames."""
    scale = 8 / 14
    expected = accuracy_ends(np.array([4, 3, 4]) * scale, np.array([4, 4, 6]) * scale)
    scores = frame_scores(GROUPED, NAMES, exclusive=True)
    assert scores["accuracy_interval95"] == pytest.approx(expected.tolist())
    assert scores["accuracy_interval95"][0] < scores["accuracy"] < 1
    assert frame_scores(GROUPED[1:], NAMES, exclusive=True)["accuracy_interval95"] is None
    # More frames a second of the same make it no narrower.
    longer = [
        dataclasses.replace(
            each,
            labels=each.labels.repeat(9, axis=0),
            probabilities=each.probabilities.repeat(9, axis=0),
            answers=each.answers.repeat(9, axis=0),
        )
        for each in GROUPED
    ]
    again = frame_scores(longer, NAMES, exclusive=True)
    assert again["accuracy_interval95"] == pytest.approx(expected.tolist())


def test_random_frames_as_scikit_learn_has_it():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.random((60, 3)) < 0.4, rng.random((60, 3))
    answers, stored = probabilities > 0.5, labels.astype(np.uint8)
    parts = [
        Recording(name, name, 1.0, stored[at], probabilities[at], answers[at])
        for name, at in (("a", slice(20)), ("b", slice(20, 60)))
    ]
    scores = frame_scores(parts, NAMES, exclusive=False)
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(labels, answers))
    assert scores["macro_f1"] == pytest.approx(metrics.f1_score(labels, answers, average="macro"))
    precision = metrics.average_precision_score(labels, probabilities)
    assert scores["mean_average_precision"] == pytest.approx(precision)
    kappas = [metrics.cohen_kappa_score(labels[:, n], answers[:, n]) for n in range(3)]
    assert scores["kappa"] == pytest.approx(np.mean(kappas))
    rows = scores["per_class"].values()
    found = metrics.precision_recall_fscore_support(labels, answers, average=None)
    for key, value in zip(("precision", "recall", "f1"), found, strict=False):
        assert [row[key] for row in rows] == pytest.approx(value.tolist())
    assert [row["share"] for row in rows] == pytest.approx(labels.mean(axis=0).tolist())
